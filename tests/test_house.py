"""The house: what a room may be, what it may take from another, what `import medcourse` loads, and what the wheel holds."""

import ast
import operator
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import medcourse as mc

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "medcourse").rglob("*.py"))


def test_no_module_is_longer_than_320_lines():
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in MODULES}
    assert {path: n for path, n in lines.items() if n > 320} == {}


def room(dotted: str) -> str:
    """The room of a module: ``medcourse.data.phantom.film`` is in ``data``."""
    return [*dotted.split("."), ""][1]


def foreign_names(tree: ast.Module, own_room: str) -> Iterator[tuple[str, str]]:
    """What a module takes from another room of the house: (a name of this module, the dotted name that it stands for)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "medcourse":
            for name in node.names:
                dotted = f"{node.module}.{name.name}"
                if room(dotted) != own_room:
                    yield name.asname or name.name, dotted


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_use(source: str, own_room: str) -> list[str]:
    """Private names of other rooms in a module: imported, or reached through an imported module."""
    tree = ast.parse(source)
    foreign = dict(foreign_names(tree, own_room))
    found = [dotted for dotted in foreign.values() if any(map(is_private, dotted.split(".")))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            module = foreign.get(node.value.id) if isinstance(node.value, ast.Name) else None
            found += [f"{module}.{node.attr}"] if module else []
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "medcourse")))
def test_no_private_name_of_another_room_is_used(path):
    assert private_use(path.read_text(encoding="utf-8"), room(".".join(path.relative_to(ROOT).parts))) == []


def test_a_private_name_would_be_found():
    source = (
        "from medcourse.data import fetch\nfrom medcourse.data.cache import _publish\nfetch._get(1)\nfetch.__doc__\n"
    )
    assert private_use(source, "studies") == ["medcourse.data.cache._publish", "medcourse.data.fetch._get"]
    assert private_use(source, "data") == []


def test_the_map_of_the_house_is_that_of_the_code():
    """Else run docs/draw_house.py, and look at docs/pictures/house.svg."""
    house = runpy.run_path(str(ROOT / "docs" / "draw_house.py"))
    assert house["picture"]() == (ROOT / "docs" / "pictures" / "house.svg").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "HOUSE.md").read_text(encoding="utf-8")
    assert house["with_table"](page) == page
    assert all(room.sentence for room in house["read_rooms"]().values())


def test_importing_medcourse_loads_nothing_heavy():
    code = "import sys, medcourse; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "medcourse" in loaded
    assert loaded & {"torch", "pandas", "numpy", "matplotlib", "scipy", "sklearn", "yaml", "pydantic"} == set()
    assert not [name for name in loaded if name.startswith("medcourse.")]


def test_the_wheel_holds_the_types_the_manifest_stored_results_and_every_module(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {"medcourse/py.typed", "medcourse/data_manifest.yaml"} <= held
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "course" / "source").glob("*.py"))
    read = set(re.findall(r'mc\.stored_results\("([^"]+)"\)', sources))
    assert len(read) >= 3
    for name in read:  # a lesson runs with an installed package, too
        assert {f"medcourse/results/{name}.csv", f"medcourse/results/{name}.csv.gz"} & held, name
    assert {str(path.relative_to(ROOT)) for path in MODULES} <= held


def test_pre_commit_calls_what_make_check_calls():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ncheck:")[1].split("\n\n")[0].split("\n\t")[1:]
    made = [line.replace("$(BIN)", ".venv/bin") for line in recipe if not line.startswith("$(PYTEST)")]
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == made


def test_every_place_that_tells_the_version_tells_the_same():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"] == mc.__version__
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]


def names_in_the_words(page: str) -> list[str]:
    """Each public name that the code blocks of DESIGN's first part use: ``Cohort.from_folder``, ``split``, ..."""
    words = re.findall(r"```python\n(.*?)```", page.split("\n# Part 2")[0], flags=re.DOTALL)
    return sorted(set(re.findall(r"\bmc\.(\w+(?:\.\w+)*)", "".join(words))))


def test_every_name_in_part_1_of_the_design_exists():
    names = names_in_the_words((ROOT / "docs" / "DESIGN.md").read_text(encoding="utf-8"))
    assert "Cohort.from_folder" in names
    for name in names:
        operator.attrgetter(name)(mc)
