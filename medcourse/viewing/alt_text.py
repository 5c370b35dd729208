"""Pictures with a text for those who cannot see them, also in a live notebook: JupyterLab shows a PNG without one, HTML with it."""

import base64
import html
from collections.abc import Callable
from functools import partial
from typing import Any

from IPython.core.getipython import get_ipython
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def described(figure: Figure) -> str:
    """What a figure shows, in its own words: titles, axis labels, legends and what is written in it, panel by panel."""
    pictures = sum(bool(axis.images) for axis in figure.axes)
    what = f"Figure with {pictures} picture{'s' * (pictures > 1)}." if pictures else "Figure."
    panels = [f"{figure.get_suptitle()}." if figure.get_suptitle() else "", *map(_of_panel, figure.axes)]
    return " ".join([what, *dict.fromkeys(words for words in panels if words)])


def image_tag(png: str, words: str) -> str:
    """An HTML image of a PNG (base64), as wide as the page at most."""
    return f'<img alt="{html.escape(words)}" style="max-width: 100%" src="data:image/png;base64,{png}">'


def show_figures_with_alt_text() -> None:
    """From now on each matplotlib figure that this notebook shows has alt text; nothing happens outside of a notebook."""
    shell: Any = get_ipython()
    if shell is not None:
        _register()
        shell.events.register("post_execute", _register)  # matplotlib's own set-up, at the first figure, takes it out


def _register() -> None:
    """PNG and HTML of a figure come from one drawing: the notebook's own printer of PNGs moves into the bundle of both."""
    shell: Any = get_ipython()
    formatter = shell.display_formatter
    draw = formatter.formatters["image/png"].pop(Figure, None)
    if draw is not None:
        formatter.mimebundle_formatter.for_type(Figure, partial(_bundle, draw))
    elif any(Figure in other.type_printers for other in formatter.formatters.values()):
        formatter.mimebundle_formatter.pop(Figure, None)  # somebody chose SVG


def _bundle(draw: Callable[[Figure], Any], figure: Figure) -> tuple[dict[str, str], dict[str, Any]]:
    """Data and metadata of a figure, by MIME type; none where the notebook leaves the PNG out."""
    drawn = draw(figure)
    png, metadata = drawn if isinstance(drawn, tuple) else (drawn, {})
    if png is None:
        return {}, {}
    png = base64.b64encode(png).decode() if isinstance(png, bytes) else png.strip()
    return {"image/png": png, "text/html": image_tag(png, described(figure))}, {
        "image/png": metadata
    } if metadata else {}


def _of_panel(axis: Axes) -> str:
    """A sentence about one panel; "" of one without words."""
    legend = axis.get_legend()
    labels = {
        "written": " / ".join(text.get_text().replace("\n", ", ") for text in axis.texts),
        "across": axis.get_xlabel(),
        "up": axis.get_ylabel(),
        "drawn": ", ".join(text.get_text() for text in legend.get_texts()) if legend else "",
    }
    words = [axis.get_title(), *(f"{name}: {label}" for name, label in labels.items() if label)]
    return "; ".join(word for word in words if word) + "." if any(words) else ""
