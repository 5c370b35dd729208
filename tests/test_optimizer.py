"""Optimizers, schedules and hooks of the user's: what learns, how fast, and that a broken run goes on with them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from medcourse.errors import TrainingError
from medcourse.networks.models import build_model
from medcourse.training.trainer import Trainer
from tests.test_checkpoint import TRAIN, VAL, BrokenOffError, DiesAt, make, ran, same, small

pytestmark = pytest.mark.usefixtures("one_thread")


def by_parts(model: nn.Module) -> tuple[Optimizer, LRScheduler]:
    """Momentum; the first layer learns slowly; both rates fall."""
    groups = [{"params": model[0].parameters(), "lr": 0.001}, {"params": model[1:].parameters()}]
    optimizer = SGD(groups, lr=0.05, momentum=0.9)
    return optimizer, MultiStepLR(optimizer, [1, 3], gamma=0.5)


def thaw(trainer: Trainer, record: dict[str, float]) -> None:
    """Freezes the first convolution from the start of epoch 2 on, and lets it learn again from epoch 4 on."""
    trainer.model[0].requires_grad_(record["epoch"] not in (1, 2))


def test_without_an_optimizer_it_is_adam_over_all_weights():
    same(ran(make(None)), ran(make(None, optimizer=lambda model: Adam(model.parameters(), lr=0.02, fused=True))))


def test_parameter_groups_learn_at_their_own_rates():
    def still_first(model: nn.Module) -> Optimizer:
        return SGD([{"params": model[0].parameters(), "lr": 0.0}, {"params": model[3:].parameters()}], lr=0.1)

    before, (trainer, _) = small().state_dict(), ran(make(None, optimizer=still_first))
    moved = {name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    assert {"3.weight", "7.weight"} <= moved
    assert not moved & {"0.weight", "0.bias", "1.weight"}, "group at rate 0, and weights in no group"


def test_a_scheduler_is_stepped_once_per_epoch():
    rates, steps = [], []

    def falling(model: nn.Module) -> tuple[Optimizer, LRScheduler]:
        optimizer = SGD(model.parameters(), lr=0.1)
        optimizer.register_step_pre_hook(lambda optimizer, *_: steps.append(optimizer.param_groups[0]["lr"]))
        return optimizer, LambdaLR(optimizer, lambda epoch: 0.5**epoch)

    ran(make(None, optimizer=falling, after_epoch=lambda trainer, record: rates.append(steps[-1])))
    assert len(steps) == 4 * 3
    assert rates == pytest.approx([0.1, 0.05, 0.025, 0.0125])


def test_the_hook_sees_each_epoch():
    seen = []

    def look(trainer: Trainer, record: dict[str, float]) -> None:
        assert trainer.model.training
        before = torch.get_rng_state()
        seen.append((dict(record), trainer.predict(VAL).scores))
        assert torch.equal(torch.get_rng_state(), before)
        record.clear()

    watched = ran(make(None, after_epoch=look))
    same(ran(make(None)), watched)
    assert [record["epoch"] for record, _ in seen] == [1, 2, 3, 4]
    assert [record["val_auroc"] for record, _ in seen] == watched[1].history["val_auroc"].tolist()
    assert np.array_equal(seen[watched[1].best_epoch - 1][1], watched[0].predict(VAL).scores)


def test_a_hook_unfreezes_a_part_in_the_middle():
    model = build_model("simple-cnn", TRAIN, train="head")
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    moved = []

    def unfreeze(trainer: Trainer, record: dict[str, float]) -> None:
        moved.append({name for name, weight in model.named_parameters() if not torch.equal(weight, start[name])})
        if record["epoch"] == 2:
            trainer.model.requires_grad_(True)

    ran(make(None, model, after_epoch=unfreeze), None)
    head = {"network.fc.weight", "network.fc.bias"}
    assert moved[:2] == [head, head]
    assert moved[2] == moved[3] == set(start)


def schedulers(model: nn.Module) -> dict[str, tuple[Optimizer, LRScheduler | None]]:
    sgd, adam, plain = (
        SGD(model.parameters(), 0.05, 0.9),
        AdamW(model.parameters(), 0.02),
        SGD(model.parameters(), 0.05),
    )
    return {
        "cosine": (adam, CosineAnnealingLR(adam, 5)),
        "one cycle": (sgd, OneCycleLR(sgd, 0.1, 8)),
        "function": (plain, LambdaLR(plain, lambda epoch: 1 / (1 + epoch))),
        "none": (sgd, None),
    }


@pytest.mark.parametrize("name", ["cosine", "one cycle", "function", "none"])
def test_a_broken_run_goes_on_with_its_optimizer(tmp_path: Path, name: str):
    def chosen(model: nn.Module):
        optimizer, scheduler = schedulers(model)[name]
        return optimizer if scheduler is None else (optimizer, scheduler)

    with pytest.raises(BrokenOffError):
        ran(make(tmp_path, loss=DiesAt(10), optimizer=chosen))
    same(ran(make(None, optimizer=chosen)), ran(make(tmp_path, loss=DiesAt(-1), optimizer=chosen)))


@pytest.mark.parametrize("call", [6, 10, 14])
@pytest.mark.parametrize("anew", [True, False], ids=["another trainer", "the same trainer"])
def test_a_broken_run_goes_on_with_what_its_hook_changed(tmp_path: Path, call: int, anew: bool):
    trainer = make(tmp_path, loss=DiesAt(call), optimizer=by_parts, after_epoch=thaw)
    with pytest.raises(BrokenOffError):
        ran(trainer)
    again = make(tmp_path, loss=DiesAt(-1), optimizer=by_parts, after_epoch=thaw) if anew else trainer
    same(ran(make(None, optimizer=by_parts, after_epoch=thaw)), ran(again))


def test_groups_that_were_added_on_the_way_cannot_go_on(tmp_path: Path):
    made: list[Optimizer] = []

    def grows(model: nn.Module) -> Optimizer:
        made.append(SGD(model[3:].parameters(), lr=0.1))
        return made[-1]

    def add(trainer: Trainer, record: dict[str, float]) -> None:
        if record["epoch"] == 1:
            made[-1].add_param_group({"params": trainer.model[0].parameters()})

    with pytest.raises(BrokenOffError):
        ran(make(tmp_path, loss=DiesAt(10), optimizer=grows, after_epoch=add))
    with pytest.raises(TrainingError, match="parameter groups are not those of the checkpoint"):
        ran(make(tmp_path, loss=DiesAt(-1), optimizer=grows, after_epoch=add))


def others(model: nn.Module) -> Optimizer:
    return SGD(small().parameters(), lr=0.1)


def pair_of_strangers(model: nn.Module) -> tuple[Optimizer, LRScheduler]:
    optimizers = [SGD(model.parameters(), lr=0.1) for _ in range(2)]
    return optimizers[0], LambdaLR(optimizers[1], lambda epoch: 1.0)


def on_plateau(model: nn.Module) -> tuple[Optimizer, LRScheduler]:
    optimizer = SGD(model.parameters(), lr=0.1)
    return optimizer, ReduceLROnPlateau(optimizer)


@pytest.mark.parametrize(
    ("optimizer", "named"),
    [
        (lambda model: None, "must return a torch.optim.Optimizer.* it returned NoneType"),
        (lambda model: (Adam(model.parameters()), 3), "it returned Adam, int"),
        (lambda model: Adam(model.head.parameters()), "optimizer= fails on this model: AttributeError"),
        (others, "weights that are not the model's"),
        (pair_of_strangers, "belongs to another optimizer"),
        (on_plateau, "call its step in after_epoch="),
        (lambda model: Adam(model.requires_grad_(False).parameters()), "nothing in this model learns"),
    ],
)
def test_optimizers_that_do_not_fit(optimizer, named: str):
    with pytest.raises(TrainingError, match=named):
        ran(make(None, optimizer=optimizer))
