"""Look before training: who is in a cohort, what brightness alone predicts, what is there twice."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from medcourse.data.cohort import Cohort
from medcourse.data.leaks import pictures

STATISTICS = ("mean", "contrast", "dark", "bright", "border", "corners", "centre")
_CHUNK = 256


@dataclass(frozen=True)
class Inspection:
    """What ``inspect`` found.

    Attributes:
        classes: one row per class (finding): images, groups, share (of all images that were assessed for it).
        groups: Series: groups (how many there are), largest (images of the largest), several_images (groups with more
            than one image), several_labels (groups with images of more than one class, or other findings).
        sizes: one row per original size, most frequent first: width, height (pixels), images. Empty where the table does
            not tell (columns original_width, original_height).
        statistics: one row per image, values in 0..255: mean; contrast (standard deviation); dark and bright (5th and
            95th percentile); border (mean of the outer tenth on every side), corners (mean of four squares of a tenth),
            centre (mean of the middle half).
        by_class: mean of each statistic in each class.
        auroc: Series, statistic -> AUROC for the positive class over all images; below 0.5: higher values go with the
            negative class. Empty when the cohort is not binary.
        duplicates: images with the very same pixels as another one: columns set (number), image_id, label (findings
            joined by "|"), group.
    """

    classes: pd.DataFrame
    groups: pd.Series
    sizes: pd.DataFrame
    statistics: pd.DataFrame
    by_class: pd.DataFrame
    auroc: pd.Series
    duplicates: pd.DataFrame

    def _lines(self) -> list[str]:
        n = self.duplicates.groupby("set")[["group", "label"]].nunique()
        sizes = [f"{w} x {h} ({n} images)" for w, h, n in self.sizes.head(3).itertuples(index=False)]
        return [
            f"groups: {self.groups.to_dict()}",
            f"equal pictures: {len(self.duplicates)} images in {len(n)} sets of equal pictures; in "
            f"{int((n['group'] > 1).sum())} sets the groups differ, in {int((n['label'] > 1).sum())} the labels",
            f"original sizes: {', '.join(sizes) or 'not known'}" + (", ..." if len(self.sizes) > 3 else ""),
            "mean of each statistic by class (0..255)" + ("" if self.auroc.empty else ", and its AUROC") + ":",
        ]

    def _intensity(self) -> pd.DataFrame:
        table = self.by_class.T.round(1)
        return table if self.auroc.empty else table.assign(AUROC=self.auroc.round(3))

    def __repr__(self) -> str:
        return "\n".join(
            [
                self.classes.round(3).to_string(),
                "",
                *self._lines()[:3],
                "",
                *self._lines()[3:],
                self._intensity().to_string(),
            ]
        )

    def _repr_html_(self) -> str:
        lines = "<br>".join(self._lines())
        return f"{self.classes.round(3).to_html()}<p>{lines}</p>{self._intensity().to_html()}"


def inspect(cohort: Cohort) -> Inspection:
    """Counts, groups, sizes, brightness by class and equal pictures of a cohort.

    What a single statistic predicts, no model can claim as knowledge of anatomy: put its AUROC beside the model's.

    Args:
        cohort: of any task; pictures are compared at the size they were loaded at.

    Returns:
        An ``Inspection``; print it, or use its tables.
    """
    group = cohort.table["group"]
    values = cohort.targets if cohort.task == "multilabel" else np.eye(len(cohort.classes))[cohort.targets]
    shown = pd.DataFrame(values, index=cohort.table.index, columns=pd.Index(cohort.classes, name="label"))
    has = {name: (shown[name] == 1).to_numpy() for name in cohort.classes}
    classes = pd.DataFrame(
        {
            "images": cohort.counts(),
            "groups": pd.Series({name: group[rows].nunique() for name, rows in has.items()}),
            "share": shown.mean(),
        }
    )
    label = _labels(cohort, has)
    per_group = label.groupby(group.to_numpy()).agg(["size", "nunique"])
    groups = pd.Series(
        {
            "groups": len(per_group),
            "largest": int(per_group["size"].max()),
            "several_images": int((per_group["size"] > 1).sum()),
            "several_labels": int((per_group["nunique"] > 1).sum()),
        }
    )
    parts = [range(first, min(first + _CHUNK, len(cohort))) for first in range(0, len(cohort), _CHUNK)]
    values = np.concatenate([_statistics(cohort.read(rows)) for rows in parts])
    statistics = pd.DataFrame(values, index=cohort.table.index, columns=list(STATISTICS))
    auroc = pd.Series(dtype=float, name="auroc")
    if cohort.task == "binary" and (classes["images"] > 0).all():
        auroc = statistics.apply(lambda column: float(roc_auc_score(cohort.targets, column))).rename("auroc")
    by_class = pd.DataFrame({name: statistics[rows].mean() for name, rows in has.items()}).T
    return Inspection(classes, groups, _sizes(cohort.table), statistics, by_class, auroc, _duplicates(cohort, label))


def _labels(cohort: Cohort, has: dict[str, NDArray[np.bool_]]) -> pd.Series:
    """The label of each image; findings that it shows are joined."""
    if cohort.task != "multilabel":
        return cohort.table["label"]
    names = [[name for name in has if has[name][row]] for row in range(len(cohort))]
    return pd.Series(["|".join(found) for found in names], index=cohort.table.index)


def _sizes(table: pd.DataFrame) -> pd.DataFrame:
    known = table.reindex(columns=["original_width", "original_height"]).dropna().astype(int)
    return known.set_axis(["width", "height"], axis=1).value_counts().rename("images").reset_index()


def _statistics(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """``STATISTICS`` of each image (uint8, N x C x H x W; channels are averaged)."""
    grey = pixels.mean(axis=1, dtype=np.float32)
    n, size, _ = grey.shape
    edge, quarter = max(1, size // 10), size // 4
    inner = grey[:, edge:-edge, edge:-edge] if size > 2 * edge else grey[:, :0, :0]
    ends = (slice(None, edge), slice(-edge, None))
    corners = np.stack([grey[:, rows, columns].mean((1, 2)) for rows in ends for columns in ends])
    middle = slice(quarter, size - quarter)
    outer = (grey.sum((1, 2), dtype=np.float64) - inner.sum((1, 2), dtype=np.float64)) / (size**2 - inner[0].size)
    dark, bright = np.percentile(grey.reshape(n, -1), [5, 95], axis=1)
    columns = [
        grey.mean((1, 2)),
        grey.std((1, 2)),
        dark,
        bright,
        outer,
        corners.mean(0),
        grey[:, middle, middle].mean((1, 2)),
    ]
    return np.column_stack(columns).astype(np.float64)


def _duplicates(cohort: Cohort, label: pd.Series) -> pd.DataFrame:
    found = pictures(cohort).rename(columns={"id": "image_id"})
    found = found.assign(label=label.to_numpy(), group=cohort.table["group"].to_numpy())
    found = found[found["hash"].duplicated(keep=False)]
    found.insert(0, "set", pd.factorize(found.pop("hash"))[0])
    return found.sort_values(["set", "image_id"], ignore_index=True)
