"""A course with one good lesson, and with everything that its links lead to, for tests."""

import shutil
from pathlib import Path

from PIL import Image

LESSONS = Path(__file__).parent / "lessons"
GOOD = LESSONS / "01_good_lesson.py"


def write_course(folder: Path) -> Path:
    """Write the source of the good lesson, its picture, README and glossary into a folder, and return that."""
    for name in ("source", "pictures"):
        (folder / name).mkdir(parents=True)
    shutil.copy(GOOD, folder / "source")
    Image.new("L", (40, 20)).save(folder / "pictures" / "01_concept.png")
    (folder / "README.md").write_text("# A course\n")
    (folder / "glossary.md").write_text('# Glossary\n\n### <a id="sensitivity"></a>Sensitivity (recall)\n\nA share.\n')
    return folder
