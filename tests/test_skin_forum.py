"""The study skin-forum on small cohorts and a small network: who shares a training, and what is chosen where."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from typer.testing import CliRunner

import medcourse as mc
from medcourse import cli
from medcourse.data.splits import Splits
from medcourse.errors import ArgumentError
from medcourse.studies import skin_forum
from medcourse.studies.results import Results
from tests.conftest import make_cohort, small_network

COMMAND = [
    "reproduce",
    "skin-forum",
    "--size",
    "16",
    "--seeds",
    "1",
    "--epochs",
    "2",
    "--device",
    "cpu",
    "--jobs",
    "1",
    "--out",
]


@pytest.fixture
def parts(monkeypatch):
    """Small sets instead of HAM10000, a small network instead of ResNet18."""
    made = Splits(*(make_cohort(n, skin_forum.CLASSES, channels=3, seed=n) for n in (40, 16, 24)))
    for _, part in made.items():
        part.table["dx_type"] = np.where((part.targets == 0) & (np.arange(len(part)) % 8 < 4), "follow_up", "histo")
    monkeypatch.setattr(skin_forum, "sets", lambda size, seed, mixture=False: made)
    monkeypatch.setattr(mc, "build_model", small_network)
    return made


def test_reproduce_runs_six_trainings_for_nine_arms(parts, monkeypatch, tmp_path):
    trained = []

    class Counted(mc.Trainer):
        def fit(self, train, val=None):
            trained.append(sum(weight.requires_grad for weight in self.model.parameters()))
            return super().fit(train, val)

    monkeypatch.setattr(mc, "Trainer", Counted)
    first = CliRunner().invoke(cli.app, [*COMMAND, str(tmp_path)], catch_exceptions=False)
    once = [2, 10]  # the head, then everything (weights and biases)
    assert trained == [*once, 10, *once, *once, *once, *once]
    told = [line.split(", seed 0:")[0] for line in first.stdout.splitlines() if ", seed 0:" in line]
    assert told == list(skin_forum.ARMS)
    assert "UNLIKE FOR LIKE: 9 of 9 runs" in first.stdout
    assert (tmp_path / "skin-forum-16px-2epochs-cpu.png").stat().st_size > 5000
    values = Results(tmp_path, "skin-forum").matching({"size": 16}).values().droplevel("seed")
    assert values["auroc"]["as asked"] == values["auroc"]["threshold by cost"] == values["auroc"]["threshold by Youden"]
    assert set(values["epoch"].drop("F1 chooses the epoch")) == {2}
    mixture = Results(tmp_path, "skin-forum").matching({"size": 16}).values().loc[skin_forum.MIXTURE]
    n = {
        road: ((parts.test.table["dx_type"] == road) & (parts.test.targets == 0)).sum()
        for road in ("follow_up", "histo")
    }
    of_roads = n["follow_up"] * mixture["auroc, followed-up nevi"] + n["histo"] * mixture["auroc, excised nevi"]
    assert (of_roads / sum(n.values())).tolist() == pytest.approx(mixture["auroc"].tolist())
    assert "against nevi that were only followed up" in first.stdout
    again = CliRunner().invoke(cli.app, [*COMMAND, str(tmp_path)], catch_exceptions=False)
    assert ", seed 0:" not in again.stdout
    assert "threshold by cost" in again.stdout


def test_epochs_below_one_are_refused(parts):
    with pytest.raises(ArgumentError, match="epochs=-1"):
        skin_forum.run("as asked", 0, 16, -1, "cpu")


def predicted(cohort, scores):
    return mc.Predictions(cohort.table.assign(p_melanoma=scores), skin_forum.CLASSES)


def test_epoch_and_threshold_are_chosen_on_validation(parts, monkeypatch):
    ill = {name: part.targets == 1 for name, part in parts.items()}
    first = skin_forum.Pass(
        1,
        val=predicted(parts.val, np.where(ill["val"], 0.6, 0.4)),  # the best F1 on validation
        test=predicted(parts.test, np.where(ill["test"], 0.4, 0.6)),  # the worst on test
    )
    last = skin_forum.Pass(
        2,
        val=predicted(parts.val, np.where(ill["val"], 0.3, 0.1)),
        test=predicted(parts.test, np.where(ill["test"], 0.35, 0.05)),
    )
    wrong = np.arange(len(parts.train)) < 5
    seen = []

    class Fake:
        def predict(self, cohort):
            assert cohort is parts.train
            return predicted(cohort, np.where(wrong != (cohort.targets == 1), 0.9, 0.1))

    def unfrozen(head, weights, data, epochs, how):
        seen.append(how.get("sampler"))
        return Fake(), [first, last]

    monkeypatch.setattr(skin_forum, "_unfrozen", unfrozen)
    values = {arm: one.values["test"] for arm, one in skin_forum.run("threshold by cost", 0, 16, 2, "cpu").items()}
    assert values["as asked"]["sensitivity"] == 0
    assert values["F1 chooses the epoch"] | {"auroc": 0, "epoch": 1, "sensitivity": 0} == values["F1 chooses the epoch"]
    for arm in ("threshold by Youden", "threshold by cost"):
        assert values[arm]["threshold"] == 0.3
        assert values[arm]["sensitivity"] == values[arm]["specificity"] == 1
    assert seen[0] is None
    assert sorted(seen[1]) == sorted([*range(len(parts.train)), *range(5)])


def test_the_threads_numbers_fit_each_other():
    thread = skin_forum.PUBLISHED["as asked"]
    implied = mc.predictive_values(thread["sensitivity"], thread["specificity"], skin_forum.PREVALENCE)
    assert thread["npv"] == pytest.approx(implied.npv)
    right = thread["sensitivity"] * skin_forum.PREVALENCE + thread["specificity"] * (1 - skin_forum.PREVALENCE)
    assert thread["accuracy"] == pytest.approx(right)


def test_what_weights_act_like_is_that_of_torchs_gradients():
    """CrossEntropyLoss(weight=) divides by the weights of the batch, so an image's say depends on its company (binomial)."""

    def exact(batch):
        others = np.arange(batch)  # melanomas among the other images of the batch
        chance = stats.binom.pmf(others, batch - 1, 0.1)
        company = batch - 1 + 8 * others
        return (chance * 9 / (9 + company)).sum() / (chance / (1 + company)).sum()

    assert exact(skin_forum.BATCH) == pytest.approx(skin_forum.ACTING, abs=0.05)
    assert exact(64) == pytest.approx(skin_forum.ACTING_IN_64, abs=0.05)
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0]))
    targets = (torch.rand(3000, 4, generator=torch.Generator().manual_seed(0)) < 0.1).long()
    say = torch.empty(targets.shape)
    for row, batch in enumerate(targets):
        logits = torch.zeros(4, 2, requires_grad=True)
        loss(logits, batch).backward()
        say[row] = logits.grad.abs()[:, 0]
    measured = float(say[targets == 1].mean() / say[targets == 0].mean())
    assert exact(4) == pytest.approx(measured, rel=0.06)


def test_differences_are_paired_by_seed_and_by_lesion(parts, tmp_path):
    rng, results = np.random.default_rng(0), Results(tmp_path, "skin-forum")
    settings = {"size": 16, "epochs": 2, "device": "cpu"}
    for seed in (0, 1, 2):
        scores = predicted(parts.test, rng.random(len(parts.test)))
        outcomes = {
            arm: skin_forum._judged(skin_forum.Pass(2, scores, scores), threshold, imagenet=True)
            for arm, threshold in (("as asked", 0.5), ("threshold by cost", 0.25))
        }
        results.add(settings, outcomes, {"seed": seed, "torch": "2", "seconds": 1.0}, list(skin_forum.ARMS))
    runs = results.matching({"size": 16})
    spent = runs.values()["cost"]
    saved = spent["threshold by cost"] - spent["as asked"]
    assert skin_forum.beside_the_thread(runs).loc["threshold by cost", "cost - as asked"] == (
        f"{saved.mean():+.2f} ({saved.min():+.2f} to {saved.max():+.2f})"
    )
    values = runs.values()["sensitivity"]
    gains = values["threshold by cost"] - values["as asked"]
    table = skin_forum.by_seed(runs)
    assert list(table.index) == ["threshold by cost"]
    assert [cell.split()[0] for cell in table.loc["threshold by cost"]] == [f"{gain:+.2f}" for gain in gains]
    assert "UNLIKE" not in skin_forum.report(runs)
    alone = results.matching({"arm": "threshold by cost"})
    assert skin_forum.by_seed(alone).empty
    assert "seed(s)" in skin_forum.report(alone)


def test_the_cost_per_image_is_that_of_the_two_mistakes(parts):
    test, ill = parts.test, parts.test.targets == 1
    assert skin_forum.cost(predicted(test, np.where(ill, 0.9, 0.1)), 0.5) == 0
    assert skin_forum.cost(predicted(test, np.full(len(test), 0.9)), 0.5) == pytest.approx((~ill).mean())
    assert skin_forum.cost(predicted(test, np.full(len(test), 0.1)), 0.5) == pytest.approx(10 * ill.mean())


@pytest.mark.realdata
@pytest.mark.slow
def test_the_sets_are_those_of_lesson_02():
    splits = skin_forum.sets(16, 0)
    table: pd.DataFrame = splits.table()
    assert table["images"].sum() == pytest.approx(2300, abs=5)
    assert table["prevalence"].to_numpy() == pytest.approx([0.1] * 3, abs=0.005)
    assert table.loc["test", "melanoma"] == pytest.approx(58, abs=2)
    assert not mc.find_leaks(splits)
    assert set(splits.train.table["dx_type"]) == {"histo"}
    assert {"histo", "follow_up"} < set(skin_forum.sets(16, 0, mixture=True).train.table["dx_type"])
