"""Find what stands on both sides of a split: the same group, or the very same picture."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, combinations
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from medcourse.data.cohort import Cohort
from medcourse.data.splits import Splits
from medcourse.data.synthetic import parents_of
from medcourse.errors import CohortError
from medcourse.markup import Part, as_html, as_text, count

_SIDE = 32  # pixels of the small picture in which near duplicates are sought
_NEAR = 0.95  # correlation of fine detail
_CHUNK = 512
_SHOWN = 5  # groups that the notebook names


@dataclass(frozen=True)
class Leaks:
    """What ``find_leaks`` found; falsy when clean.

    Attributes:
        groups: one row per group that stands in two sets: left, right (names of the sets), group, n_left, n_right
            (images of the group in each, synthetic images made from it included).
        pairs: one row per pair of images with the same pixels in two sets: left, right, left_id, right_id, similarity (1
            for the same pixels, else the correlation that made them near duplicates).
        sets: names of the sets that were compared.
        compared: what was looked at, in words.
    """

    groups: pd.DataFrame
    pairs: pd.DataFrame
    sets: tuple[str, ...]
    compared: str

    def __bool__(self) -> bool:
        return len(self.groups) > 0 or len(self.pairs) > 0

    def __repr__(self) -> str:
        return as_text(self._view())

    def _repr_html_(self) -> str:
        most = (
            (self.groups["n_left"] + self.groups["n_right"]).sort_values(ascending=False, kind="stable").index[:_SHOWN]
        )
        examples = self.groups.loc[most, ["group", "left", "n_left", "right", "n_right"]].set_index("group")
        examples.columns = pd.Index(["in", "images", "and in", "images"])
        note: list[Part] = ["The groups with most images are (all: .groups):", examples] if len(examples) else []
        return as_html([*self._view(), *note])

    def _view(self) -> list[Part]:
        title = f"{'Leaks' if self else 'No leaks'} between {', '.join(self.sets)}"
        both = _joined([table[["left", "right"]] for table in (self.groups, self.pairs)]).drop_duplicates()
        found = [self._between(*names) for names in both.itertuples(index=False)]
        return [title, *found, f"Compared: {self.compared}."]

    def _between(self, left: str, right: str) -> str:
        """What two sets share, in words."""
        groups, pairs = (
            table[(table["left"] == left) & (table["right"] == right)] for table in (self.groups, self.pairs)
        )
        same = int((pairs["similarity"] == 1).sum())
        found = {
            f"{count(len(groups), 'group')} in both ({count(int(groups['n_left'].sum()), 'image')} in {left}, "
            f"{count(int(groups['n_right'].sum()), 'image')} in {right})": len(groups),
            count(same, "identical picture"): same,
            count(len(pairs) - same, "near duplicate"): len(pairs) - same,
        }
        return f"{left} and {right}: " + ", ".join(words for words, n in found.items() if n)


def find_leaks(
    parts: Mapping[str, Cohort] | Splits, group: str | None = "group", near_duplicates: bool = False
) -> Leaks:
    """Groups and identical pictures that two sets share.

    A synthetic image (of ``mc.resample``; column ``parents``) counts for the groups of the images that it was made from,
    not for its own. Parents are looked up in the image's own set, then in all others, whose ids may name other images. A
    parent that stands in none of the sets counts as a group of its own, "image <id>". "007", "7" and 7 are the same name: CSV
    files turn one into the other.

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
    members, written = _members(sets, group)
    hashes = {name: pictures(part) for name, part in sets.items()}
    detail = _details(sets) if near_duplicates else {}
    groups, pairs = [], []
    for left, right in combinations(sets, 2):
        groups.append(_shared_groups(left, members[left], right, members[right], written))
        same = hashes[left].merge(hashes[right], on="hash", suffixes=("_left", "_right"))
        pairs.append(_pairs(left, same["id_left"], right, same["id_right"], 1.0))
        if near_duplicates:
            pairs.append(_near_pictures(left, sets[left], detail[left], right, sets[right], detail[right]))
    both = _joined(pairs).drop_duplicates(["left", "right", "left_id", "right_id"], ignore_index=True)
    compared = f"{f'the column {group!r}' if group else 'the image ids'}, equal pictures"
    compared += ", near duplicates" if near_duplicates else ""
    return Leaks(pd.concat(groups, ignore_index=True), both, tuple(sets), compared)


def _members(sets: Mapping[str, Cohort], group: str | None) -> tuple[dict[str, pd.Series], dict[str, Any]]:
    """The groups that each set's images belong to or were made from, one entry per image and group; and how the tables
    write these names."""
    parents = {name: parents_of(part.table).map(lambda ids: [_name(i) for i in ids]) for name, part in sets.items()}
    own = {}
    for name, part in sets.items():
        groups = part.table[group] if group else part.table.index.to_series()
        own[name] = groups[parents[name].map(len) == 0].dropna()
    of_image = {
        name: dict(zip(map(_name, groups.index), map(_name, groups), strict=True)) for name, groups in own.items()
    }
    members = {}
    for name, rows in parents.items():
        elsewhere = [known for other, known in of_image.items() if other != name]
        made_from = [
            {group for parent in ids for group in _groups_of(parent, of_image[name], elsewhere)} for ids in rows
        ]
        members[name] = pd.Series([*of_image[name].values(), *chain.from_iterable(made_from)], dtype=object)
    return members, {_name(group): group for groups in own.values() for group in groups}


def _groups_of(parent: str, at_home: dict[str, str], elsewhere: list[dict[str, str]]) -> list[str]:
    """The parent's group in its own set; else its groups in all others, which may use one id for several images."""
    found = [known[parent] for known in ([at_home] if parent in at_home else elsewhere) if parent in known]
    return found or [f"image {parent}"]  # never text that reads as the number of a group


def _name(value: Any) -> str:
    """A name as it reads whatever a CSV file made of it: 7, 7.0, "7" and "007" are one name."""
    number = isinstance(value, Integral | float) and value % 1 == 0
    return str(int(value)) if number or (isinstance(value, str) and value.isdecimal()) else str(value)


def _shared_groups(left: str, a: pd.Series, right: str, b: pd.Series, written: Mapping[str, Any]) -> pd.DataFrame:
    n = pd.concat([a.value_counts(), b.value_counts()], axis=1, join="inner").sort_index()
    groups = [written.get(name, name) for name in n.index]
    return pd.DataFrame(
        {"left": left, "right": right, "group": groups, "n_left": n.iloc[:, 0].array, "n_right": n.iloc[:, 1].array}
    )


def pictures(part: Cohort) -> pd.DataFrame:
    """One row per image: hash (SHA-256 of its pixels) and id."""
    hashes = [hashlib.sha256(part.read([row]).tobytes()).hexdigest() for row in range(len(part))]
    return pd.DataFrame({"hash": hashes, "id": part.table.index.to_numpy()})


def _pairs(left: str, left_ids: ArrayLike, right: str, right_ids: ArrayLike, similarity: ArrayLike) -> pd.DataFrame:
    ids = {"left_id": np.asarray(left_ids), "right_id": np.asarray(right_ids)}
    return pd.DataFrame({"left": left, "right": right, **ids, "similarity": similarity})


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
        near = np.minimum(
            alike[rows, columns], 0.9999
        )  # rounding can reach 1 where some pixels differ; 1 means identical
        found.append(_pairs(left, a.table.index[start + rows], right, b.table.index[columns], near))
    return _joined(found)


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all; empty tables are left out, since pandas 2 warns about their column types."""
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
