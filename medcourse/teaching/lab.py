"""JupyterLab as a student should meet it: at a lesson, without authoring panels, with threads that share the machine.

The settings lie in ``jupyter`` beside this module. They reach JupyterLab through ``JUPYTER_CONFIG_PATH``, so the
user's own settings are neither read otherwise nor written.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

SETTINGS = Path(__file__).parent / "jupyter"
REMEMBER = {"MEDCOURSE_REMEMBER": "1"}  # a finished training comes from the cache after a restart of the kernel
THREADS = {"OMP_NUM_THREADS": "1"}  # measured: benchmarks/two_kernels.py


def command(work: Path, notebook: str, options: Sequence[str] = ()) -> list[str]:
    """The command that serves the work folder and opens one notebook of it; ``options`` are JupyterLab's own."""
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={work.resolve()}",
        f"--LabApp.default_url=/lab/tree/{quote(notebook)}",
        f"--LabApp.workspaces_dir={work.resolve() / '.jupyter-workspaces'}",
        *options,
    ]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of JupyterLab and its kernels: what is given, our settings first, threads and memory of trainings where not set."""
    path = os.pathsep.join([str(SETTINGS), *filter(None, [given.get("JUPYTER_CONFIG_PATH")])])
    threads = {} if any(name in given for name in THREADS) else THREADS
    return {**REMEMBER, **given, **threads, "JUPYTER_CONFIG_PATH": path}
