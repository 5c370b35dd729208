"""Find what stands on both sides of a split: the same group, or the very same picture."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from medcourse.data.cohort import Cohort
from medcourse.data.splits import Splits
from medcourse.data.synthetic import parents_of
from medcourse.errors import CohortError


@dataclass(frozen=True)
class Leaks:
    """What ``find_leaks`` found; falsy when clean.

    Attributes:
        groups: one row per group that stands in two sets: left, right (names of the sets), group, n_left, n_right
            (images of the group in each, synthetic images made from it included).
        pairs: one row per pair of images with the same pixels in two sets: left, right, left_id, right_id.
    """

    groups: pd.DataFrame
    pairs: pd.DataFrame

    def __bool__(self) -> bool:
        return len(self.groups) > 0 or len(self.pairs) > 0

    def __repr__(self) -> str:
        if not self:
            return "Leaks: none"
        images = int(self.groups["n_right"].sum())
        return f"Leaks: {len(self.groups)} groups in two sets ({images} images on the right), {len(self.pairs)} identical pictures"


def find_leaks(parts: Mapping[str, Cohort] | Splits, by: str = "group") -> Leaks:
    """Groups and identical pictures that two sets share.

    A synthetic image (of ``mc.resample``; column ``parents``) counts for the groups of the images that it was made from,
    not for its own. A parent that stands in none of the sets counts as a group of its own.

    Args:
        parts: sets by name, e.g. ``{"train": a, "test": b}``, or the result of ``mc.split``.
        by: table column that names the patient or lesion.

    Returns:
        A ``Leaks``, falsy when every pair of sets is clean. Pictures count as identical when all their pixels are
        (SHA-256 of the decoded image), whatever their file names; compare sets that were loaded at the same size.

    Raises:
        CohortError: fewer than two sets, a set without the column, or parents that cannot be read.
    """
    sets = dict(parts.items())
    if len(sets) < 2:
        raise CohortError(f"find_leaks compares two or more sets; it was given {list(sets)}")
    for name, part in sets.items():
        if by not in part.table.columns:
            raise CohortError(f"by='{by}': the set '{name}' has no such column; it has {list(part.table.columns)}")
    members = _members(sets, by)
    pictures = {name: _pictures(part) for name, part in sets.items()}
    groups, pairs = [], []
    for left, right in combinations(sets, 2):
        groups.append(_shared_groups(left, members[left], right, members[right]))
        pairs.append(_same_pictures(left, pictures[left], right, pictures[right]))
    return Leaks(pd.concat(groups, ignore_index=True), pd.concat(pairs, ignore_index=True))


def _members(sets: Mapping[str, Cohort], by: str) -> dict[str, pd.Series]:
    """The groups that each set's images belong to or were made from: one entry per image and group."""
    parents = {name: parents_of(part.table) for name, part in sets.items()}
    made = {name: ids.map(len) > 0 for name, ids in parents.items()}
    own = {name: part.table.loc[~made[name], by].astype(object) for name, part in sets.items()}
    group_of = {str(image): group for groups in own.values() for image, group in groups.items()}
    return {
        name: pd.concat([own[name], ids[made[name]].map(lambda ids: list({group_of.get(i, i) for i in ids})).explode()])
        for name, ids in parents.items()
    }


def _shared_groups(left: str, a: pd.Series, right: str, b: pd.Series) -> pd.DataFrame:
    n = pd.concat([a.value_counts(), b.value_counts()], axis=1, join="inner").sort_index(key=lambda i: i.astype(str))
    return pd.DataFrame(
        {"left": left, "right": right, "group": n.index, "n_left": n.iloc[:, 0].array, "n_right": n.iloc[:, 1].array}
    )


def _pictures(part: Cohort) -> pd.DataFrame:
    hashes = [hashlib.sha256(part.read([row]).tobytes()).hexdigest() for row in range(len(part))]
    return pd.DataFrame({"hash": hashes, "id": part.table.index.to_numpy()})


def _same_pictures(left: str, a: pd.DataFrame, right: str, b: pd.DataFrame) -> pd.DataFrame:
    both = a.merge(b, on="hash", suffixes=("_left", "_right"))
    return pd.DataFrame(
        {"left": left, "right": right, "left_id": both["id_left"].array, "right_id": both["id_right"].array}
    )
