"""A figure's caption is also its alt text; large figures are stored with few colours.

A markdown cell that begins with ``**Figure`` directly after a code cell with a picture is that picture's caption.
"""

import base64
import io
import re

from nbformat import NotebookNode
from PIL import Image

from medcourse.teaching.source import Lesson

_LARGE = 100_000  # characters of base64
_COLOURS = 128  # of a large picture: half the size, and no pixel of a map over a film is off by more than 25 of 255
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


def caption_figures(lesson: Lesson, notebook: NotebookNode) -> list[str]:
    """Write each caption into ``output.metadata[<mime type>].alt``; return the pictures that have none as problems."""
    problems = []
    for position, node in enumerate(notebook.cells):
        pictures = [
            (output, mime) for output in node.get("outputs", ()) for mime in _PICTURES if mime in output.get("data", ())
        ]
        if not pictures:
            continue
        caption = caption_after(notebook, position)
        if caption is None:
            where = lesson.where(position)
            problems.append(f"{where}: a figure needs one sentence below it, in a prose cell that begins with **Figure")
            continue
        for output, mime in pictures:
            output.metadata.setdefault(mime, {})["alt"] = caption
    return problems


def caption_after(notebook: NotebookNode, position: int) -> str | None:
    """Return the plain text of the caption that follows the cell, or None."""
    following = notebook.cells[position + 1] if position + 1 < len(notebook.cells) else None
    if following is None or following.cell_type != "markdown" or not following.source.startswith("**Figure"):
        return None
    return plain(following.source.split("\n\n")[0])


def plain(markdown: str) -> str:
    """Return one paragraph of markdown as plain text: links by their words, no emphasis, code or math marks."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    text = re.sub(r"\*\*|[`*$]", "", text)
    text = re.sub(r"(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)", "", text)
    return re.sub(r"\s+", " ", text).strip()


def compressed(png: str) -> str:
    """A PNG in base64, with few colours where it is large and this makes it smaller."""
    if len(png) < _LARGE:
        return png
    picture, small = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), io.BytesIO()
    # the usual median cut gives the few pixels of a map's peak another colour
    few = picture.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    few.save(small, "PNG", optimize=True)
    return min(png, base64.b64encode(small.getvalue()).decode(), key=len)
