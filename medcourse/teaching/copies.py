"""Cheap answers: values that a student could copy instead of working out, for `probes.try_copies` to try on a check.

They are what already has a name in the kernel, the columns of its tables, and the numbers printed above. A number counts
as a copy when it is the right one (or, printed, its rounding to three digits or more): a lesson prints so many numbers of
one or two digits that some are right by chance.
"""

import inspect
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import Any

DIGITS = 3  # significant digits from which a printed number counts as a copy; a named whole number has two

_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?(?![\w])")
_COLLECTIONS = (list, tuple, set, frozenset, dict)

Copy = tuple[str, Any]  # how a student would write it, and the value


def copies_of(right: Any, names: Mapping[str, Any], printed: Iterable[str]) -> Iterator[Copy]:
    """Yield the cheap values of the kind of a right answer.

    Args:
        right: the right answer.
        names: what the kernel knew before the exercise was answered.
        printed: the numbers printed above, as text (see `numbers_in`).
    """
    number = _as_number(right)
    if number is not None:
        yield from _copied_numbers(number, names, printed)
    elif isinstance(right, str):
        yield from ((name, value) for name, value in names.items() if isinstance(value, str) and value == right)
    elif not isinstance(right, bool) and not callable(right) and not inspect.ismodule(right):
        yield from ((text, value) for text, value in _named_collections(names) if _fits(right, value))


def numbers_in(text: str) -> list[str]:
    """The numbers of a text that have three digits or more, leading zeros not counted: ``"5,216"``, ``"0.846"``, ``"37.5%"``."""
    found = _NUMBER.findall(re.sub(r"<[^>]*>", " ", text))
    return [number for number in found if len(re.sub(r"\D", "", number).lstrip("0")) >= DIGITS]


def _copied_numbers(right: float, names: Mapping[str, Any], printed: Iterable[str]) -> Iterator[Copy]:
    for name, value in names.items():
        number = _as_number(value)
        if number is not None and math.isclose(number, right, rel_tol=1e-6) and not _is_small_count(number):
            yield name, value
    for text in printed:
        value, last = _read(text)
        if abs(value - right) <= last / 2 * (1 + 1e-9):
            yield f"{value:g} (printed above as {text})", value


def _is_small_count(number: float) -> bool:
    """One digit is guessed, not copied."""
    return number == int(number) and abs(number) < 10


def _read(text: str) -> tuple[float, float]:
    """The value of a printed number, and that of one unit of its last digit."""
    plain = text.replace(",", "").rstrip("%")
    last = 10.0 ** -len(plain.partition(".")[2])
    scale = 100 if text.endswith("%") else 1
    return float(plain) / scale, last / scale


def _as_number(value: Any) -> float | None:
    try:
        plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    except (TypeError, ValueError, RuntimeError):
        return None
    real = isinstance(plain, Real) and not isinstance(plain, bool)
    return float(plain) if real and math.isfinite(plain) else None


def _named_collections(names: Mapping[str, Any]) -> Iterator[Copy]:
    pandas = sys.modules.get("pandas")
    for name, value in names.items():
        if isinstance(value, type):
            continue
        yield name, value
        for text, table in ((name, value), (f"{name}.table", getattr(value, "table", None))):
            if pandas and isinstance(table, pandas.DataFrame):
                yield from ((f"{text}[{column!r}]", table[column]) for column in table.columns)


def _fits(right: Any, value: Any) -> bool:
    """Of the same type and, if both have a length, of the same; a set or list of members may come as any collection."""
    if isinstance(right, _COLLECTIONS):
        return isinstance(value, _COLLECTIONS) or (hasattr(value, "__len__") and getattr(value, "ndim", 0) == 1)
    if type(value) is not type(right):
        return False
    return not hasattr(right, "__len__") or len(value) == len(right)
