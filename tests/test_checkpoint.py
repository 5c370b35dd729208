"""A run that was broken off ends as if it had not been; everything that is no checkpoint of this run is refused."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.imbalance.samplers import BalancedSampler
from medcourse.networks import saving
from medcourse.networks.models import build_model
from medcourse.training.checkpoint import FILE
from medcourse.training.trainer import Run, Trainer
from tests.conftest import HANGS, make_cohort

pytestmark = pytest.mark.usefixtures("one_thread")
TRAIN, VAL = make_cohort(48, seed=1), make_cohort(24, seed=2)


class BrokenOffError(Exception):
    pass


class DiesAt(nn.CrossEntropyLoss):
    """Breaks the run off at a call of the loss."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.left = call

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left == 0:
            raise BrokenOffError
        return super().forward(logits, targets)


def small(channels: int = 1, classes: tuple[str, ...] = ("healthy", "ill")) -> nn.Module:
    """Convolutions (channels last), batch statistics and dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(channels, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(8, len(classes)),
        )


def make(folder: Path | None, model: nn.Module | None = None, **more) -> Trainer:
    arguments = {"epochs": 4, "lr": 0.02, "batch_size": 16, "augment": "skin", "device": "cpu", "progress": False}
    return Trainer(model or small(), checkpoint=folder, **(arguments | more))


def same(one: tuple[Trainer, Run], other: tuple[Trainer, Run]) -> None:
    """Weights, history but for times, and predictions, to the last bit."""
    for (name, a), b in zip(one[0].model.state_dict().items(), other[0].model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    times = ["seconds", "images_per_second"]
    assert one[1].history.drop(columns=times).equals(other[1].history.drop(columns=times))
    assert one[1].best_epoch == other[1].best_epoch
    assert np.array_equal(one[0].predict(VAL).probabilities, other[0].predict(VAL).probabilities)


def ran(trainer: Trainer, val: Cohort | None = VAL) -> tuple[Trainer, Run]:
    return trainer, trainer.fit(TRAIN, val)


def sampler() -> BalancedSampler:
    return BalancedSampler(TRAIN.targets, TRAIN.table["group"], seed=3)


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("call", [2, 5, 8, 14])  # in epoch 1, 2, 2 or 4 (of each, 3 batches and validation)
def test_a_broken_run_goes_on_as_if_unbroken(tmp_path: Path, call: int, sampled: bool, capsys):
    whole = ran(make(None, sampler=sampler() if sampled else None))
    with pytest.raises(BrokenOffError):
        ran(make(tmp_path, loss=DiesAt(call), sampler=sampler() if sampled else None))
    resumed = ran(make(tmp_path, loss=DiesAt(-1), sampler=sampler() if sampled else None))
    same(whole, resumed)
    assert f"{(call - 1) // 4} of 4 epochs done, going on" in capsys.readouterr().out


def test_the_same_trainer_goes_on_after_an_interrupt(tmp_path: Path):
    trainer = make(tmp_path, loss=DiesAt(7))
    with pytest.raises(BrokenOffError):
        ran(trainer)
    same(ran(make(None)), ran(trainer))


def test_a_finished_run_returns_at_once(tmp_path: Path, capsys):
    first = ran(make(tmp_path, loss=DiesAt(-1)))
    again = ran(make(tmp_path, loss=DiesAt(1)))
    same(first, again)
    assert again[1].seconds == first[1].seconds
    assert "finished, nothing is trained" in capsys.readouterr().out


def test_epochs_may_grow_but_not_shrink(tmp_path: Path):
    ran(make(tmp_path, epochs=2))
    same(ran(make(None, epochs=5)), ran(make(tmp_path, epochs=5)))
    with pytest.raises(TrainingError, match="already holds 5 epochs, more than epochs=3"):
        ran(make(tmp_path, epochs=3))


def test_without_validation(tmp_path: Path):
    with pytest.raises(BrokenOffError):
        ran(make(tmp_path, loss=DiesAt(5)), None)
    same(ran(make(None), None), ran(make(tmp_path, loss=DiesAt(-1)), None))


def test_a_kill_while_a_state_is_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = saving.save_file

    def half(tensors, path: Path, words) -> None:
        whole(tensors, path, words)
        if '"epoch": 2' in words["medcourse"]:
            path.write_bytes(path.read_bytes()[:-100])
            raise BrokenOffError

    monkeypatch.setattr(saving, "save_file", half)
    with pytest.raises(BrokenOffError):
        ran(make(tmp_path / "a" / "run"))
    monkeypatch.undo()
    same(ran(make(None)), ran(make(tmp_path / "a" / "run")))
    assert [path.name for path in (tmp_path / "a" / "run").iterdir()] == [FILE]


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


@pytest.mark.parametrize("kind", ["pickle", "torch", "cut", "empty"])
def test_a_damaged_file_is_refused_and_a_pickle_never_opened(tmp_path: Path, kind: str, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran(make(tmp_path / "run", epochs=1))
    file = tmp_path / "run" / FILE
    if kind == "torch":
        torch.save(Bomb(), file)
    else:
        file.write_bytes({"pickle": pickle.dumps(Bomb()), "cut": file.read_bytes()[:-100], "empty": b""}[kind])
    with pytest.raises(TrainingError, match="cannot be read as a safetensors file"):
        ran(make(tmp_path / "run"))
    assert not (tmp_path / "exploded").exists()


def test_a_file_that_no_run_has_written(tmp_path: Path):
    saving.save_file({"a": torch.zeros(2)}, tmp_path / FILE)
    with pytest.raises(TrainingError, match="is of another run"):
        ran(make(tmp_path))


def test_a_checkpoint_that_is_no_folder(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(TrainingError, match="cannot be written"):
        ran(make(tmp_path / "file"))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"lr": 0.01}, "lr was 0.02, is 0.01"),
        ({"batch_size": 8}, "batch_size was 16, is 8"),
        ({"seed": 1}, "seed was 0, is 1"),
        ({"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))}, "loss was "),
        ({"optimizer": lambda model: torch.optim.SGD(model.parameters(), 0.02)}, r"optimizer was Adam \(.*, is SGD"),
        ({"optimizer": lambda model: torch.optim.Adam(model.parameters(), 0.1)}, r"optimizer was Adam \(.*, is Adam"),
        ({"after_epoch": print}, "after_epoch was none, is print"),
        ({"augment": None}, r"augment was Augmentation\('skin'.*, is none"),
        ({"sampler": range(48)}, r"sampler was none, is range"),
        ({"sampler": sampler()}, r"sampler was none, is BalancedSampler"),
        ({"precision": "bf16"}, "precision was 32-true, is bf16-mixed"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(256, 2))}, "model was Sequential of "),
    ],
)
def test_another_run_is_refused(tmp_path: Path, changed: dict, named: str):
    ran(make(tmp_path, epochs=1, precision="fp32"))
    with pytest.raises(TrainingError, match=named):
        ran(make(tmp_path, **({"precision": "fp32"} | changed)))


def test_a_part_that_is_frozen_now_is_another_run(tmp_path: Path):
    ran(make(tmp_path, build_model("simple-cnn", TRAIN), epochs=1))
    with pytest.raises(TrainingError, match=r"what learns was \d+ weights, is 258 weights"):
        ran(make(tmp_path, build_model("simple-cnn", TRAIN, train="head"), epochs=1))


def test_other_sets_are_refused(tmp_path: Path):
    make(tmp_path, epochs=1).fit(TRAIN, VAL)
    with pytest.raises(TrainingError, match=r"training set was 48 images .* is 46 images") as refusal:
        make(tmp_path).fit(TRAIN.subset(TRAIN.table.index[2:]), VAL)
    assert "validation" not in str(refusal.value)
    with pytest.raises(TrainingError, match=r"validation set was 24 images .* is none"):
        make(tmp_path).fit(TRAIN, None)
    with pytest.raises(
        TrainingError, match=r"training set was 48 images of binary: healthy, ill.* is 48 images of binary: a, b"
    ):
        make(tmp_path).fit(make_cohort(48, classes=("a", "b"), seed=1), None)
    table = TRAIN.table.assign(label=TRAIN.table["label"].to_numpy()[::-1])
    with pytest.raises(TrainingError, match=r"training set was 48 images .* is 48 images"):
        make(tmp_path).fit(Cohort(np.asarray(TRAIN.images), table, TRAIN.classes), VAL)


def test_what_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medcourse.networks.saving.save_file", full)
    with pytest.raises(TrainingError, match=r"cannot be written to .*No space left"):
        ran(make(tmp_path))


KILLS = """
import json, sys, threading
from functools import partial
from pathlib import Path
import torch
from tqdm import tqdm
from medcourse.networks import saving
from medcourse.training import checkpoint, trainer
from tests.kills import killed_at, lines_of, middle
from tests.test_checkpoint import TRAIN, VAL, make, ran, sampler, same
from tests.test_optimizer import by_parts, thaw

torch.set_num_threads(1)
tqdm.set_lock(threading.RLock())  # its own lock is shared by forked processes: a killed one would keep it for ever
place, modules = Path(sys.argv[1]), [checkpoint, saving, trainer]

def trainer_of(folder, epochs):
    return make(folder, epochs=epochs, sampler=sampler(), optimizer=by_parts, after_epoch=thaw)

ran(trainer_of(place / "watched", 1))
passed = lines_of(modules, partial(ran, trainer_of(place / "watched", 3)))  # goes on for two epochs
last_save = max(number for number, (name, _) in enumerate(passed) if name == checkpoint.__name__)
lines = middle(passed[:last_save + 1])
points = {line: visit for number, (line, visit) in enumerate(lines.items())
          if line[0] != trainer.__name__ or number % 5 == 0}
epochs, folder, killed = len(points) + 3, place / "run", []
ran(trainer_of(folder, 1))  # every process goes on from a state, as the watched one did
for line, visit in points.items():
    died = killed_at(line, visit, modules, partial(ran, trainer_of(folder, epochs)))
    done = saving.read_tensors(folder / checkpoint.FILE)[0]["progress"]["epoch"]
    killed.append({"line": line, "died": died, "done": done, "writing": (folder / f".{checkpoint.FILE}.writing").exists()})
same(ran(trainer_of(None, epochs)), ran(trainer_of(folder, epochs)))
print("killed:", json.dumps(killed))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_line_leaves_no_trace(tmp_path: Path):
    """``kill -9`` at every line of checkpoint.py and saving.py and every fifth of trainer.py, one by one on one run."""
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path)], capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert done.returncode == 0, done.stderr
    killed = json.loads(done.stdout.split("killed: ")[-1])
    assert len(killed) > 50
    assert [one["line"] for one in killed if not one["died"]] == []
    epochs = [one["done"] for one in killed]
    assert epochs == sorted(epochs), "no kill may lose an epoch that was done"
    assert len(set(epochs)) > 20, "kills in the midst of the run"
    assert any(one["writing"] for one in killed), "kills while a state was being written"
