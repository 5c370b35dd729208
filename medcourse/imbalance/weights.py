"""Class weights for a loss."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from medcourse.errors import TrainingError

_BETA = 0.9999  # of the effective number of samples, as in Cui et al.'s experiments


def class_weights(labels: ArrayLike, scheme: Literal["balanced", "inverse", "effective"] = "balanced") -> Tensor:
    """One weight per class, to pass to a loss: ``nn.CrossEntropyLoss(weight=mc.class_weights(train.targets))``.

    "balanced" and "inverse" differ by the factor K only, and ``CrossEntropyLoss`` divides by the weights of the batch,
    so there the two are the same thing.

    Args:
        labels: integer targets 0..K-1, N (``cohort.targets``).
        scheme: "balanced": N / (K n_c) (King and Zeng 2001; scikit-learn's "balanced"); "inverse": N / n_c;
            "effective": (1 - b) / (1 - b^n_c) with b = 0.9999, scaled to sum K (Cui et al. 2019).

    Returns:
        float32, K.

    Raises:
        TrainingError: labels that are no integers 0..K-1, a class without images, multilabel targets, or an unknown
            scheme.
    """
    targets = np.asarray(labels)
    refuse_findings("class_weights", targets)
    if targets.ndim != 1 or targets.size == 0 or not np.issubdtype(targets.dtype, np.integer) or targets.min() < 0:
        raise TrainingError(
            f"class_weights needs integer targets 0..K-1 in one dimension (cohort.targets), not {targets.dtype} of "
            f"shape {targets.shape}"
        )
    counts = np.bincount(targets)
    if len(counts) < 2 or (counts == 0).any():
        raise TrainingError(f"class_weights needs images of every class; the counts are {counts.tolist()}")
    if scheme == "balanced":
        weights = targets.size / (len(counts) * counts)
    elif scheme == "inverse":
        weights = targets.size / counts
    elif scheme == "effective":
        per_image = (1 - _BETA) / (1 - _BETA**counts)
        weights = per_image * len(counts) / per_image.sum()
    else:
        raise TrainingError(f"scheme='{scheme}': give 'balanced', 'inverse' or 'effective'")
    return torch.tensor(weights, dtype=torch.float32)


def refuse_findings(asking: str, targets: np.ndarray) -> None:
    """TrainingError for multilabel targets (N x K): their images belong to no one class."""
    if targets.ndim == 2:
        raise TrainingError(
            f"{asking} needs one class per image, but these are multilabel targets of {targets.shape[1]} findings for "
            f"{targets.shape[0]} images. Weigh the findings in the loss, or look at one: "
            "cohort.relabel({'edema': 'edema'}, positive='edema').targets"
        )
