"""What changes the weights: an optimizer, and a learning-rate scheduler where one is asked for."""

import json
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from medcourse.errors import TrainingError
from medcourse.networks.forward import explained

MakeOptimizer = Callable[[nn.Module], Optimizer | tuple[Optimizer, LRScheduler]]


def make_optimizer(make: MakeOptimizer | None, model: nn.Module, lr: float) -> tuple[Optimizer, LRScheduler | None]:
    """Adam over all weights (frozen ones get no gradient and do not move), or what the user's function makes.

    Raises:
        TrainingError: the function fails, returns something else, or takes weights that are not the model's; or nothing
            learns.
    """
    if make is None:
        made: object = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    else:
        with explained("the function optimizer= fails on this model"):
            made = make(model)
    optimizer, scheduler = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(optimizer, Optimizer) or not isinstance(scheduler, LRScheduler | None):
        raise TrainingError(
            "the function optimizer= must return a torch.optim.Optimizer, or a pair of it and a learning-rate scheduler; it "
            f"returned {type(optimizer).__name__}, {type(scheduler).__name__}"
        )
    if isinstance(scheduler, ReduceLROnPlateau):
        raise TrainingError("ReduceLROnPlateau needs a number at each step: call its step in after_epoch=")
    if scheduler is not None and scheduler.optimizer is not optimizer:
        raise TrainingError("the learning-rate scheduler belongs to another optimizer than the one returned with it")
    ours, weights = set(model.parameters()), weights_of(optimizer)
    if not ours.issuperset(weights):
        raise TrainingError(
            "the optimizer holds weights that are not the model's; make it from the model that it is given"
        )
    if not any(weight.requires_grad for weight in weights):
        raise TrainingError("nothing in this model learns: every weight is frozen. Set requires_grad of some.")
    return optimizer, scheduler


def weights_of(optimizer: Optimizer) -> list[Tensor]:
    """All weights that it may change, group by group."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def settings_of(thing: Optimizer | LRScheduler) -> str:
    """Its class and its numbers as JSON; of functions and objects inside only the kind."""
    if isinstance(thing, Optimizer):
        numbers: object = [{**group, "params": len(group["params"])} for group in thing.param_groups]
    else:
        numbers = thing.state_dict()
    return type(thing).__name__ + json.dumps(numbers, default=lambda inner: type(inner).__name__)
