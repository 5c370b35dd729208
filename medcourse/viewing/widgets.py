"""Interactive views for notebooks: number fields above a picture that they change. The picture stands by itself, too."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display, update_display
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from medcourse.arguments import number
from medcourse.errors import ArgumentError
from medcourse.viewing.alt_text import described, image_tag
from medcourse.viewing.plot import BLUE, GREEN, ORANGE


class Explorer(ipywidgets.HBox):
    """Number fields that change a picture.

    The picture is an output of its own: it stays when the kernel is gone, and in pages where widgets cannot be shown. Number
    fields have a label that a screen reader finds, which sliders of ipywidgets 8 lack; and JupyterLab leaves them the arrow
    keys, which it takes from menus.

    Attributes:
        picture: the picture for the present choice, by MIME type: PNG (base64), HTML with alt text, the alt text.
    """

    def __init__(self, name: str, fields: Sequence[ipywidgets.BoundedFloatText], draw: Callable[..., Figure]) -> None:
        super().__init__(fields)
        self._name, self._fields, self._draw = name, fields, draw
        self._picture_id, self._displayed = uuid4().hex, False
        for field in fields:
            field.observe(self._update, "value")
        self._update()

    def _update(self, _change: object = None) -> None:
        figure = self._draw(*(field.value for field in self._fields))
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=90)
        plt.close(figure)
        png, words = base64.b64encode(stream.getvalue()).decode(), described(figure)
        self.picture = {"image/png": png, "text/html": image_tag(png, words), "text/plain": words}
        if self._displayed:
            update_display(self.picture, raw=True, metadata=self._metadata(), display_id=self._picture_id)

    def _metadata(self) -> dict[str, Any]:
        return {"image/png": {"alt": self.picture["text/plain"]}}

    def _ipython_display_(self) -> None:
        names = " and ".join(field.description for field in self._fields)
        fields = super()._repr_mimebundle_() | {"text/plain": f"{self._name}: in JupyterLab, fields for {names}"}
        display(fields, raw=True)
        display(self.picture, raw=True, metadata=self._metadata(), display_id=self._picture_id)
        self._displayed = True


def _field(name: str, value: float, least: float, most: float, step: float) -> ipywidgets.BoundedFloatText:
    if not least <= number(name, value) <= most:
        raise ArgumentError(f"{name}={value!r} does not fit; the field takes {least:g} to {most:g}")
    return ipywidgets.BoundedFloatText(
        value=value, min=least, max=most, step=step, description=name, continuous_update=True
    )


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
        "loss_explorer", [_field("weight", weight, 1, 100, 1), _field("gamma", gamma, 0, 5, 0.5)], _loss_curves
    )


def _loss_curves(weight: float, gamma: float) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    p = np.linspace(0.002, 0.998, 499)
    # broad below narrow, so that curves which meet (gamma 0, weight 1) are all seen
    left.plot(p, _focal(p, gamma), color=BLUE, linewidth=5, alpha=0.5, label="healthy, weight 1")
    left.plot(p, weight * _focal(p, gamma), color=ORANGE, linewidth=2, label=f"ill, weight {weight:g}")
    left.plot(p, _focal(p, 0), color="black", linestyle=":", label="cross-entropy")
    left.set(xlabel="probability given to the true class", ylabel="loss of a case (log scale)")
    left.set(xlim=(0, 1), yscale="log", ylim=(0.001, 1000))
    left.minorticks_off()  # they take a third of the time of a redraw
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
