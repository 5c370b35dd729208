"""The interval over repeated splits, against a computation by hand."""

import math

import numpy as np
import pytest
from scipy import stats

import medcourse as mc
from medcourse.errors import ArgumentError, EvaluationError


def test_by_hand():
    """Three differences, a test set a quarter as large as the training set."""
    mean, low, high = mc.corrected_interval([0.01, 0.03, 0.05], n_train=1600, n_test=400)
    assert mean == pytest.approx(0.03)
    half = 4.302653 * math.sqrt((1 / 3 + 1 / 4) * 0.0004)  # t(2) at 0.975; the variance of 0.01, 0.03, 0.05
    assert (low, high) == pytest.approx((0.03 - half, 0.03 + half), abs=1e-7)


def test_only_the_ratio_of_the_sizes_counts():
    assert mc.corrected_interval([0.1, 0.2], 8, 2) == mc.corrected_interval([0.1, 0.2], 1600, 400)


def test_a_tiny_test_set_gives_students_t_and_more_splits_do_not_narrow_it_at_will():
    values = np.random.default_rng(0).normal(0.02, 0.01, 200)
    plain = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert mc.corrected_interval(values, 1e12, 1, ci=0.9)[1:] == pytest.approx(tuple(plain))
    _, low, high = mc.corrected_interval(values, 4, 1)
    assert (high - low) / 2 > 1.95 * values.std(ddof=1) * math.sqrt(1 / 4)


@pytest.mark.parametrize("differences", [[0.1], [0.1, 0.1, 0.1]])
def test_without_variation_there_are_no_limits(differences):
    mean, low, high = mc.corrected_interval(differences, 4, 1)
    assert mean == pytest.approx(0.1)
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize("differences", [[], [0.1, float("nan")], 0.1, [[0.1], [0.2]]])
def test_differences_that_are_none(differences):
    with pytest.raises(EvaluationError, match="one for each split"):
        mc.corrected_interval(differences, 4, 1)


@pytest.mark.parametrize("given", [{"n_train": 0}, {"n_test": -1}, {"ci": 95}])
def test_numbers_outside_their_range(given):
    with pytest.raises(ArgumentError, match=next(iter(given))):
        mc.corrected_interval([0.1, 0.2], **{"n_train": 4, "n_test": 1} | given)
