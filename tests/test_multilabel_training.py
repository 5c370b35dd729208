"""Several findings at once: sigmoid, a loss over what was assessed, and AUROC over what can be judged."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.evaluation.metrics import evaluate
from medcourse.networks.models import build_model
from medcourse.training.trainer import Trainer
from medcourse.training.validation import assessed_bce, validation_metrics
from tests.conftest import make_cohort, make_multilabel

FINDINGS = ("edema", "mass", "hernia")


def films(n: int = 120, seed: int = 0, unknown: float = 0.2) -> Cohort:
    """Each finding is a bright quarter of its own; a share of the targets was not assessed."""
    rng = np.random.default_rng(seed)
    present = rng.random((n, 3)) < [0.5, 0.3, 0.3]
    images = rng.integers(60, 120, (n, 1, 16, 16), dtype=np.uint8)
    for k, (y, x) in enumerate([(0, 0), (0, 8), (8, 0)]):
        images[:, :, y : y + 8, x : x + 8] += (100 * present[:, k]).astype(np.uint8)[:, None, None, None]
    targets = np.where(rng.random((n, 3)) < unknown, np.nan, present)
    table = pd.DataFrame(targets, columns=[f"y_{name}" for name in FINDINGS], index=[f"i{row}" for row in range(n)])
    return Cohort(images, table.assign(group=[f"g{row // 2}" for row in range(n)]), FINDINGS)


def linear(cohort: Cohort) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16 * cohort.channels, len(cohort.classes)))


def trained(train: Cohort, val: Cohort | None, **more):
    arguments = {"epochs": 12, "lr": 0.05, "progress": False, "device": "cpu"} | more
    trainer = Trainer(arguments.pop("model", None) or linear(train), **arguments)
    return trainer, trainer.fit(train, val)


def test_it_learns_every_finding_and_predicts_each():
    train, val = films(200, seed=1), films(80, seed=2)
    trainer, run = trained(train, val)
    assert run.history["val_auroc"].iloc[-1] > 0.95
    assert run.history["val_accuracy"].iloc[-1] > 0.8
    assert run.history["val_classes_called"].iloc[-1] == 3
    pred = trainer.predict(val)
    assert pred.task == "multilabel"
    assert np.array_equal(pred.targets, val.targets, equal_nan=True)
    assert not np.allclose(pred.probabilities.sum(1), 1)
    mass = pred.finding("mass")
    assert len(mass) == np.isfinite(val.targets[:, 1]).sum() < len(val)
    assert evaluate(mass, n_boot=50).loc["auroc", "value"] > 0.9
    aurocs = [evaluate(pred.finding(name), n_boot=50).loc["auroc", "value"] for name in FINDINGS]
    assert np.mean(aurocs) == pytest.approx(run.history.loc[run.best_epoch, "val_auroc"])


def test_columns_in_another_order_than_the_classes():
    table = pd.DataFrame({"group": ["a", "b"], "y_mass": [1.0, 0.0], "y_edema": [0.0, 1.0]}, index=["i", "j"])
    cohort = Cohort(np.zeros((2, 1, 16, 16), np.uint8), table, ("edema", "mass"))
    trained(cohort, None, epochs=1)
    assert cohort.targets.tolist() == [[0, 1], [1, 0]]


def test_one_finding_alone_is_multilabel_too():
    train = films().relabel({"mass": "mass"})
    trainer, run = trained(train, train)
    assert run.history["val_auroc"].iloc[-1] > 0.9
    assert trainer.predict(train).probabilities.shape == (120, 1)


def test_the_default_loss_is_the_mean_over_assessed_targets():
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    targets = torch.tensor([[1.0, torch.nan], [torch.nan, 0.0]])
    value = assessed_bce(logits, targets)
    assert float(value.detach()) == pytest.approx((np.log1p(np.exp(-1.0)) + np.log1p(np.exp(3.0))) / 2)
    value.backward()
    assert logits.grad is not None
    assert (logits.grad == 0).tolist() == [[False, True], [True, False]]
    nothing = assessed_bce(logits, torch.full((2, 2), torch.nan))
    assert float(nothing.detach()) == 0.0


def test_targets_that_were_not_assessed_change_nothing():
    """The same gradients as without them: one finding of which nothing is known leaves its weights where they were."""
    train = films(unknown=0.0)
    model = linear(train)
    before = model[2].weight.detach().clone()
    known = train.table.copy()
    known.loc[known.index[2:], "y_hernia"] = np.nan
    known.loc[known.index[:2], "y_hernia"] = [0.0, 1.0]
    half = Cohort(np.asarray(train.images), known, FINDINGS)
    trained(half, None, model=model, sampler=range(2, 120), epochs=1)
    assert torch.equal(model[2].weight[2], before[2])
    assert not torch.equal(model[2].weight[:2], before[:2])


def test_a_loss_that_forgets_nan_is_stopped():
    with pytest.raises(TrainingError, match="the loss is nan in epoch 1, batch 1"):
        trained(films(), None, loss=nn.BCEWithLogitsLoss())


def test_calling_no_finding_or_every_one_is_reported(capsys: pytest.CaptureFixture[str]):
    cohort = films()
    for bias, told in (
        (-4.0, "NO FINDING CALLED, in none of the 120"),
        (4.0, "EVERY FINDING CALLED, in all of the 120"),
    ):
        model = linear(cohort)
        with torch.no_grad():
            model[2].bias.fill_(bias)
        _, run = trained(cohort, cohort, model=model, epochs=1, lr=1e-6)
        said = capsys.readouterr()
        assert f"epoch 1: {told} validation images is each of edema, mass, hernia called" in said.out
        assert "ONE CLASS" not in said.out
        assert said.err == ""
        assert run.history.loc[1, "val_classes_called"] == (3 if bias > 0 else 0)


def test_auroc_is_the_mean_over_findings_that_can_be_judged():
    val = films(40)
    p = np.random.default_rng(0).random((40, 3))
    table = val.table.assign(y_hernia=0.0)
    without = Cohort(np.asarray(val.images), table, FINDINGS)
    both = validation_metrics(without.relabel({"edema": "edema", "mass": "mass"}), p[:, :2])
    assert validation_metrics(without, p)["val_auroc"] == pytest.approx(both["val_auroc"])


def test_findings_that_training_or_validation_lack():
    train = films()
    without = Cohort(np.asarray(train.images), train.table.assign(y_hernia=0.0), FINDINGS)
    with pytest.raises(TrainingError, match=r"training set does not hold both .* without \['hernia'\].*'hernia': 0"):
        trained(without, train)
    trained(train, without, epochs=1)
    nothing = Cohort(np.asarray(train.images), train.table.assign(**{f"y_{f}": 0.0 for f in FINDINGS}), FINDINGS)
    with pytest.raises(TrainingError, match="validation set does not hold both"):
        trained(train, nothing)
    with pytest.raises(TrainingError, match="multiclass: edema, mass, hernia"):
        trained(train, make_cohort(60, classes=FINDINGS))


def test_a_checkpoint_goes_on(tmp_path: Path):
    train, val = films(40, seed=1), films(40, seed=2)
    whole = trained(train, val, epochs=4)
    trained(train, val, epochs=2, checkpoint=tmp_path)
    resumed = trained(train, val, epochs=4, checkpoint=tmp_path)
    assert np.array_equal(whole[0].predict(val).probabilities, resumed[0].predict(val).probabilities)


def test_a_model_of_the_package_takes_multilabel_cohorts():
    cohort = make_multilabel(60, size=32)
    trainer, _ = trained(cohort, None, model=build_model("squeezenet1_1", cohort), epochs=1, batch_size=32)
    assert trainer.predict(cohort).classes == FINDINGS
