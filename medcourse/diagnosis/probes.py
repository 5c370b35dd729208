"""Short trainings of copies: the same start, a few images, other learning rates."""

import copy
import time
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LADDER = (1e-4, 1e-3, 1e-2)  # where Adam usually learns
_STEPS, _FEWEST = 60, 16
_SECONDS = 12.0  # for all rungs together
_BY_HEART = 0.01  # cross-entropy at which nothing is left to learn


@dataclass(frozen=True)
class Result:
    """Loss (cross-entropy) and accuracy on the images trained on, by batch statistics, without dropout."""

    loss: float
    accuracy: float


class Probes:
    """Trainings of copies of a model on the same images.

    Args:
        model: as it was before training; copied for each training.
        images: float in [0, 1], n x C x H x W: one batch, which is learned by heart. targets: int64, n.
        lr: the trainer's learning rate.
    """

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor, lr: float) -> None:
        self._model, self._images, self._targets, self.lr = model, images, targets, lr

    @cached_property
    def _step_seconds(self) -> float:
        began = time.perf_counter()
        self.train(self.lr, 2)
        return (time.perf_counter() - began) / 3

    @cached_property
    def steps(self) -> int:
        """Steps of each training; fewer when the model is slow."""
        return int(min(_STEPS, max(_FEWEST, _SECONDS / (len(_LADDER) + 1) / self._step_seconds)))

    @cached_property
    def before(self) -> Result:
        """Before any step."""
        return self.train(self.lr, 0)

    @cached_property
    def own(self) -> Result:
        """At the trainer's learning rate."""
        return self.train(self.lr, self.steps)

    @cached_property
    def others(self) -> dict[float, Result]:
        """At the usual learning rates that are not within a factor of 5 of the trainer's."""
        rates = [rate for rate in _LADDER if max(rate / self.lr, self.lr / rate) >= 5]
        return {rate: self.train(rate, self.steps) for rate in rates}

    @cached_property
    def memorised(self) -> float:
        """The best accuracy on the batch after any of these trainings."""
        return max(result.accuracy for result in (self.own, *self.others.values()))

    def train(self, lr: float, steps: int) -> Result:
        """Adam for ``steps`` on the batch, every weight that learns; fewer when the batch is learned by heart or lost."""
        model = copy.deepcopy(self._model)
        adam = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=lr, fused=True)
        model.train()
        for _ in range(steps):
            adam.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(self._images).float(), self._targets)
            if not _BY_HEART < float(loss.detach()) < float("inf"):
                break
            loss.backward()
            adam.step()
        for module in model.modules():
            if isinstance(module, nn.Dropout | nn.Dropout2d):
                module.eval()
        with torch.no_grad():
            logits = model(self._images).float()
        left = float(F.cross_entropy(logits, self._targets))
        return Result(
            left if torch.isfinite(logits).all() else float("inf"),
            float((logits.argmax(1) == self._targets).float().mean()),
        )
