"""Plots draw all that they are given, so that no two look alike, or refuse in words."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import medcourse as mc
from medcourse.errors import ArgumentError, EvaluationError, ExplanationError
from medcourse.viewing import plot
from tests.conftest import make_cohort


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def predictions(n: int = 60) -> mc.Predictions:
    targets = np.arange(n) % 3 == 0
    scores = np.clip(np.random.default_rng(0).normal(0.4 + 0.2 * targets, 0.2), 0, 1)
    table = pd.DataFrame({"label": np.where(targets, "ill", "healthy"), "p_ill": scores})
    return mc.Predictions(table, ("healthy", "ill"))


def looks(lines) -> list[tuple]:
    return [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines]


@pytest.mark.parametrize("n", [0, 3, 4, 9])
def test_every_mark_is_drawn_and_none_looks_like_another(n: int):
    marks = {f"rule {k}": (k + 1) / 10 for k in range(n)}
    drawn = plot.thresholds(predictions(), marks).get_lines()
    assert len(drawn) == 2 + n  # sensitivity and specificity
    assert [line.get_xdata()[0] for line in drawn[2:]] == list(marks.values())
    assert len(set(looks(drawn))) == len(drawn)


@pytest.mark.parametrize("n", [1, 4, 5, 16])
def test_every_table_is_drawn_and_none_looks_like_another(n: int):
    table = mc.evaluate(predictions(), n_boot=40)
    [axis] = plot.side_by_side({f"model {k}": table for k in range(n)}, metrics=["auroc", "f1"])
    markers = [container.lines[0] for container in axis.containers]
    assert len(markers) == len(set(looks(markers))) == n
    assert all(np.abs(marker.get_ydata() - [0, 1]).max() < 0.5 for marker in markers), "each nearest to its own metric"


def test_evaluations_and_differences_stand_side_by_side():
    pred = predictions()
    tables = {"at 0.5": mc.evaluate(pred, n_boot=40), "at 0.4": mc.evaluate(pred, 0.4, n_boot=40)}
    change = mc.compare(pred, pred, (0.5, 0.4), ci=0.9, n_boot=40)
    left, right = plot.side_by_side(tables, change, ["sensitivity", "mcc"])
    assert [label.get_text() for label in left.get_yticklabels()] == ["sensitivity", "mcc"]
    assert [text.get_text() for text in left.get_legend().get_texts()] == list(tables)
    assert left.get_xlabel() == "value, with its 95 % interval"
    assert right.get_xlabel() == "difference, with its 90 % interval"
    assert left.get_ylim()[0] > left.get_ylim()[1], "the first metric on top"
    marker = right.containers[0].lines[0]
    assert marker.get_xdata().tolist() == change.loc[["sensitivity", "mcc"], "difference"].tolist()
    assert [0, 0] in [list(line.get_xdata()) for line in right.get_lines()], "a line at no difference"


@pytest.mark.parametrize(
    ("draw", "most"),
    [
        (lambda n: plot.thresholds(predictions(), dict.fromkeys(map(str, range(n)), 0.5)), "17 marks .* at most 9"),
        (lambda n: plot.side_by_side(dict.fromkeys(map(str, range(n)), pd.DataFrame())), "17 tables .* at most 16"),
    ],
)
def test_too_many_are_refused_and_leave_no_picture(draw, most):
    with pytest.raises(EvaluationError, match=most):
        draw(17)
    assert not plt.get_fignums()


def test_a_threshold_that_is_not_a_number():
    for draw in (lambda: plot.scores(predictions(), "0.5"), lambda: plot.thresholds(predictions(), {"mine": "0.5"})):
        with pytest.raises(ArgumentError, match=r"'0\.5'"):
            draw()
    assert plot.scores(predictions(), None).get_legend() is not None


def test_maps_lie_over_their_images_and_lines_round_their_masks():
    cohort = make_cohort(5, size=32)
    maps, masks = np.zeros((5, 32, 32)), np.zeros((5, 32, 32), dtype=np.uint8)
    maps[2, 4:8, 4:8], masks[:3, 2:9, 2:9] = 1, 1
    axes = plot.maps(cohort, maps, columns=3, masks=masks)
    assert axes.shape == (2, 3)
    over = [axis.images[1] for axis in axes.flat[:5]]
    assert [float(picture.get_array().max()) for picture in over] == [0, 0, 1, 0, 0]
    assert [float(picture.get_alpha().max()) for picture in over] == pytest.approx([0, 0, 0.6, 0, 0])
    assert [bool(axis.collections) for axis in axes.flat] == [True] * 3 + [False] * 3
    assert [axis.get_title() for axis in axes.flat[:5]] == cohort.table["label"].tolist()
    assert len(plot.maps(cohort, maps[2])[0, 4].images) == 2, "one map for all"


@pytest.mark.parametrize("arguments", [{"maps": np.ones((4, 32, 32))}, {"masks": np.ones((5, 16, 16))}])
def test_maps_that_do_not_fit(arguments):
    with pytest.raises(ExplanationError, match=r"the images of the cohort need \(5, 32, 32\)"):
        plot.maps(make_cohort(5, size=32), **({"maps": np.ones((5, 32, 32))} | arguments))


def test_augmentations_stand_beside_each_image():
    pictures = (np.arange(2 * 256).reshape(2, 1, 16, 16) % 256).astype(np.uint8)
    axes = plot.augmentations("chest", pictures, draws=4)
    assert axes.shape == (2, 5)
    shown = [[axis.get_images()[0].get_array() for axis in row] for row in axes]
    for row, picture in zip(shown, pictures, strict=True):
        assert np.allclose(row[0] * 255, picture[0]), "as taken"
        assert len({drawn.tobytes() for drawn in row}) == 5, "every draw is another"
    again = plot.augmentations(mc.Augmentation("chest"), pictures, draws=4)
    assert np.array_equal(again[1, 4].get_images()[0].get_array(), shown[1][4]), "the seed fixes the draws"
    coloured = plot.augmentations("histology", pictures.repeat(3, axis=1), draws=1)
    assert coloured[0, 1].get_images()[0].get_array().shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"images": np.zeros((1, 1, 8, 8))}, "float64 of shape"),
        ({"images": np.zeros((9, 1, 8, 8), np.uint8)}, "1 to 8 images"),
        ({"images": np.zeros((8, 8), np.uint8)}, "N x C x H x W"),
        ({"draws": 0}, "draws=0"),
        ({"policy": "knee"}, "policy='knee'"),
    ],
)
def test_augmentations_of_something_else_are_refused(wrong: dict, named: str):
    with pytest.raises(ArgumentError, match=named):
        plot.augmentations(**({"policy": "chest", "images": np.zeros((1, 1, 8, 8), np.uint8)} | wrong))
    assert not plt.get_fignums()
