"""A notebook in a real JupyterLab: Chromium without a window, started by `medcourse lab`. For the browser tests and benchmarks/widgets.py.

`MEDCOURSE_SCREENSHOTS=DIR` keeps a picture of each step.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbformat import NotebookNode, v4
from playwright.sync_api import Locator, Page, expect, sync_playwright

from medcourse.teaching.notebooks import dumps

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LAB = "from medcourse.cli import run; run()"
PATIENCE = 200_000  # milliseconds until something must be visible; nothing waits that long without need


DRAWN = """\
import medcourse as mc
import numpy as np
import pandas as pd

films = mc.phantom.chest(10, size=64)
model = mc.Predictions(films.table.assign(p_PNEUMONIA=0.2 + 0.6 * films.targets), films.classes)

ill = np.arange(400) < 80
scores = np.clip(np.random.default_rng(0).normal(0.3 + 0.3 * ill, 0.15), 0, 1)
people = pd.DataFrame({"label": np.where(ill, "PNEUMONIA", "NORMAL"), "p_PNEUMONIA": scores})
pred = mc.Predictions(people, films.classes)\
"""
WIDGETS = {  # name: its cell, and the controls that change its picture, as a screen reader finds them, with a key
    "threshold": (
        "mc.widgets.threshold_explorer(pred, prevalence=0.1)",
        [("spinbutton", "threshold", "ArrowUp"), ("spinbutton", "prevalence", "ArrowUp")],
    ),
    "loss": (
        "mc.widgets.loss_explorer()",
        [("spinbutton", "weight", "ArrowUp"), ("spinbutton", "gamma", "ArrowUp")],
    ),
    "game": (
        "mc.widgets.reading_game(films, keep='my_reading.json', model=model)",
        [("button", "NORMAL", "Enter"), ("button", "PNEUMONIA", "Space"), ("button", "one film back", "Enter")],
    ),
    "augmentation": (
        "mc.widgets.augmentation_explorer(films, 'chest')",
        [("spinbutton", "rotation", "ArrowUp"), ("checkbox", "flip", "Space"), ("spinbutton", "image", "ArrowUp")],
    ),
    "maps": (
        "mc.widgets.map_browser(films, mc.baseline_maps(films.masks), films.masks)",
        [("spinbutton", "image", "ArrowUp"), ("spinbutton", "opacity", "ArrowDown")],
    ),
}


def widgets_notebook() -> NotebookNode:
    """A notebook with all widgets and a plain figure, on drawn films."""
    codes = {"drawn": DRAWN} | {name: code for name, (code, _) in WIDGETS.items()} | {"figure": "mc.plot.scores(pred);"}
    return v4.new_notebook(
        cells=[v4.new_code_cell(code, id=f"01-{k:03d}-{name}") for k, (name, code) in enumerate(codes.items())],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}},
    )


class Lesson:
    """The notebook that is open in a page, as a student sees it."""

    def __init__(self, page: Page, notebook: NotebookNode, name: str) -> None:
        self.page, self.name, self.ids = page, name, [cell.id for cell in notebook.cells]

    def index(self, name: str) -> int:
        """Where the cell stands whose id ends in a name (``sensitivity-check``)."""
        [index] = [i for i, cell_id in enumerate(self.ids) if re.fullmatch(rf"\d+-\d+-{name}", cell_id)]
        return index

    def cell(self, name: str) -> Locator:
        """The cell of that name in the page."""
        return self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{self.index(name)}"]')

    def run(self, name: str, and_next: int = 0) -> None:
        """Run a cell, and some after it, with Shift and Enter."""
        self.cell(name).locator(".cm-content").click()
        for _ in range(1 + and_next):
            self.page.keyboard.press("Shift+Enter")

    def answer(self, exercise: str, code: str) -> None:
        """Write an answer into an exercise's cell, and run it with all up to its check."""
        self.rest()
        lines = self.cell(exercise).locator(".cm-line")
        for _ in range(5):
            self.cell(exercise).locator(".cm-content").click()
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(code)
            if lines.all_inner_texts() == code.split("\n"):
                break  # else the end of a "Run all" has taken the focus away: a student would click again
        assert lines.all_inner_texts() == code.split("\n")
        self.run(exercise, and_next=self.index(f"{exercise}-check") - self.index(exercise))

    def rest(self) -> None:
        """Wait until no cell waits for the kernel. After an error the kernel refuses all that is asked before it has
        emptied its queue."""
        expect(self.page.locator(".jp-InputPrompt", has_text="[*]")).to_have_count(0)
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()

    def menu(self, *names: str) -> None:
        """Choose an entry of the menu bar; behind its name may stand its keys."""
        self.page.get_by_role("menuitem", name=names[0], exact=True).click()
        for name in names[1:]:
            self.page.get_by_role("menuitem", name=re.compile(f"^{name}")).click()

    def said(self, name: str, words: str) -> Locator:
        """Wait until the output of a cell says something; return the output."""
        output = self.cell(name).locator(".jp-OutputArea")
        expect(output).to_contain_text(words)
        return output

    def shot(self, step: str) -> None:
        """Keep a picture of what the student sees."""
        if folder := os.environ.get("MEDCOURSE_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{self.name}-{step}.png")


@contextmanager
def jupyterlab(course: Path, folder: Path) -> Iterator[str]:
    """`medcourse lab` on a course, with settings and kernels of its own; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    command = [sys.executable, "-c", LAB, "lab", "--course", course, "--no-browser", "--allow-root", f"--port={port}"]
    log = folder / "jupyter.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=os.environ | own, stdout=said, stderr=said)
    try:
        began = time.monotonic()
        while not (address := re.search(r"http://127\.0\.0\.1\S+", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - began < PATIENCE / 1000, log.read_text()
            time.sleep(0.1)
        yield address[0]
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def open_notebook(notebook: NotebookNode, name: str, folder: Path) -> Iterator[Lesson]:
    """A course of one lesson, opened in JupyterLab and ready to run."""
    course = folder / "course"
    (course / "notebooks").mkdir(parents=True)
    (course / "notebooks" / f"{name}.ipynb").write_text(dumps(notebook))
    for page in ("README.md", "glossary.md", "references.md"):
        shutil.copy(ROOT / "course" / page, course)
    shutil.copytree(ROOT / "course" / "pictures", course / "pictures")
    with jupyterlab(course, folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.goto(address)
        page.locator(".jp-NotebookPanel-toolbar").get_by_text("Python 3 (ipykernel)").wait_for()
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
        lesson = Lesson(page, notebook, name)
        yield lesson
        lesson.shot("end")
        browser.close()
