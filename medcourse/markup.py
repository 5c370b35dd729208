"""What an object says of itself, in a notebook and in a terminal: a title, lines, tables and code, the same for every room."""

import html
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import pandas as pd


class Code(str):
    """Lines of code, shown as they are."""

    __slots__ = ()


Part = str | Code | pd.DataFrame


def as_html(parts: Sequence[Part]) -> str:
    """The parts for ``_repr_html_``; whatever comes from data is escaped.

    Args:
        parts: text is a line (the first one the title), ``Code`` keeps its line breaks, a DataFrame is a table.
    """
    title, *rest = map(_html, parts)
    return "".join([f"<b>{title}</b>", *rest])


def as_text(parts: Sequence[Part]) -> str:
    """The same parts for ``__repr__``."""
    return "\n".join(map(_text, parts))


def count(n: int, one: str, several: str | None = None) -> str:
    """A number with its noun: "1 image", "3,654 images"."""
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def percent(share: float) -> str:
    """0.376 as "37.6 %", and a dash where there is no number."""
    return "-" if share != share else f"{100 * share:.1f} %"


def _html(part: Part) -> str:
    if isinstance(part, pd.DataFrame):
        return _words(part).to_html(border=0)
    return f"<pre>{html.escape(part)}</pre>" if isinstance(part, Code) else f"<div>{html.escape(part)}</div>"


def _text(part: Part) -> str:
    if isinstance(part, pd.DataFrame):
        return _words(part).to_string()
    return "\n".join(f"    {line}" for line in part.splitlines()) if isinstance(part, Code) else part


def _words(table: pd.DataFrame) -> pd.DataFrame:
    """The cells as text: thousands with a comma, four digits of other numbers, a dash where there is none.

    The name of the rows stands in the corner, which saves a line.
    """
    words = table.astype(object).map(_word)
    if table.index.nlevels == 1:
        words.columns.name, words.index.name = table.index.name, None
    return words


def _word(value: Any) -> str:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Real) and not isinstance(value, bool):
        return "-" if value != value else f"{float(value):.4g}"
    return "-" if value is None else str(value)
