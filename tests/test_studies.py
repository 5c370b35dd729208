"""Studies on small cohorts: they go on where they stopped, and the summary is paired by seed."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from medcourse import cli
from medcourse.errors import EvaluationError
from medcourse.studies import find_study, one_class_collapse
from medcourse.studies.results import COLUMNS, Results
from tests.conftest import make_cohort

RUN = {"study": "s", "arm": "a", "seed": 0, "size": 16, "epochs": 1, "device": "cpu", "torch": "2", "seconds": 1.0}


def test_results_grow_and_are_found_again(tmp_path):
    path = tmp_path / "results" / "s.csv"
    results = Results(path)
    assert not results.has(RUN)
    results.add(RUN, {"auroc": 0.5, "sensitivity": 1.0}, "test")
    again = Results(path)
    assert again.has(RUN)
    assert not again.has(RUN | {"seed": 1})
    assert not again.has(RUN | {"size": 64})
    again.add(RUN | {"seed": 1}, {"auroc": 0.6}, "test")
    table = pd.read_csv(path)
    assert list(table.columns) == COLUMNS
    assert table["value"].tolist() == [0.5, 1.0, 0.6]
    assert [p.name for p in path.parent.iterdir()] == ["s.csv"]


def test_results_of_something_else_are_refused(tmp_path):
    (tmp_path / "s.csv").write_text("a,b\n1,2\n")
    with pytest.raises(EvaluationError, match="has the columns"):
        Results(tmp_path / "s.csv")


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
        "--out",
        str(tmp_path),
    ]
    first = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert [line.split(",")[0] for line in first.stdout.splitlines() if ", seed 0:" in line] == [
        arm.split(",")[0] for arm in one_class_collapse.ARMS
    ]
    second = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert ", seed 0:" not in second.stdout
    longer = CliRunner().invoke(cli.app, [*command, "--epochs", "2", "--arms", "baseline"], catch_exceptions=False)
    assert "weights" not in longer.stdout, "runs of one epoch are no part of a summary of two"
    assert "sorted, unshuffled" in second.stdout


def test_summary_pairs_by_seed():
    rows = []
    for seed, base in enumerate((0.5, 0.6, 0.7)):
        for arm, gain in (("baseline", 0.0), ("weights", 0.1)):
            values = {"one class": float(arm == "baseline"), "balanced accuracy": base + gain, "auroc": base}
            values |= {"sensitivity": 0.0, "specificity": 1.0}
            rows += [
                {**RUN, "arm": arm, "seed": seed, "metric": m, "value": v, "split": "test"} for m, v in values.items()
            ]
    told = one_class_collapse.summary(pd.DataFrame(rows))
    assert told.loc["baseline", "one class"] == "3 of 3"
    assert told.loc["weights", "one class"] == "0 of 3"
    assert told.loc["weights", "balanced accuracy - baseline"] == "+0.10 [+0.10, +0.10]"


def test_a_summary_without_the_baseline_has_no_differences():
    rows = [{**RUN, "arm": "weights", "metric": m, "value": 0.5, "split": "test"} for m in one_class_collapse.METRICS]
    told = one_class_collapse.summary(pd.DataFrame(rows))
    assert told.loc["weights", "auroc"] == "0.50"
    assert not any("baseline" in column for column in told.columns)
