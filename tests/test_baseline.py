"""The simple baseline: it finds what lies in colour and brightness, nothing else, and learns from training alone."""

import numpy as np
import pandas as pd
import pytest

import medcourse as mc
from medcourse.data.cohort import Cohort
from medcourse.errors import EvaluationError
from tests.conftest import make_cohort, make_multilabel


def coloured(n: int, redder: int, seed: int, classes: tuple[str, ...] = ("nevus", "melanoma")) -> Cohort:
    """Noise of random brightness in 3 channels; class k has ``k * redder`` more red (as much less green)."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % len(classes)
    pixels = rng.integers(60, 160, (n, 1, 1, 1)) + rng.integers(0, 30, (n, 3, 16, 16))
    pixels[:, 0] += redder * label[:, None, None]
    pixels[:, 1] -= redder * label[:, None, None]
    table = pd.DataFrame(
        {"label": np.array(classes)[label], "group": [f"g{seed}-{k}" for k in range(n)], "dx_type": "histo"},
        index=[f"i{seed}-{k}" for k in range(n)],
    )
    return Cohort(pixels.astype(np.uint8), table, classes)


def auroc(pred: mc.Predictions) -> float:
    return float(mc.evaluate(pred, n_boot=100, seed=0).loc["auroc", "value"])


def test_a_planted_colour_is_found():
    train, test = coloured(200, 8, seed=0), coloured(100, 8, seed=1)
    pred = mc.simple_baseline(train, test)
    assert auroc(pred) > 0.99
    assert pred.table.drop(columns=["p_nevus", "p_melanoma"]).equals(test.table)
    assert pred.classes == ("nevus", "melanoma")
    assert np.allclose(pred.probabilities.sum(1), 1)


def test_noise_gives_a_coin():
    scores = [auroc(mc.simple_baseline(coloured(300, 0, seed=k), coloured(300, 0, seed=k + 50))) for k in range(4)]
    assert np.mean(scores) == pytest.approx(0.5, abs=0.05)


def test_grey_images_and_three_classes():
    grey = mc.simple_baseline(make_cohort(60, seed=0), make_cohort(40, seed=1))
    assert auroc(grey) > 0.95
    names = ("a", "b", "c")
    pred = mc.simple_baseline(coloured(300, 15, 0, names), coloured(90, 15, 1, names))
    assert pred.task == "multiclass"
    assert (pred.called() == pred.targets).mean() > 0.9


def test_no_test_image_and_no_test_label_influences_the_fit():
    train, test = coloured(200, 3, seed=0), coloured(80, 3, seed=1)
    whole = mc.simple_baseline(train, test)
    few = test.subset(np.arange(80) < 7)
    assert np.allclose(mc.simple_baseline(train, few).probabilities, whole.probabilities[:7], atol=1e-12)
    other = np.asarray(test.images).copy()
    other[7:] = 255
    turned = test.table.assign(label=test.table["label"].iloc[::-1].to_numpy())
    changed = mc.simple_baseline(train, Cohort(other, turned, test.classes))
    assert np.allclose(changed.probabilities[:7], whole.probabilities[:7], atol=1e-12)


def test_every_call_gives_the_same():
    train, test = coloured(100, 3, seed=0), coloured(50, 3, seed=1)
    first = mc.simple_baseline(train, test).probabilities
    assert np.array_equal(mc.simple_baseline(train, test).probabilities, first)
    assert np.array_equal(mc.simple_baseline(train, test).probabilities, first)


def test_a_statistic_that_never_changes_does_no_harm():
    train, test = coloured(100, 8, seed=0), coloured(50, 8, seed=1)
    flat = [
        Cohort(np.repeat(np.asarray(c.images)[:, :, :1, :1], 16, 2).repeat(16, 3), c.table, c.classes)
        for c in (train, test)
    ]
    assert np.isfinite(mc.simple_baseline(*flat).probabilities).all()


def test_the_drawn_camera_is_learned_and_misleads_where_it_is_not_linked():
    def pair(link: float, seed: int) -> Cohort:
        skin = mc.phantom.skin(900, size=24, camera_link=link, seed=seed)
        return skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")

    train = pair(1, 1)
    linked, free = mc.simple_baseline(train, pair(1, 2)), mc.simple_baseline(train, pair(0, 3))
    assert auroc(linked) > auroc(free) + 0.1
    followed = linked.subset((linked.table["label"] == "melanoma") | (linked.table["dx_type"] == "follow_up"))
    assert auroc(followed) > 0.95


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (make_multilabel(), make_multilabel(), r"multilabel.*relabel\(\{'edema': 'edema'\}, positive='edema'\)"),
        (make_cohort(), make_cohort(channels=3), r"1 channel\(s\), 16 px; .* 3 channel\(s\), 16 px"),
        (make_cohort(), make_cohort(size=20), "16 px; .* 20 px"),
        (make_cohort(), make_cohort(classes=("healthy", "sick")), "healthy, ill.* healthy, sick"),
        (make_cohort(), make_cohort(classes=("ill", "healthy")), "healthy, ill.* ill, healthy"),
        (make_cohort().subset(lambda t: t["label"] == "ill"), make_cohort(), "no image of healthy"),
        (make_cohort().table, make_cohort(), "train is of type DataFrame; give a Cohort"),
    ],
)
def test_cohorts_that_do_not_fit_are_refused(train: Cohort, test: Cohort, said: str):
    with pytest.raises(EvaluationError, match=said):
        mc.simple_baseline(train, test)


@pytest.mark.realdata
def test_colours_tell_melanomas_from_nevi_of_another_camera_better_than_from_excised_ones():
    skin = mc.load("ham10000", size=64).relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
    scores = {}
    for name, cohort in (("all", skin), ("excised", skin.subset(skin.table["dx_type"] == "histo"))):
        splits = mc.split(cohort, test=0.25, val=0, seed=0)
        scores[name] = auroc(mc.simple_baseline(splits.train, splits.test))
    assert 0.78 < scores["all"] < 0.88
    assert 0.62 < scores["excised"] < scores["all"]
