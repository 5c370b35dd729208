"""Samplers: which images an epoch shows, and how often."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from medcourse.errors import TrainingError
from medcourse.imbalance.weights import refuse_findings


class BalancedSampler:
    """Draw rare classes, or patients with few images, as often as the others (random oversampling, with replacement).

    Each epoch has as many draws as there are images. By class: a class is drawn first, then one of its images. By group
    (``labels=None``): a group (patient), then one of its images. By both: a class, then a group of that class, then one
    of its images, so that patients with many images do not dominate.

    Several processes draw the same rows, because a draw depends on seed and epoch only; ``mc.Trainer`` then gives every
    process its own part of them.

    Args:
        labels: integer targets, N, or None.
        groups: N group names, or None.
        seed: with ``set_epoch`` it fixes every draw.

    Raises:
        TrainingError: neither labels nor groups, different lengths, fewer than two classes, images without a group, or
            multilabel targets.
    """

    def __init__(self, labels: ArrayLike | None, groups: ArrayLike | None = None, seed: int = 0) -> None:
        if labels is None and groups is None:
            raise TrainingError("a BalancedSampler balances classes (labels), groups, or both; it was given neither")
        classes = None if labels is None else np.asarray(labels)
        if classes is not None:
            refuse_findings("BalancedSampler", classes)
        if classes is not None and (classes.ndim != 1 or len(np.unique(classes)) < 2):
            raise TrainingError(
                f"a BalancedSampler needs one label per image and two or more classes; it was given labels of shape "
                f"{classes.shape} with {len(np.unique(classes))} class(es)"
            )
        own = None if groups is None else pd.factorize(np.asarray(groups, dtype=object))[0]
        if own is not None and (own < 0).any():
            raise TrainingError(f"{int((own < 0).sum())} images have no group, e.g. row {int(np.argmin(own))}")
        if classes is None:
            classes = np.zeros(len(own), dtype=np.int64) if own is not None else np.empty(0)
        if own is None:
            own = np.arange(len(classes))
        if len(own) != len(classes) or len(own) == 0:
            raise TrainingError(f"{len(classes)} labels, but {len(own)} groups")
        self._probabilities = _probabilities(classes, own)
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._probabilities)

    def set_epoch(self, epoch: int) -> None:
        """Fix the draws of the next iteration; the trainer calls this before every epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Row numbers, ``len(self)`` of them; the epoch goes up by one so that the next iteration draws anew."""
        rng = np.random.default_rng([self._seed, self._epoch])
        self._epoch += 1
        rows = rng.choice(len(self._probabilities), size=len(self._probabilities), p=self._probabilities)
        return iter(rows.tolist())


def _probabilities(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """P(image) = 1/classes x 1/(groups of its class) x 1/(images of its group in its class)."""
    _, classes = np.unique(labels, return_inverse=True)
    cell, of_image, images_in_cell = np.unique(
        np.column_stack([classes, groups]), axis=0, return_inverse=True, return_counts=True
    )
    groups_of_class = np.bincount(cell[:, 0])
    p = 1 / (len(groups_of_class) * groups_of_class[cell[:, 0]] * images_in_cell)
    return p[of_image.ravel()]
