"""Losses for imbalanced classes: logits and targets to one number.

All are stable for logits of any size, move with the trainer's device, and are handed to it: ``mc.Trainer(model,
loss=mc.FocalLoss())``. Only the ratio of costs or weights matters to where a loss has its minimum; their size acts like the
learning rate.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from medcourse.arguments import number, share
from medcourse.errors import TrainingError


class WeightedBCELoss(nn.Module):
    """Binary cross-entropy with a weight for present and one for absent findings (Rajpurkar et al. 2017, CheXNet).

    The mean over all assessed targets of ``-(w_p y log s(z) + w_n (1 - y) log(1 - s(z)))``, s the sigmoid. A target of
    NaN was not assessed: it counts neither in the sum nor in the mean, and its logit gets no gradient. A batch in which
    nothing was assessed has the loss 0.

    Args:
        w_p, w_n: weights of present and absent findings, K each or one number for all (``mc.pos_neg_weights``).

    Raises:
        TrainingError: weights that are negative, not finite, or of different lengths; in use: logits (float, N x K) and
            targets (float, N x K, or N of one finding) of different shapes, or targets other than 1, 0 and NaN.
    """

    w_p: Tensor
    w_n: Tensor

    def __init__(self, w_p: Tensor | ArrayLike, w_n: Tensor | ArrayLike) -> None:
        super().__init__()
        self.register_buffer("w_p", _numbers("w_p", w_p))
        self.register_buffer("w_n", _numbers("w_n", w_n))
        if self.w_p.shape != self.w_n.shape or self.w_p.ndim > 1:
            raise TrainingError(
                f"w_p has shape {tuple(self.w_p.shape)}, w_n {tuple(self.w_n.shape)}; give pairs, K each or one number"
            )

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss, a scalar."""
        logits, assessed, present = _findings("WeightedBCELoss", logits, targets)
        _check_length("WeightedBCELoss has weights", self.w_p, logits)
        losses = torch.where(present, self.w_p * F.softplus(-logits), self.w_n * F.softplus(logits))
        return _mean_of(losses, assessed)

    def extra_repr(self) -> str:
        """The weights."""
        return f"w_p={self.w_p.tolist()}, w_n={self.w_n.tolist()}"


class FocalLoss(nn.Module):
    """Cross-entropy that counts easy cases less: ``-alpha_t (1 - p_t)^gamma log p_t`` (Lin et al. 2017), p_t the
    probability of the true class.

    Integer targets (N) mean classes that exclude each other (softmax) and give the mean over images; float targets
    (N x K: 1, 0 or NaN) mean findings (sigmoid) and give the mean over assessed targets. It is a plain mean: weights do
    not divide it, as they do in ``CrossEntropyLoss``.

    Args:
        gamma: 0 or more; 0 is cross-entropy.
        alpha: None (1 for all); a number in (0, 1): alpha for the positive class or a present finding, 1 - alpha for the
            other; or one weight per class (integer targets).

    Raises:
        ArgumentError: gamma below 0, or one alpha outside 0..1.
        TrainingError: weights that are negative or not finite; in use: shapes that do not fit, or targets other than those.
    """

    alpha: Tensor | None

    def __init__(self, gamma: float = 2.0, alpha: float | Tensor | ArrayLike | None = None) -> None:
        super().__init__()
        self.gamma = number("gamma", gamma, least=0)
        weights = None if alpha is None else _numbers("alpha", alpha)
        if weights is not None and weights.ndim == 0:
            weights = torch.tensor([1 - share("alpha", alpha), share("alpha", alpha)])
        if weights is not None and (weights.ndim != 1 or len(weights) < 2):
            raise TrainingError(f"alpha has shape {tuple(weights.shape)}; give one number, or one weight per class")
        self.register_buffer("alpha", weights)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss, a scalar."""
        _check_tensors("FocalLoss", logits, targets)
        # log(1 - p) is taken from the logits: 1 - p itself would round to 0, where a power below 1 has no slope.
        if targets.is_floating_point():
            logits, assessed, present = _findings("FocalLoss", logits, targets)
            if self.alpha is not None and len(self.alpha) != 2:
                raise TrainingError(f"for findings alpha is one number; FocalLoss was given {len(self.alpha)} weights")
            signed = torch.where(present, logits, -logits)
            return _mean_of(self._focal(F.logsigmoid(signed), F.logsigmoid(-signed), present.long()), assessed)
        _check_classes("FocalLoss", logits, targets)
        if self.alpha is not None:
            _check_length("FocalLoss has alpha weights", self.alpha, logits)
        log_p = logits.log_softmax(1)
        own = targets[:, None]
        others = log_p.scatter(1, own, float("-inf")).logsumexp(1)
        return self._focal(log_p.gather(1, own)[:, 0], others, targets).mean()

    def _focal(self, log_p: Tensor, log_rest: Tensor, kind: Tensor) -> Tensor:
        losses = -(self.gamma * log_rest).exp() * log_p
        return losses if self.alpha is None else self.alpha[kind] * losses

    def extra_repr(self) -> str:
        """Gamma and alpha."""
        return f"gamma={self.gamma}, alpha={None if self.alpha is None else self.alpha.tolist()}"


class LogitAdjustedLoss(nn.Module):
    """Cross-entropy of ``logits + tau log(prior)`` (Menon et al. 2021, Long-tail learning via logit adjustment).

    The network then learns logits whose largest one minimises the balanced error: predictions are made with the plain
    logits, as ``Trainer.predict`` does. So its probabilities are those of a world in which all classes are equally
    frequent (tau = 1).

    Args:
        counts: images of each class in the training set, K (``train.counts()``).
        tau: 0 or more; 0 is cross-entropy.

    Raises:
        ArgumentError: tau below 0.
        TrainingError: a class without images; in use: logits (float, N x K) and targets (int64, N) that do not fit.
    """

    adjustment: Tensor

    def __init__(self, counts: ArrayLike, tau: float = 1.0) -> None:
        super().__init__()
        n = _numbers("counts", counts).double().numpy()
        if n.ndim != 1 or len(n) < 2 or not (n > 0).all():
            raise TrainingError(f"counts must be the images of each class, all above 0; they are {n.tolist()}")
        tau = number("tau", tau, least=0)
        self.register_buffer("adjustment", torch.tensor(tau * np.log(n / n.sum()), dtype=torch.float32))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss, a scalar."""
        _check_classes("LogitAdjustedLoss", logits, targets)
        _check_length("LogitAdjustedLoss has counts", self.adjustment, logits)
        return F.cross_entropy(logits + self.adjustment, targets)

    def extra_repr(self) -> str:
        """What is added to the logits."""
        return f"adjustment={[round(value, 4) for value in self.adjustment.tolist()]}"


class CostSensitiveLoss(nn.Module):
    """The expected cost of calling a class at random with the model's probabilities: mean of ``sum_k C[y, k] p_k``.

    The cost matrix and expected cost are Elkan's (2001, The foundations of cost-sensitive learning); as a training loss
    under softmax see Galdran et al. (2020, Cost-sensitive regularization for diabetic retinopathy grading). It is no
    proper score: it drives probabilities to 0 or 1, so they are not to be read as risks, and its slope vanishes on cases
    that are wrong with certainty.

    Args:
        costs: K x K, rows the reference, columns the class called, each 0 or more and the smallest of a row on the
            diagonal. ``[[0, 1], [10, 0]]``: a missed positive costs ten times a false alarm.

    Raises:
        TrainingError: costs that are not such a matrix; in use: logits (float, N x K) and targets (int64, N) that do not
            fit.
    """

    costs: Tensor

    def __init__(self, costs: Tensor | ArrayLike) -> None:
        super().__init__()
        matrix = _numbers("costs", costs)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
            raise TrainingError(
                f"costs have shape {tuple(matrix.shape)}; give K x K, rows the reference, columns called"
            )
        if (matrix < matrix.diagonal()[:, None]).any():
            raise TrainingError(f"a right call costs more than a wrong one in the rows of {matrix.tolist()}")
        self.register_buffer("costs", matrix)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean cost, a scalar."""
        _check_classes("CostSensitiveLoss", logits, targets)
        _check_length("CostSensitiveLoss has costs", self.costs, logits)
        return (self.costs[targets] * logits.softmax(1)).sum(1).mean()

    def extra_repr(self) -> str:
        """The matrix."""
        return f"costs={self.costs.tolist()}"


def _numbers(name: str, values: Any) -> Tensor:
    """float32; a copy, so that the loss does not change with the caller's array."""
    try:
        given = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float32))
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{name} must be numbers; they are {values!r} ({error})") from error
    numbers = given.detach().float().clone()
    if not (torch.isfinite(numbers) & (numbers >= 0)).all():
        raise TrainingError(f"{name} must be finite and 0 or more; they are {numbers.tolist()}")
    return numbers


def _findings(loss: str, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The logits, 0 where nothing was assessed; which targets were assessed; and which of them are present."""
    _check_tensors(loss, logits, targets)
    if logits.shape != targets.shape or logits.ndim not in (1, 2) or not targets.is_floating_point():
        raise TrainingError(
            f"{loss} needs N x K logits (N of one finding) and as many float targets (1, 0, NaN: not assessed); logits are "
            f"{tuple(logits.shape)}, targets {targets.dtype} of {tuple(targets.shape)}. For classes that exclude each other use "
            "CrossEntropyLoss(weight=mc.class_weights(...))"
        )
    assessed, present = ~targets.isnan(), targets == 1
    _refuse_targets(loss, "1, 0, or NaN for not assessed", targets, assessed & ~present & (targets != 0))
    return logits.where(assessed, 0.0), assessed, present


def _mean_of(losses: Tensor, assessed: Tensor) -> Tensor:
    return torch.where(assessed, losses, 0.0).sum() / assessed.sum().clamp(min=1)


def _check_classes(loss: str, logits: Tensor, targets: Tensor) -> None:
    _check_tensors(loss, logits, targets)
    classes = logits.shape[-1] if logits.ndim == 2 else 0
    if classes < 2 or targets.shape != logits.shape[:1] or targets.dtype != torch.int64:
        raise TrainingError(
            f"{loss} needs logits N x K (K of 2 or more) and int64 targets N; it was given {tuple(logits.shape)} and "
            f"{targets.dtype} of {tuple(targets.shape)}"
        )
    _refuse_targets(loss, f"0..{classes - 1}", targets, (targets < 0) | (targets >= classes))


def _check_tensors(loss: str, *values: Any) -> None:
    if not all(isinstance(value, Tensor) for value in values):
        raise TrainingError(f"{loss} needs tensors, not {', '.join(type(value).__name__ for value in values)}")


def _refuse_targets(loss: str, right: str, targets: Tensor, wrong: Tensor) -> None:
    # not where shapes alone are traced: a decision by value would break the graph
    if not (targets.is_meta or torch.compiler.is_compiling()) and wrong.any():
        strange = targets[wrong].unique()[:5].tolist()
        raise TrainingError(f"{loss} needs targets of {right}; there are also {strange}")


def _check_length(what: str, values: Tensor, logits: Tensor) -> None:
    given = logits.shape[1] if logits.ndim == 2 else 1
    if values.ndim and values.shape[-1] != given:
        raise TrainingError(f"{what} for {values.shape[-1]} classes, the model gives {given} logits")
