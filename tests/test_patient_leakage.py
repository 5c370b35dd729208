"""The study patient-leakage on few images: what its sets hold, and a report of every arm."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import medcourse as mc
from medcourse import cli
from medcourse.errors import SplitError
from medcourse.studies import patient_leakage
from medcourse.studies.leakage_report import PAIRS, report
from medcourse.studies.patient_leakage import ARMS, draw_sets, nearest, swapped, thumbnails, tossed
from medcourse.studies.results import Outcome, Results
from tests.conftest import make_cohort


@pytest.fixture
def few(monkeypatch):
    """200 images, two of each lesion, of which 120 are sampled."""
    monkeypatch.setattr(patient_leakage, "IMAGES", 120)
    return make_cohort(n=200, classes=("nevus", "melanoma"), channels=3)


def test_both_training_sets_have_the_same_size_and_one_holds_no_tested_lesion(few):
    sets = draw_sets(few, seed=0)
    tested = set(sets.test.table["group"])
    assert tested & set(sets.leaky.table["group"])
    assert not tested & set(sets.clean.table["group"])
    assert sets.clean.counts().equals(sets.leaky.counts())
    assert sets.clean.table["group"].nunique() == sets.leaky.table["group"].nunique(), "one lesion for each lesion"
    kept = sets.leaky.table.index[~sets.leaky.table["group"].isin(tested)]
    assert sets.clean.table.index[: len(kept)].equals(kept), "what did not leak stays"
    assert set(sets.siblings) == {0, 1}
    assert (sets.siblings > 0).tolist() == patient_leakage.was_seen(sets.leaky, sets.test).tolist()


def test_a_large_group_gives_way_to_several_small_ones():
    table = pd.DataFrame({"group": [*"aaaa", "b", "c", "d", "e", "f"], "label": ["ill"] * 8 + ["well"]})
    cohort = mc.Cohort(
        np.zeros((9, 1, 16, 16), np.uint8), table.set_index(pd.Index([*"0123456789"[:9]])), ["well", "ill"]
    )
    train, test = cohort.subset(["1", "2", "3", "8"]), cohort.subset(["0"])
    clean = swapped(cohort, train, test, seed=0)
    assert clean.table.index[0] == "8"
    assert len(clean) == 4
    assert set(clean.table["group"]) < set("bcdef")
    with pytest.raises(SplitError, match="too few images of 'ill' outside"):
        swapped(cohort.subset(["0", "1", "2", "3", "4", "8"]), train, test, seed=0)


def test_a_coin_gives_all_images_of_a_lesion_one_label_that_says_nothing(few):
    toss = tossed(few, seed=0)
    assert toss.table.groupby("group")["label"].nunique().max() == 1
    assert abs((toss.targets == few.targets).mean() - 0.5) < 0.15
    assert not tossed(few, seed=1).table["label"].equals(toss.table["label"])
    assert np.array_equal(toss.read([3]), few.read([3]))


def test_the_nearest_image(few):
    small = thumbnails(few, side=4)
    assert small.shape == (200, 3 * 4 * 4)
    assert small[7].mean() == pytest.approx(few.read([7]).mean(), rel=1e-5)
    assert nearest(small, small[[5, 9]] * 1.0).tolist() == [5, 9]


def test_every_arm_and_what_is_told(few, tmp_path, monkeypatch):
    monkeypatch.setattr(patient_leakage, "images_of", lambda data, *_, **__: tossed(few, 0) if data == "coin" else few)
    built, build = [], mc.build_model

    def small(name, train, seed):  # a ResNet18 is slow
        built.append(name)
        return build("simple-cnn", train, seed=seed)

    monkeypatch.setattr(mc, "build_model", small)
    given = {"size": 16, "seeds": 2, "epochs": 5, "device": "cpu", "jobs": 1, "out": tmp_path}
    command = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    done = CliRunner().invoke(cli.app, ["reproduce", "patient-leakage", *command], catch_exceptions=False)
    table = pd.read_csv(tmp_path / "patient-leakage.csv")
    assert table["arm"].drop_duplicates().tolist() == list(ARMS)
    assert table["value"].notna().all()
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in lines[1 : 1 + len(PAIRS)]] == list(PAIRS)
    assert "| epoch 05 " in done.stdout
    assert "| 0 siblings " in done.stdout
    assert "found by chance" in done.stdout
    assert "auroc of 'was seen', every nevus" in done.stdout
    values = table[table["seed"] == 0].pivot_table("value", "metric", "arm")
    assert values.loc["auroc", "coin, by image"] == values.loc["auroc, epoch 05", "coin, by image"]
    assert values.loc["auroc", "skin, by image, cnn"] == values.loc["auroc, epoch 01", "skin, by image, cnn"]
    assert values.loc["auroc", "skin, by image, long cnn"] == values.loc["auroc, epoch 05", "skin, by image, long cnn"]
    assert built.count("resnet18") == 2 * sum("resnet18" in arm for arm in ARMS)


def test_a_report_of_some_arms_says_nothing_about_the_others(tmp_path):
    arms = PAIRS["skin, resnet18"]
    values = {f"{name}, epoch {epoch}": 0.6 for name in ("auroc", "loss in training") for epoch in ("01", "02")}
    values |= {"auroc": 0.6, "nearest auroc": 0.5, "score of the truth, 0 siblings": 0.5, "found by chance": 0.1}
    results = Results(tmp_path, "patient-leakage")
    settings = {"size": 32, "epochs": 2, "device": "cuda"}
    for seed in range(2):
        outcomes = {arm: Outcome({"test": {name: value + seed / 10 for name, value in values.items()}}) for arm in arms}
        results.add(settings, outcomes, {"seed": seed, "torch": "2", "seconds": 1.0}, list(ARMS))
    told = report(results.matching(settings))
    assert "0.65 to 0.65" in told
    assert "'resnet18': from random weights" in told
    assert "cnn" not in told
    assert "coin" not in told
    assert "| measure         | skin, resnet18 " in told


@pytest.mark.realdata
@pytest.mark.parametrize(("data", "least", "most"), [("skin", 0.0, 0.05), ("films", 0.2, 0.5)])
def test_excised_lesions_leak_alike_and_children_with_pneumonia_leak_more(data, least, most):
    sets = draw_sets(patient_leakage.images_of(data, size=64), seed=0)
    assert (len(sets.leaky), len(sets.clean), len(sets.test)) == (1600, 1600, 400)
    seen, ill = sets.siblings > 0, sets.test.targets == 1
    assert least <= abs(seen[ill].mean() - seen[~ill].mean()) < most
