"""How good are maps? What share of them lies where nothing of the disease can be."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcourse.arguments import share
from medcourse.data.inspection import border_sum
from medcourse.errors import ArgumentError, ExplanationError


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
    try:
        values = np.asarray(maps, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ExplanationError(f"maps must be numbers, N x H x W ({error})") from error
    if values.ndim != 3 or not (np.isfinite(values) & (values >= 0)).all():
        raise ExplanationError(f"maps have shape {values.shape}; they must be N x H x W, finite and 0 or more")
    rows, columns = (max(1, round(width * side)) for side in values.shape[1:])
    whole, (border, _) = values.sum((1, 2)), border_sum(values, rows, columns)
    border = np.maximum(border, 0.0)  # rounding
    return np.divide(border, whole, out=np.full(len(values), np.nan), where=whole > 0)
