"""Numbers with their intervals as text, and the table of them that reads at a glance."""

import numpy as np
import pandas as pd

from medcourse.markup import Part, as_html, as_text

LIMITS = ("low", "high", "method", "undefined_draws")
_DIGITS = 2
_EXACT = "Clopper-Pearson|exact"
_MOST = 11  # rows that a note names: the metrics of one evaluation


class Intervals(pd.DataFrame):
    """What ``mc.evaluate``, ``mc.compare`` and ``mc.bootstrap`` give: a DataFrame that is shown as "0.29 [0.16, 0.44]".

    How the intervals were made stands once below. What is cut, rounded or computed from it is an ordinary DataFrame, and it is
    shown as one as soon as it has other columns.
    """

    def __repr__(self) -> str:
        return as_text(self._view()) if self._as_made() else super().__repr__()

    def _repr_html_(self) -> str:
        return as_html(self._view(pivoted=True)) if self._as_made() else self.to_html()

    def _as_made(self) -> bool:
        given = {"before", "after", "difference"} if "difference" in self else {"value"}
        return set(self.columns) == given.union(LIMITS)

    def _view(self, pivoted: bool = False) -> list[Part]:
        """Title, table, notes; with ``pivoted`` a column for each class."""
        what, ci = number_of(self), self.attrs.get("ci")
        column = what if ci is None else f"{what} [{100 * ci:g} % interval]"
        texts = self._marked()
        if self.index.nlevels == 2 and pivoted:
            table = pd.DataFrame({name: texts.loc[name] for name in self.index.unique(0)})
            title = f"{column} of each class"
        elif what == "difference":
            sides = {name: self[name].map(_number) for name in ("before", "after")}
            table, title = pd.DataFrame({**sides, column: texts}), "After minus before, on the same images"
        else:
            table, title = texts.to_frame(column), f"{what.capitalize()} of each {self.index.names[-1] or 'row'}"
        return [title, table, *self._notes()]

    def _marked(self) -> pd.Series:
        """The numbers as text, * behind an exact interval, and the reason where there is no number."""
        methods = self["method"]
        why = methods.where(methods.str.startswith("undefined"), "undefined")
        texts = as_words(self, _DIGITS) + np.where(methods.str.contains(_EXACT), " *", "")
        return texts.where(texts != "undefined", why)

    def _notes(self) -> list[str]:
        """How the intervals were made, and what is special about some."""
        methods, undefined = self["method"], self["undefined_draws"]
        how = self.attrs["method"]
        notes = [f"{how[0].upper()}{how[1:]}."]
        if (exact := methods[methods.str.contains(_EXACT)]).size:
            notes.append(f"* exact interval: {_grouped(exact)}.")
        if (flat := methods[self["low"].notna() & ~as_words(self, _DIGITS).str.contains("[", regex=False)]).size:
            notes.append(f"Without an interval, as (nearly) all draws gave the same number: {_listed(flat)}.")
        if (some := undefined[(undefined > 0) & self[number_of(self)].notna()]).size:
            notes.append(f"Draws left out, because the metric was undefined in them: {_grouped(some)}.")
        return notes


def number_of(table: pd.DataFrame) -> str:
    """The column with the number that the interval belongs to."""
    return "difference" if "difference" in table else "value"


def as_words(table: pd.DataFrame, digits: int) -> pd.Series:
    """Each row as "0.29 [0.16, 0.44]", a difference with its sign; the number alone without interval, or where the interval has
    no width at so many digits; "undefined" without number."""
    sign = "+" if number_of(table) == "difference" else ""
    texts = []
    for numbers in table[[number_of(table), "low", "high"]].to_numpy(dtype=np.float64):
        value, low, high = (_number(number, digits, sign) for number in numbers)
        shown = not np.isnan(numbers).any() and low != high  # an interval without width says nothing
        texts.append(f"{value} [{low}, {high}]" if shown else value)
    return pd.Series(texts, index=table.index, dtype=object)


def _number(value: float, digits: int = _DIGITS, sign: str = "") -> str:
    return "undefined" if np.isnan(value) else f"{value:{sign}z.{digits}f}"


def _grouped(values: pd.Series) -> str:
    """Each value with the rows that have it."""
    if len(values) > _MOST:
        return f"in {len(values)} rows, see the column {values.name}"
    return "; ".join(f"{_listed(rows)}: {value}" for value, rows in values.groupby(values, sort=False))


def _listed(rows: pd.Series) -> str:
    names = [" ".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in rows.index]
    return ", ".join(names) if len(names) <= _MOST else f"{len(names)} rows"
