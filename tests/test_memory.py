"""A model that runs out of memory above a number of images, on the CPU."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medcourse.errors import TrainingError
from medcourse.training import device
from medcourse.training.trainer import Run, Trainer
from tests.conftest import make_cohort

pytestmark = pytest.mark.usefixtures("one_thread")
TRAIN, VAL = make_cohort(50, seed=1), make_cohort(20, seed=2)


class Narrow(nn.Module):
    """No batch normalisation; ``room`` images at once in training, ``eval_room`` in evaluation."""

    def __init__(self, room: int, eval_room: int = 1000, dropout: float = 0.0) -> None:
        super().__init__()
        self.room, self.eval_room, self.seen = room, eval_room, []
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
            self.layers = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(32, 2))

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > (self.room if self.training else self.eval_room):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if self.training:
            self.seen.append(len(images))
        return self.layers(images)


def squared(logits: Tensor, targets: Tensor) -> Tensor:
    """A loss of the batch that is no mean over images."""
    return nn.functional.cross_entropy(logits, targets) ** 2


def fit(model: nn.Module, loss=None, **more) -> Run:
    arguments = {"epochs": 2, "batch_size": 16, "lr": 0.01, "augment": "skin", "device": "cpu", "progress": False}
    return Trainer(model, loss, **(arguments | more)).fit(TRAIN, VAL)


@pytest.mark.parametrize(
    "loss",
    [
        None,
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0])),  # divides by the weights of the batch
        nn.CrossEntropyLoss(reduction="sum"),
        squared,
    ],
)
@pytest.mark.parametrize(("batch_size", "room", "most", "sizes"), [(16, 9, 8, {8, 2}), (11, 4, 5, {4, 3})])
def test_fewer_images_at_once_make_the_same_steps(loss, batch_size: int, room: int, most: int, sizes: set[int], capsys):
    whole, narrow = Narrow(1000), Narrow(room)
    a, b = (fit(model, loss, batch_size=batch_size, precision="fp32") for model in (whole, narrow))
    assert set(narrow.seen) == sizes
    for one, other in zip(whole.parameters(), narrow.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    columns = ["train_loss", "val_loss", "val_auroc"]
    assert np.allclose(a.history[columns], b.history[columns], rtol=1e-4)
    said = capsys.readouterr()
    assert said.out.count("out of memory while training") == 1
    assert f"with {batch_size} images at once: from now on {most} at most" in said.out
    assert said.err == ""


def test_a_try_that_failed_half_way_leaves_nothing_behind():
    """Out of memory in the last part of four, when the gradients of one part are there already."""

    class Shrinks(Narrow):
        def forward(self, images: Tensor) -> Tensor:
            if len(self.seen) == 3:
                self.room = 4
            return super().forward(images)

    whole, shrinking = Narrow(1000), Shrinks(8)
    fit(whole, epochs=1, precision="fp32")
    fit(shrinking, epochs=1, precision="fp32")
    assert shrinking.seen[:5] == [8, 8, 8, 4, 4]
    for one, other in zip(whole.parameters(), shrinking.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_both_passes_draw_the_same_dropout():
    """Else the slopes would belong to other logits: with parts of all sizes the loss must still fall."""
    a, b = (fit(Narrow(8, dropout=0.5), epochs=3) for _ in range(2))
    assert a.history["train_loss"].equals(b.history["train_loss"])

    class Remembers(Narrow):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            if self.training:
                passes.append(logits.detach().clone())
            return logits

    passes: list[Tensor] = []
    fit(Remembers(8, dropout=0.5), epochs=1)
    first = passes[:4]  # two parts without gradients, and the same two with them
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[1], first[3])
    assert not torch.equal(first[0], first[1])


def test_batch_statistics_count_every_image_once():
    class Normal(Narrow):
        def __init__(self, room: int) -> None:
            super().__init__(room)
            self.norm = nn.BatchNorm2d(1)

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(self.norm(images) if len(images) <= self.room else images)

    model = Normal(8)
    fit(model, epochs=1)
    assert model.norm.num_batches_tracked == 3 * 2 + 1  # three batches of 16 in two parts, one of 2


def test_evaluation_too(capsys):
    model = Narrow(1000, eval_room=6)
    whole, run = fit(Narrow(1000), precision="fp32"), fit(model, precision="fp32")
    assert np.allclose(whole.history["val_loss"], run.history["val_loss"], rtol=1e-5)
    assert "out of memory while predicting with 20 images at once: from now on 5 at most" in capsys.readouterr().out


def test_one_image_is_too_many():
    with pytest.raises(TrainingError, match=r"out of memory while training with 1 image.*Use smaller images"):
        fit(Narrow(0))
    with pytest.raises(TrainingError, match="out of memory while predicting with 1 image"):
        fit(Narrow(8, eval_room=0))


def test_freed_memory_stays_unless_the_user_has_set_how_much(monkeypatch: pytest.MonkeyPatch):
    """What it saves is measured by benchmarks/small_things.py."""
    asked = []
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device.ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=lambda *given: asked.append(given)))
    device.keep_freed_memory()
    assert asked == [(-3, 32 * 2**20), (-1, 512 * 2**20)]  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    device.keep_freed_memory()
    assert len(asked) == 2


def test_a_model_goes_with_its_trainer():
    model = Narrow(room=100)
    trainer = Trainer(model, epochs=1, progress=False)
    trainer.fit(TRAIN, VAL)
    trainer.predict(VAL)
    last = weakref.ref(model)
    gc.disable()  # no circle that the collector would have to find: tensors do not count for it
    try:
        del model, trainer
        assert last() is None
    finally:
        gc.enable()
