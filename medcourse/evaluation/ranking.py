"""Binary metrics of many bootstrap draws at once: the images are sorted by score once, a draw only weighs them.

``auroc``, ``aurocs`` and ``recalls`` are for arrays, without draws.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcourse.errors import EvaluationError

METRICS = (
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "accuracy",
    "balanced accuracy",
    "f1",
    "mcc",
    "auroc",
    "average precision",
    "brier",
)
Floats = NDArray[np.float64]


class Ranking:
    """The images of a binary task by falling score.

    A draw is a row of weights (how often each image was drawn). With the images sorted, everything that the metrics
    need is a sum over leading columns: the confusion table at the threshold, and, at the end of each run of equal
    scores that holds a positive image, how many positive and negative images score at least as high.

    Args:
        targets: N, 0 or 1; NaN = not assessed, left out.
        scores: float, N, finite, high = positive.
        called: bool, N: who is called positive.

    Attributes:
        order: int64: the assessed images by falling score, as positions in ``targets``.
    """

    def __init__(self, targets: NDArray[Any], scores: NDArray[Any], called: NDArray[np.bool_]) -> None:
        assessed = np.flatnonzero(~np.isnan(targets))
        self.order = assessed[np.argsort(-scores[assessed], kind="stable")]
        score = np.asarray(scores, dtype=np.float64)[self.order]
        is_positive, is_called = targets[self.order] == 1, called[self.order]
        self.positives = np.flatnonzero(is_positive)
        error = (score - is_positive) ** 2
        self.squared_error = np.column_stack([error * is_positive, error * ~is_positive])
        self.called = np.column_stack([is_called, is_called & is_positive]).astype(np.float64)

        last = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # the last image of each run of equal scores
        of_positives = np.searchsorted(last, self.positives)
        runs = np.unique(of_positives)  # those that hold a positive image; the last one of it, among the positives:
        self.run_positives = np.searchsorted(of_positives, runs, side="right") - 1
        self.run_starts, self.run_ends = np.append(0, last[:-1] + 1)[runs], last[runs]

    def metrics(self, weights: NDArray[np.int64], prevalence: float | None = None) -> Floats:
        """All ``METRICS``, one column each, for every draw.

        Args:
            weights: int64, draws x N, in the order of ``self.order``, not negative.
            prevalence: weigh the positive images to this share before PPV, NPV, accuracy, F1, MCC, average precision
                and Brier are taken; ``None`` leaves the share as it is.

        Returns:
            float64, draws x 11; NaN where a metric is undefined.
        """
        positive_weights = weights[:, self.positives]
        positives = positive_weights.sum(axis=1).astype(np.float64)
        negatives = weights.sum(axis=1) - positives
        times = weights.astype(np.float64)
        error, (called, tp) = times @ self.squared_error, (times @ self.called).T
        fp = called - tp
        fn, tn = positives - tp, negatives - fp
        sensitivity, specificity = ratio(tp, positives), ratio(tn, negatives)
        to_positive, to_negative = np.ones_like(tp), np.ones_like(tp)
        if prevalence is not None:
            to_positive = ratio(np.full_like(tp, prevalence), positives)
            to_negative = ratio(np.full_like(tp, 1 - prevalence), negatives)
        auroc, average_precision = self._ranked(weights, positive_weights, ratio(to_negative, to_positive))
        tp, fn, fp, tn = tp * to_positive, fn * to_positive, fp * to_negative, tn * to_negative
        # These groupings give exactly 1 (or -1) where the calls are all right (or all wrong): sqrt(x * x) is x.
        margins = ((tp + fp) * (tn + fn)) * ((tp + fn) * (tn + fp))
        total = (tp + tn) + (fp + fn)
        columns = {
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": ratio(tp, tp + fp),
            "npv": ratio(tn, tn + fn),
            "accuracy": ratio(tp + tn, total),
            "balanced accuracy": (sensitivity + specificity) / 2,
            "f1": ratio(2 * tp, 2 * tp + fp + fn),
            "mcc": ratio(tp * tn - fp * fn, np.sqrt(margins)),
            "auroc": auroc,
            "average precision": average_precision,
            "brier": ratio(error[:, 0] * to_positive + error[:, 1] * to_negative, total),
        }
        return np.column_stack([columns[name] for name in METRICS])

    def _ranked(
        self, weights: NDArray[np.int64], positive_weights: NDArray[np.int64], negatives_count: Floats
    ) -> tuple[Floats, Floats]:
        """AUROC and average precision of every draw, both NaN where a draw lacks a class.

        AUROC is the share of (positive, negative) pairs ranked rightly, ties counted half (Mann-Whitney). Average
        precision is the sum of precision times the step in recall over the runs of equal scores, without
        interpolation, as in scikit-learn; a negative image counts ``negatives_count`` (draws) times a positive one.
        """
        above = np.cumsum(weights, axis=1)
        tp = np.cumsum(positive_weights, axis=1)[:, self.run_positives]
        step = np.diff(tp, axis=1, prepend=0)
        fp = above[:, self.run_ends] - tp
        positives = tp[:, -1].astype(np.float64) if tp.shape[1] else np.zeros(len(weights))
        negatives = above[:, -1] - positives
        defined = (positives > 0) & (negatives > 0)

        higher = above[:, self.run_starts] - weights[:, self.run_starts] - (tp - step)  # negatives before the run
        wrong = np.einsum("ij,ij->i", step, higher + fp)  # twice the number of pairs, ties half
        auroc = np.where(defined, 1 - ratio(wrong.astype(np.float64), 2 * positives * negatives), np.nan)

        # At least 1 wherever a positive was drawn; elsewhere the step is 0 and the precision does not count.
        marked = np.maximum(tp + fp * negatives_count[:, None], 1.0)
        precision = np.divide(tp, marked, out=marked)
        average = ratio(np.einsum("ij,ij->i", precision, step.astype(np.float64)), positives)
        return auroc, np.where(defined, average, np.nan)


def ratio(above: Floats, below: Floats) -> Floats:
    """``above / below``, NaN where ``below`` is 0 or NaN."""
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)


def auroc(targets: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs ranked rightly, ties counted half.

    (Hanley & McNeil 1982, Radiology 143:29.)

    Args:
        targets: 0/1 or bool, N; NaN = not assessed, left out.
        scores: float, N, high = positive; any scale.

    Returns:
        In [0, 1]; NaN when a class is missing.

    Raises:
        EvaluationError: other targets, lengths that differ, scores that are not finite.
    """
    truth, score = np.asarray(targets, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if truth.shape != score.shape or truth.ndim != 1 or not np.isfinite(score).all():
        raise EvaluationError(
            f"{truth.shape} targets, {score.shape} scores: both must have length N, scores must be finite"
        )
    if not (np.isin(truth, (0, 1)) | np.isnan(truth)).all():
        raise EvaluationError(f"targets must be 0 or 1; found {np.unique(truth)[:5].tolist()}")
    if not ((truth == 0).any() and (truth == 1).any()):
        return float("nan")
    ranking = Ranking(truth, score, np.zeros(len(truth), dtype=bool))
    return float(ranking.metrics(np.ones((1, len(ranking.order)), dtype=np.int64))[0, METRICS.index("auroc")])


def against_rest(targets: NDArray[Any], k: int) -> Floats:
    """Each of ``k`` classes against the rest: float64, N x k, 1 in the column of the image's class.

    Args:
        targets: int, N: positions of the class. Findings (float, N x k, NaN = not assessed) stay as they are.
    """
    return targets if targets.ndim == 2 else (targets[:, None] == np.arange(k)).astype(np.float64)


def aurocs(truth: NDArray[Any], scores: Floats) -> Floats:
    """``auroc`` of each column of N x K: ``truth`` as from ``against_rest``; NaN where a column has one side only."""
    return np.array([auroc(column, score) for column, score in zip(truth.T, scores.T, strict=True)])


def recalls(truth: NDArray[Any], called: NDArray[Any]) -> Floats:
    """Share of the positives of each column of N x K that are called (bool); NaN where there is none."""
    positive = truth == 1
    return ratio((positive & called).sum(axis=0).astype(np.float64), positive.sum(axis=0).astype(np.float64))
