"""Find what stands on both sides of a split: the same group, or the very same picture."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medcourse.data.cohort import Cohort
from medcourse.data.splits import Splits
from medcourse.data.synthetic import parents_of
from medcourse.errors import CohortError

_SIDE = 32  # pixels of the small picture in which near duplicates are sought
_NEAR = 0.95  # correlation of fine detail
_CHUNK = 512


@dataclass(frozen=True)
class Leaks:
    """What ``find_leaks`` found; falsy when clean.

    Attributes:
        groups: one row per group that stands in two sets: left, right (names of the sets), group, n_left, n_right
            (images of the group in each, synthetic images made from it included).
        pairs: one row per pair of images with the same pixels in two sets: left, right, left_id, right_id, similarity (1
            for the same pixels, else the correlation that made them near duplicates).
    """

    groups: pd.DataFrame
    pairs: pd.DataFrame

    def __bool__(self) -> bool:
        return len(self.groups) > 0 or len(self.pairs) > 0

    def __repr__(self) -> str:
        if not self:
            return "Leaks: none"
        images, same = int(self.groups["n_right"].sum()), int((self.pairs["similarity"] == 1).sum())
        near = f", {len(self.pairs) - same} near duplicates" if len(self.pairs) > same else ""
        return f"Leaks: {len(self.groups)} groups in two sets ({images} images on the right), {same} identical pictures{near}"


def find_leaks(
    parts: Mapping[str, Cohort] | Splits, group: str | None = "group", near_duplicates: bool = False
) -> Leaks:
    """Groups and identical pictures that two sets share.

    A synthetic image (of ``mc.resample``; column ``parents``) counts for the groups of the images that it was made from,
    not for its own. Parents are looked up in the image's own set, then in all others, whose ids may name other images. A
    parent that stands in none of the sets counts as a group of its own, "image <id>". A text that reads as a number of the
    other set ("007" and 7) is the same name: CSV files turn one into the other.

    Args:
        parts: sets by name, e.g. ``{"train": a, "test": b}``, or the result of ``mc.split``.
        group: table column that names the patient or lesion; None: each image alone, by its id.
        near_duplicates: look for pictures saved again (other brightness, contrast or compression) as well: those whose
            fine detail correlates by 0.95 or more. Fine detail is the picture at 32 x 32 pixels less its blurred self.
            Shifted, cropped or mirrored copies are not found.

    Returns:
        A ``Leaks``, falsy when every pair of sets is clean. Pictures count as identical when all their pixels are
        (SHA-256 of the decoded image), whatever their file names; compare sets that were loaded at the same size.

    Raises:
        CohortError: fewer than two sets, something else than cohorts, a set without the column, or parents that cannot be
            read.
    """
    if not isinstance(parts, Mapping | Splits):
        raise CohortError(f"find_leaks needs sets by name, {{'train': a, 'test': b}}, not {type(parts).__name__}")
    sets = dict(parts.items())
    if len(sets) < 2:
        raise CohortError(f"find_leaks compares two or more sets; it was given {list(sets)}")
    for name, part in sets.items():
        if not isinstance(part, Cohort):
            raise CohortError(f"the set '{name}' is {type(part).__name__}, not a cohort; leave it out, or load it")
        if group is not None and group not in part.table.columns:
            raise CohortError(
                f"group={group!r}: the set '{name}' has no such column; it has {list(part.table.columns)}"
            )
    members = _members(sets, group)
    hashes = {name: pictures(part) for name, part in sets.items()}
    detail = _details(sets) if near_duplicates else {}
    groups, pairs = [], []
    for left, right in combinations(sets, 2):
        groups.append(_shared_groups(left, members[left], right, members[right]))
        same = _same_pictures(left, hashes[left], right, hashes[right])
        pairs.append(same)
        if near_duplicates:
            near = _near_pictures(left, sets[left], detail[left], right, sets[right], detail[right])
            known = pd.MultiIndex.from_frame(near[["left_id", "right_id"]]).isin(
                pd.MultiIndex.from_frame(same[["left_id", "right_id"]])
            )
            pairs.append(near[~known])
    return Leaks(pd.concat(groups, ignore_index=True), pd.concat(pairs, ignore_index=True))


def _members(sets: Mapping[str, Cohort], group: str | None) -> dict[str, pd.Series]:
    """The groups that each set's images belong to or were made from: one entry per image and group."""
    parents = {name: parents_of(part.table) for name, part in sets.items()}
    made = {name: ids.map(len) > 0 for name, ids in parents.items()}
    of_image = {name: part.table[group] if group else part.table.index.to_series() for name, part in sets.items()}
    own = {name: groups[~made[name]].astype(object) for name, groups in of_image.items()}
    groups = {name: _by_name(of_set) for name, of_set in own.items()}
    members = {}
    for name, ids in parents.items():
        at_home, elsewhere = groups[name], [known for other, known in groups.items() if other != name]
        made_from = [
            list({group for i in row for group in _groups_of(i, at_home, elsewhere)}) for row in ids[made[name]]
        ]
        members[name] = pd.concat([own[name], pd.Series(made_from, dtype=object).explode()])
    return members


def _by_name(groups: pd.Series) -> dict[Any, Any]:
    """The group of every image, by its id as text; by its number, too, where the id is one."""
    by_text = {str(image): group for image, group in groups.items()}
    return by_text | {
        int(image): group for image, group in zip(groups.index.tolist(), groups, strict=True) if isinstance(image, int)
    }


def _groups_of(parent: str, at_home: dict[Any, Any], elsewhere: list[dict[Any, Any]]) -> list[Any]:
    """The parent's group in its own set; else its groups in all others, which may use one id for several images."""
    for places in ([at_home], elsewhere):
        names = (parent, int(parent)) if parent.isdecimal() else (parent,)
        if found := [known[name] for known in places for name in names if name in known]:
            return found
    return [f"image {parent}"]  # never text that reads as the number of a group


def _as_numbers_of(a: pd.Series, b: pd.Series) -> pd.Series:
    """``b``, with every text that reads as one of ``a``'s numbers turned into it."""
    numbers = {int(group) for group in a.unique() if isinstance(group, Integral | float) and group % 1 == 0}
    return b.map(lambda g: int(g) if isinstance(g, str) and g.isdecimal() and int(g) in numbers else g)


def _shared_groups(left: str, a: pd.Series, right: str, b: pd.Series) -> pd.DataFrame:
    a, b = _as_numbers_of(b, a), _as_numbers_of(a, b)
    n = pd.concat([a.value_counts(), b.value_counts()], axis=1, join="inner").sort_index(key=lambda i: i.astype(str))
    return pd.DataFrame(
        {"left": left, "right": right, "group": n.index, "n_left": n.iloc[:, 0].array, "n_right": n.iloc[:, 1].array}
    )


def pictures(part: Cohort) -> pd.DataFrame:
    """One row per image: hash (SHA-256 of its pixels) and id."""
    hashes = [hashlib.sha256(part.read([row]).tobytes()).hexdigest() for row in range(len(part))]
    return pd.DataFrame({"hash": hashes, "id": part.table.index.to_numpy()})


def _same_pictures(left: str, a: pd.DataFrame, right: str, b: pd.DataFrame) -> pd.DataFrame:
    both = a.merge(b, on="hash", suffixes=("_left", "_right"))
    return pd.DataFrame(
        {
            "left": left,
            "right": right,
            "left_id": both["id_left"].array,
            "right_id": both["id_right"].array,
            "similarity": 1.0,
        }
    )


def _details(sets: Mapping[str, Cohort]) -> dict[str, NDArray[np.float32]]:
    """Fine detail of every picture, n x pixels, of mean 0 and norm 1 (0 for a blank one): a product is a correlation."""
    side = min(_SIDE, *(part.size for part in sets.values()))
    return {
        name: np.stack([_detail(part.read([row])[0], side) for row in range(len(part))]) for name, part in sets.items()
    }


def _detail(picture: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    small = Image.fromarray(picture.mean(axis=0, dtype=np.float32)).resize((side, side), Image.Resampling.BOX)
    coarse = max(1, side // 4)
    blurred = small.resize((coarse, coarse), Image.Resampling.BOX).resize((side, side), Image.Resampling.BILINEAR)
    detail = np.asarray(small).ravel() - np.asarray(blurred).ravel()
    detail -= detail.mean()
    return detail / max(float(np.linalg.norm(detail)), 1e-6)


def _near_pictures(
    left: str, a: Cohort, a_detail: NDArray[np.float32], right: str, b: Cohort, b_detail: NDArray[np.float32]
) -> pd.DataFrame:
    found = []
    for start in range(0, len(a), _CHUNK):
        alike = a_detail[start : start + _CHUNK] @ b_detail.T
        rows, columns = np.nonzero(alike >= _NEAR)
        ids = {"left_id": a.table.index[start + rows], "right_id": b.table.index[columns]}
        found.append(pd.DataFrame({"left": left, "right": right, **ids, "similarity": alike[rows, columns]}))
    # rounding can reach 1 where some pixels differ; 1 means identical
    return pd.concat(found, ignore_index=True).assign(similarity=lambda t: t["similarity"].clip(upper=0.9999))
