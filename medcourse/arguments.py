"""Checks of arguments: the same mistake gives the same error and the same words in every room."""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

from medcourse.errors import ArgumentError


def whole_number(name: str, value: Any, least: int = 0) -> int:
    """``value`` as an int (NumPy's integers count, booleans do not).

    Args:
        name: of the argument, for the message.
        value: what the caller gave.
        least: the smallest value allowed.

    Raises:
        ArgumentError: it is not a whole number, or below ``least``.
    """
    _require_answer(name, value)
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ArgumentError(f"{_shown(name, value)}; give a whole number of {least} or more")
    return int(value)


def number(name: str, value: Any, above: float | None = None, least: float | None = None) -> float:
    """``value`` as a float: one finite number; an array or tensor of no dimensions counts, text and booleans do not.

    Args:
        name: of the argument, for the message.
        value: what the caller gave.
        above: the value must be larger than this.
        least: the value must be at least this.

    Raises:
        ArgumentError: it is not one finite number, or too small.
    """
    _require_answer(name, value)
    found = _as_float(value)
    if not math.isfinite(found) or (above is not None and found <= above) or (least is not None and found < least):
        limit = (
            ""
            if above is None and least is None
            else f" above {above:g}"
            if above is not None
            else f" of {least:g} or more"
        )
        raise ArgumentError(f"{_shown(name, value)}; give one number{limit}")
    return found


def share(name: str, value: Any, zero: bool = False, one: bool = False) -> float:
    """``value`` as a float between 0 and 1.

    Args:
        name: of the argument, for the message.
        value: what the caller gave.
        zero: 0 itself is allowed.
        one: 1 itself is allowed.

    Raises:
        ArgumentError: it is not one number, or lies outside.
    """
    _require_answer(name, value)
    found = _as_float(value)
    if not (0 < found < 1 or (zero and found == 0) or (one and found == 1)):
        ends = {(False, False): "neither of them allowed", (True, False): "0 allowed", (False, True): "1 allowed"}
        between = ends.get((zero, one), "both allowed")
        raise ArgumentError(f"{_shown(name, value)}; give a share between 0 and 1 ({between}), 0.1 for 10 %")
    return found


def one_of(name: str, value: Any, options: Collection[str]) -> str:
    """``value``, which must be one of the words in ``options``.

    Raises:
        ArgumentError: it is none of them.
    """
    _require_answer(name, value)
    if not isinstance(value, str) or value not in options:
        raise ArgumentError(f"{_shown(name, value)}; it must be one of {', '.join(options)}")
    return value


def _as_float(value: Any) -> float:
    """NaN for what is not one real number."""
    try:  # NumPy, pandas and torch give a Python scalar by item(); float() of a one-element array is deprecated
        plain = value.item() if hasattr(value, "item") else value
    except (TypeError, ValueError, RuntimeError):
        return math.nan
    return float(plain) if isinstance(plain, Real) and not isinstance(plain, bool) else math.nan


def _require_answer(name: str, value: Any) -> None:
    """A student's stub sets a name to ``...``; its exercise says more than "does not fit"."""
    if value is ...:
        raise ArgumentError(f"{name} is still ...: answer the exercise that sets it, and run that cell first")


def _shown(name: str, value: Any) -> str:
    return f"{name}={value!r} does not fit"
