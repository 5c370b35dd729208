"""Put what the executed lessons and the committed runs of the studies say into the pages that show it (`make build`).

README and course/README.md get the links to Binder, Colab and the course page, README the table of lessons, docs/FINDINGS.md the
before/after tables of lessons 02 and 06 with their ranges over seeds, what the repeats of lesson 05 printed and lesson 09's means,
docs/pictures the second figure of lesson 02, course/README.md the table with cost and data, course/instructors a page for each
lesson's instructor, course/INSTRUCTORS.md the list of these, docs/STUDIES.md the report of every study.

    python docs/refresh_pages.py [FOLDER]    # the repository, or a copy of it
"""

import base64
import re
import sys
from pathlib import Path

import nbformat
import pandas as pd

from medcourse.data.manifest import find_dataset
from medcourse.studies import STUDIES, find_study
from medcourse.studies.chest_report import borders
from medcourse.studies.comparison import markdown, over_seeds
from medcourse.studies.results import Results, Runs
from medcourse.teaching.guide import instructor_guide
from medcourse.teaching.launch import address_of, badges
from medcourse.teaching.source import LEVELS, read_lesson

REPORT = re.compile(
    r"(<!-- medcourse reproduce (\S+) --size (\d+) --epochs (\d+) --device (\S+) -->\n).*?(<!-- end of report -->)",
    re.DOTALL,
)

# Lessons whose table of one run stands in docs/FINDINGS.md, and the columns of its file of other seeds.
SEEDS = {
    "02": ("02_single_class_collapse", {"at 0.5": "at 0.5", "chosen": "at its own threshold", "change": "change"}),
    "06": (
        "06_test_set_design",
        {"clinic": "clinic (10 % ill)", "half": "half ill", "restated": "half ill, restated at 10 %"},
    ),
}


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
    run = f"{meta.cpu_seconds:.0f} s, {meta.peak_mb / 1000:.1f} GB"
    lesson = f"[{meta.number:02d} {meta.title}](notebooks/{name}.ipynb)"
    return f"| {lesson} | {LEVELS[meta.level]} | {meta.pitfall} | {meta.minutes} | {run} | {data} |"


def readme_row(meta: nbformat.NotebookNode, name: str) -> str:
    """One line of README's table: it links to what a student opens, never to a solution."""
    return f"| [{meta.number:02d} {meta.title}](course/notebooks/{name}.ipynb) | {meta.pitfall} | {meta.minutes} |"


def printed(book: nbformat.NotebookNode, *begins: str) -> str:
    """What those cells of a lesson printed whose text begins like that."""
    texts = [output.get("text", "") for cell in book.cells for output in cell.get("outputs", [])]
    return "".join(text for begin in begins for text in texts if text.startswith(begin))


def ranges(path: Path, columns: dict[str, str]) -> str:
    """Lowest and highest value of each metric over the training seeds of a lesson; columns of the file by their names here."""
    table = pd.read_csv(path)
    rows = {}
    for metric, of_metric in table.groupby("metric", sort=False):
        known = of_metric[list(columns)].rename(columns=columns)
        rows[metric] = {
            name: f"{value.min():.2f} to {value.max():.2f}" if value.notna().all() else "not defined in every run"
            for name, value in known.items()
        }
    precision = table["precision"].replace({"32-true": "fp32", "bf16-mixed": "bf16"}).unique()
    took = f"{table['seed'].nunique()} seeds, {', '.join(precision)}, torch {table['torch'].iloc[0]}"
    return f"{markdown(pd.DataFrame.from_dict(rows, orient='index').rename_axis('metric'))}\n\n{took}"


def flips(path: Path) -> str:
    """Mean AUROC of lesson 09's networks over the seeds, with and without the flip, with 95 % intervals (Student's t)."""
    table = pd.read_csv(path)
    rows = {}
    for metric, of_metric in table.groupby("metric", sort=False):
        arms = {arm: rows.set_index("seed")["auroc"] for arm, rows in of_metric.groupby("arm", sort=False)}
        arms["difference"] = arms["with the flip"] - arms["without the flip"]
        rows[metric] = {arm: in_words(values, "+" * (arm == "difference")) for arm, values in arms.items()}
    took = f"{table['seed'].nunique()} seeds, torch {table['torch'].iloc[0]}; in brackets the 95 % interval of the mean"
    return f"{markdown(pd.DataFrame.from_dict(rows, orient='index').rename_axis('AUROC'))}\n\n{took}"


def in_words(values: pd.Series, sign: str) -> str:
    """Mean and its 95 % interval over seeds; the mean alone where all are equal."""
    mean, low, high = over_seeds(values)
    return f"{mean:{sign}.2f}" if pd.isna(low) else f"{mean:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def runs_of(results: Path, study: str, size: int, epochs: int, device: str) -> Runs:
    """The committed runs of a study; those on drawn images where there are no others."""
    name = study if (results / f"{study}.csv").exists() else f"{study} (phantom)"
    return Results(results, name).matching({"size": size, "epochs": epochs, "device": device})


def main(root: Path) -> None:
    """Refresh all pages below ``root``."""
    books = {
        path.stem: nbformat.read(path, as_version=4) for path in sorted((root / "course" / "solutions").glob("*.ipynb"))
    }
    cells = books["02_single_class_collapse"].cells
    findings = root / "docs" / "FINDINGS.md"
    results = root / "benchmarks" / "results"
    for number, (name, columns) in SEEDS.items():
        [shown] = [c for c in books[name].cells if "before-after" in c.metadata.get("tags", [])]
        table = shown.outputs[0].get("text") or shown.outputs[0].data["text/plain"]
        put(findings, f"<!-- lesson {number}, one run -->\n```text", "```", table.rstrip())
        seeds = ranges(results / f"lesson-{number}-seeds.csv", columns)
        put(findings, f"<!-- lesson {number}, other seeds -->", "<!-- end of other seeds -->", f"\n{seeds}\n")
    repeats = printed(books["05_patient_leakage"], "same test images", "epochs 1 to 5", "lesion found")
    put(findings, "<!-- lesson 05, five repeats -->", "<!-- end of repeats -->", f"```text\n{repeats}```")
    hernias = pd.read_csv(results / "lesson-06-hernias.csv").round(3)
    put(findings, "<!-- hernias in 10 % -->", "<!-- end of hernias -->", f"\n{markdown(hernias.set_index('drawn'))}\n")
    sides = flips(results / "lesson-09-seeds.csv")
    put(findings, "<!-- lesson 09, seeds -->", "<!-- end of lesson 09 -->", f"\n{sides}\n")
    pictures = [
        o.data["image/png"] for cell in cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    (root / "docs" / "pictures" / "02_scores.png").write_bytes(base64.b64decode(pictures[1]))
    lessons = [readme_row(book.metadata.medcourse, name) for name, book in books.items()]
    put(root / "README.md", "|---|---|---|", "<!-- end of lessons -->", "\n".join(lessons))
    launch = badges(address_of(root / "course"))
    for page in (root / "README.md", root / "course" / "README.md"):
        put(page, "<!-- launch: docs/refresh_pages.py -->", "<!-- end of launch -->", launch)
    rows = [row(book.metadata.medcourse, name) for name, book in books.items()]
    put(root / "course" / "README.md", "|---|---|---|---|---|---|", "<!-- end of table -->", "\n".join(rows))

    guides = root / "course" / "instructors"
    guides.mkdir(exist_ok=True)
    for source in sorted((root / "course" / "source").glob("*.py")):
        (guides / f"{source.stem}.md").write_text(instructor_guide(read_lesson(source)), encoding="utf-8")
    links = [
        f"- [{book.metadata.medcourse.number:02d} {book.metadata.medcourse.title}](instructors/{name}.md)"
        for name, book in books.items()
    ]
    begin, end = "<!-- pages for instructors: docs/refresh_pages.py -->", "<!-- end of pages -->"
    put(root / "course" / "INSTRUCTORS.md", begin, end, "\n".join(links))

    page = root / "docs" / "STUDIES.md"

    def said(match: re.Match[str]) -> str:
        study, size, epochs, device = match[2], int(match[3]), int(match[4]), match[5]
        report = find_study(study).report(runs_of(results, study, size, epochs, device))
        return f"{match[1]}\n{report}\n\n{match[6]}"

    old = page.read_text(encoding="utf-8")
    if missing := set(STUDIES) - {match[2] for match in REPORT.finditer(old)}:
        raise SystemExit(f"{page}: found no place for the report of {', '.join(sorted(missing))}")
    page.write_text(REPORT.sub(said, old), encoding="utf-8")
    maps = markdown(borders(runs_of(results, "chest-resampling", 160, 1, "cpu")))
    put(page, "<!-- borders, 160 px -->", "<!-- end of borders -->", f"\n{maps}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent)
