"""Every title of docs/TROUBLESHOOTING.md is what the source really says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TITLES = re.findall(r"^### `(.+)`$", (ROOT / "docs" / "TROUBLESHOOTING.md").read_text(encoding="utf-8"), re.MULTILINE)


def messages() -> str:
    """Every string of the package, one a line, with "…" for what is filled in."""
    found = []
    for path in (ROOT / "medcourse").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


MESSAGES = messages()


def test_there_are_titles_and_they_differ():
    assert len(TITLES) > 20
    assert len(set(TITLES)) == len(TITLES)


@pytest.mark.parametrize("title", TITLES)
def test_the_title_is_what_the_source_says(title: str):
    assert len(title.replace("…", "")) >= 9
    pieces = [re.escape(piece) for piece in title.split("…")]
    assert re.search("[^\n]*?".join(pieces), MESSAGES), title
