"""The cluster bootstrap: whole patients (or lesions) are drawn with replacement, with all their images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.errors import EvaluationError
from medcourse.evaluation.ranking import Floats

_CELLS = 1_000_000  # draws x images held at once


@dataclass(frozen=True)
class Clusters:
    """Which cluster each image belongs to.

    Attributes:
        codes: int64, N: 0..n-1.
        n: number of clusters.
    """

    codes: NDArray[np.int64]
    n: int

    @property
    def noun(self) -> str:
        """What is drawn: "images" when every image is its own cluster, else "groups"."""
        return "images" if self.n == len(self.codes) else "groups"

    def units(self, among: NDArray[np.bool_]) -> int:
        """Number of clusters among some of the images."""
        return len(np.unique(self.codes[among]))

    def describe(self, n_boot: int) -> str:
        """The method in words."""
        kind = "bootstrap" if self.noun == "images" else "cluster bootstrap"
        return f"{kind} ({self.n} {self.noun}, {n_boot} draws)"


def find_clusters(table: pd.DataFrame, cluster: str | None) -> Clusters:
    """Clusters by a column of the table; None: every image is its own.

    Raises:
        EvaluationError: no such column, or it is empty for some images.
    """
    if cluster is None:
        return Clusters(np.arange(len(table)), len(table))
    if cluster not in table.columns:
        raise EvaluationError(f"cluster='{cluster}': there is no such column; there are {list(table.columns)}")
    if (empty := table[cluster].isna()).any():
        raise EvaluationError(f"cluster='{cluster}' is empty for {int(empty.sum())} images")
    codes, names = pd.factorize(table[cluster])
    return Clusters(codes.astype(np.int64), len(names))


def draws(clusters: Clusters, n_boot: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each cluster is drawn, draws x clusters, in chunks that fit the memory."""
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS // len(clusters.codes))
    for first in range(0, n_boot, chunk):
        n = min(chunk, n_boot - first)
        drawn = rng.integers(0, clusters.n, (n, clusters.n)) + np.arange(n)[:, None] * clusters.n
        yield np.bincount(drawn.ravel(), minlength=n * clusters.n).reshape(n, clusters.n)


def percentile_limits(samples: Floats, ci: float) -> tuple[float, float]:
    """Percentile interval of the defined draws (Efron and Tibshirani 1993)."""
    defined = samples[~np.isnan(samples)]
    low, high = np.quantile(defined, [(1 - ci) / 2, (1 + ci) / 2])
    return float(low), float(high)


def every_draw_alike(samples: Floats) -> bool:
    """Whether the defined draws are all the same number, so that their spread says nothing."""
    defined = samples[~np.isnan(samples)]
    return bool(len(defined) and np.ptp(defined) < 1e-12)


def check_interval(ci: float, n_boot: int) -> None:
    """Refuse a coverage outside 0..1 or no draws at all (EvaluationError)."""
    if not 0 < ci < 1:
        raise EvaluationError(f"ci={ci} must lie between 0 and 1 (0.95 for a 95 % interval)")
    if n_boot < 1:
        raise EvaluationError(f"n_boot={n_boot} must be 1 or more")
