"""A network seen from outside: the images that it takes, the mode that it runs in, its layers, and its errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from medcourse.errors import MedcourseError, TrainingError


class LayerRun(NamedTuple):
    """A layer that ran: its name in ``model.named_modules()`` and what came out of it."""

    name: str
    module: nn.Module
    output: Any


def float_images(pixels: Tensor) -> Tensor:
    """uint8 to what every model takes: float32 in [0, 1]."""
    return pixels.float().div_(255)


def first_weight(model: nn.Module) -> Tensor:
    """A weight that tells on which device and in which precision the model computes; zeros(1) of one without weights."""
    return next((weight for weight in model.parameters() if weight.is_floating_point()), torch.zeros(1))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for the block; then every module has its own mode back (a frozen batch norm stays frozen)."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def explained(what: str, error: type[MedcourseError] = TrainingError, advice: str = "") -> Iterator[None]:
    """Say in one sentence where an error inside torch (or inside a model or loss of the user's) came from.

    Args:
        what: what was tried, where.
        error: raised in its place. Errors of medcourse pass.
        advice: what to do; of a GPU that runs out of memory the message says so itself.
    """
    try:
        yield
    except MedcourseError:
        raise
    except torch.OutOfMemoryError as full:
        raise error(
            f"{what}: out of GPU memory. Use a smaller batch_size, smaller images (size=) or precision='bf16', and see "
            "whether another program uses the GPU."
        ) from full
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as problem:
        reason = next(iter(str(problem).splitlines()), "no reason given")
        raise error(f"{what}: {type(problem).__name__}: {reason}" + (f". {advice}" if advice else "")) from problem


def is_head(module: nn.Module) -> bool:
    """Can this be a network's head? Of these layers the last one that runs is (SqueezeNet's is a 1 x 1 convolution)."""
    return isinstance(module, nn.Linear | nn.Conv2d)


def is_picture(output: Any) -> bool:
    """N x C x h x w, of more than one cell."""
    return isinstance(output, Tensor) and output.ndim == 4 and output[0, 0].numel() > 1


def run_layers(model: nn.Module, images: Tensor) -> list[LayerRun]:
    """Every layer in the order in which they ran, without gradients; last the model itself, named ""."""
    ran: list[LayerRun] = []

    def note(name: str) -> Any:
        return lambda module, _inputs, output: ran.append(LayerRun(name, module, output))

    hooks = [module.register_forward_hook(note(name)) for name, module in model.named_modules()]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return ran


def pictures_before_head(ran: list[LayerRun]) -> list[str]:
    """The names of the layers that give a picture before the head runs, last to run first.

    A pooling to a fixed size does not count (AlexNet, VGG): it makes as many cells as its head needs, of however few.
    """
    pooling = nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d
    pooled = {id(layer.output) for layer in ran if isinstance(layer.module, pooling)}
    heads = [number for number, layer in enumerate(ran) if is_head(layer.module)]
    last = {layer.name: number for number, layer in enumerate(ran)}  # one that runs again is seen at its last run
    before = enumerate(ran[: heads[-1]] if heads else [])
    pictures = [
        layer.name
        for number, layer in before
        if is_picture(layer.output) and last[layer.name] == number and id(layer.output) not in pooled
    ]
    return pictures[::-1]


def features(model: nn.Module, images: Tensor) -> Tensor:
    """What enters the head: N x D, or N x D x h x w.

    Raises:
        TrainingError: no linear layer and no convolution ran.
    """
    entered: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        entered[:] = inputs[:1]

    hooks = [module.register_forward_pre_hook(keep) for module in model.modules() if is_head(module)]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not entered:
        raise TrainingError(f"{type(model).__name__} has no head: no linear layer and no convolution ran in it")
    return entered[0]
