"""The parts of grading: what crosses between processes, what a hand-out holds, what is found in a folder, and the box."""

import contextlib
import ctypes
import json
import os
import pickle
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from medcourse.data import handed_out
from medcourse.errors import CheckError, LessonError, SourceError
from medcourse.grading import feedback, gradebook, plain, submissions
from medcourse.grading import grade as grader
from medcourse.grading.batch import Graded
from medcourse.grading.gradebook import Grade
from medcourse.grading.handout import hand_out, secrets_in
from medcourse.grading.judge import Outcome, run_check
from medcourse.grading.release import release
from medcourse.teaching.checks import handed_in
from medcourse.teaching.notebooks import dumps, source_notebook
from medcourse.teaching.source import read_lesson
from tests.courses import GOOD, write_course

LESSON = read_lesson(GOOD)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 2.5, "ü", b"x", 1 + 2j, range(3), ..., [1, (2, {3}), frozenset({4})], {"a": [None], 2: "b"},
        np.float64(0.1), np.int8(3), np.str_("a"), np.bool_(True), np.datetime64("2020-01-02"),
    ],
    ids=repr,
)  # fmt: skip
def test_plain_values_cross_as_they_are(value):
    back = plain.loads(plain.dumps(value))
    assert type(back) is type(value)
    assert back == value


def test_arrays_tables_and_tensors_cross():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(plain.loads(plain.dumps(array)), array)
    mixed = np.array([["a", None], [1, {2}]], dtype=object)
    assert plain.loads(plain.dumps(mixed)).tolist() == mixed.tolist()
    frame = pd.DataFrame(
        {"text": ["a", None], "n": [1, 2], "day": pd.to_datetime(["2020-01-01", "2021-01-01"]), "mixed": ["a", 2]},
        index=pd.Index(["x", "y"], name="id"),
    ).assign(kind=pd.Categorical(["u", "v"]))
    pd.testing.assert_frame_equal(plain.loads(plain.dumps(frame)), frame)
    counts = frame.groupby(["text", "n"]).size()
    pd.testing.assert_series_equal(plain.loads(plain.dumps(counts)), counts)
    assert torch.equal(plain.loads(plain.dumps(torch.ones(2))), torch.ones(2))


def test_a_function_crosses_as_a_place_to_call():
    functions = []
    data = plain.dumps({"f": len, "g": [lambda x: x]}, functions)
    back = plain.loads(data, lambda number, name, empty: (number, name, empty))
    assert back == {"f": (0, "len", False), "g": [(1, "<lambda>", False)]}
    assert functions[0] is len
    with pytest.raises(plain.NotPlainError, match="builtin_function_or_method"):
        plain.dumps(len)


class Agrees(float):
    def __eq__(self, other):
        return True

    __hash__ = None


class Opens:
    def __reduce__(self):
        return (open, ("/etc/passwd",))


@pytest.mark.parametrize("value", [Agrees(1), Agrees, [Agrees(2)], {"a": Agrees(3)}, torch.nn.Linear(1, 1), object()])
def test_an_object_of_an_own_class_does_not_cross(value):
    with pytest.raises(plain.NotPlainError):
        plain.dumps(value, [])


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x05.", pickle.dumps(Opens()), pickle.dumps(("=",)), pickle.dumps(("array", "O", (1,), b"12345678"))],
)
def test_a_forged_message_is_refused_and_runs_nothing(data):
    with pytest.raises(plain.NotPlainError, match="cannot be read"):
        plain.loads(data)


def test_a_check_stops_at_a_hidden_test_without_a_word():
    code = (
        "print('seen')\n### BEGIN HIDDEN TESTS\nprint('secret')\nassert x, 'secret'\n### END HIDDEN TESTS\nprint('end')"
    )
    assert run_check(code, {"x": 1}) == (True, "", False, "seen\nend\n")
    assert run_check(code, {"x": 0}) == (False, "", True, "seen\n")
    assert run_check("assert x, 'told'", {"x": 0}) == (False, "AssertionError: told", False, "")


def test_a_hand_out_tells_no_answer_and_carries_its_stamp():
    notebook = hand_out(LESSON)
    text = dumps(notebook)
    assert list(secrets_in(LESSON, text)) == []
    assert "solutions/" not in text
    assert "right=" not in text
    quiz = next(cell.source for cell in notebook.cells if cell.id.endswith("quiz-check"))
    assert quiz == 'mc.checks.handed_in("quiz_1", quiz_1, "ab")\nmc.checks.handed_in("quiz_2", quiz_2, "ab")'
    stamp = notebook.metadata.medcourse.release
    assert len(stamp.sources) == 64
    assert stamp.images == "real"


def test_secrets_are_found_where_they_are():
    assert "sensitivity = found / diseased" in set(secrets_in(LESSON, dumps(source_notebook(LESSON))))
    assert list(secrets_in(LESSON, "assert 0 <= sensitivity <= 1")) == ["assert 0 <= sensitivity <= 1"]


def test_links_to_what_is_not_handed_out_become_text():
    first = hand_out(LESSON, pages={"../glossary.md"}).cells
    assert "[Glossary](../glossary.md)" in first[0].source
    assert "The course |" in first[0].source
    assert "![Twenty circles, nine of them filled](../pictures/01_concept.png)" in first[0].source


def test_handed_in_notes_an_answer(capsys):
    handed_in("quiz_1", " B", "ab")
    assert capsys.readouterr().out == "Noted: `quiz_1` = 'b'. The grader tells whether it is right.\n"
    for answer in ("c", "ab", "", 3):
        with pytest.raises(CheckError, match="answer with one of 'a', 'b'"):
            handed_in("quiz_1", answer, "ab")


@pytest.fixture
def course(tmp_path) -> Path:
    return write_course(tmp_path / "course")


def with_data_sets(course: Path, names: str) -> None:
    source = course / "source" / GOOD.name
    source.write_text(source.read_text().replace("datasets: []", f"datasets: [{names}]"))


def test_a_release_brings_packs_and_says_whose_they_are(course, tmp_path, monkeypatch):
    with_data_sets(course, "ham10000, nih-chest-xray-1000")
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("MEDCOURSE_MIRROR", str(mirror))
    with pytest.raises(SourceError, match=r"no pack of 'ham10000' in .*mirror: put ham10000-200x150.zip .*--drawn"):
        release(tmp_path / "out", course)
    names = ["ham10000-200x150.zip", "nih-chest-xray-1000-224.zip"]
    names += ["nih-chest-xray14-labels.csv.gz", "nih-chest-xray14-boxes.csv.gz"]
    for name in names:
        (mirror / name).write_bytes(name.encode())
    released = release(tmp_path / "out", course, ["1"])
    assert released.drawn == []
    assert sorted(path.name for path in (tmp_path / "out" / "packs").iterdir()) == sorted(names)
    notices = (tmp_path / "out" / "LICENCES.md").read_text()
    assert "CC BY-NC 4.0. **Not for commercial use.**" in notices
    assert "acknowledgement of the NIH Clinical Center" in notices
    with pytest.raises(LessonError, match="is not empty"):
        release(tmp_path / "out", course)


def test_a_release_with_drawn_images_draws_them_where_it_lies(course, tmp_path, monkeypatch, cache, capsys):
    import medcourse as mc

    with_data_sets(course, "chest-xray-pneumonia")
    assert release(tmp_path / "out", course, drawn=True).drawn == ["chest-xray-pneumonia"]
    monkeypatch.chdir(tmp_path / "out" / "notebooks")
    assert mc.load("chest-xray-pneumonia", size=16).is_phantom
    assert "your instructor chose drawn images" in capsys.readouterr().out


def test_packs_beside_a_notebook_are_the_mirror_unless_another_is_set(tmp_path, monkeypatch):
    from medcourse.data.fetch import mirror

    (tmp_path / "packs").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.delenv("MEDCOURSE_MIRROR", raising=False)
    monkeypatch.chdir(tmp_path / "notebooks")
    assert mirror() is None
    (tmp_path / handed_out.RECORD).write_text("{}")
    assert mirror() == str(tmp_path / "packs")
    monkeypatch.setenv("MEDCOURSE_MIRROR", "https://example.org/")
    assert mirror() == "https://example.org"


def test_submissions_are_found_in_the_layouts_of_nbgrader_moodle_and_canvas(tmp_path):
    text = dumps(hand_out(LESSON))
    for place in (
        "anna/assignment/01_good_lesson.ipynb",
        "Bo Ek_123_assignsubmission_file/copy of 01_good_lesson (1).ipynb",
        "cleo_77_01_good_lesson-2.ipynb",
        "dora/renamed.ipynb",
        "dora/.ipynb_checkpoints/01_good_lesson-checkpoint.ipynb",
        "__MACOSX/x/01_good_lesson.ipynb",
        "emil/notes.ipynb",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text if "notes" not in place else "{}")
    (tmp_path / "anna" / "assignment" / "helper.py").write_text("x = 1")
    (tmp_path / "fritz").mkdir()
    found = {handed.student: handed for handed in submissions.find(tmp_path, ["01_good_lesson"])}
    assert {name: handed.lesson for name, handed in found.items()} == {
        "anna": "01_good_lesson", "Bo Ek_123_assignsubmission_file": "01_good_lesson", "cleo_77": "01_good_lesson",
        "dora": "01_good_lesson", "emil": "", "fritz": "",
    }  # fmt: skip
    assert submissions.read_extras(found["anna"]) == {"helper.py": b"x = 1"}
    with pytest.raises(LessonError, match="nothing to grade"):
        submissions.find(tmp_path / "fritz", ["01_good_lesson"])


def test_of_two_notebooks_the_newer_one_is_graded(tmp_path):
    for number, name in enumerate(("01_good_lesson.ipynb", "01_good_lesson (1).ipynb")):
        path = tmp_path / "anna" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
        os.utime(path, (1000 + number, 1000 + number))
    [handed] = submissions.find(tmp_path, ["01_good_lesson"])
    assert handed.path.name == "01_good_lesson (1).ipynb"
    assert handed.note == "several notebooks; graded is 01_good_lesson (1).ipynb"


def read(tmp_path: Path, notebook) -> submissions.Answers:
    path = tmp_path / "book.ipynb"
    path.write_text(json.dumps(notebook))
    return submissions.read_answers(path, LESSON)


def test_a_students_cells_belong_to_the_exercise_that_follows_or_stands_above(tmp_path):
    notebook = hand_out(LESSON)
    place = next(n for n, cell in enumerate(notebook.cells) if cell.id.endswith("-sensitivity"))
    for offset, code in ((0, "before"), (2, "below")):
        notebook.cells.insert(place + offset, nbformat.v4.new_code_cell(code))
    notebook.cells.append(nbformat.v4.new_code_cell("after the last check"))
    found = read(tmp_path, notebook)
    assert found.cells["sensitivity"] == ["before", "# Your answer:\nsensitivity = ...", "below"]
    assert len(found.cells["quiz"]) == 1
    assert found.notes == []
    assert found.untouched == ["sensitivity", "share", "clinic", "quiz"]


def test_a_notebook_without_metadata_is_read_by_its_cells_ids(tmp_path):
    notebook = hand_out(LESSON)
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata = {}
    found = read(tmp_path, notebook)
    assert found.notes == []
    assert found.sources == ""


def test_cells_of_the_lesson_are_known_by_their_code_where_ids_are_gone(tmp_path):
    notebook = json.loads(dumps(hand_out(LESSON)))
    for cell in notebook["cells"]:
        del cell["id"]
    found = read(tmp_path, notebook)
    assert {name: len(codes) for name, codes in found.cells.items()} == dict.fromkeys(found.cells, 1)
    assert found.notes == []
    for cell in notebook["cells"]:
        cell["id"] = "same"
    assert read(tmp_path, notebook).cells == found.cells


def test_a_notebook_may_begin_with_a_mark_and_hold_what_json_does_not_know(tmp_path):
    notebook = json.loads(dumps(hand_out(LESSON)))
    notebook["cells"][0]["metadata"]["size"] = float("nan")
    path = tmp_path / "book.ipynb"
    path.write_text("\ufeff" + json.dumps(notebook))
    assert submissions.read_answers(path, LESSON).notes == []


def test_a_gradebook_is_plain_text_and_cannot_compute(tmp_path):
    grade = Grade("=1+1", LESSON.name, notes=["a\nb\x00c \ud800"])
    grade.add(LESSON, {"share": Outcome(solved=True)})
    path = gradebook.write(tmp_path, [grade], {LESSON.name: LESSON})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[1].startswith("'=1+1,01_good_lesson,1,6,0,1,0,0,")
    assert lines[1].endswith("a b c \\ud800")


def test_file_names_are_safe_and_differ():
    names = ["anna", "Anna Ek", "Anna_Ek", "../../etc", "=x", "ü", "", "a" * 300]
    files = [gradebook.file_name(name) for name in names]
    assert files[0] == "anna"
    assert len(set(files)) == len(names)
    assert all(name.replace("-", "").replace("_", "").isalnum() and len(name) < 80 for name in files)


def test_feedback_escapes_what_students_write(tmp_path):
    grade = Grade("<b>x", LESSON.name, answers={"share": "<script>alert(1)</script>"})
    grade.add(LESSON, {"share": Outcome(printed="<img src=x onerror=alert(1)>"), "quiz": Outcome(hidden=True)})
    [path] = feedback.write(tmp_path, [grade], {LESSON.name: LESSON})
    page = path.read_text()
    assert "<script>" not in page
    assert "<img" not in page
    assert "a test that you do not see refuses the answer" in page


def test_a_stored_grade_counts_for_the_same_submission_only(tmp_path):
    store, handed = gradebook.Store(tmp_path), submissions.HandedIn("anna", LESSON.name, None)
    grade = Grade("anna", LESSON.name)
    grade.add(LESSON, {"share": Outcome(solved=True)})
    store.put(handed, "key", grade)
    assert store.get(handed, "key") == grade
    assert store.get(handed, "other") is None
    store.forget(handed)
    assert store.get(handed, "key") is None


def test_a_run_that_was_stopped_goes_on(course, tmp_path, monkeypatch):
    for student in ("anna", "bo", "cleo"):
        path = tmp_path / "in" / student / f"{LESSON.name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(dumps(hand_out(LESSON)))
    begun = []

    def graded(batch):
        begun.append(batch)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return Graded([{"share": Outcome(solved=True)} for _ in batch.works])

    monkeypatch.setattr(grader, "BATCH", 1)
    monkeypatch.setattr(grader, "grade_batch", graded)
    asked = {"course": course, "out": tmp_path / "out", "jobs": 1, "say": lambda line: None}
    with pytest.raises(KeyboardInterrupt):
        grader.grade(tmp_path / "in", **asked)
    report = grader.grade(tmp_path / "in", **asked)
    assert (report.rows, report.graded, len(begun)) == (3, 1, 4)
    assert [line.split(",")[2] for line in report.gradebook.read_text().splitlines()[1:]] == ["1", "1", "1"]


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_what_a_fork_may_have_is_found_by_trying():
    from medcourse.grading.limits import NAMES, strongest
    from medcourse.grading.sandbox import Box

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        base.chmod(0o711)
        for name in ("scratch", "hidden", "outside"):
            (base / name).mkdir()
        (base / "outside").chmod(0o777)
        (base / "hidden" / "secret").write_text("x")
        box, held = strongest(
            Box(str(base / "scratch"), memory_mb=200, hidden=[str(base / "hidden")]), base / "outside"
        )
        assert sorted(held) == sorted(NAMES)
        assert held["memory"]
        assert held["file size"]
        assert held["network"] == held["writing elsewhere"] == held["reading solutions"] == box.namespaces
        assert list((base / "outside").iterdir()) == [] or not box.namespaces
        assert (base / "hidden" / "secret").exists()


def told_in(box, look) -> dict:
    """What a function sees in a fork that is shut into a box."""
    from medcourse.grading.sandbox import end, forked

    read, write = os.pipe()
    pid = forked(lambda _: os.write(write, json.dumps(look()).encode()), box, keep=[write])
    os.close(write)
    with os.fdopen(read) as stream:
        told = stream.read()
    end(pid, box)
    return json.loads(told)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="what root's forks may not do")
def test_roots_fork_has_no_rights_and_sees_of_closed_folders_only_what_is_needed(tmp_path):
    from medcourse.grading.limits import strongest
    from medcourse.grading.sandbox import Box

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        base.chmod(0o711)
        for name in ("scratch", "outside", "closed/python/lib", "closed/keys"):
            (base / name).mkdir(parents=True)
        (base / "outside").chmod(0o777)
        (base / "closed").chmod(0o700)
        (base / "named").symlink_to(base / "closed" / "python")
        needed = str(base / "closed" / "python")
        box, _ = strongest(Box(str(base / "scratch"), memory_mb=200, needed=[needed]), base / "outside")
        if not box.namespaces:
            pytest.skip("no namespaces here")

        def look() -> dict:
            rights = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff")]
            return {
                "closed": os.listdir(base / "closed"),
                "python": os.listdir(base / "named"),
                "rights": rights[0][-16:],
            }

        assert told_in(box, look) == {"closed": ["python"], "python": ["lib"], "rights": "0" * 16}
        shut = base / "shut"
        shut.mkdir(mode=0o700)
        with pytest.raises(LessonError, match="may others read Python's files"):
            strongest(Box(str(base / "scratch"), memory_mb=200, needed=[str(shut)]), base / "outside")


def burn_in_children() -> None:
    """Compute in short-lived processes that nobody waits for, so that their seconds are added to nobody's."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        if not os.fork():
            until = time.monotonic() + 0.4
            while time.monotonic() < until:
                pass
            os._exit(0)
        time.sleep(0.4)


def wait_in_the_kernel() -> None:
    """Wait for a child that was started in one's own memory: such a process counts as busy with a disk."""
    os.mkfifo("pipe")
    os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, "pipe", os.O_RDONLY, 0)])


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("work", [burn_in_children, wait_in_the_kernel])
def test_what_hides_its_seconds_is_seen(work, tmp_path, monkeypatch):
    from medcourse.grading.watch import EVERY, Watch

    monkeypatch.chdir(tmp_path)
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            work()
        finally:
            os._exit(0)
    watch, until = Watch(pid, 0), time.monotonic() + 60
    while max(watch.computed, watch.slept) < 1 and time.monotonic() < until:
        time.sleep(EVERY)
        watch.look()
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert max(watch.computed, watch.slept) >= 1


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
@pytest.mark.parametrize("how", ["ended", "its parent is killed"])
def test_nothing_outlives_the_end_of_a_fork(how, tmp_path):
    """Not even what leaves its session, is nobody's child, and will not end with its parent."""
    from medcourse.grading.limits import strongest
    from medcourse.grading.sandbox import Box, end, forked

    def hold(_) -> None:
        ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.suppress(PermissionError):
            os.setsid()
        os.write(write, b"x")
        os.kill(0, signal.SIGHUP)
        while True:
            time.sleep(1)

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        base.chmod(0o711)
        for name in ("scratch", "outside"):
            (base / name).mkdir()
        (base / "outside").chmod(0o777)
        box, _ = strongest(Box(str(base / "scratch"), memory_mb=200), base / "outside")
        if not box.namespaces:
            pytest.skip("no namespaces here")
        read, write = os.pipe()
        parent = os.fork() if how != "ended" else 0
        if not parent:
            pid = forked(hold, box, keep=[write])
            if how != "ended":
                os.close(write)
                time.sleep(60)
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as stream:
            assert stream.read(1) == b"x"  # it is there
            if parent:
                os.kill(parent, signal.SIGKILL)
                os.waitpid(parent, 0)
            else:
                end(pid, box)
            assert select.select([stream], [], [], 20)[0]  # nobody holds the other end
            assert stream.read(1) == b""
