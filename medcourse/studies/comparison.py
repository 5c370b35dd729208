"""What studies have in common when they sum up: pairs by seed, and one row of dots per arm."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy import stats

from medcourse.viewing.plot import BLUE, GREY, ORANGE


def over_seeds(differences: ArrayLike, more: float = 0.0, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of differences paired by seed, with an interval: Student's t over the seeds.

    Args:
        differences: one per seed; NaN is left out.
        more: variance of the mean that the seeds do not show, e.g. of the sampling of the test set (one for all seeds).
            It is known from many draws, so it takes the normal quantile; the two half-widths are added as squares
            (Zou and Donner, Stat Med 2008;27:1693-1702).
        level: of the interval, in (0, 1).

    Returns:
        Mean, low, high; the limits are NaN for fewer than two seeds, and where nothing varies: equal differences do not
        say how far others would lie.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2 or (more == 0 and np.ptp(values) < 1e-12):
        return (float(values.mean()) if len(values) else float("nan")), float("nan"), float("nan")
    tail = (1 + level) / 2
    of_seeds = stats.t.ppf(tail, len(values) - 1) ** 2 * values.var(ddof=1) / len(values)
    half = np.sqrt(of_seeds + stats.norm.ppf(tail) ** 2 * more)
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def significant_after_correction(differences: Mapping[str, tuple[float, float, float]]) -> str:
    """The arms whose difference has an interval without 0, in words.

    Args:
        differences: mean, low and high by arm; the intervals' level is corrected for their number (1 - 0.05 / n, Bonferroni).
    """
    if all(np.isnan(low) and mean != 0 for mean, low, _ in differences.values()):
        return "cannot be judged from one seed"
    apart = {arm: limits for arm, limits in differences.items() if limits[1] > 0 or limits[2] < 0}
    return ", ".join(f"{arm} {format_difference(*limits)}" for arm, limits in apart.items()) or "none"


def with_range(values: ArrayLike) -> str:
    """The mean of signed values, one per seed, with the lowest and the highest: five bounded values suit no t interval."""
    known = pd.Series(np.asarray(values, dtype=np.float64)).dropna()
    if known.empty:
        return "-"
    spread = f" ({known.min():+.2f} to {known.max():+.2f})" if len(known) > 1 else ""
    return f"{known.mean():+.2f}{spread}"


def format_difference(mean: float, low: float, high: float) -> str:
    """A signed difference with its interval, or alone where there is none."""
    return f"{mean:+.2f}" if np.isnan(low) else f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def told_of_starts(imagenet: pd.Series) -> str:
    """What a report says of runs (1: began with ImageNet weights, 0: with random ones); empty where all had them."""
    random = int((imagenet == 0).sum())
    words = f"{random} of {len(imagenet)} runs began with random weights: ImageNet's could not be had.\n"
    return words if random else ""


def markdown(table: pd.DataFrame) -> str:
    """A table of text as aligned Markdown: it reads the same in a terminal and in a README."""
    rows = [
        [str(table.index.name or ""), *table.columns],
        *([str(k), *map(str, row)] for k, row in zip(table.index, table.to_numpy(), strict=True)),
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def dots(
    values: pd.DataFrame,
    arms: Sequence[str],
    metrics: Sequence[str],
    published: Mapping[str, Mapping[str, float]],
) -> Figure:
    """One panel per metric, one row per arm: a dot for each seed, a bar for their mean, a cross for the published value.

    Args:
        values: ``Runs.values()``.
        arms: rows, from the top.
        metrics: columns of ``values``.
        published: metric -> value by arm.
    """
    shown = [arm for arm in arms if arm in values.index.get_level_values("arm")]
    size = (3.1 * len(metrics) + 1.2, 0.32 * len(shown) + 1.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)
    for axis, metric in zip(axes[0], metrics, strict=True):
        for row, arm in enumerate(shown):
            of_arm = values.loc[arm][metric]
            axis.plot(of_arm, np.full(len(of_arm), row), "o", color=BLUE, alpha=0.55, markersize=5, label="one seed")
            axis.plot([of_arm.mean()] * 2, [row - 0.3, row + 0.3], color=BLUE, linewidth=2, label="mean")
            if metric in published.get(arm, {}):
                cross = {"color": ORANGE, "markersize": 8, "markeredgewidth": 2, "label": "published"}
                axis.plot(published[arm][metric], row, "x", **cross)
        axis.set(xlabel=metric)
        axis.grid(axis="x", color=GREY, alpha=0.3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    keys = dict(zip(labels, handles, strict=True))  # each once
    figure.legend(keys.values(), keys, loc="outside upper center", ncols=3, fontsize=9)
    axes[0, 0].set_yticks(range(len(shown)), shown)
    axes[0, 0].invert_yaxis()
    return figure
