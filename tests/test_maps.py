import numpy as np
import pytest
import torch
from torch import nn

from medcourse.errors import ArgumentError, ExplanationError
from medcourse.explanation.localisation import border_share
from medcourse.explanation.maps import activation_maps
from medcourse.networks.forward import last_picture, run_layers
from medcourse.networks.models import build_model
from tests.conftest import make_cohort


class BrightSpot(nn.Module):
    """Speaks for class 1 where the image is bright, for class 0 where it is dark."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        self.fc = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.features.weight.zero_()
            self.features.weight[:, 0, 1, 1] = torch.tensor([1.0, -1.0])
            self.fc.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(images - 0.5).relu().mean((2, 3)))


class BrightSpotSquared(BrightSpot):
    """Its score is curved, and both kinds of spots count, so that the noise of SmoothGrad-CAM++ shows in the map."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        with torch.no_grad():
            self.fc.weight[1] = torch.tensor([1.0, 0.4])

    def head(self, seen: torch.Tensor) -> torch.Tensor:
        return self.fc(seen.square().mean((2, 3)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.features(images - 0.5)))


def grain() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 1, 12, 12), dtype=np.uint8)


def spots() -> np.ndarray:
    images = np.full((4, 1, 32, 32), 128, dtype=np.uint8)
    for row, (y, x) in enumerate([(8, 8), (8, 24), (24, 8), (24, 24)]):
        images[row, 0, y - 3 : y + 3, x - 3 : x + 3] = 250
    return images


@pytest.mark.parametrize("method", ["gradcam", "smoothgradcam++"])
def test_the_map_points_at_the_cause(method):
    maps = activation_maps(BrightSpot(), spots(), method=method, target=1, batch_size=3)
    assert maps.shape == (4, 32, 32)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max((1, 2)) == pytest.approx(1, abs=1e-3)
    for row, (y, x) in enumerate([(8, 8), (8, 24), (24, 8), (24, 24)]):
        inside = maps[row, y - 3 : y + 3, x - 3 : x + 3]
        assert inside.mean() > 0.9
        assert (maps[row].sum() - inside.sum()) < 0.6 * maps[row].sum()


def test_batches_dtype_and_repeats_change_nothing():
    images = spots()
    model = BrightSpot()
    maps = activation_maps(model, images)
    assert np.allclose(maps, activation_maps(model, images, batch_size=1), atol=1e-6)
    assert np.allclose(maps, activation_maps(model, torch.from_numpy(images).float() / 255), atol=1e-6)
    noisy = [activation_maps(model, images, method="smoothgradcam++") for _ in range(2)]
    assert np.array_equal(*noisy)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("simple-cnn", "network.features"),
        ("resnet18", "network.layer4"),
        ("densenet121", "network.features"),
        ("squeezenet1_1", "network.classifier.0"),
    ],
)
def test_frozen_models_and_their_layers(name, layer):
    cohort = make_cohort(4, size=64)
    model = build_model(name, cohort, train="head").train()
    assert activation_maps(model, cohort.images).shape == (4, 64, 64)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    model.eval()
    assert last_picture(run_layers(model, torch.rand(1, 1, 64, 64))) == layer


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"layer": "layer9"}, "no layer 'layer9'"),
        ({"images": spots()[0]}, "give N x C x H x W"),
        ({"images": spots().astype(np.float32)}, "range from 128 to 250"),
        ({"images": spots()[:, :, :1, :1]}, "more than one cell"),
        ({"images": np.full((1, 1, 32, 32), np.nan, np.float32)}, "range from nan to nan"),
        ({"images": spots().repeat(3, axis=1)}, r"does not take images of \(3, 32, 32\)"),
        ({"layer": "fc"}, "the layer 'fc' gives no picture"),
        ({"layer": ""}, "no layer '' ran in the model; pictures come from features"),
        ({"model": None}, r"the model is a NoneType"),
        ({"model": nn.Conv2d(1, 2, 3)}, r"the model gives \(1, 2, 30, 30\); maps need logits"),
    ],
)
def test_a_wrong_request(arguments, named):
    with pytest.raises(ExplanationError, match=named):
        activation_maps(**({"model": BrightSpot(), "images": spots()} | arguments))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"method": "lime"}, "method='lime' .* gradcam"),
        ({"method": ["gradcam"]}, "method="),
        ({"target": 2}, r"target=2: .* 0\.\.1"),
        ({"target": "1"}, "target='1'"),
        ({"target": 1.0}, r"target=1\.0"),
        ({"target": [1, 1, 1, 1]}, r"target=\[1"),
        ({"batch_size": 2.5}, r"batch_size=2\.5"),
    ],
)
def test_a_wrong_argument(arguments, named):
    with pytest.raises(ArgumentError, match=named):
        activation_maps(**({"model": BrightSpot(), "images": spots()} | arguments))


def test_a_noisy_map_does_not_depend_on_its_batch():
    together, in_threes, alone = (
        activation_maps(BrightSpotSquared(), grain(), "smoothgradcam++", 1, "act", batch_size=n) for n in (4, 3, 1)
    )
    assert np.allclose(together, in_threes, atol=1e-5)
    assert np.allclose(together, alone, atol=1e-5)
    assert not np.allclose(together, activation_maps(BrightSpotSquared(), grain(), "gradcam", 1, "act"), atol=0.02)


def test_smoothgradcam_is_that_of_its_formula():
    """By hand on one layer: derivatives averaged over the copies, then the weights of Omeiza et al."""
    model, image = BrightSpotSquared().eval(), torch.from_numpy(grain()[:1]).float() / 255
    noise, sums, copies = torch.Generator().manual_seed(0), [0.0, 0.0, 0.0], 4
    for _ in range(copies):
        seen = model.features(image + 0.3 * torch.randn(image.shape[1:], generator=noise) - 0.5).relu().detach()
        seen.requires_grad_()
        slope = torch.autograd.grad(model.head(seen)[:, 1].sum(), seen)[0]
        sums = [total + slope**power / copies for power, total in enumerate(sums, start=1)]
    act = model.features(image - 0.5).relu().detach()
    alpha = sums[1] / (2 * sums[1] + (sums[2] * act).sum((2, 3), keepdim=True) + 1e-8)
    cells = ((alpha * sums[0].relu()).sum((2, 3), keepdim=True) * act).sum(1).relu()[0]
    by_hand = (cells - cells.min()) / (cells.max() - cells.min())
    found = activation_maps(model, image, "smoothgradcam++", target=1, layer="act")
    assert np.allclose(found[0], by_hand.numpy(), atol=1e-3)


class Reused(nn.Module):
    """One ReLU behind the convolution and behind a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
        self.hidden, self.fc = nn.Linear(4 * 16, 8), nn.Linear(8, 2)
        self.again = self.features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = nn.functional.max_pool2d(self.act(self.features(images)), 8)
        return self.fc(self.act(self.hidden(seen.flatten(1))))


@pytest.mark.parametrize("method", ["gradcam", "smoothgradcam++"])
def test_a_layer_that_runs_twice_and_one_with_two_names(method):
    images = spots()
    assert activation_maps(Reused(), images, method).shape == (4, 32, 32)
    assert activation_maps(Reused(), images, method, layer="again").shape == (4, 32, 32)
    with pytest.raises(ExplanationError, match="the layer 'act' gives no picture"):
        activation_maps(Reused(), images, method, layer="act")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_nothing_for_the_class_is_0_in_every_precision(dtype):
    model = BrightSpot()
    with torch.no_grad():
        model.fc.weight.fill_(-1.0)
    assert (activation_maps(model.to(dtype), spots(), target=1) == 0).all()


def test_a_wrapped_model_has_the_same_maps():
    model = build_model("squeezenet1_1", make_cohort(4, size=32)).eval()
    images = make_cohort(4, size=32).images
    own = activation_maps(model, images, "smoothgradcam++", 1, "network.features.5")
    wrapped = activation_maps(nn.Sequential(model), images, "smoothgradcam++", 1, "0.network.features.5")
    assert np.array_equal(own, wrapped)


def test_what_was_made_in_inference_mode():
    with torch.inference_mode():
        images, model = torch.from_numpy(spots()).float() / 255, BrightSpot()
    assert np.array_equal(activation_maps(BrightSpot(), images), activation_maps(BrightSpot(), spots()))
    with pytest.raises(ExplanationError, match="inference mode"):
        activation_maps(model, images)


def test_out_of_memory_is_refused_with_advice():
    class Full(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("full")

    with pytest.raises(ExplanationError, match=r"out of GPU memory\. Use a smaller batch_size"):
        activation_maps(Full(), spots())


def test_modes_precision_and_inference_mode():
    cohort = make_cohort(4, size=32)
    model = build_model("resnet18", cohort).train()
    model.network.bn1.eval()
    maps = activation_maps(model, cohort.images)
    assert model.network.layer1.training
    assert not model.network.bn1.training
    with torch.inference_mode():
        assert np.array_equal(activation_maps(model, cohort.images), maps)
    assert activation_maps(model.bfloat16(), cohort.images).dtype == np.float32


def test_border_share():
    maps = np.zeros((4, 20, 20))
    maps[0] = 1
    maps[1, 10, 10] = 5
    maps[2, 1, 5] = 3
    shares = border_share(maps, width=0.1)
    assert shares[:3].tolist() == pytest.approx([0.36, 0, 1])
    assert np.isnan(shares[3])
    inside = np.random.default_rng(0).random((50, 20, 20))
    inside[:, :2] = inside[:, -2:] = inside[:, :, :2] = inside[:, :, -2:] = 0
    assert (border_share(inside) >= 0).all(), "rounding goes no further than 0"


@pytest.mark.parametrize("maps", [np.ones((3, 3)), -np.ones((1, 3, 3)), [["a"]]])
def test_no_border_share(maps):
    with pytest.raises(ExplanationError, match="N x H x W"):
        border_share(maps)


@pytest.mark.parametrize("width", [0.5, 0, None, "0.1"])
def test_no_width(width):
    with pytest.raises(ArgumentError, match="width="):
        border_share(np.ones((1, 3, 3)), width)
