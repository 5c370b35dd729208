"""Decode images once into a memory-mapped stack: those of the manifest, drawn ones and your own alike.

The stack is written beside its final place and renamed when complete, so a killed or parallel decode leaves one good
cache or none. Its key holds the source's hash, size, mode, the files in their order and the version of this decoder.
"""

import hashlib
import os
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from medcourse.data.cache import cache_folder, publish, stored, unfinished
from medcourse.data.dicom import is_dicom, read_dicom, stretch
from medcourse.errors import CohortError

Mode = Literal["auto", "L", "RGB"]
OnError = Literal["raise", "skip"]

_VERSION = 2  # part of the cache key; raise it when the same file gives other pixels
_THREADS = 4  # Pillow releases the interpreter while it decodes
_CHUNK = 256  # images copied at once
# What Pillow raises on files that are missing, broken, or of a mode that it cannot convert
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


class Picture(NamedTuple):
    """One decoded image: pixels (uint8, C x size x size), mask (uint8, size x size, 0 or 1), own (width, height)."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None = None
    original: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Stack:
    """Decoded images (uint8, n x C x H x W) and masks (uint8, n x H x W, 0 or 1; None without masks), memory-mapped.

    ``files`` has a row for every file asked for: width, height (pixels; 0 when drawn) and problem, "" for the n that could
    be read.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None
    files: pd.DataFrame


def stack(
    key: str,
    size: int,
    mode: Mode,
    files: Sequence[str],
    draw: Callable[[int], Picture],
    masks: bool = False,
    on_error: OnError = "raise",
    progress: bool = False,
) -> Stack:
    """The cached stack for a key, made first when it is not there.

    Args:
        key: names the source (with its hash).
        size: height and width in pixels.
        mode: "L" (one channel), "RGB" (three), or "auto": one when the channels of every image are equal.
        files: what identifies row i; part of the key, so that changed files or another order are another stack.
        draw: position -> picture, of one channel for "L", else three. Called from several threads.
        masks: whether there are masks.
        on_error: "raise" when a picture cannot be read (``draw`` raises CohortError), or "skip" it and say so.
        progress: show a bar when decoding takes longer than two seconds.

    Raises:
        CohortError: pictures cannot be read; none of them at all with "skip".
        StorageError: this machine's disk is full, or may not be written.
    """
    names = hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]
    folder = cache_folder() / "arrays" / f"{key}-{size}px-{mode}-{names}-v{_VERSION}"
    if folder.is_dir():
        found = pd.read_csv(folder / "files.csv", keep_default_na=False)
        _judge(found["problem"], on_error)
    else:
        with stored("decoded images", folder.parent), unfinished(folder.parent) as scratch:
            made = scratch / "stack"
            made.mkdir()
            found = _decode(made, (len(files), 1 if mode == "L" else 3, size, size), draw, masks, progress)
            _judge(found["problem"], on_error)
            _keep(made, (found["problem"] == "").to_numpy(), grey=mode == "auto" and bool(found["grey"].all()))
            found.to_csv(made / "files.csv", index=False)
            publish(made, folder)
    inside = np.load(folder / "masks.npy", mmap_mode="r") if masks else None
    return Stack(np.load(folder / "images.npy", mmap_mode="r"), inside, found)


def _decode(
    folder: Path, shape: tuple[int, int, int, int], draw: Callable[[int], Picture], masks: bool, progress: bool
) -> pd.DataFrame:
    """Write images.npy and masks.npy; one row per file: width, height, grey (equal channels), problem."""
    from tqdm import tqdm

    images = _array(folder / "images.npy", shape)
    inside = _array(folder / "masks.npy", (shape[0], *shape[2:])) if masks else None

    def put(row: int) -> tuple[int, int, bool, str]:
        try:
            images[row], mask, original = draw(row)
        except CohortError as error:
            return 0, 0, True, str(error)  # counted and told by _judge
        if inside is not None:
            inside[row] = mask
        return *original, bool((images[row] == images[row, :1]).all()), ""

    with (
        ThreadPoolExecutor(_THREADS) as pool,
        tqdm(total=shape[0], file=sys.stdout, unit=" images", leave=False, delay=2, disable=not progress) as bar,
    ):
        rows = []
        for done in pool.map(put, range(shape[0])):
            rows.append(done)
            bar.update()
    images.flush()
    if inside is not None:
        inside.flush()
    return pd.DataFrame(rows, columns=["width", "height", "grey", "problem"])


def _array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """An array on disk whose space is reserved: a disk found full while it is mapped would kill the process."""
    array = open_memmap(path, "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _judge(problems: pd.Series, on_error: OnError) -> None:
    """Raise, or say what is skipped."""
    bad = problems[problems != ""]
    if bad.empty:
        return
    shown = "".join(f"\n  - {line}" for line in bad[:5]) + ("\n  - ..." if len(bad) > 5 else "")
    if on_error == "raise" or len(bad) == len(problems):
        raise CohortError(
            f"{len(bad)} of {len(problems)} images cannot be read:{shown}\nRepair or remove them, or pass on_error='skip'."
        )
    print(f"SKIPPED {len(bad)} of {len(problems)} images that cannot be read:{shown}")


def _keep(folder: Path, good: NDArray[np.bool_], grey: bool) -> None:
    """Leave the images (and masks) that could be read, with one channel when all are grey."""
    for path in folder.glob("*.npy"):
        whole = np.load(path, mmap_mode="r")
        channels = slice(1 if grey and whole.ndim == 4 else None)
        if good.all() and channels.stop is None:
            continue
        rows = np.flatnonzero(good)
        part = _array(path.with_suffix(".part"), (len(rows), *whole[:1, channels].shape[1:]))
        for start in range(0, len(rows), _CHUNK):
            part[start : start + _CHUNK] = whole[rows[start : start + _CHUNK], channels]
        part.flush()
        path.with_suffix(".part").replace(path)


def read_image(path: Path, size: int, mode: Mode) -> Picture:
    """One image file as uint8, C x size x size (a square, antialiased), with its own width and height in pixels.

    Any file that Pillow opens, and DICOM with pydicom. The camera's orientation (EXIF) is applied; transparent pixels
    become black; more than 8 bits are stretched from the picture's own minimum to its own maximum.

    Raises:
        CohortError: the file is missing, is no image, or holds several.
    """
    channels = "L" if mode == "L" else "RGB"
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
                opened.draft(channels, (size, size))  # JPEG: decode at the nearest larger power-of-two scale
                picture = _eight_bits(ImageOps.exif_transpose(opened), path)
        pixels = np.asarray(picture.convert(channels).resize((size, size), Image.Resampling.BILINEAR))
    except _BROKEN as error:
        raise CohortError(f"{path} cannot be read as an image: {error}") from error
    return Picture(pixels[None] if mode == "L" else pixels.transpose(2, 0, 1), original=original)


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
