import gc

import numpy as np
import pytest
import torch
import torchcam.methods
from torch import nn
from torchvision import models as zoo

from medcourse.errors import ArgumentError, ExplanationError
from medcourse.explanation.maps import activation_maps
from medcourse.explanation.methods import METHODS
from medcourse.networks.forward import pictures_before_head, run_layers
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


@pytest.mark.parametrize("method", METHODS)
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
    assert pictures_before_head(run_layers(model, torch.rand(1, 1, 64, 64)))[0] == layer


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
        ({"target": [1, 1]}, r"target has shape \(2,\) .* one for each of 4 images"),
        ({"target": [1.0, 1, 1, 1]}, "type float64"),
        ({"target": [0, 1, 2, 1]}, r"target=2: .* 0\.\.1"),
        ({"target": [0, 1, -1, 1]}, "target=-1: "),
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
    alpha = sums[1] / (2 * sums[1] + sums[2] * act.sum((2, 3), keepdim=True))
    cells = ((alpha.nan_to_num() * sums[0].relu()).sum((2, 3), keepdim=True) * act).sum(1).relu()[0]
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


@pytest.mark.parametrize("method", METHODS)
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


def curved_head(act: torch.Tensor, model: BrightSpotSquared) -> torch.Tensor:
    seen = act.detach().requires_grad_()
    return torch.autograd.grad(model.head(seen)[:, 1].sum(), seen)[0]


def test_gradcam_plus_plus_is_that_of_its_formula():
    """Chattopadhay et al. 2018, eq. 19, by hand; torchcam 0.5 gives something else."""
    model, images = BrightSpotSquared().eval(), torch.from_numpy(grain()).float() / 255
    act = model.features(images - 0.5).relu().detach()
    slope = curved_head(act, model)
    alpha = 1 / (2 + slope * act.sum((2, 3), keepdim=True))
    cells = ((alpha * slope.relu()).sum((2, 3), keepdim=True) * act).sum(1).relu()
    cells -= cells.amin((1, 2), keepdim=True)
    by_hand = (cells / cells.amax((1, 2), keepdim=True)).numpy()
    assert np.allclose(activation_maps(model, images, "gradcam++", 1, "act"), by_hand, atol=1e-5)
    with torchcam.methods.GradCAMpp(model, "act") as extractor:
        [other] = extractor(1, model(images))
    assert not np.allclose(other, by_hand, atol=0.01), "torchcam has changed: use its own?"


@pytest.mark.parametrize(
    ("method", "other"), [("gradcam", "GradCAM"), ("layercam", "LayerCAM"), ("xgradcam", "XGradCAM")]
)
@pytest.mark.parametrize("frozen", [False, True])
def test_equal_to_torchcam_where_that_is_right(method, other, frozen):
    cohort = make_cohort(6, size=64)
    model = build_model("resnet18", cohort).requires_grad_(not frozen).eval()
    images = torch.from_numpy(np.asarray(cohort.images)).float() / 255
    ours = activation_maps(model, cohort.images, method, target=1, layer="network.layer3", batch_size=4)
    with getattr(torchcam.methods, other)(model, "network.layer3") as extractor:
        [cells] = extractor(1, model(images.requires_grad_()))
    theirs = nn.functional.interpolate(cells[:, None], (64, 64), mode="bilinear")[:, 0]
    assert np.allclose(ours, theirs, atol=1e-5)


def test_a_target_for_each_image():
    model, images = BrightSpot(), spots()
    each = activation_maps(model, images, target=np.array([1, 0, 1, 0]), batch_size=3)
    by_class = [activation_maps(model, images, target=k) for k in (0, 1)]
    assert np.allclose(each, [by_class[k][row] for row, k in enumerate([1, 0, 1, 0])], atol=1e-6)
    assert not np.allclose(*by_class, atol=0.1)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("mobilenet_v3_small", "features"),
        ("shufflenet_v2_x0_5", "conv5"),
        ("mnasnet0_5", "layers"),
        ("regnet_y_400mf", "trunk_output"),
        ("googlenet", "inception5b"),
    ],
)
def test_networks_of_torchvision_need_no_layer(name, layer):
    """The larger ones (AlexNet, VGG, ResNeXt, EfficientNet, ConvNeXt, Inception v3) were tried by hand."""
    more = {"init_weights": False} if name == "googlenet" else {}
    model = zoo.get_model(name, weights=None, num_classes=2, **more)
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8)
    found = activation_maps(model, images, "layercam")
    assert found.shape == (1, 64, 64)
    assert np.array_equal(found, activation_maps(model, images, "layercam", layer=layer))


def test_a_pooling_to_a_fixed_size_is_no_picture():
    """As in AlexNet and VGG, whose pooling makes 36 or 49 cells of however few."""
    features = nn.Sequential(nn.Conv2d(1, 4, 3, stride=4), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(4 * 25, 2))
    alone = nn.Sequential(features, nn.AdaptiveAvgPool2d(5), head)
    inside = nn.Sequential(nn.Sequential(*features, nn.AdaptiveAvgPool2d(5)), head)
    assert pictures_before_head(run_layers(alone, torch.rand(1, 1, 16, 16)))[0] == "0"
    assert pictures_before_head(run_layers(inside, torch.rand(1, 1, 16, 16)))[0] == "0.1"


def test_the_layer_found_is_one_that_everything_passes():
    """A branch of a block still has several cells where the block's end has one: its map would leave the others out."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(1, 4, 3, padding=1)
            self.left, self.right = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
            self.fc = nn.Linear(8, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen = self.stem(images).relu()
            return self.fc(torch.cat([self.left(seen), self.right(seen)], 1).mean((2, 3)))

    model, images = Branches(), spots()
    assert pictures_before_head(run_layers(model, torch.rand(1, 1, 16, 16))) == ["right", "left", "stem"]
    assert np.array_equal(activation_maps(model, images), activation_maps(model, images, layer="stem"))


@pytest.mark.parametrize("build", [zoo.VisionTransformer, zoo.SwinTransformer])
def test_vision_transformers_are_refused(build):
    small = (
        {"image_size": 32, "patch_size": 8, "num_layers": 1, "num_heads": 1, "hidden_dim": 8, "mlp_dim": 8}
        if build is zoo.VisionTransformer
        else {"patch_size": [4, 4], "embed_dim": 8, "depths": [2], "num_heads": [1], "window_size": [2, 2]}
    )
    with pytest.raises(ExplanationError, match=r"is a vision transformer: .* Use a convolutional network"):
        activation_maps(build(**small), np.zeros((1, 3, 32, 32), dtype=np.uint8))


def state_of(model: nn.Module) -> list:
    return [
        [module.training for module in model.modules()],
        [weight.requires_grad for weight in model.parameters()],
        [None if weight.grad is None else weight.grad.clone() for weight in model.parameters()],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        torch.get_rng_state().tolist(),
    ]


class Breaks(BrightSpot):
    """Takes one image, and no batch of more."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 1:
            raise RuntimeError("too many")
        return super().forward(images)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_is_left_as_found_also_after_an_error(method):
    cohort = make_cohort(4, size=32)
    frozen = build_model("resnet18", cohort, train="head").train()
    for model, images, fails in ((frozen, cohort.images, False), (Breaks().train(), spots(), True)):
        next(reversed([*model.parameters()])).grad = torch.ones(2, 2)[:, 0] if model is frozen else torch.ones(2, 2)
        before = state_of(model)
        if fails:
            with pytest.raises(ExplanationError, match="too many"):
                activation_maps(model, images, method)
        else:
            activation_maps(model, images, method)
        after = state_of(model)
        for old, new in zip(before, after, strict=True):
            assert all(
                torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(old, new, strict=True)
            )


def test_a_backbone_without_gradients_has_maps():
    class Frozen(BrightSpot):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                seen = self.features(images - 0.5)
            return self.fc(seen.relu().mean((2, 3)))

    assert np.array_equal(activation_maps(Frozen(), spots()), activation_maps(BrightSpot(), spots()))


def tensors() -> int:
    gc.collect()
    return sum(type(thing) in (torch.Tensor, nn.Parameter) for thing in gc.get_objects())


def test_many_calls_leave_nothing_behind():
    model, images = BrightSpot(), spots()
    activation_maps(model, images, "smoothgradcam++")
    before = tensors()
    for method in METHODS:
        for _call in range(20):
            activation_maps(model, images, method)
    assert tensors() <= before


def test_small_activations_are_stretched_and_equal_ones_are_not():
    model = BrightSpot()
    with torch.no_grad():
        model.features.weight.mul_(1e-12)
    assert activation_maps(model, spots(), target=1).max((1, 2)) == pytest.approx(1, abs=1e-3)
    flat = np.full((1, 1, 32, 32), 250, dtype=np.uint8)
    model.features.padding_mode, model.features._reversed_padding_repeated_twice = "replicate", [1, 1, 1, 1]
    assert (activation_maps(model, flat, target=1) == 0).all()
