"""Runs with a known fault: the networks, and how each fault is planted.

Three sets with disjoint groups are drawn: for training, for validation (both are shown to the diagnosis), and fresh images
that neither the run nor the diagnosis sees; what they say decides whether a run is healthy or overfit (``diagnosis.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from medcourse.data.cohort import Cohort
from medcourse.networks.models import Classifier, SimpleCNN, pixel_statistics


@dataclass(frozen=True)
class Settings:
    """Of one task; ``images``: of a size in pixels, the cohort; ``train``, ``val``: images, ``share`` of the positive class in
    both; ``strengths``: how strong each fault is planted, one value per variant."""

    name: str
    images: Callable[[int], Cohort]
    size: int
    train: int
    val: int
    share: float
    lr: float
    epochs: int
    batch: int
    seed: int
    strengths: dict[str, tuple[float, ...]]


class BatchNorm(nn.Module):
    """Three convolutions with batch normalisation."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((channels, width), (width, 2 * width), (2 * width, 2 * width)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)))


class Small(nn.Module):
    """Too small: one number per channel (or one convolution's single map), and a linear layer."""

    def __init__(self, channels: int, classes: int, one_map: bool) -> None:
        super().__init__()
        self.map = nn.Sequential(nn.Conv2d(channels, 1, 3), nn.ReLU()) if one_map else nn.Identity()
        self.fc = nn.Linear(1 if one_map else channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.map(images).mean((2, 3)))


class Setup:
    """A run about to be made; faults change it."""

    def __init__(self, cohort: Cohort, settings: Settings, model: str, seed: int, share: float, train: int) -> None:
        self.settings, self.seed, self.name = settings, seed, model
        self.rng = np.random.default_rng(seed)
        self.train, self.val, self.fresh = draw(cohort, (train, settings.val, settings.val), share, self.rng)
        self.lr, self.epochs, self.loss, self.sampler = settings.lr, settings.epochs, None, None
        self.batch, self.validate = settings.batch, True
        self.changes: list[Callable[[nn.Module], nn.Module | None]] = []
        self.small: bool | None = None

    def build(self) -> nn.Module:
        channels = self.train.channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if self.small is not None:
                network: nn.Module = Small(channels, 2, self.small)
            elif self.name == "batch-norm":
                network = BatchNorm(channels, 2, 16 if self.settings.size < 40 else 12)
            else:
                network = SimpleCNN(channels, 2, width=16)
        model: nn.Module = Classifier(network, *pixel_statistics(self.train))
        for change in self.changes:
            model = change(model) or model
        return model


def relabelled(cohort: Cohort, labels: np.ndarray) -> Cohort:
    return Cohort(cohort.read(range(len(cohort))), cohort.table.assign(label=labels), cohort.classes, name=cohort.name)


def draw(cohort: Cohort, sizes: tuple[int, int, int], share: float, rng: np.random.Generator) -> list[Cohort]:
    """Training, validation and fresh images: disjoint groups (half of them, a quarter, a quarter), this share of the
    positive class."""
    groups = rng.permutation(cohort.table["group"].unique())
    quarter = pd.Series(np.arange(len(groups)) * 4 // len(groups), index=groups)[cohort.table["group"]].to_numpy()
    part = np.maximum(quarter - 1, 0)
    sets = []
    for number, n in enumerate(sizes):
        rows = [
            rng.permutation(np.flatnonzero((part == number) & (cohort.targets == k)))[:m]
            for k, m in ((1, max(2, round(n * share))), (0, n - max(2, round(n * share))))
        ]
        sets.append(cohort.subset(cohort.table.index[rng.permutation(np.concatenate(rows))]))
    return sets


# ---------------------------------------------------------------------- the faults


def plant(setup: Setup, fault: str, value: float) -> None:
    """Break a run in one way; ``imbalance`` was planted when the images were drawn, and of ``overfitting`` how few there are."""
    if fault == "learning-rate-too-high" or fault == "learning-rate-too-low":
        setup.lr = value
    elif fault == "frozen-weights":
        setup.changes.append(freeze)
    elif fault == "input-not-normalised":
        setup.changes.append(lambda model: rescale(model, value))
    elif fault == "labels-constant":
        setup.sampler = np.flatnonzero(setup.train.targets == 0).tolist()
    elif fault in ("labels-shuffled", "no-signal"):
        setup.train = relabelled(setup.train, setup.rng.permutation(setup.train.table["label"].to_numpy()))
        if fault == "no-signal":
            setup.val = relabelled(setup.val, setup.rng.permutation(setup.val.table["label"].to_numpy()))
    elif fault == "softmax-before-cross-entropy":
        setup.changes.append(lambda model: nn.Sequential(model, nn.Softmax(1)))
    elif fault == "threshold-unreachable":
        setup.loss = nn.CrossEntropyLoss(weight=torch.tensor([float(value), 1.0]))
    elif fault == "unshuffled-batches":
        setup.sampler = np.argsort(setup.train.targets, kind="stable").tolist()
    elif fault == "batch-norm-statistics":
        setup.changes.append(lambda model: momentum(model, value))
    elif fault == "dead-relus":
        setup.changes.append(lambda model: kill(model, value))
    elif fault == "capacity-too-small":
        setup.small = bool(value)
    elif fault in ("overfitting", "overfitting-last-epoch"):
        setup.epochs, setup.batch, setup.validate = 60, 8, fault == "overfitting"


def freeze(model: nn.Module) -> None:
    weights = list(model.parameters())
    for weight in weights[:-2]:
        weight.requires_grad_(False)


def rescale(model: nn.Module, factor: float) -> None:
    model.mean.zero_()
    model.std.fill_(1 / factor)


def momentum(model: nn.Module, value: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = value


def kill(model: nn.Module, bias: float) -> None:
    layer = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d) and m.bias is not None][-1]
    nn.init.constant_(layer.bias, bias)
