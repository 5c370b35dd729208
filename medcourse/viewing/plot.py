"""Plots of what the other rooms return: each takes their result and gives a matplotlib Axes (or an array of them).

Colours are Okabe and Ito's, which stay apart for colour-blind readers. In a notebook that uses this module every figure has alt
text, made of its titles, labels and legends.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from medcourse import arguments
from medcourse.data.cohort import Cohort
from medcourse.errors import ArgumentError, EvaluationError, ExplanationError
from medcourse.evaluation.intervals import number_of
from medcourse.evaluation.predictions import Predictions
from medcourse.evaluation.side_by_side import Comparisons, panels_of
from medcourse.viewing.alt_text import show_figures_with_alt_text

if TYPE_CHECKING:
    from medcourse.training.augmentation import Augmentation

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
_MARKERS = "os^D"

show_figures_with_alt_text()


def images(
    cohort: Cohort, ids: Sequence[str], columns: int = 8, title: str = "label", inches: float = 1.2
) -> NDArray[Any]:
    """A sheet of images with a line of the table above each.

    Args:
        cohort: where they come from.
        ids: image ids, in reading order.
        columns: images per row.
        title: table column written above each image.
        inches: width of one image.

    Returns:
        An array of Axes, rows x columns.
    """
    rows = -(-len(ids) // columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(inches * columns, (inches + 0.2) * rows), squeeze=False, layout="constrained"
    )
    shown = cohort.subset(ids)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, picture, name in zip(axes.flat, shown.images, shown.table[title], strict=False):
        axis.imshow(picture.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
        axis.set_title(str(name), fontsize=8)
    return axes


def maps(
    cohort: Cohort,
    maps: ArrayLike,
    columns: int = 8,
    title: str = "label",
    masks: ArrayLike | None = None,
    inches: float = 1.2,
) -> NDArray[Any]:
    """A sheet of images with maps over them, a line of the table above each.

    A map covers nothing where it is 0, and up to 60 % of the picture where it is 1; its colours go from dark blue to yellow
    (viridis). An orange line goes round each mask.

    Args:
        cohort: the images, as many as maps and in their order: ``test.subset(ids)``.
        maps: N x H x W, in [0, 1] (``mc.activation_maps``), or H x W: one for all images (``mc.baseline_maps``).
        columns: images per row.
        title: table column written above each image.
        masks: N x H x W, more than 0 inside (``cohort.masks``, ``mc.box_masks``); None: no lines.
        inches: width of one image.

    Returns:
        An array of Axes, rows x columns.

    Raises:
        ExplanationError: maps or masks that do not fit the images.
    """
    values = one_for_each(cohort, "maps", maps)
    lines = np.zeros(values.shape) if masks is None else one_for_each(cohort, "masks", masks)
    axes = images(cohort, list(cohort.table.index), columns, title, inches)
    for axis, value, line in zip(axes.flat, values, lines, strict=False):
        map_over(axis, value, line)
    return axes


def map_over(ax: Axes, value: ArrayLike, mask: ArrayLike, opacity: float = 0.6) -> None:
    """Lay one map over the image that is drawn there, and a line round its mask.

    Args:
        ax: the Axes of the image.
        value: H x W, in [0, 1].
        mask: H x W, more than 0 inside; all 0: no line.
        opacity: what the map covers where it is 1, in [0, 1].
    """
    ax.imshow(value, cmap="viridis", vmin=0, vmax=1, alpha=np.clip(opacity * np.asarray(value), 0, 1))
    inside = np.asarray(mask) > 0
    if inside.any() and not inside.all():
        ax.contour(inside, levels=[0.5], colors=ORANGE, linewidths=1.2)


def one_for_each(cohort: Cohort, name: str, given: ArrayLike) -> NDArray[Any]:
    """Maps or masks of a cohort, N x H x W; one for all (H x W) is repeated.

    Raises:
        ExplanationError: they do not fit the images.
    """
    size = (len(cohort), *cohort.images.shape[2:])
    values = np.asarray(given)
    values = np.broadcast_to(values, size) if values.shape == size[1:] else values
    if values.shape != size:
        raise ExplanationError(f"{name} have shape {values.shape}; the images of the cohort need {size}")
    return values


def augmentations(
    policy: "str | Augmentation", images: ArrayLike, draws: int = 6, seed: int = 0, inches: float = 1.2
) -> NDArray[Any]:
    """Each image as it was taken, and beside it what a policy makes of it.

    Look before you train: would a doctor still say the same of every picture? Nothing is refused here, so that a mirror can
    be seen, too; ``mc.Trainer`` asks for the cohort's laterality.

    Args:
        policy: a policy's name, or an ``mc.Augmentation``.
        images: uint8, N x C x H x W, for example ``cohort.images[:3]``; at most 8.
        draws: pictures made of each image, 1 or more.
        seed: of the draws.
        inches: width of one picture.

    Returns:
        An array of Axes, one row for each image.

    Raises:
        ArgumentError: an unknown policy, no or too many draws, or not 1 to 8 images of that shape and type.
        TrainingError: the policy varies stain, and the images have no colour.
    """
    columns = augmented(policy, images, arguments.whole_number("draws", draws, least=1), seed)
    size = (inches * len(columns), inches * len(columns[0]) + 0.2)
    _, axes = plt.subplots(len(columns[0]), len(columns), figsize=size, squeeze=False, layout="constrained")
    for k, pictures in enumerate(columns):
        for axis, picture in zip(axes[:, k], pictures, strict=True):
            axis.imshow(picture.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
            axis.set_axis_off()
        axes[0, k].set_title(f"draw {k}" if k else "as taken", fontsize=8)
    return axes


def augmented(policy: "str | Augmentation", images: ArrayLike, draws: int, seed: int) -> list[NDArray[np.float32]]:
    """The images as taken and so many draws of a policy: float in [0, 1], each N x C x H x W.

    Raises:
        ArgumentError, TrainingError: as ``augmentations``.
    """
    import torch  # takes seconds, and the other plots do without

    from medcourse.training.augmentation import Augmentation

    shown = np.asarray(images)
    if shown.dtype != np.uint8 or shown.ndim != 4 or not 1 <= len(shown) <= 8:
        raise ArgumentError(
            f"images= is {shown.dtype} of shape {shown.shape}; give 1 to 8 images as uint8, N x C x H x W: cohort.images[:3]"
        )
    augment = Augmentation(policy) if isinstance(policy, str) else policy
    taken = torch.from_numpy(shown) / 255
    rng = torch.Generator().manual_seed(arguments.whole_number("seed", seed))
    pictures = [taken, *(augment(taken, rng) for _ in range(draws))]
    return [part.numpy() for part in pictures]


def scores(pred: Predictions, threshold: float | None = 0.5, ax: Axes | None = None, bins: int = 40) -> Axes:
    """Histogram of the positive class's score in each class, one curve per class, with the threshold.

    Counts are shares of the class, so that a rare class can be seen beside a frequent one.

    Raises:
        EvaluationError: more than two classes, or a threshold that is neither None nor one number.
    """
    threshold = None if threshold is None else arguments.number("threshold", threshold)
    axis = ax or plt.subplots(figsize=(6, 2.6), layout="constrained")[1]
    edges = np.linspace(0, 1, bins + 1)
    for k, colour in enumerate((BLUE, ORANGE)):
        of_class = pred.scores[pred.targets == k]
        share = np.histogram(of_class, edges)[0] / max(1, len(of_class))
        axis.stairs(share, edges, color=colour, fill=True, alpha=0.45, label=f"{pred.classes[k]} (n = {len(of_class)})")
        axis.stairs(share, edges, color=colour)
    if threshold is not None:
        axis.axvline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold {threshold:.2f}")
    axis.set(xlim=(0, 1), xlabel=f"score p({pred.positive})", ylabel="share of the class")
    axis.legend(fontsize=8)
    return axis


def thresholds(pred: Predictions, marks: Mapping[str, float] | None = None, ax: Axes | None = None) -> Axes:
    """Sensitivity and specificity at every threshold.

    Args:
        pred: binary predictions.
        marks: thresholds to mark by name, at most nine.
        ax: where to draw.

    Raises:
        EvaluationError: more than two classes, more than nine marks, or a mark that is not one number.
    """
    marks = {name: arguments.number(f"the mark {name!r}", at) for name, at in (marks or {}).items()}
    _refuse_more_than(9, marks, "marks")
    axis = ax or plt.subplots(figsize=(8, 2.8), layout="constrained")[1]
    cuts = np.unique(np.concatenate([[0.0], pred.scores, [1.0]]))
    ill, healthy = np.sort(pred.scores[pred.targets == 1]), np.sort(pred.scores[pred.targets == 0])
    axis.step(cuts, 1 - np.searchsorted(ill, cuts) / len(ill), where="pre", color=ORANGE, label="sensitivity")
    axis.step(cuts, np.searchsorted(healthy, cuts) / len(healthy), where="pre", color=BLUE, label="specificity")
    for k, (name, at) in enumerate(marks.items()):
        colour, style = ("black", GREY, GREEN)[k // 3], ("--", ":", "-.")[k % 3]
        axis.axvline(at, color=colour, linestyle=style, linewidth=1, label=f"{name} ({at:.3f})")
    axis.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel=f"threshold on p({pred.positive})", ylabel="share called right")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)  # inside it would cover a line
    return axis


def side_by_side(
    evaluations: Mapping[str, pd.DataFrame],
    comparisons: Comparisons = None,
    metrics: Sequence[str] | None = None,
) -> NDArray[Any]:
    """Values with their intervals, one row per metric and one marker per table; on the right the differences, if given.

    Args:
        evaluations, comparisons, metrics: as in ``mc.side_by_side``.

    Returns:
        An array of one or two Axes.

    Raises:
        EvaluationError: a table lacks one of the metrics, or more than 16 tables.
    """
    panels = panels_of(evaluations, comparisons, metrics)
    most = max(map(len, panels))
    _refuse_more_than(16, max(panels, key=len), "tables")
    rows = len(next(iter(panels[0].values())))
    size = (6 if len(panels) == 1 else 9, 0.45 * rows * max(1, most / 2) + 0.9)
    _, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, tables in zip(axes[0], panels, strict=True):
        _intervals(axis, tables)
    return axes[0]


def _intervals(axis: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """One marker with its interval for each row of each table; differences get a line at 0, and look like the second."""
    first = next(iter(tables.values()))
    what, rows = number_of(first), np.arange(len(first))
    for k, (name, table) in enumerate(tables.items(), start=int(what == "difference")):
        value, low, high = table[[what, "low", "high"]].to_numpy(dtype=np.float64).T
        place = k - int(what == "difference") - (len(tables) - 1) / 2
        axis.errorbar(
            value,
            rows + min(0.22, 0.88 / len(tables)) * place,
            xerr=np.vstack([value - low, high - value]).clip(0),
            fmt=_MARKERS[(k + k // 4) % 4],
            capsize=3,
            label=name,
            color=(GREY, BLUE, ORANGE, GREEN)[k % 4],
        )
    axis.set_yticks(rows, [": ".join(row) if isinstance(row, tuple) else row for row in first.index])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    if what == "difference":
        axis.axvline(0, color="black", linewidth=1)
    elif axis.dataLim.x0 >= 0 and axis.dataLim.x1 <= 1:
        axis.set_xlim(-0.03, 1.03)
    level = first.attrs.get("ci")
    axis.set_xlabel(what if level is None else f"{what}, with its {100 * level:g} % interval")
    axis.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=min(3, len(tables)), frameon=False)
    axis.grid(axis="x", alpha=0.3)


def _refuse_more_than(most: int, given: Mapping[str, Any], what: str) -> None:
    if len(given) > most:
        raise EvaluationError(
            f"{len(given)} {what} are more than can be told apart in one picture; draw at most {most}, or several pictures"
        )
