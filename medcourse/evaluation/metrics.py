"""How good are these predictions, and how sure can we be? Eleven metrics, each with an interval, and what a repair changed."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse import arguments
from medcourse.errors import ArgumentError, EvaluationError
from medcourse.evaluation.bootstrap import Limits, Resampling
from medcourse.evaluation.exact import PROPORTIONS, limits_at_edge
from medcourse.evaluation.predictions import Predictions, refuse_synthetic
from medcourse.evaluation.ranking import METRICS, Floats, Ranking, against_rest


def evaluate(
    pred: Predictions,
    threshold: float = 0.5,
    ci: float | None = 0.95,
    n_boot: int = 2000,
    group: str | None = "group",
    prevalence: float | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Eleven metrics of predictions, with intervals that respect patients.

    Intervals are percentile intervals of a cluster bootstrap: groups are drawn with replacement with all their images
    (Field & Welsh 2007; Efron & Tibshirani 1993), and all metrics share the draws. With fewer than some 20 groups they
    are too narrow.

    Where everything is right, or wrong, all draws are alike. A proportion (sensitivity, specificity, PPV, NPV, accuracy)
    that is exactly 0 or 1 then gets its Clopper-Pearson interval, with n = the groups among the images of the
    denominator; with ``prevalence`` PPV, NPV and accuracy follow from the limits of sensitivity and specificity. The
    other metrics have no exact limits: at their edge the interval has no width, and says nothing about how far they may
    be off. ``method`` says so ("no width").

    Args:
        pred: predictions. More than two classes: each class against the rest, and the most probable one is called.
            Multilabel: each finding among the images that were assessed for it.
        threshold: called positive at ``score >= threshold`` (each finding's own); choose it on validation data.
        ci: level of the intervals, in (0, 1); None: the values alone, which takes no time.
        n_boot: number of draws.
        group: table column that names what is independent (patient, lesion), or None: every image.
        prevalence: of two classes: restate PPV, NPV, accuracy, F1, MCC, average precision and Brier at this share of the
            disease, in (0, 1), by weighing the positive and negative images (in every draw); for sets that were enriched.
        seed: of the draws.

    Returns:
        DataFrame (shown as "0.29 [0.16, 0.44]"), index ``metric``: sensitivity, specificity, ppv, npv, accuracy, balanced accuracy, f1, mcc, auroc,
        average precision, brier; columns value, low, high (float64), method (how the interval was made, or "undefined:"
        and why, with NaN for the numbers), undefined_draws (left out because the metric was undefined in them).
        ``.attrs["method"]`` tells the number of groups and draws.
        F1 = 2 TP / (2 TP + FP + FN). MCC needs images in both classes and calls of both kinds. AUROC and average
        precision need both classes.

        More than two classes, or multilabel: index (``class``, ``metric``), last the class "macro": the mean over the
        classes in which the metric is defined. Of several classes, macro sensitivity is what is often called balanced
        accuracy; macro accuracy counts each image once for every class, so it is not the share of images called rightly.

    Raises:
        ArgumentError: a threshold that is not one number, or another argument outside its range.
        EvaluationError: no such column, or ``prevalence`` for more than two classes.
        LeakageError: the table's column ``synthetic`` marks an image.
    """
    sides = _sides(pred, threshold)
    if prevalence is not None:
        prevalence = arguments.share("prevalence", prevalence)
        if not pred.binary:
            raise EvaluationError("prevalence= restates one disease: relabel to two classes, or give pred.finding(...)")
    plan = Resampling.of(pred.table, group, ci, n_boot, seed)
    rankings = [Ranking(*side) for side in sides]
    values, samples = _values(rankings, prevalence), _samples(plan, rankings, prevalence)
    limits: list[Limits] = []
    for k, (truth, _, called) in enumerate(sides):
        limits += _with_exact(values[k], plan.limits(samples[:, k]), truth, called, plan, prevalence)
    return _table(pred, plan, {"value": values}, limits, samples)


def compare(
    before: Predictions,
    after: Predictions,
    threshold: float | tuple[float, float] = 0.5,
    ci: float | None = 0.95,
    n_boot: int = 2000,
    group: str | None = "group",
    seed: int = 0,
) -> pd.DataFrame:
    """What a repair changed: ``after - before`` on the same images, by a paired cluster bootstrap.

    Both are scored on the same draws, so that what the images have in common cancels: the interval is narrower than
    that of two separate sets.

    Args:
        before, after: predictions of the same images, in any order. Groups are taken from ``before``.
        threshold: one for both, or a pair (before, after).
        ci, n_boot, group, seed: as in ``evaluate``.

    Returns:
        DataFrame, index as in ``evaluate``; columns before, after, difference, low, high (of the difference), method,
        undefined_draws (in which either was). There are no exact limits for a difference: where "every draw alike" the
        interval has no width and says nothing. "macro" is the mean over the classes in which both are defined.

    Raises:
        ArgumentError: a threshold that is neither one number nor a pair, or another argument outside its range.
        EvaluationError: other images, other labels or classes, or what ``evaluate`` refuses.
        LeakageError: the table's column ``synthetic`` marks an image.
    """
    for pred in (before, after):
        refuse_synthetic(pred)
    given: Any = threshold.tolist() if isinstance(threshold, np.ndarray) else threshold
    cuts = tuple(given) if isinstance(given, list | tuple) else (given, given)
    if len(cuts) != 2:
        raise ArgumentError(f"threshold={threshold!r}: give one number, or a pair (before, after)")
    after = _aligned(before, after)
    rankings = [Ranking(*side) for pred, cut in zip((before, after), cuts, strict=True) for side in _sides(pred, cut)]
    plan = Resampling.of(before.table, group, ci, n_boot, seed)
    of_before, of_after = np.split(_values(rankings), 2)
    first, second = np.split(_samples(plan, rankings), 2, axis=1)
    samples = (second - first).reshape(-1, of_before.size)
    limits = plan.limits(samples)
    for name, values in (("after", of_after), ("before", of_before)):
        for k in np.flatnonzero(np.isnan(values)):
            limits[k] = Limits(np.nan, np.nan, f"undefined {name}; see mc.evaluate")
    columns = {"before": of_before, "after": of_after, "difference": of_after - of_before}
    return _table(before, plan, columns, limits, second - first)


def _aligned(before: Predictions, after: Predictions) -> Predictions:
    """``after`` in the order of ``before``; EvaluationError unless images, labels and classes are the same."""
    if (before.classes, before.task) != (after.classes, after.task):
        raise EvaluationError(
            f"before has the classes {before.classes} ({before.task}), after {after.classes} ({after.task})"
        )
    alone = before.table.index.symmetric_difference(after.table.index, sort=False)
    if len(alone):
        raise EvaluationError(
            f"compare needs the same images on both sides; {len(alone)} are on one only, e.g. {alone[:3].tolist()}"
        )
    after = Predictions(after.table.loc[before.table.index], after.classes, after.task)
    alike = (before.targets == after.targets) | (np.isnan(before.targets) & np.isnan(after.targets))
    differ = before.table.index[~alike.reshape(len(before), -1).all(axis=1)]
    if len(differ):
        raise EvaluationError(
            f"{len(differ)} images have another label before than after, e.g. {differ[:3].tolist()}: compare with one reference"
        )
    return after


def _sides(pred: Predictions, threshold: float) -> list[tuple[Floats, Floats, NDArray[np.bool_]]]:
    """Truth (0, 1, NaN = not assessed), score and call of the positive class, or of each class or finding."""
    refuse_synthetic(pred)
    called, n = pred.called(threshold), len(pred.classes)
    truth, calls = against_rest(pred.targets, n), against_rest(called, n) == 1
    return [(truth[:, k], pred.probabilities[:, k], calls[:, k]) for k in range(int(pred.binary), n)]


def _values(rankings: Sequence[Ranking], prevalence: float | None = None) -> Floats:
    """The metrics of the set itself, the draw in which every image occurs once: rankings x 11."""
    return np.concatenate([r.metrics(np.ones((1, len(r.order)), dtype=np.int64), prevalence) for r in rankings])


def _samples(plan: Resampling, rankings: Sequence[Ranking], prevalence: float | None = None) -> Floats:
    """The metrics of every ranking in the same draws: draws x rankings x 11."""
    return plan.samples([(ranking.order, partial(ranking.metrics, prevalence=prevalence)) for ranking in rankings])


def _table(
    pred: Predictions, plan: Resampling, columns: Mapping[str, Floats], limits: list[Limits], samples: Floats
) -> pd.DataFrame:
    """``columns`` (classes x 11 each) with their limits; but for a binary task "macro" comes last."""
    index: pd.Index = pd.Index(METRICS, name="metric")
    if not pred.binary:
        index = pd.MultiIndex.from_product([[*pred.classes, "macro"], METRICS], names=["class", "metric"])
        defined = np.all([~np.isnan(values) for values in columns.values()], axis=0)
        columns = {name: np.vstack([values, _macro(values, defined)]) for name, values in columns.items()}
        macro = _macro(samples, defined)
        for one, n in zip(plan.limits(macro), defined.sum(axis=0), strict=True):
            if n == 0:
                one = Limits(np.nan, np.nan, "undefined in every class")
            elif n < len(defined):
                one = one._replace(method=f"{one.method}; mean of {n} of {len(defined)} classes")
            limits = [*limits, one]
        samples = np.concatenate([samples, macro[:, None]], axis=1)
    flat = {name: values.ravel() for name, values in columns.items()}
    return plan.table(index, flat, limits, samples.reshape(len(samples), len(index)))


def _macro(values: Floats, defined: NDArray[np.bool_]) -> Floats:
    """Mean of ``values`` (... x classes x 11) over the classes in which the set has the metric."""
    n = defined.sum(axis=0)
    return np.where(defined, values, 0).sum(axis=-2) / np.where(n, n, np.nan)


def _with_exact(
    values: Floats,
    drawn: Sequence[Limits],
    truth: Floats,
    called: NDArray[np.bool_],
    plan: Resampling,
    prevalence: float | None,
) -> list[Limits]:
    """The limits of one class, with exact ones at 0 and 1, and the reason where a metric is undefined."""
    value, limits = dict(zip(METRICS, values.tolist(), strict=True)), dict(zip(METRICS, drawn, strict=True))
    known = ~np.isnan(truth)
    images = {
        "there is no positive image": truth == 1,
        "there is no negative image": truth == 0,
        "no image is called positive": known & called,
        "no image is called negative": known & ~called,
    }
    among = dict(zip(PROPORTIONS, (*images.values(), known), strict=True))
    limits |= limits_at_edge(value, limits, among, plan, prevalence)
    why = f"undefined: {' and '.join(text for text, some in images.items() if not some.any())}"
    return [Limits(np.nan, np.nan, why) if np.isnan(value[name]) else limits[name] for name in METRICS]
