"""Samplers: which images an epoch shows, and how often."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from medcourse.errors import TrainingError
from medcourse.imbalance.weights import refuse_findings
from medcourse.networks.seeds import training_seed


class BalancedSampler:
    """Draw rare classes, or patients with few images, as often as the others (random oversampling, with replacement).

    Each epoch has as many draws as there are images. By class: a class is drawn first, then one of its images. By group
    (``labels=None``): a group (patient), then one of its images. By both: a class, then a group of that class, then one
    of its images, so that patients with many images do not dominate.

    Several processes draw the same rows, because a draw depends on seed and epoch only; ``mc.Trainer`` then gives every
    process its own part of them.

    Args:
        labels: the class of every image (``cohort.targets``, or names), N, or None.
        groups: N group names, or None.
        seed: with ``set_epoch`` it fixes every draw; MEDCOURSE_SEED_SHIFT is added.

    Raises:
        TrainingError: neither labels nor groups, different lengths, fewer than two classes, images without a label or
            group, multilabel targets, or a seed that is no whole number of 0 or more.
    """

    def __init__(self, labels: ArrayLike | None, groups: ArrayLike | None = None, seed: int = 0) -> None:
        if labels is None and groups is None:
            raise TrainingError("a BalancedSampler balances classes (labels), groups, or both; it was given neither")
        classes = None if labels is None else _numbered("label", labels)
        if classes is not None and len(np.unique(classes)) < 2:
            raise TrainingError(f"a BalancedSampler needs two or more classes; it was given {len(np.unique(classes))}")
        own = None if groups is None else _numbered("group", groups)
        if classes is None:
            classes = np.zeros(len(own), dtype=np.int64) if own is not None else np.empty(0)
        if own is None:
            own = np.arange(len(classes))
        if len(own) != len(classes) or len(own) == 0:
            raise TrainingError(f"{len(classes)} labels, but {len(own)} groups")
        self._probabilities = _probabilities(classes, own)
        self._seed = training_seed(seed)
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


def _numbered(what: str, names: ArrayLike) -> np.ndarray:
    """Whole numbers from 0 in place of names, one per image."""
    # of a list as objects: numpy would turn a NaN among texts into the text "nan"
    values = np.asarray(names) if hasattr(names, "dtype") else np.asarray(names, dtype=object)
    if what == "label":
        refuse_findings("BalancedSampler", values)
    if values.ndim != 1:
        raise TrainingError(
            f"a BalancedSampler needs one {what} per image; it was given an array of shape {values.shape}"
        )
    codes = pd.factorize(values.astype(object))[0]
    if (codes < 0).any():
        raise TrainingError(f"{int((codes < 0).sum())} images have no {what}, e.g. row {int(np.argmin(codes))}")
    return codes


def _probabilities(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """P(image) = 1/classes x 1/(groups of its class) x 1/(images of its group in its class)."""
    cell, of_image, images_in_cell = np.unique(
        np.column_stack([labels, groups]), axis=0, return_inverse=True, return_counts=True
    )
    groups_of_class = np.bincount(cell[:, 0])
    p = 1 / (len(groups_of_class) * groups_of_class[cell[:, 0]] * images_in_cell)
    return p[of_image.ravel()]
