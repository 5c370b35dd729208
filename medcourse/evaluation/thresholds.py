"""Where to cut the scores, and what the cut does."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse import arguments
from medcourse.errors import ArgumentError, EvaluationError
from medcourse.evaluation.predictions import Predictions, refuse_synthetic

ARGUMENTS: dict[str, dict[str, float | None]] = {
    "youden": {},
    "sensitivity": {"at": 0.95},
    "specificity": {"at": 0.95},
    "cost": {"fn": 10.0, "fp": 1.0, "prevalence": None},
}


def choose_threshold(
    pred: Predictions,
    rule: str = "youden",
    at: float | None = None,
    fn: float | None = None,
    fp: float | None = None,
    prevalence: float | None = None,
) -> float:
    """The threshold that a rule chooses among the observed scores and one just above the largest (call nobody).

    Choose it on validation data (radiology's "tuning set"), never on the test set: a threshold that was fitted to the
    test set makes the test set look better than the next patients will.

    Args:
        pred: predictions of two classes, both present.
        rule: "youden": the largest sensitivity + specificity - 1 (Youden 1950, Cancer 3:32);
            "sensitivity": the highest threshold with sensitivity >= ``at``;
            "specificity": the lowest threshold with specificity >= ``at``;
            "cost": the lowest expected cost per case, fn * prevalence * (1 - sensitivity) + fp * (1 - prevalence) *
            (1 - specificity) (Metz 1978, Semin Nucl Med 8:283).
            Of equally good thresholds, "youden" and "cost" take the one with the higher sensitivity.
        at: for "sensitivity" and "specificity", in (0, 1]; 0.95.
        fn: for "cost", what a missed case costs, > 0; 10.
        fp: for "cost", what a false alarm costs, > 0; 1.
        prevalence: for "cost", in (0, 1); by default the share of positive images in ``pred``.

    Returns:
        The threshold, to be used as ``score >= threshold``.

    Raises:
        ArgumentError: an unknown rule, an argument that the rule does not use, or one outside its range.
        EvaluationError: a class without images, or more than two classes.
        LeakageError: the table's column ``synthetic`` marks an image.
    """
    options = _options(rule, {"at": at, "fn": fn, "fp": fp, "prevalence": prevalence})
    refuse_synthetic(pred)
    scores = pred.scores
    for name, count in zip(pred.classes, np.bincount(pred.targets, minlength=2), strict=True):
        if count == 0:
            raise EvaluationError(f"no image is '{name}': a threshold is chosen on images of both classes")
    cuts, true_positive, false_positive = _candidates(pred.targets, scores)
    positives, negatives = int(true_positive[-1]), int(false_positive[-1])
    if rule == "sensitivity":
        return float(cuts[np.argmax(true_positive / positives >= options["at"])])
    if rule == "specificity":
        enough = (negatives - false_positive) / negatives >= options["at"]
        return float(cuts[np.flatnonzero(enough)[-1]])
    if rule == "youden":  # in whole numbers, so that equal thresholds are found to be equal
        gain = true_positive * negatives - false_positive * positives
        return float(cuts[np.flatnonzero(gain == gain.max())[-1]])
    share = options.get("prevalence", positives / len(pred))
    missed, alarms = 1 - true_positive / positives, false_positive / negatives
    cost = options["fn"] * share * missed + options["fp"] * (1 - share) * alarms
    rounding = 1e-12 * max(options["fn"], options["fp"])
    return float(cuts[np.flatnonzero(cost <= cost.min() + rounding)[-1]])


def confusion(pred: Predictions, threshold: float = 0.5) -> pd.DataFrame:
    """Counts of images: rows what they are, columns what they are called.

    Args:
        pred: predictions of two or more classes.
        threshold: for two classes, called positive at ``score >= threshold``; of more classes the most probable is
            called, whatever the threshold.

    Returns:
        DataFrame of int64, K x K, in class order; index ``reference`` (the reference standard), columns ``called``.

    Raises:
        ArgumentError: a threshold that is not one number.
        EvaluationError: multilabel predictions.
        LeakageError: the table's column ``synthetic`` marks an image.
    """
    refuse_synthetic(pred)
    if pred.task == "multilabel":
        raise EvaluationError(f"findings may occur together; look at one at a time: pred.finding('{pred.classes[0]}')")
    k = len(pred.classes)
    called = pred.called(threshold)
    counts = np.bincount(pred.targets * k + called, minlength=k * k).reshape(k, k)
    return pd.DataFrame(
        counts, index=pd.Index(pred.classes, name="reference"), columns=pd.Index(pred.classes, name="called")
    )


def _candidates(
    targets: NDArray[np.int64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Falling thresholds, and the true and false positives that each of them calls (int64)."""
    cuts, position = np.unique(-scores, return_inverse=True)
    true_positive = np.cumsum(np.bincount(position, weights=targets == 1)).astype(np.int64)
    false_positive = np.cumsum(np.bincount(position, weights=targets == 0)).astype(np.int64)
    nobody = np.nextafter(-cuts[0], np.inf)
    return np.append(nobody, -cuts), np.append(0, true_positive), np.append(0, false_positive)


def _options(rule: str, given: dict[str, float | None]) -> dict[str, Any]:
    uses = ARGUMENTS[arguments.one_of("rule", rule, ARGUMENTS)]
    stated = {name: value for name, value in given.items() if value is not None}
    if unused := [name for name in stated if name not in uses]:
        raise ArgumentError(
            f"the rule '{rule}' does not use {', '.join(unused)}; it uses {', '.join(uses) or 'no argument'}"
        )
    for name, value in stated.items():
        if name in ("fn", "fp"):
            stated[name] = arguments.number(name, value, above=0)
        else:
            stated[name] = arguments.share(name, value, one=name == "at")
    return {name: value for name, value in uses.items() if value is not None} | stated
