"""Split a cohort so that no patient (or lesion) stands on both sides."""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medcourse.data.cohort import Cohort
from medcourse.data.synthetic import is_synthetic
from medcourse.errors import LeakageError, SplitError

Counts = NDArray[np.float64]  # groups x quantities: images of each class, or images


@dataclass(frozen=True)
class Splits:
    """Training, validation (tuning) and test set; ``val`` or ``test`` is None when none was asked for."""

    train: Cohort
    val: Cohort | None
    test: Cohort | None

    def items(self) -> Iterator[tuple[str, Cohort]]:
        """Name and cohort of every part that exists."""
        parts = {"train": self.train, "val": self.val, "test": self.test}
        return ((name, part) for name, part in parts.items() if part is not None)

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


def split(
    cohort: Cohort,
    test: float | ArrayLike | None = 0.2,
    val: float | ArrayLike | None = 0.1,
    by: str | None = "group",
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
        by: table column that names who must not be on both sides; None splits image by image (which leaks whenever
            somebody has several images: for lessons and for comparison).
        stratify: keep the share of every class alike in all parts. In a multilabel cohort this means the share of images
            that show each finding, and of images that show none; a finding not assessed counts as not shown.
        prevalence: share of the positive class in test and validation set, 0 < prevalence < 1 (binary cohorts). Test
            is drawn first, then validation; training keeps the rest.
        seed: the same seed and cohort give the same split.

    Raises:
        SplitError: impossible shares, a seed that is not a whole number of 0 or more, too few images of a class, or a training
            set left without a class.
        CohortError: an id that the cohort does not hold, an id named twice, or a list without ids.
        LeakageError: a group stands both inside and outside the ids given as test or val, an id is named in both, or the
            cohort holds synthetic images (of ``mc.resample``), whose parents could land on the other side.
    """
    if (made := is_synthetic(cohort.table)).any():
        raise LeakageError(
            f"{int(made.sum())} of {len(cohort)} images of {cohort.name} are synthetic, e.g. "
            f"{cohort.table.index[made][:3].tolist()}: they could stand in training while the images they were made from "
            "are tested. Split first, then resample the training set: mc.resample(splits.train, ...)"
        )
    groups = _group_numbers(cohort, by)
    if prevalence is not None:
        _check_prevalence(cohort, prevalence, stratify)
    wanted = {"test": test, "val": val}
    shares = {name: _share(name, value) for name, value in wanted.items() if _is_share(value)}
    if min(shares.values(), default=0) < 0 or sum(shares.values()) >= 1:
        raise SplitError(f"test={test!r} and val={val!r} must be shares of 0 or more that sum to less than 1")
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise SplitError(f"seed={seed!r} must be a whole number of 0 or more")
    rng = np.random.default_rng(seed)
    part_of = np.zeros(len(cohort), dtype=np.int64)  # 0 train, 1 test, 2 val
    numbers = {"test": 1, "val": 2}
    for name in [name for name in wanted if name not in shares]:
        _assign(cohort, groups, part_of, numbers[name], name, np.atleast_1d(np.asarray(wanted[name])), by)
    for name, share in shares.items():
        if share > 0:
            _draw(cohort, groups, part_of, numbers[name], name, share, stratify, prevalence, rng)
    parts = [cohort.subset(part_of == k) if (part_of == k).any() else None for k in range(3)]
    train, test_part, val_part = parts
    if train is None or (train.counts()[cohort.counts() > 0] == 0).any():
        left = {} if train is None else dict(train.counts())
        raise SplitError(
            f"the training set would be left without a class ({left}); ask for smaller test and validation sets, or a "
            "prevalence nearer to the cohort's"
        )
    return Splits(train, val_part, test_part)


def _is_share(value: float | ArrayLike | None) -> bool:
    return np.ndim(value) == 0 and not isinstance(value, str)  # type: ignore[arg-type]  # None has no dimension


def _share(name: str, value: Any) -> float:
    """0 for None; SplitError for what is not a number."""
    try:
        share = 0.0 if value is None else float(np.asarray(value))
    except (TypeError, ValueError):
        share = float("nan")
    if np.isnan(share):
        raise SplitError(
            f"{name}={value!r} is not a number; give a share of all images, image ids, or None for no such part"
        )
    return share


def _group_numbers(cohort: Cohort, by: str | None) -> NDArray[np.int64]:
    if by is None:
        return np.arange(len(cohort))
    if by not in cohort.table.columns:
        raise SplitError(
            f"by='{by}': the table of {cohort.name} has no such column; it has {list(cohort.table.columns)}"
        )
    if (missing := cohort.table[by].isna()).any():
        raise SplitError(f"by='{by}' is empty for {int(missing.sum())} images, so nobody knows whose they are")
    return pd.factorize(cohort.table[by], sort=True)[0].astype(np.int64)


def _check_prevalence(cohort: Cohort, prevalence: float, stratify: bool) -> None:
    if cohort.task != "binary":
        raise SplitError(
            f"prevalence={prevalence} needs a binary cohort; {cohort.name} has {len(cohort.classes)} classes"
        )
    if not 0 < prevalence < 1:
        raise SplitError(f"prevalence={prevalence} must lie between 0 and 1")
    if not stratify:
        raise SplitError("prevalence= fixes the share of the positive class; it cannot be combined with stratify=False")


def _draw(
    cohort: Cohort,
    groups: NDArray[np.int64],
    part_of: NDArray[np.int64],
    number: int,
    name: str,
    share: float,
    stratify: bool,
    prevalence: float | None,
    rng: np.random.Generator,
) -> None:
    """Mark the images of one part in ``part_of``."""
    quantities = _quantities(cohort) if stratify else np.ones((len(cohort), 1))
    total = quantities.sum(0)
    if prevalence is None:
        need = np.round(share * total)
    else:
        positives = round(prevalence * share * len(cohort))
        need = np.array([round(share * len(cohort)) - positives, positives], dtype=float)
        if not need.all():
            absent = cohort.classes[int(np.argmin(need))]
            raise SplitError(
                f"a {name} set of {int(need.sum())} images at prevalence {prevalence} has no image of '{absent}'; ask for "
                "a larger set or another prevalence"
            )
    counts = np.zeros((groups.max() + 1, quantities.shape[1]))
    np.add.at(counts, groups[part_of == 0], quantities[part_of == 0])
    if (need > counts.sum(0)).any():
        k = int(np.argmax(need - counts.sum(0)))
        of = [*cohort.classes, "no finding"][k]
        raise SplitError(
            f"the {name} set needs {int(need[k])} images of '{of}', but only {int(counts[:, k].sum())} are left; lower {name}= or change prevalence="
        )
    chosen = _fill(counts, need, rng)
    taken = chosen[groups] & (part_of == 0)
    if not taken.any():
        raise SplitError(f"no group of {cohort.name} is small enough for a {name} set of {int(need.sum())} images")
    part_of[taken] = number


def _quantities(cohort: Cohort) -> Counts:
    """What each image counts for: its class; or (multilabel) each finding that it shows, else "no finding"."""
    if cohort.task != "multilabel":
        return np.eye(len(cohort.classes))[cohort.targets]
    shown = (cohort.targets == 1).astype(float)
    return np.column_stack([shown, ~shown.any(1)])


def _fill(counts: Counts, need: Counts, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Groups that together come close to ``need``: in random order, first those that fit, then any that help."""
    order = rng.permutation(np.flatnonzero(counts.sum(1) > 0))
    chosen = np.zeros(len(counts), dtype=bool)
    left = need.copy()
    for group in order:
        if (counts[group] <= left).all():
            chosen[group] = True
            left = left - counts[group]
    for group in order:
        if not left.any():
            break
        if not chosen[group] and np.abs(left - counts[group]).sum() < np.abs(left).sum():
            chosen[group] = True
            left = left - counts[group]
    return chosen


def _assign(
    cohort: Cohort,
    groups: NDArray[np.int64],
    part_of: NDArray[np.int64],
    number: int,
    name: str,
    ids: NDArray[np.generic],
    by: str | None,
) -> None:
    """Mark an official test or validation set, named by its image ids."""
    inside = cohort.table.index.isin(cohort.subset(ids).table.index)
    if (part_of[inside] != 0).any():
        twice = cohort.table.index[inside & (part_of != 0)][:3].tolist()
        raise LeakageError(f"{name}= names images that are already in the test set: {twice}")
    across = np.intersect1d(groups[inside], groups[~inside])
    if len(across):
        where = np.isin(groups, across)
        who = cohort.table.loc[where, by].unique()[:5].tolist() if by else []
        raise LeakageError(
            f"{len(across)} groups stand both inside and outside the ids given as {name}= (column '{by}': {who}); give "
            "all of their images, or none"
        )
    part_of[inside] = number
