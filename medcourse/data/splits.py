"""Split a cohort so that no patient (or lesion) stands on both sides."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medcourse.arguments import share, whole_number
from medcourse.data.cohort import Cohort
from medcourse.data.draws import draw, group_numbers, quantities, wanted_at
from medcourse.data.synthetic import is_synthetic
from medcourse.errors import ArgumentError, LeakageError, SplitError
from medcourse.markup import Part, as_html, as_text, percent


class Splits(NamedTuple):
    """Training, validation (tuning) and test set: ``train, val, test = mc.split(...)``; a part not asked for is None."""

    train: Cohort
    val: Cohort | None
    test: Cohort | None

    def items(self) -> Iterator[tuple[str, Cohort]]:
        """Name and cohort of every part that exists."""
        return ((name, part) for name, part in self._asdict().items() if part is not None)

    def table(self) -> pd.DataFrame:
        """Images, groups and images of each class in every part; for two classes also the share of the positive."""
        rows = {}
        for name, part in self.items():
            rows[name] = {"images": len(part), "groups": part.table["group"].nunique(), **part.counts()}
            if part.task == "binary":
                rows[name]["prevalence"] = round(float(part.targets.mean()), 4)
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index.name = "part"
        return table.astype({c: int for c in table.columns if c != "prevalence"})

    def __repr__(self) -> str:
        return as_text(self._view())

    def _repr_html_(self) -> str:
        return as_html(self._view())

    def _view(self) -> list[Part]:
        table = self.table()
        if "prevalence" in table:
            table["prevalence"] = table["prevalence"].map(percent)
        return [f"Split of {self.train.name}", table]


def split(
    cohort: Cohort,
    test: float | ArrayLike | None = 0.2,
    val: float | ArrayLike | None = 0.1,
    group: str | None = "group",
    stratify: bool = True,
    prevalence: float | None = None,
    seed: int = 0,
) -> Splits:
    """Split a cohort by group into training, validation and test set.

    Whole groups are drawn in random order; a group is taken while it brings the part closer to the wanted number of
    images of every class (the number of images alone without ``stratify``). Groups of one image make this exact, large
    groups make it approximate: ``splits.table()`` shows what came out.

    Args:
        cohort: what to split.
        test: share of all images (0 or None: no such part), or the image ids of an official test set.
        val: likewise. Ids are set aside first, whichever part they name; then shares are drawn from the other groups, test
            before validation.
        group: table column that names who must not be on both sides; None splits image by image (which leaks whenever
            somebody has several images: for lessons and for comparison).
        stratify: keep the share of every class alike in all parts. In a multilabel cohort this means the share of images
            that show each finding, and of images that show none; a finding not assessed counts as not shown.
        prevalence: share of the positive class in test and validation set, 0 < prevalence < 1 (binary cohorts). Test
            is drawn first, then validation; training keeps the rest.
        seed: the same seed and cohort give the same split.

    Raises:
        ArgumentError: shares that are not numbers of 0 or more or do not leave a training set, a seed that is not a whole
            number of 0 or more, or a prevalence outside its range or without ``stratify``.
        SplitError: no such column, too few images of a class, or a training set left without a class.
        CohortError: an id that the cohort does not hold, an id named twice, a list without ids, or a prevalence of a
            cohort that is not binary.
        LeakageError: a group stands both inside and outside the ids given as test or val, an id is named in both, or the
            cohort holds synthetic images (of ``mc.resample``), whose parents could land on the other side.
    """
    if (made := is_synthetic(cohort.table)).any():
        raise LeakageError(
            f"{int(made.sum())} of {len(cohort)} images of {cohort.name} are synthetic, e.g. "
            f"{cohort.table.index[made][:3].tolist()}: they could stand in training while the images they were made from "
            "are tested. Split first, then resample the training set: mc.resample(splits.train, ...)"
        )
    if prevalence is not None and not stratify:
        raise ArgumentError(
            "prevalence= fixes the share of the positive class; it cannot be combined with stratify=False"
        )
    wanted = {"test": test, "val": val}
    shares = {
        name: share(name, value or 0, zero=True)
        for name, value in wanted.items()
        if value is None or np.ndim(value) == 0
    }
    if sum(shares.values()) >= 1:
        raise ArgumentError(f"test={test!r} and val={val!r} must sum to less than 1")
    rng = np.random.default_rng(whole_number("seed", seed))
    groups = group_numbers(cohort.table, group)
    part_of = np.full(len(cohort), "train", dtype=object)
    for name in [name for name in wanted if name not in shares]:
        part_of[_official(cohort, groups, part_of, name, wanted[name], group)] = name
    counted = quantities(cohort, by_class=stratify)
    for name, part in shares.items():
        if part > 0:
            if prevalence is None:
                need = np.round(part * counted.sum().to_numpy())
            else:
                need = wanted_at(prevalence, round(part * len(cohort)), cohort.positive)
            part_of[draw(groups, counted, need, part_of == "train", rng, f"a {name} set")] = name
    train, val_part, test_part = (
        cohort.subset(part_of == name) if (part_of == name).any() else None for name in Splits._fields
    )
    if train is None or (train.counts()[cohort.counts() > 0] == 0).any():
        left = {} if train is None else dict(train.counts())
        raise SplitError(
            f"the training set would be left without a class ({left}); ask for smaller test and validation sets, or a "
            "prevalence nearer to the cohort's"
        )
    return Splits(train, val_part, test_part)


def _official(
    cohort: Cohort, groups: NDArray[np.int64], part_of: NDArray[Any], name: str, ids: Any, group: str | None
) -> NDArray[np.bool_]:
    """The images of an official test or validation set, named by its ids: bool, N."""
    inside = cohort.table.index.isin(cohort.subset(ids).table.index)
    if (part_of[inside] != "train").any():
        twice = cohort.table.index[inside & (part_of != "train")][:3].tolist()
        raise LeakageError(f"{name}= names images that are already in the test set: {twice}")
    across = np.intersect1d(groups[inside], groups[~inside])
    if len(across):
        who = cohort.table.loc[np.isin(groups, across), group].unique()[:5].tolist()
        raise LeakageError(
            f"{len(across)} groups stand both inside and outside the ids given as {name}= (column '{group}': {who}); give "
            "all of their images, or none"
        )
    return inside
