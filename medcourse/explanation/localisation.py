"""How good are maps? Which share of them lies in the lesion, or where nothing of the disease can be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional as F

from medcourse.arguments import number, share, whole_number
from medcourse.data.inspection import border_sum
from medcourse.errors import ArgumentError, ExplanationError
from medcourse.explanation.maps import enlarged, stretched

_CHUNK = 256  # maps at once, so that masks may stay on the disk
_TIE = 1e-5  # pixels so close to the largest value share the peak: enlarging rounds


def localisation(
    maps: ArrayLike, masks: Any, group: ArrayLike | pd.Series | None = None, threshold: float = 0.5
) -> pd.DataFrame:
    """Does each map lie in the mask of its image? Three scores, one row per image.

    A lesion often lies in the middle and fills much of the image, so every score needs the same of a map that saw no image
    beside it: ``mc.baseline_maps``. A map that is 0 everywhere points nowhere: it misses, and ``empty`` says so.

    Example:
        Intervals by patient or lesion, and a paired difference from the prior::

            found = mc.localisation(maps, test.masks, group=test.table["group"])
            prior = mc.localisation(mc.baseline_maps(train.masks, cells=5)["mean mask"], test.masks)
            scores = ["pointing_hit", "energy_inside", "iou"]
            mc.bootstrap(found, lambda rows: rows[scores].mean())
            mc.bootstrap(found[scores].sub(prior[scores].to_numpy()).assign(group=found["group"]),
                         lambda rows: rows[scores].mean())

    Args:
        maps: 0 or more, N x H x W (``mc.activation_maps``); or H x W, one map for all images.
        masks: N x H x W, more than 0 inside (``cohort.masks``, ``mc.box_masks``).
        group: which images belong together, N: becomes the column ``group`` for ``mc.bootstrap``. The index of a Series
            (image ids) becomes the table's.
        threshold: of the IoU, as a share of each map's largest value, above 0, at most 1.

    Returns:
        DataFrame, one row per image:

        - pointing_hit: is the map's peak in the mask (the pointing game of Zhang et al. 2018, without a margin)? 1 or 0; of
          several equal peaks the share inside, so that a uniform map scores as a random point does.
        - energy_inside: the share of the map's sum inside the mask (Wang et al. 2020), 0..1.
        - iou: intersection over union of the mask and the pixels of ``threshold`` times the map's largest value or more, 0..1.
        - mask_area: the mask's share of the image; what a uniform map scores in all three.
        - empty: the map is 0 everywhere.
        - group, where given.

    Raises:
        ArgumentError: a threshold out of range.
        ExplanationError: maps and masks of different shapes, negative or not finite maps, an image without a mask, or another
            number of groups.
    """
    threshold = share("threshold", threshold, one=True)
    values = _checked_maps(maps, f"{np.shape(masks)[0] if np.ndim(masks) else 0} x H x W, or H x W")
    shape = np.shape(masks)
    if len(shape) != 3 or values.shape[1:] != shape[1:] or len(values) not in (1, shape[0]):
        raise ExplanationError(
            f"maps have shape {np.shape(maps)}, masks {shape}: give one mask per map, of the same size"
        )
    if group is not None and np.shape(group) != shape[:1]:
        raise ExplanationError(f"group has shape {np.shape(group)} for {shape[0]} images; give one for each image")
    rows = []
    for start in range(0, shape[0], _CHUNK):
        inside = np.asarray(masks[start : start + _CHUNK]) > 0
        some = values if len(values) == 1 else values[start : start + _CHUNK]
        rows.append(_scores(np.broadcast_to(some, inside.shape), inside, threshold))
    table = pd.concat(rows, ignore_index=True)
    if not table["mask_area"].all():
        without = np.flatnonzero(table["mask_area"] == 0)
        raise ExplanationError(
            f"{len(without)} of {len(table)} masks are empty, e.g. at {without[:5].tolist()}: leave these images out"
        )
    if isinstance(group, pd.Series):
        table.index = group.index
    return table if group is None else table.assign(group=np.asarray(group))


def _scores(maps: NDArray[Any], inside: NDArray[np.bool_], threshold: float) -> pd.DataFrame:
    highest, whole = maps.max((1, 2), keepdims=True), maps.sum((1, 2), dtype=np.float64)
    empty = highest[:, 0, 0] == 0
    peak = (maps >= highest * (1 - _TIE)) & ~empty[:, None, None]
    strong = (maps >= highest * threshold) & ~empty[:, None, None]
    return pd.DataFrame(
        {
            "pointing_hit": (peak & inside).sum((1, 2)) / np.maximum(1, peak.sum((1, 2))),
            "energy_inside": (maps * inside).sum((1, 2), dtype=np.float64) / np.where(empty, 1, whole),
            "iou": (strong & inside).sum((1, 2)) / np.maximum(1, (strong | inside).sum((1, 2))),
            "mask_area": inside.mean((1, 2)),
            "empty": empty,
        }
    )


def baseline_maps(masks: Any, cells: int | tuple[int, int] | None = None) -> dict[str, NDArray[np.float32]]:
    """Maps that saw no image, for ``mc.localisation``: what a network's maps have to beat.

    Args:
        masks: of the **training** images, N x H x W, more than 0 inside.
        cells: of the network's maps, a number or (rows, columns): ResNet18 has 5 x 5 at 160 px. The baselines then get as few
            cells, are stretched and enlarged as ``mc.activation_maps`` does it. None: as fine as the masks.

    Returns:
        Maps by name, float32, H x W, in [0, 1]: "uniform" (1 everywhere), "mean mask" (how often each place lay in a training
        mask), "image centre" (falls evenly with the distance from the centre, from 1 to 0 in the corners).

    Raises:
        ArgumentError: cells that are not whole numbers of 2 or more.
        ExplanationError: masks of another shape.
    """
    shape = np.shape(masks)
    if len(shape) != 3 or not shape[0]:
        raise ExplanationError(f"masks have shape {shape}; give N x H x W")
    size = shape[1:]
    steps = range(0, shape[0], _CHUNK)
    mean = sum((np.asarray(masks[k : k + _CHUNK]) > 0).sum(0) for k in steps) / np.float32(shape[0])
    rows, columns = (np.abs(np.linspace(-1, 1, side) * (1 - 1 / side)) for side in size)
    centre = -np.hypot(rows[:, None], columns[None]).astype(np.float32)
    found = {"uniform": np.ones(size, np.float32)}
    for name, fine in {"mean mask": mean, "image centre": centre}.items():
        plane = torch.as_tensor(fine, dtype=torch.float32)[None]
        found[name] = enlarged(stretched(F.adaptive_avg_pool2d(plane, _both(cells, size))), size)[0].numpy()
    return found


def _both(cells: int | tuple[int, int] | None, size: tuple[int, ...]) -> tuple[int, int]:
    if cells is None:
        return size[0], size[1]
    rows, columns = cells if isinstance(cells, tuple) else (cells, cells)
    return whole_number("cells", rows, least=2), whole_number("cells", columns, least=2)


def box_masks(
    boxes: Sequence[Sequence[tuple[Any, ...]]] | pd.Series, size: int, finding: str | None = None, film: float = 1024
) -> NDArray[np.uint8]:
    """Masks of boxes: a pixel is inside when its centre lies in a box, or when the box's centre lies in the pixel.

    Args:
        boxes: for each image a list of (finding, x, y, width, height), x and y of the upper left corner, in pixels of the
            film (the column ``boxes`` of ``nih-chest-xray-1000``).
        size: height and width of the masks, in pixels.
        finding: only the boxes of this finding; None: all.
        film: height and width that the boxes were drawn on, in pixels.

    Returns:
        uint8, N x size x size, 1 inside; all 0 for an image without such a box.

    Raises:
        ArgumentError: a size or film that is no such number.
        ExplanationError: a box that is not five values, has no area, or lies outside the film.
    """
    size, film = whole_number("size", size, least=1), number("film", film, above=0)
    masks = np.zeros((len(boxes), size, size), dtype=np.uint8)
    centres = (np.arange(size) + 0.5) * film / size
    for mask, drawn in zip(masks, boxes, strict=True):
        for box in drawn:
            name, left, top, width, height = _checked_box(box, film)
            if finding in (None, name):
                rows, columns = (
                    ((low <= centres) & (centres < low + side))
                    | (np.arange(size) == int((low + side / 2) * size / film))
                    for low, side in ((top, height), (left, width))
                )
                mask[np.ix_(rows, columns)] = 1
    return masks


def _checked_box(box: Any, film: float) -> tuple[str, float, float, float, float]:
    try:
        name, *corners = box
        left, top, width, height = map(float, corners)
    except (TypeError, ValueError) as error:
        raise ExplanationError(f"the box {box!r} is not (finding, x, y, width, height)") from error
    if not (width > 0 and height > 0 and 0 <= left + width / 2 < film and 0 <= top + height / 2 < film):
        raise ExplanationError(f"the box {box!r} has no area, or its centre lies outside a film of {film:g} pixels")
    return name, left, top, width, height


def border_share(maps: ArrayLike, width: float = 0.1) -> NDArray[np.float64]:
    """The share of each map that lies in a frame along the image's border.

    A map that is the same everywhere has the share ``border_share(np.ones_like(maps))``, 0.34 to 0.36 for the width 0.1
    (whole pixels): print it beside the figure. Markers and collimator edges stand in the border of a film, so a share far
    above it is suspicious.

    Args:
        maps: 0 or more, N x H x W (``mc.activation_maps``).
        width: of the frame, as a share of the side, above 0 and below 0.5; rounded to whole pixels, at least one.

    Returns:
        float64, N, in [0, 1]; NaN for a map that is 0 everywhere.

    Raises:
        ArgumentError: a width out of range.
        ExplanationError: maps of another shape, negative or not finite.
    """
    if share("width", width) >= 0.5:
        raise ArgumentError(f"width={width}: a frame on both sides must be narrower than half the image")
    if np.ndim(maps) == 2:
        raise ExplanationError(f"maps have shape {np.shape(maps)}; they must be N x H x W")
    values = _checked_maps(maps, "N x H x W").astype(np.float64)
    rows, columns = (max(1, round(width * side)) for side in values.shape[1:])
    whole, (border, _) = values.sum((1, 2)), border_sum(values, rows, columns)
    border = np.maximum(border, 0.0)  # rounding
    return np.divide(border, whole, out=np.full(len(values), np.nan), where=whole > 0)


def _checked_maps(maps: ArrayLike, wanted: str) -> NDArray[Any]:
    """Floats, N x H x W; one map alone becomes the first."""
    try:
        given = np.asarray(maps)
        values = given if given.dtype in (np.float32, np.float64) else given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ExplanationError(f"maps must be numbers, {wanted} ({error})") from error
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or not values.size or not (np.isfinite(values) & (values >= 0)).all():
        raise ExplanationError(f"maps have shape {given.shape}; they must be {wanted}, finite and 0 or more")
    return values
