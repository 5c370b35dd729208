"""What each data set's files say: one function per data set, from the unpacked folder to a table.

A table has the index ``image_id``, the columns ``label`` and ``group``, everything else that the source tells, and
``path`` (and ``mask_path`` where there are masks) relative to the folder. Nothing is read from a mirror's own index, so
the table is the same whichever source served the files.
"""

import re
from pathlib import Path

import pandas as pd

from medcourse.errors import IntegrityError

_PNEUMONIA_FILM = re.compile(r"(?P<name_id>person\d+)_(?P<pathogen>bacteria|virus)_\d+")
_NORMAL_FILM = re.compile(r"(?P<name_id>(?:NORMAL2-)?IM-\d+)-\d+")


def chest_xray_pneumonia(folder: Path) -> pd.DataFrame:
    """Columns label, group, split (the published folders), name_id, pathogen ("" for normal films), path.

    ``personN`` restarts for bacteria and for virus, so the group is number and pathogen together.
    """
    rows = []
    for path in sorted(folder.rglob("*.jpeg")):
        split, label = path.relative_to(folder).parts[:2]
        found = _PNEUMONIA_FILM.match(path.stem) or _NORMAL_FILM.match(path.stem)
        if found is None:
            raise IntegrityError(f"{path}: the file name follows neither personN_pathogen_M nor IM-N-M")
        pathogen = found.groupdict().get("pathogen", "")
        group = f"{found['name_id']}_{pathogen}" if pathogen else found["name_id"]
        rows.append((path.stem, label, group, split, found["name_id"], pathogen, path.relative_to(folder).as_posix()))
    columns = ["image_id", "label", "group", "split", "name_id", "pathogen", "path"]
    return pd.DataFrame(rows, columns=columns).set_index("image_id")


def ham10000(folder: Path) -> pd.DataFrame:
    """Columns label (dx), group (lesion_id), lesion_id, dx, dx_type, age (years), sex, localization, path, mask_path."""
    table = pd.read_csv(folder / "HAM10000_metadata.csv").set_index("image_id").sort_index()
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
    return {
        name: t[sorted(t.columns, key=lambda c: (c not in order, order.index(c) if c in order else 0))]
        for name, t in tables.items()
    }


IMAGES = {"chest-xray-pneumonia": chest_xray_pneumonia, "ham10000": ham10000}
TABLES = {"chexpert-readers": chexpert_readers}
