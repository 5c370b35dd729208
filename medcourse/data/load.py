"""Load a data set of the manifest: a cohort of images, or tables."""

from pathlib import Path
from typing import Literal

import pandas as pd

from medcourse.arguments import whole_number
from medcourse.data import handed_out, origins
from medcourse.data.cohort import Cohort
from medcourse.data.decode import Picture, Stack, read_image, read_mask, stack
from medcourse.data.fetch import fetch, manual_steps, mirror, tree_folder
from medcourse.data.manifest import Dataset, find_dataset, read_manifest
from medcourse.data.phantom.cohorts import STAND_INS
from medcourse.data.phantom.readers import reader_tables
from medcourse.data.phantom.reports import report_labels
from medcourse.errors import SourceError

_PHANTOM_VERSION = 7  # part of the cache key; raise it when the drawing changes


def datasets() -> pd.DataFrame:
    """What the manifest offers, and whether it is on this machine.

    Returns:
        One row per data set (index ``name``): title, kind, task, images (or rows), groups, what a group is, licence,
        download in MB (10^6 bytes), and ``here``: "cache" (fetched and checked), "mirror" (in the mirror's folder) or
        "".
    """
    rows = [
        {
            "name": d.name,
            "title": d.title,
            "kind": d.kind,
            "task": d.task or "",
            "images": d.counts.images or d.counts.rows,
            "groups": d.counts.groups,
            "group": d.group,
            "licence": d.licence,
            "mb": round(d.size_mb, 1),
            "here": _where(d),
        }
        for d in read_manifest().values()
    ]
    table = pd.DataFrame(rows).set_index("name")
    return table.astype({"images": "Int64", "groups": "Int64"})


def load(name: str, size: int = 64, phantom: Literal["auto"] | bool = "auto", progress: bool = True) -> Cohort:
    """Images and table of a data set; fetched, verified and decoded once, then memory-mapped.

    Args:
        name: a data set of ``mc.datasets()``.
        size: height and width in pixels; images are resized to squares.
        phantom: "auto" draws a stand-in with the same columns when no source can be reached, or the release says so, and
            prints that; False raises instead; True always draws.
        progress: show a bar while downloading.

    Returns:
        A ``Cohort``; ``is_phantom`` tells a stand-in from the real thing.

    Raises:
        ManifestError: unknown name, or a data set without images.
        SourceError: no source can be reached (and no phantom is allowed, or none exists for this data set).
        IntegrityError: a source holds something else than the manifest promises, and no other source serves.
        StorageError: this machine's disk is full, or may not be read or written; no phantom stands in.
        ArgumentError: a size that is not a whole number of 1 or more.
        CohortError: an image that cannot be decoded.
    """
    dataset = find_dataset(name, kind="images")
    size = whole_number("size", size, least=1)
    if phantom is True:
        return _draw(dataset, size)
    if phantom == "auto" and handed_out.is_drawn(name):
        print(f"PHANTOM DATA: your instructor chose drawn images for '{name}'; they say nothing about patients.")
        return _draw(dataset, size)
    try:
        folders = [fetch(find_dataset(needed), progress) for needed in (name, *dataset.needs)]
    except SourceError as error:
        if phantom is False or dataset.phantom is None:
            raise
        _say_drawn(dataset, error, "these images are")
        return _draw(dataset, size)
    return _decode(dataset, folders, size)


def load_table(
    name: str, progress: bool = True, phantom: bool | Literal["auto"] = False
) -> pd.DataFrame | dict[str, pd.DataFrame]:
    """A data set without images: a DataFrame, or a dict of them by file.

    Args:
        name: a data set of kind "tables" in ``mc.datasets()``.
        progress: show a bar while downloading.
        phantom: True draws a stand-in with the same files and columns; "auto" draws it only when no source can be reached,
            and says so in one line; False never does.

    Raises:
        ManifestError: unknown name, or a data set of images.
        SourceError: no source can be reached, or a phantom was asked for and none exists.
        IntegrityError: a source holds something else than the manifest promises.
        StorageError: this machine's disk is full, or may not be read or written.
    """
    dataset = find_dataset(name, kind="tables")
    if phantom is True:
        return _draw_table(dataset)
    try:
        folder = fetch(dataset, progress)
    except SourceError as error:
        if phantom is False or dataset.phantom is None:
            raise
        _say_drawn(dataset, error, "this table is")
        return _draw_table(dataset)
    return origins.TABLES[name](folder)


def weights_file(name: str, progress: bool = True) -> Path:
    """The checked safetensors file of a data set of kind "weights"; raises as ``load_table``."""
    dataset = find_dataset(name, kind="weights")
    return next(fetch(dataset, progress).rglob("*.safetensors"))


def _say_drawn(dataset: Dataset, error: SourceError, what: str) -> None:
    reasons = " / ".join(line.strip(" -") for line in str(error).splitlines() if line.startswith("  - "))
    print(
        f"PHANTOM DATA: '{dataset.name}' could not be fetched ({reasons}), so {what} drawn by a program; "
        "results say nothing about patients."
    )


def _draw_table(dataset: Dataset) -> pd.DataFrame | dict[str, pd.DataFrame]:
    if dataset.phantom == "readers":
        return {file: table for file, table in reader_tables().items() if file != "truth"}
    if dataset.phantom == "reports":
        return report_labels()
    raise SourceError(f"there is no phantom for '{dataset.name}'.\n{manual_steps(dataset)}")


def _decode(dataset: Dataset, folders: list[Path], size: int) -> Cohort:
    folder = folders[0]
    table = origins.IMAGES[dataset.name](*folders)
    has_masks = "mask_path" in table
    paths = table["path"].tolist()
    mask_paths = table["mask_path"].tolist() if has_masks else []

    def draw(i: int) -> Picture:
        picture = read_image(folder / paths[i], size, dataset.mode)
        return picture._replace(mask=read_mask(folder / mask_paths[i], size)) if has_masks else picture

    return _cohort(dataset, table, stack(folder.name, size, dataset.mode, paths, draw, has_masks))


def _draw(dataset: Dataset, size: int) -> Cohort:
    if dataset.phantom not in STAND_INS:
        raise SourceError(f"there is no phantom for '{dataset.name}'.\n{manual_steps(dataset)}")
    drawing = STAND_INS[dataset.phantom]()
    key, rows = f"phantom-{dataset.phantom}-v{_PHANTOM_VERSION}", drawing.table.index.tolist()
    made = stack(key, size, dataset.mode, rows, lambda row: Picture(*drawing.draw(row, size)), masks=True)
    return _cohort(dataset, drawing.table, made, is_phantom=True)


def _cohort(dataset: Dataset, table: pd.DataFrame, made: Stack, is_phantom: bool = False) -> Cohort:
    return Cohort(
        made.images,
        table,
        dataset.classes,
        task=dataset.task,
        masks=made.masks,
        name=dataset.name,
        laterality=dataset.laterality,
        is_phantom=is_phantom,
    )


def _where(dataset: Dataset) -> str:
    if tree_folder(dataset).is_dir():
        return "cache"
    base = mirror()
    if base is None or base.startswith("http"):
        return ""
    return "mirror" if any(s.mirror and (Path(base) / s.mirror).is_file() for s in dataset.sources) else ""
