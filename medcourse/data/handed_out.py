"""What an instructor handed out beside the notebooks: packs of data sets, and which images are to be drawn.

`medcourse release` writes `RECORD` and the folder `PACKS`. A notebook in that folder, or one below it, finds both without settings.
"""

import json
from pathlib import Path

RECORD, PACKS = "medcourse-release.json", "packs"


def packs() -> str | None:
    """The folder of packs near the working folder; None when nothing was handed out with it."""
    folder = _folder()
    return str(folder / PACKS) if folder and (folder / PACKS).is_dir() else None


def is_drawn(name: str) -> bool:
    """Whether the instructor decided that the images of this data set are drawn, although they could be fetched."""
    folder = _folder()
    return folder is not None and name in json.loads((folder / RECORD).read_text(encoding="utf-8")).get("drawn", ())


def _folder() -> Path | None:
    here = Path.cwd()
    return next((folder for folder in (here, here.parent) if (folder / RECORD).is_file()), None)
