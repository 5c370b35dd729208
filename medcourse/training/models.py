"""Models: a small convolutional network, and torchvision's ResNets, for any number of channels and classes."""

import itertools
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import models as zoo

from medcourse.data.cohort import Cohort
from medcourse.errors import SourceError, TrainingError
from medcourse.training.batches import cut

Train = Literal["all", "head", "last-block"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_SAMPLE = 1000  # images that the normalisation is measured on


class Classifier(nn.Module):
    """Normalise inside, then a network: float images in [0, 1], N x C x H x W, to logits, N x classes.

    The normalisation travels with the weights (buffers), so that training, prediction and maps agree. Parts that do
    not train stay in evaluation mode, batch normalisation included: a frozen part is frozen.

    Args:
        network: N x C x H x W to N x classes.
        mean, std: one value per channel, in [0, 1].
        trained: the parts that learn; all others are frozen. None: all learn.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        trained: list[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._trained = None if trained is None else [id(m) for part in trained for m in part.modules()]
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))
        if trained is not None:
            network.requires_grad_(False)
            for part in trained:
                part.requires_grad_(True)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, N x classes."""
        return self.network((images - self.mean) / self.std)

    def train(self, mode: bool = True) -> "Classifier":
        """As ``nn.Module.train``, but frozen parts stay in evaluation mode."""
        super().train(mode)
        if mode and self._trained is not None:
            for module in self.network.modules():
                if id(module) not in self._trained:
                    module.training = False
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
        name: "simple-cnn", "resnet18" or "resnet50" (He et al. 2016, as in torchvision).
        cohort: the training set: tells channels and classes, and (without weights) mean and standard deviation of the
            pixels. Do not pass a cohort that holds test images.
        weights: None (random, from ``seed``) or "imagenet" (fetched by torchvision; three channels).
        train: what learns: "all", "head" (the last linear layer) or "last-block" (the last stage and the head).
        seed: of the random weights; the global random state is left alone.

    Returns:
        A ``Classifier``: float images in [0, 1], N x C x H x W, to logits, N x classes.

    Raises:
        TrainingError: unknown name, weights or train; images too small; ImageNet weights for grey images.
        SourceError: the weights cannot be fetched.
    """
    if name not in MODELS:
        raise TrainingError(f"there is no model '{name}'; there are {', '.join(MODELS)}")
    if weights not in (None, "imagenet"):
        raise TrainingError(f"weights={weights!r}: give None or 'imagenet'")
    if train not in ("all", "head", "last-block"):
        raise TrainingError(f"train={train!r}: give 'all', 'head' or 'last-block'")
    if cohort.size < 16:
        raise TrainingError(f"images of {cohort.size} pixels are too small for {name}; load them at 16 or more")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, last_block = MODELS[name](cohort.channels, len(cohort.classes), weights)
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if weights else pixel_statistics(cohort)
    head: nn.Module = network.get_submodule("fc")
    trained = {"all": None, "head": [head], "last-block": [last_block, head]}[train]
    return Classifier(network, mean, std, trained)


def pixel_statistics(cohort: Cohort) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in [0, 1], over at most 1,000 images spread over the cohort."""
    rows = range(0, len(cohort), max(1, len(cohort) // _SAMPLE))
    counts = np.zeros((cohort.channels, 256))
    for part in cut(rows, 64):  # counted by value, chunk by chunk: floats of all pixels would take 300 MB
        pixels = cohort.read(part)
        counts += [np.bincount(pixels[:, channel].ravel(), minlength=256) for channel in range(cohort.channels)]
    shares, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = shares @ values
    std = np.sqrt(np.maximum(shares @ values**2 - mean**2, 1e-6))  # a blank cohort must not divide by zero
    return tuple(mean.tolist()), tuple(std.tolist())


def _simple_cnn(channels: int, classes: int, weights: str | None) -> tuple[nn.Module, nn.Module]:
    if weights:
        raise TrainingError("there are no ImageNet weights for 'simple-cnn'; pass weights=None")
    network = SimpleCNN(channels, classes)
    return network, network.features[9]


def _resnet(build: Callable[..., zoo.ResNet]) -> Callable[[int, int, str | None], tuple[nn.Module, nn.Module]]:
    def make(channels: int, classes: int, weights: str | None) -> tuple[nn.Module, nn.Module]:
        if weights and channels != 3:
            raise TrainingError(f"ImageNet weights need three channels; these images have {channels}")
        try:
            network = build(weights="DEFAULT" if weights else None)
        except OSError as error:
            raise SourceError(
                f"the ImageNet weights of {build.__name__} cannot be fetched ({error}). Use weights=None, or put the file "
                "into torch's hub cache by hand"
            ) from error
        if channels != 3:
            network.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.fc = nn.Linear(network.fc.in_features, classes)
        return network, network.layer4

    return make


MODELS: dict[str, Callable[[int, int, str | None], tuple[nn.Module, nn.Module]]] = {
    "simple-cnn": _simple_cnn,
    "resnet18": _resnet(zoo.resnet18),
    "resnet50": _resnet(zoo.resnet50),
}
