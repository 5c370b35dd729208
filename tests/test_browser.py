"""A student's way through a lesson in a real JupyterLab, and the widgets there.

Needs Chromium (Debian: `apt-get install chromium`). `MEDCOURSE_SCREENSHOTS=DIR` keeps a picture of each step.
"""

import re

import pytest
from nbformat import NotebookNode, v4

from medcourse.teaching.notebooks import solution_notebook, student_notebook
from medcourse.teaching.source import read_lesson

pytest.importorskip("playwright", reason="needs playwright: pip install 'medcourse[dev]'")

from playwright.sync_api import expect

from tests.browser import CHROMIUM, ROOT, WIDGETS, open_notebook, widgets_notebook

FIRST = ROOT / "course" / "source" / "01_look_first.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture
def short_lesson(tmp_path):
    """The good lesson, with a cell that takes long at its end."""
    notebook = student_notebook(read_lesson(ROOT / "tests" / "lessons" / "01_good_lesson.py"))
    notebook.cells.append(v4.new_code_cell("import time\n\ntime.sleep(3600)", id="01-099-long"))
    with open_notebook(notebook, "01_good_lesson", tmp_path) as lesson:
        yield lesson


@pytest.fixture
def first_lesson(tmp_path):
    with open_notebook(student_notebook(read_lesson(FIRST)), FIRST.stem, tmp_path) as lesson:
        yield lesson


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


def test_every_widget_follows_the_keyboard_and_shows_its_picture_once(tmp_path):
    with open_notebook(widgets_notebook(), "widgets", tmp_path) as lesson:
        lesson.run("drawn")
        for name, (_, controls) in WIDGETS.items():
            lesson.run(name)
            picture = lesson.cell(name).locator("img")
            for role, label, key in controls:
                expect(picture).to_have_count(1)
                before = picture.get_attribute("src") or ""
                lesson.cell(name).get_by_role(role, name=label, exact=True).press(key)
                expect(picture).not_to_have_attribute("src", before)
                assert picture.get_attribute("alt").startswith("Figure")
            expect(picture).to_have_count(1)
            lesson.cell(name).locator(".jp-OutputArea").scroll_into_view_if_needed()
            lesson.shot(name)
        assert list(tmp_path.rglob("my_reading.json")), "kept beside the notebook"
        lesson.run("figure")
        expect(lesson.cell("figure").locator("img")).to_have_count(1)
        expect(lesson.cell("figure").locator("img")).to_have_attribute("alt", re.compile("score p"))


def is_exercise(cell: NotebookNode) -> bool:
    """Whether a student answers in this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))
