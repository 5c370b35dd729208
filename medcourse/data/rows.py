"""Some rows of a memory-mapped stack, or two stacks concatenated, read only when asked for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.errors import CohortError


class ImageRows:
    """Some rows of an array, read only when asked for: a subset of a memory-mapped stack without a copy.

    Behaves like a read-only array in its first dimension: ``len``, ``shape``, ``dtype``, ``ndim``, indexing with an
    integer, a slice, integers or booleans (which reads those rows), iteration, and ``np.asarray`` (which reads all).
    """

    def __init__(self, base: "ImageStack", rows: NDArray[np.int64]) -> None:
        self._base = base
        self._rows = rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._rows), *self._base.shape[1:])

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        return self._base.dtype

    @property
    def ndim(self) -> int:
        return self._base.ndim

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        picked = self._base[self._rows[first]]
        if not rest:
            return picked
        return picked[rest] if np.ndim(self._rows[first]) == 0 else picked[(slice(None), *rest)]

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self._base[row] for row in self._rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._base[self._rows], dtype=dtype)

    def __repr__(self) -> str:
        return f"ImageRows(shape={self.shape}, dtype={self.dtype})"


class ConcatenatedImages:
    """Two stacks of images of one size, concatenated without a copy of either: old images and new ones.

    Has ``len``, ``shape``, ``dtype``, ``ndim`` and indexing with an integer or integers (0 or more), which reads those
    rows; a ``Cohort`` shows it as ``ImageRows``.
    """

    def __init__(self, first: "ImageStack", second: "ImageStack") -> None:
        self._first = first
        self._second = second
        self.shape: tuple[int, ...] = (len(first) + len(second), *first.shape[1:])
        self.dtype: np.dtype[np.uint8] = first.dtype
        self.ndim: int = first.ndim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        n = len(self._first)
        if np.ndim(rows) == 0:
            return self._first[rows] if rows < n else self._second[rows - n]
        behind = np.asarray(rows) >= n
        picked = np.empty((len(behind), *self.shape[1:]), dtype=self.dtype)
        picked[~behind] = self._first[rows[~behind]]
        picked[behind] = self._second[rows[behind] - n]
        return picked


ImageStack = NDArray[np.uint8] | ImageRows | ConcatenatedImages


def view(base: ImageStack, rows: NDArray[np.int64]) -> NDArray[np.uint8] | ImageRows:
    """These rows of a stack: the array itself when they are all of it, in order."""
    whole = len(rows) == len(base) and np.array_equal(rows, np.arange(len(base)))
    return base if whole and isinstance(base, np.ndarray) else ImageRows(base, rows)


def check_stacks(images: ImageStack, masks: ImageStack | None, rows: int) -> None:
    """Refuse images and masks that do not fit each other, or a table of so many rows.

    Raises:
        CohortError: says which shapes there are.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise CohortError(
            f"images are {images.dtype} of shape {images.shape}; they must be uint8, N x C x H x W with C = 1 or 3"
        )
    if len(images) != rows:
        raise CohortError(f"{len(images)} images, but {rows} table rows")
    if masks is not None and masks.shape != (len(images), *images.shape[2:]):
        raise CohortError(f"masks have shape {masks.shape}, images {images.shape}: give one mask per image")


def positions_of(which: Any, table: pd.DataFrame, name: str) -> NDArray[np.int64]:
    """Where the images lie that a mask, a list of ids or a function of the table names; see ``Cohort.subset``."""
    if callable(which):
        which = which(table)
    if isinstance(which, pd.Series) and which.dtype == bool and not which.index.equals(table.index):
        raise CohortError(f"the mask's index is not that of {name}.table; build it from this table")
    chosen = np.atleast_1d(np.asarray(which))
    if chosen.dtype == bool:
        if chosen.shape != (len(table),):
            raise CohortError(f"the mask has {chosen.size} values, {name} has {len(table)} images")
        return np.flatnonzero(chosen)
    positions = table.index.get_indexer(pd.Index(chosen))
    if (missing := positions < 0).any():
        raise CohortError(f"{name} has no image {chosen[missing][:3].tolist()} ({int(missing.sum())} such ids)")
    if len(np.unique(positions)) < len(positions):
        raise CohortError(f"an image id is named twice; a subset of {name} holds each image once")
    return positions.astype(np.int64)
