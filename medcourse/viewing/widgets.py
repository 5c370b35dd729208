"""Interactive views for notebooks; where there is no front end for widgets, each shows a picture instead."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from medcourse.errors import ArgumentError
from medcourse.viewing.plot import BLUE, GREEN, GREY, ORANGE

_WEIGHTS = (1, 2, 3, 5, 9, 20)
_GAMMAS = (0, 0.5, 1, 2, 5)


class _Explorer(ipywidgets.VBox):
    """Sliders over a picture; the picture alone where widgets cannot be shown (HTML, PDF, GitHub)."""

    def __init__(self, name: str, sliders: list[ipywidgets.SelectionSlider], draw: Callable[..., Figure]) -> None:
        self._name = name
        self._draw = draw
        self._sliders = sliders
        self._picture = ipywidgets.Image(format="png")
        for slider in sliders:
            slider.observe(self._update, "value")
        self._update()
        super().__init__([ipywidgets.HBox(sliders), self._picture])

    def _update(self, _change: object = None) -> None:
        figure = self._draw(*(slider.value for slider in self._sliders))
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=90)
        plt.close(figure)
        self._picture.value = stream.getvalue()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options)
        return {
            **bundle,
            "text/plain": f"{self._name} (a picture, or sliders in JupyterLab)",
            "image/png": base64.b64encode(self._picture.value).decode(),
        }


def _slider(name: str, options: Sequence[float], value: float) -> ipywidgets.SelectionSlider:
    if value not in options:
        steps = ", ".join(f"{option:g}" for option in options)
        raise ArgumentError(f"{name}={value!r} does not fit; the slider has {steps}")
    return ipywidgets.SelectionSlider(options=options, value=value, description=name)


def loss_explorer(weight: float = 9, gamma: float = 0) -> ipywidgets.VBox:
    """The weight of the disease and the gamma of the focal loss as sliders over the curves of the loss.

    Left the loss of a case, by the probability that its true class was given, for both classes, beside plain
    cross-entropy. Right the score at which the mean loss of many cases is lowest, by the share of them that are ill: what
    a model that has learned everything would say, and the risk at which it says 0.5.

    Args:
        weight: of the disease; the weight of healthy cases is 1. One of 1, 2, 3, 5, 9 or 20.
        gamma: of the focal loss (Lin et al. 2017), 0 is cross-entropy; 0, 0.5, 1, 2 or 5.

    Returns:
        The widget; in an exported page its picture for these two values.

    Raises:
        ArgumentError: a value that the slider does not have.
    """
    return _Explorer(
        "loss_explorer", [_slider("weight", _WEIGHTS, weight), _slider("gamma", _GAMMAS, gamma)], _loss_curves
    )


def _loss_curves(weight: float, gamma: float) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    p = np.linspace(0.002, 0.998, 499)
    # above the blue line, which it meets at gamma 0
    left.plot(p, _focal(p, 0), color="black", linestyle=":", label="cross-entropy", zorder=3)
    left.plot(p, _focal(p, gamma), color=BLUE, label="healthy, weight 1")
    left.plot(p, weight * _focal(p, gamma), color=ORANGE, label=f"ill, weight {weight:g}")
    left.set(xlabel="probability given to the true class", ylabel="loss of a case", xlim=(0, 1), ylim=(0, 20))
    left.legend(fontsize=8)
    score = np.linspace(0.002, 0.998, 499)
    right.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="score = risk (cross-entropy)")
    right.plot(_risk(score, weight, gamma), score, color=GREEN, label=f"weight {weight:g}, gamma {gamma:g}")
    half = float(_risk(0.5, weight, gamma))
    right.plot([0, half, half], [0.5, 0.5, 0], color="black", linestyle=":", linewidth=1)
    right.set(xlabel="true risk: share of ill among such cases", ylabel="best score", xlim=(0, 1), ylim=(0, 1))
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
