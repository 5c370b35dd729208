"""DICOM files as pictures; needs pydicom (``pip install pydicom``)."""

from pathlib import Path
from typing import Any

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

    Grey values are rescaled (slope and intercept, or the modality's table), then shown by the file's first table or, without
    one, its first window: linear, linear exact or sigmoid (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3). Behind a table, and
    without either, they run from the picture's minimum to its maximum. MONOCHROME1 is inverted, so that dense tissue is
    bright in every file.

    Raises:
        CohortError: pydicom is missing, or the file is broken, holds several frames or a window that DICOM does not know,
            or is packed in a way that pydicom cannot open without a further package.
    """
    require_pydicom(path)
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

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
            pixels = _shown(np.asarray(apply_modality_lut(pixels, data), dtype=np.float64), data, path)
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


def _shown(grey: NDArray[np.float64], data: Any, path: Path) -> NDArray[np.uint8]:
    """Rescaled grey values as the file's table or first window shows them; stretched when it has neither."""
    from pydicom import Dataset
    from pydicom.pixels.processing import apply_voi_lut

    if data.get("VOILUTSequence"):
        return stretch(apply_voi_lut(np.round(grey).astype(np.int32), data), path)
    centre, width = _first(data.get("WindowCenter")), _first(data.get("WindowWidth"))
    if centre is None or width is None:
        return stretch(grey, path)
    window = Dataset()  # of 8 bits: pydicom then answers from 0 to 255
    window.PhotometricInterpretation, window.BitsStored, window.PixelRepresentation = "MONOCHROME2", 8, 0
    window.VOILUTFunction = str(data.get("VOILUTFunction") or "LINEAR").upper()
    window.WindowCenter = centre
    # A linear window of less than 1 is against the standard, and is read as the narrowest one.
    window.WindowWidth = max(width, 1.0) if window.VOILUTFunction == "LINEAR" else width
    with np.errstate(over="ignore"):  # exp() far below a narrow sigmoid: infinity, which is shown as 0
        return np.round(apply_voi_lut(grey, window)).astype(np.uint8)


def _first(value: Any) -> float | None:
    """A window may be one number, several (the first is the default) or empty."""
    values = np.atleast_1d(np.asarray([] if value is None or value == "" else value, dtype=np.float64))
    return float(values[0]) if len(values) else None
