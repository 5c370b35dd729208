"""Class activation maps: where in the image a convolutional network finds what speaks for a class (torchcam does it)."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torchcam.methods import GradCAM, SmoothGradCAMpp

from medcourse.errors import ExplanationError

_NOISE = 0.3  # of SmoothGrad-CAM++, in standard deviations of the pixels


class _SmoothGradCAMpp(SmoothGradCAMpp):
    """torchcam 0.5 weighs the activations of its last noisy copy; these are the image's own."""

    def _get_weights(self, *arguments: Any, **more: Any) -> list[Tensor]:
        own = list(self.hook_a)
        weights = super()._get_weights(*arguments, **more)
        self.hook_a = own
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
    too. The model's mode and gradients are left as they were.

    Args:
        model: images in [0, 1] to logits, as ``mc.build_model`` makes them, where its weights lie.
        images: uint8 or float in [0, 1], N x C x H x W (``cohort.images``, an array or a tensor).
        method: "gradcam" (Selvaraju et al. 2017) or "smoothgradcam++" (Omeiza et al. 2019; four noisy copies of each
            image, noise from a fixed seed).
        target: position of the class; None: for each image the class with the largest logit.
        layer: name in ``model.named_modules()``; None: what enters the last layer, while it still is a picture.
        batch_size: images at once.

    Returns:
        float32, N x H x W, in [0, 1]; all 0 where nothing in the layer speaks for the class.

    Raises:
        ExplanationError: unknown method, target or layer, images of another kind, or a model without a map.
    """
    if method not in _METHODS:
        raise ExplanationError(f"method='{method}': give one of {', '.join(_METHODS)}")
    if len(np.shape(images)) != 4 or len(images) == 0 or batch_size < 1:
        raise ExplanationError(f"images have shape {np.shape(images)}; give N x C x H x W, and batch_size of 1 or more")
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    was_training, maps = model.training, []
    model.eval()
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layer = layer or _last_picture(model, _floats(images[:1]).to(device))
            if layer not in dict(model.named_modules()):
                raise ExplanationError(f"the model has no layer '{layer}'; see dict(model.named_modules())")
            more = {"std": _NOISE * _pixel_std(model)} if method == "smoothgradcam++" else {}
            with _METHODS[method](model, layer, **more) as extractor:
                for start in range(0, len(images), batch_size):
                    batch = (
                        _floats(images[start : start + batch_size]).to(device).requires_grad_()
                    )  # frozen models, too
                    logits = model(batch)
                    _check_target(target, logits)
                    classes = logits.argmax(1).tolist() if target is None else [target] * len(batch)
                    (cells,) = extractor(classes, logits)
                    large = F.interpolate(cells[:, None], batch.shape[2:], mode="bilinear", align_corners=False)
                    maps.append(large[:, 0].detach().float().clamp(0, 1).cpu().numpy())
    finally:
        model.train(was_training)
    return np.concatenate(maps)


def _floats(images: Any) -> Tensor:
    pixels = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    floats = pixels.detach().float() / 255 if pixels.dtype == torch.uint8 else pixels.detach().float()
    if floats.min() < 0 or floats.max() > 1:
        raise ExplanationError(
            f"images range from {floats.min():g} to {floats.max():g}; give uint8, or floats in [0, 1]"
        )
    return floats


def _last_picture(model: nn.Module, image: Tensor) -> str:
    """The last layer to give more than one cell before the head (the last linear layer or convolution) runs."""
    ran: list[tuple[str, nn.Module, Any]] = []

    def note(name: str) -> Any:
        return lambda module, _inputs, output: ran.append((name, module, output))

    hooks = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    heads = [number for number, (_, module, _) in enumerate(ran) if isinstance(module, nn.Linear | nn.Conv2d)]
    before = ran[: heads[-1]] if heads else []
    pictures = [name for name, _, out in before if isinstance(out, Tensor) and out.ndim == 4 and out[0, 0].numel() > 1]
    if not pictures:
        raise ExplanationError(
            f"no layer of {type(model).__name__} gives more than one cell for images of {tuple(image.shape[2:])} pixels; use "
            "larger images, or name a layer"
        )
    return pictures[-1]


def _pixel_std(model: nn.Module) -> float:
    """The noise is meant for normalised images; models that normalise inside (buffer ``std``) take it before that."""
    std = getattr(model, "std", None)
    return float(std.mean()) if isinstance(std, Tensor) else 1.0


def _check_target(target: int | None, logits: Tensor) -> None:
    if target is not None and (isinstance(target, bool) or not 0 <= target < logits.shape[1]):
        raise ExplanationError(f"target={target!r}: give the position of a class, 0..{logits.shape[1] - 1}, or None")
