"""Look before training: who is in a cohort, what brightness and colour alone predict, what is there twice."""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.data.cohort import Cohort
from medcourse.data.labels import class_table, shown_in
from medcourse.data.leaks import pictures
from medcourse.errors import CohortError
from medcourse.markup import Part, as_html, as_text, count, percent

_CHANNELS = ("red", "green", "blue")
_CHUNK_PIXELS = 2**20  # read at once: 256 images of 64 x 64
_MOST_VALUES = 20  # of the column named by `by`
_MOST_SHOWN = 12  # statistics that the printed view shows in full; of more, the strongest
_STRONGEST = 8


@dataclass(frozen=True)
class Inspection:
    """What ``inspect`` found.

    Attributes:
        classes: one row per class (finding): images, groups, share (of all images that were assessed for it).
        groups: Series: groups (how many there are), largest (images of the largest), several_images (groups with more
            than one image), several_labels (groups with images of more than one class, or other findings).
        sizes: one row per original size, most frequent first: width, height (pixels), images. Empty where the table does
            not tell (columns original_width, original_height).
        statistics: one row per image, as ``image_statistics`` gives them.
        by_class: mean of each statistic in each class.
        auroc: Series, statistic -> AUROC for the positive class over all images; below 0.5: higher values go with the
            negative class. Empty when the cohort is not binary.
        auroc_by: statistics x values of the column ``by``: AUROC for the images with this value against all images with
            another one. NaN for a value that no image has. Empty without ``by``.
        by_counts: Series, value of ``by`` -> images, most frequent first; NaN counts the images without a value, which
            ``auroc_by`` leaves out. Empty without ``by``.
        duplicates: images with the very same pixels as another one: columns set (number), image_id, label (findings
            joined by "|"), group.
    """

    classes: pd.DataFrame
    groups: pd.Series
    sizes: pd.DataFrame
    statistics: pd.DataFrame
    by_class: pd.DataFrame
    auroc: pd.Series
    auroc_by: pd.DataFrame
    by_counts: pd.Series
    duplicates: pd.DataFrame

    def _lines(self) -> list[str]:
        n, groups = self.duplicates.groupby("set")[["group", "label"]].nunique(), self.groups
        sizes = [f"{w} x {h} ({count(n, 'image')})" for w, h, n in self.sizes.head(3).itertuples(index=False)]
        more = f", and {len(self.sizes) - 3} more" if len(self.sizes) > 3 else ""
        twice = (
            f"{len(self.duplicates):,} images in {count(len(n), 'set')}; the groups differ in "
            f"{int((n['group'] > 1).sum())} of them, the labels in {int((n['label'] > 1).sum())}"
        )
        return [
            f"Groups: {groups['groups']:,}; {groups['several_images']:,} have several images (at most "
            f"{groups['largest']}), {groups['several_labels']:,} several labels.",
            f"Equal pictures: {twice if len(n) else 'none'}.",
            f"Original sizes (pixels): {', '.join(sizes) or 'not known'}{more}.",
        ]

    def _by_class_view(self) -> tuple[str, pd.DataFrame]:
        title, table = "mean of each statistic by class (0..255)", self.by_class.T.map("{:.1f}".format)
        if self.auroc.empty:
            apart = (self.by_class.max() - self.by_class.min()) / self.statistics.std()
            names, note = _strongest(apart.fillna(0), "with class means farthest apart (all: .by_class)")
        else:
            title, table = f"{title}, and its AUROC", table.assign(AUROC=self.auroc.map("{:.3f}".format))
            names, note = _strongest((self.auroc - 0.5).abs(), "with AUROC farthest from 0.5 (all: .auroc)")
        return f"{title}{note}:", table.loc[names]

    def _by_value_view(self) -> tuple[str, pd.DataFrame]:
        column, missing = self.auroc_by.columns.name, int(self.by_counts[self.by_counts.index.isna()].sum())
        inside = self.by_counts[self.by_counts.index.notna()]
        pairs = inside * (inside.sum() - inside)
        # A value of few images reaches a high AUROC by chance, so each counts by its pairs, as in the Mann-Whitney test.
        strength = ((self.auroc_by - 0.5).abs() * np.sqrt(pairs)).max(axis=1)
        names, note = _strongest(strength, "that tell most (all: .auroc_by)")
        without = f"; {missing} images without a value are left out" if missing else ""
        table = self.auroc_by.loc[names].T.map("{:.3f}".format)
        table.insert(0, "images", inside)
        return f"AUROC of each statistic for one value of '{column}' against the others{note}{without}:", table

    def _views(self) -> list[tuple[str, pd.DataFrame]]:
        return [self._by_class_view()] + ([] if self.auroc_by.empty else [self._by_value_view()])

    def __repr__(self) -> str:
        return as_text(self._view())

    def _repr_html_(self) -> str:
        return as_html(self._view())

    def _view(self) -> list[Part]:
        classes = self.classes.assign(share=self.classes["share"].map(percent))
        parts: list[Part] = [f"Inspection of {count(len(self.statistics), 'image')}", classes, *self._lines()]
        for view in self._views():
            parts += view
        return parts


def inspect(cohort: Cohort, by: str | None = None) -> Inspection:
    """Counts, groups, sizes, brightness and colour by class, and equal pictures of a cohort.

    What a single statistic predicts, no model can claim as knowledge of anatomy: put its AUROC beside the model's.
    ``by`` asks the same of how an image came about: whether one number tells the site, the camera or the road of
    diagnosis (``mc.inspect(nevi, by="dx_type")``). Then a model can tell it, too.

    Args:
        cohort: of any task; pictures are compared at the size they were loaded at.
        by: a column of the table with 2 to 20 different values. Images without a value are left out and counted.

    Returns:
        An ``Inspection``; print it, or use its tables.

    Raises:
        CohortError: ``by`` names no column, or one with fewer than 2 or more than 20 values.
    """
    by_counts = pd.Series(dtype="int64", name="images") if by is None else _value_counts(cohort, by)
    group = cohort.table["group"]
    shown = shown_in(cohort.targets, cohort.classes, cohort.table.index)
    has = {name: (shown[name] == 1).to_numpy() for name in cohort.classes}
    classes = class_table(shown, group)
    label = _labels(cohort, shown)
    per_group = label.groupby(group.to_numpy()).agg(["size", "nunique"])
    groups = pd.Series(
        {
            "groups": len(per_group),
            "largest": int(per_group["size"].max()),
            "several_images": int((per_group["size"] > 1).sum()),
            "several_labels": int((per_group["nunique"] > 1).sum()),
        }
    )
    statistics = image_statistics(cohort)
    auroc = pd.Series(dtype=float, name="auroc")
    if cohort.task == "binary" and (classes["images"] > 0).all():
        auroc = _aurocs(statistics, pd.DataFrame({"auroc": cohort.targets == 1}))["auroc"]
    auroc_by = pd.DataFrame() if by is None else _auroc_by(statistics, cohort.table[by], by_counts)
    by_class = pd.DataFrame({name: statistics[rows].mean() for name, rows in has.items()}).T
    sizes, twice = _sizes(cohort.table), _duplicates(cohort, label)
    return Inspection(classes, groups, sizes, statistics, by_class, auroc, auroc_by, by_counts, twice)


def image_statistics(cohort: Cohort) -> pd.DataFrame:
    """A few numbers for each image that know nothing of anatomy: brightness, border and colour.

    Seven numbers, each 0 to 255: ``mean``; ``contrast`` (standard deviation); ``dark`` and ``bright`` (5th and 95th
    percentile); ``border`` (mean of the outer tenth on every side), ``corners`` (mean of four squares of a tenth),
    ``centre`` (mean of the middle half). Of a colour image they are measured on the mean of its channels, and once more
    on every channel, named ``<statistic>_<channel>``: ``mean_red``, ``border_blue``, ... Three differences of channel
    means come last (-255 to 255): ``red-green``, ``red-blue``, ``green-blue``. A colour cast shows in these.

    Returns:
        float64, one row per image (the table's index), 7 columns for grey images, 31 for colour images.
    """
    rows = max(1, _CHUNK_PIXELS // cohort.size**2)
    parts = [range(first, min(first + rows, len(cohort))) for first in range(0, len(cohort), rows)]
    table = pd.concat([_statistics(cohort.read(part)) for part in parts]).set_axis(cohort.table.index)
    if cohort.channels == 1:
        return table
    differences = {f"{a}-{b}": table[f"mean_{a}"] - table[f"mean_{b}"] for a, b in combinations(_CHANNELS, 2)}
    return table.assign(**differences)


def border_sum(planes: NDArray[Any], rows: int, columns: int) -> tuple[NDArray[np.float64], int]:
    """The sum of each plane (N x H x W) over a border of so many rows above and below and columns at the sides; and the
    number of pixels in it."""
    inner = planes[:, rows:-rows, columns:-columns]
    total = planes.sum((1, 2), dtype=np.float64) - inner.sum((1, 2), dtype=np.float64)
    return total, math.prod(planes.shape[1:]) - math.prod(inner.shape[1:])


def corner_means(planes: NDArray[Any], edge: int) -> NDArray[np.floating]:
    """The means of four squares of ``edge`` pixels of each plane (N x H x W): N x 4, top left, top right, bottom left, bottom
    right."""
    ends = (slice(None, edge), slice(-edge, None))
    return np.stack([planes[:, rows, columns].mean((1, 2)) for rows in ends for columns in ends], axis=1)


def _strongest(strength: pd.Series, how: str) -> tuple[list[str], str]:
    """The statistics to print, and what the title says about it: all of a few, the strongest of many."""
    if len(strength) <= _MOST_SHOWN:
        return list(strength.index), ""
    names = strength.sort_values(ascending=False, kind="stable").index[:_STRONGEST]
    return list(names), f"; the {_STRONGEST} of {len(strength)} {how}"


def _value_counts(cohort: Cohort, by: str) -> pd.Series:
    """Images of each value of a column, most frequent first, and of NaN; CohortError where it cannot be compared."""
    if not isinstance(by, str) or by not in cohort.table:
        columns = ", ".join(map(str, cohort.table.columns))
        raise CohortError(f"by={by!r}: {cohort.name} has no such column. Its columns are {columns}")
    try:
        values = cohort.table[by].nunique()
    except TypeError as error:
        raise CohortError(f"by='{by}': its cells are not single values ({error}). Choose another column") from error
    if not 2 <= values <= _MOST_VALUES:
        raise CohortError(
            f"by='{by}': this column of {cohort.name} must have 2 to {_MOST_VALUES} different values and has {values}. "
            "Choose another, or make one with fewer (pandas.cut makes ranges of numbers)"
        )
    return cohort.table[by].value_counts(dropna=False).rename("images")


def _auroc_by(statistics: pd.DataFrame, column: pd.Series, counts: pd.Series) -> pd.DataFrame:
    """``Inspection.auroc_by``: each value of the column against the others, without the images that have none."""
    known = column.notna().to_numpy()
    value = column.to_numpy(dtype=object)[known]
    names = counts.index[counts.index.notna()]
    aurocs = _aurocs(statistics[known], pd.DataFrame({name: value == name for name in names}))
    aurocs.columns.name = column.name
    return aurocs


def _aurocs(statistics: pd.DataFrame, positive: pd.DataFrame) -> pd.DataFrame:
    """AUROC of each statistic for each column of booleans (Mann-Whitney, ties count half); NaN without two sides.

    Returns:
        float64, statistics x columns.
    """
    inside = positive.to_numpy(dtype=np.float64)
    n = inside.sum(0)
    pairs = n * (len(inside) - n)
    wins = statistics.rank().to_numpy().T @ inside - n * (n + 1) / 2
    aurocs = np.divide(wins, pairs, out=np.full(wins.shape, np.nan), where=pairs > 0)
    return pd.DataFrame(aurocs, index=statistics.columns, columns=positive.columns)


def _labels(cohort: Cohort, shown: pd.DataFrame) -> pd.Series:
    """The label of each image; findings that it shows are joined."""
    if cohort.task != "multilabel":
        return cohort.table["label"]
    return shown.eq(1).apply(lambda row: "|".join(shown.columns[row]), axis=1)


def _sizes(table: pd.DataFrame) -> pd.DataFrame:
    known = table.reindex(columns=["original_width", "original_height"]).dropna().astype(int)
    return known.set_axis(["width", "height"], axis=1).value_counts().rename("images").reset_index()


def _statistics(pixels: NDArray[np.uint8]) -> pd.DataFrame:
    """The statistics of the mean of the channels, then of every channel (uint8, N x C x H x W; of grey images once)."""
    planes: dict[str, NDArray[Any]] = {"": pixels.mean(axis=1, dtype=np.float32)}
    if pixels.shape[1] > 1:
        planes |= {f"_{channel}": pixels[:, k] for k, channel in enumerate(_CHANNELS)}
    columns = {name + of: values for of, plane in planes.items() for name, values in _of_plane(plane).items()}
    return pd.DataFrame(columns).astype(np.float64)


def _of_plane(plane: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
    n, size, _ = plane.shape
    edge, quarter = max(1, size // 10), size // 4
    middle = slice(quarter, size - quarter)
    border, pixels = border_sum(plane, edge, edge)
    dark, bright = np.percentile(plane.reshape(n, -1), [5, 95], axis=1)
    return {
        "mean": plane.mean((1, 2)),
        "contrast": plane.std((1, 2)),
        "dark": dark,
        "bright": bright,
        "border": border / pixels,
        "corners": corner_means(plane, edge).mean(1),
        "centre": plane[:, middle, middle].mean((1, 2)),
    }


def _duplicates(cohort: Cohort, label: pd.Series) -> pd.DataFrame:
    found = pictures(cohort).rename(columns={"id": "image_id"})
    found = found.assign(label=label.to_numpy(), group=cohort.table["group"].to_numpy())
    found = found[found["hash"].duplicated(keep=False)]
    found.insert(0, "set", pd.factorize(found.pop("hash"))[0])
    return found.sort_values(["set", "image_id"], ignore_index=True)
