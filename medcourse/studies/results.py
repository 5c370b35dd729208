"""Results of a study: one tidy CSV that grows run by run, so that a killed study goes on where it was.

Columns: study, arm, seed, split, metric, value, size (pixels), epochs, device, torch (version), seconds (of the training,
which arms may share). Scores of single images lie beside it, in ``<study>-scores.csv.gz``: intervals need them.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import torch
from filelock import FileLock
from matplotlib.figure import Figure

from medcourse.errors import EvaluationError
from medcourse.evaluation.predictions import Predictions
from medcourse.networks.seeds import SHIFT, seed_shift

COLUMNS = ["study", "arm", "seed", "split", "metric", "value", "size", "epochs", "device", "torch", "seconds"]
_KEY = ["arm", "seed", "size", "epochs", "device"]
SCORES = [*_KEY, "split", "image_id", "group", "target", "score"]


@dataclass(frozen=True)
class Outcome:
    """What one arm left behind.

    Attributes:
        values: metric -> value for each split ("val", "test").
        scores: binary predictions by split that are kept image by image.
        figures: to be saved as ``<study>-<size>px-<epochs>epochs-<device>-<name>.png``.
    """

    values: Mapping[str, Mapping[str, float]]
    scores: Mapping[str, Predictions] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)


def reproduce(
    plan: ModuleType,
    out: Path,
    size: int,
    seeds: int,
    epochs: int | None,
    arms: Sequence[str] | None,
    device: str,
    say: Callable[[str], None],
) -> str:
    """Run what is missing of a study, draw its figures, and report on the runs with these size, epochs and device.

    Two processes may run different arms into the same folder.

    Args:
        plan: the study's module (``find_study``).
        out: folder of the results.
        size: height and width in pixels.
        seeds: number of seeds, from 0.
        epochs: passes over the training set; the study's own when None.
        arms: some of the study's; all when None or empty.
        device: as for ``mc.Trainer``; "auto" is stored as the device that it takes.
        say: is told of every run.

    Returns:
        The study's own report.

    Raises:
        EvaluationError: an arm that the study does not have, a number below 1, a file of other results, or shifted seeds.
    """
    if shift := seed_shift():
        raise EvaluationError(f"{SHIFT}={shift} would move the seeds that the results are stored under; unset it")
    for name, value in {"size": size, "seeds": seeds, "epochs": plan.EPOCHS if epochs is None else epochs}.items():
        if value < 1:
            raise EvaluationError(f"{name}={value}: give 1 or more")
    if unknown := [arm for arm in arms or [] if arm not in plan.ARMS]:
        # plan.NAME may look at the sources of its data set, and fetch it
        raise EvaluationError(f"this study has no arm {unknown}; it has {', '.join(plan.ARMS)}")
    results = Results(out, plan.NAME)
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    same = {"size": size, "epochs": epochs or plan.EPOCHS, "device": where}
    for seed in range(seeds):
        for arm in arms or plan.ARMS:
            if results.has({"arm": arm, "seed": seed, **same}):
                continue
            began = time.perf_counter()
            outcomes = plan.run(arm, seed, size, same["epochs"], where)
            seconds = round(time.perf_counter() - began, 1)
            for name, outcome in outcomes.items():
                results.add({"arm": name, "seed": seed, **same}, outcome, seconds)
                told = ", ".join(f"{k} {v:.3f}" for k, v in outcome.values["test"].items())
                say(f"{name}, seed {seed}: {told} ({seconds} s)")
    runs = results.alike(same)
    for name, figure in plan.figures(runs).items():
        _save(figure, results.picture(same, name))
    return plan.report(runs)


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of one study with the same size, epochs and device.

    Attributes:
        table: the columns of the CSV.
        scores: arm, seed, split, image_id, group, target (0 or 1), score; no rows where a study keeps none.
    """

    table: pd.DataFrame
    scores: pd.DataFrame

    def values(self, split: str = "test") -> pd.DataFrame:
        """One row per (arm, seed), one column per metric."""
        rows = self.table[self.table["split"] == split]
        return rows.pivot_table(index=["arm", "seed"], columns="metric", values="value")

    def header(self) -> str:
        """Size, epochs, hardware and seeds, in words."""
        first = self.table.iloc[0]
        seeds = self.table.groupby("arm")["seed"].nunique()
        count = str(seeds.max()) if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
        return (
            f"{first['study']}: {first['size']} px, {first['epochs']} epochs, {first['device']}, torch {first['torch']}; "
            f"{count} seed(s) of each arm"
        )


class Results:
    """The files of a study.

    Args:
        out: folder; made at the first run.
        study: its name, and that of the files.

    Raises:
        EvaluationError: a file with other columns.
    """

    def __init__(self, out: Path | str, study: str) -> None:
        self.study = study
        self.path = Path(out) / f"{study}.csv"
        self.scores_path = Path(out) / f"{study}-scores.csv.gz"
        self.read()

    def read(self) -> pd.DataFrame:
        """What is in the CSV now (another process may have added runs)."""
        table = pd.read_csv(self.path) if self.path.exists() else pd.DataFrame(columns=COLUMNS)
        if list(table.columns) != COLUMNS:
            raise EvaluationError(
                f"{self.path} has the columns {list(table.columns)}, expected {COLUMNS}; move it away"
            )
        return table

    def _read_scores(self) -> pd.DataFrame:
        if not self.scores_path.exists():
            return pd.DataFrame(columns=SCORES)
        return pd.read_csv(self.scores_path)

    def has(self, run: Mapping[str, object]) -> bool:
        """Whether the run with these arm, seed, size, epochs and device is there."""
        return bool(_of(self.read(), run).any())

    def alike(self, same: Mapping[str, object]) -> Runs:
        """The runs with these size, epochs and device."""
        table, scores = self.read(), self._read_scores()
        return Runs(table[_of(table, same)], scores[_of(scores, same)])

    def picture(self, same: Mapping[str, object], name: str) -> Path:
        """Where a figure goes: runs of another size, number of epochs or device do not overwrite it."""
        parts = [self.study, f"{same['size']}px", f"{same['epochs']}epochs", str(same["device"]).replace(":", ""), name]
        return self.path.with_name("-".join(part for part in parts if part) + ".png")

    def add(self, run: Mapping[str, object], outcome: Outcome, seconds: float) -> None:
        """Add one run, unless it is there; files are replaced whole, so that a kill leaves the old one or the new one.

        Scores that a killed run left behind without its values are replaced.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.study}.lock")):
            if self.has(run):
                return
            for name, figure in outcome.figures.items():
                _save(figure, self.picture(run, name))
            if outcome.scores:
                parts = [_scores(run, split, pred) for split, pred in outcome.scores.items()]
                scores = self._read_scores()
                others = scores[~_of(scores, run)]
                gzip = {"method": "gzip", "mtime": 1}
                _replace(self.scores_path, _joined(others, pd.concat(parts)), float_format="%.4g", compression=gzip)
            more = {"study": self.study, "torch": torch.__version__, "seconds": seconds}
            rows = [
                {**run, **more, "split": split, "metric": metric, "value": value}
                for split, values in outcome.values.items()
                for metric, value in values.items()
            ]
            _replace(self.path, _joined(self.read(), pd.DataFrame(rows, columns=COLUMNS)))  # last: it says "done"


def _save(figure: Figure, path: Path) -> None:
    """Written and closed: a study draws more figures than pyplot keeps open without a warning."""
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _of(table: pd.DataFrame, run: Mapping[str, object]) -> pd.Series:
    return (table[list(run)] == pd.Series(run)).all(axis=1)


def _joined(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    return new if old.empty else pd.concat([old, new], ignore_index=True)


def _scores(run: Mapping[str, object], split: str, pred: Predictions) -> pd.DataFrame:
    rows = {"image_id": pred.table.index, "group": pred.table["group"], "target": pred.targets, "score": pred.scores}
    return pd.DataFrame({**{key: run[key] for key in _KEY}, "split": split} | rows)[SCORES]


def _replace(path: Path, table: pd.DataFrame, **how: Any) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    table.to_csv(draft, index=False, lineterminator="\n", **how)
    draft.replace(path)
