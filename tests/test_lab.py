"""Where students work: what `medcourse lab` copies, never over work, what it sets back, and how it starts JupyterLab."""

import json
import os

import nbformat
import pytest
from nbformat import v4

from medcourse.errors import LessonError
from medcourse.teaching import lab, work
from medcourse.teaching.points import points_so_far

NAME = "notebooks/01_first.ipynb"


def notebook(*answers: str) -> str:
    """A notebook of exercises ``a``, ``b``, ... with their check cells."""
    cells = []
    for name, answer in zip("abc", answers, strict=False):
        solution = {
            "grade_id": name,
            "solution": True,
            "grade": False,
            "locked": False,
            "schema_version": 3,
            "task": False,
        }
        check = solution | {"grade_id": f"{name}_check", "solution": False, "grade": True, "points": 1}
        cells.append(v4.new_code_cell(f"{name} = {answer}", id=name, metadata={"nbgrader": solution}))
        cells.append(v4.new_code_cell(f"check({name})", id=f"{name}-check", metadata={"nbgrader": check}))
    return nbformat.writes(v4.new_notebook(cells=cells))


@pytest.fixture
def course(tmp_path):
    for folder in ("notebooks", "solutions", "pictures", "source"):
        (tmp_path / "course" / folder).mkdir(parents=True)
    for name in ("01_first", "02_second"):
        for folder in ("notebooks", "solutions"):
            (tmp_path / "course" / folder / f"{name}.ipynb").write_text(notebook("...", "..."))
    (tmp_path / "course" / "pictures" / "01_concept.png").write_bytes(b"picture")
    (tmp_path / "course" / "README.md").write_text("# The course")
    (tmp_path / "course" / "source" / "01_first.py").write_text("")
    return tmp_path / "course"


@pytest.fixture
def folder(course):
    work.copy_course(course, course.parent / "work")
    return course.parent / "work"


def test_the_layout_is_the_courses_so_that_links_work(course, folder):
    copied = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.is_file()}
    books = {f"{place}/{name}.ipynb" for place in ("notebooks", "solutions") for name in ("01_first", "02_second")}
    assert copied == {"README.md", "pictures/01_concept.png", work.RECORD} | books


def test_work_is_never_copied_over(course, folder):
    (folder / NAME).write_text(notebook("1", "..."))
    again = work.copy_course(course, folder)
    assert (again.new, again.updated, again.changed) == ([], [], [])
    (course / NAME).write_text(notebook("...", "...", "..."))
    (course / "notebooks" / "02_second.ipynb").write_text(notebook("...", "...", "..."))
    again = work.copy_course(course, folder)
    assert again.changed == [NAME]
    assert again.updated == ["notebooks/02_second.ipynb"], "nobody had worked in it"
    assert (folder / NAME).read_text() == notebook("1", "...")
    assert work.copy_course(course, folder).changed == [NAME], "it is said each time"


def test_a_notebook_that_was_there_before_is_kept(course, tmp_path):
    (tmp_path / "work" / "notebooks").mkdir(parents=True)
    (tmp_path / "work" / NAME).write_text("mine")
    assert work.copy_course(course, tmp_path / "work").changed == [NAME]
    assert (tmp_path / "work" / NAME).read_text() == "mine"


def test_it_begins_at_the_first_lesson_and_goes_on_at_the_last_work(course, folder):
    assert work.where_to_begin(folder) == NAME
    second = folder / "notebooks" / "02_second.ipynb"
    for path, when in ((folder / NAME, 1000), (second, 2000)):
        path.write_text(notebook("1"))
        os.utime(path, (when, when))
    assert work.where_to_begin(folder) == "notebooks/02_second.ipynb"


def test_a_lesson_is_set_back_and_the_old_notebook_kept(course, folder):
    (folder / NAME).write_text(notebook("1", "2"))
    kept = work.set_back(course, folder, "1")
    assert (folder / NAME).read_text() == (course / NAME).read_text()
    assert kept.read_text() == notebook("1", "2")
    (folder / NAME).write_text(notebook("3", "4"))
    second = work.set_back(course, folder, "01_first")
    assert second != kept
    assert kept.read_text() == notebook("1", "2")


def test_an_exercise_is_set_back_and_the_others_stay(course, folder):
    book = nbformat.reads(notebook("1", "2"), as_version=4)
    for cell in book.cells:
        cell.outputs = [v4.new_output("stream", text="said")]
    (folder / NAME).write_text(nbformat.writes(book))
    kept = work.set_back(course, folder, "01:a")
    cells = {cell.id: cell for cell in nbformat.read(folder / NAME, as_version=4).cells}
    assert [cells[name].source for name in ("a", "b")] == ["a = ...", "b = 2"]
    assert [len(cells[name].outputs) for name in ("a", "a-check", "b", "b-check")] == [0, 0, 1, 1]
    assert kept.read_text() == nbformat.writes(book)
    assert work.copy_course(course, folder).changed == [], "the rest is still work"


def test_what_cannot_be_set_back_is_named(course, folder):
    for what, words in (("7", "01_first, 02_second"), ("1:z", "it has a, b")):
        with pytest.raises(LessonError, match=words):
            work.set_back(course, folder, what)
    (folder / NAME).write_text(nbformat.writes(v4.new_notebook()))
    with pytest.raises(LessonError, match="set the whole lesson back"):
        work.set_back(course, folder, "1:a")
    assert not list(folder.glob("notebooks/*_old_*"))
    (folder / NAME).unlink()
    with pytest.raises(LessonError, match="to set back"):
        work.set_back(course, folder, "1")


def test_points_are_those_of_the_saved_outputs(course, folder):
    book = nbformat.reads(notebook("1", "2"), as_version=4)
    [check] = [cell for cell in book.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "a_check"]
    said = "Correct: `a`.\n1 point. So far 1 of 3 in this lesson.\n"
    check.outputs = [v4.new_output("stream", text=said)]
    (folder / NAME).write_text(nbformat.writes(book))
    work.set_back(course, folder, "1:b")  # leaves an old notebook, which does not count
    first, second = points_so_far(folder)
    assert str(first) == "01_first: 1 of 2 points; open: b"
    assert (second.lesson, second.earned, second.left) == ("02_second", 0, ("a", "b"))
    check.outputs = [v4.new_output("error", ename="CheckError", evalue="1 point. So far")]
    (folder / NAME).write_text(nbformat.writes(book))
    assert points_so_far(folder)[0].earned == 0


def test_points_of_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(LessonError, match="no notebooks in"):
        points_so_far(tmp_path)


def test_the_course_itself_is_refused_as_a_work_folder(course):
    with pytest.raises(LessonError, match="the course itself"):
        work.copy_course(course, course)


def test_jupyterlab_opens_the_notebook_and_takes_its_own_options(tmp_path):
    command = lab.command(tmp_path, "notebooks/01 first.ipynb", ["--no-browser"])
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/01%20first.ipynb" in command
    assert command[-1] == "--no-browser"


def test_settings_come_first_and_the_users_own_threads_stay():
    given = {"JUPYTER_CONFIG_PATH": "/theirs", "HOME": "/home/she"}
    set_up = lab.environment(given)
    assert set_up["JUPYTER_CONFIG_PATH"].split(os.pathsep) == [str(lab.SETTINGS), "/theirs"]
    assert set_up["HOME"] == "/home/she"
    assert lab.THREADS.items() <= set_up.items()
    assert lab.REMEMBER.items() <= set_up.items()
    off = dict.fromkeys(lab.REMEMBER, "0")
    assert off.items() <= lab.environment(off).items()
    [name] = lab.THREADS
    assert lab.environment({name: "4"})[name] == "4"


def test_the_settings_hide_authoring_panels_and_open_markdown_as_a_page():
    read = {path.name: json.loads(path.read_text()) for path in (lab.SETTINGS / "labconfig").glob("*.json")}
    assert read["page_config.json"]["disabledExtensions"] == {"@jupyter/nbgrader": True}
    served = json.loads((lab.SETTINGS / "jupyter_server_config.d" / "nbgrader.json").read_text())["ServerApp"]
    assert set(served["jpserver_extensions"].values()) == {False}
    viewers = read["default_setting_overrides.json"]["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"]
    assert viewers == {"markdown": "Markdown Preview"}
