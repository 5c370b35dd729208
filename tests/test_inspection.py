import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import medcourse as mc
from medcourse.data.cohort import Cohort
from medcourse.data.inspection import image_statistics
from medcourse.errors import CohortError
from tests.conftest import make_cohort, make_multilabel


def drawn(pixels: np.ndarray, label: list[str], group: list[str]) -> Cohort:
    ids = [f"i{k}" for k in range(len(label))]
    return Cohort(pixels, pd.DataFrame({"label": label, "group": group}, index=ids), ("well", "ill"))


def test_statistics_of_known_pictures():
    pixels = np.zeros((4, 1, 20, 20), np.uint8)
    pixels[1] = 200
    pixels[2, :, :2] = 100  # the upper border, with two of the four corners
    pixels[3, :, 5:15, 5:15] = 80
    table = mc.inspect(drawn(pixels, ["well", "ill", "well", "ill"], list("abcd"))).statistics
    assert table.loc["i1", ["mean", "contrast", "dark", "bright", "border", "corners", "centre"]].tolist() == [
        200, 0, 200, 200, 200, 200, 200,
    ]  # fmt: skip
    assert table.loc["i2", "border"] == pytest.approx(100 * 40 / (400 - 256))
    assert table.loc["i2", "corners"] == 50
    assert table.loc["i2", "centre"] == 0
    assert table.loc["i3", ["centre", "border", "bright"]].tolist() == [80, 0, 80]


GREY = ["mean", "contrast", "dark", "bright", "border", "corners", "centre"]


def test_the_names_follow_the_channels():
    assert list(image_statistics(make_cohort(8)).columns) == GREY
    coloured = list(image_statistics(make_cohort(8, channels=3)).columns)
    assert coloured[:7] == GREY
    assert coloured[7:-3] == [f"{name}_{channel}" for channel in ("red", "green", "blue") for name in GREY]
    assert coloured[-3:] == ["red-green", "red-blue", "green-blue"]


def test_every_channel_is_measured_as_a_grey_image_would_be():
    pixels = np.random.default_rng(0).integers(0, 255, (300, 3, 20, 20), dtype=np.uint8)
    label, group = ["well"] * 300, [str(k) for k in range(300)]
    table = image_statistics(drawn(pixels, label, group))
    for k, channel in enumerate(("red", "green", "blue")):
        alone = image_statistics(drawn(pixels[:, [k]], label, group))
        assert np.allclose(table[[f"{name}_{channel}" for name in GREY]], alone[GREY], atol=1e-3)
    red, green, blue = np.moveaxis(pixels.astype(float).mean((2, 3)), 1, 0)
    assert np.allclose(table[["red-green", "red-blue", "green-blue"]].T, [red - green, red - blue, green - blue])
    assert np.allclose(table["mean"], pixels.mean((1, 2, 3)), atol=1e-3)


def test_large_images_are_read_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch):
    cohort = make_cohort(30)
    whole, most = image_statistics(cohort), []
    read = Cohort.read
    monkeypatch.setattr(Cohort, "read", lambda self, rows: most.append(len(rows)) or read(self, rows))
    monkeypatch.setattr("medcourse.data.inspection._CHUNK_PIXELS", 7 * 16 * 16)
    assert image_statistics(cohort).equals(whole)
    assert most == [7, 7, 7, 7, 2]


def test_brightness_that_gives_the_label_away():
    rng = np.random.default_rng(0)
    label = np.arange(40) % 2
    pixels = (rng.integers(0, 40, (40, 3, 16, 16)) + 100 * label[:, None, None, None]).astype(np.uint8)
    look = mc.inspect(drawn(pixels, [["well", "ill"][k] for k in label], [str(k) for k in range(40)]))
    assert look.auroc["mean"] == 1
    assert look.by_class.loc["ill", "mean"] - look.by_class.loc["well", "mean"] == pytest.approx(100, abs=3)
    assert "AUROC" in repr(look)


def test_counts_groups_and_equal_pictures():
    pixels = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((6, 1, 16, 16), np.uint8)
    pixels[3] = pixels[0]
    pixels[5] = pixels[1]
    look = mc.inspect(drawn(pixels, ["well", "well", "ill", "ill", "ill", "well"], ["a", "a", "b", "c", "a", "a"]))
    assert look.classes["images"].tolist() == [3, 3]
    assert look.classes["groups"].tolist() == [1, 3]
    assert look.groups.to_dict() == {"groups": 3, "largest": 4, "several_images": 1, "several_labels": 1}
    assert look.duplicates["image_id"].tolist() == ["i0", "i3", "i1", "i5"]
    assert look.duplicates["set"].tolist() == [0, 0, 1, 1]
    assert "Groups: 3; 1 have several images (at most 4), 1 several labels" in repr(look)
    assert "4 images in 2 sets; the groups differ in 1 of them, the labels in 1" in repr(look)


def test_findings():
    films = make_multilabel()
    look = mc.inspect(films)
    assert look.classes["images"].to_dict() == films.counts().to_dict()
    assert look.classes.loc["mass", "share"] == pytest.approx(films.counts()["mass"] / 360)  # 40 were not assessed
    pairs = (films.targets == 1).reshape(200, 2, 3)
    assert look.groups["several_labels"] == (pairs[:, 0] != pairs[:, 1]).any(1).sum()
    hernia = np.flatnonzero(films.targets[:, 2] == 1)
    assert look.by_class.loc["hernia", "mean"] == pytest.approx(films.read(hernia).mean())
    assert look.auroc.empty


def test_a_single_statistic_is_scored_as_by_scikit_learn():
    cohort = make_cohort(80)
    look = mc.inspect(cohort)
    for name in look.statistics:
        assert look.auroc[name] == pytest.approx(roc_auc_score(cohort.targets, look.statistics[name]))
    blank = Cohort(np.zeros((80, 1, 16, 16), np.uint8), cohort.table, cohort.classes)
    assert (mc.inspect(blank).auroc == 0.5).all()


def cameras(missing: int = 0) -> Cohort:
    """Grey squares, bright or dark; those of camera "old" are redder. The last images have no camera in the table."""
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(60, 160, (90, 1, 1, 1)) + rng.integers(0, 40, (90, 1, 8, 8)), 3, axis=1)
    pixels[:30, 0] += 40
    cohort = make_cohort(90)
    camera = ["old"] * 30 + ["new"] * 40 + ["borrowed"] * 20
    table = cohort.table.assign(camera=[*camera[: 90 - missing], *[None] * missing])
    return Cohort(pixels.astype(np.uint8), table, cohort.classes)


def test_by_asks_whether_a_statistic_tells_how_an_image_came_about():
    look = mc.inspect(cameras(), by="camera")
    assert list(look.auroc_by.columns) == ["new", "old", "borrowed"]
    assert look.by_counts.to_dict() == {"new": 40, "old": 30, "borrowed": 20}
    assert list(look.auroc_by.index) == list(look.statistics)
    assert look.auroc_by.loc["red-green", "old"] == 1
    assert look.auroc_by.loc["green-blue"].tolist() == [0.5, 0.5, 0.5]
    assert abs(look.auroc["red-green"] - 0.5) < 0.2
    camera = look.statistics.index.map(cameras().table["camera"])
    for value in ("new", "old", "borrowed"):
        for name in ("mean", "border_red", "red-blue"):
            expected = roc_auc_score(camera == value, look.statistics[name])
            assert look.auroc_by.loc[name, value] == pytest.approx(expected)
    none = mc.inspect(cameras())
    assert none.auroc_by.empty
    assert none.by_counts.empty
    assert "camera" not in repr(none)


def test_images_without_a_value_are_left_out_and_counted():
    cohort = cameras(missing=5)
    look = mc.inspect(cohort, by="camera")
    known = mc.inspect(cohort.subset(cohort.table["camera"].notna()), by="camera")
    assert look.auroc_by.equals(known.auroc_by)
    assert look.by_counts[look.by_counts.index.isna()].tolist() == [5]
    assert len(look.statistics) == 90
    assert "5 images without a value are left out" in repr(look)
    assert "without a value" not in repr(known)


def test_a_value_that_no_image_has_is_nan():
    cohort = cameras()
    cohort.table["camera"] = pd.Categorical(cohort.table["camera"], categories=["new", "old", "borrowed", "lost"])
    look = mc.inspect(cohort, by="camera")
    assert look.auroc_by["lost"].isna().all()
    assert look.auroc_by.drop(columns="lost").notna().all().all()
    assert repr(look)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_by_works_for_every_task(task: str):
    cohort = make_multilabel() if task == "multilabel" else make_cohort(classes=("a", "b", "c"))
    cohort.table["half"] = np.arange(len(cohort)) % 2 == 0
    look = mc.inspect(cohort, by="half")
    assert look.auroc.empty
    assert np.allclose(look.auroc_by.sum(axis=1), 1)


def test_the_view_of_many_statistics_shows_the_strongest():
    look = mc.inspect(cameras(), by="camera")
    shown = repr(look)
    assert "the 8 of 31 with AUROC farthest from 0.5 (all: .auroc)" in shown
    assert "the 8 of 31 that tell most (all: .auroc_by)" in shown
    assert "red-green" in shown
    assert max(map(len, shown.splitlines())) < 130
    assert len(shown.splitlines()) < 30
    assert look._repr_html_().count("<table") == 3
    assert "of 31" not in repr(mc.inspect(make_cohort()))
    assert "class means farthest apart" in repr(mc.inspect(make_cohort(classes=("a", "b", "c"), channels=3)))


def test_a_rare_value_does_not_choose_what_is_shown():
    cohort = cameras()
    cohort.table.loc[cohort.table.index[-3:], "camera"] = ["x", "y", "z"]
    _, table = mc.inspect(cohort, by="camera")._views()[1]
    assert "red-green" in table.columns[:4]


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("scanner", "by='scanner': cohort has no such column. Its columns are label, group, age, one, cell"),
        (["label"], "has no such column"),
        ("one", "must have 2 to 20 different values and has 1. Choose another"),
        ("group", "different values and has 45"),
        ("cell", "its cells are not single values"),
    ],
)
def test_columns_that_cannot_be_compared_are_refused(by: str, said: str):
    cohort = make_cohort(90)
    cohort.table["one"], cohort.table["cell"] = "x", [[1]] * 90
    with pytest.raises(CohortError, match=re.escape(said)):
        mc.inspect(cohort, by=by)


def test_original_sizes_and_the_notebooks_view():
    table = make_cohort(20).table.assign(original_width=[30] * 15 + [40] * 5, original_height=20)
    look = mc.inspect(Cohort(np.asarray(make_cohort(20).images), table, ("healthy", "ill")))
    assert look.sizes.to_numpy().tolist() == [[30, 20, 15], [40, 20, 5]]
    assert "30 x 20 (15 images), 40 x 20 (5 images)" in repr(look)
    assert look._repr_html_().count("<table") == 2
    assert "AUROC" in look._repr_html_()
    assert mc.inspect(make_cohort(20)).sizes.empty
    assert "not known" in repr(mc.inspect(make_cohort(20)))


def test_three_classes_have_no_auroc():
    look = mc.inspect(make_cohort(classes=("a", "b", "c")))
    assert look.auroc.empty
    assert look.duplicates.empty
    assert list(look.by_class.index) == ["a", "b", "c"]


@pytest.mark.realdata
def test_the_chest_films_hold_equal_pictures():
    look = mc.inspect(mc.load("chest-xray-pneumonia", size=64))
    assert look.groups["groups"] == 4082
    assert look.groups["several_images"] == 725
    assert look.groups["several_labels"] == 0
    assert len(look.duplicates) > 0


@pytest.mark.realdata
def test_the_nevi_of_ham10000_came_from_two_cameras():
    skin = mc.load("ham10000", size=64)
    look = mc.inspect(skin.subset(skin.table["dx"] == "nv"), by="dx_type")
    assert look.auroc_by.loc["red-green", "follow_up"] == pytest.approx(0.995, abs=0.002)
    assert look.auroc_by.loc["mean", "follow_up"] == pytest.approx(0.44, abs=0.01)
