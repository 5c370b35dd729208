"""The lesson builder: sources read and refused, three notebooks made, checks tried on wrong answers, drift found."""

import ast
import base64
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbgrader.nbgraderformat.v3 import MetadataValidatorV3
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions
from PIL import Image

import medcourse as mc
from medcourse.errors import ArgumentError, LessonError
from medcourse.teaching import build as teaching
from medcourse.teaching import execute as execution
from medcourse.teaching import sealing
from medcourse.teaching.captions import compressed, plain
from medcourse.teaching.copies import numbers_in
from medcourse.teaching.notebooks import dumps, source_notebook
from medcourse.teaching.source import inspect_lesson
from medcourse.teaching.validate import validate
from tests.courses import GOOD, LESSONS, write_course

HEADER = """\
# ---
# jupyter:
#   medcourse:
#     number: 1
#     title: T
#     level: 1
#     pitfall: P.
#     goals: [g]
#     minutes: 1
#     datasets: []
# ---

"""
IMPORT = "# %%\nimport medcourse as mc\n\n"
EXERCISE = """\
# %% exercise="a"
### BEGIN SOLUTION
x = 1
### END SOLUTION
### BEGIN WRONG ANSWER
x = 2
### END WRONG ANSWER

"""
CHECK = """\
# %% check="a" points=2
assert x == 1
"""


def write(folder: Path, body: str, header: str = HEADER, name: str = "01_lesson.py") -> Path:
    path = folder / name
    path.write_text(header + body)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The good lesson, built; tests that change it work on a copy."""
    course = write_course(tmp_path_factory.mktemp("course") / "course")
    teaching.build(course)
    return course


@pytest.fixture
def course(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "course"))


def test_read_lesson_knows_header_and_cells():
    lesson = teaching.read_lesson(GOOD)
    assert (lesson.name, lesson.meta.number, lesson.meta.goals[1]) == ("01_good_lesson", 1, "plot a bar")
    assert [cell.exercise for cell in lesson.cells if cell.exercise] == ["sensitivity", "share", "clinic", "quiz"]
    assert [cell.points for cell in lesson.cells if cell.check] == [2, 1, 1, 2]
    assert [(cell.minutes, cell.core) for cell in lesson.cells if cell.minutes] == [
        (3, True),
        (2, False),
        (1, False),
        (1, False),
    ]
    position = next(n for n, cell in enumerate(lesson.cells) if cell.exercise == "sensitivity")
    line = GOOD.read_text().split("\n").index("### BEGIN SOLUTION") + 1
    assert lesson.where(position).endswith(f"01_good_lesson.py:{line} (cell 5, exercise 'sensitivity')")


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        (EXERCISE, ":14 ", "has no check"),
        (CHECK, ":14 ", "check 'a' has no exercise"),
        (CHECK + "\n" + EXERCISE, ":14 ", "the check of 'a' comes before its exercise"),
        (EXERCISE + "# %%\ny = 1\n\n" + CHECK, ":25 ", "only prose may lie there"),
        (EXERCISE + CHECK + "\n" + CHECK, ":25 ", "a second check 'a'; the first is cell 2"),
        (EXERCISE + EXERCISE + CHECK, ":22 ", "a second exercise 'a'"),
        (EXERCISE.replace("### END SOLUTION\n", "") + CHECK, ":16 ", "inside SOLUTION: close that region first"),
        (EXERCISE.replace("### END WRONG ANSWER\n", "") + CHECK, ":17 ", "'### BEGIN WRONG ANSWER' is never closed"),
        (EXERCISE.replace("### BEGIN SOLUTION\n", "") + CHECK, ":15 ", "without its '### BEGIN SOLUTION'"),
        (EXERCISE.replace("### BEGIN SOL", "# BEGIN SOL") + CHECK, ":14 ", "is not a marker: write it alone"),
        (EXERCISE.replace("### BEGIN SOL", "### begin sol") + CHECK, ":14 ", "is not a marker: write it alone"),
        (EXERCISE.split("### BEGIN WRONG")[0] + "\n" + CHECK, ":14 ", "at least one plausible wrong answer"),
        (EXERCISE.replace("x = 2\n", "") + CHECK, ":17 ", "the WRONG ANSWER region is empty"),
        (EXERCISE.replace("### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n", "") + CHECK, ":14 ", "this one has 0"),
        (EXERCISE.replace(' exercise="a"', ""), ":14 ", "SOLUTION region outside an exercise cell"),
        ("# %%\n### BEGIN HIDDEN TESTS\ny = 1\n### END HIDDEN TESTS\n", ":14 ", "hidden tests outside a check cell"),
        ("# %% [markdown]\n# Text\n# ### BEGIN SOLUTION\n", ":15 ", "a region marker in prose"),
        ("# %%\ny = 1\nz = (\n", ":15 ", "not valid Python"),
        ("# %%\ny = 1\n%time y\n", ":15 ", "not valid Python"),
        ("# %%\n'\\d'\n", ":14 ", "not valid Python: invalid escape"),
        (EXERCISE.replace("x = 2", "x = = 2") + CHECK, ":18 ", "with the wrong answer in place: not valid Python"),
        (EXERCISE.replace("x = 1", "x = = 1") + CHECK, ":15 ", "not valid Python"),
        (EXERCISE.replace("x = 1", "else:\n    x = 1").replace("### BEGIN SOL", "if 0:\n    x = 0\n### BEGIN SOL", 1) + CHECK, ":14 ", "not Python by itself"),
        (EXERCISE + CHECK.replace("points=2", "points=1.5"), ":22 ", "cell option points: Input should be a valid integer"),
        (EXERCISE.replace('"a"', '"a" points=1') + CHECK, ":14 ", "points belong to the check cell"),
        (EXERCISE.replace('"a"', '"A b"') + CHECK, ":14 ", "cell option exercise: String should match"),
        ('# %% exersise="a"\ny = 1\n', ":14 ", "cell option exersise: Extra inputs"),
        ('# %% tags=["nbval-check-ouput"]\ny = 1\n', ":14 ", "lessons use 'nbval-check-output' only"),
        ('# %% tags=["raises-exception"]\ny = 1\n', ":14 ", "show an expected error with try/except"),
        ('# %% [markdown] check="a"\n# Text\n', ":14 ", "an exercise or a check is a code cell"),
        ('# %% hints="a"\ny = 1\n', ":14 ", "hints, minutes and core belong to a cell of prose"),
        ('# %% cheap="It stands."\ny = 1\n', ":14 ", "cheap belongs to the exercise cell"),
        ('# %% [markdown] minutes="6"\n# ## A\n', ":14 ", "cell option minutes: Input should be a valid integer"),
        (EXERCISE + CHECK + '\n# %% [markdown] hints="a"\n# - h\n', ":25 ", "hints for 'a' stand between"),
        ('# %% [markdown] hints="b"\n# - h\n', ":14 ", "hints for 'b' stand between"),
    ],
)  # fmt: skip
def test_an_unsound_source_is_refused_with_its_place(tmp_path, body, place, message):
    path = write(tmp_path, body)
    problems = inspect_lesson(path)[1]
    assert any(place in problem and message in problem for problem in problems), problems
    with pytest.raises(LessonError, match=r"01_lesson\.py"):
        teaching.read_lesson(path)


@pytest.mark.parametrize(
    ("header", "name", "message"),
    [
        ("", "01_lesson.py", "no 'medcourse:' mapping; write one with number, title"),
        (HEADER.replace("#     title: T\n", ""), "01_lesson.py", "medcourse.title: Field required"),
        (HEADER.replace("level: 1", "level: 6"), "01_lesson.py", "medcourse.level"),
        (HEADER.replace("goals: [g]", "goals: []"), "01_lesson.py", "medcourse.goals"),
        (HEADER.replace("title: T", "title: T\n#     colour: red"), "01_lesson.py", "medcourse.colour: Extra inputs"),
        (HEADER.replace("title: T", "title: [T"), "01_lesson.py", "the header is not YAML"),
        (HEADER, "02_lesson.py", "the header says number: 1, the file name 02"),
        (HEADER, "Lesson.py", "a lesson is called NN_name.py"),
    ],
)
def test_an_unsound_header_is_refused(tmp_path, header, name, message):
    path = write(tmp_path, "# %%\n1\n", header, name)
    with pytest.raises(LessonError, match=r"\.py: ") as error:
        teaching.read_lesson(path)
    assert message in str(error.value)


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(LessonError, match="cannot be read"):
        teaching.read_lesson(tmp_path / "01_none.py")
    with pytest.raises(LessonError, match="no lesson sources"):
        teaching.build(tmp_path)
    with pytest.raises(ArgumentError, match="jobs=0 "):
        teaching.build(tmp_path, jobs=0)


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        ("x, (y, *z) = 1, (2, 3)\nx = 2", "x = ...\ny = ...\nz = ..."),
        ("with open(p) as f:\n    a = 1\nfor i in r:\n    b = i\ntry:\n    c = 1\nexcept E:\n    d = 2", "a = ...\nb = ...\nc = ...\nd = ..."),
        ("table['x'] = 1\n_hidden = 2", "..."),
        ("import os\nx: int = 1", "x = ..."),
        ("def f(a, *, b: int = 2) -> int:\n    # secret\n    return a", "def f(a, *, b: int=2) -> int:\n    ..."),
        ("class C:\n    '''Doc.'''\n    def f(self):\n        secret", 'class C:\n    """Doc."""\n\n    def f(self):\n        ...'),
    ],
)  # fmt: skip
def test_the_stub_shows_what_to_fill_in_and_no_more(tmp_path, solution, expected):
    lesson = teaching.read_lesson(write(tmp_path, EXERCISE.replace("x = 1", solution) + CHECK))
    assert teaching.student_notebook(lesson).cells[0].source == f"# Your answer:\n{expected}"


def test_a_solution_inside_a_function_keeps_its_indent(tmp_path):
    body = EXERCISE.replace("### BEGIN SOL", "def f(n):\n    ### BEGIN SOL")
    body = body.replace("x = 1\n###", "    return n + 1\n    ###") + CHECK.replace("x == 1", "f(1) == 2")
    lesson = teaching.read_lesson(write(tmp_path, body.replace("x = 2", "return n")))
    assert teaching.student_notebook(lesson).cells[0].source == "def f(n):\n    # Your answer:\n    ..."
    assert teaching.solution_notebook(lesson).cells[0].source == "def f(n):\n    return n + 1"


def test_student_and_solution_notebooks_hold_what_they_should():
    lesson = teaching.read_lesson(GOOD)
    student, solution = dumps(teaching.student_notebook(lesson)), dumps(teaching.solution_notebook(lesson))
    for text in (student, solution):
        assert not any(word in text for word in ("BEGIN", "END", "helper"))
        assert json.loads(text)["metadata"]["kernelspec"]["name"] == "python3"
    assert "sensitivity = found / diseased" in solution
    assert "assert 0 <= sensitivity" in solution
    assert "sensitivity = ..." in student
    assert "assert 0 <= sensitivity" not in student
    assert "whatever the part is" not in student
    assert student == dumps(teaching.student_notebook(teaching.read_lesson(GOOD)))


def test_the_builder_frames_the_prose():
    opening, section, *_ = (cell.source for cell in teaching.student_notebook(teaching.read_lesson(GOOD)).cells)
    for text in (
        "# 01 A good lesson\n\n**The pitfall:** Accuracy hides the disease that nobody found.\n\nA reader looked",
        "01_concept.png)\n\n**After this lesson you can**\n\n- compute a sensitivity\n- plot a bar\n\n**You need**\n\n- Python: fun",
        "**Plan:** 7 minutes\n\n| section | minutes | core path |\n|---|---|---|\n| 1 Sensitivity | 3 | yes |\n| 2 A figure | 2 |  |",
        "**In a hurry?** The core path takes 3 minutes: section 1.\n\n<details><summary>On Binder: save before a pause",
        "were.</p></details>\n\nNext: [02 A lesson whose checks and cells are bad in every way that only execution shows](02_bad_checks.ipynb)",
    ):
        assert text in opening
    assert section.startswith("## 1 Sensitivity\n\n*3 minutes, core path*\n\n[Sensitivity]")


def test_lessons_are_linked_in_the_order_of_their_sources_by_title(tmp_path):
    for number, name, title in ((1, "first", "How it begins"), (2, "the_second", "A"), (3, "third", "'Masks: when?'")):
        text = (
            GOOD.read_text()
            .replace("number: 1", f"number: {number}")
            .replace("title: A good lesson", f"title: {title}")
        )
        (tmp_path / f"0{number}_{name}.py").write_text(text)
    cells = teaching.student_notebook(teaching.read_lesson(tmp_path / "02_the_second.py")).cells
    links = "Previous: [01 How it begins](01_first.ipynb) | Next: [03 Masks: when?](03_third.ipynb) | [The course]("
    assert links in cells[0].source
    assert links in cells[-1].source


def test_hints_are_folded_and_the_solution_is_left_out_of_hand_outs():
    lesson = teaching.read_lesson(GOOD)
    hints, handed_out, solved = (
        next(cell.source for cell in notebook.cells if "Hint 1" in cell.source)
        for notebook in (
            teaching.student_notebook(lesson),
            teaching.student_notebook(lesson, solution_links=False),
            teaching.solution_notebook(lesson),
        )
    )
    assert handed_out == (
        "<details><summary>Hint 1</summary><p>Who could have been found?</p></details>\n\n"
        "<details><summary>Hint 2</summary><p>Divide the found by the diseased.</p></details>"
    )
    assert hints.startswith(handed_out)
    assert '"../solutions/01_good_lesson.ipynb#cell-id=01-005-sensitivity"' in hints
    assert solved == handed_out
    assert "solutions/" not in dumps(source_notebook(lesson))


def test_checks_are_folded_and_quizzes_sealed():
    lesson = teaching.read_lesson(GOOD)
    for notebook in (teaching.student_notebook(lesson), teaching.solution_notebook(lesson), source_notebook(lesson)):
        checks = {cell.id: cell for cell in notebook.cells if cell.id.endswith("-check")}
        assert all(cell.metadata.jupyter == {"source_hidden": True} for cell in checks.values())
        quiz = checks["01-024-quiz-check"].source
        assert "accuracy" not in quiz
        assert quiz.endswith('mc.checks.points("quiz", 2, of=6)')
        assert f'right="{sealing.digest(1, "quiz_1", "b")}")' in quiz
        encoded = [ast.literal_eval(call.args[2]) for call in sealing.calls_of(quiz, "quiz")]
        assert sealing.decode(encoded[1])["a"] == "Specificity (the naïve reader's other half) is another number."


def test_nbgrader_accepts_the_notebooks_and_clears_the_source_notebook():
    lesson = teaching.read_lesson(GOOD)
    source = source_notebook(lesson)
    for notebook in (source, teaching.student_notebook(lesson), teaching.solution_notebook(lesson)):
        MetadataValidatorV3().validate_nb(notebook)
    assert "helper" not in dumps(source)
    for preprocessor in (ClearSolutions(), ClearHiddenTests()):
        source, _ = preprocessor.preprocess(source, {})
    cells = {cell.metadata.nbgrader.grade_id: cell.source for cell in source.cells if "nbgrader" in cell.metadata}
    assert cells["sensitivity"] == "# YOUR CODE HERE\nraise NotImplementedError()"
    assert cells["share"].startswith("total = images\n# YOUR CODE HERE")
    student = teaching.student_notebook(lesson)
    assert cells["sensitivity_check"] == next(c.source for c in student.cells if c.id.endswith("sensitivity-check"))


def test_executed_notebook_is_clean(built):
    notebook = nbformat.read(built / "solutions" / "01_good_lesson.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    text = dumps(notebook)
    assert "BEGIN" not in text
    assert "__medcourse" not in text
    measured = notebook.metadata.medcourse
    assert measured.cpu_seconds > 0
    assert 20 < measured.peak_mb < 400  # this process, with torch in it, is larger: the kernel's own peak is meant
    progress, draw = code[6].outputs
    assert progress.text == "step 2\n"
    # The second draw after seed(0), as without probes: they put the generator's state back.
    assert draw.data["text/plain"].startswith("0.7579544")
    figure = next(output for cell in code for output in cell.outputs if "image/png" in output.get("data", {}))
    assert figure.metadata["image/png"]["alt"] == "Figure 1. Fewer than half were found."
    assert "text/html" not in figure.data, "a stored figure is one picture"


def test_html_has_title_alt_text_and_pictures_inside(built, tmp_path):
    notebook = nbformat.read(built / "solutions" / "01_good_lesson.ipynb", as_version=4)
    teaching.to_html(notebook, tmp_path / "a.html", built)
    html = (tmp_path / "a.html").read_text()
    assert "<title>A good lesson</title>" in html
    assert 'alt="Figure 1. Fewer than half were found."' in html
    assert '<img alt="Twenty circles, nine of them filled" src="data:image/png' in html
    links = [link for link in re.findall(r'<a href="([^"#:]+)', html) if link.endswith((".md", ".ipynb"))]
    assert [link for link in links if not (tmp_path / link).exists() and "02_bad" not in link] == []
    assert len(links) > 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_plain_text_of_a_caption():
    assert plain("**Figure 2.** The [border](x.html) `p < t`,\n_not_ the snake_case $\\alpha$") == (
        "Figure 2. The border p < t, not the snake_case \\alpha"
    )


def test_what_was_just_built_has_not_drifted(course):
    assert teaching.drift(course) == []
    assert teaching.check(course, ["1"]) == []
    before = (course / "notebooks" / "01_good_lesson.ipynb").read_bytes()
    teaching.build(course, ["01_good_lesson"], prose=True)
    assert (course / "notebooks" / "01_good_lesson.ipynb").read_bytes() == before
    with pytest.raises(LessonError, match=r"no lesson '7' .*there are 01_good_lesson"):
        teaching.drift(course, ["7"])


def test_new_prose_keeps_the_outputs_and_new_code_is_refused(course):
    source, solution = course / "source" / "01_good_lesson.py", course / "solutions" / "01_good_lesson.ipynb"
    outputs = [cell.get("outputs") for cell in nbformat.read(solution, as_version=4).cells]
    source.write_text(
        source.read_text().replace("We count", "We now count").replace("*Fewer* than", "*Far fewer* than")
    )
    assert len(teaching.drift(course)) == 4  # two cells of two notebooks
    teaching.build(course, prose=True)
    assert teaching.drift(course) == []
    after = nbformat.read(solution, as_version=4).cells
    assert "We now count" in after[0].source
    [figure] = [o for cell in after for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert figure.metadata["image/png"]["alt"] == "Figure 1. Far fewer than half were found."
    assert [len(now or []) for now in (cell.get("outputs") for cell in after)] == [len(old or []) for old in outputs]
    source.write_text(source.read_text().replace("found, images = 20, 9, 200", "found, images = 20, 8, 200"))
    with pytest.raises(LessonError, match="a code cell has changed"):
        teaching.build(course, prose=True)


def edit(path: Path, change) -> None:
    notebook = json.loads(path.read_text())
    change(notebook, [cell for cell in notebook["cells"] if cell["cell_type"] == "code"])
    path.write_text(dumps(nbformat.from_dict(notebook)))


@pytest.mark.parametrize(
    ("folder", "change", "message"),
    [
        ("notebooks", lambda nb, code: nb["cells"][0].update(source="# Other"), "cell 1 (01-001): source not as in"),
        ("notebooks", lambda nb, code: nb["cells"].pop(), "has 25 cells, the source 26"),
        ("notebooks", lambda nb, code: code[0].update(execution_count=3), "not written by this builder"),
        ("solutions", lambda nb, code: code[1].update(source="x = 1"), "cell 5 (01-005-sensitivity): source not as"),
        ("solutions", lambda nb, code: code[1].update(metadata={}), "metadata not as in the source"),
        ("solutions", lambda nb, code: nb["metadata"].update(title="Other"), "metadata is not as in the source's"),
        ("solutions", lambda nb, code: code[0].update(execution_count=None), "cell 3 (01-003): never executed"),
        ("solutions", lambda nb, code: code[9].update(outputs=[]), "a verdict cell without output"),
        ("solutions", lambda nb, code: code[5]["outputs"][-1].update(metadata={}), "alt text is not its caption"),
        ("solutions", lambda nb, code: code[2]["outputs"][0].update(name="stderr"), "writes to stderr"),
        (
            "solutions",
            lambda nb, code: nb["metadata"]["medcourse"].pop("peak_mb"),
            "no measured cpu_seconds and peak_mb",
        ),
    ],
)
def test_drift_is_found_and_says_what_to_run(course, folder, change, message):
    path = course / folder / "01_good_lesson.ipynb"
    edit(path, change)
    [problem] = teaching.drift(course)
    assert problem.startswith(str(path))
    assert message in problem
    assert "`medcourse build 01_good_lesson`" in problem


def test_drift_finds_missing_orphan_and_broken_files(course):
    (course / "notebooks" / "01_good_lesson.ipynb").rename(course / "notebooks" / "09_old.ipynb")
    (course / "solutions" / "01_good_lesson.ipynb").write_text("{")
    missing, broken, orphan = teaching.drift(course)
    assert "missing, or not a notebook; run `medcourse build 01_good_lesson`" in missing
    assert "missing, or not a notebook" in broken
    assert "09_old.ipynb: has no source; delete it" in orphan


def test_a_lesson_over_its_stored_budget_is_a_problem(course):
    def store(**measured):
        edit(
            course / "solutions" / "01_good_lesson.ipynb", lambda nb, code: nb["metadata"]["medcourse"].update(measured)
        )
        return teaching.check(course)

    slow, large, mean = store(cpu_seconds=301.0, peak_mb=1800)
    assert "takes 301 CPU seconds; a lesson has 300" in slow
    assert "peaks at 1800 MB; a lesson has 1500 MB" in large
    assert "301 CPU seconds on average; they have 240" in mean
    [mean] = store(cpu_seconds=250.0, peak_mb=100)
    assert "250 CPU seconds on average" in mean
    assert store(cpu_seconds=240.0) == []


def test_the_mean_time_is_that_of_all_lessons_whichever_are_asked_for(course):
    first, second = (course / "solutions" / f"{n}_good_lesson.ipynb" for n in ("01", "02"))
    text = (course / "source" / "01_good_lesson.py").read_text()
    (course / "source" / "02_good_lesson.py").write_text(text.replace("number: 1", "number: 2"))
    shutil.copy(first, second)
    for path, seconds in ((first, 290.0), (second, 100.0)):
        edit(path, lambda nb, code, seconds=seconds: nb["metadata"]["medcourse"].update(cpu_seconds=seconds))
    teaching.build(course, ["1"], prose=True)  # its links lead to the new lesson
    assert teaching.check(course, ["1"]) == []


def test_execution_finds_bad_checks_and_bad_cells(tmp_path):
    lesson = teaching.read_lesson(LESSONS / "02_bad_checks.py")
    seen: list[execution.Progress] = []
    trial = execution.execute(lesson, tmp_path, on_cell=seen.append)
    message = "\n".join(trial.problems)
    assert not trial.failed, "every cell of the lesson's own comes to its end"
    for text in (
        "exercise 'accepts-all'): the check passes on the untouched stub",
        "exercise 'accepts-all'): the check passes on wrong answer 1 of 1",
        "exercise 'breaks'): the check breaks on the untouched stub",
        "exercise 'breaks'): the check breaks on wrong answer 1 of 1",
        "TypeError: can only concatenate list",
        "exercise 'wrong-fails'): wrong answer 1 of 1 fails by itself",
        "writes to stderr, which breaks nbval; find the cause of: a warning",
        "a figure needs one sentence below it",
        "a verdict cell without output",
    ):
        assert text in message
    assert message.count("02_bad_checks.py") == 8
    assert "\x1b" not in message
    assert str(seen[6]) == "[ 4/11] 02_bad_checks …"
    assert str(seen[7]).startswith("[ 4/11] 02_bad_checks … ")
    assert trial.missed == ["two is larger than three"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (EXERCISE + CHECK.replace("== 1", "== 3"), ":22 (cell 2, exercise 'a'): the check refuses the solution: "),
        ("# %%\nundefined\n", "(cell 1): the cell fails: "),
        ('# %%\nimport os\nraise KeyError("remember " + os.environ["MEDCOURSE_REMEMBER"])\n', "KeyError: 'remember 0'"),
        ("# %%\nimport os\nos._exit(1)\n", "(cell 1): the kernel died"),
        ("# %%\nimport time\ntime.sleep(9)\n", "(cell 1): no end after 1 s"),
    ],
)
def test_a_cell_that_fails_ends_the_lesson(tmp_path, monkeypatch, body, message):
    monkeypatch.setenv("MEDCOURSE_REMEMBER", "1")  # of a student's shell; no build takes trainings from a cache
    monkeypatch.setattr(teaching, "shape_problems", lambda lesson: [])
    if "sleep" in body:
        monkeypatch.setattr(execution, "CELL_TIMEOUT", 1)
    (tmp_path / "source").mkdir()
    write(tmp_path / "source", body)
    with pytest.raises(LessonError) as error:
        teaching.build(tmp_path)
    assert message in str(error.value)
    assert not list(tmp_path.glob("*/*.ipynb")), "a lesson that fails leaves no files"


@pytest.mark.slow
def test_one_execution_by_nbval_compares_verdicts_and_tries_the_wrong_answers(course):
    """The probes, the memory and the verdicts are judged inside; instructors run the stored solutions themselves."""
    said = []
    [passed] = teaching.check_executed(course, on_lesson=said.append)
    assert passed.problems == []
    assert str(said[0]).startswith("01_good_lesson: passed (")
    assert [row["verdict"] for row in passed.record[:-1]] == ["fewer than half are found", "nobody is counted twice"]
    assert passed.record[0]["margin"] == pytest.approx(0.05)
    assert passed.record[1]["margin"] is None
    assert passed.record[-1]["lesson"] == "01_good_lesson"
    assert passed.record[-1]["threads"] == 1

    solution = course / "solutions" / "01_good_lesson.ipynb"
    command = [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "-p", "no:cacheprovider", solution.name]
    done = subprocess.run(command, cwd=solution.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

    solution.write_text(solution.read_text().replace("holds: fewer", "does not hold: fewer"))
    [failed] = teaching.check_executed(course)
    assert "fewer than half are found" in failed.problems[0]
    assert "1 failed" in failed.problems[0]


@pytest.mark.slow
def test_nbval_fails_where_a_check_accepts_a_wrong_answer(course):
    source = course / "source" / "01_good_lesson.py"
    solution = nbformat.read(course / "solutions" / "01_good_lesson.ipynb", as_version=4)
    source.write_text(source.read_text().replace('half = "0.5"', "half = 0.50001"))
    done = validate(teaching.read_lesson(source), solution)
    assert "the check passes on wrong answer 2 of 2" in done.problems[0]
    assert "1 failed" in done.problems[0]


def test_a_probe_puts_names_and_generators_back(tmp_path):
    body = """\
# %%
import random

import medcourse as mc
import numpy as np

rng = np.random.default_rng(0)
random.seed(1)

# %% exercise="a"
### BEGIN SOLUTION
x = 1
### END SOLUTION
### BEGIN WRONG ANSWER
left_over = rng.normal() + random.random() + np.random.rand()
x = 2
### END WRONG ANSWER

# %% check="a"
assert x == 1

# %%
print("left_over" in globals(), rng.normal() == np.random.default_rng(0).normal(), random.random() == random.Random(1).random())
"""
    trial = execution.execute(teaching.read_lesson(write(tmp_path, body)), tmp_path)
    assert trial.problems == []
    assert trial.notebook.cells[-1].outputs[0].text == "False True True\n"


COPIES = """\
# %%
import medcourse as mc
import pandas as pd

class Films:
    table = pd.DataFrame({"name": ["a", "b", "c"], "child": ["a1", "b1", "c1"]})

films = Films()
images, share = 4321, 0.25
drawn = {"x": 1, "y": 2}
print(f"{0.84567:.1%} of 5,216")

# %% exercise="a" OPTION
same = len(films.table)
### BEGIN SOLUTION
part = films.table["name"] + "1"
child = part
number = 2 * 2160.5
auroc = 0.84567
named = ["x", "y"]
few = 3
### END SOLUTION
### BEGIN WRONG ANSWER
child, number, auroc, named, few = films.table["name"], 1, 0.5, ["x"], 4
### END WRONG ANSWER

# %% check="a"
mc.checks.array("child", child, ["a1", "b1", "c1"])
mc.checks.number("number", number, 4321)
mc.checks.number("auroc", auroc, 0.84567)
mc.checks.members("named", named, {"x", "y"})
mc.checks.number("few", few, 3)
"""


def test_a_check_that_passes_on_a_copy_is_named_with_the_copy(tmp_path):
    trial = execution.execute(teaching.read_lesson(write(tmp_path, COPIES.replace(" OPTION", ""))), tmp_path)
    [problem] = trial.problems
    assert [line.partition(": the check passes on a copy: ")[2].partition(";")[0] for line in problem.split("\n")] == [
        "auroc = 0.846 (printed above as 84.6%)",
        "child = films.table['child']",
        "named = drawn",
        "number = images",
    ]
    assert ":26 (cell 2, exercise 'a'): the check" in problem
    stated = COPIES.replace("OPTION", 'cheap="All of it stands above."')
    assert execution.execute(teaching.read_lesson(write(tmp_path, stated)), tmp_path).problems == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("170 of 5,216 films (37.5%), AUROC 0.846", ["170", "5,216", "37.5%", "0.846"]),
        ("0.05 and 0.50, 12, -1.25", ["-1.25"]),
        ("<td style='width:100px'>0.123</td> IM-0022 v1.234 a123", ["0.123"]),
    ],
)
def test_printed_numbers_of_three_digits_can_be_copied(text, expected):
    assert numbers_in(text) == expected


def test_a_notebook_shows_a_refusal_as_one_message_and_other_errors_in_full(tmp_path):
    """IPython sends the message as the traceback; the error's name and value stay for nbgrader and nbval."""
    errors = []
    for answer in ("0.4", "undefined"):
        code = f"# %%\nimport medcourse as mc\n\nmc.checks.number('x', {answer}, truth=0.5)\n"
        trial = execution.execute(teaching.read_lesson(write(tmp_path, code)), tmp_path, probes=False)
        assert trial.failed
        errors += [output for output in trial.notebook.cells[0].outputs if output.output_type == "error"]
    refusal, mistake = errors
    assert refusal.traceback == ["Not yet: `x` = 0.4 is not within 0.005 of the truth."]
    assert (refusal.ename, refusal.evalue) == ("CheckError", refusal.traceback[0])
    assert mistake.ename == "NameError"
    assert "truth=" in "".join(mistake.traceback)


def test_a_probed_lesson_above_its_memory_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "BUDGET_PEAK_MB", 10)
    trial = execution.execute(teaching.read_lesson(write(tmp_path, IMPORT + EXERCISE + CHECK)), tmp_path)
    assert "MB; a lesson has 10 MB" in trial.problems[0]


def test_a_large_picture_keeps_the_colours_of_a_map():
    """Few pixels have the colours of a map's peak: they must not be mixed with others (once yellow became orange)."""
    films = mc.phantom.chest(6, size=160, seed=0)
    y, x = np.mgrid[:160, :160]
    maps = np.stack([np.exp(-((x - 20 - 20 * k) ** 2 + (y - 60) ** 2) / 900) for k in range(6)])
    mc.plot.maps(films, maps, 6, "label", inches=1.5)
    file = io.BytesIO()
    plt.savefig(file, dpi=100)
    plt.close()
    small = compressed(base64.b64encode(file.getvalue()).decode())
    assert len(small) < len(file.getvalue())
    before, after = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        for png in (file.getvalue(), base64.b64decode(small))
    )
    assert np.abs(after - before).max() <= 25
