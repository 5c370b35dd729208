"""The command line: what it says, when it fails, and the demo on a lesson of two cells."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from typer.testing import CliRunner

from medcourse import cli
from medcourse.data.manifest import read_manifest
from medcourse.errors import ArgumentError
from medcourse.teaching import record
from medcourse.teaching.source import read_lesson
from tests.courses import GOOD, write_course

LESSON = """\
# ---
# jupyter:
#   medcourse:
#     number: 2
#     title: T
#     level: 1
#     pitfall: Nothing found.
#     goals: [g]
#     minutes: 1
#     datasets: []
# ---

# %% [markdown]
# # 02 A table

# %%
print("PHANTOM DATA: these images are drawn")

# %% tags=["before-after"]
print("sensitivity 0.10 0.90")
"""
runner = CliRunner()


@pytest.fixture
def course(tmp_path: Path) -> Path:
    (tmp_path / "course" / "source").mkdir(parents=True)
    (tmp_path / "course" / "notebooks").mkdir()
    (tmp_path / "course" / "source" / f"{cli.DEMO_LESSON}.py").write_text(LESSON)
    return tmp_path / "course"


def test_help_answers_without_loading_torch_or_pandas():
    code = (
        "import sys; from medcourse import cli; cli.app(['--help'], standalone_mode=False); "
        "print([m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    for command in ("doctor", "data", "build", "demo", "lab", "progress", "new-lesson", "release", "grade"):
        assert command in done.stdout


def test_doctor_names_versions_precision_and_places(cache):
    said = runner.invoke(cli.app, ["doctor"]).stdout
    for word in ("torch ", "precision auto means", "mirror ", str(cache)):
        assert word in said


@pytest.mark.usefixtures("cache")
def test_doctor_says_who_decides_the_precision(monkeypatch):
    monkeypatch.delenv("MEDCOURSE_PRECISION", raising=False)
    assert "(the hardware decides)" in runner.invoke(cli.app, ["doctor"]).stdout
    for word in ("fp32", "bf16"):
        monkeypatch.setenv("MEDCOURSE_PRECISION", word)
        said = runner.invoke(cli.app, ["doctor"]).stdout
        assert f"precision auto means {word} (MEDCOURSE_PRECISION decides)" in said
    monkeypatch.setenv("MEDCOURSE_PRECISION", "fp16")
    done = runner.invoke(cli.app, ["doctor"])
    assert done.exit_code == 1
    assert "MEDCOURSE_PRECISION='fp16'" in str(done.exception)
    assert "cache " in done.stdout, "the rest is told all the same"


@pytest.mark.usefixtures("cache")
def test_data_list_names_every_data_set_and_its_licence():
    said = runner.invoke(cli.app, ["data", "list"]).stdout
    for name, dataset in read_manifest().items():
        assert name in said
        assert dataset.licence in said


def test_an_error_is_one_message_and_status_1(cache):
    done = subprocess.run(
        [sys.executable, "-c", "from medcourse.cli import run; run()", "data", "fetch", "chest-xray-pneumona"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("medcourse: ")
    assert "chest-xray-pneumonia" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.realdata
def test_data_fetch_then_verify_notices_a_changed_file(cache):
    assert "as the manifest promises" in runner.invoke(cli.app, ["data", "fetch", "chexpert-readers"]).stdout
    assert runner.invoke(cli.app, ["data", "verify"]).exit_code == 0
    changed = next(path for path in sorted((cache / "trees").rglob("*.csv")))
    changed.write_text(changed.read_text() + "1")
    verified = runner.invoke(cli.app, ["data", "verify"])
    assert verified.exit_code == 1
    assert "chexpert-readers: CHANGED" in verified.stdout


def test_demo_prints_phantom_notice_table_and_page(course, tmp_path):
    page = tmp_path / "out" / f"{cli.DEMO_LESSON}.html"
    done = runner.invoke(cli.app, ["demo", "--course", str(course), "--out", str(page.parent)])
    assert done.exit_code == 0, done.output
    said = done.stdout
    assert said.index("Nothing found.") < said.index("PHANTOM DATA") < said.index("sensitivity 0.10 0.90")
    assert f"lies in {page}" in said
    assert "sensitivity 0.10 0.90" in page.read_text()


def test_demo_ends_well_and_names_a_verdict_that_does_not_hold(course, tmp_path):
    source = course / "source" / f"{cli.DEMO_LESSON}.py"
    source.write_text(LESSON + '\n# %%\nimport medcourse as mc\n\nmc.checks.verdicts({"two is larger": (2, ">", 3)})\n')
    done = runner.invoke(cli.app, ["demo", "--course", str(course), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "does not hold in this run: two is larger (we have no recorded runs of it on drawn images" in done.stdout
    rows = [{"verdict": "two is larger", "holds": holds, "margin": 1.0} for holds in (True, False)]
    for shift, row in enumerate(rows):
        written = [row, {"peak_mb": 1, "threads": 1, "data": "drawn", "torch": "2"}]
        path = record.record_of(course)
        path.parent.mkdir(parents=True, exist_ok=True)
        record.add(path, record.rows_of(read_lesson(source), written, shift, "fp32"))
    again = runner.invoke(cli.app, ["demo", "--course", str(course), "--out", str(tmp_path / "out")])
    assert "it held in 1 of our 2 recorded runs on drawn images" in again.stdout


def test_demo_of_a_lesson_that_fails_says_so(course, tmp_path):
    (course / "source" / f"{cli.DEMO_LESSON}.py").write_text(LESSON.replace('print("sens', 'raise RuntimeError("no'))
    done = runner.invoke(cli.app, ["demo", "--course", str(course), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "the cell fails" in str(done.exception)


def test_build_makes_notebooks_and_check_finds_an_edited_one(tmp_path):
    course = write_course(tmp_path / "course")
    assert runner.invoke(cli.app, ["build", "--course", str(course)]).exit_code == 0
    assert "as its source says" in runner.invoke(cli.app, ["build", "--check", "--course", str(course)]).stdout
    notebook = course / "notebooks" / GOOD.with_suffix(".ipynb").name
    notebook.write_text(notebook.read_text().replace("A figure", "No figure"))
    checked = runner.invoke(cli.app, ["build", "--check", "--course", str(course)])
    assert checked.exit_code == 1
    assert "source not as in the source" in checked.output


def test_lab_copies_says_where_and_hands_the_rest_to_jupyterlab(course, monkeypatch):
    started = []
    monkeypatch.setattr("os.execve", lambda program, command, environment: started.append((command, environment)))
    (course / "notebooks" / f"{cli.DEMO_LESSON}.ipynb").write_text("A table")
    done = runner.invoke(cli.app, ["lab", "--course", str(course), "--port", "8899"])
    assert done.exit_code == 0, done.output
    work = course.parent / "medcourse-work"
    assert f"your work lies in {work} (files copied: 1," in done.stdout
    [(command, environment)] = started
    assert command[-2:] == ["--port", "8899"]
    assert f"--LabApp.default_url=/lab/tree/notebooks/{cli.DEMO_LESSON}.ipynb" in command
    assert "labconfig" in " ".join(os.listdir(environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]))


def test_lab_names_what_changed_and_sets_back(course, monkeypatch):
    monkeypatch.setattr("os.execve", lambda *_: None)
    notebook = course / "notebooks" / f"{cli.DEMO_LESSON}.ipynb"
    notebook.write_text("A table")
    runner.invoke(cli.app, ["lab", "--course", str(course)])
    mine = course.parent / "medcourse-work" / "notebooks" / notebook.name
    mine.write_text("My notes")
    notebook.write_text("A longer table")
    said = runner.invoke(cli.app, ["lab", "--course", str(course)]).stdout
    assert f"notebooks/{notebook.name} has changed in the course since you began; yours is kept" in said
    done = runner.invoke(cli.app, ["lab", "--set-back", "02", "--course", str(course)])
    assert f"your old notebook is {mine.with_name(f'{mine.stem}_old_1.ipynb')}" in done.stdout
    assert mine.read_text() == "A longer table"


def test_progress_shows_points_and_new_lesson_begins_one(course):
    folder = course.parent / "medcourse-work" / "notebooks"
    folder.mkdir(parents=True)
    nbformat.write(v4.new_notebook(), folder / "01_first.ipynb")
    said = runner.invoke(cli.app, ["progress", "--course", str(course)]).stdout
    assert "01_first: 0 of 0 points\ntogether 0 of 0 points" in said
    done = runner.invoke(cli.app, ["new-lesson", "my_pitfall", "--course", str(course)])
    assert "_my_pitfall.py is a whole lesson; edit it, then: medcourse build " in done.stdout
    assert len(list((course / "source").glob("*_my_pitfall.py"))) == 1


def test_other_seeds_are_for_checks_only(course):
    done = runner.invoke(cli.app, ["build", "--shift", "1", "--course", str(course)])
    assert isinstance(done.exception, ArgumentError)
    assert not list(course.glob("*/*.ipynb"))


def test_progress_without_work_says_where_it_looked(tmp_path):
    done = runner.invoke(cli.app, ["progress", "--work", str(tmp_path)])
    assert done.exit_code == 1
    assert str(tmp_path) in str(done.exception)


@pytest.mark.parametrize("arguments", [["demo"], ["build"], ["build", "--check"], ["lab"]])
def test_outside_the_course_a_command_says_what_is_missing(tmp_path, arguments):
    done = runner.invoke(cli.app, [*arguments, "--course", str(tmp_path)])
    assert done.exit_code == 1
    assert str(tmp_path) in str(done.exception)
