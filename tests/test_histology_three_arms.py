"""The study histology-three-arms on few drawn patches and a small network."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import medcourse as mc
from medcourse import cli
from medcourse.errors import SourceError
from medcourse.studies import histology_three_arms
from medcourse.studies.results import COLUMNS, SCORES, Runs
from tests.conftest import small_network

PHANTOM = "histology-three-arms (phantom)"


@pytest.fixture
def drawn(monkeypatch):
    """No BreakHis; few patches, drawn at 16 px; a small network instead of DenseNet201."""
    draw = mc.phantom.histology
    monkeypatch.setattr(
        mc.phantom, "histology", lambda **given: draw(**given | {"patients": 16, "patches_per_patient": 2})
    )
    monkeypatch.setattr(mc, "build_model", small_network)
    monkeypatch.setattr(histology_three_arms, "breakhis_at_hand", lambda: False)


def test_drawn_patches_have_a_name_of_their_own(drawn, tmp_path):
    command = [
        "reproduce",
        "histology-three-arms",
        "--size",
        "16",
        "--seeds",
        "2",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--jobs",
        "1",
    ]
    done = CliRunner().invoke(cli.app, [*command, "--out", str(tmp_path)], catch_exceptions=False)
    table = pd.read_csv(tmp_path / f"{PHANTOM}.csv")
    assert set(table["study"]) == {PHANTOM}
    assert table.groupby("seed")["arm"].unique().map(list).tolist() == [list(histology_three_arms.ARMS)] * 2
    assert (tmp_path / f"{PHANTOM}-16px-1epochs-cpu.png").stat().st_size > 5000
    assert "PHANTOM: the patches are drawn" in done.stdout
    assert "6 of 6 runs began with random weights" in done.stdout
    assert "25% of the training set: the rare class" in done.stdout
    assert "dim 4" in done.stdout, "the error of the post's oversampling, in its own words"
    assert histology_three_arms.STUDY.stored_as() == PHANTOM


def test_what_each_arm_trains_on(drawn, monkeypatch):
    seen = {}

    class Watched(mc.Trainer):
        def fit(self, train, val=None):
            seen[arm] = (train, self.loss, self.augment)
            return super().fit(train, val)

    monkeypatch.setattr(mc, "Trainer", Watched)
    for arm in histology_three_arms.ARMS:
        histology_three_arms.run(arm, 0, 16, 1, "cpu")
    benign, malignant = seen["baseline"][0].counts()
    assert malignant < benign
    assert seen["baseline"][1] is None
    assert seen["oversampling"][0].counts().tolist() == [benign, benign]
    train, loss, _ = seen["weights + augmentation"]
    assert train.counts().tolist() == [benign, 2 * malignant]
    made = train.table["synthetic"].to_numpy()
    assert set(train.table["label"][made]) == {"malignant"}
    assert float(loss.weight[1] / loss.weight[0]) == pytest.approx(benign / (2 * malignant))
    assert all(augment is None for _, _, augment in seen.values()), "benign patches stay as they are"
    splits = histology_three_arms.sets(16, 0)
    assert not mc.find_leaks(splits)
    assert np.array_equal(train.table.index[~made], splits.train.table.index)


def test_breakhis_is_real_and_turns_the_story_round(monkeypatch):
    monkeypatch.setattr(histology_three_arms, "breakhis_at_hand", lambda: True)
    assert histology_three_arms.STUDY.stored_as() == "histology-three-arms"
    values = dict.fromkeys(histology_three_arms.METRICS, 0.5) | {"malignant in training": 0.69, "imagenet": 1.0}
    same = {
        "study": "s",
        "seed": 0,
        "split": "test",
        "size": 16,
        "epochs": 1,
        "device": "cpu",
        "torch": "2",
        "seconds": 1,
    }
    rows = [
        same | {"arm": arm, "metric": metric, "value": value + 0.1 * (arm == "oversampling" and metric == "f1")}
        for arm in histology_three_arms.ARMS
        for metric, value in values.items()
    ]
    told = histology_three_arms.report(Runs(pd.DataFrame(rows)[COLUMNS], pd.DataFrame(columns=SCORES)))
    assert "69% of the training set: the benign class is the rare one" in told
    assert "turned round" in told
    assert "PHANTOM" not in told
    assert "random weights" not in told
    assert "+0.10" in told
    one = histology_three_arms.STUDY.summary(Runs(pd.DataFrame(rows[-7:])[COLUMNS], pd.DataFrame(columns=SCORES)))
    assert list(one.columns) == list(histology_three_arms.METRICS), "no differences without the baseline"


def test_breakhis_that_no_source_serves(monkeypatch):
    def refuse(dataset):
        raise SourceError("no source")

    ask = histology_three_arms.breakhis_at_hand
    ask.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(histology_three_arms, "fetch", refuse)
        assert not ask()
    ask.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(histology_three_arms, "fetch", lambda dataset: "a folder")
        assert ask()
    ask.cache_clear()
