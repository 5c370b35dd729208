"""Binary metrics of many bootstrap draws at once: the images are sorted by score once, a draw only weighs them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        targets: int, N, 0 or 1.
        scores: float, N, finite, high = positive.
        threshold: called positive at ``score >= threshold``.
    """

    def __init__(self, targets: NDArray[Any], scores: NDArray[Any], threshold: float = 0.5) -> None:
        self.order = np.argsort(-scores, kind="stable")
        score = np.asarray(scores, dtype=np.float64)[self.order]
        is_positive = np.asarray(targets)[self.order] == 1
        self.n_called = int((score >= threshold).sum())
        self.positives = np.flatnonzero(is_positive)
        self.n_called_positives = int(is_positive[: self.n_called].sum())
        error = (score - is_positive) ** 2
        self.squared_error = np.column_stack([error * is_positive, error * ~is_positive])

        last = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # the last image of each run of equal scores
        run = np.searchsorted(last, self.positives)
        ends_run = np.append(run[1:] != run[:-1], True) if run.size else np.zeros(0, bool)
        self.run_positives = np.flatnonzero(ends_run)  # the last positive image of its run, among the positives
        self.run_ends = last[run[ends_run]]
        starts = np.append(0, last[:-1] + 1)[run[ends_run]]
        self.tied = np.flatnonzero(self.run_ends > starts)
        self.tied_starts = starts[self.tied]

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
        called = weights[:, : self.n_called].sum(axis=1).astype(np.float64)
        positives = positive_weights.sum(axis=1).astype(np.float64)
        negatives = weights.sum(axis=1) - positives
        tp = positive_weights[:, : self.n_called_positives].sum(axis=1).astype(np.float64)
        fp = called - tp
        fn, tn = positives - tp, negatives - fp
        sensitivity, specificity = ratio(tp, positives), ratio(tn, negatives)
        to_positive, to_negative = np.ones_like(tp), np.ones_like(tp)
        if prevalence is not None:
            to_positive = ratio(np.full_like(tp, prevalence), positives)
            to_negative = ratio(np.full_like(tp, 1 - prevalence), negatives)
        auroc, average_precision = self._ranked(weights, positive_weights, ratio(to_negative, to_positive))
        error = weights.astype(np.float64) @ self.squared_error
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

        wrong = 2 * np.einsum("ij,ij->i", step, fp)  # twice the pairs in which the negative ranks as high or higher
        if self.tied.size:
            inside = fp[:, self.tied] - (above[:, self.tied_starts] - weights[:, self.tied_starts])
            inside += tp[:, self.tied] - step[:, self.tied]  # negatives of the run itself: half wrong
            wrong -= np.einsum("ij,ij->i", step[:, self.tied], inside)
        auroc = np.where(defined, 1 - ratio(wrong.astype(np.float64), 2 * positives * negatives), np.nan)

        # At least 1 wherever a positive was drawn; elsewhere the step is 0 and the precision does not count.
        marked = np.maximum(tp + fp * negatives_count[:, None], 1.0)
        precision = np.divide(tp, marked, out=marked)
        average = ratio(np.einsum("ij,ij->i", precision, step.astype(np.float64)), positives)
        return auroc, np.where(defined, average, np.nan)


def ratio(above: Floats, below: Floats) -> Floats:
    """``above / below``, NaN where ``below`` is 0 or NaN."""
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)
