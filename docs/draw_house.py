"""Draw the map of the house (docs/pictures/house.svg) and the table of rooms in docs/HOUSE.md, from the code as it is.

    python docs/draw_house.py    # after a module or an import has changed; tests/test_house.py says when

Floors are the layers of pyproject.toml, sentences the rooms' own docstrings, modules and uses what grimp reads.
"""

import ast
import textwrap
import tomllib
from dataclasses import dataclass
from graphlib import TopologicalSorter
from html import escape
from pathlib import Path

import grimp

import medcourse as mc

ROOT = Path(__file__).parent.parent
PICTURE, PAGE = ROOT / "docs" / "pictures" / "house.svg", ROOT / "docs" / "HOUSE.md"
BEGIN, END = "<!-- rooms: docs/draw_house.py -->", "<!-- end of rooms -->"

WIDTH, ANNEX, GAP, LINE = 1000, 220, 12, 17  # pixels; the annex is teaching's, at the side of all floors
FILLS = ("#eaf3f9", "#f3f3f3")  # Okabe and Ito's blue and a grey, both pale
CHARACTERS_PER_PIXEL = 1 / 7


@dataclass(frozen=True)
class Room:
    """One room: its name, its sentence, its modules in the order in which they build on each other, the rooms it uses."""

    name: str
    sentence: str
    modules: list[str]
    uses: list[str]


def floors() -> list[list[str]]:
    """The rooms of each floor, from the top, as import-linter keeps them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    return [[name.strip().removeprefix("medcourse.") for name in layer.split("|")] for layer in layers]


def public_names(module: str) -> set[str]:
    """The modules that a module reaches by ``mc.<name>``."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    homes = {**mc._HOME, **mc._ROOMS}
    return {
        f"medcourse.{homes[node.attr]}"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mc"
    }


def read_rooms() -> dict[str, Room]:
    """Every room, lowest first, and last those that stand on no floor."""
    graph = grimp.build_graph("medcourse", exclude_type_checking_imports=True, cache_dir=None)
    names = [name for floor in reversed(floors()) for name in floor]
    names += sorted(
        child.split(".")[1] for child in graph.find_children("medcourse") if child.split(".")[1] not in names
    )
    rooms = {}
    for name in names:
        own = f"medcourse.{name}"
        children = {child: {child, *graph.find_descendants(child)} for child in sorted(graph.find_children(own))}
        below = {
            child: [
                other
                for other, its in children.items()
                if other != child and any(graph.find_modules_directly_imported_by(module) & its for module in modules)
            ]
            for child, modules in children.items()
        }
        imported = {
            target.split(".")[1]
            for module in (own, *graph.find_descendants(own))
            for target in graph.find_modules_directly_imported_by(module) | public_names(module)
            if target != "medcourse"
        }
        path = ROOT / "medcourse" / name / "__init__.py"
        text = (path if path.exists() else ROOT / "medcourse" / f"{name}.py").read_text(encoding="utf-8")
        sentence = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0].split(". ")[0].strip(".").replace("`", "")
        order = [child.split(".")[-1] for child in TopologicalSorter(below).static_order()]
        rooms[name] = Room(name, sentence, order, [other for other in names if other in imported - {name}])
    return rooms


def wrapped(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, int((width - 24) * CHARACTERS_PER_PIXEL), break_on_hyphens=False)


def lines_of(room: Room, width: float) -> list[tuple[str, str]]:
    """(style, text) of each line in a room's box."""
    lines = [("name", room.name), *(("", line) for line in wrapped(room.sentence, width))]
    lines += [("modules", line) for line in wrapped("\u00a0· ".join(room.modules), width)]
    uses = [name for name in room.uses if name not in ("arguments", "errors")]
    return lines + [("uses", line) for line in wrapped(f"uses {', '.join(uses)}" if uses else "", width)]


def box(room: Room, x: float, y: float, width: float, height: float, fill: str) -> str:
    parts = [f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="4" fill="{fill}"/>']
    for n, (style, text) in enumerate(lines_of(room, width)):
        look = f' class="{style}"' if style else ""
        parts.append(f'<text x="{x + 12:.0f}" y="{y + 20 + LINE * n:.0f}"{look}>{escape(text)}</text>')
    return "\n".join(parts)


def picture() -> str:
    """The map as SVG text."""
    rooms, parts, y = read_rooms(), [], float(GAP)
    inner = WIDTH - ANNEX - 3 * GAP
    for n, floor in enumerate(floors()):
        width = (inner - GAP * (len(floor) - 1)) / len(floor)
        height = 14 + LINE * max(len(lines_of(rooms[name], width)) for name in floor)
        for k, name in enumerate(floor):
            parts.append(box(rooms[name], GAP + k * (width + GAP), y, width, height, FILLS[n % 2]))
        y += height + GAP
    aside = [room for name, room in rooms.items() if not any(name in floor for floor in floors())]
    for k, room in enumerate(aside):
        height = (y - GAP - GAP * len(aside)) / len(aside)
        parts.append(box(room, WIDTH - ANNEX - GAP, GAP + k * (height + GAP), ANNEX, height, "#fdf3e7"))
    style = (
        "text{font:13px sans-serif;fill:#222} .name{font-weight:bold} .modules{fill:#0072B2} .uses{font-style:italic}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" role="img">'
    title = "<title>The rooms of medcourse, floor upon floor; each may use what lies below it</title>"
    ground = f'<rect width="{WIDTH}" height="{y:.0f}" fill="white"/>'
    return "\n".join([head, title, f"<style>{style}</style>", ground, *parts, "</svg>\n"])


def table() -> str:
    """The rooms as a Markdown table, lowest first."""
    rows = [f"| `{room.name}` | {room.sentence} | {', '.join(room.uses) or '-'} |" for room in read_rooms().values()]
    return "\n".join(["| room | what it is for | uses |", "|---|---|---|", *rows])


def with_table(page: str) -> str:
    """The page with the table of today between its two marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
