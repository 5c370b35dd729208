"""DICOM files as pictures; needs pydicom (``pip install pydicom``)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medcourse.errors import CohortError

SUFFIXES = (".dcm", ".dicom")


def is_dicom(path: Path) -> bool:
    """By its ending, or without one by the letters DICM behind the preamble."""
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def require_pydicom(path: Path) -> None:
    """CohortError with the remedy when pydicom is not installed."""
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise CohortError(
            f"{path} is a DICOM file, and reading it needs pydicom. Install it (pip install pydicom), or convert the "
            "files to PNG"
        ) from error


def read_dicom(path: Path) -> Image.Image:
    """The picture of a DICOM file, mode "L" or "RGB", as a viewer shows it first.

    Grey values are rescaled (slope and intercept, or the modality's table), then windowed by the file's first window
    (DICOM PS3.3 C.11.2.1.2) or its table; without either they run from the picture's minimum to its maximum.
    MONOCHROME1 is inverted, so that dense tissue is bright in every file.

    Raises:
        CohortError: pydicom is missing, or the file is broken, holds several frames, or is packed in a way that pydicom
            cannot open without a further package.
    """
    require_pydicom(path)
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

    try:
        data = dcmread(path)
        if int(data.get("NumberOfFrames", 1)) > 1:
            raise CohortError(f"{path} holds {data.NumberOfFrames} frames; save the frames you need as single images")
        pixels = data.pixel_array  # pydicom makes YBR colours RGB
        if data.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, data)
        if pixels.ndim == 3:
            pixels = pixels >> (8 * (pixels.itemsize - 1))
        else:
            grey = np.asarray(apply_modality_lut(pixels, data), dtype=np.float64)
            if "VOILUTSequence" in data:
                grey = np.asarray(apply_voi_lut(grey.astype(pixels.dtype), data), dtype=np.float64)
                pixels = stretch(grey, path)
            elif "WindowCenter" in data and "WindowWidth" in data:
                pixels = _window(grey, _first(data.WindowCenter), _first(data.WindowWidth))
            else:
                pixels = stretch(grey, path)
            if data.PhotometricInterpretation == "MONOCHROME1":
                pixels = 255 - pixels
    except (InvalidDicomError, AttributeError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        raise CohortError(
            f"{path} cannot be read as DICOM: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error
    return Image.fromarray(pixels.astype(np.uint8))


def stretch(values: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    """Values of any depth as uint8: the picture's minimum becomes 0, its maximum 255 (a blank picture becomes 0).

    Raises:
        CohortError: a value is NaN or infinite.
    """
    numbers = values.astype(np.float64)
    low, high = numbers.min(), numbers.max()
    if not np.isfinite([low, high]).all():
        raise CohortError(f"{path} holds values that are NaN or infinite")
    return np.round((numbers - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def _window(grey: NDArray[np.float64], centre: float, width: float) -> NDArray[np.uint8]:
    shown = (grey - (centre - 0.5)) / max(width - 1, 1e-12) + 0.5
    return np.round(shown.clip(0, 1) * 255).astype(np.uint8)


def _first(value: object) -> float:
    """A window may be one number or several (the first is the default)."""
    return float(np.atleast_1d(np.asarray(value, dtype=np.float64))[0])
