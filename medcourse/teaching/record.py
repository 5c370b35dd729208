"""The record of repeats (``benchmarks/results/verdicts.csv``): how each verdict of each lesson came out, run by run.

Columns: lesson, source (hash of the lesson's code, solutions in place: prose may change without new runs), verdict, margin
(empty where the verdict follows from the data), shift (added to training seeds), precision, threads, data ("real" or
"drawn"), holds, torch, processor. A run replaces an earlier one with the same lesson, shift, precision, threads, data and
processor, and rows of the lesson's earlier code go.
"""

import csv
import hashlib
import io
import platform
import statistics
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from medcourse.teaching import regions
from medcourse.teaching.notebooks import write_whole
from medcourse.teaching.source import Lesson

_COLUMNS = (
    *("lesson", "source", "verdict", "margin", "shift", "precision", "threads", "data", "holds", "torch"),
    "processor",
)
_RUN = ("lesson", "shift", "precision", "threads", "data", "processor")

Row = dict[str, str]


def record_of(course: Path) -> Path:
    """Where a course's record lies."""
    return course.resolve().parent / "benchmarks" / "results" / "verdicts.csv"


def code_hash(lesson: Lesson) -> str:
    """12 hexadecimal digits of the lesson's code with solutions in place; what the builder adds does not count."""
    code = [regions.compose(cell.pieces) for cell in lesson.cells if cell.kind == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()[:12]


def read(path: Path) -> list[Row]:
    """All rows; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def rows_of(lesson: Lesson, written: Iterable[dict], shift: int, precision: str) -> list[Row]:
    """The rows of one run, from what its kernel wrote; empty when the lesson did not come to its end."""
    written = list(written)
    cost = next((row for row in written if "peak_mb" in row), None)
    if cost is None:
        return []
    run = {
        "lesson": lesson.name,
        "source": code_hash(lesson),
        "shift": str(shift),
        "precision": precision,
        "threads": str(cost["threads"]),
        "data": cost["data"],
        "torch": cost["torch"],
        "processor": processor(),
    }
    rows = []
    for row in written:
        if "verdict" in row:
            margin = "" if row["margin"] is None else f"{row['margin']:.4g}"
            rows.append({**run, "verdict": row["verdict"], "margin": margin, "holds": str(row["holds"])})
    return rows


def add(path: Path, rows: list[Row]) -> None:
    """Put the rows of one run into the record; two processes may do so at once."""
    new = {tuple(row[name] for name in _RUN) for row in rows}
    codes = {row["lesson"]: row["source"] for row in rows}
    with FileLock(path.with_name(f".{path.stem}.lock")):
        kept = [
            row
            for row in read(path)
            if tuple(row[name] for name in _RUN) not in new and codes.get(row["lesson"], row["source"]) == row["source"]
        ]
        order = sorted(kept + rows, key=lambda row: (row["lesson"], row["data"], row["precision"], int(row["shift"])))
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(order)
        write_whole(path, text.getvalue())


def held(rows: Iterable[Row], lesson: str, verdict: str, data: str) -> tuple[int, int]:
    """In how many of the recorded runs on such images ("real" or "drawn") the verdict held, and how many there are."""
    runs = [row for row in rows if (row["lesson"], row["verdict"], row["data"]) == (lesson, verdict, data)]
    return sum(row["holds"] == "True" for row in runs), len(runs)


def unstable(rows: Iterable[Row]) -> list[str]:
    """List the verdicts that the record does not carry, a line each.

    A verdict with a margin needs every margin above 0, and a mean margin above twice its standard deviation over the runs
    on the same kind of images; every verdict has to hold in every run.
    """
    runs: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        runs.setdefault((row["lesson"], row["data"], row["verdict"]), []).append(row)
    found = []
    for (lesson, data, verdict), of_verdict in runs.items():
        where = f"{lesson}, {data} images: {verdict!r}"
        lost = [row["shift"] for row in of_verdict if row["holds"] != "True"]
        if lost:
            found.append(f"{where} does not hold at shift {', '.join(lost)}")
        margins = [float(row["margin"]) for row in of_verdict if row["margin"]]
        if len(margins) > 1 and not lost and statistics.mean(margins) <= 2 * statistics.stdev(margins):
            spread = f"{statistics.mean(margins):.3g} ± {statistics.stdev(margins):.3g}"
            found.append(f"{where} has a margin of {spread}: weaken it, average over seeds, or take it from a study")
    return found


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
