"""Differences over repeated random splits of the same images: their training sets overlap, so they are not independent."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from medcourse import arguments
from medcourse.errors import EvaluationError


class CorrectedInterval(NamedTuple):
    """Mean of the differences and the limits of its interval; limits are NaN where there is none."""

    mean: float
    low: float
    high: float


def corrected_interval(differences: ArrayLike, n_train: float, n_test: float, ci: float = 0.95) -> CorrectedInterval:
    """The interval of a mean difference over repeated random splits, corrected for training sets that overlap.

    Two random splits share most of their training images. Student's t takes the J differences for independent, and its
    interval is too narrow. Nadeau and Bengio (Mach Learn 2003;52:239-281, the "corrected resampled t-test") put
    ``1 / J + n_test / n_train`` in the place of ``1 / J``::

        mean +/- t(J - 1) * sqrt((1 / J + n_test / n_train) * s**2),    s**2 with J - 1 in the denominator

    So more repeats do not make the interval as narrow as one likes. The correction is a rule of thumb: it takes the
    correlation between two splits for ``n_test / (n_test + n_train)``.

    Args:
        differences: one per split, e.g. AUROC of one model minus AUROC of another on the same test images.
        n_train, n_test: size of the training and of the test set, in images or in groups; only their ratio counts.
        ci: level of the interval.

    Returns:
        ``(mean, low, high)``. The limits are NaN for a single split, and where all differences are equal: that does not
        say how far others would lie.

    Raises:
        ArgumentError: a size that is not above 0, or ``ci`` outside (0, 1).
        EvaluationError: no difference, or one that is not a finite number.
    """
    ratio = arguments.number("n_test", n_test, above=0) / arguments.number("n_train", n_train, above=0)
    tail = (1 + arguments.share("ci", ci)) / 2
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise EvaluationError(
            f"differences must be a list of finite numbers, one for each split; it is {differences!r}"
        )
    mean = float(values.mean())
    if len(values) == 1 or np.ptp(values) < 1e-12:
        return CorrectedInterval(mean, float("nan"), float("nan"))
    variance = (1 / len(values) + ratio) * values.var(ddof=1)
    half = float(stats.t.ppf(tail, len(values) - 1) * np.sqrt(variance))
    return CorrectedInterval(mean, mean - half, mean + half)
