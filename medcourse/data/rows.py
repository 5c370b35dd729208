"""Some rows of a memory-mapped stack, read only when asked for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ImageRows:
    """Some rows of an array, read only when asked for: a subset of a memory-mapped stack without a copy.

    Behaves like a read-only array in its first dimension: ``len``, ``shape``, ``dtype``, ``ndim``, indexing with an
    integer, a slice, integers or booleans (which reads those rows), iteration, and ``np.asarray`` (which reads all).
    """

    def __init__(self, base: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
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
