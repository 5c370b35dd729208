"""Randomised layers, and pixels taken away, where the answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from medcourse.errors import ArgumentError, ExplanationError
from medcourse.explanation.perturbation import deletion_insertion
from medcourse.explanation.sanity import sanity_check
from medcourse.networks.models import build_model
from medcourse.networks.signature import InputSignature
from tests.conftest import make_cohort
from tests.test_maps import BrightSpot, spots


def test_parts_go_from_the_head_down_and_the_model_stays():
    cohort = make_cohort(2, size=48)
    model = build_model("resnet18", cohort).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    found = sanity_check(model, cohort.images, parts=7)
    assert found.index.tolist() == [
        f"network.{part}" for part in ["fc", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1"]
    ]
    assert list(found.columns) == ["rank_correlation", "ssim", "undefined"]
    assert found["ssim"].between(-1, 1).all()
    assert torch.equal(torch.get_rng_state(), random_state)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_same_seed_gives_the_same_table():
    cohort = make_cohort(4, size=32)
    first, again, other = (sanity_check(build_model("simple-cnn", cohort), cohort.images, seed=k) for k in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


class Edges(nn.Module):
    """Its maps show the image whatever it has learnt: the only layers with weights do next to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.ReLU()
        self.layers = nn.ModuleList([nn.Linear(1, 4), nn.Linear(4, 2)])
        with torch.no_grad():
            self.layers[0].weight.fill_(1.0)
            self.layers[1].weight.copy_(torch.tensor([[0.0], [1.0]]).expand(2, 4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers[1](self.layers[0](self.picture(images).mean((2, 3))).square())


def test_maps_that_show_the_image_stay_alike():
    """LayerCAM of one channel is the image itself, or empty where the random head speaks against the class."""
    found = sanity_check(Edges(), spots(), "layercam", target=1)
    assert found.index.tolist() == ["layers.1", "layers.0"], "a list of layers is opened"
    alike = found[found["undefined"] == 0]
    assert np.allclose(alike[["rank_correlation", "ssim"]], 1, atol=1e-4)
    assert found["undefined"].isin([0, 4]).all()
    assert found.loc[found["undefined"] == 4, "rank_correlation"].isna().all()


def test_maps_of_what_was_learnt_change():
    found = sanity_check(BrightSpot(), spots(), target=1, seed=3)
    assert found.index.tolist() == ["fc", "features"]
    assert found["ssim"].min() < 0.9


def test_a_weight_without_a_start_of_its_own():
    class Scaled(BrightSpot):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.fc((self.scale * self.features(images - 0.5)).relu().mean((2, 3)))

    assert sanity_check(Scaled(), spots(), layer="features").index.tolist() == [""], "one part: it cannot be opened"


def test_what_cannot_be_checked():
    with pytest.raises(ArgumentError, match="parts=0"):
        sanity_check(BrightSpot(), spots(), parts=0)
    with pytest.raises(ArgumentError, match="target=2"):
        sanity_check(BrightSpot(), spots(), target=2)
    with pytest.raises(ExplanationError, match="N x C x H x W"):
        sanity_check(BrightSpot(), spots()[0])


def spot_maps() -> np.ndarray:
    return (spots()[:, 0] > 200).astype(np.float32)


class Strong(BrightSpot):
    """Sure of its class where there is a bright spot, undecided where there is none."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 500 * super().forward(images)


@pytest.mark.parametrize("baseline", ["blur", "mean"])
def test_the_pixels_of_the_spot_carry_the_score(baseline):
    found, away, chance = (
        deletion_insertion(Strong(), spots(), maps, target=1, steps=8, baseline=baseline, batch_size=3)
        for maps in (spot_maps(), 1 - spot_maps(), np.ones((32, 32)))
    )
    assert found.curves.index.tolist() == [k / 8 for k in range(9)]
    assert found.areas.shape == (4, 2)
    curves = found.curves
    assert curves["deletion"].iloc[0] == pytest.approx(curves["insertion"].iloc[-1])
    assert curves["deletion"].iloc[-1] == pytest.approx(curves["insertion"].iloc[0])
    assert np.allclose(found.areas.mean(), [np.trapezoid(curves[name], curves.index) for name in curves])
    deletion, insertion = (pd.DataFrame([one.areas[name] for one in (found, chance, away)]) for name in curves)
    assert (deletion.diff().dropna() > 0).all().all(), "the spot first, at random, the spot last"
    assert (insertion.diff().dropna() < 0).all().all()


def test_pixels_of_equal_value_go_in_a_random_order_of_the_seed():
    first, again, other = (
        deletion_insertion(Strong(), spots(), np.ones((32, 32)), target=1, seed=seed).areas for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert not first.equals(other)


def test_findings_are_scored_by_their_sigmoid():
    cohort = make_cohort(4, size=32)
    model = build_model("simple-cnn", cohort)
    softmax = deletion_insertion(model, cohort.images, np.ones((32, 32)), target=1, steps=1).curves
    model.trained_on = InputSignature("multilabel", ("a", "b"), 1, 32)
    sigmoid = deletion_insertion(model, cohort.images, np.ones((32, 32)), target=1, steps=1).curves
    assert not np.allclose(softmax, sigmoid)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"baseline": "black"}, "baseline='black'"),
        ({"steps": 0}, "steps=0"),
        ({"maps": np.ones((3, 32, 32))}, "N x H x W or H x W"),
        ({"maps": np.full((32, 32), np.nan)}, "finite"),
        ({"maps": "a"}, "maps have shape"),
        ({"target": 5}, "target=5"),
        ({"model": 3}, "the model is a int"),
    ],
)
def test_what_has_no_curves(arguments, named):
    with pytest.raises((ArgumentError, ExplanationError), match=named):
        deletion_insertion(**({"model": BrightSpot(), "images": spots(), "maps": spot_maps()} | arguments))
