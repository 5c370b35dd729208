"""Widgets: fields and buttons change the picture, and the picture stands by itself. Figures have alt text in a notebook."""

import base64
import json
import re
from collections.abc import Iterator
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.utils.capture import capture_output
from nbconvert import HTMLExporter
from nbformat import v4
from traitlets.config import Config

import medcourse as mc
from medcourse.errors import ArgumentError, EvaluationError, ExplanationError, TrainingError
from medcourse.viewing import alt_text, widgets
from tests.conftest import make_cohort, make_multilabel, predictions


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    yield InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    InteractiveShell.clear_instance()
    plt.close("all")


def test_the_picture_is_an_output_of_its_own_that_the_fields_change(shell: InteractiveShell):
    explorer = mc.widgets.loss_explorer(weight=9, gamma=2)
    with capture_output() as shown:
        explorer._ipython_display_()
    fields, picture = (output.data for output in shown.outputs)
    assert "application/vnd.jupyter.widget-view+json" in fields
    assert "image/png" not in fields
    assert "application/vnd.jupyter.widget-view+json" not in picture
    assert base64.b64decode(picture["image/png"]).startswith(b"\x89PNG")
    assert "ill, weight 9" in picture["text/html"]
    assert shown.outputs[1].metadata["image/png"]["alt"] == picture["text/plain"]
    for field, value, words in zip(explorer.children, (1, 0), ("ill, weight 1", "gamma 0"), strict=True):
        with capture_output() as shown:
            field.value = value
        [changed] = shown.outputs
        assert changed.update
        assert changed.data["image/png"] != picture["image/png"]
        assert words in changed.data["text/html"]


def test_each_field_has_a_label_and_refuses_what_it_does_not_take():
    assert [field.description for field in mc.widgets.loss_explorer().children] == ["weight", "gamma"]
    with pytest.raises(ArgumentError, match="weight=0 does not fit; the field takes 1 to 100"):
        mc.widgets.loss_explorer(weight=0)
    with pytest.raises(ArgumentError, match="gamma='2'"):
        mc.widgets.loss_explorer(gamma="2")


@pytest.mark.parametrize("weight", [1, 9, 100])
def test_no_curve_of_the_loss_is_cut_off_above(weight: float):
    left = widgets._loss_curves(weight, 0).axes[0]
    assert max(line.get_ydata().max() for line in left.get_lines()) < left.get_ylim()[1]
    plt.close("all")


def test_a_figure_in_a_notebook_has_alt_text_and_is_drawn_once(shell: InteractiveShell, monkeypatch):
    alt_text.show_figures_with_alt_text()
    select_figure_formats(shell, {"png"})  # what matplotlib does at the first figure; it takes our formatter out
    shell.events.trigger("post_execute")
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2], label='"<b>ill"')
    left.set(title="scores", xlabel="p(ill)")
    left.legend()
    right.imshow(np.zeros((2, 2)))
    left.text(0, 1, "first\nsecond")
    drawn, draw = [], figure.canvas.print_figure
    monkeypatch.setattr(figure.canvas, "print_figure", lambda *a, **more: (drawn.append(a), draw(*a, **more)))
    data, _ = shell.display_formatter.format(figure)
    words = "scores; written: first, second; across: p(ill); drawn: &quot;&lt;b&gt;ill&quot;."
    assert f'alt="Figure with 1 picture. {words}"' in data["text/html"]
    assert data["image/png"].strip() in data["text/html"], "both show the same picture"
    assert len(drawn) == 1


def test_who_chooses_svg_gets_no_png(shell: InteractiveShell):
    alt_text.show_figures_with_alt_text()
    for chosen, other in (("png", "svg+xml"), ("svg", "png"), ("png", "svg+xml")):
        select_figure_formats(shell, {chosen})
        shell.events.trigger("post_execute")
        data, _ = shell.display_formatter.format(plt.subplots()[0])
        assert f"image/{other}" not in data
        assert ("alt=" in data.get("text/html", "")) == (chosen == "png")


def test_outside_of_a_notebook_nothing_is_registered():
    alt_text.show_figures_with_alt_text()


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
def test_the_curves_are_those_of_the_package_losses(gamma):
    p = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    loss, target = mc.FocalLoss(gamma), torch.tensor([1])
    ours = [float(loss(torch.tensor([[0.0, x]]), target)) for x in torch.logit(p)]
    np.testing.assert_allclose(widgets._focal(p.numpy(), gamma), ours, rtol=1e-4)


@pytest.mark.parametrize(("weight", "gamma"), [(1, 0), (9, 0), (1, 2), (9, 2), (3, 0.5)])
def test_the_best_score_has_the_lowest_mean_loss(weight, gamma):
    scores = np.linspace(0.001, 0.999, 999)
    for score in (0.1, 0.5, 0.8):
        risk = float(widgets._risk(score, weight, gamma))
        mean = risk * weight * widgets._focal(scores, gamma) + (1 - risk) * widgets._focal(1 - scores, gamma)
        assert scores[mean.argmin()] == pytest.approx(score, abs=0.002)


def words_of(explorer: widgets.Explorer, **values) -> str:
    """What the picture says after fields were set, by their label."""
    fields = {field.description: field for field in explorer.children}
    for name, value in values.items():
        fields[name].value = value
    return explorer.picture["text/plain"]


def calls_of_100(ill: int = 40) -> mc.Predictions:
    """100 images, of which 30 of 40 ill and 6 of 60 healthy have scores above 0.5."""
    targets = np.arange(100) < ill
    return predictions(targets.astype(int), np.where(targets, np.arange(100) < 30, np.arange(100) < 46) * 0.8 + 0.1)


def test_the_threshold_explorer_counts_people_and_follows_bayes():
    explorer = mc.widgets.threshold_explorer(calls_of_100())
    assert [field.value for field in explorer.children] == [0.5, 0.4], "the share in the predictions"
    words = words_of(explorer, prevalence=0.1)
    assert "sensitivity 0.75, specificity 0.90" in words
    assert "of 1,000 people 100 have ill: PPV 0.45, NPV 0.97" in words
    assert "called ill: 75 truly ill, 90 truly healthy" in words
    assert "called healthy: 25 truly ill, 810 truly healthy" in words
    assert "PPV undefined" in words_of(explorer, threshold=1)
    assert "PPV 0.00, NPV undefined" in words_of(explorer, threshold=0, prevalence=0)


def test_the_threshold_explorer_refuses_what_has_no_sensitivity():
    with pytest.raises(EvaluationError, match="no image is 'ill'"):
        mc.widgets.threshold_explorer(calls_of_100(ill=0))
    with pytest.raises(ArgumentError, match="prevalence=2 does not fit"):
        mc.widgets.threshold_explorer(calls_of_100(), prevalence=2)


@pytest.mark.parametrize(
    ("policy", "channels"), [("chest", 1), ("chest", 3), ("skin", 1), ("skin", 3), ("histology", 3)]
)
def test_every_parameter_of_a_policy_has_a_field(policy: str, channels: int):
    explorer = mc.widgets.augmentation_explorer(make_cohort(4, channels=channels), policy)
    names = [field.description for field in explorer.children]
    of_colour = (
        {"colour", "stain"} if policy == "chest" else {"stain"}
    )  # off at the start, and of no use on grey images
    missing = set(mc.Augmentation(policy).parameters) - set(names)
    assert missing == (of_colour if channels == 1 else set())
    before = explorer.picture["image/png"]
    assert words_of(explorer, rotation=3).startswith(f"Figure with 1 picture. mc.Augmentation('{policy}', rotation=3)")
    assert explorer.picture["image/png"] != before


def test_the_augmentation_explorer_shows_the_mirror_and_says_that_the_trainer_refuses_it():
    films = make_cohort(4, laterality=True)
    explorer = mc.widgets.augmentation_explorer(films)
    assert "refuses" not in explorer.picture["text/plain"]
    assert "mc.Augmentation('chest', flip=True): mc.Trainer refuses" in words_of(explorer, flip=True)
    with pytest.raises(TrainingError, match="varies stain"):
        mc.widgets.augmentation_explorer(films, "histology")
    with pytest.raises(ArgumentError, match="policy='knee'"):
        mc.widgets.augmentation_explorer(films, "knee")


def test_the_map_browser_goes_through_the_images():
    films = make_cohort(4, size=16)
    maps = {"network": np.random.default_rng(0).random((4, 16, 16)), "uniform": np.ones((16, 16))}
    explorer = mc.widgets.map_browser(films, maps, masks=np.eye(16) > 0, title="group")
    assert (
        explorer.picture["text/plain"]
        == "Figure with 1 picture. image 1 of 4: i0000. written: g000 / network / uniform."
    )
    seen = [explorer.picture["image/png"]]
    assert "image 4 of 4: i0003. written: g001" in words_of(explorer, image=4)
    seen.append(explorer.picture["image/png"])
    words_of(explorer, opacity=0)
    assert len({*seen, explorer.picture["image/png"]}) == 3
    assert "healthy / map." in mc.widgets.map_browser(films, maps["network"]).picture["text/plain"]


@pytest.mark.parametrize(
    ("wrong", "error", "named"),
    [
        ({"maps": {}}, ArgumentError, "0 kinds of maps"),
        ({"maps": {str(k): np.ones((16, 16)) for k in range(6)}}, ArgumentError, "6 kinds of maps"),
        ({"maps": {"a": np.ones((3, 16, 16))}}, ExplanationError, "maps 'a' have shape"),
        ({"masks": np.ones((4, 8, 8))}, ExplanationError, "masks have shape"),
        ({"title": "height"}, ArgumentError, "title='height' is not a column"),
    ],
)
def test_the_map_browser_refuses_what_does_not_fit(wrong: dict, error: type[Exception], named: str):
    with pytest.raises(error, match=named):
        mc.widgets.map_browser(make_cohort(4), **({"maps": np.ones((16, 16))} | wrong))


def play(game: widgets.Explorer, *calls: str) -> None:
    buttons = {button.description: button for button in game.children}
    for call in calls:
        buttons[call].click()


def test_the_game_keeps_the_score_and_shows_it_beside_the_models(tmp_path):
    films, kept = make_cohort(4), tmp_path / "my_reading.json"  # healthy, healthy, ill, ill
    game = mc.widgets.reading_game(films, keep=kept)
    assert "Film 1 of 4: healthy or ill?" in game.picture["text/plain"]
    assert not kept.exists(), "nothing is written before a film is read"
    play(game, "healthy", "ill", "one film back")
    assert "Film 2 of 4" in game.picture["text/plain"]
    assert "label" not in game.picture["text/plain"], "labels come when all is read"
    with pytest.raises(EvaluationError, match="you have read 1 of 4 films"):
        game.predictions()
    assert json.loads(kept.read_text()) == {"i0000": "healthy"}

    model = predictions([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9])
    model.table.index = films.table.index
    later = mc.widgets.reading_game(films, keep=kept, model=model)
    assert "Film 2 of 4" in later.picture["text/plain"], "it goes on where it was"
    play(later, "ill", "ill", "ill", "ill")
    assert [button.disabled for button in later.children] == [True, True, False]
    assert "Right, you: 3 of 4, model: 3 of 4." in later.picture["text/plain"]
    assert "2: label healthy, you: ill, model: healthy" in later.picture["text/plain"]
    assert "3: label ill, you: ill, model: healthy" in later.picture["text/plain"]
    assert later.reading.to_dict() == json.loads(kept.read_text())
    scores = mc.evaluate(later.predictions(), ci=None)["value"]
    assert scores[["sensitivity", "specificity"]].tolist() == [1, 0.5]


def test_the_game_keeps_the_readings_of_other_films_and_goes_on_when_it_cannot_write(tmp_path, monkeypatch):
    kept, films = tmp_path / "my_reading.json", make_cohort(4)
    play(mc.widgets.reading_game(films.subset(films.table.index[:2]), keep=kept), "ill", "ill")
    game = mc.widgets.reading_game(films.subset(films.table.index[2:]), keep=kept)
    play(game, "healthy")
    assert list(json.loads(kept.read_text())) == ["i0000", "i0001", "i0002"]
    kept.unlink()
    kept.mkdir()
    play(game, "ill")
    assert re.search(
        r"you: 1 of 2.*Not kept in .*my_reading.json: Is a directory", game.picture["text/plain"], re.DOTALL
    )


@pytest.mark.parametrize(
    ("wrong", "error", "named"),
    [
        ({"films": make_cohort(21)}, ArgumentError, "21 films are too many"),
        ({"films": make_multilabel(4)}, EvaluationError, "several findings"),
        (
            {"model": mc.Predictions(pd.DataFrame({"label": ["a"], "p_b": [0.1]}), ("a", "b"))},
            EvaluationError,
            "the classes",
        ),
        ({"model": predictions([0], [0.1])}, EvaluationError, "not seen 4 of the films"),
        ({"model": predictions([0], [0.1]), "threshold": "0.5"}, ArgumentError, "threshold='0.5'"),
    ],
)
def test_a_game_that_cannot_be_played(wrong: dict, error: type[Exception], named: str):
    with pytest.raises(error, match=named):
        mc.widgets.reading_game(**({"films": make_cohort(4)} | wrong))


@pytest.mark.parametrize("text", ["no json", "[1]"])
def test_a_file_that_holds_something_else_is_refused_and_left_alone(tmp_path, text: str):
    (tmp_path / "notes.txt").write_text(text)
    with pytest.raises(ArgumentError, match="give another name"):
        mc.widgets.reading_game(make_cohort(4), keep=tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (partial(mc.widgets.threshold_explorer, calls_of_100()), "fields for threshold and prevalence"),
        (partial(mc.widgets.reading_game, make_cohort(4)), "buttons for healthy, ill and one film back"),
    ],
)
def test_a_page_without_widgets_shows_the_picture_once_and_says_what_is_missing(
    shell: InteractiveShell, make, says: str
):
    with capture_output() as shown:
        make()._ipython_display_()
    outputs = [v4.new_output("display_data", data=o.data, metadata=o.metadata or {}) for o in shown.outputs]
    page, _ = HTMLExporter().from_notebook_node(v4.new_notebook(cells=[v4.new_code_cell("x", outputs=outputs)]))
    assert says in shown.outputs[0].data["text/plain"]
    assert len(re.findall(r"<img[^>]*data:image/png", page)) == 1
