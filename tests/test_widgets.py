"""The explorer: number fields change the picture, and the picture stands by itself. Figures have alt text in a notebook."""

import base64
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.utils.capture import capture_output
from traitlets.config import Config

import medcourse as mc
from medcourse.viewing import alt_text, widgets


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    yield InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    InteractiveShell.clear_instance()
    plt.close("all")


def test_the_picture_is_an_output_of_its_own_that_the_fields_change(shell: InteractiveShell):
    explorer = mc.widgets.loss_explorer(weight=9, gamma=2)
    with capture_output() as shown:
        explorer._ipython_display_()
    fields, picture = (output.data for output in shown.outputs)
    assert "application/vnd.jupyter.widget-view+json" in fields
    assert "image/png" not in fields
    assert "application/vnd.jupyter.widget-view+json" not in picture
    assert base64.b64decode(picture["image/png"]).startswith(b"\x89PNG")
    assert "ill, weight 9" in picture["text/html"]
    assert shown.outputs[1].metadata["image/png"]["alt"] == picture["text/plain"]
    for field, value, words in zip(explorer.children, (1, 0), ("ill, weight 1", "gamma 0"), strict=True):
        with capture_output() as shown:
            field.value = value
        [changed] = shown.outputs
        assert changed.update
        assert changed.data["image/png"] != picture["image/png"]
        assert words in changed.data["text/html"]


def test_each_field_has_a_label_and_refuses_what_it_does_not_take():
    assert [field.description for field in mc.widgets.loss_explorer().children] == ["weight", "gamma"]
    with pytest.raises(mc.errors.ArgumentError, match="weight=0 does not fit; the field takes 1 to 100"):
        mc.widgets.loss_explorer(weight=0)
    with pytest.raises(mc.errors.ArgumentError, match="gamma='2'"):
        mc.widgets.loss_explorer(gamma="2")


@pytest.mark.parametrize("weight", [1, 9, 100])
def test_no_curve_of_the_loss_is_cut_off_above(weight: float):
    left = widgets._loss_curves(weight, 0).axes[0]
    assert max(line.get_ydata().max() for line in left.get_lines()) < left.get_ylim()[1]
    plt.close("all")


def test_a_figure_in_a_notebook_has_alt_text(shell: InteractiveShell):
    alt_text.show_figures_with_alt_text()
    select_figure_formats(shell, {"png"})  # what matplotlib does at the first figure; it takes our formatter out
    shell.events.trigger("post_execute")
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2], label='"<b>ill"')
    left.set(title="scores", xlabel="p(ill)")
    left.legend()
    right.imshow(np.zeros((2, 2)))
    data, _ = shell.display_formatter.format(figure)
    assert 'alt="Figure with 1 picture. scores; across: p(ill); drawn: &quot;&lt;b&gt;ill&quot;."' in data["text/html"]
    assert data["image/png"].strip() in data["text/html"], "both show the same picture"


def test_outside_of_a_notebook_nothing_is_registered():
    alt_text.show_figures_with_alt_text()


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
def test_the_curves_are_those_of_the_package_losses(gamma):
    p = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    loss, target = mc.FocalLoss(gamma), torch.tensor([1])
    ours = [float(loss(torch.tensor([[0.0, x]]), target)) for x in torch.logit(p)]
    np.testing.assert_allclose(widgets._focal(p.numpy(), gamma), ours, rtol=1e-4)


@pytest.mark.parametrize(("weight", "gamma"), [(1, 0), (9, 0), (1, 2), (9, 2), (3, 0.5)])
def test_the_best_score_has_the_lowest_mean_loss(weight, gamma):
    scores = np.linspace(0.001, 0.999, 999)
    for score in (0.1, 0.5, 0.8):
        risk = float(widgets._risk(score, weight, gamma))
        mean = risk * weight * widgets._focal(scores, gamma) + (1 - risk) * widgets._focal(1 - scores, gamma)
        assert scores[mean.argmin()] == pytest.approx(score, abs=0.002)
