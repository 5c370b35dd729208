"""The explorer: sliders change the picture, and the picture stands alone without a front end."""

import base64

import numpy as np
import pytest
import torch

import medcourse as mc
from medcourse.viewing import widgets


def test_the_loss_explorer_redraws_and_stands_alone():
    explorer = mc.widgets.loss_explorer(weight=9, gamma=2)
    before = explorer._repr_mimebundle_()
    assert before["text/plain"].startswith("loss_explorer")
    for slider, value in zip(explorer.children[0].children, (1, 0), strict=True):
        shown = bytes(explorer.children[1].value)
        slider.value = value
        assert bytes(explorer.children[1].value) != shown
    assert base64.b64decode(before["image/png"]).startswith(b"\x89PNG")
    with pytest.raises(mc.errors.ArgumentError, match="the slider has 1, 2, 3"):
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
