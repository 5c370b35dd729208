"""Weights for a loss: one per class, or two per finding."""

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from medcourse.arguments import one_of
from medcourse.errors import TrainingError

Scheme = Literal["balanced", "inverse", "effective"]
_BETA = 0.9999  # of the effective number of samples, as in Cui et al.'s experiments


def class_weights(labels: ArrayLike, scheme: Scheme = "balanced") -> Tensor:
    """One weight per class, to pass to a loss: ``nn.CrossEntropyLoss(weight=mc.class_weights(train.targets))``.

    "balanced" and "inverse" differ by the factor K only, and ``CrossEntropyLoss`` divides by the weights of the batch,
    so there the two are the same thing.

    Args:
        labels: integer targets 0..K-1, N (``cohort.targets``).
        scheme: "balanced": N / (K n_c) (King and Zeng 2001; scikit-learn's "balanced"); "inverse": N / n_c;
            "effective": (1 - b) / (1 - b^n_c) with b = 0.9999, scaled to sum K (Cui et al. 2019, Class-balanced loss
            based on effective number of samples).

    Returns:
        float32, K.

    Raises:
        ArgumentError: an unknown scheme.
        TrainingError: labels that are no integers 0..K-1, a class without images, or multilabel targets.
    """
    one_of("scheme", scheme, get_args(Scheme))
    targets = _array("class_weights", labels)
    refuse_findings("class_weights", targets)
    if targets.ndim != 1 or targets.size == 0 or not np.issubdtype(targets.dtype, np.integer) or targets.min() < 0:
        raise TrainingError(
            f"class_weights needs integer targets 0..K-1 in one dimension (cohort.targets), not {targets.dtype} of "
            f"shape {targets.shape}"
        )
    counts = np.bincount(targets)
    if len(counts) < 2 or (counts == 0).any():
        raise TrainingError(f"class_weights needs images of every class; the counts are {counts.tolist()}")
    if scheme == "effective":
        per_image = (1 - _BETA) / (1 - _BETA**counts)
        weights = per_image * len(counts) / per_image.sum()
    else:
        weights = targets.size / (counts * (len(counts) if scheme == "balanced" else 1))
    return torch.tensor(weights, dtype=torch.float32)


def pos_neg_weights(targets: ArrayLike) -> tuple[Tensor, Tensor]:
    """The two weights of each finding: ``mc.WeightedBCELoss(*mc.pos_neg_weights(train.targets))``.

    ``w_p`` = negatives / total and ``w_n`` = positives / total, so that present and absent add up to the same weight
    (Rajpurkar et al. 2017, CheXNet). Six normal films and two with a mass give 0.75 and 0.25.

    Args:
        targets: 1 present, 0 absent, NaN not assessed (left out of the counts); N x K (``cohort.targets`` of a
            multilabel cohort), or N for one finding.

    Returns:
        ``w_p`` and ``w_n``, float32, K each (no dimension for N targets).

    Raises:
        TrainingError: other values, or a finding that is nowhere present or nowhere absent: one of its weights would be
            0, and with it the whole loss of this finding.
    """
    values = _array("pos_neg_weights", targets)
    if values.ndim not in (1, 2) or values.size == 0 or values.dtype.kind not in "biuf":
        raise TrainingError(
            f"pos_neg_weights needs targets N x K or N of 1, 0 and NaN (cohort.targets), not {values.dtype} of shape "
            f"{values.shape}"
        )
    values = values.astype(np.float64)
    positives, negatives = (values == 1).sum(0), (values == 0).sum(0)
    if strange := np.unique(values[~np.isin(values, (0, 1)) & ~np.isnan(values)]).tolist():
        raise TrainingError(
            f"targets must be 1, 0 or NaN; there are also {strange[:5]}. Several classes: class_weights"
        )
    if ((positives == 0) | (negatives == 0)).any():
        raise TrainingError(
            f"every finding must be present in some image and absent in another; positives are {positives.tolist()}, "
            f"negatives {negatives.tolist()}"
        )
    w_p, w_n = (torch.as_tensor(n / (positives + negatives), dtype=torch.float32) for n in (negatives, positives))
    return w_p, w_n


def _array(asking: str, values: ArrayLike) -> np.ndarray:
    try:
        if not isinstance(values, Tensor):
            return np.asarray(values)
        held = values.detach().cpu()
        return (held.float() if held.dtype == torch.bfloat16 else held).numpy()
    except (TypeError, ValueError) as error:  # rows of different lengths, kinds that numpy does not know
        raise TrainingError(f"{asking} needs an array of targets ({error})") from error


def refuse_findings(asking: str, targets: np.ndarray) -> None:
    """TrainingError for multilabel targets (N x K): their images belong to no one class."""
    if targets.ndim == 2:
        raise TrainingError(
            f"{asking} needs one class per image, but these are multilabel targets of {targets.shape[1]} findings for "
            f"{targets.shape[0]} images. Weigh them in the loss, mc.WeightedBCELoss(*mc.pos_neg_weights(targets)), or look at one: "
            "cohort.relabel({'edema': 'edema'}, positive='edema').targets"
        )
