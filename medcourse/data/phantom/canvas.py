"""What all drawings share: a table with its drawing, random streams, links, coordinates, soft edges, smooth noise."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Plane = NDArray[np.floating]  # size x size; float32 on films, though numpy's stubs lose that in arithmetic


def stream(*key: int) -> np.random.Generator:
    """The random numbers of one thing (a patient, a film): the same whatever is drawn before it or beside it."""
    return np.random.default_rng(key)


@dataclass(frozen=True)
class Drawing:
    """A table, and how each of its rows is drawn.

    ``draw`` takes a row's position and the size in pixels, and gives the image (uint8, C x size x size) and the mask
    (uint8, size x size, 0 or 1). It depends on nothing else, so rows can be drawn in any order and by several threads.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    mode: str  # "L" or "RGB"
    draw: Callable[[int, int], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    laterality: bool = False


def some(n: int, part: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """True for exactly ``part`` of n (rounded), at random places."""
    return rng.permutation(n) < round(n * part)


def linked(cause: NDArray[np.bool_], link: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Equal to ``cause`` with probability ``link``, else a coin: independent of it at 0, determined by it at 1."""
    return np.where(rng.random(len(cause)) < link, cause, rng.random(len(cause)) < 0.5)


def plane(size: int) -> tuple[Plane, Plane]:
    """x (to the right) and y (down) of the pixels' centres, -1 to 1."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    return np.tile(line, (size, 1)), np.tile(line[:, None], (1, size))


def soft(depth: Plane, width: float) -> Plane:
    """0 outside, 1 deeper than ``width``, smooth between: an edge that is exactly 0 where ``depth`` is negative."""
    t = np.clip(depth * np.float32(1 / width), 0, 1)
    return t * t * (3 - 2 * t)


def clouds(size: int, rng: np.random.Generator, cells: int) -> Plane:
    """Smooth noise of mean 0 and standard deviation about 0.6: a coarse grid, interpolated."""
    coarse = rng.normal(0, 1, (cells + 1, cells + 1))
    at = np.linspace(0, cells, size, endpoint=False)
    low = at.astype(int)
    t = at - low
    rows = coarse[low] * (1 - t)[:, None] + coarse[low + 1] * t[:, None]
    return (rows[:, low] * (1 - t) + rows[:, low + 1] * t).astype(np.float32)
