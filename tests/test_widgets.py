"""The explorers: sliders change the picture, and the picture stands alone without a front end."""

import base64
import json

import numpy as np
import pytest
import torch

import medcourse as mc
from medcourse.viewing import widgets


@pytest.fixture(scope="module")
def runs() -> dict:
    return json.loads(widgets._RUNS.read_text())


def test_every_setting_was_run(runs):
    settings = {f"{r:g}/{s:g}/{w}" for r in runs["rates"] for s in runs["shares"] for w in runs["widths"]}
    assert set(runs["runs"]) == settings
    for run in runs["runs"].values():
        assert sum(map(sum, run["scores"])) == sum(map(sum, run["confusion"])) == pytest.approx(400, abs=20)


def test_a_slider_changes_the_picture():
    explorer = mc.widgets.training_explorer()
    sliders, picture = explorer.children
    before = bytes(picture.value)
    assert before.startswith(b"\x89PNG")
    sliders.children[0].value = 1e-1
    assert bytes(picture.value) != before


def test_without_a_front_end_the_picture_is_shown():
    explorer = mc.widgets.training_explorer(lr=1e-2, share=0.5)
    shown = base64.b64decode(explorer._repr_mimebundle_()["image/png"])
    assert shown == bytes(explorer.children[1].value)


def test_a_value_that_was_not_run_is_refused():
    with pytest.raises(mc.errors.EvaluationError, match=r"share=0\.3: the slider has 0\.5, 0\.2"):
        mc.widgets.training_explorer(share=0.3)


def test_the_loss_explorer_redraws_and_stands_alone():
    explorer = mc.widgets.loss_explorer(weight=9, gamma=2)
    before = explorer._repr_mimebundle_()
    assert before["text/plain"].startswith("loss_explorer")
    for slider, value in zip(explorer.children[0].children, (1, 0), strict=True):
        shown = bytes(explorer.children[1].value)
        slider.value = value
        assert bytes(explorer.children[1].value) != shown
    assert base64.b64decode(before["image/png"]).startswith(b"\x89PNG")
    with pytest.raises(mc.errors.EvaluationError, match="weight=4: the slider has 1, 2, 3"):
        mc.widgets.loss_explorer(weight=4)


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
