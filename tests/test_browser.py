"""A student's way through a lesson in a real JupyterLab: Chromium without a window, started by `medcourse lab`.

Needs Chromium (Debian: `apt-get install chromium`). `MEDCOURSE_SCREENSHOTS=DIR` keeps a picture of each step.
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

import pytest
from nbformat import NotebookNode, v4

from medcourse.teaching.notebooks import dumps, solution_notebook, student_notebook
from medcourse.teaching.source import read_lesson

pytest.importorskip("playwright", reason="needs playwright: pip install 'medcourse[dev]'")

from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[1]
FIRST = ROOT / "course" / "source" / "01_look_first.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
LAB = "from medcourse.cli import run; run()"
PATIENCE = 200_000  # milliseconds until something must be visible; nothing waits that long without need


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
        self.cell(exercise).locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(code)
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


@pytest.fixture
def short_lesson(tmp_path):
    """The good lesson, with a widget and a cell that takes long at its end."""
    notebook = student_notebook(read_lesson(ROOT / "tests" / "lessons" / "01_good_lesson.py"))
    notebook.cells += [
        v4.new_code_cell("mc.widgets.loss_explorer()", id="01-098-widget"),
        v4.new_code_cell("import time\n\ntime.sleep(3600)", id="01-099-long"),
    ]
    yield from open_notebook(notebook, "01_good_lesson", tmp_path)


@pytest.fixture
def first_lesson(tmp_path):
    yield from open_notebook(student_notebook(read_lesson(FIRST)), FIRST.stem, tmp_path)


def test_a_student_goes_through_a_short_lesson(short_lesson):
    lesson, page = short_lesson, short_lesson.page
    expect(page.locator(".jp-DirListing-item", has_text="01_good_lesson.ipynb")).to_be_visible()
    expect(page.get_by_text("Create Assignment")).to_have_count(0)
    expect(page.get_by_role("menuitem", name="Nbgrader")).to_have_count(0)
    lesson.shot("opened")

    lesson.menu("Run", "Run All Cells")
    output = lesson.said("sensitivity-check", "`sensitivity` is still `...`")
    expect(output).to_be_in_viewport()
    lesson.shot("run-all")
    assert output.bounding_box()["height"] < 150, "one short message"
    assert "Traceback" not in output.inner_text()
    assert "medcourse/" not in output.inner_text()

    lesson.answer("sensitivity", "sensitivity = found / images")
    lesson.said("sensitivity-check", "Divide by the diseased.")
    lesson.cell("sensitivity").locator("xpath=following::summary[1]").click()
    expect(page.get_by_role("paragraph").filter(has_text="Who could have been found?")).to_be_visible()
    lesson.shot("wrong-and-hint")
    lesson.answer("sensitivity", "sensitivity = found / diseased")
    lesson.said("sensitivity-check", "2 points. So far 2 of 6")
    lesson.shot("right")

    lesson.menu("Run", "Run All Cells")
    expect(lesson.said("share-check", "`share(20)` is None")).to_be_in_viewport()
    lesson.answer("quiz", 'quiz_1 = "b"\nquiz_2 = "b"')
    lesson.said("quiz-check", "`quiz_2` is not 'b'")
    lesson.answer("quiz", 'quiz_1 = "b"\nquiz_2 = "a"')
    lesson.said("quiz-check", "So far 4 of 6")
    lesson.shot("quiz")

    lesson.run("widget")
    picture = lesson.cell("widget").locator("img").first
    before = picture.get_attribute("src")
    lesson.cell("widget").get_by_role("spinbutton").first.fill("20")
    expect(picture).not_to_have_attribute("src", before or "")
    lesson.shot("widget")

    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    lesson.run("long")
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=busy]").wait_for()
    expect(lesson.cell("long").locator(".jp-InputPrompt")).to_have_text("[*]:")
    lesson.menu("Kernel", "Interrupt Kernel")
    lesson.said("long", "KeyboardInterrupt")
    lesson.shot("interrupt")
    lesson.menu("Kernel", "Restart Kernel…")
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    lesson.menu("Run", "Run All Cells")
    lesson.said("sensitivity-check", "2 points. So far 2 of 6")
    expect(lesson.said("share-check", "`share(20)` is None")).to_be_in_viewport()
    lesson.shot("restart-run-all")


@pytest.mark.realdata
def test_a_student_goes_through_the_first_exercise_and_the_quiz_of_lesson_01(first_lesson):
    lesson = first_lesson
    solution = solution_notebook(read_lesson(FIRST))
    answers = {c.metadata["nbgrader"]["grade_id"]: c.source for c in solution.cells if is_exercise(c)}
    first = next(iter(answers))
    lesson.menu("Run", "Run All Cells")
    output = lesson.said(f"{first}-check", "still `...`")
    expect(output).to_be_in_viewport()
    assert output.bounding_box()["height"] < 150, "one short message"
    lesson.shot("run-all")
    for exercise in (first, "quiz"):
        lesson.answer(exercise, answers[exercise])
        lesson.said(f"{exercise}-check", "Correct")
        lesson.shot(exercise)


def is_exercise(cell: NotebookNode) -> bool:
    """Whether a student answers in this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))
