"""Out of memory on a GPU: fewer images go through the model at once, and the batch of a step stays what it was."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

from medcourse.errors import TrainingError

Result = TypeVar("Result")


class Portion:
    """How many images go through the model at once: all that are asked for, until the memory does not hold them.

    Args:
        doing: what is done with them, for the messages.
        halve: look for a size that fits; False: the first ``torch.OutOfMemoryError`` is the last (of several processes
            one cannot go other ways than the rest).
        say: is told when the size has changed.
    """

    def __init__(self, doing: str, halve: bool, say: Callable[[str], None]) -> None:
        self._doing = doing
        self._halve = halve
        self._say = say
        self._most: int | None = None

    def fit(self, images: int, work: Callable[[int], Result]) -> Result:
        """``work(size)`` of the largest size that the memory holds: ``images``, or halved until it does.

        Raises:
            TrainingError: one image is too many.
        """
        size = asked = min(images, self._most or images)
        while True:
            try:
                result = work(size)
                break
            except torch.OutOfMemoryError as error:
                if size == 1 or not self._halve:
                    raise TrainingError(
                        f"out of memory while {self._doing} with {size} image(s) at once. Use smaller images, a smaller "
                        "model or batch_size, or precision='bf16'; see whether another program uses the GPU."
                    ) from error
            # Not inside `except`: there the error still holds the tensors of the failed attempt.
            size //= 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        if size < asked:
            self._most = size
            self._say(f"out of memory while {self._doing} with {asked} images at once: from now on {size} at most")
        return result


def gradients(
    fabric: Fabric, module: Any, loss: Callable[[Tensor, Tensor], Tensor], images: Tensor, targets: Tensor, size: int
) -> Tensor:
    """Add the gradients of the whole batch's loss to the weights, with at most ``size`` images in the model at once.

    In parts, the logits are computed first without gradients, the loss and its slope at every logit from all of them
    together, and then every part is run again and its slopes sent back (as in Gao et al. 2021, Scaling deep contrastive
    learning batch size under memory limited setup). So the loss may be any function of the batch: also one that divides
    by the weights of the batch, or compares images, and parts may be uneven. The price is a second forward pass. Dropout
    draws alike in both. What differs from the whole batch: batch normalisation sees one part at a time.

    Args:
        images, targets: the batch, n x C x H x W and n (or n x K).

    Returns:
        The loss of the batch, a scalar without gradient.
    """
    if size >= len(images):
        value = loss(module(images).float(), targets)
        fabric.backward(value)
        return value.detach()
    parts = images.tensor_split(-(-len(images) // size))  # as even as can be: no part of a single image
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    devices = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        logits = torch.cat([module(part).float() for part in parts])
    for buffer, before in buffers:
        buffer.copy_(before)  # batch statistics count the second pass only
    value = loss(logits.requires_grad_(), targets)
    (slopes,) = torch.autograd.grad(value, logits)
    for part, slope in zip(parts, slopes.tensor_split(len(parts)), strict=True):
        fabric.backward(module(part).float(), gradient=slope)
    return value.detach()
