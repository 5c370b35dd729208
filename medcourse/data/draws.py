"""Draw images in whole groups (patients, lesions): what ``mc.split`` and ``cohort.sample`` share."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.arguments import share, whole_number
from medcourse.errors import SplitError

if TYPE_CHECKING:
    from medcourse.data.cohort import Cohort

Counts = NDArray[np.float64]  # groups x quantities: images of each class, or images


def group_numbers(table: pd.DataFrame, group: str | None) -> NDArray[np.int64]:
    """The group of every image as a number from 0 on; without a column each image is a group.

    Raises:
        SplitError: the table has no such column, or it has empty cells.
    """
    if group is None:
        return np.arange(len(table))
    if group not in table.columns:
        raise SplitError(f"group={group!r}: the table has no such column; it has {list(table.columns)}")
    if (missing := table[group].isna()).any():
        raise SplitError(f"group='{group}' is empty for {int(missing.sum())} images, so nobody knows whose they are")
    return pd.factorize(table[group], sort=True)[0].astype(np.int64)


def quantities(cohort: "Cohort", by_class: bool) -> pd.DataFrame:
    """What each image counts for, N x quantities: its class (each finding that it shows, else "no finding"); or 1."""
    if not by_class:
        return pd.DataFrame({"images": np.ones(len(cohort))})
    if cohort.task != "multilabel":
        return pd.DataFrame(np.eye(len(cohort.classes))[cohort.targets], columns=list(cohort.classes))
    shown = pd.DataFrame(cohort.targets == 1, columns=list(cohort.classes))
    return shown.assign(**{"no finding": ~shown.any(axis=1)}).astype(float)


def wanted_at(prevalence: float, n: int, positive: str) -> Counts:
    """How many images of the negative and of the positive class make ``n`` at this share of the positive one.

    Raises:
        ArgumentError: a prevalence that is not between 0 and 1.
        SplitError: one class would have no image.
    """
    positives = round(share("prevalence", prevalence) * n)
    if positives in (0, n):
        only = f"no image of '{positive}'" if positives == 0 else f"only images of '{positive}'"
        raise SplitError(f"{n} images at prevalence {prevalence}: {only}; ask for more images or another prevalence")
    return np.array([n - positives, positives], dtype=float)


def draw(
    groups: NDArray[np.int64],
    quantities: pd.DataFrame,
    wanted: Counts,
    free: NDArray[np.bool_],
    rng: np.random.Generator,
    what: str,
) -> NDArray[np.bool_]:
    """Which images to take, bool, N: whole groups in random order, until they hold about the wanted quantities.

    Args:
        groups: int, N, from ``group_numbers``.
        quantities: N rows, what each image counts for; a column for each class, or one for all images.
        wanted: the sum of each quantity.
        free: bool, N: the images that may be taken.
        rng: one permutation is drawn.
        what: is drawn, for the message.

    Raises:
        SplitError: there are fewer images than are wanted, or no group is small enough.
    """
    counts = np.zeros((groups.max() + 1, quantities.shape[1]))
    np.add.at(counts, groups[free], quantities.to_numpy(dtype=np.float64)[free])
    if (wanted > counts.sum(0)).any():
        k = int(np.argmax(wanted - counts.sum(0)))
        of_class = f" of '{quantities.columns[k]}'" if quantities.shape[1] > 1 else ""
        raise SplitError(
            f"{what} needs {int(wanted[k])} images{of_class}, but only {int(counts[:, k].sum())} are left; ask for fewer, or "
            "for another prevalence"
        )
    taken = _fill(counts, wanted, rng)[groups] & free
    if not taken.any():
        raise SplitError(f"no group is small enough for {what} of {int(wanted.sum())} images")
    return taken


def _fill(counts: Counts, wanted: Counts, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Groups that together come close to ``wanted``: in random order, first those that fit, then any that help."""
    order = rng.permutation(np.flatnonzero(counts.sum(1) > 0))
    chosen = np.zeros(len(counts), dtype=bool)
    left = wanted.copy()
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


def sampled(cohort: "Cohort", n: int, prevalence: float | None, group: str | None, seed: int) -> NDArray[np.bool_]:
    """Which images ``Cohort.sample`` takes: bool, N."""
    rng, n = np.random.default_rng(whole_number("seed", seed)), whole_number("n", n, least=1)
    wanted = np.array([n]) if prevalence is None else wanted_at(prevalence, n, cohort.positive)
    counted = quantities(cohort, by_class=prevalence is not None)
    return draw(group_numbers(cohort.table, group), counted, wanted, np.ones(len(cohort), bool), rng, "the sample")
