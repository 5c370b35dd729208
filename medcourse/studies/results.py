"""Results of a study: one tidy CSV that grows run by run, so that a killed study goes on where it was.

Columns: study, arm, seed, split, metric, value, size (pixels), epochs, device, torch (version), seconds (of the run).
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from medcourse.errors import EvaluationError

COLUMNS = ["study", "arm", "seed", "split", "metric", "value", "size", "epochs", "device", "torch", "seconds"]
_KEY = ["study", "arm", "seed", "size", "epochs", "device"]


class Results:
    """The CSV file of a study.

    Args:
        path: made with its folder at the first run.

    Raises:
        EvaluationError: a file with other columns.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.table = pd.read_csv(self.path) if self.path.exists() else pd.DataFrame(columns=COLUMNS)
        if list(self.table.columns) != COLUMNS:
            raise EvaluationError(
                f"{self.path} has the columns {list(self.table.columns)}, expected {COLUMNS}; move it away"
            )

    def has(self, run: Mapping[str, object]) -> bool:
        """Whether the run with these study, arm, seed, size, epochs and device is there."""
        return bool((self.table[_KEY] == pd.Series({k: run[k] for k in _KEY})).all(axis=1).any())

    def add(self, run: Mapping[str, object], values: Mapping[str, float], split: str) -> None:
        """Add one run's metrics; the file is replaced whole, so that a kill leaves the old one or the new one."""
        rows = [{**run, "split": split, "metric": metric, "value": value} for metric, value in values.items()]
        added = pd.DataFrame(rows, columns=COLUMNS)
        self.table = added if self.table.empty else pd.concat([self.table, added], ignore_index=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        self.table.to_csv(draft, index=False, lineterminator="\n")
        draft.replace(self.path)
