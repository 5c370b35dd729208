"""What a training run needs before it can start, each refusal with what was wrong, where, and what to do."""

import math
import operator
from collections.abc import Callable, Iterable
from numbers import Integral, Real

import numpy as np
from torch import Tensor, nn

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.networks.forward import explained

Loss = Callable[[Tensor, Tensor], Tensor]


def check_numbers(epochs: int, lr: float, batch_size: int) -> None:
    """TrainingError unless epochs and batch_size are whole numbers above 0, and lr is a finite number above 0."""
    for name, value in {"epochs": epochs, "batch_size": batch_size}.items():
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise TrainingError(f"{name}={value!r} must be a whole number")
    if not isinstance(lr, Real) or isinstance(lr, bool) or not math.isfinite(lr):
        raise TrainingError(f"lr={lr!r} must be a number such as 1e-3")
    for name, number in {"epochs": epochs, "lr": lr, "batch_size": batch_size}.items():
        if not number > 0:
            raise TrainingError(f"{name}={number} must be above 0")


def check_cohorts(train: Cohort, val: Cohort | None) -> None:
    """TrainingError unless the sets fit each other and hold what training and its AUROC need.

    Every class must have images in both. Multilabel: every finding must be present in one training image and absent in
    another, and at least one finding in the validation set.
    """
    if not isinstance(train, Cohort) or not isinstance(val, Cohort | None):
        wrong = val if isinstance(train, Cohort) else train
        raise TrainingError(f"fit needs cohorts (mc.load, mc.split), not {type(wrong).__name__}")
    for name, cohort in {"training": train, "validation": val}.items():
        if cohort is None:
            continue
        if describe(cohort) != describe(train):
            raise TrainingError(
                f"the {name} set ({cohort}) does not have the training set's classes, channels and size: it has "
                f"{describe(cohort)}, the training set {describe(train)}. Load or relabel both alike."
            )
        if cohort.task == "multilabel":
            _check_findings(name, cohort)
            continue
        counts = cohort.counts()
        if (counts == 0).any():
            raise TrainingError(
                f"the {name} set holds no image of {counts.index[counts == 0].tolist()} (counts {counts.to_dict()}); split "
                "again with more images for it, or relabel the cohort"
            )


def describe(cohort: Cohort) -> str:
    """Task, classes, channels and size, in words."""
    return f"{cohort.task}: {', '.join(cohort.classes)}; {cohort.channels} x {cohort.size} x {cohort.size} pixels"


def _check_findings(name: str, cohort: Cohort) -> None:
    present, absent = (cohort.targets == 1).any(0), (cohort.targets == 0).any(0)
    lacking = [finding for finding, both in zip(cohort.classes, present & absent, strict=True) if not both]
    if lacking and (name == "training" or len(lacking) == len(cohort.classes)):
        raise TrainingError(
            f"the {name} set does not hold both images with and images without {lacking} (with: {cohort.counts().to_dict()}); "
            "split again with more images for it, or leave the finding out with cohort.relabel"
        )


def check_logits(logits: object, cohort: Cohort) -> None:
    """TrainingError unless a model's answer has one logit per class."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[1] != len(cohort.classes):
        gives = f"{logits.shape[1]} logits" if isinstance(logits, Tensor) and logits.ndim == 2 else _shape(logits)
        raise TrainingError(
            f"the model gives {gives}, {cohort.name} has {len(cohort.classes)} classes; it must give one logit per class "
            "(N x classes), as mc.build_model(name, train) does"
        )


def learning(model: nn.Module) -> list[nn.Parameter]:
    """The weights that learn; TrainingError when there are none."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if not weights:
        raise TrainingError("nothing in this model learns: every weight is frozen. Set requires_grad of some.")
    return weights


def checked(loss: Loss) -> Loss:
    """The loss, with refusals in words: it must return a scalar that depends on the logits."""
    name = getattr(loss, "__name__", type(loss).__name__)

    def value(logits: Tensor, targets: Tensor) -> Tensor:
        what = f"the loss {name} fails on logits {_shape(logits)} and targets {_shape(targets)}"
        with explained(what):
            found = loss(logits, targets)
        if not isinstance(found, Tensor) or found.ndim:
            raise TrainingError(
                f"the loss {name} must return a scalar tensor, not {_shape(found)}; reduce with .mean()"
            )
        if logits.requires_grad and not found.requires_grad:
            raise TrainingError(
                f"the loss {name} does not depend on the logits, so that nothing can be learned from it"
            )
        return found

    return value


def rows_of(sampler: Iterable[int], n: int) -> list[int]:
    """What a sampler yields in one epoch; TrainingError unless it is one or more row numbers 0..n-1."""
    try:
        rows = [operator.index(row) for row in sampler]
    except TypeError as error:
        raise TrainingError(f"the sampler must yield row numbers 0..{n - 1}, one at a time ({error})") from error
    if not rows or min(rows) < 0 or max(rows) >= n:
        shown = f"rows from {min(rows)} to {max(rows)}" if rows else "none"
        raise TrainingError(
            f"the sampler must yield row numbers 0..{n - 1}; it gave {shown}. Make it from this training set "
            "(mc.BalancedSampler(train.targets))"
        )
    return rows


def _shape(value: object) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
