"""What classes, image ids, groups and labels must be: one set of rules for cohorts and for predictions.

Each rule raises the error class that its caller names, ``CohortError`` or ``EvaluationError``.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.arguments import one_of
from medcourse.errors import MedcourseError

Task = Literal["binary", "multiclass", "multilabel"]
Error = type[MedcourseError]


def task_of(table: pd.DataFrame, classes: Sequence[str], task: Task | None, error: Error) -> Task:
    """The task as stated; when None: multilabel if the table has ``y_<class>`` for every class and no ``label``, else by
    the number of classes.

    Raises:
        ArgumentError: a task that does not exist.
        error: too few class names, one that occurs twice, or a task that does not fit them.
    """
    if task is None:
        findings = "label" not in table and all(f"y_{name}" in table for name in classes)
        task = "multilabel" if findings else "binary" if len(classes) == 2 else "multiclass"
    one_of("task", task, get_args(Task))
    n, least = len(classes), 1 if task == "multilabel" else 2
    if isinstance(classes, str) or n < least or len(set(classes)) < n:
        needed = "one or more" if least == 1 else "two or more"
        raise error(f"classes are {classes!r}; there must be {needed} names, all different")
    if task != "multilabel" and (task == "binary") != (n == 2):
        raise error(
            f"task='{task}' does not fit the {n} classes {tuple(classes)}: two that exclude each other are 'binary', more "
            "are 'multiclass', findings that may occur together are 'multilabel'"
        )
    return task


def label_columns(classes: Sequence[str], task: Task) -> list[str]:
    """``label``, or ``y_<class>`` for every class of a multilabel task."""
    return [f"y_{name}" for name in classes] if task == "multilabel" else ["label"]


def positive_last(names: Sequence[str], positive: str | None, where: str, error: Error) -> tuple[str, ...]:
    """Class names with the positive one of two last: it is stated, never guessed.

    Raises:
        error: fewer than two names, no positive one of two, one that is not among them, or one of three or more.
    """
    names = list(names)
    if len(names) < 2:
        raise error(f"{where} has {len(names)} class(es) ({', '.join(names)}); two or more are needed")
    if positive is not None and positive not in names:
        raise error(f"positive='{positive}' is none of the classes {names} of {where}")
    if positive is not None and len(names) > 2:
        raise error(
            f"positive='{positive}' is for two classes; {where} has {len(names)}: {names}. Leave positive= out, or map them "
            "to two classes (relabel)"
        )
    if positive is None and len(names) == 2:
        raise error(f"state which of {names} is the positive class (the disease): positive='{names[1]}', say")
    return tuple(sorted(names, key=lambda name: name == positive))


def require_columns(table: pd.DataFrame, columns: Sequence[str], error: Error) -> None:
    """``error`` when the table lacks one of these columns."""
    if missing := [name for name in columns if name not in table.columns]:
        raise error(f"the table lacks the column(s) {missing}; it has {list(table.columns)}")


def check_rows(table: pd.DataFrame, classes: Sequence[str], task: Task, error: Error) -> None:
    """Refuse a table whose rows are no labelled images.

    Raises:
        error: no column of labels or groups, no row, an image id that occurs twice, an image without group or label, or a label outside the classes (for a
            finding outside 1, 0 and NaN).
    """
    labels = label_columns(classes, task)
    require_columns(table, [*labels, "group"], error)
    if len(table) == 0:
        raise error("the table has no rows: there is no image")
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()].unique()
        raise error(f"image ids must be unique; {len(twice)} occur more than once: {twice[:3].tolist()}")
    for name in ["group"] if task == "multilabel" else ["label", "group"]:
        if (empty := table[name].isna().to_numpy()).any():
            raise error(
                f"{int(empty.sum())} images have no {name}, e.g. {table.index[empty][:3].tolist()}; fill the column"
            )
    for name in labels:
        column = table[name]
        if task == "multilabel":
            strange, allowed = column.notna() & ~column.isin([0, 1]), "1 (present), 0 (absent) and NaN (not assessed)"
        else:
            strange, allowed = ~column.isin(classes), f"the classes {tuple(classes)}"
        if strange.any():
            values = ", ".join(map(repr, column[strange].unique()[:5].tolist()))
            raise error(
                f"{int(strange.sum())} images have values of '{name}' outside {allowed}: {values}, e.g. images "
                f"{column.index[strange][:3].tolist()}"
            )


def targets_of(table: pd.DataFrame, classes: Sequence[str], task: Task) -> NDArray[Any]:
    """int64, N: the position of each label in ``classes``; multilabel: float64, N x K, 1, 0 or NaN (not assessed)."""
    if task == "multilabel":
        # columns in another order than the classes come as a reversed view, which torch refuses
        return np.ascontiguousarray(table[label_columns(classes, task)].to_numpy(dtype=np.float64, na_value=np.nan))
    return pd.Categorical(table["label"], categories=list(classes)).codes.astype(np.int64)


def shown_in(targets: NDArray[Any], classes: Sequence[str], index: pd.Index) -> pd.DataFrame:
    """Images x classes: 1 where the image shows the class, else 0; NaN where a finding was not assessed."""
    values = targets if targets.ndim == 2 else np.eye(len(classes))[targets]
    return pd.DataFrame(values, index=index, columns=pd.Index(classes, name="label"))


def class_table(shown: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
    """One row per class (finding): images, groups, share (of all images that were assessed for it).

    Args:
        shown: as ``shown_in`` gives it.
        group: of each image.
    """
    has = shown.eq(1)
    groups = {name: group[has[name].to_numpy()].nunique() for name in shown}
    return pd.DataFrame({"images": has.sum(), "groups": pd.Series(groups, dtype=int), "share": shown.mean()})
