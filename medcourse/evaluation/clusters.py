"""What counts as one independent case, and the bootstrap that draws cases: a patient brings all images along.

Images of one patient resemble each other, so that an interval which resamples images is too narrow. Resampling whole
clusters keeps the resemblance (Field & Welsh 2007, JRSS B 69:369; Efron & Tibshirani 1993, An Introduction to the
Bootstrap, ch. 13 for the percentile interval).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.errors import EvaluationError

CHUNK = 250_000  # draws x images in one step: 2 MB per array, so that the arrays stay near the processor's cache


@dataclass(frozen=True)
class Clusters:
    """Which images belong together.

    Attributes:
        codes: int64, N: the cluster of each image, 0..n-1.
        n: number of clusters.
    """

    codes: NDArray[np.int64]
    n: int

    @property
    def single(self) -> bool:
        """Is every image its own cluster?"""
        return self.n == len(self.codes)

    @property
    def noun(self) -> str:
        """What is resampled, in words."""
        return "images" if self.single else "groups"

    def units(self, among: NDArray[np.bool_]) -> int:
        """Number of clusters that have an image in ``among`` (bool, N): the independent units of a proportion."""
        return len(np.unique(self.codes[among]))

    def describe(self, n_boot: int) -> str:
        """The method in words."""
        return f"{'bootstrap' if self.single else 'cluster bootstrap'} ({self.n} {self.noun}, {n_boot} draws)"


def find_clusters(table: pd.DataFrame, cluster: str | None) -> Clusters:
    """The clusters that a table column names; ``None``: every row its own.

    Raises:
        EvaluationError: there is no such column, or it has gaps.
    """
    if cluster is None:
        return Clusters(np.arange(len(table)), len(table))
    if cluster not in table.columns:
        raise EvaluationError(
            f"cluster='{cluster}': there is no such column; there are {list(table.columns)}. cluster=None resamples "
            "single images"
        )
    codes, names = pd.factorize(table[cluster])
    if (codes < 0).any():
        empty = table.index[codes < 0]
        raise EvaluationError(f"cluster='{cluster}': {len(empty)} images have none, e.g. {empty[:3].tolist()}")
    return Clusters(codes.astype(np.int64), len(names))


def check_interval(ci: float, n_boot: int, seed: int) -> None:
    """EvaluationError unless 0 < ci < 1, ``n_boot`` draws can show both ends, and seed is a whole number of 0 or more."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise EvaluationError(f"seed={seed!r} must be a whole number of 0 or more")
    if not isinstance(ci, Real) or not 0 < ci < 1:
        raise EvaluationError(f"ci={ci!r} must lie between 0 and 1, e.g. 0.95")
    least = int(np.ceil(round(2 / (1 - ci), 6)))
    if not isinstance(n_boot, Integral) or n_boot < least:
        raise EvaluationError(f"n_boot={n_boot!r}: a {ci:.0%} interval needs a whole number of draws, {least} or more")


def draws(clusters: Clusters, n_boot: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each cluster was drawn: int64, (draws of this step) x n, ``n_boot`` rows in all.

    Steps are small enough for the memory: 8 * ``CHUNK`` bytes per array, or one draw.
    """
    rng = np.random.default_rng(seed)
    n = clusters.n
    rows = max(1, CHUNK // max(n, len(clusters.codes)))
    for start in range(0, n_boot, rows):
        step = min(rows, n_boot - start)
        drawn = rng.integers(0, n, (step, n))
        drawn += np.arange(step)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=step * n).reshape(step, n)


def percentile_limits(samples: NDArray[np.float64], ci: float) -> tuple[float, float]:
    """The percentile interval of one metric over its draws (float64; undefined ones, NaN, left out)."""
    defined = samples[~np.isnan(samples)]
    if defined.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - ci) / 2, (1 + ci) / 2])
    return float(low), float(high)


def every_draw_alike(samples: NDArray[np.float64]) -> bool:
    """Did all defined draws give the same value (up to rounding)? Then the bootstrap shows no uncertainty at all."""
    defined = samples[~np.isnan(samples)]
    return defined.size > 0 and float(np.ptp(defined)) < 1e-12
