"""Results of a study: one tidy CSV that grows run by run, so that a killed study goes on where it was.

Columns: study, arm, seed, split, metric, value, size (pixels), epochs, device, torch (version), seconds (of the run).
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pandas as pd
import torch

from medcourse.errors import EvaluationError

COLUMNS = ["study", "arm", "seed", "split", "metric", "value", "size", "epochs", "device", "torch", "seconds"]
_KEY = ["study", "arm", "seed", "size", "epochs", "device"]


def reproduce(
    study: str,
    plan: ModuleType,
    out: Path,
    size: int,
    seeds: int,
    epochs: int | None,
    arms: Sequence[str] | None,
    device: str,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Run what is missing of a study, and sum up the runs with these size, epochs and device.

    Args:
        study, plan: its name, and its module (``find_study``).
        out: folder of the CSV.
        size: height and width in pixels.
        seeds: number of seeds, from 0.
        epochs: passes over the training set; the study's own when None.
        arms: some of the study's; all when None or empty.
        device: as for ``mc.Trainer``; "auto" is stored as the device that it takes.
        say: is told of every run.

    Returns:
        The study's own summary.

    Raises:
        EvaluationError: an arm that the study does not have, or a file of other results.
    """
    if unknown := [arm for arm in arms or [] if arm not in plan.ARMS]:
        raise EvaluationError(f"{study} has no arm {unknown}; it has {', '.join(plan.ARMS)}")
    results = Results(out / f"{study}.csv")
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    same = {"study": study, "size": size, "epochs": epochs or plan.EPOCHS, "device": where}
    for seed in range(seeds):
        for arm in arms or plan.ARMS:
            this = same | {"arm": arm, "seed": seed}
            if results.has(this):
                continue
            began = time.perf_counter()
            values = plan.run(arm, seed, size, same["epochs"], where)
            seconds = round(time.perf_counter() - began, 1)
            results.add(this | {"torch": torch.__version__, "seconds": seconds}, values, "test")
            say(f"{arm}, seed {seed}: " + ", ".join(f"{k} {v:.3f}" for k, v in values.items()) + f" ({seconds} s)")
    alike = (results.table[list(same)] == pd.Series(same)).all(axis=1)
    return plan.summary(results.table[alike])


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
