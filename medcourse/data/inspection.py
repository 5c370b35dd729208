"""Look before you train: counts, groups, sizes, what brightness alone gives away, identical pictures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.data.cohort import Cohort
from medcourse.data.leaks import pictures

_CHUNK = 256  # images read at a time
_BORDER = 0.1  # width of the border, as a share of the image
_CORNER = 0.125  # side of each corner square, as a share of the image


@dataclass(frozen=True)
class Inspection:
    """What ``inspect`` found; printed, or shown in a notebook, it is a short report.

    Attributes:
        title: the cohort in one line.
        counts: one row per class (finding): images, share of all (of the assessed) images, groups, and for findings
            not_assessed.
        groups: one row per number of images in a group: groups of that size.
        mixed_groups: how many groups have several labels.
        sizes: one row per original size: width, height (pixels), images; None when the table does not tell.
        statistics: one row per image: mean, std, p5, p95, border, corners, all in 0..255.
        intensity: one row per class, the mean over its images of each statistic.
        auroc: one row per statistic, one column per class against the rest (binary: the positive class): the chance that
            an image of the class has the larger value. 0.5 says nothing, 0 and 1 give the class away. NaN where a class
            has no image, or nothing else has.
        duplicates: one row per set of identical pictures: images, ids (list), groups and labels (how many different ones).
    """

    title: str
    counts: pd.DataFrame
    groups: pd.DataFrame
    mixed_groups: int
    sizes: pd.DataFrame | None
    statistics: pd.DataFrame
    intensity: pd.DataFrame
    auroc: pd.DataFrame
    duplicates: pd.DataFrame

    def _parts(self) -> list[tuple[str, pd.DataFrame | None]]:
        sets, several = self.duplicates, self.groups[self.groups.index > 1]["groups"].sum()
        largest = self.groups.index.max()
        parts: list[tuple[str, pd.DataFrame | None]] = [
            (self.title, self.counts),
            (
                f"Groups: {self.groups['groups'].sum()}; {several} with several images (at most {largest}), "
                f"{self.mixed_groups} with several labels",
                None,
            ),
        ]
        if self.sizes is not None:
            parts.append((f"Original sizes: {len(self.sizes)} different ones, the most frequent", self.sizes.head(3)))
        parts.append(("Intensity by class (0 to 255, mean over images)", self.intensity.round(1)))
        parts.append(("What intensity alone predicts (AUROC of one number per image)", self.auroc.round(3)))
        same = f"Identical pictures: {len(sets)} sets of {sets['images'].sum()} images"
        across = f"{(sets['labels'] > 1).sum()} sets across labels, {(sets['groups'] > 1).sum()} across groups"
        parts.append((f"{same}; {across}" if len(sets) else "Identical pictures: none", None))
        return parts

    def __repr__(self) -> str:
        return "\n\n".join(head if table is None else f"{head}\n{table.to_string()}" for head, table in self._parts())

    def _repr_html_(self) -> str:
        return "".join(
            f"<p><b>{head}</b></p>" + ("" if table is None else table.to_html()) for head, table in self._parts()
        )


def inspect(cohort: Cohort) -> Inspection:
    """What a cohort is made of, and what could let a model take a short cut.

    The six statistics of each image are mean, standard deviation, 5th and 95th percentile of its grey values (colours are
    averaged), and the mean of its border (the outer tenth) and of its four corners: a model that does no better than the
    best of them may have learnt exposure or film borders. Pictures count as identical when all their pixels are, at the size
    that the cohort was loaded at.
    """
    statistics = _statistics(cohort)
    shown = _membership(cohort)
    of_group = shown.groupby(cohort.table["group"].to_numpy())
    return Inspection(
        title=repr(cohort).partition(";")[0],
        counts=_counts(cohort, shown),
        groups=cohort.table["group"]
        .value_counts()
        .value_counts()
        .sort_index()
        .rename_axis("images")
        .to_frame("groups"),
        mixed_groups=int((of_group.max() != of_group.min())[of_group.count() > 0].any(axis=1).sum()),
        sizes=_sizes(cohort.table),
        statistics=statistics,
        intensity=pd.DataFrame({name: statistics[shown[name] == 1].mean() for name in shown}).T,
        auroc=pd.DataFrame(
            {
                name: [_auroc(shown[name].to_numpy(), statistics[column]) for column in statistics]
                for name in (cohort.classes[1:] if cohort.task == "binary" else cohort.classes)
            },
            index=pd.Index(statistics.columns, name="statistic"),
        ),
        duplicates=_duplicates(cohort, shown),
    )


def _membership(cohort: Cohort) -> pd.DataFrame:
    """1 where an image has the class, 0 where not, NaN where not assessed; one column per class."""
    values = cohort.targets if cohort.task == "multilabel" else np.eye(len(cohort.classes))[cohort.targets]
    return pd.DataFrame(values, index=cohort.table.index, columns=list(cohort.classes))


def _counts(cohort: Cohort, shown: pd.DataFrame) -> pd.DataFrame:
    found = {name: cohort.table.loc[(shown[name] == 1).to_numpy(), "group"].nunique() for name in shown}
    table = pd.DataFrame({"images": cohort.counts(), "share": shown.mean().round(3), "groups": pd.Series(found)})
    return table.assign(not_assessed=shown.isna().sum()) if cohort.task == "multilabel" else table


def _sizes(table: pd.DataFrame) -> pd.DataFrame | None:
    columns = ["original_width", "original_height"]
    if not set(columns) <= set(table.columns):
        return None
    return table[columns].value_counts().rename("images").reset_index()


def _statistics(cohort: Cohort) -> pd.DataFrame:
    rows = np.arange(len(cohort))
    border, corners = _frame(cohort.size)
    parts: list[NDArray[np.float64]] = []
    for start in range(0, len(rows), _CHUNK):
        grey = cohort.read(rows[start : start + _CHUNK]).mean(axis=1)
        flat = grey.reshape(len(grey), -1)
        low, high = np.percentile(flat, [5, 95], axis=1)
        edges = [grey[:, border].mean(axis=1), grey[:, corners].mean(axis=1)]
        parts.append(np.column_stack([flat.mean(axis=1), flat.std(axis=1), low, high, *edges]))
    names = ["mean", "std", "p5", "p95", "border", "corners"]
    return pd.DataFrame(np.concatenate(parts), index=cohort.table.index, columns=names)


def _frame(size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the border and the corners of an image are; at least one pixel each."""
    place = np.minimum(np.arange(size), np.arange(size)[::-1])
    edge, corner = place < max(1, round(_BORDER * size)), place < max(1, round(_CORNER * size))
    return edge[:, None] | edge[None, :], corner[:, None] & corner[None, :]


def _auroc(shown: NDArray[np.float64], values: pd.Series) -> float:
    """Mann-Whitney: the chance that an image of the class has the larger value (ties count half)."""
    known = ~np.isnan(shown)
    ranks, positive = values[known].rank().to_numpy(), shown[known] == 1
    n, rest = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * rest)) if n and rest else float("nan")


def _duplicates(cohort: Cohort, shown: pd.DataFrame) -> pd.DataFrame:
    found = pictures(cohort)
    found["group"] = cohort.table["group"].to_numpy()
    found["label"] = pd.factorize(pd.MultiIndex.from_frame(shown.fillna(-1)))[0]
    found = found[found["hash"].duplicated(keep=False)]
    sets = found.groupby("hash", sort=False).agg(
        images=("id", "size"), ids=("id", list), groups=("group", "nunique"), labels=("label", "nunique")
    )
    return sets.reset_index(drop=True)
