"""Models: a small network, and torchvision's ResNets, DenseNets and SqueezeNet, for any number of classes."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import models as zoo

from medcourse.arguments import one_of
from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.networks.seeds import training_seed
from medcourse.networks.signature import InputSignature
from medcourse.networks.weights import with_imagenet_weights

Train = Literal["all", "head", "last-block"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_SAMPLE = 1000  # images that the normalisation is measured on


class Classifier(nn.Module):
    """Normalise inside, then a network: float images in [0, 1], N x C x H x W, to logits, N x classes.

    The normalisation travels with the weights (buffers), so that training, prediction and maps agree. A part whose weights are
    all frozen stays in evaluation mode, batch normalisation and dropout included: a frozen part is frozen.

    Args:
        network: N x C x H x W to N x classes.
        mean, std: one value per channel of the network, in [0, 1]. With three, grey images become three equal channels.
        architecture: the name in ``MODELS`` that the network was built by; None of another network.

    Attributes:
        trained_on: what the last training saw; None before.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], architecture: str | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.architecture = architecture
        self.trained_on: InputSignature | None = None
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, N x classes."""
        return self.network((images - self.mean) / self.std)  # one channel broadcasts to the network's three

    def train(self, mode: bool = True) -> "Classifier":
        """As ``nn.Module.train``, but frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in self.network.modules():
            weights = list(part.parameters())
            if weights and not any(weight.requires_grad for weight in weights):
                part.eval()
        return self


class SimpleCNN(nn.Module):
    """Four 3 x 3 convolutions with ReLU and pooling, global average pooling, dropout, one linear layer.

    Without batch normalisation, as in the first network that most tutorials build.
    """

    def __init__(self, channels: int, classes: int, width: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, N x classes. Images of 16 pixels or more."""
        return self.fc(self.dropout(self.features(images).mean((2, 3))))


def build_model(
    name: str,
    cohort: Cohort,
    weights: Literal["imagenet"] | None = None,
    train: Train = "all",
    seed: int = 0,
) -> Classifier:
    """A model with this cohort's channels and classes, ready for ``mc.Trainer``.

    Args:
        name: "simple-cnn"; as in torchvision "resnet18", "resnet50" (He et al. 2016), "densenet121", "densenet201"
            (Huang et al. 2017) and "squeezenet1_1" (Iandola et al. 2016; here without the ReLU behind its last
            convolution, which would keep every logit from being negative and so every sigmoid at 0.5 or more). Images
            of 16 pixels or more for simple-cnn, of 32 or more for the others.
        cohort: the training set: tells channels and classes, and (without weights) mean and standard deviation of the
            pixels. Do not pass a cohort that holds test images.
        weights: None (random, from ``seed``) or "imagenet": fetched by torchvision, for squeezenet1_1 taken from the
            mirror (``MEDCOURSE_MIRROR``). Grey images are then repeated to three equal channels inside the model.
        train: what learns: "all", "head" (the last layer, in squeezenet1_1 a 1 x 1 convolution) or "last-block" (the
            last stage and the head).
        seed: of the random weights, MEDCOURSE_SEED_SHIFT added; the global random state is left alone.

    Returns:
        A ``Classifier``: float images in [0, 1], N x C x H x W, to logits, N x classes.

    Raises:
        ArgumentError: unknown name, weights or train, or a seed that is not a whole number of 0 or more.
        TrainingError: images too small, or no ImageNet weights for simple-cnn.
        SourceError: the weights cannot be had.
        IntegrityError: what came are not the weights expected.
        StorageError: this machine's disk refused the weights.
    """
    one_of("name", name, MODELS)
    seed = training_seed(seed)
    if weights is not None:
        one_of("weights", weights, ("imagenet",))
    one_of("train", train, get_args(Train))
    plan = MODELS[name]
    if cohort.size < plan.smallest:
        raise TrainingError(
            f"images of {cohort.size} pixels are too small for {name}; load them at size={plan.smallest} or more"
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed a GPU as well
        network = build_network(name, cohort.channels, len(cohort.classes), weights)
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if weights else pixel_statistics(cohort)
    if train != "all":
        network.requires_grad_(False)
        for part in (plan.head,) if train == "head" else (*plan.last_block, plan.head):
            network.get_submodule(part).requires_grad_(True)
    return Classifier(network, mean, std, name)


def pixel_statistics(cohort: Cohort) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in [0, 1], over at most 1,000 images spread over the cohort."""
    rows = range(0, len(cohort), max(1, len(cohort) // _SAMPLE))
    counts = np.zeros((cohort.channels, 256))
    for start in range(0, len(rows), 64):  # counted by value, chunk by chunk: floats of all pixels would take 300 MB
        pixels = cohort.read(rows[start : start + 64])
        counts += [np.bincount(pixels[:, channel].ravel(), minlength=256) for channel in range(cohort.channels)]
    shares, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = shares @ values
    std = np.sqrt(np.maximum(shares @ values**2 - mean**2, 1e-6))  # a blank cohort must not divide by zero
    return tuple(mean.tolist()), tuple(std.tolist())


def build_network(name: str, channels: int, classes: int, weights: str | None = None) -> nn.Module:
    """One of ``MODELS`` with a new head and, without ImageNet weights, a first convolution for its number of channels."""
    if name == "simple-cnn":
        if weights:
            raise TrainingError("there are no ImageNet weights for 'simple-cnn'; pass weights=None")
        return SimpleCNN(channels, classes)
    plan = MODELS[name]
    network = with_imagenet_weights(plan.build) if weights else plan.build(weights=None)
    first: Any = network.get_submodule(plan.first)
    head: Any = network.get_submodule(plan.head)
    if channels != 3 and not weights:
        bias = first.bias is not None
        new = nn.Conv2d(channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=bias)
        nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
        network.set_submodule(plan.first, new)
    if isinstance(head, nn.Linear):
        network.set_submodule(plan.head, nn.Linear(head.in_features, classes))
    else:
        network.set_submodule(plan.head, nn.Conv2d(head.in_channels, classes, 1))
        network.set_submodule("classifier.2", nn.Identity())  # the ReLU that would allow no negative logit
    return network


@dataclass(frozen=True)
class _Plan:
    """How torchvision builds a network, and the paths of its parts."""

    build: Callable[..., nn.Module]
    first: str
    head: str
    last_block: tuple[str, ...]
    smallest: int = 32  # the largest stride of torchvision's networks: one pixel is left at the end


MODELS = {
    "simple-cnn": _Plan(SimpleCNN, "features.0", "fc", ("features.9",), smallest=16),
    "resnet18": _Plan(zoo.resnet18, "conv1", "fc", ("layer4",)),
    "resnet50": _Plan(zoo.resnet50, "conv1", "fc", ("layer4",)),
    "densenet121": _Plan(zoo.densenet121, "features.conv0", "classifier", ("features.denseblock4", "features.norm5")),
    "densenet201": _Plan(zoo.densenet201, "features.conv0", "classifier", ("features.denseblock4", "features.norm5")),
    "squeezenet1_1": _Plan(zoo.squeezenet1_1, "features.0", "classifier.1", ("features.12",)),
}
