"""The instructor's path, whole: a release, what students may hand in (friendly and hostile), grades, feedback; with nbgrader's own tools."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from typer.testing import CliRunner

from medcourse.cli import app
from medcourse.grading.batch import Batch, Graded, Limits, Work, grade_batch
from medcourse.grading.grade import grade
from medcourse.teaching.notebooks import dumps, source_notebook
from medcourse.teaching.regions import compose
from medcourse.teaching.source import read_lesson
from tests.courses import GOOD, write_course

NAME = GOOD.stem
OF = {"sensitivity": 2, "share": 1, "clinic": 1, "quiz": 2}
LESSON = read_lesson(GOOD)
SOLUTIONS = {cell.exercise: compose(cell.pieces) for cell in LESSON.cells if cell.exercise}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="grading forks a kernel that has loaded torch: Linux"),
]

Change = Callable[[NotebookNode], None]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_course(tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="module")
def released(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "out"
    done = CliRunner().invoke(app, ["release", str(folder), "--course", str(course)])
    assert done.exit_code == 0, done.output
    return folder


def cell_of(notebook: NotebookNode, grade_id: str) -> NotebookNode:
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def answered(**codes: str) -> Change:
    """The notebook with these cells filled in; the other exercises stay open."""

    def change(notebook: NotebookNode) -> None:
        for name, code in codes.items():
            cell_of(notebook, name).source = code

    return change


def tampered(notebook: NotebookNode) -> None:
    """Checks that always say yes, more points, and answers that are wrong."""
    for name, points in OF.items():
        check = cell_of(notebook, f"{name}_check")
        check.source = f"print('Correct: `{name}`.')\nmc.checks.points('{name}', {points}, of=6)"
        check.metadata.nbgrader.points = 100
        check.outputs = [nbformat.v4.new_output("stream", text=f"Correct: `{name}`.\n{points} points.\n")]
    answered(sensitivity="sensitivity = 1", share="half = 0\ndef share(part): return 3", clinic="wanted = 0")(notebook)


def deleted(notebook: NotebookNode) -> None:
    """Half of the cells are gone, one of them an exercise's."""
    answered(**SOLUTIONS)(notebook)
    kept = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") != "sensitivity"]
    notebook.cells = [cell for number, cell in enumerate(kept) if "nbgrader" in cell.metadata or number % 2]


def reordered(notebook: NotebookNode) -> None:
    answered(**SOLUTIONS)(notebook)
    notebook.cells.reverse()


def copied(notebook: NotebookNode) -> None:
    """The exercise's cell twice, the second one with the answer, and a copied check that passes."""
    first = cell_of(notebook, "sensitivity")
    second = nbformat.from_dict({**first, "id": "copy", "source": SOLUTIONS["sensitivity"]})
    check = nbformat.from_dict({**cell_of(notebook, "clinic_check"), "id": "copy-2", "source": "print('1 point')"})
    notebook.cells[notebook.cells.index(first) + 1 : 0] = [second, check]


def with_own_cells(notebook: NotebookNode) -> None:
    """A student's own way: a helper in an own cell, used in two exercises, and the answer below the exercise's cell."""
    place = notebook.cells.index(cell_of(notebook, "sensitivity"))
    notebook.cells.insert(
        place, nbformat.v4.new_code_cell("import math, torch\n\ndef part_of(a, b):\n    return a / b")
    )
    notebook.cells.insert(place + 2, nbformat.v4.new_code_cell("sensitivity = part_of(found, diseased)"))
    share = "def share(part):\n    return part_of(part, images)\n\n\nhalf = math.sqrt(0.25)"
    answered(share=share)(notebook)


ALWAYS = """
class Always:
    def __eq__(self, other): return True
    __lt__ = __gt__ = __le__ = __ge__ = __eq__
    __hash__ = None
    def __abs__(self): return 0
    def __float__(self): return 0.5
    def __sub__(self, other): return 0
    __rsub__ = __sub__
"""
PATCHED = """
import builtins, medcourse.teaching.checks as c
yes = lambda *args, **more: print("Correct: all")
for name in ("number", "that", "array", "members", "quiz", "answered", "points", "_as_number"):
    setattr(c, name, yes)
    setattr(mc.checks, name, yes)
c.number.__code__ = yes.__code__
builtins.abs = lambda x: 0
builtins.compile = builtins.exec = yes
import medcourse.grading.judge as judge
judge.run_check = lambda code, names: (True, "", False, "")
sensitivity = 99
"""

# student -> what she does to the notebook; none of them solves a thing
HOSTILE: dict[str, Change] = {
    "patched": answered(sensitivity=PATCHED),
    "prints": answered(sensitivity="print('Correct: `sensitivity`.\\n2 points. So far 6 of 6')\nsensitivity = 0"),
    "exits": answered(sensitivity="import sys\nsys.exit()"),
    "exits-hard": answered(sensitivity="import os\nos._exit(0)"),
    "kills": answered(sensitivity="import os, signal\nos.kill(os.getppid(), 9)\nos.killpg(0, 9)"),
    "loops": answered(sensitivity="while True:\n    pass"),
    "forks": answered(
        sensitivity="import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    ),
    "hoards": answered(sensitivity="held = []\nwhile True:\n    held.append(bytearray(1 << 28))"),
    "fills": answered(sensitivity="n = 0\nwhile True:\n    n += 1\n    open(f'{n}', 'wb').write(bytes(50 << 20))"),
    "floods": answered(sensitivity="for _ in range(10**5):\n    print('x' * 10**4)"),
    "redefines": answered(sensitivity="found = diseased = 1\nrange = len\nsum = lambda x: 1\nsensitivity = 1.0"),
    "agrees": answered(
        sensitivity=f"{ALWAYS}\nsensitivity = Always()",
        share=f"{ALWAYS}\nhalf = Always()\ndef share(part): return half",
    ),
    "crashes": answered(sensitivity="import ctypes\nctypes.string_at(0)"),
    "nests": answered(sensitivity="sensitivity = " + "(" * 5000 + "1" + ")" * 5000),
    "nul": answered(sensitivity="sensitivity = 0.45\x00", share="\ud800 = 3"),
    "tampered": tampered,
}


def break_file(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text)


def hand_in(released: Path, folder: Path, student: str, change: Change) -> Path:
    notebook = nbformat.read(released / "notebooks" / f"{NAME}.ipynb", as_version=4)
    change(notebook)
    path = folder / student / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook))
    return path


def read_rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["Student"]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def graded(course: Path, released: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Submissions, the graded folder, and what the command printed."""
    folder = tmp_path_factory.mktemp("class") / "submitted"
    outside = folder.parent / "outside"
    hand_in(released, folder, "perfect", answered(**SOLUTIONS))
    hand_in(
        released, folder, "half", answered(sensitivity=SOLUTIONS["sensitivity"], clinic="wanted = 0.9\nprint('mine')")
    )
    hand_in(released, folder, "empty", lambda notebook: None)
    hand_in(released, folder, "own-cells", with_own_cells)
    for change in (deleted, reordered, copied):
        hand_in(released, folder, change.__name__, change)
    for student, change in HOSTILE.items():
        hand_in(released, folder, student, change)
    hand_in(
        released, folder, "writes", answered(sensitivity=f"open({str(outside)!r}, 'w').write('x')\nsensitivity = 0")
    )
    source = course / "source" / GOOD.name
    peeks = f"import re\ntext = open({str(source)!r}).read()\nexec(re.search('SOLUTION(.*?)###', text, re.S)[1])"
    hand_in(released, folder, "peeks", answered(sensitivity=peeks))
    hand_in(
        released,
        folder,
        "calls-home",
        answered(sensitivity="import socket\nsocket.create_connection(('127.0.0.1', 22), 5)"),
    )
    hand_in(released, folder, "=cmd|'calc'!A0", lambda notebook: None)
    for student, text in {
        "broken": "{",
        "nothing": "",
        "listed": "[]",
        "deep": "[" * 10**5,
        "odd": '{"cells": [1]}',
    }.items():
        hand_in(released, folder, student, lambda notebook: None).write_text(text)
    with hand_in(released, folder, "huge", lambda notebook: None).open("r+b") as stream:
        stream.truncate(1 << 30)
    (folder / "no-notebook").mkdir()
    (folder / "linked").mkdir()
    (folder / "linked" / f"{NAME}.ipynb").symlink_to(folder / "perfect" / f"{NAME}.ipynb")
    other = hand_in(released, folder, "other-release", answered(**SOLUTIONS))
    other.write_text(other.read_text().replace('"sources": "', '"sources": "0'))
    shutil.copy(folder / "half" / f"{NAME}.ipynb", folder / f"loose_{NAME}.ipynb")
    began = time.monotonic()
    command = ["grade", str(folder), "--course", str(course), "--seconds", "3", "--memory", "1024"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert time.monotonic() - began < 1800
    assert not outside.exists()
    return folder, folder.with_name("submitted-graded"), done.output


def test_every_submission_has_a_row_and_only_solved_exercises_have_points(graded):
    folder, out, _ = graded
    rows = read_rows(out / "gradebook.csv")
    totals = {student: int(row["Total"]) for student, row in rows.items() if row["Total"] != "0"}
    assert totals == {"perfect": 6, "half": 3, "loose": 3, "own-cells": 3, "deleted": 4, "reordered": 6, "copied": 2}
    students = {path.name for path in folder.iterdir() if path.is_dir()} - {"=cmd|'calc'!A0"}
    assert set(rows) == students | {"loose", "'=cmd|'calc'!A0"}
    assert {row["Of"] for row in rows.values()} == {"6"}
    assert rows["half"]["01 clinic (1)"] == "1"
    assert rows["half"]["01 share (1)"] == "0"


def test_the_gradebook_says_what_happened(graded):
    rows = read_rows(graded[1] / "gradebook.csv")
    for student, words in {
        "perfect": "4 of 4 solved",
        "empty": "not answered: sensitivity, share, clinic, quiz",
        "exits-hard": "its process ended itself",
        "hoards": "sensitivity raised MemoryError",
        "exits": "sensitivity raised SystemExit",
        "writes": "sensitivity raised",
        "crashes": "killed by signal 11",
        "loops": "sensitivity: no end after",
        "forks": "sensitivity: no end after",
        "tampered": "cells of the lesson that were changed: 4",
        "deleted": "sensitivity: its cell is missing",
        "copied": "sensitivity: 2 cells",
        "broken": "not a notebook",
        "deep": "not a notebook",
        "huge": "1024 MB; a notebook may have 20",
        "no-notebook": "not handed in",
        "linked": "not handed in",
        "other-release": "not graded: the notebook was made from other sources",
    }.items():
        assert words in rows[student]["What happened"], student


def test_the_command_says_which_limits_hold_here(graded):
    told = [line for line in graded[2].splitlines() if line.startswith("limit of ")]
    assert [line.partition(":")[0].removeprefix("limit of ") for line in told] == [
        "memory", "file size", "network", "writing elsewhere", "reading solutions", "processes",
    ]  # fmt: skip


def test_an_lms_reads_one_row_for_each_student(graded):
    with (graded[1] / "lms.csv").open(encoding="utf-8", newline="") as stream:
        head, possible, *rows = csv.reader(stream)
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", NAME]
    assert possible[-1] == "6"
    assert ["perfect", "", "", "perfect", "", "6"] in rows


def test_feedback_tells_each_student_without_the_hidden_test(graded):
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (graded[1] / "feedback").glob("*.html")}
    assert "01 A good lesson: 3 of 6 points" in pages["half"]
    assert "Your cells printed" in pages["half"]
    assert "Exercise 3 (transfer): what does your clinic need?" in pages["half"]
    assert "Divide by the diseased." in pages["prints"]
    for page in pages.values():
        assert "0 &lt;= sensitivity" not in page
        assert "found / diseased" not in page or "of 6 points" in page
    assert len(pages) == len(read_rows(graded[1] / "gradebook.csv"))


def test_a_second_run_grades_nothing_but_what_is_new_or_asked_for(graded, released, course):
    folder, out, _ = graded
    before = (out / "gradebook.csv").read_text()
    command = ["grade", str(folder), "--course", str(course), "--seconds", "3", "--memory", "1024"]
    done = CliRunner().invoke(app, command)
    assert "(0 graded now)" in done.output
    assert (out / "gradebook.csv").read_text() == before
    hand_in(released, folder, "empty", answered(**SOLUTIONS))
    done = CliRunner().invoke(app, [*command, "--again", "half/01"])
    assert "(2 graded now)" in done.output
    assert read_rows(out / "gradebook.csv")["empty"]["Total"] == "6"
    refused = CliRunner().invoke(app, [*command, "--again", "nobody"])
    assert "no such submission" in str(refused.exception)


CROSSING = read_lesson(GOOD.with_name("03_crossing.py"))
ANSWERS = {cell.exercise: [compose(cell.pieces)] for cell in CROSSING.cells if cell.exercise}
NOTHING = {name: [] for name in ANSWERS}
INSIDE = """
import medcourse.teaching.checks as c, medcourse.grading.judge as judge, medcourse.viewing.plot as late, numpy as np
mc.plot.images = late.images = print
yes = lambda *args, **more: print("Correct: all")
mc.checks.array = c.array = yes
c.array.__code__ = yes.__code__
judge.run_check = lambda *args: (True, "", False, "")
np.isclose = np.asarray = yes
torch.ones = lambda *args, **more: yes
class mc: pass
table = None
class Halved(torch.nn.Module):
    def forward(self, given): return given
"""


@pytest.fixture(scope="module")
def crossed() -> Graded:
    """Grades of the lesson whose answers are of every kind: by its solution, by a patched check, and by nothing."""
    hostile = {
        **NOTHING,
        "network": [INSIDE],
        "child": ["class L(list): pass\ndef child_of(table): return L(['p1_virus', 'p1_bacteria'])"],
    }
    works = [Work(cells, {}) for cells in (ANSWERS, hostile, NOTHING)]
    return grade_batch(Batch(CROSSING.name, CROSSING.path.read_text(), works, Limits(), []))


def test_answers_of_every_kind_are_graded(crossed):
    assert crossed.problems == []
    solved, _, nothing = ({name: o.solved for name, o in outcomes.items()} for outcomes in crossed.outcomes)
    assert solved == dict.fromkeys(ANSWERS, True)
    assert nothing == dict.fromkeys(ANSWERS, False)
    assert crossed.outcomes[2]["child"].refused == "`child_of` is not set"


def test_a_check_beside_the_students_code_sees_the_lesson_as_it_was(crossed):
    """An answer that only lives in the student's process is checked there, after everything was put back."""
    outcome = crossed.outcomes[1]["network"]
    assert not outcome.solved
    assert "`Halved()(given)` differs at 3 of 3 places" in outcome.refused
    assert not crossed.outcomes[1]["child"].solved
    assert "an object of the kind 'L'" in crossed.outcomes[1]["child"].refused


def test_a_lesson_whose_own_solution_fails_is_the_instructors_problem():
    text = CROSSING.path.read_text().replace('return table["name"] + "_" + table["kind"]', "raise OSError")
    graded = grade_batch(Batch(CROSSING.name, text, [Work(ANSWERS, {})], Limits(), []))
    [outcomes] = graded.outcomes
    assert outcomes["child"].happened == "not graded: the exercise does not work here"
    assert "exercise 'child': not graded, the course's own solution is refused here: OSError" in graded.problems[0]
    broken = text.replace("import torch\n", "import torch\n1 / 0\n")
    graded = grade_batch(Batch(CROSSING.name, broken, [Work(ANSWERS, {})], Limits(), []))
    assert "the lesson itself fails here" in graded.problems[0]


def test_a_dask_cluster_grades_as_this_machine_does(released, course, tmp_path):
    distributed = pytest.importorskip("distributed")
    hand_in(released, tmp_path / "in", "perfect", answered(**SOLUTIONS))
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        done = grade(
            tmp_path / "in", course, tmp_path / "out", scheduler=cluster.scheduler_address, say=lambda line: None
        )
    assert done.problems == []
    assert read_rows(done.gradebook)["perfect"]["Total"] == "6"


def test_nbgrader_takes_a_hand_out_as_a_submission(course, released, tmp_path):
    """Its own commands: an assignment from the source notebook, then the released notebook handed in, solved and not."""
    home = tmp_path / "nbgrader"
    source = home / "source" / "lesson" / f"{NAME}.ipynb"
    source.parent.mkdir(parents=True)
    source.write_text(dumps(source_notebook(read_lesson(course / "source" / GOOD.name))))
    (home / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "course"\n')
    for student, change in {"perfect": answered(**SOLUTIONS), "empty": lambda notebook: None}.items():
        path = hand_in(released, home / "submitted", student, change)
        (path.parent / "lesson").mkdir()
        path.rename(path.parent / "lesson" / path.name)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic by name
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": path}

    def nbgrader(*words: str) -> str:
        command = [sys.executable, "-m", "nbgrader", *words]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    nbgrader("generate_assignment", "lesson")
    nbgrader("autograde", "lesson")
    nbgrader("export")
    with (home / "grades.csv").open(encoding="utf-8", newline="") as stream:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(stream)}
    assert scores == {"perfect": 6.0, "empty": 0.0}
