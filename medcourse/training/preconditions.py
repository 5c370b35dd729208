"""What a training run needs, each refusal with what was wrong, where, and what to do."""

import operator
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.networks.forward import explained
from medcourse.networks.signature import InputSignature

Loss = Callable[[Tensor, Tensor], Tensor]


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
        if InputSignature.of(cohort) != InputSignature.of(train):
            raise TrainingError(
                f"the {name} set ({cohort}) does not have the training set's classes, channels and size: it has "
                f"{InputSignature.of(cohort)}, the training set {InputSignature.of(train)}. Load or relabel both alike."
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


def check_finite(losses: list[Tensor], batches: Sequence[Sequence[int]], epoch: int) -> None:
    """TrainingError when one of the last 16 losses is not finite; the batch is named."""
    finite = torch.isfinite(torch.stack(losses[-16:])).tolist()
    if not all(finite):
        number = len(losses) - len(finite) + finite.index(False)
        raise TrainingError(
            f"the loss is {losses[number].item()} in epoch {epoch}, batch {number + 1} of {len(batches)} (rows "
            f"{list(batches[number])[:8]} of the training set). Look at these images, lower the learning rate, or use "
            "precision='fp32'."
        )


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
