"""With MEDCOURSE_REMEMBER=1 a training that came to its end is not run again; whatever it depends on makes a new one."""

import pytest
import torch
from torch import nn

from medcourse.data.cohort import Cohort
from medcourse.imbalance.losses import FocalLoss
from medcourse.imbalance.samplers import BalancedSampler
from medcourse.networks.models import build_model
from medcourse.training import remembered
from medcourse.training.augmentation import Augmentation
from medcourse.training.remembered import REMEMBER
from medcourse.training.trainer import Trainer
from tests.conftest import make_cohort

pytestmark = pytest.mark.usefixtures("one_thread")
TRAIN, VAL = make_cohort(48, seed=1), make_cohort(24, seed=2)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCOURSE_CACHE", str(tmp_path))
    monkeypatch.setenv(REMEMBER, "1")


def trained(
    seed: int = 0, train: Cohort = TRAIN, val: Cohort | None = VAL, network: str = "simple-cnn", **settings
) -> Trainer:
    settings = {"epochs": 2, "batch_size": 16, "progress": False, **settings}
    trainer = Trainer(build_model(network, train, seed=seed), **settings)
    trainer.fit(train, val)
    return trainer


def same(one: Trainer, other: Trainer) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def times_trained(capsys, *settings: dict) -> int:
    """How many of these trainings were really run."""
    capsys.readouterr()
    for one in settings:
        trained(**one)
    return len(settings) - capsys.readouterr().out.count("this training was finished before")


def test_the_second_fit_gives_the_same_model_history_and_random_state_without_training(capsys):
    first = trained()
    torch.manual_seed(5)
    second = trained()
    after = torch.rand(1)
    torch.manual_seed(5)
    assert after == torch.rand(1)
    assert same(first, second)
    assert first.run.history.equals(second.run.history)
    assert first.run.best_epoch == second.run.best_epoch
    assert first.predict(VAL).table.equals(second.predict(VAL).table)
    assert times_trained(capsys, {}) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"epochs": 3},
        {"lr": 1e-4},
        {"batch_size": 8},
        {"augment": "chest"},
        {"augment": Augmentation("chest", rotation=1)},
        {"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))},
        {"loss": FocalLoss(gamma=1.0)},
        {"loss": FocalLoss(gamma=2.0)},
        {"network": "squeezenet1_1", "train": make_cohort(48, size=32), "val": None},
        {"val": None},
        {"train": make_cohort(48, seed=3)},
        {"val": make_cohort(24, seed=3)},
        {"train": TRAIN.subset(TRAIN.table.index[:40])},
    ],
    ids=str,
)
def test_an_edited_setting_trains_anew_and_is_remembered_too(changed, capsys):
    assert times_trained(capsys, {}, changed, changed, {}) == 2


def test_a_sampler_counts_with_its_seed(capsys):
    samplers = [{"sampler": BalancedSampler(TRAIN.targets, seed=seed)} for seed in (0, 1, 0)]
    assert times_trained(capsys, *samplers) == 2


def test_one_pixel_and_one_label_count(capsys):
    pixels = TRAIN.images.copy()
    pixels[0, 0, 0, 0] ^= 1
    label = TRAIN.table.copy()
    label.loc[label.index[0], "label"] = next(name for name in TRAIN.classes if name != label["label"].iloc[0])
    other_pixel, other_label = Cohort(pixels, TRAIN.table, TRAIN.classes), Cohort(TRAIN.images, label, TRAIN.classes)
    assert times_trained(capsys, {}, {"train": other_pixel}, {"train": other_label}) == 3


class OwnLoss(nn.CrossEntropyLoss):
    """A student's: its code may change between two runs of a cell."""


@pytest.mark.parametrize(
    "own",
    [
        {"loss": OwnLoss()},
        {"loss": lambda logits, targets: nn.functional.cross_entropy(logits, targets)},
        {"augment": lambda images: images},
        {"after_epoch": lambda trainer, record: None},
        {"optimizer": lambda model: torch.optim.SGD(model.parameters(), lr=0.1)},
    ],
    ids=lambda own: next(iter(own)),
)
def test_what_the_student_wrote_is_never_remembered(own, capsys):
    assert times_trained(capsys, own, own) == 2


@pytest.mark.parametrize("value", ["0", None])
def test_off_unless_asked_for(value, monkeypatch, capsys, tmp_path):
    trained()
    monkeypatch.setenv(REMEMBER, value) if value else monkeypatch.delenv(REMEMBER)
    assert times_trained(capsys, {}) == 1
    assert len(list(tmp_path.glob("trainings/*"))) == 1


def test_another_version_of_the_code_trains_anew(monkeypatch, capsys):
    trained()
    monkeypatch.setattr(remembered, "_package", lambda: "another")
    assert times_trained(capsys, {}) == 1


def test_a_damaged_file_trains_anew(tmp_path, capsys):
    trained()
    (kept,) = tmp_path.glob("trainings/*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    assert times_trained(capsys, {}, {}) == 1


def test_the_oldest_go_when_there_is_no_room(tmp_path, monkeypatch, capsys):
    trained()
    (kept,) = tmp_path.glob("trainings/*.safetensors")
    monkeypatch.setattr(remembered, "ROOM", 2.5 * kept.stat().st_size)
    trained(seed=1)
    trained(seed=2)
    assert times_trained(capsys, {"seed": 2}, {"seed": 1}, {"seed": 0}) == 1


def test_a_folder_that_cannot_be_written_costs_a_line_and_not_the_training(tmp_path, capsys):
    (tmp_path / "trainings").write_text("a file where a folder should be")
    assert trained().run.best_epoch
    assert "the training is not kept for after a restart" in capsys.readouterr().out


def test_a_checkpoint_of_ones_own_is_used_instead(tmp_path):
    trained(checkpoint=tmp_path / "mine")
    assert not (tmp_path / "trainings").exists()
