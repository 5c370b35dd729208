"""A copy of the repository, and an environment in which medcourse is not installed yet, for tests of what installs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "medcourse-work", "__pycache__")


def copy_of_the_repository(folder: Path) -> Path:
    """Copy all that a clone holds, as it lies here."""
    return shutil.copytree(ROOT, folder, ignore=LEFT_OUT)


def environment_without_medcourse(folder: Path) -> dict[str, str]:
    """A virtual environment that sees every package of this one (pip, too) but medcourse; returns the variables that activate it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = folder / "packages"
    packages.mkdir()
    for place in (Path(place) for place in sys.path if Path(place).name == "site-packages"):
        for entry in place.iterdir():
            if "medcourse" not in entry.name and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    [own] = folder.glob("lib/python*/site-packages")
    (own / "packages.pth").write_text(f"{packages}\n")
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # pip reads this as "no isolation": what builds medcourse is among the packages, and no registry is asked
    return given | {"PATH": path, "VIRTUAL_ENV": str(folder), "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
