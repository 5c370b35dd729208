"""SMOTE by imbalanced-learn on images that are never held as floats.

imbalanced-learn is given one-hot rows (a sparse identity matrix, row i standing for image i) and a neighbour search that
looks the images up in chunks. What it interpolates are then the weights of the images: a new row ``(1 - u) e_i + u e_j``
says to mix image i and its neighbour j. The mixing is done later, in chunks. For the same seed the result is the one that
imbalanced-learn finds on the float matrix (but for neighbours at exactly the same distance).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, identity
from sklearn.neighbors import NearestNeighbors

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError

NEIGHBOURS = 5  # k of Chawla et al. 2002
AROUND = 10  # m of Han et al. 2005: the neighbours that tell whether an image lies at the border
CHUNK = 64 * 2**20  # bytes of one chunk of floats; a few are held at once


@dataclass(frozen=True)
class Rows:
    """Rows of numbers that are made when asked for.

    Attributes:
        read: row numbers (int64, n) to float32 or float64, n x ``width``.
        width: numbers per row.
    """

    read: Callable[[NDArray[np.int64]], NDArray[Any]]
    width: int

    @property
    def at_once(self) -> int:
        """Rows in one chunk."""
        return max(1, CHUNK // (4 * self.width))


def pixels(cohort: Cohort) -> Rows:
    """All pixels of an image, in 0..255."""
    width = int(np.prod(cohort.images.shape[1:]))
    return Rows(lambda rows: cohort.read(rows).reshape(len(rows), width).astype(np.float32), width)


def rows_of(features: NDArray[np.float32]) -> Rows:
    """The rows of an array, N x D."""
    return Rows(lambda rows: features[rows].astype(np.float64), features.shape[1])


def interpolate(rows: Rows, targets: NDArray[np.int64], method: str, seed: int) -> csr_matrix:
    """How to mix new rows: one weight per image, summing to 1, for every new row.

    Args:
        rows: N rows of numbers.
        targets: int64, N; every class is filled up to the size of the largest (of "adasyn": about, by its rounding).
        method: "smote" (Chawla et al. 2002), "borderline-smote" (Han et al. 2005, Borderline-1) or "adasyn" (He et al. 2008).
        seed: of imbalanced-learn.

    Returns:
        Sparse float64, new x N, with one or two weights per row; and the new rows come in the order of the classes.

    Raises:
        TrainingError: too few images of a class, or (Borderline) no image of a class at the border.
    """
    counts = np.bincount(targets)
    rare = counts < counts.max()
    if (counts[rare] <= NEIGHBOURS).any():
        raise TrainingError(
            f"{method} needs {NEIGHBOURS + 1} images of a class or more, to find {NEIGHBOURS} neighbours; the counts are "
            f"{counts.tolist()}. Use method='over' or 'augment', or merge classes"
        )
    near = _Neighbours(rows, NEIGHBOURS + 1)
    if method == "smote":
        sampler: Any = SMOTE(k_neighbors=near, random_state=seed)
    elif method == "adasyn":
        sampler = ADASYN(n_neighbors=near, random_state=seed)
    else:
        if len(targets) <= AROUND:
            raise TrainingError(f"{method} looks at {AROUND} images around each; there are {len(targets)} in all")
        sampler = BorderlineSMOTE(
            k_neighbors=near,
            m_neighbors=_Neighbours(rows, AROUND + 1),
            random_state=seed,
        )
    try:
        mixed, labels = sampler.fit_resample(identity(len(targets), format="csr"), targets)
    except (RuntimeError, ValueError) as error:  # ADASYN found no image to start from
        if method != "adasyn":
            raise
        raise TrainingError(f"{method} makes more images where neighbours are of other classes: {error}") from error
    missing = np.flatnonzero(np.bincount(labels) < counts.max())
    if len(missing) and method != "adasyn":
        raise TrainingError(
            f"borderline-smote mixes images at the border (half or more, but not all, of the {AROUND} nearest are of other "
            f"classes); class {missing.tolist()} has none. Use method='smote'"
        )
    new = csr_matrix(mixed[len(targets) :])
    new.eliminate_zeros()
    new.sort_indices()
    return new


def mix(weights: csr_matrix, rows: Rows) -> Iterator[tuple[slice, NDArray[Any]]]:
    """``weights @ rows`` in chunks: which new rows, and their numbers (float32 for pixels, n x width)."""
    step = max(1, rows.at_once // 3)  # two parents and the mixture
    for start in range(0, weights.shape[0], step):
        part = slice(start, min(start + step, weights.shape[0]))
        used = np.unique(weights[part].indices).astype(np.int64)
        yield part, weights[part][:, used].astype(np.float32) @ rows.read(used)


class _Neighbours(NearestNeighbors):
    """The nearest rows by Euclidean distance, in the shape that imbalanced-learn asks for; rows are one-hot.

    On pixels the squared distances are exact (see ``_products``), so that every machine finds the same neighbours. A row
    comes first among its own neighbours, also where another picture equals it.
    """

    def __init__(self, rows: Rows, n_neighbors: int) -> None:
        super().__init__(n_neighbors=n_neighbors)
        self.rows = rows

    def __sklearn_clone__(self) -> "_Neighbours":
        return _Neighbours(self.rows, self.n_neighbors)  # scikit-learn would copy the images

    def fit(self, one_hot: csr_matrix) -> "_Neighbours":
        """Take the candidates."""
        self.candidates_ = one_hot.indices.astype(np.int64)
        return self

    def kneighbors(self, one_hot: csr_matrix, return_distance: bool = False) -> NDArray[np.int64]:
        """Positions among the candidates, n x ``n_neighbors``, nearest first."""
        queries = one_hot.indices.astype(np.int64)
        step = max(1, min(self.rows.at_once, CHUNK // (8 * len(self.candidates_))))  # images, and their distances
        return np.concatenate([self._nearest(queries[at : at + step]) for at in range(0, len(queries), step)])

    def _nearest(self, queries: NDArray[np.int64]) -> NDArray[np.int64]:
        here, step = self.rows.read(queries), self.rows.at_once
        squares = np.empty((len(queries), len(self.candidates_)))  # without the queries' own norms: the same order
        for at in range(0, len(self.candidates_), step):
            there = self.rows.read(self.candidates_[at : at + step])
            squares[:, at : at + step] = np.einsum("ij,ij->i", there, there, dtype=np.float64)
            squares[:, at : at + step] -= 2 * _products(here, there)
        squares[queries[:, None] == self.candidates_] = -np.inf
        return np.argsort(squares, axis=1, kind="stable")[:, : self.n_neighbors]


def _products(here: NDArray[Any], there: NDArray[Any]) -> NDArray[np.float64]:
    """``here @ there.T``, exact for pixels in float32: 256 products of at most 255**2 add up to less than 2**24."""
    total = np.zeros((len(here), len(there)))
    for at in range(0, here.shape[1], 256):
        total += here[:, at : at + 256] @ there[:, at : at + 256].T
    return total
