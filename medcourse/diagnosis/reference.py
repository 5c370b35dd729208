"""Do the labels show in the pictures at all? What a learner that is no network finds: a random forest."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor
from torch.nn import functional as F

from medcourse.diagnosis.scores import Scores, separation

_FOLDS = 5


@dataclass(frozen=True)
class Found:
    """AUROC of a forest, and what no knowledge stays below (in 97.5 of 100 sets on validation, 99.5 out of fold)."""

    auroc: float
    chance: float


def small_pictures(images: Tensor) -> NDArray[np.float32]:
    """8 x 8 pictures and deciles of intensity of each channel: N x F, from images N x C x H x W."""
    deciles = torch.quantile(images.flatten(2), torch.linspace(0, 1, 11), dim=2).permute(1, 0, 2)
    small = F.adaptive_avg_pool2d(images, min(8, images.shape[-1]))
    return torch.cat([small.flatten(1), deciles.flatten(1)], 1).numpy()


def found_within(
    features: NDArray[np.float32], targets: NDArray[np.int64], groups: NDArray[np.object_], classes: int
) -> Found | None:
    """Cross-validated by group: every image is scored by a forest that saw none of its group.

    None when a class has fewer than two groups.
    """
    here = np.unique(targets)
    folds = min(_FOLDS, *(len(np.unique(groups[targets == k])) for k in here))
    if len(here) < classes or folds < 2:
        return None
    scores = np.zeros((len(targets), classes))
    for seen, unseen in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(features, targets, groups):
        scores[unseen] = _forest(features[seen], targets[seen], features[unseen], classes)
    return Found(separation(targets, scores), Scores(scores, targets).chance(_FOLDS))  # folds share images: wider


def found_on(
    train: tuple[NDArray[np.float32], NDArray[np.int64]],
    val: tuple[NDArray[np.float32], NDArray[np.int64]],
    classes: int,
) -> Found:
    """Fitted to training features and targets, judged on those of validation."""
    scores = _forest(*train, val[0], classes)
    return Found(separation(val[1], scores), Scores(scores, val[1]).chance())


def _forest(
    features: NDArray[np.float32], targets: NDArray[np.int64], unseen: NDArray[np.float32], classes: int
) -> NDArray[np.float64]:
    """Probabilities, N x classes."""
    forest = RandomForestClassifier(100, min_samples_leaf=2, class_weight="balanced", random_state=0, n_jobs=1)
    forest.fit(features, targets)
    scores = np.zeros((len(unseen), classes))
    scores[:, forest.classes_] = forest.predict_proba(unseen)
    return scores
