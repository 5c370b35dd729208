"""Evaluations beside each other as text, each number with its interval, and what changed between them."""

from collections.abc import Mapping, Sequence

import pandas as pd

from medcourse import arguments
from medcourse.errors import EvaluationError
from medcourse.evaluation.intervals import as_words

Comparisons = pd.DataFrame | Mapping[str, pd.DataFrame] | None


def side_by_side(
    evaluations: Mapping[str, pd.DataFrame],
    comparisons: Comparisons = None,
    metrics: Sequence[str] | None = None,
    digits: int = 2,
) -> pd.DataFrame:
    """A table to read: one row per metric, one column per evaluation, and the differences; ``mc.plot`` draws the same.

    Example:
        ::

            mc.side_by_side(
                {"plain": mc.evaluate(plain), "weighted": mc.evaluate(weighted)},
                mc.compare(plain, weighted),
                metrics=["sensitivity", "auroc"],
            )

    Args:
        evaluations: tables of ``mc.evaluate`` or ``mc.bootstrap``, by the name of their column.
        comparisons: a table of ``mc.compare``, for a column "difference"; or several, by the name of their column.
        metrics: the rows, in this order; None: all.
        digits: decimals.

    Returns:
        DataFrame of text, with the index of the tables: "0.29 [0.16, 0.44]", for a difference "+0.64 [+0.51, +0.76]";
        the number alone where there is no interval, or one that has no width at so many digits; "undefined" where there is no number.

    Raises:
        ArgumentError: ``digits`` is not a whole number.
        EvaluationError: no table, one without such a metric, or two of one name.
    """
    arguments.whole_number("digits", digits)
    columns = {
        name: as_words(table, digits)
        for panel in panels_of(evaluations, comparisons, metrics)
        for name, table in panel.items()
    }
    return pd.DataFrame(columns)


def panels_of(
    evaluations: Mapping[str, pd.DataFrame], comparisons: Comparisons, metrics: Sequence[str] | None
) -> list[dict[str, pd.DataFrame]]:
    """These rows of the evaluations, and of the comparisons if there are any (a single one is the "difference")."""
    compared = {"difference": comparisons} if isinstance(comparisons, pd.DataFrame) else comparisons or {}
    if not evaluations or evaluations.keys() & compared.keys():
        raise EvaluationError(f"give tables by different names, not {[*evaluations, *compared]}")
    return [
        {name: _rows(table, metrics, name) for name, table in tables.items()}
        for tables in (evaluations, compared)
        if tables
    ]


def _rows(table: pd.DataFrame, metrics: Sequence[str] | None, name: str) -> pd.DataFrame:
    """The rows of these metrics, of each class in turn."""
    if metrics is None:
        return table
    there = table.index.get_level_values(-1)
    if missing := [metric for metric in metrics if metric not in there]:
        raise EvaluationError(f"the table '{name}' has no {missing}; it has {list(there.unique())}")
    return table.loc[list(metrics)] if table.index.nlevels == 1 else table.reindex(list(metrics), level=-1)
