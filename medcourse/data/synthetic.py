"""Which rows of a table are synthetic (made by ``mc.resample``), and from which images.

The columns outlive a CSV file: there True may have become a word or a number, and a tuple of ids its text.
"""

import ast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.errors import CohortError


def is_synthetic(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows the column ``synthetic`` marks: bool, N; none without the column."""
    if "synthetic" not in table.columns:
        return np.zeros(len(table), dtype=bool)
    return table["synthetic"].astype(str).str.lower().isin(["true", "1", "1.0"]).to_numpy(dtype=bool)


def parents_of(table: pd.DataFrame) -> pd.Series:
    """The ids of the images that each row was made from, as text: a tuple per row, () for those not made.

    Raises:
        CohortError: a cell of ``parents`` that is neither ids, nor an id, nor empty.
    """
    cells = table["parents"] if "parents" in table.columns else [()] * len(table)
    return pd.Series([_ids(cell) for cell in cells], index=table.index, dtype=object)


def _ids(cell: object) -> tuple[str, ...]:
    if isinstance(cell, str) and cell.startswith(("(", "[")):
        try:
            cell = ast.literal_eval(cell)
        except (SyntaxError, ValueError) as error:
            raise CohortError(f"parents={cell!r} is no list of image ids: {error}") from error
    if isinstance(cell, (tuple, list, np.ndarray)):
        return tuple(str(name) for name in cell)
    return () if pd.isna(cell) or cell == "" else (str(cell),)  # type: ignore[call-overload]
