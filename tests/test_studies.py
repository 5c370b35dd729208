"""Studies on small cohorts: they go on where they stopped, and the summary is paired by seed."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from medcourse import cli
from medcourse.errors import EvaluationError
from medcourse.evaluation.predictions import Predictions
from medcourse.studies import find_study, one_class_collapse
from medcourse.studies import results as study_results
from medcourse.studies.comparison import over_seeds, still_apart
from medcourse.studies.results import COLUMNS, SCORES, Outcome, Results, Runs
from tests.conftest import make_cohort

RUN = {"arm": "a", "seed": 0, "size": 16, "epochs": 1, "device": "cpu"}


def outcome(**test):
    return Outcome({"test": test})


@pytest.mark.parametrize("number", ["--size", "--seeds", "--epochs"])
def test_numbers_below_one_are_refused(number, tmp_path):
    with pytest.raises(EvaluationError, match=f"{number[2:]}=0: give 1 or more"):
        CliRunner().invoke(
            cli.app, ["reproduce", "skin-forum", number, "0", "--out", str(tmp_path)], catch_exceptions=False
        )


def test_results_grow_and_are_found_again(tmp_path):
    results = Results(tmp_path / "results", "s")
    assert not results.has(RUN)
    results.add(RUN, outcome(auroc=0.5, sensitivity=1.0), 1.0)
    again = Results(tmp_path / "results", "s")
    assert again.has(RUN)
    assert not again.has(RUN | {"seed": 1})
    assert not again.has(RUN | {"size": 64})
    again.add(RUN | {"seed": 1}, outcome(auroc=0.6), 1.0)
    again.add(RUN | {"seed": 1}, outcome(auroc=0.7), 1.0)  # another process was first: its values stay
    table = pd.read_csv(again.path)
    assert list(table.columns) == COLUMNS
    assert table["value"].tolist() == [0.5, 1.0, 0.6]
    assert table["study"].eq("s").all()


def test_two_processes_add_to_one_file(tmp_path):
    left, right = Results(tmp_path, "s"), Results(tmp_path, "s")
    left.add(RUN, outcome(auroc=0.5), 1.0)
    right.add(RUN | {"arm": "b"}, outcome(auroc=0.6), 1.0)
    left.add(RUN | {"arm": "c"}, outcome(auroc=0.7), 1.0)
    assert pd.read_csv(left.path)["arm"].tolist() == ["a", "b", "c"]


def test_figures_are_saved_by_their_runs_and_closed(tmp_path):
    results = Results(tmp_path, "s")
    open_before = plt.get_fignums()
    for size in (16, 32):
        drawn = {"maps-0": plt.figure(figsize=(1, 1))}
        results.add(RUN | {"size": size, "device": "cuda:0"}, Outcome({"test": {"auroc": 0.5}}, figures=drawn), 1.0)
    names = ["s-16px-1epochs-cuda0-maps-0.png", "s-32px-1epochs-cuda0-maps-0.png"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == names
    assert plt.get_fignums() == open_before


def three_scores(last=0.9):
    table = pd.DataFrame({"group": ["p1", "p1", "p2"], "label": ["well", "ill", "ill"], "p_ill": [0.1, 0.123456, last]})
    return Predictions(table.assign(p_well=1 - table["p_ill"]).set_index(pd.Index(["x", "y", "z"])), ["well", "ill"])


def test_scores_are_kept_image_by_image(tmp_path):
    pred, results = three_scores(), Results(tmp_path, "s")
    for seed in (0, 1):
        results.add(RUN | {"seed": seed}, Outcome({"test": {"auroc": 1.0}}, {"test": pred}), 1.0)
    scores = results.alike({"size": 16}).scores
    assert list(scores.columns) == SCORES
    assert scores["image_id"].tolist() == ["x", "y", "z"] * 2
    assert scores["target"].tolist() == [0, 1, 1] * 2
    assert scores["score"].tolist() == [0.1, 0.1235, 0.9] * 2
    assert results.alike({"size": 32}).scores.empty


def test_a_run_killed_between_its_scores_and_its_values_leaves_no_scores_behind(tmp_path, monkeypatch):
    def killed_before_the_values(path, *rest, **how):
        if path.suffix == ".csv":
            raise KeyboardInterrupt
        replace(path, *rest, **how)

    replace, done = study_results._replace, {"auroc": 1.0}
    results = Results(tmp_path, "s")
    results.add(RUN | {"arm": "b"}, Outcome({"test": done}, {"test": three_scores()}), 1.0)
    with monkeypatch.context() as patched:
        patched.setattr(study_results, "_replace", killed_before_the_values)
        with pytest.raises(KeyboardInterrupt):
            results.add(RUN, Outcome({"test": done}, {"val": three_scores(), "test": three_scores()}), 1.0)
    assert not results.has(RUN)
    assert len(pd.read_csv(results.scores_path)) == 9, "the kill came after the scores"
    results.add(RUN, Outcome({"test": done}, {"test": three_scores(0.8)}), 1.0)
    scores = pd.read_csv(results.scores_path)
    assert scores.groupby("arm")["score"].apply(list).to_dict() == {"b": [0.1, 0.1235, 0.9], "a": [0.1, 0.1235, 0.8]}
    assert set(scores["split"]) == {"test"}


def test_results_of_something_else_are_refused(tmp_path):
    (tmp_path / "s.csv").write_text("a,b\n1,2\n")
    with pytest.raises(EvaluationError, match="has the columns"):
        Results(tmp_path, "s")


def test_an_unknown_study_or_arm_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="Did you mean 'one-class-collapse'"):
        find_study("one-class-colapse")
    done = CliRunner().invoke(cli.app, ["reproduce", "one-class-collapse", "--arms", "prayer", "--out", str(tmp_path)])
    assert "no arm ['prayer']" in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_reproduce_runs_every_arm_once(tmp_path, monkeypatch):
    train = make_cohort(n=40, channels=3, classes=("nevus", "melanoma"))
    test = make_cohort(n=24, channels=3, classes=("nevus", "melanoma"), seed=1)
    monkeypatch.setattr(one_class_collapse, "sets", lambda size, seed: (train, test))
    command = [
        "reproduce",
        "one-class-collapse",
        "--size",
        "16",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
    ]
    first = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert (tmp_path / "one-class-collapse-16px-1epochs-cpu.png").stat().st_size > 5000
    assert [line.split(",")[0] for line in first.stdout.splitlines() if ", seed 0:" in line] == [
        arm.split(",")[0] for arm in one_class_collapse.ARMS
    ]
    second = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert ", seed 0:" not in second.stdout
    longer = CliRunner().invoke(cli.app, [*command, "--epochs", "2", "--arms", "baseline"], catch_exceptions=False)
    assert "weights" not in longer.stdout, "runs of one epoch are no part of a summary of two"
    assert "sorted, unshuffled" in second.stdout


def runs_of(values):
    """Runs from {(arm, seed): {metric: value}}."""
    rows = [
        {**RUN, "study": "s", "torch": "2", "seconds": 1.0, "split": "test"}
        | {"arm": arm, "seed": seed, "metric": metric, "value": value}
        for (arm, seed), metrics in values.items()
        for metric, value in metrics.items()
    ]
    return Runs(pd.DataFrame(rows)[COLUMNS], pd.DataFrame(columns=SCORES))


def test_summary_pairs_by_seed():
    values = {}
    for seed, base in enumerate((0.5, 0.6, 0.7)):
        for arm, gain in (("baseline", 0.0), ("weights", 0.1)):
            values[arm, seed] = {"one class": float(arm == "baseline"), "auroc": base, "sensitivity": 0.0}
            values[arm, seed] |= {"balanced accuracy": base + gain * (0.9 + 0.1 * seed), "specificity": 1.0}
    told = one_class_collapse.summary(runs_of(values))
    assert told.loc["baseline", "one class"] == "3 of 3"
    assert told.loc["weights", "one class"] == "0 of 3"
    assert told.loc["weights", "balanced accuracy - baseline"] == "+0.10 (+0.09 to +0.11)"
    assert "3 seed(s) of each arm" in one_class_collapse.report(runs_of(values))


def test_a_summary_without_the_baseline_has_no_differences():
    told = one_class_collapse.summary(runs_of({("weights", 0): dict.fromkeys(one_class_collapse.METRICS, 0.5)}))
    assert told.loc["weights", "auroc"] == "0.50"
    assert not any("baseline" in column for column in told.columns)


def test_differences_over_seeds_are_student_t():
    mean, low, high = over_seeds([0.1, 0.2, 0.3])
    assert (mean, low, high) == pytest.approx((0.2, 0.2 - 0.2484, 0.2 + 0.2484), abs=1e-4)  # t(2) = 4.303, sd = 0.1
    assert over_seeds([0.1, 0.2, 0.3], more=0.01)[2] > high
    assert np.isnan(over_seeds([0.1])[1])
    assert np.isnan(over_seeds([])[0])
    assert over_seeds([0.1, 0.1])[0] == 0.1
    assert np.isnan(over_seeds([0.1, 0.1])[1:]).all(), "no variation is no certainty"
    low, high = over_seeds([0.1, 0.1], more=0.0004)[1:]
    assert (low, high) == pytest.approx((0.1 - 0.0392, 0.1 + 0.0392), abs=1e-4), "what the seeds do not show is normal"


def test_what_is_left_after_the_correction():
    far, near = [0.30, 0.32, 0.28, 0.31, 0.29], [0.10, 0.05, 0.14, 0.06, 0.12]
    assert over_seeds(near)[1] > 0, "an interval without 0 on its own"
    together = {"far": partial(over_seeds, far), "near": partial(over_seeds, near)}
    many = together | {f"arm {k}": partial(over_seeds, [-0.1, 0.1]) for k in range(8)}
    assert still_apart(together).startswith("far +0.30 [")
    assert "near" in still_apart(together)
    assert "near" not in still_apart(many)
    assert "far" in still_apart(many)
    assert still_apart({arm: of_arm for arm, of_arm in many.items() if arm.startswith("arm")}) == "none"
    wide = stats.ttest_1samp(far, 0).confidence_interval(1 - 0.05 / 10)
    assert over_seeds(far, level=1 - 0.05 / 10)[1:] == pytest.approx(tuple(wide))
    assert still_apart({"one seed": partial(over_seeds, [0.4])}) == "cannot be judged from one seed"
    assert still_apart({"alike": partial(over_seeds, [0.0, 0.0])}) == "none"
