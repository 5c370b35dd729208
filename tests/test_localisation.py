"""Planted maps with known answers."""

import numpy as np
import pandas as pd
import pytest
import torch

import medcourse as mc
from medcourse.errors import ArgumentError, ExplanationError
from medcourse.explanation.localisation import baseline_maps, border_share, box_masks, localisation

SCORES = ["pointing_hit", "energy_inside", "iou"]


def square(top: int, left: int, side: int, size: int = 16) -> np.ndarray:
    plane = np.zeros((size, size), dtype=np.uint8)
    plane[top : top + side, left : left + side] = 1
    return plane


def test_planted_maps_have_known_scores():
    mask = square(4, 4, 8)
    half = mask.astype(float)
    half[4:8, 4:12] = 0.3  # below half of the largest value
    outside = square(0, 0, 4).astype(float)
    maps = np.stack([mask, half, outside, np.zeros((16, 16)), np.ones((16, 16))])
    found = localisation(maps, np.stack([mask] * 5))
    assert found["mask_area"].tolist() == [0.25] * 5
    assert found["pointing_hit"].tolist() == [1, 1, 0, 0, 0.25]
    assert found["energy_inside"].tolist() == pytest.approx([1, 1, 0, 0, 0.25])
    assert found["iou"].tolist() == pytest.approx([1, 0.5, 0, 0, 0.25])
    assert found["empty"].tolist() == [False, False, False, True, False]
    assert localisation(maps[1:2], mask[None], threshold=0.2)["iou"].item() == 1


def test_one_map_for_all_and_many_images():
    masks = np.stack([square(0, 0, 8), square(4, 4, 8)] * 200)
    one, many = localisation(np.ones((16, 16)), masks), localisation(np.ones((400, 16, 16)), masks)
    pd.testing.assert_frame_equal(one, many)
    assert np.allclose(one[SCORES], 0.25)


def test_intervals_by_group_come_from_the_bootstrap():
    masks = np.stack([square(4, 4, 8)] * 40)
    maps = np.stack([square(4, 4, 8) if (row // 4) % 2 else square(0, 0, 4) for row in range(40)])
    names = pd.Index([f"image {row}" for row in range(40)], name="image_id")
    found = localisation(maps, masks, group=pd.Series(np.arange(40) // 4, index=names))
    assert found.index.equals(names)
    by_group = mc.bootstrap(found, lambda rows: rows[SCORES].mean(), n_boot=200)
    by_image = mc.bootstrap(found, lambda rows: rows[SCORES].mean(), n_boot=200, group=None)
    assert by_group["value"].tolist() == [0.5] * 3
    width = [table.loc["iou", "high"] - table.loc["iou", "low"] for table in (by_group, by_image)]
    assert width[0] > 1.5 * width[1], "four images alike in every group"


def test_a_mask_of_255_is_a_mask():
    mask = square(4, 4, 8)[None]
    pd.testing.assert_frame_equal(localisation(mask, mask), localisation(mask, mask * 255))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"masks": np.zeros((2, 16, 16))}, r"2 of 2 masks are empty, e\.g\. at \[0, 1\]"),
        ({"masks": np.ones((3, 16, 16))}, "one mask per map"),
        ({"masks": np.ones((2, 8, 8))}, "one mask per map"),
        ({"masks": np.ones((16, 16))}, "one mask per map"),
        ({"masks": 1}, "one mask per map"),
        ({"maps": -np.ones((2, 16, 16))}, "0 or more"),
        ({"maps": np.full((2, 16, 16), np.nan)}, "finite"),
        ({"maps": "a"}, "must be numbers"),
        ({"group": [1]}, r"group has shape \(1,\) for 2 images"),
    ],
)
def test_what_has_no_scores(arguments, named):
    with pytest.raises(ExplanationError, match=named):
        localisation(**({"maps": np.ones((2, 16, 16)), "masks": np.ones((2, 16, 16))} | arguments))


@pytest.mark.parametrize("threshold", [0, 1.1, "0.5"])
def test_no_threshold(threshold):
    with pytest.raises(ArgumentError, match="threshold="):
        localisation(np.ones((1, 4, 4)), np.ones((1, 4, 4)), threshold=threshold)


def test_baselines_that_saw_no_image():
    masks = np.stack([square(0, 0, 8)] * 3 + [square(8, 8, 8)])
    found = baseline_maps(masks)
    assert all(plane.shape == (16, 16) and plane.dtype == np.float32 for plane in found.values())
    assert (found["uniform"] == 1).all()
    assert np.allclose([found["mean mask"][0, 0], found["mean mask"][15, 15], found["mean mask"][0, 15]], [1, 1 / 3, 0])
    centre = found["image centre"]
    assert centre[8, 8] == centre.max() == 1
    assert centre[0, 0] == centre.min() == 0
    assert np.allclose(centre, centre[::-1, ::-1], atol=1e-6)


def test_baselines_have_the_cells_of_the_maps():
    masks = np.stack([square(0, 0, 4)])
    coarse = baseline_maps(masks, cells=4)["mean mask"]
    cells = torch.zeros(1, 1, 4, 4)
    cells[0, 0, 0, 0] = 1
    assert np.allclose(coarse, torch.nn.functional.interpolate(cells, (16, 16), mode="bilinear")[0, 0], atol=1e-6)
    centre = baseline_maps(masks, cells=(2, 4))["image centre"]
    assert np.allclose(centre, centre[::-1, ::-1], atol=1e-6)


def test_no_baselines():
    with pytest.raises(ExplanationError, match="N x H x W"):
        baseline_maps(np.ones((4, 4)))
    for cells in (1, 2.5, (2, "3")):
        with pytest.raises(ArgumentError, match="cells="):
            baseline_maps(np.ones((1, 4, 4)), cells=cells)


def test_boxes_become_masks():
    boxes = [
        [("Mass", 256.0, 512.0, 256.0, 128.0)],
        [],
        [("Mass", 0, 0, 1024, 1024), ("Nodule", 1000.0, 10.0, 3.0, 3.0)],
    ]
    masks = box_masks(boxes, size=8)
    assert masks.dtype == np.uint8
    assert np.argwhere(masks[0]).tolist() == [[4, 2], [4, 3]]
    assert not masks[1].any()
    assert masks[2].all()
    nodules = box_masks(pd.Series(boxes, index=list("abc")), size=8, finding="Nodule")
    assert np.argwhere(nodules).tolist() == [[2, 0, 7]], "a box smaller than a pixel keeps one"
    assert box_masks([[("x", 1, 1, 2, 2)]], size=4, film=4).sum() == 4


@pytest.mark.parametrize(
    "box", [("Mass", 1, 2, 3), ("Mass", 1, 2, 0, 4), ("Mass", 2000, 2, 10, 4), ("Mass", 1, 2, 3, "w"), 5]
)
def test_no_box(box):
    with pytest.raises(ExplanationError, match="the box"):
        box_masks([[box]], size=8)


def test_border_share():
    maps = np.zeros((4, 20, 20))
    maps[0] = 1
    maps[1, 10, 10] = 5
    maps[2, 1, 5] = 3
    shares = border_share(maps, width=0.1)
    assert shares[:3].tolist() == pytest.approx([0.36, 0, 1])
    assert np.isnan(shares[3])
    inside = np.random.default_rng(0).random((50, 20, 20))
    inside[:, :2] = inside[:, -2:] = inside[:, :, :2] = inside[:, :, -2:] = 0
    assert (border_share(inside) >= 0).all(), "rounding goes no further than 0"


@pytest.mark.parametrize("maps", [np.ones((3, 3)), -np.ones((1, 3, 3)), [["a"]]])
def test_no_border_share(maps):
    with pytest.raises(ExplanationError, match="N x H x W"):
        border_share(maps)


@pytest.mark.parametrize("width", [0.5, 0, None, "0.1"])
def test_no_width(width):
    with pytest.raises(ArgumentError, match="width="):
        border_share(np.ones((1, 3, 3)), width)
