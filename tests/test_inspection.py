import numpy as np
import pandas as pd
import pytest

import medcourse as mc
from medcourse.data.cohort import Cohort
from tests.conftest import make_cohort


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
    assert "4 images in 2 sets of equal pictures; in 1 sets the groups differ, in 1 the labels" in repr(look)


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
