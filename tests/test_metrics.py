import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from medcourse.errors import ArgumentError, EvaluationError, LeakageError
from medcourse.evaluation.exact import clopper_pearson_at_edge, predictive_values
from medcourse.evaluation.metrics import compare, evaluate
from medcourse.evaluation.predictions import Predictions
from medcourse.evaluation.ranking import METRICS, Ranking, against_rest, auroc, aurocs, recalls
from medcourse.evaluation.thresholds import confusion
from tests.conftest import predictions


def simulate(n: int = 200, prevalence: float = 0.3, decimals: int = 9, seed: int = 0, shift: float = 1.5):
    rng = np.random.default_rng(seed)
    targets = (rng.random(n) < prevalence).astype(int)
    scores = 1 / (1 + np.exp(-rng.normal(shift * (targets - 0.5))))
    return targets, scores.round(decimals)


def by_sklearn(targets, scores, threshold, weights=None) -> dict[str, float]:
    called = scores >= threshold
    w = {"sample_weight": weights}
    recall = sk.recall_score(targets, called, **w), sk.recall_score(targets, called, pos_label=0, **w)
    return {
        "sensitivity": recall[0],
        "specificity": recall[1],
        "ppv": sk.precision_score(targets, called, **w),
        "npv": sk.precision_score(targets, called, pos_label=0, **w),
        "accuracy": sk.accuracy_score(targets, called, **w),
        "balanced accuracy": sum(recall) / 2,
        "f1": sk.f1_score(targets, called, **w),
        "mcc": sk.matthews_corrcoef(targets, called, **w),
        "auroc": sk.roc_auc_score(targets, scores, **w),
        "average precision": sk.average_precision_score(targets, scores, **w),
        "brier": sk.brier_score_loss(targets, scores, **w),
    }


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("decimals", [9, 2, 1])
@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.7])
def test_values_are_scikit_learns_also_with_ties(decimals: int, threshold: float):
    targets, scores = simulate(decimals=decimals, seed=decimals)
    table = evaluate(predictions(targets, scores), threshold, n_boot=40)
    assert tuple(table.index) == METRICS
    assert list(table.columns) == ["value", "low", "high", "method", "undefined_draws"]
    assert table["value"].to_dict() == pytest.approx(by_sklearn(targets, scores, threshold), abs=1e-12)


@pytest.mark.parametrize("decimals", [9, 1])
def test_draws_are_scikit_learns_weighted_metrics(decimals: int):
    targets, scores = simulate(60, decimals=decimals)
    weights = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=8)
    ranking = Ranking(targets, scores, scores >= 0.5)
    found = ranking.metrics(weights[:, ranking.order])
    restated = ranking.metrics(weights[:, ranking.order], prevalence=0.05)
    for k, row in enumerate(weights):
        assert dict(zip(METRICS, found[k], strict=True)) == pytest.approx(
            by_sklearn(targets, scores, 0.5, row), abs=1e-12
        )
        ill = (row * targets).sum()
        at_5_percent = row * np.where(targets == 1, 0.05 / ill, 0.95 / (row.sum() - ill))
        assert dict(zip(METRICS, restated[k], strict=True)) == pytest.approx(
            by_sklearn(targets, scores, 0.5, at_5_percent), abs=1e-12
        )


def test_auroc_by_counting_pairs():
    targets, scores = [1, 1, 0, 0, 0], [0.8, 0.4, 0.4, 0.4, 0.9]  # 2 + 2/2 of 6 pairs
    assert auroc(targets, scores) == 3 / 6
    assert auroc([True, False], [2.0, -3.0]) == 1.0
    assert auroc([1, 0], [-3.0, 2.0]) == 0.0
    assert auroc([0, 1, 0, 1], [0.3] * 4) == 0.5
    assert np.isnan(auroc([1, 1], [0.1, 0.2]))
    assert np.isnan(auroc([], []))
    for wrong in (([0, 2], [0.1, 0.2]), ([0, 1], [0.1, np.nan]), ([0, 1], [0.1])):
        with pytest.raises(EvaluationError):
            auroc(*wrong)


# ---------------------------------------------------------------- intervals


def test_interval_of_a_proportion_is_near_the_textbooks():
    targets = np.repeat([1, 0], [300, 300])
    scores = np.where(np.arange(600) % 10 < 8, targets, 1 - targets) * 0.8 + 0.1  # 80 % called right in each class
    table = evaluate(predictions(targets, scores), n_boot=4000)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 300)
    assert table.loc["sensitivity", "low"] == pytest.approx(0.8 - half, abs=0.006)
    assert table.loc["sensitivity", "high"] == pytest.approx(0.8 + half, abs=0.006)
    assert (table["method"] == "bootstrap of images").all()
    assert table.attrs["method"] == "95 % percentile limits of a bootstrap: 600 images, 4000 draws"
    assert (table["undefined_draws"] == 0).all()
    narrow = evaluate(predictions(targets, scores), n_boot=4000, ci=0.8)
    assert narrow.loc["sensitivity", "high"] == pytest.approx(0.8 + half * 1.2816 / 1.96, abs=0.006)


def test_copies_of_images_do_not_make_the_interval_narrower():
    targets, scores = simulate(80)
    once = evaluate(predictions(targets, scores))
    four = predictions(np.tile(targets, 4), np.tile(scores, 4), group=np.tile(np.arange(80), 4))
    by_group, by_image = evaluate(four), evaluate(four, group=None)
    width = {name: t["high"] - t["low"] for name, t in {"once": once, "group": by_group, "image": by_image}.items()}
    assert width["group"].to_numpy() == pytest.approx(width["once"].to_numpy(), abs=1e-9)
    ratio = (width["group"] / width["image"]).drop(["f1", "mcc"])
    assert ((ratio > 1.7) & (ratio < 2.4)).all()  # about sqrt(4)
    assert by_group.loc["auroc", "method"] == "bootstrap of groups"
    assert by_group.attrs["method"].endswith(": 80 groups, 2000 draws")
    assert by_image.attrs["method"].endswith(": 320 images, 2000 draws")


def test_the_interval_covers_the_truth_in_clustered_data():
    """Four images per patient that share most of their luck: image by image, the 90 % interval is far too narrow."""
    rng = np.random.default_rng(0)
    hits = {"group": 0, None: 0}
    for _ in range(150):
        targets = np.repeat(np.arange(120) % 2, 4)
        luck = np.repeat(rng.normal(size=120), 4) + 0.3 * rng.normal(size=480)
        scores = 1 / (1 + np.exp(-(2 * targets - 1 + luck)))
        pred = predictions(targets, scores, group=np.repeat(np.arange(120), 4))
        truth = 0.8309  # P(N(1, sqrt(1.09)) > 0)
        for group in hits:
            low, high = evaluate(pred, ci=0.9, n_boot=200, group=group).loc["sensitivity", ["low", "high"]]
            hits[group] += low <= truth <= high
    assert 0.82 < hits["group"] / 150 < 0.96
    assert hits[None] / 150 < 0.75


def test_same_seed_same_interval():
    pred = predictions(*simulate())
    a, b, c = (evaluate(pred, n_boot=100, seed=s) for s in (4, 4, 5))
    pd.testing.assert_frame_equal(a, b)
    assert not a["low"].equals(c["low"])


# ---------------------------------------------------------------- at the edges


def test_clopper_pearson_of_known_numbers():
    assert clopper_pearson_at_edge(0.0, 58) == (0.0, pytest.approx(0.0616, abs=5e-5))
    assert clopper_pearson_at_edge(1.0, 10) == (pytest.approx(0.6915, abs=5e-5), 1.0)  # Clopper & Pearson 1934
    assert clopper_pearson_at_edge(0.0, 1, ci=0.9) == (0.0, pytest.approx(0.95))


def test_collapsed_onto_the_healthy_class():
    targets = np.repeat([1, 0], [58, 442])
    table = evaluate(predictions(targets, np.full(500, 0.2)), n_boot=200)
    assert table.loc["sensitivity", ["value", "low", "high"]].tolist() == [0, 0, pytest.approx(0.0616, abs=5e-5)]
    assert table.loc["sensitivity", "method"] == "Clopper-Pearson (58 images)"
    assert table.loc["specificity", "low"] == pytest.approx(0.025 ** (1 / 442))
    assert table.loc["accuracy", "value"] == 442 / 500
    assert table.loc["balanced accuracy", ["value", "low", "high"]].tolist() == [0.5, 0.5, 0.5]
    for name, why in {"ppv": "no image is called positive", "mcc": "no image is called positive"}.items():
        assert table.loc[name, ["value", "low", "high"]].isna().all()
        assert table.loc[name, "method"] == f"undefined: {why}"
        assert table.loc[name, "undefined_draws"] == 200
    assert table.loc["auroc", ["value", "low", "high"]].tolist() == [0.5, 0.5, 0.5]
    for name in ("auroc", "f1", "balanced accuracy"):  # said, not hidden
        assert table.loc[name, "method"] == "bootstrap of images: no width, every draw alike"


@pytest.mark.parametrize("prevalence", [None, 0.01, 0.3, 0.97])
@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_is_not_certain(prevalence: float | None, right: bool):
    targets = np.repeat([1, 0], [20, 60])
    scores = np.where(right, targets, 1 - targets) * 1.0
    table = evaluate(predictions(targets, scores, group=np.arange(80) // 2), n_boot=60, prevalence=prevalence)
    proportions = table.loc[["sensitivity", "specificity", "ppv", "npv", "accuracy"]]
    assert (proportions["value"] == right).all()
    certain, other = ("high", "low") if right else ("low", "high")
    assert (proportions[certain] == right).all()
    assert (np.abs(proportions[other] - right) > 0.0001).all()
    limit = 0.025 ** (1 / 10)  # 10 groups, not 20 images
    assert proportions.loc["sensitivity", other] == pytest.approx(limit if right else 1 - limit)
    assert proportions.loc["specificity", "method"] == "Clopper-Pearson (30 groups)"
    if prevalence is None:
        assert proportions.loc["accuracy", "method"] == "Clopper-Pearson (40 groups)"
    others = table.drop(index=[*proportions.index, *([] if right else ["average precision"])])  # its worst is not 0
    assert (others["low"] == others["high"]).all()
    assert (others["method"] == "bootstrap of groups: no width, every draw alike").all()


def test_a_class_is_missing():
    table = evaluate(predictions([0] * 9, np.linspace(0.1, 0.9, 9)), n_boot=60)
    undefined = table.index[table["value"].isna()]
    assert set(undefined) == {"sensitivity", "balanced accuracy", "mcc", "auroc", "average precision"}
    assert set(table.loc[undefined, "method"]) == {"undefined: there is no positive image"}
    assert table.loc["ppv", "value"] == table.loc["f1", "value"] == 0
    restated = evaluate(predictions([0] * 9, np.linspace(0.1, 0.9, 9)), n_boot=60, prevalence=0.5)
    assert restated["value"].notna().sum() == 1  # specificity


def test_undefined_draws_are_counted_and_left_out():
    targets = np.array([1, 1] + [0] * 18)
    table = evaluate(predictions(targets, np.linspace(0.9, 0.1, 20)), threshold=0.8, n_boot=1000)
    expected = 1000 * (18 / 20) ** 20  # draws without a positive image
    assert table.loc["sensitivity", "undefined_draws"] == pytest.approx(expected, rel=0.25)
    assert table.loc["specificity", "undefined_draws"] == 0
    assert table[["low", "high"]].notna().all(axis=None)


def test_one_group_has_no_bootstrap():
    table = evaluate(predictions([0, 1, 0, 1], [0.2, 0.4, 0.6, 0.8], group=["one"] * 4), n_boot=60)
    assert table.loc["accuracy", "method"] == "no interval: there is one group only"
    assert table[["low", "high"]].isna().all(axis=None)


# ---------------------------------------------------------------- prevalence


def test_restated_at_a_prevalence_by_hand():
    targets = np.repeat([1, 0], [100, 100])
    scores = np.concatenate([np.repeat([0.9, 0.2], [90, 10]), np.repeat([0.9, 0.2], [20, 80])])  # 90 %, 80 %
    pred = predictions(targets, scores)
    asis, table = evaluate(pred, n_boot=200), evaluate(pred, n_boot=200, prevalence=0.01)
    value = table["value"]
    tp, fn, fp, tn = 0.009, 0.001, 0.198, 0.792
    assert value["ppv"] == pytest.approx(tp / (tp + fp))
    assert value["npv"] == pytest.approx(tn / (tn + fn))
    assert value["accuracy"] == pytest.approx(0.801)
    assert value["f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert value["mcc"] == pytest.approx((tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    assert value["average precision"] == pytest.approx(0.9 * tp / (tp + fp) + 0.1 * 0.01)
    assert value["brier"] == pytest.approx(tp * 0.01 + fn * 0.64 + fp * 0.81 + tn * 0.04)
    same = ["sensitivity", "specificity", "balanced accuracy", "auroc"]
    pd.testing.assert_frame_equal(table.loc[same], asis.loc[same])
    assert table.loc["ppv", "high"] < 0.1 < asis.loc["ppv", "low"]


def test_ppv_of_one_at_a_prevalence_follows_from_exact_limits():
    targets = np.repeat([1, 0], [100, 100])
    scores = np.concatenate([np.repeat([0.9, 0.2], [90, 10]), np.full(100, 0.2)])  # 90 %, 100 %
    table = evaluate(predictions(targets, scores), n_boot=200, prevalence=0.01)
    ppv = table.loc["ppv"]
    expected = predictive_values(table.loc["sensitivity", "low"], 0.025 ** (1 / 100), 0.01).ppv
    assert (ppv["value"], ppv["high"], ppv["method"]) == (1, 1, "from exact limits")
    assert ppv["low"] == pytest.approx(expected)
    assert ppv["low"] < 0.25  # 100 healthy images cannot show a PPV at 1 %


def test_predictive_values_by_bayes():
    ppv, npv = predictive_values(0.9, 0.8, 0.01)
    assert (ppv, npv) == (pytest.approx(0.009 / 0.207), pytest.approx(0.792 / 0.793))
    many = predictive_values([0.9, 0.0], 1.0, [[0.5], [1.0]])
    assert many.ppv == pytest.approx(np.array([[1, np.nan], [1, np.nan]]), nan_ok=True)
    assert many.npv == pytest.approx(np.array([[0.5 / 0.55, 0.5], [0, 0]]))
    for wrong in ((90, 0.8, 0.1), (0.9, -0.1, 0.1), (0.9, 0.8, np.nan), ("x", 0.8, 0.1), ([0.1] * 2, [0.1] * 3, 0.1)):
        with pytest.raises(ArgumentError):
            predictive_values(*wrong)


# ---------------------------------------------------------------- compare


def test_compare_is_paired_and_aligned():
    targets, scores = simulate(300)
    better = np.clip(scores + 0.15 * (targets - 0.5), 0, 1)
    before, after = predictions(targets, scores), predictions(targets, better)
    shuffled = Predictions(after.table.sample(frac=1, random_state=0), after.classes)
    table = compare(before, shuffled, n_boot=500)
    pd.testing.assert_frame_equal(table, compare(before, after, n_boot=500))
    a, b = evaluate(before, n_boot=500), evaluate(after, n_boot=500)
    assert list(table.columns) == ["before", "after", "difference", "low", "high", "method", "undefined_draws"]
    assert table["difference"].to_numpy() == pytest.approx((b["value"] - a["value"]).to_numpy(), abs=1e-12)
    row = table.loc["auroc"]
    assert 0 < row["low"] < row["difference"] < row["high"]
    unpaired = np.hypot(*(t.loc["auroc", "high"] - t.loc["auroc", "low"] for t in (a, b)))
    assert row["high"] - row["low"] < 0.6 * unpaired


def test_compare_thresholds_and_draws_alike():
    pred = predictions(*simulate())
    table = compare(pred, pred, threshold=(0.5, 0.3), n_boot=100)
    assert table.loc["sensitivity", "difference"] > 0
    assert table.loc["auroc", ["difference", "low", "high"]].tolist() == [0, 0, 0]
    assert table.loc["auroc", "method"].endswith("every draw alike")
    assert not table.loc["sensitivity", "method"].endswith("alike")
    none = compare(pred, pred, threshold=(2, 0.5), n_boot=100).loc["ppv"]
    assert np.isnan(none["difference"])
    assert none["method"].startswith("undefined before")


def test_compare_refuses_other_images_labels_and_classes():
    targets, scores = simulate(20)
    pred = predictions(targets, scores)
    with pytest.raises(EvaluationError, match=r"1 are on one only, .*\['i0'\]"):
        compare(pred, pred.subset(np.arange(20) > 0))
    with pytest.raises(EvaluationError, match="20 images have another label"):
        compare(pred, predictions(1 - targets, scores))
    with pytest.raises(EvaluationError, match="classes"):
        compare(pred, Predictions(pred.table, ("ill", "healthy")))
    with pytest.raises(ArgumentError, match="a pair"):
        compare(pred, pred, threshold=(0.1, 0.2, 0.3))  # type: ignore[arg-type]


# ---------------------------------------------------------------- more than two classes, findings


def three_classes(n: int = 150, seed: int = 0, never: str = "") -> Predictions:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, n)
    p = rng.dirichlet([1, 1, 1], n) + np.eye(3)[targets] * rng.random((n, 1))
    names = ("a", "b", "c")
    p[:, [name == never for name in names]] = 0
    p /= p.sum(axis=1, keepdims=True)
    table = pd.DataFrame(
        {"label": targets, "group": rng.integers(0, 60, n), **{f"p_{k}": v for k, v in zip(names, p.T, strict=True)}}
    )
    return Predictions(table, names)


def test_each_class_against_the_rest_by_scikit_learn():
    pred = three_classes()
    table = evaluate(pred, n_boot=200)
    assert list(table.index.get_level_values("class").unique()) == ["a", "b", "c", "macro"]
    called = pred.called()
    for k, name in enumerate(pred.classes):
        truth, score = (pred.targets == k).astype(int), pred.probabilities[:, k]
        by_hand = by_sklearn(truth, score, 0.5) | {
            "sensitivity": sk.recall_score(truth, called == k),
            "specificity": sk.recall_score(truth, called == k, pos_label=0),
            "ppv": sk.precision_score(truth, called == k),
            "f1": sk.f1_score(truth, called == k),
            "mcc": sk.matthews_corrcoef(truth, called == k),
        }
        for metric in ("sensitivity", "specificity", "ppv", "f1", "mcc", "auroc", "average precision", "brier"):
            assert table.loc[(name, metric), "value"] == pytest.approx(by_hand[metric]), (name, metric)
    macro = table.loc["macro"]
    assert macro["value"].to_numpy() == pytest.approx(table["value"].to_numpy().reshape(4, 11)[:3].mean(axis=0))
    assert macro.loc["auroc", "value"] == pytest.approx(
        sk.roc_auc_score(pred.targets, pred.probabilities, multi_class="ovr")
    )
    assert macro.loc["sensitivity", "value"] == pytest.approx(sk.balanced_accuracy_score(pred.targets, called))
    assert ((macro["low"] < macro["value"]) & (macro["value"] < macro["high"])).all()
    widths = (table["high"] - table["low"]).to_numpy().reshape(4, 11)
    assert (widths[3] < widths[:3].max(axis=0)).all(), "a mean varies less than its parts"


def test_a_class_that_is_never_called():
    table = evaluate(three_classes(never="c"), n_boot=100)
    assert table.loc[("c", "sensitivity"), "method"].startswith("Clopper-Pearson")
    assert table.loc[("c", "ppv"), "method"] == "undefined: no image is called positive"
    assert table.loc[("macro", "ppv"), "value"] == pytest.approx(
        table.loc[[("a", "ppv"), ("b", "ppv")], "value"].mean()
    )
    assert table.loc[("macro", "ppv"), "method"] == "bootstrap of groups; mean of 2 of 3 classes"
    assert table.loc[("macro", "sensitivity"), "method"] == "bootstrap of groups"


def findings(n: int = 120, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame({"y_edema": rng.random(n) < 0.4, "y_mass": rng.random(n) < 0.2}).astype(float)
    scores = {f"p{name[1:]}": 0.6 * rng.random(n) + 0.4 * truth[name] for name in truth}
    truth.loc[::4, "y_mass"] = np.nan
    return Predictions(truth.assign(group=np.arange(n) // 2, **scores), ("edema", "mass"))


def test_each_finding_among_its_assessed_images():
    pred = findings()
    table = evaluate(pred, threshold=0.6, n_boot=300)
    for name in pred.classes:
        alone = evaluate(pred.finding(name), threshold=0.6, n_boot=300)
        assert table.loc[name, "value"].to_numpy() == pytest.approx(alone["value"].to_numpy())
        if name == "edema":  # assessed in all images, so the draws are the same
            pd.testing.assert_frame_equal(table.loc[name], alone, check_frame_type=False)
    assert table.loc[("macro", "auroc"), "value"] == pytest.approx(
        table["value"].xs("auroc", level="metric")[:2].mean()
    )
    with pytest.raises(EvaluationError, match="one disease"):
        evaluate(pred, prevalence=0.1)


def test_compare_more_than_one():
    pred = findings()
    better = Predictions(pred.table.assign(p_mass=pred.table["y_mass"].fillna(0.5)), pred.classes)
    table = compare(pred, better, n_boot=200)
    assert (table.loc["edema", "difference"] == 0).all()
    assert table.loc[("mass", "auroc"), "low"] > 0
    assert table.loc[("macro", "auroc"), "difference"] == pytest.approx(table.loc[("mass", "auroc"), "difference"] / 2)
    assert list(compare(three_classes(), three_classes(), n_boot=40).loc["macro", "difference"]) == [0] * 11
    less = compare(three_classes(), Predictions(three_classes(never="c").table, ("a", "b", "c")), n_boot=100)
    assert less.loc[("c", "ppv"), "method"] == "undefined after; see mc.evaluate"
    both = less.loc[[("a", "ppv"), ("b", "ppv")], "difference"].mean()
    assert less.loc[("macro", "ppv"), "difference"] == pytest.approx(both), "the same classes on both sides"
    other = Predictions(pred.table.assign(y_mass=1.0), pred.classes)
    with pytest.raises(EvaluationError, match="another label"):
        compare(pred, other)


def test_values_alone():
    for pred in (predictions(*simulate()), three_classes(), findings()):
        table, drawn = evaluate(pred, ci=None), evaluate(pred, n_boot=40)
        assert table["value"].equals(drawn["value"])
        assert list(table.columns) == list(drawn.columns)
        assert table[["low", "high"]].isna().all(axis=None)
        assert compare(pred, pred, ci=None)["low"].isna().all()


def test_arrays_of_several_columns():
    pred = three_classes()
    truth = against_rest(pred.targets, 3)
    assert aurocs(truth, pred.probabilities).mean() == pytest.approx(
        sk.roc_auc_score(pred.targets, pred.probabilities, multi_class="ovr")
    )
    called = against_rest(pred.called(), 3) == 1
    assert recalls(truth, called) == pytest.approx(sk.recall_score(pred.targets, pred.called(), average=None))
    some = findings()
    known = ~np.isnan(some.targets[:, 1])
    assert aurocs(some.targets, some.probabilities)[1] == sk.roc_auc_score(
        some.targets[known, 1], some.probabilities[known, 1]
    )
    assert np.isnan(recalls(np.zeros((4, 1)), np.ones((4, 1), dtype=bool))).all()


# ---------------------------------------------------------------- mistakes, speed


@pytest.mark.parametrize(
    "arguments",
    [
        {"ci": 95},
        {"ci": "95"},
        {"n_boot": 10},
        {"n_boot": None},
        {"n_boot": float("inf")},
        {"seed": -1},
        {"prevalence": 0},
        {"prevalence": 10},
        {"prevalence": "0.1"},
    ],
)
def test_arguments_outside_their_range(arguments):
    [(name, value)] = arguments.items()
    with pytest.raises(ArgumentError, match=f"{name}={value!r}"):
        evaluate(predictions(*simulate(40)), **arguments)


def test_groups_that_are_not_there_and_what_is_not_a_prediction():
    pred = predictions(*simulate(40), gaps=[None, "x"] * 20)
    with pytest.raises(EvaluationError, match=r"group='patient' .*'label', 'p_ill'"):
        evaluate(pred, group="patient")
    with pytest.raises(EvaluationError, match=r"20 images have none, e.g. \['i0'"):
        evaluate(pred, group="gaps")
    with pytest.raises(EvaluationError, match="NoneType"):
        evaluate(None)


@pytest.mark.parametrize("threshold", ["0.5", b"0.5", True, np.True_, None, float("nan"), ..., {0.5}], ids=repr)
def test_what_is_not_a_threshold(threshold):
    pred = predictions(*simulate(40))
    for ask in (evaluate, confusion, Predictions.called):
        with pytest.raises(ArgumentError, match="threshold"):
            ask(pred, threshold=threshold)
    for pair in (threshold, (threshold, 0.5), (0.5, threshold)):
        with pytest.raises(ArgumentError, match="threshold"):
            compare(pred, pred, threshold=pair)


@pytest.mark.parametrize("threshold", [np.float32(0.5), np.array(0.5), np.array([0.5]), pd.Series([0.5])])
def test_whatever_holds_one_number_is_a_threshold(threshold):
    pred = predictions(*simulate(40))
    pd.testing.assert_frame_equal(evaluate(pred, threshold, n_boot=40), evaluate(pred, 0.5, n_boot=40))
    pd.testing.assert_frame_equal(confusion(pred, threshold), confusion(pred, 0.5))


def test_one_array_of_no_dimension_is_one_threshold_for_both():
    pred = predictions(*simulate(40))
    assert compare(pred, pred, threshold=np.array(0.5), n_boot=40).loc["sensitivity", "difference"] == 0


def test_synthetic_images_are_refused():
    for yes, no in ((True, False), ("True", "False"), (1, 0), (1.0, 0.0), ("true", "false")):
        pred = predictions(*simulate(40), synthetic=[yes] * 3 + [no] * 37)
        with pytest.raises(LeakageError, match="synthetic images are not patients: 3 of 40") as refused:
            evaluate(pred)
        advice = str(refused.value).split("or evaluate ")[1]
        others = eval(advice, {"pred": pred})
        assert len(others) == 37, f"what the message says to do must work: {advice}"
        assert len(evaluate(others, n_boot=40)) == 11


def test_memory_of_a_step_is_small():
    pred = predictions(*simulate(10_000))
    tracemalloc.start()
    try:
        evaluate(pred, n_boot=100)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
