"""The record of repeats: what a run writes, what replaces what, and which verdicts the repeats do not carry."""

from pathlib import Path

import pytest

from medcourse.teaching import record
from medcourse.teaching.build import find_lessons, read_lesson
from tests.courses import GOOD

ROOT = Path(__file__).parent.parent


def run(shift: int = 0, margin: float | None = 0.2, data: str = "real", holds: bool = True) -> list[record.Row]:
    written = [
        {"verdict": "it ranks", "holds": holds, "margin": margin},
        {"peak_mb": 1, "threads": 1, "data": data, "torch": "2"},
    ]
    return record.rows_of(read_lesson(GOOD), written, shift, "fp32")


def test_a_run_replaces_its_own_earlier_rows_and_those_of_other_code(tmp_path):
    path = tmp_path / "verdicts.csv"
    assert record.read(path) == []
    for rows in (run(), run(1), run(margin=0.3), run(data="drawn")):
        record.add(path, rows)
    assert [(row["data"], row["shift"], row["margin"]) for row in record.read(path)] == [
        ("drawn", "0", "0.2"),
        ("real", "0", "0.3"),
        ("real", "1", "0.2"),
    ]
    record.add(path, [row | {"source": "other"} for row in run(2)])
    assert [row["shift"] for row in record.read(path)] == ["2"]


def test_a_lesson_that_did_not_end_leaves_no_rows():
    assert record.rows_of(read_lesson(GOOD), [{"verdict": "v", "holds": True, "margin": None}], 0, "fp32") == []


def test_the_code_counts_and_the_prose_does_not(tmp_path):
    text = GOOD.read_text()
    prose, code = tmp_path / "01_prose.py", tmp_path / "01_code.py"
    prose.write_text(text.replace("We count what was found.", "We count again."))
    code.write_text(text.replace("diseased, found", "diseased, hit"))
    hashes = [record.code_hash(read_lesson(path)) for path in (GOOD, prose, code)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([run(0, 0.2), run(1, 0.21), run(2, 0.19)], None),
        ([run(0, 0.2), run(1, 0.01), run(2, 0.19)], "has a margin of 0.133 ± 0.107: weaken it"),
        ([run(0, 0.2), run(1, -0.01, holds=False), run(2, 0.19)], "does not hold at shift 1"),
        ([run(0, None), run(1, None)], None),
        ([run(0, None), run(1, None, holds=False)], "does not hold at shift 1"),
        ([run(0, 0.2), run(1, 0.01, data="drawn")], None),
    ],
)
def test_what_the_repeats_do_not_carry(runs, message):
    found = record.unstable([row for rows in runs for row in rows])
    assert len(found) == (message is not None)
    assert message is None or message in found[0]


def test_how_often_a_verdict_held():
    rows = run(0) + run(1, -0.1, holds=False) + run(0, data="drawn")
    assert record.held(rows, "01_good_lesson", "it ranks", "real") == (1, 2)
    assert record.held(rows, "01_good_lesson", "never stated", "real") == (0, 0)


@pytest.mark.parametrize("source", find_lessons(ROOT / "course"), ids=lambda path: path.stem)
def test_every_lessons_verdicts_held_in_our_repeats(source):
    """Four shifts at least on real and on drawn images, of the lesson's code as it stands: medcourse build --check --record."""
    lesson = read_lesson(source)
    rows = [row for row in record.read(record.record_of(ROOT / "course")) if row["lesson"] == lesson.name]
    assert {row["source"] for row in rows} == {record.code_hash(lesson)}
    for data in ("real", "drawn"):
        assert len({row["shift"] for row in rows if row["data"] == data}) >= 4
    assert record.unstable(rows) == []
