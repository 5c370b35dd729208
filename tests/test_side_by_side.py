"""Evaluations beside each other, in text."""

import numpy as np
import pandas as pd
import pytest

import medcourse as mc
from medcourse.errors import ArgumentError, EvaluationError


def table(**rows: tuple[float, float, float]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"]).rename_axis("metric")


PLAIN = table(auroc=(0.8123, 0.7, 0.9), ppv=(np.nan, np.nan, np.nan), f1=(0.5, np.nan, np.nan))
OTHER = table(auroc=(0.9, 0.8, 1.0), ppv=(0.25, 0.16, 0.44), f1=(0.5, 0.4, 0.6))
CHANGE = table(auroc=(0.0877, -0.001, 0.2), ppv=(np.nan, np.nan, np.nan), f1=(-0.001, np.nan, np.nan))
CHANGE = CHANGE.rename(columns={"value": "difference"})


def test_what_it_says():
    found = mc.side_by_side({"plain": PLAIN, "weighted": OTHER}, CHANGE)
    assert list(found.columns) == ["plain", "weighted", "difference"]
    assert found.index.name == "metric"
    assert found.loc["auroc"].tolist() == ["0.81 [0.70, 0.90]", "0.90 [0.80, 1.00]", "+0.09 [+0.00, +0.20]"]
    assert found.loc["ppv"].tolist() == ["undefined", "0.25 [0.16, 0.44]", "undefined"]
    certain = table(auroc=(1.0, 1.0, 1.0))
    assert mc.side_by_side({"perfect": certain}).loc["auroc", "perfect"] == "1.00", "without width it is not certain"
    assert found.loc["f1", ["plain", "difference"]].tolist() == ["0.50", "+0.00"], "never -0.00"


def test_rows_and_digits_and_several_differences():
    found = mc.side_by_side({"plain": PLAIN}, {"first": CHANGE, "second": CHANGE}, metrics=["f1", "auroc"], digits=1)
    assert list(found.index) == ["f1", "auroc"]
    assert list(found.columns) == ["plain", "first", "second"]
    assert found.loc["auroc", "plain"] == "0.8 [0.7, 0.9]"


def test_classes_stay_in_the_index():
    both = pd.concat({"edema": PLAIN, "macro": OTHER}, names=["class"])
    found = mc.side_by_side({"plain": both}, metrics=["f1", "auroc"])
    assert list(found.index) == [("edema", "f1"), ("edema", "auroc"), ("macro", "f1"), ("macro", "auroc")]
    assert found.loc[("macro", "auroc"), "plain"] == "0.90 [0.80, 1.00]"


def test_what_evaluate_compare_and_bootstrap_give():
    rng = np.random.default_rng(0)
    pred = mc.Predictions(pd.DataFrame({"label": rng.integers(0, 2, 50), "p_ill": rng.random(50)}), ("well", "ill"))
    tables = {"low": mc.evaluate(pred, 0.3, n_boot=40), "high": mc.evaluate(pred, 0.7, ci=None)}
    found = mc.side_by_side(tables, mc.compare(pred, pred, (0.3, 0.7), n_boot=40))
    assert found.shape == (11, 3)
    drawn = mc.bootstrap(pred.table, lambda t: {"mean": t["p_ill"].mean()}, n_boot=40)
    assert mc.side_by_side({"score": drawn}).loc["mean", "score"].startswith("0.")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"metrics": ["kappa"]}, EvaluationError, r"'plain' has no \['kappa'\]; it has .*auroc"),
        ({"comparisons": {"plain": CHANGE}}, EvaluationError, "different names"),
        ({"evaluations": {}}, EvaluationError, "give tables"),
        ({"digits": -1}, ArgumentError, "digits=-1"),
    ],
)
def test_what_does_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        mc.side_by_side(**({"evaluations": {"plain": PLAIN}} | arguments))
