"""Look before training: who is in a cohort, what brightness alone predicts, what is there twice."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from medcourse.data.cohort import Cohort

STATISTICS = ("mean", "contrast", "dark", "bright", "border", "corners", "centre")
_CHUNK = 256


@dataclass(frozen=True)
class Inspection:
    """What ``inspect`` found.

    Attributes:
        classes: one row per class: images, groups, share (of all images).
        groups: Series: groups (how many there are), largest (images of the largest), several_images (groups with more
            than one image), several_labels (groups with images of more than one class).
        statistics: one row per image, values in 0..255: mean; contrast (standard deviation); dark and bright (5th and
            95th percentile); border (mean of the outer tenth on every side), corners (mean of four squares of a tenth),
            centre (mean of the middle half).
        by_class: mean of each statistic in each class.
        auroc: Series, statistic -> AUROC for the positive class over all images; below 0.5: higher values go with the
            negative class. Empty when the cohort is not binary.
        duplicates: images with the very same pixels as another one: columns set (number), image_id, label, group.
    """

    classes: pd.DataFrame
    groups: pd.Series
    statistics: pd.DataFrame
    by_class: pd.DataFrame
    auroc: pd.Series
    duplicates: pd.DataFrame

    def __repr__(self) -> str:
        n = self.duplicates.groupby("set")[["group", "label"]].nunique()
        twice = (
            f"{len(self.duplicates)} images in {len(n)} sets of equal pictures; in {int((n['group'] > 1).sum())} sets the "
            f"groups differ, in {int((n['label'] > 1).sum())} the labels"
        )
        lines = [
            self.classes.round(3).to_string(),
            "",
            f"groups: {self.groups.to_dict()}",
            f"equal pictures: {twice}",
            "",
        ]
        lines.append("mean of each statistic by class (0..255), and its AUROC:")
        table = self.by_class.T.round(1)
        return "\n".join([*lines, (table if self.auroc.empty else table.assign(AUROC=self.auroc.round(3))).to_string()])


def inspect(cohort: Cohort) -> Inspection:
    """Counts, groups, brightness by class and equal pictures of a cohort with one label per image.

    What a single statistic predicts, no model can claim as knowledge of anatomy: put its AUROC beside the model's.

    Args:
        cohort: binary or multiclass; pictures are compared at the size they were loaded at.

    Returns:
        An ``Inspection``; print it, or use its tables.
    """
    label, group = cohort.table["label"], cohort.table["group"]
    images = cohort.counts()
    classes = pd.DataFrame(
        {
            "images": images,
            "groups": group.groupby(label).nunique().reindex(images.index, fill_value=0),
            "share": images / images.sum(),
        }
    )
    per_group = cohort.table.groupby("group")["label"].agg(["size", "nunique"])
    groups = pd.Series(
        {
            "groups": len(per_group),
            "largest": int(per_group["size"].max()),
            "several_images": int((per_group["size"] > 1).sum()),
            "several_labels": int((per_group["nunique"] > 1).sum()),
        }
    )
    values, prints = [], []
    for first in range(0, len(cohort), _CHUNK):
        pixels = cohort.read(range(first, min(first + _CHUNK, len(cohort))))
        values.append(_statistics(pixels))
        prints += [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pixels]
    statistics = pd.DataFrame(np.concatenate(values), index=cohort.table.index, columns=list(STATISTICS))
    auroc = pd.Series(dtype=float, name="auroc")
    if cohort.task == "binary" and (images > 0).all():
        auroc = statistics.apply(lambda column: float(roc_auc_score(cohort.targets, column))).rename("auroc")
    by_class = statistics.groupby(label).mean().reindex(images.index)
    return Inspection(classes, groups, statistics, by_class, auroc, _duplicates(cohort, prints))


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


def _duplicates(cohort: Cohort, prints: list[str]) -> pd.DataFrame:
    codes = pd.Series(prints, index=cohort.table.index)
    twice = codes[codes.duplicated(keep=False)]
    found = cohort.table.loc[twice.index, ["label", "group"]].reset_index()
    found.insert(0, "set", pd.factorize(twice.to_numpy())[0])
    return found.sort_values(["set", "image_id"], ignore_index=True)
