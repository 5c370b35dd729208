"""Fields and buttons above a picture that they change: the one way in which all widgets draw. The picture stands by itself, too."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display, update_display
from matplotlib.figure import Figure

from medcourse.arguments import number
from medcourse.errors import ArgumentError
from medcourse.viewing.alt_text import described, image_tag


class Explorer(ipywidgets.HBox):
    """Fields (and buttons) that change a picture.

    The picture is an output of its own: it stays when the kernel is gone, and in pages where widgets cannot be shown. Number
    fields have a label that a screen reader finds, which sliders of ipywidgets 8 lack; and JupyterLab leaves them the arrow
    keys, which it takes from menus.

    Args:
        name: of the widget, for pages where it cannot be shown.
        fields: the picture is drawn anew when the value of one changes.
        draw: a function of the fields' values that makes the figure.
        buttons: stand behind the fields; what a click does is the caller's.

    Attributes:
        picture: the picture for the present choice, by MIME type: PNG (base64), HTML with alt text, the alt text.
    """

    def __init__(
        self,
        name: str,
        fields: Sequence[ipywidgets.DOMWidget],
        draw: Callable[..., Figure],
        buttons: Sequence[ipywidgets.Button] = (),
    ) -> None:
        super().__init__([*fields, *buttons], layout=ipywidgets.Layout(flex_flow="row wrap"))
        self._name, self._fields, self._draw = name, fields, draw
        self._picture_id, self._displayed = uuid4().hex, False
        for field in fields:
            field.observe(self.redraw, "value")
        self.redraw()

    def redraw(self, _change: object = None) -> None:
        """Draw the picture for the present values, and put it in the place of the one that is shown."""
        figure = self._draw(*(field.value for field in self._fields))
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=90)
        plt.close(figure)
        png, words = base64.b64encode(stream.getvalue()).decode(), described(figure)
        self.picture = {"image/png": png, "text/html": image_tag(png, words), "text/plain": words}
        if self._displayed:
            update_display(self.picture, raw=True, metadata=self._metadata(), display_id=self._picture_id)

    def _metadata(self) -> dict[str, Any]:
        return {"image/png": {"alt": self.picture["text/plain"]}}

    def _ipython_display_(self) -> None:
        *most, last = (control.description for control in self.children)
        names = f"{', '.join(most)} and {last}" if most else last
        kind = "fields" if self._fields else "buttons"
        fields = super()._repr_mimebundle_() | {"text/plain": f"{self._name}: in JupyterLab, {kind} for {names}"}
        display(fields, raw=True)
        display(self.picture, raw=True, metadata=self._metadata(), display_id=self._picture_id)
        self._displayed = True


def number_field(name: str, value: float, least: float, most: float, step: float) -> ipywidgets.BoundedFloatText:
    """A field for one number; it draws while one types.

    ``least`` should be 0 where shares are typed: the field puts its limit in the place of a first digit that lies below.

    Raises:
        ArgumentError: ``value`` is not one number from ``least`` to ``most``.
    """
    if not least <= number(name, value) <= most:
        raise ArgumentError(f"{name}={value!r} does not fit; the field takes {least:g} to {most:g}")
    return ipywidgets.BoundedFloatText(
        value=value, min=least, max=most, step=step, description=name, continuous_update=True, **_narrow()
    )


def whole_number_field(name: str, value: int, least: int, most: int) -> ipywidgets.BoundedIntText:
    """A field for one whole number; it draws while one types."""
    return ipywidgets.BoundedIntText(
        value=value, min=least, max=most, description=name, continuous_update=True, **_narrow()
    )


def tick(name: str, value: bool) -> ipywidgets.Checkbox:
    """A box to tick."""
    return ipywidgets.Checkbox(value=value, description=name, indent=False, layout=ipywidgets.Layout(width="130px"))


def _narrow() -> dict[str, Any]:
    return {"style": {"description_width": "initial"}, "layout": ipywidgets.Layout(width="170px")}
