"""Studies on small cohorts: they go on where they stopped, and the summary is paired by seed."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from matplotlib.figure import Figure
from scipy import stats
from typer.testing import CliRunner

import medcourse as mc
from medcourse import cli
from medcourse.errors import ArgumentError, EvaluationError, TrainingError
from medcourse.evaluation.predictions import Predictions
from medcourse.studies import STUDIES, find_study, one_class_collapse
from medcourse.studies import results as study_results
from medcourse.studies.comparison import over_seeds, significant_after_correction
from medcourse.studies.jobs import reproduce
from medcourse.studies.results import COLUMNS, SCORES, Outcome, Results, Runs, png
from tests import tiny_study
from tests.conftest import HANGS, make_cohort

ROOT = Path(__file__).parent.parent
COMMITTED = ROOT / "benchmarks" / "results"
SETTINGS = {"size": 16, "epochs": 1, "device": "cpu"}
MADE = {"seed": 0, "torch": "2", "seconds": 1.0}
ARMS = ["a", "b", "c"]


def add(results, arm, seed=0, settings=SETTINGS, **more):
    """One run with an AUROC of 0.5."""
    results.add(settings, {arm: Outcome({"test": {"auroc": 0.5}}, **more)}, MADE | {"seed": seed}, ARMS)


@pytest.mark.parametrize("number", ["size", "seeds", "epochs", "jobs"])
def test_numbers_below_one_are_refused(number, tmp_path):
    with pytest.raises(ArgumentError, match=f"{number}=0"):
        CliRunner().invoke(
            cli.app, ["reproduce", "skin-forum", f"--{number}", "0", "--out", str(tmp_path)], catch_exceptions=False
        )


def test_results_grow_and_are_found_again(tmp_path):
    results = Results(tmp_path / "results", "s")
    assert results.done(SETTINGS) == set()
    results.add(SETTINGS, {"a": Outcome({"test": {"auroc": 0.5, "sensitivity": 1.0}})}, MADE, ARMS)
    again = Results(tmp_path / "results", "s")
    assert again.done(SETTINGS) == {("a", 0)}
    assert again.done(SETTINGS | {"size": 64}) == set()
    again.add(SETTINGS, {"a": Outcome({"test": {"auroc": 0.6}})}, MADE | {"seed": 1}, ARMS)
    again.add(SETTINGS, {"a": Outcome({"test": {"auroc": 0.7}})}, MADE | {"seed": 1}, ARMS)  # another process was first
    table = pd.read_csv(again.path)
    assert list(table.columns) == COLUMNS
    assert table["value"].tolist() == [0.5, 1.0, 0.6]
    assert table["study"].eq("s").all()


def test_two_processes_add_to_one_file(tmp_path):
    left, right = Results(tmp_path, "s"), Results(tmp_path, "s")
    add(left, "a")
    add(right, "b")
    add(left, "c")
    assert pd.read_csv(left.path)["arm"].tolist() == ["a", "b", "c"]


def test_runs_stand_in_the_order_of_seeds_and_arms_whichever_ends_first(tmp_path):
    results = Results(tmp_path, "s")
    add(results, "c", settings=SETTINGS | {"size": 64})
    for arm, seed in (("c", 1), ("b", 0), ("a", 1), ("c", 0), ("a", 0)):
        add(results, arm, seed, scores={"test": three_scores()})
    for table in (pd.read_csv(results.path), pd.read_csv(results.scores_path).iloc[::3]):
        table = table[table["size"] == 16]
        assert list(zip(table["seed"], table["arm"], strict=True)) == [(0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "c")]
    assert pd.read_csv(results.path)["size"].tolist() == [64, *[16] * 5], "older runs keep their places"


def test_committed_runs_are_not_touched_when_others_come(tmp_path):
    for name in ("chest-resampling", "skin-forum"):
        for ending in (".csv", "-scores.csv.gz"):
            shutil.copy(COMMITTED / f"{name}{ending}", tmp_path)
        results = Results(tmp_path, name)
        before, scores = results.path.read_bytes(), pd.read_csv(results.scores_path)
        results.add(SETTINGS, {"a": Outcome({"test": {"auroc": 0.5}}, {"test": three_scores()})}, MADE, ARMS)
        assert results.path.read_bytes() == before + f"{name},a,0,test,auroc,0.5,16,1,cpu,2,1.0\n".encode()
        pd.testing.assert_frame_equal(pd.read_csv(results.scores_path)[: len(scores)], scores)


def test_pictures_are_saved_by_their_runs(tmp_path):
    results = Results(tmp_path, "s")
    for size in (16, 32):
        add(
            results,
            "a",
            settings={"size": size, "epochs": 1, "device": "cuda:0"},
            pictures={"maps-0": png(Figure((1, 1)))},
        )
    names = ["s-16px-1epochs-cuda0-maps-0.png", "s-32px-1epochs-cuda0-maps-0.png"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == names
    assert (tmp_path / names[0]).read_bytes().startswith(b"\x89PNG")


def three_scores(last=0.9):
    table = pd.DataFrame({"group": ["p1", "p1", "p2"], "label": ["well", "ill", "ill"], "p_ill": [0.1, 0.123456, last]})
    return Predictions(table.assign(p_well=1 - table["p_ill"]).set_index(pd.Index(["x", "y", "z"])), ["well", "ill"])


def test_scores_are_kept_image_by_image(tmp_path):
    results = Results(tmp_path, "s")
    for seed in (0, 1):
        add(results, "a", seed, scores={"test": three_scores()})
    scores = results.matching({"size": 16}).scores
    assert list(scores.columns) == SCORES
    assert scores["image_id"].tolist() == ["x", "y", "z"] * 2
    assert scores["target"].tolist() == [0, 1, 1] * 2
    assert scores["score"].tolist() == [0.1, 0.1235, 0.9] * 2
    assert results.matching({"size": 32}).scores.empty


def test_a_run_killed_between_its_scores_and_its_values_leaves_no_scores_behind(tmp_path, monkeypatch):
    def killed_before_the_values(path, *rest, **how):
        if path.suffix == ".csv":
            raise KeyboardInterrupt
        replace(path, *rest, **how)

    replace, results = study_results._replace, Results(tmp_path, "s")
    add(results, "b", scores={"test": three_scores()})
    with monkeypatch.context() as patched:
        patched.setattr(study_results, "_replace", killed_before_the_values)
        with pytest.raises(KeyboardInterrupt):
            add(results, "a", scores={"val": three_scores(), "test": three_scores()})
    assert results.done(SETTINGS) == {("b", 0)}
    assert len(pd.read_csv(results.scores_path)) == 9, "the kill came after the scores"
    add(results, "a", scores={"test": three_scores(0.8)})
    scores = pd.read_csv(results.scores_path)
    assert scores.groupby("arm")["score"].apply(list).to_dict() == {"b": [0.1, 0.1235, 0.9], "a": [0.1, 0.1235, 0.8]}
    assert set(scores["split"]) == {"test"}


def test_results_of_something_else_are_refused(tmp_path):
    (tmp_path / "s.csv").write_text("a,b\n1,2\n")
    with pytest.raises(EvaluationError, match="has the columns"):
        Results(tmp_path, "s")


def test_an_unknown_study_or_arm_is_refused_before_anything_is_fetched(tmp_path):
    with pytest.raises(ArgumentError, match="one of one-class-collapse"):
        find_study("one-class-colapse")

    def fetched(*_):
        raise AssertionError("4 GB for a misspelt arm")

    study = replace(tiny_study.STUDY, prepare=fetched, stored_as=fetched)
    with pytest.raises(ArgumentError, match=r"arm='prayer'.*one of slow, leader"):
        reproduce(study, tmp_path, 16, 1, arms=["quick", "prayer"])
    assert not list(tmp_path.iterdir())


def test_the_names_of_studies_are_those_of_their_modules_of_the_page_and_of_the_help():
    assert [find_study(name).name for name in STUDIES] == list(STUDIES)
    page = (ROOT / "docs" / "STUDIES.md").read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- medcourse reproduce (\S+) ", page)) == set(STUDIES)
    told = " ".join(CliRunner().invoke(cli.app, ["reproduce", "--help"]).stdout.split())
    assert all(name in told for name in STUDIES)


def rows_of(folder):
    """What a study left in a folder, but for the times it took: bytes of the scores, and the table."""
    results = Results(folder, "tiny")
    return results.read().drop(columns="seconds"), gzip.decompress(results.scores_path.read_bytes())


def assert_same(left, right):
    pd.testing.assert_frame_equal(rows_of(left)[0], rows_of(right)[0])
    assert rows_of(left)[1] == rows_of(right)[1]


def test_arms_that_share_a_training_are_one_job(tmp_path, one_thread):
    told = []
    reproduce(tiny_study.STUDY, tmp_path, 16, 1, arms=["follower"], jobs=1, say=told.append)
    assert [line.split(",")[0] for line in told] == ["leader", "follower"]
    reproduce(tiny_study.STUDY, tmp_path, 16, 1, arms=["follower", "leader"], jobs=1, say=told.append)
    assert len(told) == 2, "both are there"


@pytest.mark.slow
def test_side_by_side_gives_the_rows_of_one_by_one(tmp_path, one_thread):
    for jobs in (1, 2):
        reproduce(tiny_study.STUDY, tmp_path / str(jobs), 16, 2, arms=tiny_study.ARMS, jobs=jobs)
    assert_same(tmp_path / "1", tmp_path / "2")
    table = rows_of(tmp_path / "2")[0]
    assert table["arm"].drop_duplicates().tolist() == tiny_study.ARMS
    assert set(table.loc[table["metric"] == tiny_study.THREADS, "value"]) == {1.0}


@pytest.fixture
def scheduler(tmp_path):
    """The address of a Dask scheduler with two workers, as the page says how to start them."""
    file, command = tmp_path / "scheduler.json", [sys.executable, "-m", "dask"]
    begin = partial(subprocess.Popen, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)
    shared = ["--scheduler-file", str(file), "--no-dashboard"]
    processes = [begin([*command, "scheduler", "--port", "0", *shared])]
    processes += [begin([*command, "worker", "--nworkers", "2", "--nthreads", "1", *shared])]
    deadline = time.monotonic() + HANGS
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    yield json.loads(file.read_text())["address"]
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_rows(tmp_path, one_thread, scheduler):
    reproduce(tiny_study.STUDY, tmp_path / "here", 16, 2, arms=tiny_study.ARMS, jobs=1)
    reproduce(tiny_study.STUDY, tmp_path / "there", 16, 2, arms=tiny_study.ARMS, scheduler=scheduler)
    assert_same(tmp_path / "here", tmp_path / "there")


def test_a_scheduler_that_is_not_there_is_told(tmp_path):
    with pytest.raises(TrainingError, match="scheduler at nowhere://1 cannot be used"):
        reproduce(tiny_study.STUDY, tmp_path, 16, 1, arms=["quick"], scheduler="nowhere://1")


@pytest.mark.slow
def test_a_killed_worker_is_told(tmp_path):
    with pytest.raises(TrainingError, match="memory ran out"):
        reproduce(tiny_study.STUDY, tmp_path, 16, 1, arms=["quick", "killed", "leader"], jobs=2)
    assert ("killed", 0) not in Results(tmp_path, "tiny").done(SETTINGS)


@pytest.mark.slow
def test_a_kill_loses_only_the_jobs_at_work_and_leaves_no_worker_behind(tmp_path, one_thread):
    command = [sys.executable, "-m", "tests.tiny_study", str(tmp_path / "killed"), "2"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"SECONDS": "600", "OMP_NUM_THREADS": "1"})
    results, deadline = Results(tmp_path / "killed", "tiny"), time.monotonic() + HANGS
    while (
        len(results.done(SETTINGS)) < 3 and process.poll() is None and time.monotonic() < deadline
    ):  # leader, follower and quick beside slow
        time.sleep(0.2)
    workers = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    process.kill()
    process.wait()
    before = results.read()
    assert {"leader", "follower", "quick"} <= set(before["arm"])
    while any(psutil.pid_exists(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert time.monotonic() < deadline
    for folder in ("killed", "unbroken"):
        reproduce(tiny_study.STUDY, tmp_path / folder, 16, 2, arms=tiny_study.ARMS, jobs=1)
    assert_same(tmp_path / "killed", tmp_path / "unbroken")
    after = results.read()
    assert len(after.merge(before)) == len(before), "finished jobs were not run again: their seconds are the same"


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
        "--jobs",
        "1",
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
        {**SETTINGS, **MADE, "study": "s", "split": "test"}
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
    told = one_class_collapse.STUDY.summary(runs_of(values))
    assert told.loc["baseline", "one class"] == "3 of 3"
    assert told.loc["weights", "one class"] == "0 of 3"
    assert told.loc["weights", "balanced accuracy - baseline"] == "+0.10 (+0.09 to +0.11)"
    assert "3 seed(s) of each arm" in one_class_collapse.report(runs_of(values))


def test_a_summary_without_the_baseline_has_no_differences():
    told = one_class_collapse.STUDY.summary(
        runs_of({("weights", 0): dict.fromkeys(("one class", *one_class_collapse.METRICS), 0.5)})
    )
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

    def left(n, **more):
        arms = {"far": far, "near": near} | more
        return significant_after_correction({arm: over_seeds(arms[arm], level=1 - 0.05 / n) for arm in arms})

    assert left(2).startswith("far +0.30 [")
    assert "near" in left(2)
    assert "near" not in left(10)
    assert "far" in left(10)
    wide = stats.ttest_1samp(far, 0).confidence_interval(1 - 0.05 / 10)
    assert over_seeds(far, level=1 - 0.05 / 10)[1:] == pytest.approx(tuple(wide))
    assert significant_after_correction({"arm": over_seeds([-0.1, 0.1])}) == "none"
    assert significant_after_correction({"one seed": over_seeds([0.4])}) == "cannot be judged from one seed"
    assert significant_after_correction({"alike": over_seeds([0.0, 0.0])}) == "none"


def test_stored_results_are_the_committed_rows():
    rows = mc.stored_results("chest-resampling")
    assert {"arm", "seed", "metric", "value"} <= set(rows)
    assert {"border share gradcam", "border share uniform"} <= set(rows["metric"])
    with pytest.raises(ArgumentError, match=r"must be one of .*chest-resampling, .*skin-forum"):
        mc.stored_results("chest")
