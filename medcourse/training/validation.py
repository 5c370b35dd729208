"""Losses by task, and what the model says on the validation set after an epoch: its metrics, and the one-class check."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medcourse.data.cohort import Cohort
from medcourse.data.labels import Task
from medcourse.evaluation.ranking import against_rest, aurocs, recalls

Floats = NDArray[np.float64]
_SURE = 0.5  # a finding is called from this probability on


def default_loss(task: Task) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy; for a multilabel cohort binary cross-entropy over the assessed targets."""
    return assessed_bce if task == "multilabel" else F.cross_entropy


def assessed_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy with logits, the mean over assessed targets; 0 when none is.

    Args:
        logits: float, n x K.
        targets: float 0, 1 or NaN (not assessed: ignored), n x K.
    """
    known = ~targets.isnan()
    each = F.binary_cross_entropy_with_logits(logits, targets.nan_to_num(), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def probabilities(logits: Tensor, task: Task) -> Floats:
    """Softmax over the classes, or sigmoid of every finding: float64, N x K."""
    values = logits.cpu().double()
    return (values.sigmoid() if task == "multilabel" else values.softmax(1)).numpy()


def validation_metrics(val: Cohort, p: Floats) -> dict[str, float]:
    """AUROC, accuracy, the number of classes called, and but for findings balanced accuracy and the recall of every class.

    The AUROC of several classes is the mean of one against the rest; of several findings the mean over those that have
    both kinds of images. Of findings, a call is p >= 0.5, and accuracy is the share of assessed targets called rightly.
    """
    multilabel, k = val.task == "multilabel", len(val.classes)
    truth = against_rest(val.targets, k)
    calls = p >= _SURE if multilabel else against_rest(p.argmax(1), k) == 1
    known, of_class = ~np.isnan(truth), aurocs(truth, p)
    metrics = {
        "val_auroc": float(np.nanmean(of_class[1:] if val.task == "binary" else of_class)),
        "val_accuracy": float((calls == truth)[known].mean() if multilabel else calls[truth == 1].mean()),
        "val_classes_called": int(calls.any(0).sum()),
    }
    if not multilabel:
        recall = recalls(truth, calls)
        metrics["val_balanced_accuracy"] = float(recall.mean())
        metrics |= {f"val_recall_{name}": float(of_name) for name, of_name in zip(val.classes, recall, strict=True)}
    return metrics


def one_class_report(val: Cohort, p: Floats, metrics: dict[str, float]) -> str:
    """The one-class check: a line on a model that calls everything one class (no finding, or every one); else ""."""
    of_auroc = f"AUROC {metrics['val_auroc']:.2f})"
    if val.task == "multilabel":
        if 0 < (p >= _SURE).mean() < 1:
            return ""
        which, called_in = ("EVERY FINDING CALLED", "all") if p.min() >= _SURE else ("NO FINDING CALLED", "none")
        return (
            f"{which}, in {called_in} of the {len(val)} validation images is each of {', '.join(val.classes)} called (p from "
            f"{p.min():.3f} to {p.max():.3f}, mean {of_auroc}"
        )
    if metrics["val_classes_called"] > 1:
        return ""
    one = int(p[0].argmax())
    shown = 1 if val.task == "binary" else one
    return (
        f"ONE CLASS ONLY, all {len(val)} validation images are called {val.classes[one]} (p({val.classes[shown]}) from "
        f"{p[:, shown].min():.3f} to {p[:, shown].max():.3f}, {of_auroc}"
    )
