"""What each data set's files say: one function per data set, from the unpacked folder to a table.

A table has the index ``image_id``, the columns ``label`` (or ``y_<finding>``) and ``group``, everything else that the source tells, and
``path`` (and ``mask_path`` where there are masks) relative to the folder. Nothing is read from a mirror's own index, so
the table is the same whichever source served the files.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from medcourse.errors import IntegrityError

_HAM10000_TABLE = "ca90618409cbea9f7a07a70a0a258c5e0e4041ff9cf1f1242742cd1bbe16d1c9"  # as CSV, by image_id
_FILM = r"^(?:(?P<person>person\d+)_(?P<pathogen>bacteria|virus)_\d+|(?P<normal>(?:NORMAL2-)?IM-\d+)-\d+)"
_CELL = r"^(?:Parasitized|Uninfected)?(?P<slide_image>(?P<patient>C\d+).*)_cell_\d+$"
_SLIDE = (
    r"^SOB_(?P<behaviour>[BM])_(?P<tumour_type>[A-Z]+)-(?P<number>\d+-\d+)(?P<letters>[A-Z]*)"
    r"-(?P<magnification>40|100|200|400)-\d+$"
)
NIH_FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia"),
    *("Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax"),
)
_NIH_COLUMNS = {
    "Image Index": "image_id",
    "Finding Labels": "findings",
    "Follow-up #": "follow_up",
    "Patient Age": "age",
    "Patient Gender": "sex",
    "View Position": "view",
    "OriginalImage[Width": "original_width",
    "Height]": "original_height",
    "OriginalImagePixelSpacing[x": "spacing_x",
    "y]": "spacing_y",
}


def chest_xray_pneumonia(folder: Path) -> pd.DataFrame:
    """Columns label, group, split (the published folders), name_id, pathogen ("" for normal films), path.

    ``personN`` restarts for bacteria and for virus, so the group is number and pathogen together.
    """
    table = _files(folder, "**/*.jpeg")
    parts = table["path"].str.split("/", expand=True)
    named = table.index.to_series().str.extract(_FILM)
    name_id, pathogen = named["person"].fillna(named["normal"]), named["pathogen"].fillna("")
    _all_named(name_id, "personN_pathogen_M or IM-N-M")
    group = name_id.mask(pathogen != "", name_id + "_" + pathogen)
    added = {"label": parts[1], "group": group, "split": parts[0], "name_id": name_id, "pathogen": pathogen}
    return pd.DataFrame(added).assign(path=table["path"])


def ham10000(folder: Path) -> pd.DataFrame:
    """Columns label (dx), group (lesion_id), lesion_id, dx, dx_type, age (years), sex, localization, path, mask_path.

    The published table, or a copy with more columns: its seven columns must hold what the published ones do.
    """
    [file] = folder.glob("HAM10000_metadata*.csv")
    columns = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
    table = pd.read_csv(file)
    if missing := [column for column in columns if column not in table]:
        raise IntegrityError(f"{file} lacks the columns {missing}; remove {folder} and fetch it again")
    table = table[columns].sort_values("image_id", ignore_index=True)
    if (found := hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()) != _HAM10000_TABLE:
        raise IntegrityError(
            f"{file} is not the published table (its columns have the hash {found[:16]}..., expected "
            f"{_HAM10000_TABLE[:16]}...); remove {folder} and fetch it again"
        )
    table = table.set_index("image_id")
    table.insert(0, "label", table["dx"])
    table.insert(1, "group", table["lesion_id"])
    table["path"] = "images/" + table.index + ".jpg"
    table["mask_path"] = "masks/" + table.index + "_segmentation.png"
    return table


def chexpert_readers(folder: Path) -> dict[str, pd.DataFrame]:
    """Every CSV by its path without the ending, index Study; columns of a kind stand in one order.

    The files list their columns in different orders; here all take the reference standard's, so that arrays line up.
    """
    files = {p.relative_to(folder).with_suffix("").as_posix(): p for p in sorted(folder.rglob("*.csv"))}
    tables = {name: pd.read_csv(path).set_index("Study") for name, path in files.items()}
    order = list(tables["groundtruth"].columns)
    return {name: t[[*(c for c in order if c in t), *(c for c in t if c not in order)]] for name, t in tables.items()}


def nih_labels(folder: Path) -> pd.DataFrame:
    """The label table of NIH ChestX-ray14 (112,120 films), index image_id (file name without its ending).

    Columns group (patient), findings (as the table writes them, "A|B" or "No Finding"), y_<finding> (1 mentioned in the
    report, 0 not mentioned), follow_up, age (years), sex, view (AP or PA), original_width, original_height (pixels),
    spacing_x, spacing_y (mm per pixel).
    """
    table = _nih(folder)
    shown = table["findings"].str.get_dummies("|").reindex(columns=NIH_FINDINGS, fill_value=0).astype(float)
    return pd.concat([table, shown.add_prefix("y_")], axis=1)


def nih_google(folder: Path) -> pd.DataFrame:
    """Google's 2019 relabelling of 4,376 of these films: as ``nih_labels``, but y_ for its four findings, and split.

    Majkowska et al., Radiology 2020: labels adjudicated by radiologists. ``findings`` keeps the original labels.
    """
    names = ["Fracture", "Pneumothorax", "Airspace opacity", "Nodule or mass"]
    table = _nih(folder)
    for name in names:
        table[f"y_{name}"] = table.pop(name).map({"YES": 1.0, "NO": 0.0})
    return table.rename(columns={"Set Id": "split"})


def nih_boxes(folder: Path) -> pd.DataFrame:
    """One row per box: image_id, finding, x, y, width, height, in pixels of the 1024 x 1024 film (x, y: upper left)."""
    table = pd.read_csv(next(folder.glob("*.csv.gz"))).iloc[:, :6]
    table.columns = pd.Index(["image_id", "finding", "x", "y", "width", "height"])
    table["image_id"] = table["image_id"].str.removesuffix(".png")
    return table.replace({"finding": {"Infiltrate": "Infiltration"}})


def nih_chest_xray_1000(folder: Path, labels: Path, boxes: Path) -> pd.DataFrame:
    """The columns of ``nih_labels``, and boxes: a list of (finding, x, y, width, height), pixels of the 1024 x 1024 film.

    "No Finding" is no class of its own: such a film has a 0 for all fourteen findings.
    """
    names = sorted(path.stem for path in folder.glob("images/*.png"))
    table = nih_labels(labels).loc[names]
    drawn = nih_boxes(boxes).set_index("image_id")
    found = [list(drawn[drawn.index == name].itertuples(index=False, name=None)) for name in names]
    table["boxes"] = pd.Series(found, index=table.index, dtype=object)
    table["path"] = "images/" + table.index + ".png"
    return table


def malaria_cells(folder: Path) -> pd.DataFrame:
    """Columns label, group (the patient's C number), slide_image (field of view), split (the source's folders), path."""
    table = _files(folder, "*/*/*.png")
    parts = table["path"].str.split("/", expand=True)
    named = table.index.to_series().str.extract(_CELL)
    _all_named(named["patient"], "C<patient>..._cell_N")
    return table.assign(label=parts[1], group=named["patient"], slide_image=named["slide_image"], split=parts[0])


def breakhis(folder: Path) -> pd.DataFrame:
    """Columns label, group, slide, tumour_type (A, F, PT, TA; DC, LC, MC, PC), magnification (40 to 400), path.

    The slide is year and number with its letters (14-22549AB). The group leaves the letters out: blocks of one number may
    come from one patient, and a split must not depend on the guess that they do not.
    """
    table = _files(folder, "**/*.png")
    named = table.index.to_series().str.extract(_SLIDE)
    _all_named(named["number"], "SOB_M_DC-14-2523-400-001")
    return table.assign(
        label=named["behaviour"].map({"B": "benign", "M": "malignant"}),
        group=named["number"],
        slide=named["number"] + named["letters"],
        tumour_type=named["tumour_type"],
        magnification=named["magnification"].astype(int),
    )


def _nih(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(next(folder.glob("*.csv.gz"))).rename(columns=_NIH_COLUMNS)
    table["image_id"] = table["image_id"].str.removesuffix(".png")
    table = table.set_index("image_id").sort_index()
    table.insert(0, "group", table.index.str.partition("_").get_level_values(0))
    return table.drop(columns="Patient ID")


def _files(folder: Path, pattern: str) -> pd.DataFrame:
    files = sorted(folder.glob(pattern))
    paths = [file.relative_to(folder).as_posix() for file in files]
    return pd.DataFrame({"path": paths}, index=pd.Index([file.stem for file in files], name="image_id"))


def _all_named(column: pd.Series, form: str) -> None:
    if (strange := column.isna()).any():
        raise IntegrityError(f"{int(strange.sum())} file names do not follow {form}, e.g. {column.index[strange][0]}")


IMAGES: dict[str, Callable[..., pd.DataFrame]] = {
    "chest-xray-pneumonia": chest_xray_pneumonia,
    "ham10000": ham10000,
    "nih-chest-xray-1000": nih_chest_xray_1000,
    "malaria-cells": malaria_cells,
    "breakhis": breakhis,
}
TABLES: dict[str, Callable[[Path], pd.DataFrame | dict[str, pd.DataFrame]]] = {
    "chexpert-readers": chexpert_readers,
    "nih-chest-xray14-labels": nih_labels,
    "nih-chest-xray14-boxes": nih_boxes,
    "nih-chest-xray14-google2019": nih_google,
}
