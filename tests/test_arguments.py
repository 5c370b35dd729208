"""One error for a wrong argument, wherever it is given."""

import numpy as np
import pytest
import torch

from medcourse import arguments
from medcourse.errors import ArgumentError, MedcourseError


@pytest.mark.parametrize("value", [0, 3, np.int64(3), np.uint8(0)])
def test_whole_numbers_pass_as_int(value):
    found = arguments.whole_number("seed", value)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [-1, 1.0, "1", True, None, ..., np.float64(2)])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ArgumentError, match="seed"):
        arguments.whole_number("seed", value)


def test_the_smallest_value_is_told():
    with pytest.raises(ArgumentError, match=r"epochs=0 .* 1 or more"):
        arguments.whole_number("epochs", 0, least=1)


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), np.array(2.0), torch.tensor(0.25), np.array([0.5])])
def test_numbers_pass_as_float(value):
    found = arguments.number("lr", value)
    assert type(found) is float
    assert found == float(np.asarray(value).item())


@pytest.mark.parametrize("value", ["0.5", True, None, float("nan"), float("inf"), [0.5], np.array([1.0, 2.0]), 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ArgumentError, match="lr"):
        arguments.number("lr", value)


def test_limits_of_a_number():
    assert arguments.number("gamma", 0, least=0) == 0
    with pytest.raises(ArgumentError, match="above 0"):
        arguments.number("lr", 0, above=0)
    with pytest.raises(ArgumentError, match="0 or more"):
        arguments.number("gamma", -0.1, least=0)


@pytest.mark.parametrize(
    ("value", "zero", "one"), [(0.5, False, False), (0, True, False), (1, False, True), (1.0, True, True)]
)
def test_shares_pass_as_float(value, zero, one):
    assert arguments.share("test", value, zero, one) == value


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.1, 10, "0.1", None, float("nan")])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(ArgumentError, match="prevalence"):
        arguments.share("prevalence", value)


def test_words():
    assert arguments.one_of("rule", "cost", {"youden": 1, "cost": 2}) == "cost"
    for wrong in ("Cost", None, 3):
        with pytest.raises(ArgumentError, match=r"rule.*youden, cost"):
            arguments.one_of("rule", wrong, ["youden", "cost"])


def test_a_student_who_left_the_stub_is_told_so():
    for judge in (
        arguments.whole_number,
        arguments.share,
        lambda name, value: arguments.one_of(name, value, ["youden"]),
    ):
        with pytest.raises(ArgumentError, match=r"threshold is still \.\.\.: answer the exercise"):
            judge("threshold", ...)
    with pytest.raises(ArgumentError, match=r"threshold is still \.\.\.: answer the exercise that sets it"):
        arguments.number("threshold", ...)


def test_the_error_is_a_value_error_and_ours():
    assert issubclass(ArgumentError, ValueError)
    assert issubclass(ArgumentError, MedcourseError)
