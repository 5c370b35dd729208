"""Results of a study: one tidy CSV that grows job by job, so that a killed study goes on where it was.

Columns: study, arm, seed, split, metric, value, size (pixels), epochs, device, torch (version), seconds (of the training,
which arms may share). Scores of single images lie beside it, in ``<study>-scores.csv.gz``: intervals need them.
"""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock
from matplotlib.figure import Figure

from medcourse.errors import EvaluationError
from medcourse.evaluation.predictions import Predictions

COLUMNS = ["study", "arm", "seed", "split", "metric", "value", "size", "epochs", "device", "torch", "seconds"]
_KEY = ["arm", "seed", "size", "epochs", "device"]
SCORES = [*_KEY, "split", "image_id", "group", "target", "score"]


@dataclass(frozen=True)
class Outcome:
    """What one arm left behind.

    Attributes:
        values: metric -> value for each split ("val", "test").
        scores: binary predictions by split that are kept image by image.
        pictures: PNG files (``png``), saved as ``<study>-<size>px-<epochs>epochs-<device>-<name>.png``.
    """

    values: Mapping[str, Mapping[str, float]]
    scores: Mapping[str, Predictions] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)


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
    """The files of a study. Settings are size, epochs and device.

    Args:
        out: folder; made at the first run.
        study: the name of the files.

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
        return _read(self.path, COLUMNS)

    def done(self, settings: Mapping[str, object]) -> set[tuple[str, int]]:
        """Arm and seed of the runs with these settings."""
        table = self.read()
        return set(table.loc[_with(table, settings), ["arm", "seed"]].itertuples(index=False, name=None))

    def matching(self, settings: Mapping[str, object]) -> Runs:
        """The runs with these settings."""
        table, scores = self.read(), _read(self.scores_path, SCORES)
        return Runs(table[_with(table, settings)], scores[_with(scores, settings)])

    def picture(self, settings: Mapping[str, object], name: str) -> Path:
        """Where a figure goes: runs with other settings do not overwrite it."""
        device = str(settings["device"]).replace(":", "")
        parts = [self.study, f"{settings['size']}px", f"{settings['epochs']}epochs", device, name]
        return self.path.with_name("-".join(part for part in parts if part) + ".png")

    def add(
        self,
        settings: Mapping[str, object],
        outcomes: Mapping[str, Outcome],
        made: Mapping[str, object],
        arms: Sequence[str],
    ) -> None:
        """Add the runs of one job, except those that are there; scores that a killed one left behind are replaced.

        Files are replaced whole and the CSV last, so that a kill leaves all of the job or nothing that counts.

        Args:
            settings: size, epochs and device.
            outcomes: by arm.
            made: seed, torch (version) and seconds.
            arms: the order in which runs of one seed stand, whichever ended first.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.study}.lock")):
            table, scores = self.read(), _read(self.scores_path, SCORES)
            for arm, outcome in outcomes.items():
                run = {"arm": arm, "seed": made["seed"], **settings}
                if _with(table, run).any():
                    continue
                rows = [
                    {"study": self.study, **run, **made, "split": split, "metric": metric, "value": value}
                    for split, values in outcome.values.items()
                    for metric, value in values.items()
                ]
                table = _inserted(table, [pd.DataFrame(rows, columns=COLUMNS)], run, arms)
                of_images = [_scores(run, split, pred) for split, pred in outcome.scores.items()]
                scores = _inserted(scores[~_with(scores, run)], of_images, run, arms)
                for name, picture in outcome.pictures.items():
                    self.picture(settings, name).write_bytes(picture)
            if len(scores):
                gzip = {"method": "gzip", "mtime": 1}
                _replace(self.scores_path, scores, float_format="%.4g", compression=gzip)
            _replace(self.path, table)  # last: it says "done"


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    # Python reads a number back to its last bit; pandas did not before its version 3
    exact = dict.fromkeys(("value", "seconds", "score"), lambda text: float(text or "nan"))
    table = pd.read_csv(path, converters=exact) if path.exists() else pd.DataFrame(columns=columns)
    if list(table.columns) != columns:
        raise EvaluationError(f"{path} has the columns {list(table.columns)}, expected {columns}; move it away")
    return table


def _with(table: pd.DataFrame, run: Mapping[str, object]) -> pd.Series:
    return (table[list(run)] == pd.Series(run)).all(axis=1)


def _inserted(
    table: pd.DataFrame, new: list[pd.DataFrame], run: Mapping[str, Any], arms: Sequence[str]
) -> pd.DataFrame:
    """The rows of a run, before those of the runs with equal settings that come later (by seed, then by arm)."""
    later_arm = table["arm"].isin(arms[list(arms).index(run["arm"]) + 1 :])
    later = (table["seed"] > run["seed"]) | ((table["seed"] == run["seed"]) & later_arm)
    later &= _with(table, {key: run[key] for key in ("size", "epochs", "device")})
    at = int(later.to_numpy().argmax()) if later.any() else len(table)
    parts = [part for part in (table[:at], *new, table[at:]) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else table


def _scores(run: Mapping[str, object], split: str, pred: Predictions) -> pd.DataFrame:
    rows = {"image_id": pred.table.index, "group": pred.table["group"], "target": pred.targets, "score": pred.scores}
    return pd.DataFrame({**{key: run[key] for key in _KEY}, "split": split} | rows)[SCORES]


def _replace(path: Path, table: pd.DataFrame, **how: Any) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    table.to_csv(draft, index=False, lineterminator="\n", **how)
    draft.replace(path)
