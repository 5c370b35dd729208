"""Does a map depend on what the network has learnt? Its layers are made random one after the other (Adebayo et al. 2018)."""

import copy
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter
from scipy.stats import rankdata
from torch import nn

from medcourse.arguments import whole_number
from medcourse.errors import ExplanationError
from medcourse.explanation.inputs import batches, check_inputs, checked_target, logits_of
from medcourse.explanation.maps import Method, activation_maps
from medcourse.networks.forward import LayerRun, evaluation_mode, explained, first_weight, run_layers

Floats = NDArray[np.float64]
_WINDOW = 7  # pixels, of SSIM


def sanity_check(
    model: nn.Module,
    images: Any,
    method: Method = "gradcam",
    target: int | ArrayLike | None = None,
    layer: str | None = None,
    parts: int = 8,
    batch_size: int = 64,
    seed: int = 0,
) -> pd.DataFrame:
    """How similar do maps stay when the network forgets, part by part, from the head down?

    Cascading randomisation (Adebayo et al. 2018, Sanity Checks for Saliency Maps): a part gets new random weights, those above
    it stay random, and the maps are compared with those of the trained network. Maps that stay alike show the image, and not
    what the network has learnt. A copy of the model is changed, never the model itself.

    Args:
        model, images, method, layer, batch_size: as in ``mc.activation_maps``.
        target: as there; None: the class that the *trained* network calls, at every step.
        parts: the network is cut into about as many parts: its largest is opened until there are so many, or none can be.
            Each costs the maps of all images once more.
        seed: of the random weights (each layer's own ``reset_parameters``; a weight without one is drawn anew with its own
            mean and standard deviation). The global random state is left alone.

    Returns:
        DataFrame, index ``layer``: the part that was made random last, head first. Columns, means over the images:

        - rank_correlation: Spearman's, over the pixels, -1..1.
        - ssim: structural similarity (Wang et al. 2004, windows of 7 x 7 pixels), -1..1.
        - undefined: images left out of the rank correlation, since one of their two maps is the same everywhere.

    Raises:
        ArgumentError, ExplanationError: as ``mc.activation_maps``; fewer than one part; a model that cannot be copied.
    """
    whole_number("parts", parts, least=1)
    whole_number("seed", seed)
    whole_number("batch_size", batch_size, least=1)
    check_inputs(model, images)
    logits = logits_of(model, images, batch_size)
    asked = checked_target(target, len(images), logits.shape[1])
    classes = logits.argmax(1).numpy() if asked is None else asked
    trained = activation_maps(model, images, method, classes, layer, batch_size)
    with explained("the model cannot be copied", ExplanationError):
        forgetful = copy.deepcopy(model)
    rows = {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for name in _parts(model, images, parts):
            _forget(forgetful.get_submodule(name))
            maps = activation_maps(forgetful, images, method, classes, layer, batch_size)
            correlation = _rank_correlation(trained, maps)
            defined = ~np.isnan(correlation)
            mean = correlation[defined].mean() if defined.any() else np.nan
            rows[name] = (mean, _ssim(trained, maps).mean(), int((~defined).sum()))
    columns = ["rank_correlation", "ssim", "undefined"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("layer")


def _parts(model: nn.Module, images: Any, least: int) -> list[str]:
    """Names of modules that hold all weights which take part, last to run first."""
    [image] = batches(model, images[:1], 1)
    with evaluation_mode(model):
        ran: list[LayerRun] = run_layers(model, image)
    order = {run.name: number for number, run in enumerate(ran)}
    parts = {"": model}
    while True:
        closed = {
            name: part
            for name, part in parts.items()
            if not [*part.parameters(recurse=False)] and any(_size(child) for child in part.children())
        }
        unseen = [name for name in closed if name not in order]  # a list of modules runs only in its members
        if not closed or (len(parts) >= least and not unseen):
            break
        name = unseen[0] if unseen else max(closed, key=lambda name: _size(closed[name]))
        opened = parts.pop(name)
        prefix = f"{name}." if name else ""
        parts |= {prefix + child: module for child, module in opened.named_children() if _size(module)}
    return sorted((name for name in parts if name in order), key=lambda name: -order[name])


def _size(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _forget(part: nn.Module) -> None:
    """New random weights, drawn on the CPU."""
    device = first_weight(part).device
    part.to("cpu")
    for module in part.modules():
        own = [*module.parameters(recurse=False)]
        start_again: Any = getattr(module, "reset_parameters", None)
        if own and start_again is not None:
            start_again()
        else:
            with torch.no_grad():
                for weight in own:
                    weight.normal_(float(weight.mean()), float(weight.std(correction=0)))
    part.to(device)


def _rank_correlation(left: NDArray[np.float32], right: NDArray[np.float32]) -> Floats:
    """Spearman's correlation of each pair of maps: float64, N; NaN where a map is the same everywhere."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (left, right)]
    a, b = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    product, scale = (a * b).sum(1), np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide(product, scale, out=np.full(len(a), np.nan), where=scale > 0)


def _ssim(left: NDArray[np.float32], right: NDArray[np.float32]) -> Floats:
    """Structural similarity of each pair of maps in [0, 1], with the constants of Wang et al. 2004: float64, N."""
    size = (1, *(min(_WINDOW, side) for side in left.shape[1:]))
    x, y = left.astype(np.float64), right.astype(np.float64)

    def local(values: Floats) -> Floats:
        return uniform_filter(values, size)

    mean_x, mean_y = local(x), local(y)
    variances = local(x * x) - mean_x**2 + local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2) / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
    return alike.mean((1, 2))
