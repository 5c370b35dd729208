"""Interactive views for notebooks; where there is no front end for widgets, each shows a picture instead."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from medcourse.viewing.plot import BLUE, GREY, ORANGE

_RUNS = Path(__file__).with_name("training_runs.json")


class _Explorer(ipywidgets.VBox):
    """Sliders over a picture; the picture alone where widgets cannot be shown (HTML, PDF, GitHub)."""

    def __init__(self, sliders: list[ipywidgets.SelectionSlider], draw: Any) -> None:
        self._draw = draw
        self._sliders = sliders
        self._picture = ipywidgets.Image(format="png")
        for slider in sliders:
            slider.observe(self._update, "value")
        self._update()
        super().__init__([ipywidgets.HBox(sliders), self._picture])

    def _update(self, _change: object = None) -> None:
        figure: Figure = self._draw(*(slider.value for slider in self._sliders))
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=90)
        plt.close(figure)
        self._picture.value = stream.getvalue()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options)
        return {
            **bundle,
            "text/plain": "training_explorer (a picture, or sliders in JupyterLab)",
            "image/png": base64.b64encode(self._picture.value).decode(),
        }


def training_explorer(lr: float = 1e-3, share: float = 0.1, width: int = 16) -> ipywidgets.VBox:
    """Learning rate, imbalance and capacity as sliders over real training runs that were computed beforehand.

    Nevi against melanomas of HAM10000 at 32 px, 600 training and 400 validation images, 8 epochs, one seed per setting
    (``benchmarks/explorer_runs.py`` makes the runs). Left the losses and the validation AUROC by epoch, right the
    validation scores by class with the threshold of 0.5.

    Args:
        lr: learning rate of Adam to begin with; 1e-5, 1e-4, 1e-3, 1e-2 or 1e-1.
        share: share of melanomas; 0.5, 0.2, 0.1 or 0.05.
        width: channels of the first of four convolutions; 2, 16 or 64.

    Returns:
        The widget; in an exported page its picture for these three values.
    """
    found = json.loads(_RUNS.read_text(encoding="utf-8"))
    sliders = [
        ipywidgets.SelectionSlider(options=options, value=value, description=name)
        for name, options, value in (
            ("lr", found["rates"], lr),
            ("melanoma", found["shares"], share),
            ("channels", found["widths"], width),
        )
    ]

    def draw(rate: float, part: float, channels: int) -> Figure:
        return _training_run(found["runs"][f"{rate:g}/{part:g}/{channels}"], found["classes"])

    return _Explorer(sliders, draw)


def _training_run(run: dict[str, Any], classes: list[str]) -> Figure:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 2.8), layout="constrained")
    epochs = range(1, len(run["train_loss"]) + 1)
    for name, colour in (("train_loss", GREY), ("val_loss", BLUE)):
        left.plot(epochs, run[name], "o-", color=colour, label=name.replace("_", " "), markersize=3)
    left.set(xlabel="epoch", ylabel="cross-entropy", ylim=(0, None))
    left.legend(fontsize=8)
    middle.plot(epochs, run["val_auroc"], "o-", color=BLUE, markersize=3)
    middle.axhline(0.5, color=GREY, linewidth=1)
    middle.set(xlabel="epoch", ylabel="validation AUROC", ylim=(0, 1))
    counts = np.array(run["scores"], dtype=float)
    edges = np.linspace(0, 1, counts.shape[1] + 1)
    for k, colour in enumerate((BLUE, ORANGE)):
        share = counts[k] / counts[k].sum()
        right.stairs(
            share, edges, color=colour, fill=True, alpha=0.45, label=f"{classes[k]} (n = {counts[k].sum():.0f})"
        )
    right.axvline(0.5, color="black", linestyle="--", linewidth=1)
    called = np.array(run["confusion"])
    right.set(xlabel="score p(melanoma)", ylabel="share of the class", xlim=(0, 1))
    right.set_title(
        f"at 0.5: {called[1, 1]} of {called[1].sum()} melanomas found, {called[0, 1]} false alarms", fontsize=9
    )
    right.legend(fontsize=8)
    return figure
