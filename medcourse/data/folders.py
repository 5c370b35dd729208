"""Your own images: from one folder per class, or from a table, to what a cohort is made of.

Images are decoded once into the same cache as the data sets of the manifest. The key holds the folder, and every file's
name, size and modification time, so a changed file is decoded again and the second call is immediate.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.arguments import one_of, whole_number
from medcourse.data.decode import Mode, OnError, Picture, read_image, stack
from medcourse.data.dicom import SUFFIXES, is_dicom, require_pydicom
from medcourse.data.labels import positive_last, require_columns
from medcourse.errors import CohortError

Group = str | Callable[[str], str] | None

_IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", *SUFFIXES}
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


Parts = tuple[NDArray[np.uint8], pd.DataFrame, tuple[str, ...]]  # images (n x C x size x size), table, class names


def folder_parts(
    path: str | Path, group: Group, positive: str | None, size: int, mode: Mode, on_error: OnError, progress: bool
) -> Parts:
    """See ``Cohort.from_folder``."""
    root = _existing_folder(path)
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not _hidden(p.name))
    names = [p.name for p in folders]
    if names and set(map(str.lower, names)) <= _SPLITS:
        raise CohortError(f"{root} holds {names}, which are no classes; give one of these folders, or use from_table")
    stray = _images_in(root, "*")
    if stray:
        raise CohortError(
            f"{len(stray)} images lie beside the class folders of {root}, e.g. {stray[0].name}; move them"
        )
    labels: dict[str, str] = {}
    for folder in folders:
        found = _images_in(folder, "**/*")
        if not found:
            raise CohortError(f"the class folder {folder} holds no image; fill it or remove it")
        labels |= {file.relative_to(root).as_posix(): folder.name for file in found}
    classes = positive_last(names, positive, f"the folder {root}", CohortError)
    table = pd.DataFrame({"label": labels.values(), "group": _groups(list(labels), group)}, index=list(labels))
    return _decoded(root, table.assign(path=table.index), classes, size, mode, on_error, progress)


def table_parts(
    table: pd.DataFrame,
    root: str | Path,
    image: str,
    label: str | Sequence[str],
    group: str | None,
    positive: str | None,
    size: int,
    mode: Mode,
    on_error: OnError,
    progress: bool,
) -> Parts:
    """See ``Cohort.from_table``."""
    root = _existing_folder(root)
    if not isinstance(table, pd.DataFrame) or not table.columns.is_unique:
        raise CohortError("from_table needs a DataFrame whose column names differ (pd.read_csv makes one)")
    labels = [label] if isinstance(label, str) else list(label)
    if "image_id" in table.columns:
        table = table.set_index("image_id")
    wanted = [image, *labels, *([group] if group else [])]
    require_columns(table, wanted, CohortError)
    for column in wanted if isinstance(label, str) else [c for c in wanted if c not in labels]:
        if (empty := table[column].isna()).any():
            raise CohortError(
                f"{int(empty.sum())} of {len(table)} rows have no '{column}', e.g. {table.index[empty][:3].tolist()}; "
                "fill them, or drop these rows"
            )
    if len(table) == 0:
        raise CohortError("the table has no rows")
    paths = table[image].astype(str)
    if (twice := paths.duplicated()).any():
        raise CohortError(f"{int(twice.sum())} images are named in several rows, e.g. {paths[twice].iloc[0]}")
    table = table.set_axis(table.index if table.index.name == "image_id" else paths)
    made = table.assign(path=paths.to_numpy(), group=table[group].astype(str) if group else table.index.astype(str))
    if not isinstance(label, str):
        classes = tuple(name.removeprefix("y_") for name in labels)
        if positive is not None:
            raise CohortError(
                "positive= is for two classes that exclude each other; relabel(..., positive=...) one finding"
            )
        made = made.drop(columns="label", errors="ignore")
        made = made.assign(**{f"y_{c}": table[f] for c, f in zip(classes, labels, strict=True)})
    else:
        made = made.assign(label=table[label].astype(str))
        positive = None if positive is None else str(positive)
        classes = positive_last(sorted(made["label"].unique()), positive, "the table", CohortError)
    return _decoded(root, made, classes, size, mode, on_error, progress)


# ---------------------------------------------------------------------- files, classes, groups


def _existing_folder(path: str | Path) -> Path:
    root = Path(path).expanduser().resolve()
    if not root.is_dir():
        raise CohortError(f"{root} is {'no folder' if root.exists() else 'not there'}; give the folder of your images")
    return root


def _hidden(name: str) -> bool:
    """Also what lies in a hidden folder: notebooks leave copies in .ipynb_checkpoints."""
    return name.startswith((".", "__MACOSX"))


def _images_in(folder: Path, pattern: str) -> list[Path]:
    """Image files, sorted; by their ending, and DICOM files without one. Hidden files are left out."""
    files = [p for p in folder.glob(pattern) if p.is_file() and not any(map(_hidden, p.relative_to(folder).parts))]
    return sorted(p for p in files if p.suffix.lower() in _IMAGES or (not p.suffix and is_dicom(p)))


def _groups(names: list[str], group: Group) -> list[str]:
    """The group of every file (paths within the folder)."""
    if group is None:
        return names
    found: list[str | None]
    if callable(group):
        found = [group(name) for name in names]
    else:
        try:
            pattern = re.compile(group)
        except re.error as error:
            raise CohortError(f"group={group!r} is no regular expression: {error}") from error
        if pattern.groups > 1:
            raise CohortError(
                f"group={group!r} has {pattern.groups} pairs of brackets; keep one, write the others (?:...)"
            )
        matches = [pattern.search(name if "/" in group else name.rpartition("/")[2]) for name in names]
        found = [m[pattern.groups] if m else None for m in matches]
    without = [name for name, value in zip(names, found, strict=True) if pd.isna(value) or value == ""]
    if without:
        raise CohortError(
            f"group={group!r} finds no group in {len(without)} of {len(names)} file names, e.g. {', '.join(without[:3])}; "
            "correct it, or pass group=None if every image is a patient of its own"
        )
    return [str(value) for value in found]


# ---------------------------------------------------------------------- decoding


def _decoded(
    root: Path, table: pd.DataFrame, classes: tuple[str, ...], size: int, mode: Mode, on_error: OnError, progress: bool
) -> Parts:
    """Images of the table's ``path`` column; adds the columns width and height (pixels of the original)."""
    size = whole_number("size", size, least=1)
    one_of("mode", mode, get_args(Mode))
    one_of("on_error", on_error, get_args(OnError))
    paths = [root / path for path in table["path"]]
    if dicom := next((path for path in paths if path.is_file() and is_dicom(path)), None):
        require_pydicom(dicom)

    def read(row: int) -> Picture:
        return read_image(paths[row], size, mode)

    known = [_identity(path) for path in paths]
    made = stack("own", size, mode, known, read, on_error=on_error, progress=progress)
    good = made.files[made.files["problem"] == ""]
    table = table.iloc[good.index].assign(original_width=good["width"].array, original_height=good["height"].array)
    if "label" in table and len(lost := set(classes) - set(table["label"])):
        raise CohortError(
            f"no image of {sorted(lost)} can be read, so {root} has no such class left; repair these files"
        )
    return made.images, table, classes


def _identity(path: Path) -> str:
    """What tells that a file has changed: size and modification time."""
    if not path.is_file():
        return f"{path}\tmissing"
    known = path.stat()
    return f"{path}\t{known.st_size}\t{known.st_mtime_ns}"
