"""Interactive views for notebooks: number fields above a picture that they change. The picture stands by itself, too."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from medcourse.data.cohort import Cohort
from medcourse.errors import ArgumentError, EvaluationError, LateralityError
from medcourse.evaluation.exact import predictive_values
from medcourse.evaluation.predictions import Predictions
from medcourse.evaluation.thresholds import confusion
from medcourse.viewing import plot
from medcourse.viewing.explorer import Explorer, number_field, tick, whole_number_field
from medcourse.viewing.plot import BLUE, GREEN, ORANGE
from medcourse.viewing.reading_game import reading_game as reading_game
from medcourse.viewing.sheet import draw_sheet, pasted

_LIMITS = {  # of a policy's parameter: the largest value that its field takes, and the step of the arrow keys
    "rotation": (180, 1),
    "shift": (0.5, 0.01),
    "zoom": (0.5, 0.01),
    "brightness": (0.5, 0.01),
    "contrast": (1, 0.05),
    "colour": (0.5, 0.01),
    "stain": (1, 0.05),
}
_MOST_MAPS, _DRAWS = 5, 5


def threshold_explorer(pred: Predictions, threshold: float = 0.5, prevalence: float | None = None) -> Explorer:
    """Threshold and prevalence as number fields above the scores and what becomes of 1,000 people.

    Left the scores of both classes with the threshold. Right, of 1,000 people of whom a share ``prevalence`` is ill: how
    many are called ill and healthy, rightly and wrongly. Sensitivity and specificity are those of ``pred``; PPV and NPV
    follow by Bayes' theorem (``mc.predictive_values``).

    Args:
        pred: binary predictions with both classes.
        threshold: called positive at ``score >= threshold``; from 0 to 1.
        prevalence: share of people who have the disease; None: the share in ``pred``.

    Returns:
        The fields; a notebook shows the picture below them, an exported page the picture for these two values.

    Raises:
        ArgumentError: a value that the field does not take.
        EvaluationError: more than two classes, or one without an image.
        LeakageError: the table's column ``synthetic`` marks an image.
    """
    n = confusion(pred).sum(axis=1)
    for name in pred.classes:
        if n[name] == 0:
            raise EvaluationError(f"no image is '{name}': sensitivity and specificity need images of both classes")
    of_disease = float(f"{n[pred.positive] / len(pred):.2g}") if prevalence is None else prevalence
    fields = [number_field("threshold", threshold, 0, 1, 0.01), number_field("prevalence", of_disease, 0, 1, 0.01)]
    return Explorer("threshold_explorer", fields, partial(_thousand_people, pred))


def _thousand_people(pred: Predictions, threshold: float, prevalence: float) -> Figure:
    healthy, ill = pred.classes
    counts = confusion(pred, threshold).to_numpy()
    specificity, sensitivity = counts.diagonal() / counts.sum(axis=1)
    values = predictive_values(sensitivity, specificity, prevalence)
    figure, (left, right) = _two_panels(3.4)
    plot.scores(pred, threshold, left).locator_params(nbins=3)  # each tick takes 3 ms of a redraw
    left.set_title(f"sensitivity {sensitivity:.2f}, specificity {specificity:.2f}", fontsize=9)
    people = 1000 * np.array([1 - prevalence, prevalence])
    called = np.array([[specificity, 1 - sensitivity], [1 - specificity, sensitivity]]) * people
    right.barh([0, 1], called[:, 1], height=0.4, color=ORANGE, label=f"truly {ill}")
    right.barh([0, 1], called[:, 0], height=0.4, left=called[:, 1], color=BLUE, label=f"truly {healthy}")
    for row, (name, of_healthy, of_ill) in enumerate(zip(pred.classes, *called.T, strict=True)):
        words = f"called {name}: {of_ill:.0f} truly {ill}, {of_healthy:.0f} truly {healthy}"
        right.text(0, row + 0.25, words, fontsize=8)
    right.set(xlim=(0, 1000), ylim=(-0.5, 1.8), xticks=(0, 500, 1000), yticks=[], xlabel="of 1,000 people")
    ppv, npv = ("undefined" if value != value else f"{value:.2f}" for value in values)
    right.set_title(f"of 1,000 people {people[1]:.0f} have {ill}: PPV {ppv}, NPV {npv}", fontsize=9)
    right.legend(fontsize=8, loc="upper right", ncols=2)
    return figure


def _two_panels(inches: float) -> tuple[Figure, list[Axes]]:
    """Two panels with fixed edges: a layout that is computed takes a third of the time of a redraw."""
    edges = {"left": 0.085, "right": 0.975, "bottom": 0.15, "top": 0.91, "wspace": 0.18}
    figure, axes = plt.subplots(1, 2, figsize=(10, inches), gridspec_kw=edges)
    return figure, list(axes)


def loss_explorer(weight: float = 9, gamma: float = 0) -> Explorer:
    """The weight of the disease and the gamma of the focal loss as number fields above the curves of the loss.

    Left the loss of a case, by the probability that its true class was given, for both classes, beside plain
    cross-entropy. Right the score at which the mean loss of many cases is lowest, by the share of them that are ill: what
    a model that has learned everything would say, and the risk at which it says 0.5.

    Args:
        weight: of the disease; the weight of healthy cases is 1. From 1 to 100.
        gamma: of the focal loss (Lin et al. 2017), 0 is cross-entropy; from 0 to 5.

    Returns:
        The fields; a notebook shows the picture below them, an exported page the picture for these two values.

    Raises:
        ArgumentError: a value that the field does not take.
    """
    return Explorer(
        "loss_explorer",
        [number_field("weight", weight, 1, 100, 1), number_field("gamma", gamma, 0, 5, 0.5)],
        _loss_curves,
    )


def _loss_curves(weight: float, gamma: float) -> Figure:
    figure, (left, right) = _two_panels(3.4)
    p = np.linspace(0.002, 0.998, 499)
    # broad below narrow, so that curves which meet (gamma 0, weight 1) are all seen
    left.plot(p, _focal(p, gamma), color=BLUE, linewidth=5, alpha=0.5, label="healthy, weight 1")
    left.plot(p, weight * _focal(p, gamma), color=ORANGE, linewidth=2, label=f"ill, weight {weight:g}")
    left.plot(p, _focal(p, 0), color="black", linestyle=":", label="cross-entropy")
    left.set(xlabel="probability given to the true class", ylabel="loss of a case (log scale)")
    left.set(xlim=(0, 1), yscale="log", ylim=(0.001, 1000), xticks=(0, 0.5, 1))
    left.minorticks_off()  # these, and powers of ten as formulas, took half of the time of a redraw
    left.set_yticks((0.001, 1, 1000))
    left.yaxis.set_major_formatter("{x:g}")
    left.set_title("loss", fontsize=9)
    left.legend(fontsize=8, loc="lower left")
    score = np.linspace(0.002, 0.998, 499)
    right.plot(
        _risk(score, weight, gamma), score, color=GREEN, linewidth=3, label=f"weight {weight:g}, gamma {gamma:g}"
    )
    right.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="score = risk (cross-entropy)")
    half = float(_risk(0.5, weight, gamma))
    right.plot([0, half, half], [0.5, 0.5, 0], color="black", linestyle=":", linewidth=1)
    right.set(xlabel="true risk: share of ill among such cases", ylabel="best score", xlim=(0, 1), ylim=(0, 1))
    right.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    right.set_title(f"a score of 0.5 stands for a risk of {half:.2f}", fontsize=9)
    right.legend(fontsize=8, loc="lower right")
    return figure


def _focal(p: ArrayLike, gamma: float) -> NDArray[np.float64]:
    """The focal loss of a case whose true class was given the probability ``p``, in (0, 1)."""
    given = np.asarray(p, dtype=np.float64)
    return -((1 - given) ** gamma) * np.log(given)


def _risk(score: ArrayLike, weight: float, gamma: float) -> NDArray[np.float64]:
    """The share of ill cases at which ``score``, in (0, 1), has the lowest mean loss.

    There the slopes of the two classes, each times its share, cancel: ``risk w f'(s) = (1 - risk) f'(1 - s)``.
    """
    s = np.asarray(score, dtype=np.float64)
    ill, healthy = (
        (1 - p) ** gamma / p - gamma * (1 - p) ** (gamma - 1) * np.log(p) for p in (s, 1 - s)
    )  # minus the slopes of the focal loss
    return healthy / (weight * ill + healthy)


def augmentation_explorer(cohort: Cohort, policy: str = "chest") -> Explorer:
    """Every parameter of an augmentation policy as a field above an image and five draws of it.

    Would a doctor still say the same of every picture? A mirror can be seen on any image; the picture then says where
    ``mc.Trainer`` would refuse it. Its title is the policy in code.

    Args:
        cohort: the images.
        policy: "chest", "skin" or "histology": the values at the start.

    Returns:
        The fields; a notebook shows the picture below them, an exported page the picture of the first image.

    Raises:
        ArgumentError: unknown policy.
        TrainingError: the policy varies stain, and the images have no colour.
    """
    from medcourse.training.augmentation import Augmentation  # torch takes seconds, and the other widgets do without

    start = Augmentation(policy).parameters
    if cohort.channels == 1:  # a field that could do nothing
        start = {name: value for name, value in start.items() if value or name not in ("colour", "stain")}
    fields = [whole_number_field("image", 1, 1, len(cohort)), whole_number_field("seed", 0, 0, 9999)]
    for name, value in start.items():
        if isinstance(value, bool):
            fields.append(tick(name, value))
        else:
            fields.append(number_field(name, value, 0, *_LIMITS[name]))
    return Explorer("augmentation_explorer", fields, partial(_draws, cohort, policy, start))


def _draws(cohort: Cohort, policy: str, start: Mapping[str, Any], image: int, seed: int, *values: Any) -> Figure:
    from medcourse.training.augmentation import Augmentation

    chosen = dict(zip(start, values, strict=True))
    changed = {name: value for name, value in chosen.items() if value != start[name]}
    shown = Augmentation(policy, allow_laterality_flip=True, **chosen)
    pictures = np.concatenate(plot.augmented(shown, cohort.images[image - 1 : image], draws=_DRAWS, seed=seed))
    figure = plt.figure(figsize=(10.2, 2.2))
    words_above = ["as taken", *(f"draw {k}" for k in range(1, 1 + _DRAWS))]
    sheet = figure.add_axes((0.005, 0.01, 0.99, 0.86))
    draw_sheet(sheet, np.rint(255 * pictures).astype(np.uint8), 1 + _DRAWS, words_above)
    code = [f"{name}={value if isinstance(value, bool) else format(value, 'g')}" for name, value in changed.items()]
    words = f"mc.Augmentation({', '.join([repr(policy), *code])})"
    try:
        Augmentation(policy, **changed).check(cohort)
    except LateralityError:
        words += ": mc.Trainer refuses to mirror these, left and right mean something in them"
    figure.suptitle(words, fontsize=9)
    return figure


def map_browser(
    cohort: Cohort, maps: ArrayLike | Mapping[str, ArrayLike], masks: ArrayLike | None = None, title: str = "label"
) -> Explorer:
    """One image after the other, with its maps beside it: two methods, two models, a model and a baseline.

    The arrow keys of the field "image" go on and back; "opacity" is what a map covers where it is 1.

    Args:
        cohort: the images, as many as maps and in their order.
        maps: N x H x W, in [0, 1] (``mc.activation_maps``), or H x W: one for all images; or several by name, at most five.
        masks: N x H x W, more than 0 inside: an orange line goes round each; None: no lines.
        title: table column written above the image.

    Returns:
        The fields; a notebook shows the picture below them, an exported page the picture of the first image.

    Raises:
        ArgumentError: no map, more than five, or no such column.
        ExplanationError: maps or masks that do not fit the images.
    """
    named = maps if isinstance(maps, Mapping) else {"map": maps}
    if not 1 <= len(named) <= _MOST_MAPS:
        raise ArgumentError(
            f"maps= has {len(named)} kinds of maps; the browser shows 1 to {_MOST_MAPS} beside each other"
        )
    if title not in cohort.table:
        raise ArgumentError(
            f"title={title!r} is not a column of the cohort's table: {', '.join(map(str, cohort.table))}"
        )
    stacks = {name: plot.one_for_each(cohort, f"maps {name!r}", given) for name, given in named.items()}
    size = next(iter(stacks.values())).shape
    lines = np.zeros(size, bool) if masks is None else plot.one_for_each(cohort, "masks", masks)
    fields = [whole_number_field("image", 1, 1, len(cohort)), number_field("opacity", 0.6, 0, 1, 0.1)]
    return Explorer("map_browser", fields, partial(_one_image, cohort, stacks, lines, title))


def _one_image(
    cohort: Cohort, stacks: Mapping[str, NDArray[Any]], masks: NDArray[Any], title: str, image: int, opacity: float
) -> Figure:
    row, columns = image - 1, 1 + len(stacks)
    figure = plt.figure(figsize=(2.8 * columns, 3.3))
    sheet = figure.add_axes((0.005, 0.01, 0.99, 0.86))
    pictures = np.repeat(cohort.images[row][None], columns, axis=0)
    lines = draw_sheet(sheet, pictures, columns, [str(cohort.table[title].iloc[row]), *stacks])
    nothing = np.zeros_like(masks[row], dtype=np.float32)  # over the image itself
    over = np.stack([nothing, *(stack[row] for stack in stacks.values())])
    inside = np.stack([nothing, *(masks[row] for _ in stacks)])
    plot.map_over(sheet, pasted(over, columns, lines), pasted(inside, columns, lines), opacity)
    figure.suptitle(f"image {image} of {len(cohort)}: {cohort.table.index[row]}", fontsize=9)
    return figure
