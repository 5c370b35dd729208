"""Decode images once into a memory-mapped stack.

The stack is written beside its final place and renamed when complete, so a killed or parallel decode leaves one good
cache or none. Its key holds the source's hash, size, mode and the files in their order.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from medcourse.data.cache import cache_folder, publish, unfinished
from medcourse.data.dicom import is_dicom, read_dicom, stretch
from medcourse.errors import CohortError

THREADS = 4  # Pillow releases the interpreter while it decodes
# What Pillow raises on files that are missing, broken, or of a mode that it cannot convert
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def checked_size(size: object) -> int:
    """A size in pixels; CohortError unless it is a whole number of 1 or more."""
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise CohortError(f"size={size!r}: give the height and width in pixels, a whole number of 1 or more")
    return int(size)


@dataclass(frozen=True)
class Stack:
    """Decoded images (uint8, N x C x H x W) and masks (uint8, N x H x W, 0 or 1; None without masks), memory-mapped."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None


def stack(
    key: str,
    size: int,
    mode: str,
    files: Sequence[str],
    draw: Callable[[int], tuple[NDArray[np.uint8], NDArray[np.uint8] | None]],
    masks: bool = False,
) -> Stack:
    """The cached stack for a key, made first when it is not there.

    Args:
        key: names the source (with its hash).
        size: height and width in pixels.
        mode: "L" (one channel) or "RGB" (three).
        files: what identifies row i; part of the key, so that a changed order is another stack.
        draw: position -> image (uint8, C x size x size) and mask (uint8, size x size, 0 or 1; None without masks).
            Called from several threads.
        masks: whether there are masks.
    """
    order = hashlib.sha256("\n".join(files).encode()).hexdigest()[:8]
    folder = cache_folder() / "arrays" / f"{key}-{size}px-{mode}-{order}"
    if not folder.is_dir():
        with unfinished(folder.parent) as scratch:
            made = scratch / "stack"
            made.mkdir()
            channels = 3 if mode == "RGB" else 1
            _fill(made, (len(files), channels, size, size), draw, masks)
            publish(made, folder)
    images = np.load(folder / "images.npy", mmap_mode="r")
    return Stack(images, np.load(folder / "masks.npy", mmap_mode="r") if masks else None)


def _fill(
    folder: Path,
    shape: tuple[int, int, int, int],
    draw: Callable[[int], tuple[NDArray[np.uint8], NDArray[np.uint8] | None]],
    masks: bool,
) -> None:
    images = open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    inside = None
    if masks:
        inside = open_memmap(folder / "masks.npy", mode="w+", dtype=np.uint8, shape=(shape[0], *shape[2:]))

    def put(position: int) -> None:
        images[position], mask = draw(position)
        if inside is not None:
            inside[position] = mask

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(put, range(shape[0])):
            pass
    images.flush()
    if inside is not None:
        inside.flush()


def read_image(path: Path, size: int, mode: str) -> NDArray[np.uint8]:
    """One image file as uint8, C x size x size (resized to a square, antialiased); see ``read_with_size``."""
    return read_with_size(path, size, mode)[0]


def read_with_size(path: Path, size: int, mode: str) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """One image file as uint8, C x size x size (a square, antialiased), and its own width and height in pixels.

    Any file that Pillow opens, and DICOM with pydicom. The camera's orientation (EXIF) is applied; transparent pixels
    become black; more than 8 bits are stretched from the picture's own minimum to its own maximum.

    Raises:
        CohortError: the file is missing, is no image, or holds several.
    """
    try:
        if is_dicom(path):
            picture = read_dicom(path)
            original = picture.size
        else:
            with Image.open(path) as opened:
                frames = getattr(opened, "n_frames", 1)
                if frames > 1 and opened.format != "MPO":  # MPO: a photograph and its preview
                    raise CohortError(f"{path} holds {frames} pictures; save those you need as single images")
                turned = opened.getexif().get(ExifTags.Base.Orientation, 1) >= 5
                original = (opened.height, opened.width) if turned else opened.size
                opened.draft(mode, (size, size))  # JPEG: decode at the nearest larger power-of-two scale
                picture = _eight_bits(ImageOps.exif_transpose(opened), path)
        pixels = np.asarray(picture.convert(mode).resize((size, size), Image.Resampling.BILINEAR))
    except _BROKEN as error:
        raise CohortError(f"{path} cannot be read as an image: {error}") from error
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1), original


def _eight_bits(picture: Image.Image, path: Path) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(stretch(np.asarray(picture), path))
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, picture.convert("RGBA")).convert("RGB")
    return picture


def read_mask(path: Path, size: int) -> NDArray[np.uint8]:
    """One mask file as uint8, size x size, 1 inside (nearest neighbour, so that no value is invented).

    Raises:
        CohortError: the file is missing, or is no image.
    """
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L").resize((size, size), Image.Resampling.NEAREST))
    except _BROKEN as error:
        raise CohortError(f"{path} cannot be read as a mask: {error}") from error
    return (pixels > 127).astype(np.uint8)
