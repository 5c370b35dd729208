"""Installs on Colab what medcourse needs and Colab lacks: ``python -m medcourse.teaching.colab``.

The notebook's own server, kernel and widgets stay in Colab's versions: with others it breaks or has to be restarted.
"""

import subprocess
import sys
from importlib import metadata

from packaging.requirements import Requirement

OF_COLAB = {"jupyterlab", "ipykernel", "ipywidgets", "nbclient", "nbconvert", "nbformat", "traitlets"}


def lacking() -> list[str]:
    """The requirements of medcourse that are missing or too old here, but for Colab's own."""
    required = [Requirement(line) for line in metadata.requires("medcourse") or []]
    return [str(r) for r in required if not r.marker and r.name not in OF_COLAB and not _is_met(r)]


def _is_met(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


if __name__ == "__main__":
    if packages := lacking():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True)
