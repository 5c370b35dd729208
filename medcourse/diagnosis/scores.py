"""Scores of a model on some images, and statistics of the images that might do as well."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from medcourse.data.inspection import border_sum, corner_means
from medcourse.evaluation.ranking import auroc

EDGES = ("mean", "border", "top left corner", "top right corner", "bottom left corner", "bottom right corner")


@dataclass(frozen=True)
class Scores:
    """Logits (float64, N x K) and targets (int64, N) of some images.

    Attributes:
        auroc: of the positive class; several classes: mean, one against the rest; 0.5 where a class is missing.
    """

    logits: NDArray[np.float64]
    targets: NDArray[np.int64]

    @property
    def called(self) -> NDArray[np.int64]:
        return self.logits.argmax(1)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        return torch.from_numpy(self.logits).softmax(1).numpy()

    @property
    def auroc(self) -> float:
        return separation(self.targets, self.probabilities)

    def recall(self, k: int) -> float:
        """Share of the images of class ``k`` that are called so; 1 when there is none."""
        called = self.called[self.targets == k]
        return float((called == k).mean()) if len(called) else 1.0

    @property
    def balanced_accuracy(self) -> float:
        return float(np.mean([self.recall(k) for k in np.unique(self.targets)]))

    def chance(self, tries: int = 1) -> float:
        """What the best of so many scores without any knowledge stays below in 97.5 of 100 sets.

        Mann-Whitney, normal approximation, Bonferroni; 1 where a class is missing.
        """
        n = np.bincount(self.targets, minlength=self.logits.shape[1])
        pairs = n * (len(self.targets) - n)
        if not pairs.min():
            return 1.0
        return float(0.5 + norm.isf(0.025 / tries) * np.sqrt((len(self.targets) + 1) / (12 * pairs.min())))


def separation(targets: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """AUROC of scores N x K, as ``Scores.auroc``."""
    counts = np.bincount(targets, minlength=scores.shape[1])
    if counts.min() == 0:
        return 0.5
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    return float(np.mean([auroc(targets == k, scores[:, k]) for k in classes]))


def edge_statistics(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """``EDGES`` of each image (uint8, N x C x H x W; channels are averaged): the means of the whole, of the outer eighth
    on every side, and of a square of an eighth in each corner; float64, N x 6."""
    grey = pixels.mean(axis=1, dtype=np.float64)
    edge = _edge(grey.shape[-1])
    border, n = border_sum(grey, edge, edge)
    return np.column_stack([grey.mean((1, 2)), border / n, corner_means(grey, edge)])


def without_edge(images: Tensor) -> Tensor:
    """The images with the outer eighth painted in their common mean."""
    edge = _edge(images.shape[-1])
    blank = images.mean((0, 2, 3), keepdim=True).expand_as(images).clone()
    blank[..., edge:-edge, edge:-edge] = images[..., edge:-edge, edge:-edge]
    return blank


def _edge(size: int) -> int:
    return max(1, size // 8)
