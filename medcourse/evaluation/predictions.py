"""Predictions: what a model said about each image, beside the reference standard, checked once and then trusted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medcourse import arguments
from medcourse.data.labels import Task, check_rows, label_columns, require_columns, targets_of, task_of
from medcourse.data.synthetic import is_synthetic
from medcourse.errors import EvaluationError, LeakageError

SUM_TOLERANCE = 1e-3  # half precision softmax sums to 1 within about 5e-4
RANGE_TOLERANCE = 1e-6  # float32 softmax may exceed 1 by one rounding step


class Predictions:
    """The scores of one model on one set of images.

    Args:
        table: one row per image, index ``image_id`` (a column of that name becomes the index), with the columns
            ``label`` (class name, or its position 0..K-1), ``p_<class>`` for every class (probabilities in [0, 1]; of
            two classes only ``p_<classes[1]>`` is required), and, if known, ``group`` (patient or lesion; without it
            every image is its own group). Multilabel: ``y_<class>`` (1 present, 0 absent, NaN not assessed) in place of
            ``label``. All other columns are kept. The table is copied, never changed.
        classes: the K class names, K >= 2 (multilabel: K >= 1). With two that exclude each other, ``classes[1]`` is the
            positive one (the disease).
        task: "binary", "multiclass" or "multilabel" (findings that may occur together). When None: multilabel if the
            table has ``y_<class>`` for every class and no ``label``, else by the number of classes.

    Attributes:
        table: DataFrame, index ``image_id``, ``label`` as names, ``group`` and ``p_<class>`` of all classes filled in.
        classes: tuple of class names.
        task: as above.
        targets: int64, N: position of the label in ``classes``. Multilabel: float64, N x K, NaN = not assessed.
        probabilities: float64, N x K, in [0, 1].

    Raises:
        ArgumentError: a task that does not exist.
        EvaluationError: a column is missing, an id occurs twice, a label is unknown or empty, a probability is not
            finite or outside [0, 1], a row does not sum to 1 (within 0.001; not multilabel), or there is no image at
            all.
    """

    def __init__(self, table: pd.DataFrame, classes: Sequence[str], task: Task | None = None) -> None:
        self.classes = tuple(classes)
        table = _with_ids(table)
        self.task: Task = task_of(table, classes, task, EvaluationError)
        require_columns(table, label_columns(self.classes, self.task), EvaluationError)
        added: dict[str, Any] = {} if "group" in table.columns else {"group": table.index.to_numpy()}
        if self.task != "multilabel":
            added["label"] = _named(table["label"].to_numpy(dtype=object), self.classes)
        table = table.assign(**added)
        check_rows(table, self.classes, self.task, EvaluationError)
        self.targets: NDArray[Any] = targets_of(table, self.classes, self.task)
        self.probabilities: NDArray[np.float64] = _probabilities(table, self.classes, self.task)
        self.table = table.assign(**{f"p_{name}": self.probabilities[:, k] for k, name in enumerate(self.classes)})

    @property
    def binary(self) -> bool:
        """Are there exactly two classes, of which every image shows one?"""
        return self.task == "binary"

    @property
    def positive(self) -> str:
        """The positive class, ``classes[1]``.

        Raises:
            EvaluationError: more than two classes, or multilabel.
        """
        if not self.binary:
            one = (
                f"pred.finding('{self.classes[0]}')"
                if self.task == "multilabel"
                else "cohort.relabel(..., positive=...)"
            )
            raise EvaluationError(
                f"these are {self.task} predictions of {', '.join(map(str, self.classes))}, and none of them is the positive "
                f"class; look at one at a time: {one}"
            )
        return self.classes[1]

    @property
    def scores(self) -> NDArray[np.float64]:
        """P(positive class), float64, N, in [0, 1]; EvaluationError unless binary."""
        return self.probabilities[:, self.classes.index(self.positive)]

    def called(self, threshold: float = 0.5) -> NDArray[np.int64]:
        """The class that each image is called, int64, N, as a position in ``classes``.

        Two classes: positive at ``score >= threshold``. More: the most probable one, whatever the threshold. Multilabel:
        N x K, 1 where the finding's own probability is >= ``threshold``.

        Raises:
            ArgumentError: a threshold that is not one number.
        """
        threshold = arguments.number("threshold", threshold)
        if self.task == "multilabel":
            return (self.probabilities >= threshold).astype(np.int64)
        if self.binary:
            return (self.scores >= threshold).astype(np.int64)
        return self.probabilities.argmax(axis=1).astype(np.int64)

    def finding(self, name: str) -> "Predictions":
        """One finding of multilabel predictions as binary ones, for ``mc.evaluate`` and ``mc.choose_threshold``.

        Returns:
            Predictions of the classes ``("no <name>", name)``, without the images that were not assessed for it; all
            columns are kept.

        Raises:
            EvaluationError: not multilabel, no such finding, or no image was assessed for it.
        """
        if self.task != "multilabel" or name not in self.classes:
            raise EvaluationError(
                f"no finding '{name}' in {self.task} predictions of {', '.join(map(str, self.classes))}"
            )
        target = self.targets[:, self.classes.index(name)]
        assessed = ~np.isnan(target)
        if not assessed.any():
            raise EvaluationError(f"no image was assessed for '{name}' (y_{name} is empty in all {len(self)})")
        classes = (f"no {name}", name)
        labels = np.array(classes, dtype=object)[target[assessed].astype(np.int64)]
        return Predictions(self.table.loc[assessed].assign(label=labels), classes)

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
        return Predictions(self.table.loc[chosen], self.classes, self.task)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        if self.task == "multilabel":
            present, assessed = (self.targets == 1).sum(0), (~np.isnan(self.targets)).sum(0)
            counts = [f"{n} of {known}" for n, known in zip(present, assessed, strict=True)]
        else:
            counts = [str(n) for n in np.bincount(self.targets, minlength=len(self.classes))]
        shown = ", ".join(f"{name} {n}" for name, n in zip(self.classes, counts, strict=True))
        return f"Predictions: {len(self)} images, {self.table['group'].nunique()} groups ({shown})"


def _with_ids(table: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame):
        raise EvaluationError(f"predictions need a DataFrame with one row per image, not {type(table).__name__}")
    table = table.set_index("image_id") if "image_id" in table.columns else table.rename_axis(index="image_id")
    if not table.columns.is_unique:
        raise EvaluationError(f"columns occur twice: {table.columns[table.columns.duplicated()].unique().tolist()}")
    return table


def _probabilities(table: pd.DataFrame, classes: tuple[str, ...], task: Task) -> NDArray[np.float64]:
    names = [f"p_{name}" for name in classes]
    require_columns(table, names[1:] if task == "binary" else names, EvaluationError)
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
            f"{table.index[row]}: {present[column]} = {values[row, column]}. Give softmax or sigmoid outputs, not logits"
        )
    values = values.clip(0, 1)
    if values.shape[1] < len(names):  # two classes, the negative one left out
        return np.column_stack([1 - values[:, 0], values[:, 0]])
    off = np.abs(values.sum(axis=1) - 1)
    if task != "multilabel" and off.max() > SUM_TOLERANCE:
        raise EvaluationError(
            f"the probabilities of an image must sum to 1; in {int((off > SUM_TOLERANCE).sum())} images they do not, "
            f"e.g. {table.index[off.argmax()]}: {values[off.argmax()].sum():.4f}"
        )
    return values


def _named(labels: NDArray[Any], classes: tuple[str, ...]) -> NDArray[Any]:
    """Integers that are no class names themselves are positions in ``classes``: their names."""
    known = pd.Index(classes).get_indexer(pd.Index(labels, dtype=object)) >= 0
    if pd.api.types.infer_dtype(labels, skipna=False) != "integer" or known.any():
        return labels
    positions = labels.astype(np.int64)
    inside = (positions >= 0) & (positions < len(classes))
    return np.array(classes, dtype=object)[positions] if inside.all() else labels


def refuse_synthetic(pred: Predictions) -> None:
    """LeakageError when the column ``synthetic`` marks any image: performance is told on patients only.

    EvaluationError for anything but ``Predictions``.
    """
    if not isinstance(pred, Predictions):
        raise EvaluationError(f"give mc.Predictions (trainer.predict(cohort)), not {type(pred).__name__}")
    made = is_synthetic(pred.table)
    if made.any():
        raise LeakageError(
            f"synthetic images are not patients: {int(made.sum())} of {len(pred)} images are marked synthetic, e.g. "
            f"{pred.table.index[made][:3].tolist()}. Resample the training set only, or evaluate "
            "pred.subset(~pred.table['synthetic'].astype(str).str.lower().isin(['true', '1', '1.0']))"
        )
