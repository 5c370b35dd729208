"""Some rows of a memory-mapped stack, or two stacks one behind the other, read only when asked for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


class Joined:
    """Two stacks of equal images, one behind the other, without a copy of either: old images and new ones.

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


ImageStack = NDArray[np.uint8] | ImageRows | Joined
