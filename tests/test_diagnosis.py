import inspect
import re

import numpy as np
import pytest
import torch
from torch import nn

import medcourse as mc
from medcourse.data.cohort import Cohort
from medcourse.diagnosis import diagnose_training, rules
from medcourse.diagnosis.evidence import Evidence
from medcourse.errors import ArgumentError, TrainingError
from medcourse.imbalance.samplers import BalancedSampler
from medcourse.networks.models import Classifier, SimpleCNN, pixel_statistics
from medcourse.training.trainer import Trainer
from tests.conftest import make_cohort, make_multilabel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]  # every test trains


class Small(nn.Module):
    """Two convolutions with batch normalisation."""

    def __init__(self, channels: int = 1, classes: int = 2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.fc = nn.Linear(64, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(images))


def lesions(n: int = 160, share: float = 0.5, seed: int = 0, classes: tuple[str, ...] = ("healthy", "ill")) -> Cohort:
    """A class shows in the middle only: striped, not brighter, in another direction for a third class."""
    rng = np.random.default_rng(seed)
    cohort = make_cohort(n, classes, seed=seed)
    targets = (np.arange(n) % len(classes)) if len(classes) > 2 else (np.arange(n) < n * share).astype(int)
    pixels = rng.integers(80, 120, (n, 1, 16, 16))
    stripes = np.where(np.arange(16) // 2 % 2, 60, -60)[None, :] * np.ones((16, 1), int)
    for row, target in enumerate(targets):
        if target:
            pixels[row, 0, 4:12, 4:12] += (stripes if target == 1 else stripes.T)[4:12, 4:12]
    names = np.array(classes)[targets]
    return Cohort(pixels.astype(np.uint8), cohort.table.assign(label=names), classes)


def build(cohort: Cohort, network: nn.Module | None = None) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Classifier(network or Small(classes=len(cohort.classes)), *pixel_statistics(cohort))


def fitted(train: Cohort, val: Cohort | None, model: nn.Module | None = None, **more) -> Trainer:
    arguments = {"epochs": 4, "lr": 3e-3, "progress": False, "device": "cpu", "batch_size": 16} | more
    trainer = Trainer(model or build(train), **arguments)
    trainer.fit(train, val)
    return trainer


@pytest.fixture(scope="module")
def sets() -> tuple[Cohort, Cohort]:
    return lesions(seed=1), lesions(100, seed=2)


def evidence_of(trainer: Trainer, train: Cohort, val: Cohort) -> Evidence:
    return Evidence(trainer, trainer.run, train, val)


def first(trainer: Trainer, train: Cohort, val: Cohort) -> str:
    causes = diagnose_training(trainer, train, val).causes
    return causes[0].name if causes else "none"


# ---------------------------------------------------------------------- healthy


def test_a_healthy_run_is_not_accused(sets):
    train, val = sets
    found = diagnose_training(fitted(train, val), train, val)
    assert found.causes == []
    assert found.collapsed is False
    assert "no cause of failure found" in repr(found)


def test_a_costly_first_epoch_is_forgiven(sets):
    train, val = sets
    model = build(train)
    with torch.no_grad():
        model.network.fc.weight.mul_(100)
    trainer = fitted(train, val, model, epochs=8)
    losses = evidence_of(trainer, train, val).losses["train_loss"]
    assert losses.max() > 1.2
    assert losses.iloc[-1] < 0.5
    assert diagnose_training(trainer, train, val).causes == []


def test_three_classes():
    train, val = (lesions(180, seed=s, classes=("none", "rows", "columns")) for s in (1, 2))
    assert first(fitted(train, val, epochs=6), train, val) == "none"
    assert first(fitted(train, val, lr=1e-7), train, val) == "learning-rate-too-low"


def test_nothing_is_changed(sets):
    train, val = sets
    trainer = fitted(train, val, lr=1e-7, sampler=BalancedSampler(train.targets))  # fails, so that copies are trained
    trainer.model.train()
    trainer.model.network.fc.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    modes = [module.training for module in trainer.model.modules()]
    learning = [weight.requires_grad for weight in trainer.model.parameters()]
    epoch = trainer.sampler._epoch
    torch.manual_seed(7)
    state = torch.get_rng_state()
    assert diagnose_training(trainer, train, val).causes
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
    assert [module.training for module in trainer.model.modules()] == modes
    assert [weight.requires_grad for weight in trainer.model.parameters()] == learning
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in trainer.model.modules())
    assert trainer.sampler._epoch == epoch
    assert torch.equal(torch.get_rng_state(), state)


def test_twice_the_same(sets):
    train, val = sets
    trainer = fitted(train, val, lr=1e-7)
    assert diagnose_training(trainer, train, val) == diagnose_training(trainer, train, val)


# ---------------------------------------------------------------------- faults


def kill(model: Classifier) -> Classifier:
    nn.init.constant_(model.network.features[5].bias, -1000.0)
    return model


def forget(model: Classifier) -> Classifier:
    model.network.features[1].momentum = model.network.features[5].momentum = 0.0
    model.network.features[1].running_mean.fill_(9.0)
    return model


def freeze(model: Classifier) -> Classifier:
    model.network.features.requires_grad_(False)
    return model


def raw(model: Classifier) -> Classifier:
    model.mean.zero_()
    model.std.fill_(1 / 255)
    return model


def build_plain() -> Classifier:
    """Without batch normalisation, which forgives any learning rate here."""
    return build(lesions(seed=1), SimpleCNN(1, 2, width=8))


class Bright(nn.Module):
    """A linear layer on the mean of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(1, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(images.mean((2, 3)))


@pytest.mark.parametrize(
    ("name", "model", "arguments"),
    [
        ("learning-rate-too-high", lambda model: build_plain(), {"lr": 1.0, "epochs": 3}),
        ("learning-rate-too-low", None, {"lr": 1e-7}),
        ("frozen-weights", freeze, {}),
        ("input-not-normalised", raw, {}),
        ("softmax-before-cross-entropy", lambda model: nn.Sequential(model, nn.Softmax(1)), {}),
        ("batch-norm-statistics", forget, {"epochs": 8}),
        ("dead-relus", kill, {}),
        ("threshold-unreachable", None, {"loss": nn.CrossEntropyLoss(weight=torch.tensor([3000.0, 1.0])), "epochs": 6}),
    ],
)
def test_a_fault_of_model_or_settings(sets, name, model, arguments):
    train, val = sets
    trainer = fitted(train, val, None if model is None else model(build(train)), **arguments)
    found = diagnose_training(trainer, train, val)
    assert found.causes[0].name == name
    assert any(character.isdigit() for character in found.causes[0].evidence)
    assert f"1. {name}: " in repr(found)
    assert found.causes[0].remedy.splitlines()[0].strip() in repr(found)


def test_capacity(sets):
    train, val = sets
    assert first(fitted(train, val, build(train, Bright())), train, val) == "capacity-too-small"


def test_constant_labels(sets):
    train, val = sets
    trainer = fitted(train, val, sampler=np.flatnonzero(train.targets == 0).tolist())
    assert [cause.name for cause in diagnose_training(trainer, train, val).causes] == ["labels-constant"]


def test_imbalance():
    train, val = lesions(300, share=0.04, seed=1), lesions(200, share=0.1, seed=2)
    assert first(fitted(train, val, epochs=1, lr=1e-3), train, val) == "imbalance"


def test_shuffled_labels(sets):
    train, val = sets
    labels = np.random.default_rng(0).permutation(train.table["label"].to_numpy())
    wrong = Cohort(train.read(range(len(train))), train.table.assign(label=labels), train.classes)
    cause = diagnose_training(fitted(wrong, val), wrong, val).causes[0]
    assert cause.name == "labels-shuffled"
    assert "These data cannot say which" in cause.evidence


def test_sorted_batches(sets):
    train, val = sets
    cause = diagnose_training(fitted(train, val, sampler=np.argsort(train.targets).tolist()), train, val).causes[0]
    assert cause.name == "unshuffled-batches"
    assert "100% of the batches hold one class only" in cause.evidence


def test_overfitting():
    rng = np.random.default_rng(0)
    cohorts = []
    for n, seed in ((24, 3), (160, 4)):
        cohort = lesions(n, seed=seed)
        flipped = np.where(rng.random(n) < 0.25, 1 - cohort.targets, cohort.targets)  # a quarter of the labels is wrong
        names = np.array(cohort.classes)[flipped]
        cohorts.append(Cohort(cohort.read(range(n)), cohort.table.assign(label=names), cohort.classes))
    causes = diagnose_training(fitted(cohorts[0], None, epochs=60), *cohorts).causes
    assert [cause.name for cause in causes] == ["overfitting"]
    kept_an_earlier_epoch = fitted(*cohorts, epochs=60)
    assert kept_an_earlier_epoch.run.best_epoch < 40
    assert diagnose_training(kept_an_earlier_epoch, *cohorts).causes == []


# ---------------------------------------------------------------------- mistakes


def test_what_cannot_be_diagnosed(sets):
    train, val = sets
    with pytest.raises(TrainingError, match="no finished run"):
        diagnose_training(Trainer(build(train), progress=False, device="cpu"), train, val)
    trainer = fitted(train, val, epochs=1)
    with pytest.raises(ArgumentError, match="Classifier"):
        diagnose_training(trainer.model, train, val)
    with pytest.raises(ArgumentError, match="val=None"):
        diagnose_training(trainer, train, None)
    with pytest.raises(TrainingError, match="classes, channels and size"):
        diagnose_training(trainer, train, make_cohort(20, channels=3))
    with pytest.raises(TrainingError, match="holds no image of"):
        diagnose_training(trainer, train, val.subset(val.targets == 0))
    findings = make_multilabel(40)
    with pytest.raises(TrainingError, match="diagnose one finding"):
        diagnose_training(trainer, findings, findings)


# ---------------------------------------------------------------------- measurements


def test_the_best_constant_answer(sets):
    train, val = lesions(100, share=0.1), sets[1]
    shares, loss = evidence_of(fitted(train, val, epochs=1), train, val).constant_answer
    assert shares == pytest.approx([0.9, 0.1], abs=1e-3)
    assert loss == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1), abs=1e-4)
    weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0]))
    even = evidence_of(fitted(train, val, epochs=1, loss=weighted), train, val).constant_answer[0]
    assert even == pytest.approx([0.5, 0.5], abs=1e-3)


def test_remedies_call_what_exists():
    called = set(re.findall(r"\bmc\.(\w+)", inspect.getsource(rules)))
    assert {"Trainer", "build_model", "choose_threshold"} <= called <= set(mc.__all__)


def test_the_remedy_names_the_model_at_hand(sets):
    train, val = sets
    trainer = fitted(train, val, mc.build_model("simple-cnn", train), lr=1.0, epochs=2)
    cause = diagnose_training(trainer, train, val).causes[0]
    assert cause.name == "learning-rate-too-high"
    assert "mc.build_model('simple-cnn', train)" in cause.remedy


def test_the_learning_rate_of_an_optimizer_of_ones_own_is_not_judged(sets):
    train, val = sets
    trainer = fitted(train, val, optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=1e-7))
    assert "learning-rate-too-low" not in [cause.name for cause in diagnose_training(trainer, train, val).causes]


def test_labels_that_show_in_the_pictures_and_labels_that_do_not(sets):
    train, val = sets
    auroc, chance = evidence_of(fitted(train, val, epochs=1), train, val).forest
    assert auroc > 0.9 > chance
    wrong = train.table.assign(label=np.random.default_rng(0).permutation(train.table["label"].to_numpy()))
    shuffled = Cohort(train.read(range(len(train))), wrong, train.classes)
    auroc, chance = evidence_of(fitted(shuffled, val, epochs=1), shuffled, val).forest
    assert auroc < chance < 0.65


def test_a_patient_who_is_known_by_sight_is_no_signal():
    rng = np.random.default_rng(0)
    pixels = np.repeat(
        rng.integers(0, 255, (40, 1, 16, 16), dtype=np.uint8), 4, axis=0
    )  # four equal pictures of each patient
    labels = np.repeat(rng.permutation(np.array(["healthy", "ill"] * 20)), 4)
    table = make_cohort(160).table.assign(label=labels, group=np.repeat(np.arange(40).astype(str), 4))
    cohort = Cohort(pixels, table, ("healthy", "ill"))
    alone = Cohort(pixels, table.assign(group=np.arange(160).astype(str)), ("healthy", "ill"))
    trainer = fitted(cohort, None, epochs=1)
    assert evidence_of(trainer, cohort, cohort).forest[0] < 0.75
    assert evidence_of(trainer, alone, alone).forest[0] > 0.95


def test_new_averages_are_for_batch_normalisation_that_learns(sets):
    train, val = sets
    trainer = fitted(train, val, epochs=1)
    assert evidence_of(trainer, train, val).with_new_averages is not None
    trainer.model.network.features.requires_grad_(False)
    assert evidence_of(trainer, train, val).with_new_averages is None
    assert evidence_of(fitted(train, val, build_plain(), epochs=1), train, val).with_new_averages is None
