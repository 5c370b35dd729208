"""Put what the executed lessons say into the pages that show it (`make build`).

README gets lesson 02's before/after table and the table of the study chest-resampling from benchmarks/results, docs/pictures
lesson 02's second figure, course/README.md the table of all lessons.
"""

import base64
import re
from pathlib import Path

import nbformat

from medcourse.data.manifest import find_dataset
from medcourse.studies.chest_report import readme_table
from medcourse.studies.results import Results

ROOT = Path(__file__).parent.parent
LEVELS = {1: "see", 2: "balance", 3: "judge", 4: "learn", 5: "trust"}


def put(page: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between two lines of a page."""
    old = page.read_text(encoding="utf-8")
    new, n = re.subn(
        f"{re.escape(begin)}\n.*?{re.escape(end)}", lambda _: f"{begin}\n{text}\n{end}", old, flags=re.DOTALL
    )
    if n != 1:
        raise SystemExit(f"{page}: found {n} places between {begin!r} and {end!r}, expected 1")
    page.write_text(new, encoding="utf-8")


def row(meta: nbformat.NotebookNode, name: str) -> str:
    """One line of the table of lessons."""
    data = ", ".join(f"{d} ({find_dataset(d).size_mb:.0f} MB)" for d in meta.datasets)
    run = f"{meta.seconds:.0f} s, {meta.peak_mb / 1000:.1f} GB"
    return f"| {name.replace('_', ' ', 1)} | {meta.level} {LEVELS[meta.level]} | {meta.pitfall} | {meta.minutes} | {run} | {data} |"


books = {
    path.stem: nbformat.read(path, as_version=4) for path in sorted((ROOT / "course" / "solutions").glob("*.ipynb"))
}
cells = books["02_single_class_collapse"].cells
[table] = [cell.outputs[0].text for cell in cells if "before-after" in cell.metadata.get("tags", [])]
pictures = [o.data["image/png"] for cell in cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
(ROOT / "docs" / "pictures" / "02_scores.png").write_bytes(base64.b64decode(pictures[1]))
put(ROOT / "README.md", "```text", "```", table.rstrip())
rows = [row(book.metadata.medcourse, name) for name, book in books.items()]
put(ROOT / "course" / "README.md", "|---|---|---|---|---|---|", "<!-- end of table -->", "\n".join(rows))
runs = Results(ROOT / "benchmarks" / "results", "chest-resampling").alike({"size": 64, "epochs": 5, "device": "cpu"})
put(ROOT / "README.md", "<!-- chest-resampling -->", "<!-- end of chest-resampling -->", readme_table(runs))
