"""Many pictures on one Axes: drawn several times as fast as an Axes for each."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

_LINE = 9 / 64  # height of a line of words, as a share of a picture's side


def pasted(pictures: NDArray[np.generic], columns: int, lines: int = 0) -> NDArray[np.generic]:
    """Pictures in reading order, each with room for lines of words above it.

    Args:
        pictures: N x side x side (x 3), of any type.
        columns: pictures per row.
        lines: of words.

    Returns:
        height x width (x 3) of the same type, 0 between the pictures.
    """
    side, above, between = _sizes(pictures.shape[1], lines)
    rows = -(-len(pictures) // columns)
    page = np.zeros((rows * (side + above), columns * (side + between), *pictures.shape[3:]), pictures.dtype)
    for k, picture in enumerate(pictures):
        left, top = k % columns * (side + between), k // columns * (side + above) + above
        page[top : top + side, left : left + side] = picture
    return page


def draw_sheet(
    ax: Axes, pictures: NDArray[np.uint8], columns: int, words: Sequence[str], colours: Sequence[str] | None = None
) -> int:
    """Draw pictures with words above each.

    Args:
        ax: is filled, without axes.
        pictures: uint8, N x C x side x side.
        columns: pictures per row.
        words: of each picture, of one line or more.
        colours: of the words; None: black.

    Returns:
        The lines of words that the sheet has room for, to lay something over it that was ``pasted`` alike.
    """
    lines = 1 + max(text.count("\n") for text in words)
    shown = pictures.transpose(0, 2, 3, 1).repeat(3 // pictures.shape[1], axis=3)
    side, above, between = _sizes(shown.shape[1], lines)
    page = 255 - pasted(255 - shown, columns, lines)  # white between them
    ax.imshow(page)
    for k, text in enumerate(words):
        left, top = k % columns * (side + between), k // columns * (side + above) + above
        ax.text(left, top - side / 32, text, fontsize=8, color="black" if colours is None else colours[k], va="bottom")
    ax.set_axis_off()
    return lines


def _sizes(side: int, lines: int) -> tuple[int, int, int]:
    """Side of a picture, room above it, room between two, in pixels."""
    return side, int(side * _LINE * lines), max(1, side // 20)
