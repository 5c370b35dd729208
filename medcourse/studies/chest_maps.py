"""Class activation maps of one arm of ``chest-resampling``: where the network finds what speaks for pneumonia."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import nn

import medcourse as mc

GRID = 160  # pixels: below, ResNet18's last map has fewer than 5 x 5 cells
_METHODS: tuple[Literal["gradcam", "smoothgradcam++"], ...] = ("gradcam", "smoothgradcam++")
_SHOWN, _MEASURED = 6, 120


def strip(model: nn.Module, test: mc.Cohort, title: str) -> tuple[Figure, dict[str, float]]:
    """Six test films with their maps, and the mean share of the maps that lies in the border.

    The films are evenly spaced in the test set; nobody picked them.

    Returns:
        The figure; ``border share <method>`` (120 films) beside ``border share uniform``, and ``empty maps <method>``, the
        share of those films on which nothing speaks for the class (they are left out of the mean).
    """
    few, many = _evenly(test, _SHOWN), _evenly(test, _MEASURED)
    figure = Figure(figsize=(1.7 * _SHOWN, 1.85 * len(_METHODS)), layout="constrained")
    axes = figure.subplots(len(_METHODS), _SHOWN, squeeze=False)
    borders = {"border share uniform": float(mc.border_share(np.ones((1, test.size, test.size)))[0])}
    for row, method in zip(axes, _METHODS, strict=True):
        share = mc.border_share(mc.activation_maps(model, many.images, method=method, target=1))
        borders[f"border share {method}"] = float(pd.Series(share).mean())  # without the empty ones, NaN
        borders[f"empty maps {method}"] = float(np.isnan(share).mean())
        maps = mc.activation_maps(model, few.images, method=method, target=1)
        row[0].set_ylabel(f"{method}\nborder {borders[f'border share {method}']:.2f}", fontsize=8)
        for axis, film, seen, label in zip(row, few.images, maps, few.table["label"], strict=True):
            axis.imshow(film[0], cmap="gray", vmin=0, vmax=255)
            axis.imshow(seen, cmap="viridis", vmin=0, vmax=1, alpha=0.45)
            axis.set_title(label, fontsize=8)
            axis.set(xticks=[], yticks=[])
    figure.suptitle(
        f"{title}: what speaks for PNEUMONIA (a map without aim has {borders['border share uniform']:.2f} in the border)",
        fontsize=9,
    )
    return figure, borders


def _evenly(cohort: mc.Cohort, images: int) -> mc.Cohort:
    at = np.linspace(0, len(cohort) - 1, min(images, len(cohort))).astype(int)
    return cohort.subset(cohort.table.index[at])
