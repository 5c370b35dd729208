"""What counts as one independent case, and the bootstrap that draws cases: a patient brings all images along.

Images of one patient resemble each other, so that an interval which resamples images is too narrow. Resampling whole
groups keeps the resemblance (Field & Welsh 2007, JRSS B 69:369; Efron & Tibshirani 1993, An Introduction to the
Bootstrap, ch. 13 for the percentile interval).

``bootstrap`` takes any function of resampled rows. Where time matters, a function of row weights does the same for many
draws at once: ``Resampling.of(table).samples([(rows, function)])``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse import arguments
from medcourse.errors import EvaluationError
from medcourse.evaluation.intervals import Intervals

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
CHUNK = 250_000  # draws x images in one step: 2 MB per array, so that the arrays stay near the processor's cache


def bootstrap(
    table: pd.DataFrame | Sequence[pd.DataFrame],
    statistic: Callable[..., float | Mapping[str, float] | pd.Series],
    ci: float | None = 0.95,
    n_boot: int = 2000,
    group: str | None = "group",
    seed: int = 0,
) -> pd.DataFrame:
    """Any statistic of a table, with an interval that respects patients.

    Groups are drawn with replacement, each with all its rows, and the statistic is computed again (Field & Welsh 2007);
    the limits are percentiles of these values (Efron & Tibshirani 1993). With fewer than some 20 groups the interval is
    too narrow. ``mc.evaluate`` and ``mc.compare`` use the same draws.

    Example:
        Do two readers agree less often about women? Both stand in one table, so that the difference is paired::

            def agree(t):
                same = (t["reader_1"] == t["reader_2"]).groupby(t["sex"]).mean()
                return {"women": same["F"], "women minus men": same["F"] - same["M"]}

            mc.bootstrap(films, agree, group="patient")

    Args:
        table: one row per image, e.g. ``pred.table``. Or several tables with different patients, such as two hospitals:
            each is drawn by itself.
        statistic: function of the table (of all tables, in order) that gives a number, or a dict or Series of numbers by
            name; NaN where it is undefined. In a drawn table the column ``group`` holds numbers, so that two copies of a
            patient count as two patients.
        ci, n_boot, group, seed: as in ``mc.evaluate``.

    Returns:
        DataFrame, index ``statistic`` (the names, or "statistic" for a bare number); columns value, low, high, method,
        undefined_draws (left out because the statistic was NaN in them) as in ``mc.evaluate``.

    Raises:
        ArgumentError: ``ci``, ``n_boot`` or ``seed`` is outside its range.
        EvaluationError: a table without rows or without such a column, or a statistic that is not made of numbers.
    """
    tables = [table] if isinstance(table, pd.DataFrame) else list(table)
    if not tables or not all(isinstance(one, pd.DataFrame) and len(one) for one in tables):
        raise EvaluationError("give a DataFrame with one row per image, or several in a tuple; none may be empty")
    seed = arguments.whole_number("seed", seed)
    plans = [Resampling.of(one, group, ci, n_boot, seed + k) for k, one in enumerate(tables)]
    value = _numbers(statistic(*tables))
    drawn = zip(*(_drawn(one, plan, group) for one, plan in zip(tables, plans, strict=True)), strict=True)
    found = [_numbers(statistic(*one)) for one in drawn]
    samples = np.array([[one.get(name, np.nan) for name in value] for one in found]).reshape(-1, len(value))
    fewest = min(plans, key=lambda plan: plan.n)
    limits = [
        Limits(np.nan, np.nan, "undefined") if np.isnan(of_set) else one
        for of_set, one in zip(value.values(), fewest.limits(samples), strict=True)
    ]
    index = pd.Index([*value], name="statistic", tupleize_cols=False)
    result = fewest.table(index, {"value": np.array([*value.values()])}, limits, samples)
    result.attrs["method"] = "; ".join(plan.method for plan in plans)
    return result


class Limits(NamedTuple):
    """An interval and how it was made."""

    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Resampling:
    """Which images belong together, and how often they are drawn.

    Attributes:
        codes: int64, N: the cluster of each image, 0..n-1.
        n: number of clusters.
        ci: level of the intervals, or None.
        n_boot: number of draws; 0 without ``ci``.
        seed: of the draws.
    """

    codes: Counts
    n: int
    ci: float | None
    n_boot: int
    seed: int

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        group: str | None = "group",
        ci: float | None = 0.95,
        n_boot: int = 2000,
        seed: int = 0,
    ) -> "Resampling":
        """The clusters that a table column names; ``None``: every row its own.

        Raises:
            ArgumentError: ``ci`` is not in (0, 1), or too few draws to show both ends, or a seed below 0.
            EvaluationError: there is no such column, or it has gaps.
        """
        arguments.whole_number("seed", seed)
        least = 0 if ci is None else int(np.ceil(round(2 / (1 - arguments.share("ci", ci)), 6)))
        n_boot = 0 if ci is None else arguments.whole_number("n_boot", n_boot, least)
        if group is None:
            return cls(np.arange(len(table)), len(table), ci, n_boot, seed)
        if not isinstance(group, str) or group not in table.columns:
            raise EvaluationError(
                f"group={group!r} is none of the columns {list(table.columns)}; None: every image alone"
            )
        codes, names = pd.factorize(table[group])
        if (codes < 0).any():
            empty = table.index[codes < 0]
            raise EvaluationError(f"group={group!r}: {len(empty)} images have none, e.g. {empty[:3].tolist()}")
        return cls(codes.astype(np.int64), len(names), ci, n_boot, seed)

    @property
    def noun(self) -> str:
        """What is resampled, in words."""
        return "images" if self.n == len(self.codes) else "groups"

    @property
    def method(self) -> str:
        """How the intervals are made, in words."""
        if self.ci is None:
            return f"no intervals; {self.n} {self.noun}"
        return f"{100 * self.ci:g} % percentile limits of a bootstrap: {self.n} {self.noun}, {self.n_boot} draws"

    def units(self, among: NDArray[np.bool_]) -> int:
        """Number of clusters that have an image in ``among`` (bool, N): the independent units of a proportion."""
        return len(np.unique(self.codes[among]))

    def draws(self) -> Iterator[Counts]:
        """How often each cluster was drawn: int64, (draws of this step) x n, ``n_boot`` rows in all.

        Steps are small enough for the memory: 8 * ``CHUNK`` bytes per array, or one draw.
        """
        rng = np.random.default_rng(self.seed)
        rows = max(1, CHUNK // max(self.n, len(self.codes)))
        for start in range(0, max(1, self.n_boot), rows):
            step = min(rows, self.n_boot - start)
            drawn = rng.integers(0, self.n, (step, self.n))
            drawn += np.arange(step)[:, None] * self.n
            yield np.bincount(drawn.ravel(), minlength=step * self.n).reshape(step, self.n)

    def samples(
        self, statistics: Sequence[tuple[Counts, Callable[[Counts], Floats]]], drawn: Iterable[Counts] | None = None
    ) -> Floats:
        """Statistics of row weights in the same draws, many draws at once.

        Args:
            statistics: pairs of rows (int64, n: positions in the table) and a function of how often each of them was
                drawn (int64, draws x n) that gives M numbers per draw (float64, draws x M). A ``Ranking`` is such a
                pair: ``(ranking.order, ranking.metrics)``.
            drawn: how often each cluster was drawn, as from ``draws``; None: those.

        Returns:
            float64, draws x statistics x M.
        """
        codes = [self.codes[rows] for rows, _ in statistics]
        steps = []
        for step in self.draws() if drawn is None else drawn:
            found = [f(np.take(step, code, axis=1)) for (_, f), code in zip(statistics, codes, strict=True)]
            steps.append(np.stack(found, axis=1))
        return np.concatenate(steps)

    def limits(self, samples: Floats) -> list[Limits]:
        """Percentile interval of each column of ``samples`` (float64, draws x M; undefined ones, NaN, left out)."""
        if self.ci is None or self.n == 1:
            why = "ci=None" if self.ci is None else "there is one group only"
            return [Limits(np.nan, np.nan, f"no interval: {why}")] * samples.shape[1]
        found = []
        for column in samples.T:
            defined = column[~np.isnan(column)]
            if len(defined):
                low, high = np.quantile(defined, [(1 - self.ci) / 2, (1 + self.ci) / 2])
                alike = ": no width, every draw alike" if np.ptp(defined) < 1e-12 else ""
                found.append(Limits(float(low), float(high), f"bootstrap of {self.noun}{alike}"))
            else:
                found.append(Limits(np.nan, np.nan, "no interval: undefined in every draw"))
        return found

    def table(
        self, index: pd.Index, columns: Mapping[str, Floats], limits: Sequence[Limits], samples: Floats
    ) -> Intervals:
        """The columns given (M values each), then low, high, method and undefined_draws."""
        table = Intervals(columns, index=index)
        table[list(Limits._fields)] = pd.DataFrame(limits, index=index)
        table["undefined_draws"] = np.isnan(samples).sum(axis=0)
        table.attrs |= {"method": self.method, "ci": self.ci}
        return table


def _drawn(table: pd.DataFrame, plan: Resampling, group: str | None) -> Iterator[pd.DataFrame]:
    """The table of every draw; in it each copy of a group has a number of its own."""
    rows, sizes = np.argsort(plan.codes, kind="stable"), np.bincount(plan.codes)
    starts = np.cumsum(sizes) - sizes
    for counts in (draw for step in plan.draws() for draw in step):
        chosen = np.repeat(np.arange(plan.n), counts)
        copy = np.repeat(np.arange(plan.n), sizes[chosen])  # the number of the drawn group, for each row of it
        before = np.cumsum(sizes[chosen]) - sizes[chosen]
        drawn = table.take(rows[(starts[chosen] - before)[copy] + np.arange(len(copy))])
        yield drawn if group is None else drawn.assign(**{group: copy})


def _numbers(found: Any) -> dict[Any, float]:
    """What a statistic gave, by name."""
    given = found if isinstance(found, Mapping | pd.Series) else {"statistic": found}
    try:
        return {name: float(number) for name, number in given.items()}
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            f"the statistic gave {type(found).__name__} {found!r}; it must give a number, or numbers by name"
        ) from error
