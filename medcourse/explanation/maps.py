"""Class activation maps: where in the image a convolutional network finds what speaks for a class (torchcam does it)."""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torchcam.methods import GradCAM

from medcourse.arguments import one_of, whole_number
from medcourse.errors import ExplanationError
from medcourse.explanation.inputs import batches, check_inputs, check_logits, checked_target
from medcourse.explanation.methods import METHODS, everything_passes, gradients_from
from medcourse.networks.forward import (
    LayerRun,
    evaluation_mode,
    explained,
    is_picture,
    pictures_before_head,
    run_layers,
)

Method = Literal["gradcam", "gradcam++", "smoothgradcam++", "layercam", "xgradcam"]
_NOISE = 0.3  # of SmoothGrad-CAM++, in standard deviations of the pixels
_ALIKE = 1e-6  # of a map's largest value: what rounding makes of a map that is the same everywhere
_NO_GRADIENT = (
    "no gradient comes from the logits to the layer (is part of the model run without gradients, or was it made in "
    "inference mode?)"
)
_SELF_ATTENTION = {"qkv", "to_qkv"}  # what torchvision and timm call the projection inside


def activation_maps(
    model: nn.Module,
    images: Any,
    method: Method = "gradcam",
    target: int | ArrayLike | None = None,
    layer: str | None = None,
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """One map per image of what speaks for a class, its cells stretched to 0..1.

    The map has as few cells as the layer (ResNet18 at 160 px: 5 x 5) and is enlarged to the image. Frozen models have maps,
    too. The model's modes, hooks, gradients and ``requires_grad`` are left as they were, also after an error.

    Methods:
        - "gradcam": channels weighted by their mean gradient (Selvaraju et al. 2017).
        - "gradcam++": by their positive gradients, places weighted (Chattopadhay et al. 2018).
        - "smoothgradcam++": the same with derivatives averaged over four noisy copies of each image (Omeiza et al. 2019), the
          same noise for every image, from a fixed seed.
        - "layercam": each place by its own positive gradient (Jiang et al. 2021).
        - "xgradcam": by the gradient where the channel is active (Fu et al. 2020).

    In a network that averages its last layer over the image, as all of ``mc.build_model``, the gradients of that layer are the
    head's weights. There "gradcam" and "xgradcam" are the same map, and noise changes nothing. The two ++ methods and "layercam"
    leave out what speaks against the class. "gradcam++", "smoothgradcam++" and "xgradcam" were derived for layers behind a
    ReLU; a channel whose activations nearly sum to 0 (ConvNeXt, EfficientNet) gets a weight without meaning there.

    "gradcam", "layercam" and "xgradcam" are torchcam's. The two others differ from torchcam 0.5, which leaves the division
    of "gradcam++" out, multiplies before it sums where the papers sum the activations alone, and takes activations and first
    derivative of the last noisy copy.

    Args:
        model: a convolutional network in torch: images in [0, 1] to logits, N x K, as ``mc.build_model`` makes them, or
            torchvision's classifiers. It computes where its weights lie.
        images: uint8 or float in [0, 1], N x C x H x W (``cohort.images``, an array or a tensor).
        method: one of the five above.
        target: position of the class, or one for each image; None: for each image the class with the largest logit.
        layer: name in ``model.named_modules()``, one that gives a picture (of one that runs several times, the last);
            None: the last that all of the image passes before
            the head, while it still is a picture of more than one cell.
        batch_size: images at once.

    Returns:
        float32, N x H x W, in [0, 1]; all 0 where nothing in the layer speaks for the class, or everything alike.

    Raises:
        ArgumentError: unknown method, or a target or batch size out of range.
        ExplanationError: unknown layer, images of another kind, a model that does not take them, or one without a map, as
            vision transformers.
    """
    one_of("method", method, METHODS)
    whole_number("batch_size", batch_size, least=1)
    check_inputs(model, images)
    maps = []
    with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        chosen = _chosen(model, images, layer)
        asked = checked_target(target, len(images), chosen.classes)
        more = {"std": _NOISE * _pixel_std(model)} if method == "smoothgradcam++" else {}
        with gradients_from(model, chosen.layer), METHODS[method](model, chosen.layer, **more) as extractor:
            for number, batch in enumerate(batches(model, images, batch_size)):
                start = number * batch_size
                cells = _cells(extractor, model, batch, None if asked is None else asked[start : start + batch_size])
                maps.append(enlarged(cells, batch.shape[2:]).cpu().numpy())
    return np.concatenate(maps)


def enlarged(cells: Tensor, size: tuple[int, ...]) -> Tensor:
    """Maps of few cells (N x h x w) at the size of the image, between the cells' centres linear: N x H x W, in [0, 1]."""
    return F.interpolate(cells[:, None], size, mode="bilinear", align_corners=False)[:, 0].clamp(0, 1)


def stretched(cells: Tensor) -> Tensor:
    """Each map (N x h x w) from 0 to 1, however small its values; all 0 where it is the same everywhere."""
    cells = cells.float()
    lowest, highest = cells.amin((1, 2), keepdim=True), cells.amax((1, 2), keepdim=True)
    alike = highest - lowest <= _ALIKE * highest.abs()
    return torch.where(alike, 0.0, (cells - lowest) / torch.where(alike, 1.0, highest - lowest))


def _cells(extractor: GradCAM, model: nn.Module, batch: Tensor, target: NDArray[np.int64] | None) -> Tensor:
    """The maps as the layer has them, stretched to 0..1: N x h x w."""
    with explained(_NO_GRADIENT, ExplanationError):
        logits = model(batch)
        classes = logits.argmax(1).tolist() if target is None else target.tolist()
        (cells,) = extractor(classes, logits, normalized=False)
    return stretched(cells.detach())


class _Chosen(NamedTuple):
    """The layer that the maps come from, and the number of logits."""

    layer: str
    classes: int


def _chosen(model: nn.Module, images: Any, layer: str | None) -> _Chosen:
    """One image runs through the model to see its layers; what they gave is not kept."""
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if names & _SELF_ATTENTION or any(isinstance(part, nn.MultiheadAttention) for part in model.modules()):
        raise ExplanationError(
            f"{type(model).__name__} is a vision transformer: its patches exchange what they hold, so an activation map does "
            "not say where it came from. Use a convolutional network, such as resnet18"
        )
    [image] = batches(model, images[:1], 1)
    with explained(f"the model does not take images of {tuple(image.shape[1:])}", ExplanationError):
        ran = run_layers(model, image)
    logits = check_logits(ran[-1].output)
    found = _found_layer(model, ran, image) if layer is None else _checked_layer(model, layer, ran)
    return _Chosen(found, logits.shape[1])


def _checked_layer(model: nn.Module, layer: str, ran: list[LayerRun]) -> str:
    named = dict(model.named_modules(remove_duplicate=False)).get(layer) if layer else None
    runs = [run for run in ran if run.module is named]
    if not runs:
        names = [run.name for run in ran if run.name and is_picture(run.output)]
        raise ExplanationError(f"no layer '{layer}' ran in the model; pictures come from {', '.join(names[-8:])}")
    if not is_picture(runs[-1].output):
        raise ExplanationError(f"the layer '{layer}' gives no picture (N x C x h x w of more than one cell)")
    return runs[-1].name  # a module may have several names; torchcam knows its first


def _found_layer(model: nn.Module, ran: list[LayerRun], image: Tensor) -> str:
    with explained(_NO_GRADIENT, ExplanationError):
        layer = next((name for name in pictures_before_head(ran) if everything_passes(model, name, image)), None)
    if layer is None:
        raise ExplanationError(
            f"no layer of {type(model).__name__} that all of the image passes gives more than one cell for images of "
            f"{tuple(image.shape[2:])} pixels; use larger images, or name a layer"
        )
    return layer


def _pixel_std(model: nn.Module) -> float:
    """The noise is meant for normalised images; models that normalise inside (buffer ``std``) take it before that."""
    found = [std for module in model.modules() if isinstance(std := getattr(module, "std", None), Tensor)]
    return float(found[0].mean()) if found else 1.0
