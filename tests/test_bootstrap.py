"""``mc.bootstrap``: any statistic of a table, by group, with the draws of ``mc.evaluate``."""

import numpy as np
import pandas as pd
import pytest

import medcourse as mc
from medcourse.errors import ArgumentError, EvaluationError
from medcourse.evaluation.bootstrap import Resampling


def films(n: int = 200, groups: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ill = (rng.random(n) < 0.4).astype(int)
    table = pd.DataFrame({"label": ill, "group": rng.integers(0, groups, n), "one": rng.random(n) < 0.5 + 0.3 * ill})
    return table.assign(two=rng.random(n) < 0.5, p_ill=np.clip(rng.normal(0.4 + 0.2 * ill, 0.2), 0, 1))


def sensitivity(table: pd.DataFrame) -> float:
    return float((table.loc[table["label"] == 1, "p_ill"] >= 0.5).mean())


@pytest.mark.parametrize("group", ["group", None])
def test_the_draws_are_those_of_evaluate(group: str | None):
    table = films()
    drawn = mc.bootstrap(table, sensitivity, n_boot=300, group=group, seed=3)
    pred = mc.Predictions(table, ("healthy", "ill"))
    expected = mc.evaluate(pred, n_boot=300, group=group, seed=3).loc["sensitivity"]
    columns = ["value", "low", "high"]
    assert drawn.loc["statistic", columns].tolist() == pytest.approx(expected[columns].tolist(), abs=1e-12)
    assert drawn.loc["statistic", "method"] == expected["method"]
    assert drawn.equals(mc.bootstrap(table, sensitivity, n_boot=300, group=group, seed=3))
    assert not drawn.equals(mc.bootstrap(table, sensitivity, n_boot=300, group=group, seed=4))


def test_row_weights_say_the_same_as_rows():
    table = films()
    plan = Resampling.of(table, n_boot=300)
    right = table["one"].to_numpy(dtype=float)
    samples = plan.samples([(np.arange(200), lambda w: (w @ right / w.sum(axis=1))[:, None])])[:, 0]
    low, high, _ = plan.limits(samples)[0]
    drawn = mc.bootstrap(table, lambda t: t["one"].mean(), n_boot=300)
    assert drawn.loc["statistic", ["low", "high"]].tolist() == pytest.approx([low, high])


def test_names_and_pairs():
    def shares(t: pd.DataFrame) -> pd.Series:
        one, two = t["one"].mean(), t["two"].mean()
        return pd.Series({"one": one, "two": two, "one minus two": one - two, "nothing": 0.0})

    found = mc.bootstrap(films(), shares, n_boot=400)
    assert list(found.index) == ["one", "two", "one minus two", "nothing"]
    assert found.index.name == "statistic"
    assert found.loc["one minus two", "value"] == pytest.approx(found.loc["one", "value"] - found.loc["two", "value"])
    assert found.loc["nothing", "method"].endswith("no width, every draw alike")


def test_tables_of_other_patients_are_drawn_apart():
    """Normal means: the interval of a difference is that of the textbook, also where both tables have equal sizes."""
    rng = np.random.default_rng(0)
    home, away = (pd.DataFrame({"x": rng.normal(mean, 1, 400)}) for mean in (0, 1))
    found = mc.bootstrap((home, away), lambda h, a: a["x"].mean() - h["x"].mean(), n_boot=2000, group=None)
    half = 1.96 * np.hypot(home["x"].std(), away["x"].std()) / 20
    low, high = found.loc["statistic", ["low", "high"]]
    assert (high - low) / 2 == pytest.approx(half, rel=0.08)
    assert found.attrs["method"].count("400 images") == 2


def test_two_copies_of_a_patient_are_two_patients():
    table = pd.DataFrame({"patient": np.repeat(np.arange(30), 2), "x": np.arange(60)})
    counts = mc.bootstrap(table, lambda t: t["patient"].nunique(), n_boot=50, group="patient")
    assert counts.loc["statistic", ["low", "high"]].tolist() == [30, 30]
    sizes = mc.bootstrap(table, lambda t: t.groupby("patient").size().max(), n_boot=50, group="patient")
    assert sizes.loc["statistic", ["low", "high"]].tolist() == [2, 2]


def test_undefined_draws_are_counted():
    table = pd.DataFrame({"label": [1, 1] + [0] * 18, "x": 1.0})
    found = mc.bootstrap(table, lambda t: t.loc[t["label"] == 1, "x"].mean(), n_boot=1000, group=None)
    assert found.loc["statistic", "undefined_draws"] == pytest.approx(1000 * 0.9**20, rel=0.25)
    assert found.loc["statistic", "value"] == found.loc["statistic", "low"] == 1
    never = mc.bootstrap(table, lambda _: np.nan, n_boot=40, group=None).loc["statistic"]
    assert never["method"] == "undefined"
    assert never["undefined_draws"] == 40


def test_without_an_interval():
    table = films()
    alone = mc.bootstrap(table, sensitivity, ci=None)
    assert alone.loc["statistic", "value"] == sensitivity(table)
    assert alone[["low", "high"]].isna().all(axis=None)
    one = mc.bootstrap(table.assign(group="g"), sensitivity, n_boot=40)
    assert one.loc["statistic", "method"] == "no interval: there is one group only"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ci": 95}, ArgumentError, "ci=95"),
        ({"n_boot": 10}, ArgumentError, "40 or more"),
        ({"seed": 0.5}, ArgumentError, "seed=0.5"),
        ({"group": "patient"}, EvaluationError, "group='patient'"),
        ({"group": ["group"]}, EvaluationError, r"group=\['group'\]"),
        ({"table": films().iloc[:0]}, EvaluationError, "none may be empty"),
        ({"table": ()}, EvaluationError, "give a DataFrame"),
        ({"statistic": lambda t: "many"}, EvaluationError, "str 'many'"),
        ({"statistic": lambda t: t["one"].to_numpy()}, EvaluationError, "ndarray"),
    ],
)
def test_what_does_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        mc.bootstrap(**({"table": films(), "statistic": sensitivity} | arguments))
