"""README, findings and syllabus say what the executed lessons say: their tables and picture are the notebooks' own."""

import base64
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import medcourse as mc

ROOT = Path(__file__).parent.parent
PAGES = sorted(str(path.relative_to(ROOT)) for folder in ("docs", "course") for path in (ROOT / folder).glob("*.md"))
SOLUTION = ROOT / "course" / "solutions" / "02_single_class_collapse.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[nbformat.NotebookNode]:
    return nbformat.read(SOLUTION, as_version=4).cells


@pytest.mark.parametrize("lesson", ["02_single_class_collapse", "06_test_set_design"])
def test_the_before_after_tables_are_the_lessons(lesson):
    cells = nbformat.read(SOLUTION.parent / f"{lesson}.ipynb", as_version=4).cells
    [output] = [c.outputs[0] for c in cells if "before-after" in c.metadata.get("tags", [])]
    table = output.get("text") or output.data["text/plain"]
    findings = (ROOT / "docs" / "FINDINGS.md").read_text(encoding="utf-8")
    assert f"```text\n{table.rstrip()}\n```" in findings


def test_the_picture_is_the_lessons_second_figure(cells):
    pictures = [o.data["image/png"] for c in cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    shown = (ROOT / "docs" / "pictures" / "02_scores.png").read_bytes()
    assert base64.b64decode(pictures[1]) == shown


def test_every_lesson_is_in_the_syllabus_with_its_pitfall():
    syllabus = (ROOT / "course" / "README.md").read_text(encoding="utf-8")
    for path in sorted(SOLUTION.parent.glob("*.ipynb")):
        meta = nbformat.read(path, as_version=4).metadata.medcourse
        [row] = [
            line
            for line in syllabus.splitlines()
            if f"| [{meta.number:02d} {meta.title}](notebooks/{path.name})" in line
        ]
        assert meta.pitfall in row
        assert f"| {meta.minutes} |" in row


def test_readme_links_to_every_lesson_as_students_get_it_and_to_no_solution():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in sorted(SOLUTION.parent.glob("*.ipynb")):
        meta = nbformat.read(path, as_version=4).metadata.medcourse
        link = f"[{meta.number:02d} {meta.title}](course/notebooks/{path.name})"
        assert f"| {link} | {meta.pitfall} | {meta.minutes} |" in readme
    assert "course/solutions" not in readme


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_every_link_of_a_page_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for bracketed, plain in re.findall(r"\]\((?:<(.+?)>|([^)#\s]+))", text):
        target = bracketed or plain
        if not target.startswith("http"):
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_list_of_references_is_that_of_the_lessons():
    def entries(text: str) -> list[str]:
        return [" ".join(entry.split()) for entry in re.split(r"^- ", text, flags=re.MULTILINE)[1:]]

    cited: dict[str, list[str]] = {}
    for path in sorted((ROOT / "course" / "source").glob("*.py")):
        _, heading, ending = path.read_text(encoding="utf-8").partition("# ## References\n")
        assert heading, f"{path} does not end with its references"
        for work in entries(re.sub("^# ?", "", ending, flags=re.MULTILINE)):
            cited.setdefault(work, []).append(path.stem[:2])
    listed = {}
    for section in (ROOT / "course" / "references.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        for entry in entries(section):
            if numbers := re.search(r" \(([\d, ]+)\)$", entry):
                listed[re.sub("^[^:.]+: ", "", entry.removesuffix(numbers[0]), count=1)] = numbers[1].split(", ")
    assert listed == cited


def test_the_glossary_names_functions_that_exist_and_is_sorted():
    text = (ROOT / "course" / "glossary.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`mc\.([A-Za-z_]+)", text))
    assert len(names) >= 6
    assert not [name for name in names if not hasattr(mc, name)]
    terms = re.findall(r'^### <a id="([a-z0-9-]+)"></a>(.+)$', text, flags=re.MULTILINE)
    names = [name.lower() for _, name in terms]
    assert len(names) > 30
    assert names == sorted(names)
    anchors = {anchor for anchor, _ in terms}
    assert [re.sub(r"[^a-z0-9 -]", "", name).replace(" ", "-") for name in names] == [anchor for anchor, _ in terms]
    assert set(re.findall(r"\(#([^)]+)\)", text)) <= anchors
    for lesson in (ROOT / "course" / "source").glob("*.py"):
        linked = set(re.findall(r"glossary\.md#([^)\s]*)", lesson.read_text(encoding="utf-8")))
        assert linked <= anchors, lesson


@pytest.mark.slow
def test_refreshing_the_pages_changes_nothing(tmp_path):
    for page in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / page, tmp_path)
    for folder in ("course", "docs", "benchmarks/results"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert b"<!-- medcourse reproduce skin-forum" in before[tmp_path / "docs" / "STUDIES.md"]
    subprocess.run([sys.executable, ROOT / "docs" / "refresh_pages.py", tmp_path], check=True)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert [path for path in before | after if before.get(path) != after.get(path)] == []
