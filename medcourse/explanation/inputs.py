"""What every question to a model needs: images as it takes them, its logits, and the class that is asked about."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from medcourse.arguments import whole_number
from medcourse.errors import ArgumentError, ExplanationError
from medcourse.networks.forward import evaluation_mode, explained, first_weight, float_images


def check_inputs(model: nn.Module, images: Any) -> None:
    """Refuse what is not a torch module, and images that are not N x C x H x W.

    Raises:
        ExplanationError: with what was given instead.
    """
    if not isinstance(model, nn.Module):
        raise ExplanationError(
            f"the model is a {type(model).__name__}; give a torch module (of a trainer: trainer.model)"
        )
    if len(np.shape(images)) != 4 or len(images) == 0:
        raise ExplanationError(f"images have shape {np.shape(images)}; give N x C x H x W")


def batches(model: nn.Module, images: Any, batch_size: int) -> Iterator[Tensor]:
    """The images in order, as float tensors in [0, 1], on the model's device and in its precision.

    Raises:
        ExplanationError: values outside [0, 1] (uint8 is divided by 255).
    """
    weight = first_weight(model)
    for start in range(0, len(images), batch_size):
        yield _floats(images[start : start + batch_size]).to(weight).clone()  # never the caller's own memory


def _floats(images: Any) -> Tensor:
    pixels = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    floats = float_images(pixels.detach()) if pixels.dtype == torch.uint8 else pixels.detach().float()
    if not (floats.min() >= 0 and floats.max() <= 1):  # nor NaN
        raise ExplanationError(
            f"images range from {floats.min():g} to {floats.max():g}; give uint8, or floats in [0, 1]"
        )
    return floats


def check_logits(logits: Any) -> Tensor:
    """The model's output, if it is N x K.

    Raises:
        ExplanationError: with what it is instead.
    """
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ExplanationError(f"the model gives {what}; maps need logits, N x K")
    return logits


def logits_of(model: nn.Module, images: Any, batch_size: int) -> Tensor:
    """Logits of every image in evaluation mode, without gradients: float32, N x K, on the CPU."""
    with evaluation_mode(model), torch.no_grad():
        found = [_checked_forward(model, batch) for batch in batches(model, images, batch_size)]
    return torch.cat(found)


def _checked_forward(model: nn.Module, batch: Tensor) -> Tensor:
    with explained(f"the model does not take images of {tuple(batch.shape[1:])}", ExplanationError):
        return check_logits(model(batch)).float().cpu()


def checked_target(target: int | ArrayLike | None, images: int, classes: int) -> NDArray[np.int64] | None:
    """The class asked about for each image: int64, N; None stays None.

    Args:
        target: one position for all images, or N of them, or None.
        images: N.
        classes: number of logits.

    Raises:
        ArgumentError: not a whole number, out of range, or not N of them.
    """
    if target is None:
        return None
    try:
        given: Any = np.asarray(target)
    except (TypeError, ValueError):
        given = np.asarray("?")
    if given.ndim == 0:
        asked = np.full(images, whole_number("target", target), dtype=np.int64)
    elif given.shape != (images,) or not np.issubdtype(given.dtype, np.integer):
        raise ArgumentError(
            f"target has shape {given.shape} and type {given.dtype}; give one class, or one for each of {images} images"
        )
    else:
        asked = given.astype(np.int64)
    if asked.min() < 0 or asked.max() >= classes:
        wrong = asked[(asked < 0) | (asked >= classes)][0]
        raise ArgumentError(f"target={wrong}: give the position of a class, 0..{classes - 1}, or None")
    return asked
