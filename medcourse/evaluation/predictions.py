"""Predictions: what a model said about each image, beside the reference standard, checked once and then trusted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medcourse.errors import EvaluationError

SUM_TOLERANCE = 1e-3  # half precision softmax sums to 1 within about 5e-4
RANGE_TOLERANCE = 1e-6  # float32 softmax may exceed 1 by one rounding step


class Predictions:
    """The scores of one model on one set of images.

    Args:
        table: one row per image, index ``image_id`` (a column of that name becomes the index), with the columns
            ``label`` (class name, or its position 0..K-1), ``p_<class>`` for every class (probabilities in [0, 1]; of
            two classes only ``p_<classes[1]>`` is required), and, if known, ``group`` (patient or lesion; without it
            every image is its own group). All other columns are kept. The table is copied, never changed.
        classes: the K class names, K >= 2. With two, ``classes[1]`` is the positive one (the disease).

    Attributes:
        table: DataFrame, index ``image_id``, ``label`` as names, ``group`` and ``p_<class>`` of all classes filled in.
        classes: tuple of class names.
        targets: int64, N: position of the label in ``classes``.
        probabilities: float64, N x K, in [0, 1].

    Raises:
        EvaluationError: a column is missing, an id occurs twice, a label is unknown or empty, a probability is not
            finite or outside [0, 1], a row does not sum to 1 (within 0.001), or there is no image at all.
    """

    def __init__(self, table: pd.DataFrame, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        if isinstance(classes, str) or len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise EvaluationError(f"classes are {classes!r}; there must be two or more names, all different")
        table = _with_ids(table)
        self.probabilities: NDArray[np.float64] = _probabilities(table, self.classes)
        labels = _labels(table, self.classes)
        self.targets: NDArray[np.int64] = pd.Index(self.classes).get_indexer(pd.Index(labels)).astype(np.int64)
        added: dict[str, Any] = {"label": labels}
        added |= {f"p_{name}": self.probabilities[:, k] for k, name in enumerate(self.classes)}
        if "group" not in table.columns:
            added["group"] = table.index.to_numpy()
        elif (empty := table["group"].isna().to_numpy()).any():
            raise EvaluationError(
                f"{int(empty.sum())} images have no group, e.g. {_some(table.index[empty])}; fill the column, or drop "
                "it if every image is a patient of its own"
            )
        self.table = table.assign(**added)

    @property
    def binary(self) -> bool:
        """Are there exactly two classes?"""
        return len(self.classes) == 2

    @property
    def positive(self) -> str:
        """The positive class, ``classes[1]``.

        Raises:
            EvaluationError: more than two classes.
        """
        if not self.binary:
            raise EvaluationError(
                f"there are {len(self.classes)} classes ({', '.join(map(str, self.classes))}), and none of them is the "
                "positive one: relabel the cohort to two classes (cohort.relabel(..., positive=...)), or look at one "
                "class against the rest (a table with label and p_<class> for those two)"
            )
        return self.classes[1]

    @property
    def scores(self) -> NDArray[np.float64]:
        """P(positive class), float64, N, in [0, 1]; EvaluationError for more than two classes."""
        return self.probabilities[:, self.classes.index(self.positive)]

    @property
    def groups(self) -> NDArray[Any]:
        """The group (patient, lesion) of every image, N."""
        return self.table["group"].to_numpy()

    def called(self, threshold: float = 0.5) -> NDArray[np.int64]:
        """The class that each image is called, int64, N, as a position in ``classes``.

        Two classes: positive at ``score >= threshold``. More: the most probable one, whatever the threshold.
        """
        if self.binary:
            return (self.scores >= threshold).astype(np.int64)
        return self.probabilities.argmax(axis=1).astype(np.int64)

    def subset(self, mask: ArrayLike) -> "Predictions":
        """The predictions of the images where ``mask`` (bool, N; a Series must have the table's index) is true.

        Raises:
            EvaluationError: the mask is not boolean, has another length or index, or leaves no image.
        """
        if isinstance(mask, pd.Series) and not mask.index.equals(self.table.index):
            raise EvaluationError("the mask's index is not that of pred.table; build the mask from pred.table")
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != (len(self),):
            raise EvaluationError(
                f"the mask is {chosen.dtype} of shape {chosen.shape}; it must be boolean, one value for each of the "
                f"{len(self)} images"
            )
        if not chosen.any():
            raise EvaluationError(f"the mask leaves none of the {len(self)} images")
        return Predictions(self.table.loc[chosen], self.classes)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        counts = np.bincount(self.targets, minlength=len(self.classes))
        shown = ", ".join(f"{name} {n}" for name, n in zip(self.classes, counts, strict=True))
        return f"Predictions: {len(self)} images, {self.table['group'].nunique()} groups ({shown})"


def _some(ids: ArrayLike) -> str:
    shown = np.asarray(ids).tolist()
    return ", ".join(map(str, shown[:3])) + (", ..." if len(shown) > 3 else "")


def _with_ids(table: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame):
        raise EvaluationError(f"predictions need a DataFrame with one row per image, not {type(table).__name__}")
    table = table.set_index("image_id") if "image_id" in table.columns else table.rename_axis(index="image_id")
    if len(table) == 0:
        raise EvaluationError("the table of predictions has no rows")
    if not table.columns.is_unique:
        raise EvaluationError(f"columns occur twice: {_some(table.columns[table.columns.duplicated()])}")
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()].unique()
        raise EvaluationError(f"image ids must be unique; {len(twice)} occur more than once: {_some(twice)}")
    return table


def _probabilities(table: pd.DataFrame, classes: tuple[str, ...]) -> NDArray[np.float64]:
    names = [f"p_{name}" for name in classes]
    required = names[1:] if len(classes) == 2 else names
    if missing := [name for name in ["label", *required] if name not in table.columns]:
        raise EvaluationError(f"the table lacks the column(s) {missing}; it has {list(table.columns)}")
    present = [name for name in names if name in table.columns]
    try:
        values = table[present].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"the columns {present} must hold numbers in [0, 1]: {error}") from error
    wrong = ~((values >= -RANGE_TOLERANCE) & (values <= 1 + RANGE_TOLERANCE))  # NaN is wrong too
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise EvaluationError(
            f"probabilities must be finite and lie in [0, 1]; {int(wrong.any(axis=1).sum())} images have others, e.g. "
            f"{table.index[row]}: {present[column]} = {values[row, column]}. Give softmax outputs, not logits"
        )
    values = values.clip(0, 1)
    if values.shape[1] < len(names):  # two classes, the negative one left out
        return np.column_stack([1 - values[:, 0], values[:, 0]])
    off = np.abs(values.sum(axis=1) - 1)
    if off.max() > SUM_TOLERANCE:
        raise EvaluationError(
            f"the probabilities of an image must sum to 1; in {int((off > SUM_TOLERANCE).sum())} images they do not, "
            f"e.g. {table.index[off.argmax()]}: {values[off.argmax()].sum():.4f}"
        )
    return values


def _labels(table: pd.DataFrame, classes: tuple[str, ...]) -> NDArray[Any]:
    """Class names, N; integers that are no class names themselves are positions in ``classes``."""
    labels = table["label"].to_numpy(dtype=object)
    known = pd.Index(classes).get_indexer(pd.Index(labels, dtype=object)) >= 0
    if pd.api.types.infer_dtype(labels, skipna=False) == "integer" and not known.any():
        positions = labels.astype(np.int64)
        known = (positions >= 0) & (positions < len(classes))
        if known.all():
            return np.array(classes, dtype=object)[positions]
    if not known.all():
        counts = pd.Series(labels[~known]).value_counts(dropna=False)
        shown = ", ".join(f"{label!r} ({n} images)" for label, n in counts.head(5).items())
        raise EvaluationError(
            f"labels must be one of the classes {classes} or a position 0..{len(classes) - 1}; found {shown}, "
            f"e.g. {_some(table.index[~known])}"
        )
    return labels
