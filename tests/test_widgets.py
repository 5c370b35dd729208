"""The explorer: sliders change the picture, and the picture stands alone without a front end."""

import base64
import json

import pytest

import medcourse as mc
from medcourse.viewing import widgets


@pytest.fixture(scope="module")
def runs() -> dict:
    return json.loads(widgets._RUNS.read_text())


def test_every_setting_was_run(runs):
    settings = {f"{r:g}/{s:g}/{w}" for r in runs["rates"] for s in runs["shares"] for w in runs["widths"]}
    assert set(runs["runs"]) == settings
    for run in runs["runs"].values():
        assert sum(map(sum, run["scores"])) == sum(map(sum, run["confusion"])) == pytest.approx(400, abs=20)


def test_a_slider_changes_the_picture():
    explorer = mc.widgets.training_explorer()
    sliders, picture = explorer.children
    before = bytes(picture.value)
    assert before.startswith(b"\x89PNG")
    sliders.children[0].value = 1e-1
    assert bytes(picture.value) != before


def test_without_a_front_end_the_picture_is_shown():
    explorer = mc.widgets.training_explorer(lr=1e-2, share=0.5)
    shown = base64.b64decode(explorer._repr_mimebundle_()["image/png"])
    assert shown == bytes(explorer.children[1].value)
