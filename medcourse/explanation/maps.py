"""Class activation maps: where in the image a convolutional network finds what speaks for a class (torchcam does it)."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torchcam.methods import GradCAM, SmoothGradCAMpp

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

_NOISE = 0.3  # of SmoothGrad-CAM++, in standard deviations of the pixels


class _SmoothGradCAMpp(SmoothGradCAMpp):
    """The weights of Omeiza et al., averaged over the noisy copies; an image's map does not depend on its batch.

    torchcam 0.5 takes the activations and the first derivative of the last noisy copy, and noise for the whole batch.
    """

    def _compute_smoothgrad_weights(self, class_idx: int | list[int], eps: float, **more: Any) -> list[Tensor]:
        own, noise = list(self.hook_a), torch.Generator().manual_seed(0)
        sums = [[torch.zeros_like(act) for act in own] for _power in range(3)]
        for _copy in range(self.num_samples):
            drawn = self.std * torch.randn(self._input.shape[1:], generator=noise)
            self._backprop(self.model((self._input + drawn.to(self._input)).requires_grad_()), class_idx, **more)
            for power, of_layers in enumerate(sums, start=1):
                for total, gradient in zip(of_layers, self.hook_g, strict=True):
                    total += gradient**power / self.num_samples
        self.hook_a = own
        weights = []
        for act, first, second, third in zip(own, *sums, strict=True):
            total = (third * act).sum((2, 3), keepdim=True)
            weights.append((second / (2 * second + total + eps) * first.relu()).sum((2, 3)))
        return weights


_METHODS = {"gradcam": GradCAM, "smoothgradcam++": _SmoothGradCAMpp}


def activation_maps(
    model: nn.Module,
    images: Any,
    method: Literal["gradcam", "smoothgradcam++"] = "gradcam",
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
    one_of("method", method, _METHODS)
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
        more = {"std": _NOISE * _pixel_std(model)} if method == "smoothgradcam++" else {}
        with _METHODS[method](model, layer, **more) as extractor:
            for start in range(0, len(images), batch_size):
                batch = _floats(images[start : start + batch_size]).to(weight).clone().requires_grad_()
                cells = _cells(extractor, model, batch, target)
                large = F.interpolate(cells[:, None], batch.shape[2:], mode="bilinear", align_corners=False)
                maps.append(large[:, 0].clamp(0, 1).cpu().numpy())
    return np.concatenate(maps)


def _cells(extractor: GradCAM | _SmoothGradCAMpp, model: nn.Module, batch: Tensor, target: int | None) -> Tensor:
    """The maps as the layer has them, stretched to 0..1 in float32 (1e-8 is nothing in half precision): N x h x w."""
    no_gradient = (
        "no gradient comes from the logits to the layer (is part of the model run without gradients, or was it made in "
        "inference mode?)"
    )
    with explained(no_gradient, ExplanationError):
        logits = model(batch)
        classes = logits.argmax(1).tolist() if target is None else [int(target)] * len(batch)
        (cells,) = extractor(classes, logits, normalized=False)
    cells = cells.detach().float()
    cells = cells - cells.amin((1, 2), keepdim=True)
    return cells / (cells.amax((1, 2), keepdim=True) + 1e-8)


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
    return runs[-1].name  # a module may have several names; torchcam knows its first


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
