"""Short trainings of copies: one small batch, several learning rates."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATES = (1e-3, 1e-4, 1e-2)  # where Adam usually learns, the likeliest first
STEPS = 60
_BY_HEART = 0.05  # cross-entropy at which a training stops: nothing is left to learn
_LEARNED = 0.9  # accuracy


@dataclass(frozen=True)
class Result:
    """Loss (cross-entropy) and accuracy on the images trained on, by batch statistics, without dropout."""

    loss: float
    accuracy: float


class Probes:
    """Trainings of copies of a model on one batch, each made when it is first asked for.

    Args:
        model: copied for each training.
        images: float in [0, 1], n x C x H x W.
        targets: int64, n.
    """

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor) -> None:
        self._model, self._images, self._targets = model, images, targets
        self._results: dict[float, Result] = {}

    def at(self, lr: float) -> Result:
        """After up to ``STEPS`` steps at a learning rate; at 0: before any."""
        if lr not in self._results:
            self._results[lr] = self._train(lr)
        return self._results[lr]

    def first_to_learn(self, rates: list[float]) -> float | None:
        """The first of these learning rates at which the batch is learned by heart."""
        return next((rate for rate in rates if self.at(rate).accuracy > _LEARNED), None)

    def told(self, lr: float, other: float) -> str:
        """The losses before, at the run's learning rate and at another, in words."""
        return (
            f"{STEPS} steps on one batch of {len(self._targets)} training images bring its loss from {self.at(0).loss:.2f} to "
            f"{self.at(lr).loss:.3g} at lr={lr:g}, to {self.at(other).loss:.3g} at lr={other:g}"
        )

    def _train(self, lr: float) -> Result:
        """Adam, every weight that learns; it stops when the batch is learned by heart, or the loss is not finite."""
        model = copy.deepcopy(self._model)
        adam = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=lr, fused=True)
        model.train()
        for _ in range(STEPS if lr else 0):
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
        left = F.cross_entropy(logits, self._targets)
        return Result(
            float(left) if torch.isfinite(left) else float("inf"),
            float((logits.argmax(1) == self._targets).float().mean()),
        )
