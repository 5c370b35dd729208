"""Class activation maps: where in the image a convolutional network finds what speaks for a class."""

from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medcourse.arguments import one_of, whole_number
from medcourse.errors import ArgumentError, ExplanationError
from medcourse.networks.forward import (
    LayerRun,
    evaluation_mode,
    explained,
    first_weight,
    float_images,
    is_picture,
    last_picture,
    run_layers,
)

Method = Literal["gradcam", "smoothgradcam++"]
_NOISE = 0.3  # of SmoothGrad-CAM++, in standard deviations of the pixels
_COPIES = 4


def activation_maps(
    model: nn.Module,
    images: Any,
    method: Method = "gradcam",
    target: int | None = None,
    layer: str | None = None,
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """One map per image of what speaks for a class, its cells stretched to 0..1.

    The map has as few cells as the layer (ResNet18 at 160 px: 5 x 5) and is enlarged to the image. Frozen models have maps,
    too. The model's modes and gradients are left as they were.

    Args:
        model: images in [0, 1] to logits, N x K, as ``mc.build_model`` makes them, where its weights lie.
        images: uint8 or float in [0, 1], N x C x H x W (``cohort.images``, an array or a tensor).
        method: "gradcam" (Selvaraju et al. 2017) or "smoothgradcam++" (Omeiza et al. 2019; four noisy copies of each
            image, the same noise for every image, from a fixed seed). In a network that averages its last layer over the
            image, as all of ``mc.build_model``, the noise changes nothing there: the derivatives are the head's weights.
        target: position of the class; None: for each image the class with the largest logit.
        layer: name in ``model.named_modules()``, one that gives a picture (of one that runs several times, the last);
            None: what enters the last layer, while it still is a picture.
        batch_size: images at once.

    Returns:
        float32, N x H x W, in [0, 1]; all 0 where nothing in the layer speaks for the class, or everything alike.

    Raises:
        ArgumentError: unknown method, or a target or batch size out of range.
        ExplanationError: unknown layer, images of another kind, a model that does not take them, or one without a map.
    """
    one_of("method", method, get_args(Method))
    whole_number("batch_size", batch_size, least=1)
    if not isinstance(model, nn.Module):
        raise ExplanationError(
            f"the model is a {type(model).__name__}; give a torch module (of a trainer: trainer.model)"
        )
    if len(np.shape(images)) != 4 or len(images) == 0:
        raise ExplanationError(f"images have shape {np.shape(images)}; give N x C x H x W")
    weight = first_weight(model)
    maps = []
    with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        ran = _run(model, _floats(images[:1]).to(weight))
        logits = ran[-1].output
        if target is not None and whole_number("target", target) >= logits.shape[1]:
            raise ArgumentError(f"target={target!r}: give the position of a class, 0..{logits.shape[1] - 1}, or None")
        layer = _found_layer(model, ran, np.shape(images)[2:]) if layer is None else _checked_layer(model, layer, ran)
        for start in range(0, len(images), batch_size):
            batch = _floats(images[start : start + batch_size]).to(weight)
            cells = _cells(model, model.get_submodule(layer), batch, method, target)
            large = F.interpolate(cells[:, None], batch.shape[2:], mode="bilinear", align_corners=False)
            maps.append(large[:, 0].clamp(0, 1).cpu().numpy())
    return np.concatenate(maps)


def _cells(model: nn.Module, layer: nn.Module, images: Tensor, method: Method, target: int | None) -> Tensor:
    """The maps as the layer has them, stretched to 0..1 in float32 (1e-8 is nothing in half precision): N x h x w."""
    seen, first, classes = _slopes(model, layer, images, target)
    if method == "gradcam":
        weights = first.mean((2, 3), keepdim=True)
    else:
        std, noise, sums = _NOISE * _pixel_std(model), torch.Generator().manual_seed(0), [torch.zeros_like(seen)] * 3
        for _copy in range(_COPIES):
            drawn = std * torch.randn(images.shape[1:], generator=noise)
            _, slopes, _ = _slopes(model, layer, images + drawn.to(images), classes)
            sums = [total + slopes**power / _COPIES for power, total in enumerate(sums, start=1)]
        curvature = (sums[2] * seen).sum((2, 3), keepdim=True)
        weights = (sums[1] / (2 * sums[1] + curvature + 1e-8) * sums[0].relu()).sum((2, 3), keepdim=True)
    cells = (weights * seen).sum(1).relu().float()
    cells = cells - cells.amin((1, 2), keepdim=True)
    return cells / (cells.amax((1, 2), keepdim=True) + 1e-8)


def _slopes(
    model: nn.Module, layer: nn.Module, images: Tensor, target: int | Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """What comes out of the layer in its last run, the slope of the class's logit at every number of it, and the classes."""
    outputs: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    no_slopes = (
        "no gradient comes from the logits to the layer (is part of the model run without gradients, or was it made in "
        "inference mode?)"
    )
    with explained(no_slopes, ExplanationError):
        try:
            logits = model(images.clone().requires_grad_())  # frozen models have slopes, too
        finally:
            hook.remove()
        classes = (
            logits.argmax(1) if target is None else torch.as_tensor(target, device=logits.device).expand(len(logits))
        )
        (slopes,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), outputs[-1])
    return outputs[-1].detach(), slopes, classes


def _floats(images: Any) -> Tensor:
    pixels = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    floats = float_images(pixels.detach()) if pixels.dtype == torch.uint8 else pixels.detach().float()
    if not (floats.min() >= 0 and floats.max() <= 1):  # nor NaN
        raise ExplanationError(
            f"images range from {floats.min():g} to {floats.max():g}; give uint8, or floats in [0, 1]"
        )
    return floats


def _run(model: nn.Module, image: Tensor) -> list[LayerRun]:
    with explained(f"the model does not take images of {tuple(image.shape[1:])}", ExplanationError):
        ran = run_layers(model, image)
    logits = ran[-1].output
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ExplanationError(f"the model gives {what}; maps need logits, N x K")
    return ran


def _checked_layer(model: nn.Module, layer: str, ran: list[LayerRun]) -> str:
    named = dict(model.named_modules(remove_duplicate=False)).get(layer) if layer else None
    runs = [run for run in ran if run.module is named]
    if not runs:
        names = [run.name for run in ran if run.name and is_picture(run.output)]
        raise ExplanationError(f"no layer '{layer}' ran in the model; pictures come from {', '.join(names[-8:])}")
    if not is_picture(runs[-1].output):
        raise ExplanationError(f"the layer '{layer}' gives no picture (N x C x h x w of more than one cell)")
    return runs[-1].name


def _found_layer(model: nn.Module, ran: list[LayerRun], size: tuple[int, ...]) -> str:
    layer = last_picture(ran)
    if layer is None:
        raise ExplanationError(
            f"no layer of {type(model).__name__} gives more than one cell for images of {size} pixels; use larger images, "
            "or name a layer"
        )
    return layer


def _pixel_std(model: nn.Module) -> float:
    """The noise is meant for normalised images; models that normalise inside (buffer ``std``) take it before that."""
    found = [std for module in model.modules() if isinstance(std := getattr(module, "std", None), Tensor)]
    return float(found[0].mean()) if found else 1.0
