"""What all drawings share: coordinates, smooth noise, soft edges and random streams."""

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]  # size x size; float32, though numpy's stubs lose that in arithmetic


def stream(*key: int) -> np.random.Generator:
    """The random numbers of one thing (a patient, a film): the same whatever is drawn before it or beside it."""
    return np.random.default_rng(key)


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
