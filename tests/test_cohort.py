import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from medcourse.data.cohort import Cohort
from medcourse.data.rows import ImageRows
from medcourse.errors import ArgumentError, CohortError
from tests.conftest import make_cohort, make_multilabel


def test_what_it_holds(cohort: Cohort):
    assert cohort.task == "binary"
    assert cohort.positive == "ill"
    assert cohort.images.shape == (60, 1, 16, 16)
    assert cohort.targets.dtype == np.int64
    assert dict(cohort.counts()) == {"healthy": 30, "ill": 30}
    assert cohort.table.index.name == "image_id"
    assert "60 images of 1 x 16 x 16, 30 groups" in repr(cohort)


def test_a_subset_is_a_view_of_the_same_array(cohort: Cohort):
    part = cohort.subset(cohort.table["label"] == "ill")
    assert len(part) == 30
    assert isinstance(part.images, ImageRows)
    assert part._base is cohort._base
    rows = np.flatnonzero(cohort.targets == 1)
    assert np.array_equal(np.asarray(part.images), cohort.images[rows])
    assert np.array_equal(part.images[3], cohort.images[rows[3]])
    assert np.array_equal(part.images[2:9:3, 0, 4], cohort.images[rows][2:9:3, 0, 4])
    assert np.array_equal(part.images[-1, 0], cohort.images[rows[-1], 0])
    assert np.array_equal(next(iter(part.images)), cohort.images[rows[0]])
    twice = part.subset(lambda table: table["age"] > 40)
    assert np.array_equal(twice.read([0]), cohort.subset([twice.table.index[0]]).read([0]))


def test_a_subset_by_ids_keeps_their_order(cohort: Cohort):
    part = cohort.subset(["i0007", "i0002"])
    assert part.table.index.tolist() == ["i0007", "i0002"]
    assert np.array_equal(part.read([0, 1]), cohort.images[[7, 2]])


def test_the_callers_table_is_left_alone(cohort: Cohort):
    before = cohort.table.copy()
    part = cohort.subset(cohort.table.index[:4])
    part.table["label"] = "healthy"
    pd.testing.assert_frame_equal(cohort.table, before)


@pytest.mark.parametrize(
    ("which", "named"),
    [
        (np.ones(3, bool), "3 values"),
        (["i0001", "nobody"], "nobody"),
        (["i0001", "i0001"], "twice"),
        (np.zeros(60, bool), "no image"),
        (pd.Series([True] * 60), "index"),
    ],
)
def test_a_wrong_subset(cohort: Cohort, which, named):
    with pytest.raises(CohortError, match=named):
        cohort.subset(which)


def test_relabel_states_the_positive_class_and_drops_the_rest():
    skin = make_cohort(60, classes=("nv", "mel", "bcc"))
    pair = skin.relabel({"mel": "melanoma", "nv": "nevus"}, positive="melanoma")
    assert pair.classes == ("nevus", "melanoma")
    assert len(pair) == 40
    assert pair.targets.mean() == 0.5
    assert np.array_equal(pair.read([1]), skin.subset([pair.table.index[1]]).read([0]))
    merged = skin.relabel({"nv": "benign", "mel": "malignant", "bcc": "malignant"}, positive="malignant")
    assert dict(merged.counts()) == {"benign": 20, "malignant": 40}
    assert skin.classes == ("nv", "mel", "bcc")


@pytest.mark.parametrize(
    ("mapping", "positive", "named"),
    [
        ({"nv": "a", "mel": "b"}, None, "state which"),
        ({"nv": "a", "mel": "b"}, "c", "none of the classes"),
        ({"nv": "a", "cancer": "b"}, "b", "no class"),
        ({"nv": "a", "mel": "a"}, "a", r"1 class\(es\)"),
        (
            {"nv": "a", "mel": "b", "bcc": "c"},
            "b",
            r"positive='b' is for two classes; the mapping has 3: .*two classes",
        ),
    ],
)
def test_a_wrong_relabel(mapping, positive, named):
    with pytest.raises(CohortError, match=named):
        make_cohort(60, classes=("nv", "mel", "bcc")).relabel(mapping, positive=positive)


def test_three_classes_need_no_positive_one():
    skin = make_cohort(60, classes=("nv", "mel", "bcc")).relabel({"nv": "nevus", "mel": "melanoma", "bcc": "basal"})
    assert (skin.task, skin.classes) == ("multiclass", ("nevus", "melanoma", "basal"))


def test_no_positive_class_among_three():
    with pytest.raises(CohortError, match="relabel"):
        _ = make_cohort(60, classes=("nv", "mel", "bcc")).positive


def _broken(**changes):
    good = make_cohort(6)
    parts = {"images": np.asarray(good.images), "table": good.table, "classes": good.classes} | changes
    return Cohort(**parts)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"images": np.zeros((6, 1, 4, 4), np.float32)}, "uint8"),
        ({"images": np.zeros((6, 2, 4, 4), np.uint8)}, "C = 1 or 3"),
        ({"images": np.zeros((5, 1, 4, 4), np.uint8)}, "6 table rows"),
        ({"classes": ("healthy",)}, "two or more"),
        ({"classes": ("healthy", "dead")}, "outside the classes"),
        ({"masks": np.zeros((6, 2, 2), np.uint8)}, "one mask per image"),
        ({"table": make_cohort(6).table.drop(columns="group")}, "lacks the column"),
        ({"table": make_cohort(6).table.assign(label=[None] + ["ill"] * 5)}, "have no label"),
        ({"table": make_cohort(6).table.assign(group=np.nan)}, "have no group"),
        ({"table": make_cohort(6).table.set_axis(["a"] * 6)}, "more than once"),
        ({"table": make_cohort(6).table.iloc[:0], "images": np.zeros((0, 1, 4, 4), np.uint8)}, "no image"),
    ],
)
def test_parts_that_do_not_fit(changes, named):
    with pytest.raises(CohortError, match=named):
        _broken(**changes)


def test_findings_that_occur_together():
    films = make_multilabel()
    assert films.task == "multilabel"
    assert films.targets.shape == (400, 3)
    assert films.targets.dtype == np.float64
    assert np.isnan(films.targets[::10, 1]).all()
    assert films.counts().to_dict() == {f: int((films.table[f"y_{f}"] == 1).sum()) for f in films.classes}
    part = films.subset(films.table["y_mass"].isna())
    assert part.counts()["mass"] == 0
    assert part.task == "multilabel"
    assert np.isnan(part.targets[:, 1]).all()
    with pytest.raises(CohortError, match="is multilabel"):
        _ = films.positive


def test_the_task_is_stated_or_follows_from_the_columns():
    films = make_multilabel(6)
    images = np.asarray(films.images)
    both = films.table.assign(label=["edema", "mass"] * 3)
    assert Cohort(images, both, ["edema", "mass"]).task == "binary"
    assert Cohort(images, both, ["edema", "mass"], task="multilabel").targets.shape == (6, 2)
    assert Cohort(images, films.table, ["mass"]).targets.shape == (6, 1)
    integers = films.table.fillna(0).astype({"y_edema": int, "y_mass": bool})
    assert Cohort(images, integers, films.classes).targets.dtype == np.float64


def test_findings_merged_and_left_out():
    films = make_multilabel()
    table = films.table
    merged = films.relabel({"mass": "opacity", "edema": "opacity"})
    assert merged.classes == ("opacity",)
    assert len(merged) == 400
    either = (table["y_mass"] == 1) | (table["y_edema"] == 1)
    unknown = ~either & table["y_mass"].isna()
    assert np.array_equal(merged.targets[:, 0] == 1, either)
    assert np.array_equal(np.isnan(merged.targets[:, 0]), unknown)
    assert unknown.any()


def test_one_finding_against_its_absence():
    films = make_multilabel()
    mass = films.relabel({"mass": "mass"}, positive="mass")
    assert mass.task == "binary"
    assert mass.classes == ("no mass", "mass")
    assert len(mass) == 360
    assert mass.counts()["mass"] == films.counts()["mass"]
    assert np.array_equal(mass.read([5])[0], films.subset([mass.table.index[5]]).read([0])[0])
    with pytest.raises(CohortError, match="none of the new findings"):
        films.relabel({"mass": "mass"}, positive="edema")
    with pytest.raises(CohortError, match="no class"):
        films.relabel({"tumour": "mass"})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"table": make_multilabel(6).table.assign(y_mass=0.5)}, "'y_mass' outside 1 .*, 0 .* and NaN"),
        ({"table": make_multilabel(6).table.assign(y_mass="1")}, "'y_mass' outside 1 .*, 0 .* and NaN"),
        ({"table": make_multilabel(6).table.drop(columns="y_mass"), "task": "multilabel"}, "lacks the column.*y_mass"),
        ({"table": make_multilabel(6).table.drop(columns="group")}, "lacks the column.*group"),
        ({"task": "binary"}, "does not fit the 3 classes"),
        ({"classes": []}, "one or more"),
    ],
)
def test_findings_that_do_not_fit(changes, named):
    good = make_multilabel(6)
    with pytest.raises(CohortError, match=named):
        Cohort(**({"images": np.asarray(good.images), "table": good.table, "classes": good.classes} | changes))


def test_a_task_that_does_not_exist():
    with pytest.raises(ArgumentError, match="one of binary, multiclass, multilabel"):
        _broken(task="many")


def test_the_container_does_not_load_the_downloader():
    """What a cohort is must not depend on how images are fetched or decoded."""
    code = "import sys; import medcourse.data.cohort; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("medcourse.data.")}
    assert loaded == {f"medcourse.data.{name}" for name in ("cohort", "draws", "labels", "rows")}
    assert not {"pooch", "requests", "pydantic", "PIL"} & set(done.stdout.split())
