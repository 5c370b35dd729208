"""Do the pixels that a map marks carry the score? They are taken away, or put back, in its order (Petsiuk et al. 2018)."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from medcourse.arguments import one_of, whole_number
from medcourse.errors import ExplanationError
from medcourse.explanation.inputs import batches, check_inputs, checked_target, logits_of

Baseline = Literal["blur", "mean"]
_BLUR = 5 / 224  # standard deviation as a share of the side, as Petsiuk et al.


@dataclass(frozen=True)
class DeletionInsertion:
    """What ``mc.deletion_insertion`` found.

    Attributes:
        curves: index ``share`` (of the pixels changed, 0..1), columns deletion and insertion: the mean score of the images.
        areas: one row per image, columns deletion (low is good) and insertion (high is good): the area under its curve, 0..1.
    """

    curves: pd.DataFrame
    areas: pd.DataFrame


def deletion_insertion(
    model: nn.Module,
    images: Any,
    maps: ArrayLike,
    target: int | ArrayLike | None = None,
    steps: int = 10,
    baseline: Baseline = "blur",
    batch_size: int = 64,
    seed: int = 0,
) -> DeletionInsertion:
    """How fast does the score fall when the map's strongest pixels go first, and rise when they come back first?

    Deletion and insertion of Petsiuk et al. 2018 (RISE). An image with holes is none that the network was trained on, so the
    curves also show how it takes them. Judge them beside those of a map that saw no image, as ``mc.baseline_maps`` gives:
    pixels of equal value go in random order, so a uniform map takes pixels at random.

    Args:
        model, images, batch_size: as in ``mc.activation_maps``. The score is the softmax probability of the class; the sigmoid
            for a model that ``mc.Trainer`` trained on several findings at once.
        maps: N x H x W, or H x W: one for all images.
        target: position of the class, or one for each image; None: the class called of the untouched image.
        steps: how often a further share of the pixels goes; each costs two forward passes of all images.
        baseline: what stands in a pixel's place: "blur" (the image blurred by a Gaussian of 5/224 of its side, 5 pixels at the
            paper's 224) or "mean" (the image's mean, for each channel).
        seed: of the order of pixels with equal values.

    Returns:
        ``DeletionInsertion`` with ``curves`` and ``areas``; ``areas`` may go to ``mc.bootstrap`` with a column of groups.

    Raises:
        ArgumentError: an unknown baseline, or a target, steps, batch size or seed out of range.
        ExplanationError: maps that do not fit the images, or as ``mc.activation_maps``.
    """
    one_of("baseline", baseline, ("blur", "mean"))
    steps = whole_number("steps", steps, least=1)
    whole_number("batch_size", batch_size, least=1)
    rng = np.random.default_rng(whole_number("seed", seed))
    check_inputs(model, images)
    size = np.shape(images)[2:]
    given = np.asarray(maps)
    if given.shape not in (size, (len(images), *size)) or not np.isfinite(given).all():
        raise ExplanationError(
            f"maps have shape {given.shape}, images {np.shape(images)}; give finite maps, N x H x W or H x W"
        )
    given = np.broadcast_to(given, (len(images), *size))
    untouched = logits_of(model, images, batch_size)
    asked = checked_target(target, len(images), untouched.shape[1])
    classes = untouched.argmax(1).numpy() if asked is None else asked
    found = []
    for number, batch in enumerate(batches(model, images, batch_size)):
        some = slice(number * batch_size, (number + 1) * batch_size)
        found.append(_curves(model, batch, _order(given[some], rng), classes[some], steps, baseline))
    scores = np.concatenate(found)  # N x (deletion, insertion) x (steps + 1)
    share = pd.Index(np.linspace(0, 1, steps + 1), name="share")
    names = ["deletion", "insertion"]
    return DeletionInsertion(
        pd.DataFrame(scores.mean(0).T, index=share, columns=names),
        pd.DataFrame(np.asarray(np.trapezoid(scores, share, axis=2)), columns=names),
    )


def _order(maps: NDArray[Any], rng: np.random.Generator) -> Tensor:
    """When each pixel goes: 0 for the strongest of its map, equal ones in random order. int64, N x 1 x H x W."""
    flat = maps.reshape(len(maps), -1)
    order = np.lexsort((rng.random(flat.shape), -flat), axis=1)
    turn = np.empty_like(order)
    np.put_along_axis(turn, order, np.arange(flat.shape[1])[None], axis=1)
    return torch.from_numpy(turn.reshape(len(maps), 1, *maps.shape[1:]))


def _curves(
    model: nn.Module, images: Tensor, turn: Tensor, classes: NDArray[np.int64], steps: int, baseline: str
) -> NDArray[np.float64]:
    """Scores after each step: n x (deletion, insertion) x (steps + 1)."""
    turn, instead = turn.to(images.device), _instead(images, baseline)
    multilabel = getattr(getattr(model, "trained_on", None), "task", "") == "multilabel"
    curves = np.empty((len(images), 2, steps + 1))
    for step in range(steps + 1):
        changed = turn < round(step / steps * turn[0].numel())
        for k, (inside, outside) in enumerate(((instead, images), (images, instead))):
            logits = logits_of(model, torch.where(changed, inside, outside), len(images))
            scores = logits.sigmoid() if multilabel else logits.softmax(1)
            curves[:, k, step] = scores[range(len(images)), classes]
    return curves


def _instead(images: Tensor, baseline: str) -> Tensor:
    if baseline == "mean":
        return images.mean((2, 3), keepdim=True).expand_as(images)
    sigma = [max(_BLUR * side, 0.1) for side in images.shape[2:]]
    kernel = [
        min(2 * math.ceil(2 * s) + 1, side - 1 + side % 2) for s, side in zip(sigma, images.shape[2:], strict=True)
    ]
    return gaussian_blur(images, kernel[::-1], sigma[::-1]).clamp(0, 1)  # width first
