"""Mistakes of the user: each is a TrainingError that says what was wrong, where, and what to do."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import BatchSampler, SequentialSampler

import medcourse as mc
from medcourse.errors import ArgumentError, TrainingError
from medcourse.imbalance.samplers import BalancedSampler
from medcourse.networks.models import build_model
from medcourse.training.trainer import Trainer
from tests.conftest import make_cohort

TRAIN, VAL = make_cohort(40, seed=1), make_cohort(20, seed=2)


def linear(channels: int = 1, size: int = 16, classes: int = 2) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, classes))


def fit(model: object = None, train=TRAIN, val=VAL, **more):
    arguments = {"epochs": 1, "progress": False, "device": "cpu"} | more
    return Trainer(linear() if model is None else model, **arguments).fit(train, val)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"epochs": 0}, "epochs=0 .* 1 or more"),
        ({"epochs": 2.5}, "epochs=2.5"),
        ({"epochs": "5"}, "epochs='5'"),
        ({"epochs": True}, "epochs=True"),
        ({"lr": -1}, "lr=-1 .* above 0"),
        ({"lr": 0.0}, r"lr=0\.0"),
        ({"lr": "1e-3"}, "lr='1e-3'"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"lr": None}, "lr=None"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 8.0}, r"batch_size=8\.0"),
        ({"seed": "a"}, "seed='a'"),
        ({"device": "tpu"}, "device='tpu' .* auto, cpu, cuda, mps"),
        ({"device": "cuda:one"}, "device number='one'"),
        ({"device": None}, "device='None'"),
        ({"precision": "fp8"}, "precision='fp8' .* auto, fp32, bf16"),
        ({"augment": "knee"}, "policy='knee' .* chest"),
        ({"optimizer": "sgd"}, "optimizer= must be a function"),
        ({"after_epoch": 3}, "after_epoch= must be a function"),
    ],
)
def test_arguments(wrong, named):
    with pytest.raises(ArgumentError, match=named):
        fit(**wrong)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"device": "cuda:77"}, "is not there: this machine has . such"),
        ({"model": "resnet18"}, r"needs a model \(mc.build_model\), not str"),
        ({"train": "chest"}, r"fit needs cohorts .* not str"),
        ({"val": (1, 2)}, r"fit needs cohorts .* not tuple"),
    ],
)
def test_devices_models_and_cohorts(wrong, named):
    with pytest.raises(TrainingError, match=named):
        fit(**wrong)


def test_numpys_numbers_are_numbers(tmp_path: Path):
    given = {"epochs": np.int64(1), "lr": np.float32(0.25), "batch_size": np.int32(8), "seed": np.int64(1)}
    plain = {"epochs": 1, "lr": 0.25, "batch_size": 8, "seed": 1}
    torch.manual_seed(0)
    start = linear()
    first, again = (fit(copy.deepcopy(start), checkpoint=tmp_path, **numbers) for numbers in (given, plain))
    alone = fit(copy.deepcopy(start), **plain)
    assert again.seconds == first.seconds, "the same run to its checkpoint: nothing is trained again"
    assert first.history["train_loss"].equals(alone.history["train_loss"])


def test_an_augmentation_that_gives_no_images():
    with pytest.raises(TrainingError, match=r"training failed in epoch 1, batch 1 of 2 \(32 images\): "):
        fit(augment=lambda images: None)


ONE_CLASS = TRAIN.subset(TRAIN.table["label"] == "ill")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"train": ONE_CLASS}, r"training set holds no image of \['healthy'\] \(counts .*split again"),
        ({"val": ONE_CLASS}, r"validation set holds no image of \['healthy'\]"),
        ({"val": make_cohort(20, size=32)}, r"validation set .*it has .*1 x 32 x 32 pixels, the training set .*1 x 16"),
        ({"val": make_cohort(20, channels=3)}, r"it has .*3 x 16 x 16 pixels, the training set .*1 x 16"),
        ({"val": make_cohort(20, classes=("a", "b"))}, r"binary: a, b.* the training set binary: healthy, ill"),
    ],
)
def test_cohorts(wrong, named):
    with pytest.raises(TrainingError, match=named):
        fit(**wrong)


def frozen() -> nn.Module:
    return linear().requires_grad_(False)


class Twins(nn.Module):
    """Answers with a tuple, as some networks do in training."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = linear()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.inside(images), self.inside(images)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (linear(channels=3), r"does not take the images of cohort \(1 x 16 x 16 pixels\): .* Build it for this cohort"),
        (linear(size=8), "does not take the images of cohort"),
        (linear(classes=3), "model gives 3 logits, cohort has 2 classes; it must give one logit per class"),
        (nn.Conv2d(1, 2, 3), r"model gives torch.float32 of shape \(2, 2, 14, 14\), cohort has 2 classes"),
        (Twins(), "does not take the images of cohort .*tuple.*Build it"),
        (frozen(), "nothing in this model learns"),
    ],
)
def test_models(model, named):
    with pytest.raises(TrainingError, match=named):
        fit(model)


def test_images_below_the_models_smallest_size():
    with pytest.raises(TrainingError, match="16 pixels are too small for squeezenet1_1; load them at size=32 or more"):
        build_model("squeezenet1_1", TRAIN)
    built = build_model("squeezenet1_1", make_cohort(20, size=32))
    with pytest.raises(TrainingError, match=r"does not take the images of cohort \(1 x 16 x 16 pixels\)"):
        fit(built)


def test_a_batch_of_one_with_batch_statistics():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 2))
    with pytest.raises(
        TrainingError, match=r"training failed in epoch 1, batch 1 of \d+ \(1 images\): .*more than 1 value"
    ):
        fit(model, batch_size=1)


def losing(value):
    def made(logits: Tensor, targets: Tensor):
        return value(logits, targets)

    return made


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        (nn.CrossEntropyLoss(reduction="none"), r"CrossEntropyLoss must return a scalar .*shape \(32,\); reduce with"),
        (losing(lambda logits, targets: 0.5), "made must return a scalar tensor, not a float"),
        (losing(lambda logits, targets: torch.tensor(0.5)), "made does not depend on the logits"),
        (
            nn.BCEWithLogitsLoss(),
            r"BCEWithLogitsLoss fails on logits .*\(32, 2\) and targets torch.int64 of shape \(32,\)",
        ),
        (nn.CrossEntropyLoss(weight=torch.ones(3)), "CrossEntropyLoss fails on"),
        (losing(lambda logits: logits), "fails on logits"),
        (
            losing(lambda logits, targets: logits.sum() * torch.nan),
            r"the loss is nan in epoch 1, batch 1 of 2 \(rows \[",
        ),
    ],
)
def test_losses(loss, named):
    with pytest.raises(TrainingError, match=named):
        fit(loss=loss)


@pytest.mark.parametrize(
    ("sampler", "named"),
    [
        ([], r"row numbers 0\.\.39; it gave none"),
        ([3, 40], r"row numbers 0\.\.39; it gave rows from 3 to 40"),
        ([-1, 3], "it gave rows from -1 to 3"),
        (BalancedSampler(np.arange(80) % 2), r"it gave rows from \d to \d\d\. Make it from this training set"),
        ([0.5, 1.5], "one at a time"),
        (["i0001"], "one at a time"),
        (BatchSampler(SequentialSampler(range(40)), 4, False), "one at a time"),
        (7, r"one at a time \(.*not iterable"),
    ],
)
def test_samplers(sampler, named):
    with pytest.raises(TrainingError, match=named):
        fit(sampler=sampler)


def test_a_cohort_to_predict_that_is_another_kind():
    trainer = Trainer(linear(), epochs=1, progress=False, device="cpu")
    with pytest.raises(TrainingError, match="does not take the images"):
        trainer.predict(make_cohort(20, size=32))
    trainer.fit(TRAIN)
    for other in (
        make_cohort(20, classes=("a", "b")),
        make_cohort(20, size=32),
        make_cohort(20, channels=3),
        make_cohort(42, classes=("a", "b", "c")),
    ):
        with pytest.raises(TrainingError, match="was trained for the classes, channels and size binary: healthy, ill"):
            trainer.predict(other)


def test_a_shift_moves_the_seeds_of_training_and_of_nothing_else(monkeypatch):
    def drawn():
        model = build_model("simple-cnn", TRAIN, seed=1)
        trainer = Trainer(model, epochs=1, seed=1, device="cpu", precision="fp32", progress=False)
        sampler = BalancedSampler(TRAIN.targets, seed=1)
        split = mc.split(TRAIN, test=0.3, val=0, seed=1).test.table.index.tolist()
        made = mc.resample(TRAIN, "over", seed=1).table.index.tolist()
        return model.state_dict()["network.fc.weight"].tolist(), trainer.seed, list(sampler), (split, made)

    plain = drawn()
    monkeypatch.setenv("MEDCOURSE_SEED_SHIFT", "2")
    shifted = drawn()
    assert shifted[1] == plain[1] + 2
    assert shifted[0] != plain[0]
    assert shifted[2] != plain[2]
    assert shifted[3] == plain[3]
    monkeypatch.setenv("MEDCOURSE_SEED_SHIFT", "two")
    with pytest.raises(ArgumentError, match="MEDCOURSE_SEED_SHIFT='two'"):
        drawn()
