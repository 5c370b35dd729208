"""Predictions: probabilities beside what was true and whose image it was."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medcourse.errors import EvaluationError, LeakageError


class Predictions:
    """One row per image: the reference label, the group, and a probability for every class.

    Args:
        table: index image id (or a column ``image_id``); columns ``label`` (class names, or integers 0..K-1 that are
            no class names themselves), ``p_<class>`` (in [0, 1]) and optionally ``group`` (patient or lesion; without
            it every image is its own group). With two classes ``p_<classes[1]>`` is enough. Other columns are kept.
        classes: class names; with two, ``classes[1]`` is the positive one.

    Attributes:
        table, classes: as given, completed.
        binary: whether there are two classes.
        targets: int64, N: position of each reference label in ``classes``.
        probabilities: float64, N x K.
        groups: N group names.

    Raises:
        EvaluationError: missing columns, unknown or missing labels, ids twice, or numbers that are no probabilities.
    """

    def __init__(self, table: pd.DataFrame, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise EvaluationError(f"classes are {self.classes}; there must be two or more, all different")
        table = table.set_index("image_id") if "image_id" in table.columns else table.copy()
        table.index.name = "image_id"
        if len(table) == 0:
            raise EvaluationError("there are no predictions: the table is empty")
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()].unique()[:3].tolist()
            raise EvaluationError(f"image ids must be unique; these occur more than once: {twice}")
        if "label" not in table.columns:
            raise EvaluationError(f"the table has no column 'label'; it has {list(table.columns)}")
        if "group" not in table.columns:
            table["group"] = table.index
        table["label"] = self._names(table["label"])
        self.table = self._with_probabilities(table)
        self.targets = pd.Categorical(table["label"], categories=list(self.classes)).codes.astype(np.int64)
        self.probabilities = self.table[[f"p_{name}" for name in self.classes]].to_numpy(np.float64)
        self.groups: NDArray[Any] = self.table["group"].to_numpy()

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.classes) == 2

    @property
    def positive(self) -> str:
        """The positive class.

        Raises:
            EvaluationError: there are more than two classes.
        """
        if not self.binary:
            raise EvaluationError(
                f"none of the {len(self.classes)} classes {self.classes} is the positive one; relabel the cohort to two "
                "classes (cohort.relabel(..., positive=...)) to judge one against the rest"
            )
        return self.classes[1]

    @property
    def scores(self) -> NDArray[np.float64]:
        """P(positive class), N (binary only; else EvaluationError)."""
        return self.probabilities[:, self.classes.index(self.positive)]

    def called(self, threshold: float = 0.5) -> NDArray[np.int64]:
        """The class that each image is called, int64, N: positive at score >= threshold; the likeliest of several."""
        if self.binary:
            return (self.scores >= threshold).astype(np.int64)
        return self.probabilities.argmax(1).astype(np.int64)

    def subset(self, mask: ArrayLike) -> "Predictions":
        """The predictions that a boolean mask names.

        Raises:
            EvaluationError: a mask of another length or type, or nothing left.
        """
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != (len(self),):
            raise EvaluationError(
                f"give one boolean per prediction ({len(self)}), not {chosen.dtype} of {chosen.shape}"
            )
        return Predictions(self.table[chosen], self.classes)

    def refuse_synthetic(self) -> None:
        """Raise LeakageError when the column ``synthetic`` marks an image: synthetic images are no patients."""
        if "synthetic" in self.table.columns and self.table["synthetic"].any():
            n = int(self.table["synthetic"].sum())
            raise LeakageError(
                f"{n} of these predictions are for synthetic images, which are no patients; judge real ones"
            )

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {int((self.targets == k).sum())}" for k, name in enumerate(self.classes))
        return f"Predictions: {len(self)} images, {pd.unique(self.groups).size} groups; {counts}"

    def _names(self, labels: pd.Series) -> pd.Series:
        if pd.api.types.is_integer_dtype(labels) and not set(labels) & set(self.classes):
            outside = ~labels.between(0, len(self.classes) - 1)
            if not outside.any():
                return labels.map(dict(enumerate(self.classes)))
        unknown = ~labels.isin(list(self.classes))
        if unknown.any():
            raise EvaluationError(
                f"{int(unknown.sum())} labels are none of the classes {self.classes}: "
                f"{labels[unknown].unique()[:5].tolist()} (images {labels.index[unknown][:3].tolist()})"
            )
        return labels

    def _with_probabilities(self, table: pd.DataFrame) -> pd.DataFrame:
        columns = [f"p_{name}" for name in self.classes]
        if self.binary and columns[1] in table.columns and columns[0] not in table.columns:
            table[columns[0]] = 1 - pd.to_numeric(table[columns[1]])
        if missing := [c for c in columns if c not in table.columns]:
            raise EvaluationError(f"the table lacks the probabilities {missing}; it has {list(table.columns)}")
        values = table[columns].to_numpy(np.float64)
        bad = ~(np.isfinite(values) & (values >= 0) & (values <= 1)).all(1)
        if bad.any():
            raise EvaluationError(
                f"{int(bad.sum())} images have probabilities outside 0..1 or missing: {table.index[bad][:3].tolist()}; "
                "scores must be probabilities (softmax or sigmoid of the logits)"
            )
        off = np.abs(values.sum(1) - 1) > 1e-3
        if off.any():
            raise EvaluationError(
                f"the probabilities of {int(off.sum())} images do not sum to 1: {table.index[off][:3].tolist()}"
            )
        return table


def checked_threshold(threshold: float) -> float:
    """The threshold as a float; EvaluationError when it is no finite number."""
    if isinstance(threshold, bool) or not isinstance(threshold, numbers.Real) or not np.isfinite(float(threshold)):
        raise EvaluationError(f"threshold={threshold!r} must be a number, such as 0.5")
    return float(threshold)
