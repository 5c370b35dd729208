"""How good are these predictions, and how sure can we be? Eleven metrics of a binary task, each with an interval."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medcourse.errors import EvaluationError
from medcourse.evaluation.clusters import (
    Clusters,
    check_interval,
    draws,
    every_draw_alike,
    find_clusters,
    percentile_limits,
)
from medcourse.evaluation.exact import Limits, Setting, limits_at_edge
from medcourse.evaluation.exact import PredictiveValues as PredictiveValues
from medcourse.evaluation.exact import predictive_values as predictive_values
from medcourse.evaluation.predictions import Predictions, checked_threshold, refuse_synthetic
from medcourse.evaluation.ranking import METRICS, Floats, Ranking


def evaluate(
    pred: Predictions,
    threshold: float = 0.5,
    ci: float = 0.95,
    n_boot: int = 2000,
    cluster: str | None = "group",
    prevalence: float | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Eleven metrics of binary predictions, with intervals that respect patients.

    Intervals are percentile intervals of a cluster bootstrap: groups are drawn with replacement with all their images
    (Field & Welsh 2007; Efron & Tibshirani 1993), and all metrics share the draws. With fewer than some 20 groups they
    are too narrow. At 0 and 1, where all draws are alike, exact limits take over: sensitivity, specificity, PPV, NPV,
    accuracy and Brier get Clopper-Pearson with n = the groups among the images of the denominator; balanced accuracy,
    F1 and MCC follow from those limits; AUROC and average precision get Clopper-Pearson with n = the smaller number of
    groups with a positive and with a negative image: so many separate pairs were all ranked rightly, which makes the
    interval conservative.

    Args:
        pred: predictions of two classes.
        threshold: called positive at ``score >= threshold``; choose it on validation data.
        ci: level of the intervals, in (0, 1).
        n_boot: number of draws.
        cluster: table column that names what is independent (patient, lesion), or None: every image.
        prevalence: restate PPV, NPV, accuracy, F1, MCC, average precision and Brier at this share of the disease, in
            (0, 1), by weighing the positive and negative images (in every draw); for sets that were enriched.
        seed: of the draws.

    Returns:
        DataFrame, index ``metric``: sensitivity, specificity, ppv, npv, accuracy, balanced accuracy, f1, mcc, auroc,
        average precision, brier; columns value, low, high (float64), method (how the interval was made, or "undefined:"
        and why, with NaN for the numbers), undefined (draws left out because the metric was undefined in them).
        F1 = 2 TP / (2 TP + FP + FN). MCC needs images in both classes and calls of both kinds. AUROC and average
        precision need both classes.

    Raises:
        EvaluationError: more than two classes, no such column, a threshold that is not one number, or an argument outside
            its range.
        LeakageError: the table's column ``synthetic`` marks an image.
    """
    check_interval(ci, n_boot, seed)
    if prevalence is not None and not (isinstance(prevalence, Real) and 0 < prevalence < 1):
        raise EvaluationError(f"prevalence={prevalence!r} must lie between 0 and 1 (0.1 for 10 %)")
    threshold = checked_threshold(threshold)
    ranking = _ranking(pred, threshold)
    clusters = find_clusters(pred.table, cluster)
    values = dict(zip(METRICS, _point(ranking, prevalence).tolist(), strict=True))
    samples = _bootstrap(clusters, [ranking], n_boot, seed, prevalence)[0]

    drawn = {name: _drawn_limits(samples[:, k], clusters, ci, n_boot) for k, name in enumerate(METRICS)}
    called = pred.scores >= threshold
    exact = limits_at_edge(
        values,
        {name: (limits.low, limits.high) for name, limits in drawn.items()},
        Setting(_units(pred.targets == 1, called, clusters), clusters.noun, ci, float(pred.targets.mean()), prevalence),
    )
    why = _why_undefined(pred.targets, called, prevalence)
    rows = []
    for name, value in values.items():
        limits = exact.get(name, drawn[name])
        if np.isnan(value):
            limits = Limits(np.nan, np.nan, f"undefined: {why[name]}")
        rows.append((value, *limits))
    table = pd.DataFrame(rows, index=pd.Index(METRICS, name="metric"), columns=["value", "low", "high", "method"])
    return table.assign(undefined=np.isnan(samples).sum(axis=0))


def compare(
    before: Predictions,
    after: Predictions,
    threshold: float | tuple[float, float] = 0.5,
    ci: float = 0.95,
    n_boot: int = 2000,
    cluster: str | None = "group",
    seed: int = 0,
) -> pd.DataFrame:
    """What a repair changed: ``after - before`` on the same images, by a paired cluster bootstrap.

    Both are scored on the same draws, so that what the images have in common cancels: the interval is narrower than
    that of two separate sets.

    Args:
        before, after: predictions of two classes for the same images, in any order. Groups are taken from ``before``.
        threshold: one for both, or a pair (before, after).
        ci, n_boot, cluster, seed: as in ``evaluate``.

    Returns:
        DataFrame, index ``metric`` as in ``evaluate``; columns before, after, difference, low, high (of the
        difference), method, undefined (draws in which either was). There are no exact limits for a difference: where
        "every draw alike" the interval has no width and says nothing.

    Raises:
        EvaluationError: other images, other labels or classes, or what ``evaluate`` refuses.
        LeakageError: the table's column ``synthetic`` marks an image.
    """
    check_interval(ci, n_boot, seed)
    for pred in (before, after):
        refuse_synthetic(pred)
    given: Any = threshold.tolist() if isinstance(threshold, np.ndarray) else threshold
    cuts = tuple(given) if isinstance(given, list | tuple) else (given, given)
    if len(cuts) != 2:
        raise EvaluationError(f"threshold={threshold!r}: give one number, or a pair (before, after)")
    after = _aligned(before, after)
    rankings = [_ranking(pred, cut) for pred, cut in zip((before, after), cuts, strict=True)]
    clusters = find_clusters(before.table, cluster)
    value_before, value_after = (_point(ranking) for ranking in rankings)
    samples_before, samples_after = _bootstrap(clusters, rankings, n_boot, seed)
    samples = samples_after - samples_before
    difference = value_after - value_before
    limits = [_drawn_limits(samples[:, k], clusters, ci, n_boot) for k in range(len(METRICS))]
    for k in np.flatnonzero(np.isnan(difference)):
        side = "before" if np.isnan(value_before[k]) else "after"
        limits[k] = Limits(np.nan, np.nan, f"undefined: {METRICS[k]} is undefined {side}; see mc.evaluate")
    table = pd.DataFrame(limits, index=pd.Index(METRICS, name="metric"))
    table.insert(0, "before", value_before)
    table.insert(1, "after", value_after)
    table.insert(2, "difference", difference)
    return table.assign(undefined=np.isnan(samples).sum(axis=0))


def auroc(targets: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs ranked rightly, ties counted half.

    (Hanley & McNeil 1982, Radiology 143:29.)

    Args:
        targets: 0/1 or bool, N.
        scores: float, N, high = positive; any scale.

    Returns:
        In [0, 1]; NaN when a class is missing.

    Raises:
        EvaluationError: other targets, lengths that differ, scores that are not finite.
    """
    truth, score = np.asarray(targets), np.asarray(scores, dtype=np.float64)
    if truth.shape != score.shape or truth.ndim != 1:
        raise EvaluationError(f"targets of shape {truth.shape}, scores of shape {score.shape}: both must have length N")
    if not np.isin(truth, (0, 1)).all():
        raise EvaluationError(f"targets must be 0 or 1; found {np.unique(truth)[:5].tolist()}")
    if not np.isfinite(score).all():
        raise EvaluationError(f"{int((~np.isfinite(score)).sum())} of {score.size} scores are not finite")
    if len(np.unique(truth)) < 2:
        return float("nan")
    return float(_point(Ranking(truth, score))[METRICS.index("auroc")])


def _aligned(before: Predictions, after: Predictions) -> Predictions:
    """``after`` in the order of ``before``; EvaluationError unless images, labels and classes are the same."""
    before.refuse_multilabel()
    if before.classes != after.classes:
        raise EvaluationError(f"before has the classes {before.classes}, after {after.classes}")
    for name, one, other in (("before", before, after), ("after", after, before)):
        alone = one.table.index.difference(other.table.index, sort=False)
        if len(alone):
            raise EvaluationError(
                f"compare needs the same images on both sides; {len(alone)} are only in {name}, "
                f"e.g. {alone[:3].tolist()}"
            )
    after = Predictions(after.table.loc[before.table.index], after.classes)
    differ = before.table.index[before.targets != after.targets]
    if len(differ):
        raise EvaluationError(
            f"{len(differ)} images have another label before than after, e.g. {differ[:3].tolist()}; compare two "
            "models against one reference standard"
        )
    return after


def _ranking(pred: Predictions, threshold: float) -> Ranking:
    refuse_synthetic(pred)
    return Ranking(pred.targets, pred.scores, checked_threshold(threshold))


def _point(ranking: Ranking, prevalence: float | None = None) -> Floats:
    """The metrics of the set itself: the draw in which every image occurs once."""
    return ranking.metrics(np.ones((1, len(ranking.order)), dtype=np.int64), prevalence)[0]


def _bootstrap(
    clusters: Clusters, rankings: Sequence[Ranking], n_boot: int, seed: int, prevalence: float | None = None
) -> list[Floats]:
    """The metrics of every ranking in the same draws: float64, n_boot x 11 each."""
    codes = [clusters.codes[ranking.order] for ranking in rankings]
    steps: list[list[Floats]] = [[] for _ in rankings]
    for drawn in draws(clusters, n_boot, seed):
        for found, ranking, code in zip(steps, rankings, codes, strict=True):
            found.append(ranking.metrics(np.take(drawn, code, axis=1), prevalence))
    return [np.concatenate(found) for found in steps]


def _drawn_limits(samples: Floats, clusters: Clusters, ci: float, n_boot: int) -> Limits:
    method = clusters.describe(n_boot)
    if clusters.n == 1:
        return Limits(np.nan, np.nan, "no interval: there is one group only")
    if np.isnan(samples).all():
        return Limits(np.nan, np.nan, f"no interval: undefined in every draw of the {method}")
    if every_draw_alike(samples):
        method += ": every draw alike"
    return Limits(*percentile_limits(samples, ci), method)


def _units(positive: NDArray[np.bool_], called: NDArray[np.bool_], clusters: Clusters) -> dict[str, int]:
    among = {"sensitivity": positive, "specificity": ~positive, "ppv": called, "npv": ~called}
    return {name: clusters.units(images) for name, images in among.items()} | {"accuracy": clusters.n}


def _why_undefined(targets: NDArray[np.int64], called: NDArray[np.bool_], prevalence: float | None) -> dict[str, str]:
    """For every metric the reason why it would be undefined here (an empty text where it is not)."""
    empty = [name for name, n in (("positive", targets.sum()), ("negative", (targets == 0).sum())) if n == 0]
    class_missing = f"there is no {empty[0]} image" if empty else ""
    no_call = "no image is called positive" if not called.any() else ""
    no_call = "no image is called negative" if called.all() else no_call
    why: dict[str, Any] = dict.fromkeys(METRICS, class_missing)
    if prevalence is None:
        why |= {"ppv": no_call, "npv": no_call, "f1": "there is no positive image, and no image is called positive"}
    else:
        why |= dict.fromkeys(("ppv", "npv"), class_missing or no_call)
    return why | {"mcc": " and ".join(filter(None, (class_missing, no_call)))}
