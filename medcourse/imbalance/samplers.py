"""Samplers: which images an epoch shows, and how often."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from medcourse.errors import TrainingError
from medcourse.imbalance.weights import refuse_findings


class BalancedSampler:
    """Draw every class equally often (random oversampling of the rare ones), with replacement.

    Each epoch has as many draws as there are images. A class is drawn first, then one of its images; with ``groups``
    a group (patient) of that class, then one of its images, so that patients with many images do not dominate.

    Args:
        labels: integer targets, N.
        groups: N group names, or None.
        seed: with ``set_epoch`` it fixes every draw.

    Raises:
        TrainingError: labels and groups of different lengths, fewer than two classes, or multilabel targets.
    """

    def __init__(self, labels: ArrayLike, groups: ArrayLike | None = None, seed: int = 0) -> None:
        self._labels = np.asarray(labels)
        refuse_findings("BalancedSampler", self._labels)
        if self._labels.ndim != 1 or len(np.unique(self._labels)) < 2:
            raise TrainingError(
                f"a BalancedSampler needs one label per image and two or more classes; it was given labels of shape "
                f"{self._labels.shape} with {len(np.unique(self._labels))} class(es)"
            )
        own = np.arange(len(self._labels)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        if len(own) != len(self._labels):
            raise TrainingError(f"{len(self._labels)} labels, but {len(own)} groups")
        self._probabilities = _probabilities(self._labels, own)
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._labels)

    def set_epoch(self, epoch: int) -> None:
        """Fix the draws of the next iteration; the trainer calls this before every epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Row numbers, ``len(self)`` of them; the epoch goes up by one so that the next iteration draws anew."""
        rng = np.random.default_rng([self._seed, self._epoch])
        self._epoch += 1
        rows = rng.choice(len(self._labels), size=len(self._labels), p=self._probabilities)
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
