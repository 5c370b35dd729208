import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from medcourse.errors import ArgumentError, TrainingError
from medcourse.imbalance.samplers import BalancedSampler
from medcourse.imbalance.weights import class_weights, pos_neg_weights
from medcourse.networks.models import build_model
from medcourse.training.trainer import Trainer
from tests.conftest import HANGS, make_cohort, make_multilabel


def test_balanced_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 90 + [1] * 10)
    weights = class_weights(labels)
    assert weights.dtype == torch.float32
    assert weights.numpy() == pytest.approx(compute_class_weight("balanced", classes=np.array([0, 1]), y=labels))
    assert weights.tolist() == pytest.approx([100 / 180, 5.0])


def test_inverse_is_balanced_up_to_scale_and_effective_lies_between():
    labels = np.array([0] * 9000 + [1] * 1000)
    balanced, inverse, effective = (class_weights(labels, s) for s in ("balanced", "inverse", "effective"))
    assert torch.allclose(inverse / balanced, torch.tensor(2.0))
    assert effective.sum() == pytest.approx(2.0)
    hand = (1 - 0.9999**9000) / (1 - 0.9999**1000)
    assert float(effective[1] / effective[0]) == pytest.approx(hand, rel=1e-5)
    assert 1 < hand < 9


@pytest.mark.parametrize("labels", [[], [0, 0], [0, 2], [-1, 0], ["a", "b"], [0.0, 1.0], [[0, 1]]])
def test_labels_that_are_no_targets(labels):
    with pytest.raises(TrainingError, match="class_weights needs"):
        class_weights(labels)


def test_an_unknown_scheme():
    with pytest.raises(ArgumentError, match=r"scheme=.square. .* balanced, inverse, effective"):
        class_weights([0, 1], "square")


def test_the_sampler_balances_classes():
    labels = np.array([0] * 950 + [1] * 50)
    rows = list(BalancedSampler(labels, seed=1))
    assert len(rows) == 1000
    assert np.mean(labels[rows]) == pytest.approx(0.5, abs=0.06)  # four standard errors


def test_with_groups_every_group_of_a_class_counts_alike():
    labels = np.array([0] * 100 + [1] * 100)
    groups = np.array(["big"] * 91 + [f"g{k}" for k in range(9)] + [f"h{k // 10}" for k in range(100)])
    rows = np.concatenate([list(BalancedSampler(labels, groups, seed=s)) for s in range(20)])
    of_healthy = groups[rows][labels[rows] == 0]
    assert np.mean(of_healthy == "big") == pytest.approx(0.1, abs=0.03)
    assert np.mean(labels[rows]) == pytest.approx(0.5, abs=0.04)


def test_epochs_differ_and_can_be_repeated():
    sampler = BalancedSampler([0, 0, 0, 1] * 20, seed=3)
    first, second = list(sampler), list(sampler)
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_a_wrong_sampler():
    with pytest.raises(TrainingError, match="two or more classes"):
        BalancedSampler([1, 1, 1])
    with pytest.raises(TrainingError, match="2 labels, but 3 groups"):
        BalancedSampler([0, 1], ["a", "b", "c"])


def test_by_group_alone_every_group_counts_alike():
    groups = np.array(["big"] * 80 + ["small"] * 20)
    rows = list(BalancedSampler(None, groups, seed=2))
    assert len(rows) == 100
    assert np.mean(groups[rows] == "big") == pytest.approx(0.5, abs=0.2)  # four standard errors


def test_a_sampler_without_anything_to_balance():
    with pytest.raises(TrainingError, match="given neither"):
        BalancedSampler(None)
    with pytest.raises(TrainingError, match="1 images have no group"):
        BalancedSampler([0, 1, 1], ["a", "b", None])


def test_several_processes_share_one_epoch():
    cohort = make_cohort(50)
    labels = np.array([0] * 40 + [1] * 10)
    parts = []
    for rank in range(3):
        trainer = Trainer(build_model("simple-cnn", cohort), sampler=BalancedSampler(labels, seed=4), device="cpu")
        trainer.fabric = SimpleNamespace(world_size=3, global_rank=rank)
        parts.append([trainer.rows_of_epoch(50, epoch, torch.Generator()) for epoch in (1, 2)])
    alone = BalancedSampler(labels, seed=4)
    for number, epoch in enumerate((1, 2)):
        alone.set_epoch(epoch)
        together = [row for step in zip(*(part[number] for part in parts), strict=True) for row in step]
        assert together == list(alone)[:48]  # 50 draws, 16 for each process
    assert parts[0][0] != parts[0][1]


def test_one_weight_pair_per_finding():
    w_p, w_n = pos_neg_weights([0, 0, 0, 0, 0, 0, 1, 1])
    assert (float(w_p), float(w_n)) == (0.75, 0.25)
    w_p, w_n = pos_neg_weights([[0, 1], [0, np.nan], [1, 0], [np.nan, np.nan], [0, 1]])
    assert w_p.tolist() == pytest.approx([3 / 4, 1 / 3])
    assert w_n.tolist() == pytest.approx([1 / 4, 2 / 3])
    assert w_p.dtype == w_n.dtype == torch.float32


@pytest.mark.parametrize(
    ("targets", "named"),
    [
        ([], "needs targets"),
        (["a", "b"], "needs targets"),
        ([0, 1, 2], "must be 1, 0 or NaN; there are also \\[2.0\\]"),
        ([[0, 1], [0, 0]], "positives are \\[0, 1\\], negatives \\[2, 1\\]"),
        ([[0, np.nan], [1, np.nan]], "positives are \\[1, 0\\]"),
    ],
)
def test_targets_without_weight_pairs(targets, named):
    with pytest.raises(TrainingError, match=named):
        pos_neg_weights(targets)


TWO = """
import sys
from pathlib import Path
import medcourse as mc
from tests.conftest import make_cohort
cohort = make_cohort(64)
sampler, alone = (mc.BalancedSampler(cohort.targets, cohort.table["group"]) for _ in range(2))
model = mc.build_model("simple-cnn", cohort)
trainer = mc.Trainer(model, mc.FocalLoss(), epochs=2, batch_size=16, sampler=sampler, device="cpu", progress=False)
order, seen = trainer.rows_of_epoch, []
trainer.rows_of_epoch = lambda *arguments: seen.append(order(*arguments)) or seen[-1]
trainer.fit(cohort)
for epoch in (1, 2):
    alone.set_epoch(epoch)
    assert seen[epoch - 1] == list(alone)[trainer.fabric.global_rank :: 2]
weights = [round(float(weight.detach().double().sum()), 9) for weight in trainer.model.parameters()]
Path(f"{sys.argv[1]}/{trainer.fabric.global_rank}.txt").write_text(repr(weights))
"""


@pytest.mark.slow
def test_two_real_processes_share_each_epoch(tmp_path: Path):
    (tmp_path / "two.py").write_text(TWO)
    run = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(tmp_path / "two.py"),
        str(tmp_path),
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(run, capture_output=True, text=True, timeout=HANGS, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    weights = [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("ask", [class_weights, BalancedSampler])
def test_multilabel_targets_are_refused_in_words(ask):
    with pytest.raises(TrainingError, match=r"multilabel targets of 3 findings for 400 images.*relabel"):
        ask(make_multilabel().targets)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"labels": [0.0] * 6 + [1.0] * 2 + [np.nan] * 2}, "2 images have no label, e.g. row 8"),
        ({"labels": pd.Series(["a", "b", None])}, "1 images have no label, e.g. row 2"),
        ({"labels": pd.Series(["a", "b", pd.NA], dtype="string")}, "1 images have no label"),
        ({"labels": ["a", np.nan, "b"]}, "1 images have no label, e.g. row 1"),
        ({"labels": [0, 1, 0, 1], "groups": ["a", np.nan, np.nan, "b"]}, "2 images have no group, e.g. row 1"),
        ({"labels": [0, 1], "groups": [["a"], ["b"]]}, "one group per image"),
    ],
)
def test_labels_and_groups_that_are_none(arguments, named):
    with pytest.raises(TrainingError, match=named):
        BalancedSampler(**arguments)


@pytest.mark.parametrize("seed", [-1, None])
def test_a_seed_that_is_none(seed):
    with pytest.raises(ArgumentError, match=f"seed={seed}"):
        BalancedSampler([0, 1], seed=seed)


def test_names_are_labels_too():
    assert list(BalancedSampler(["b", "a", "a"], seed=1)) == list(BalancedSampler([1, 0, 0], seed=1))


def test_targets_that_are_no_array():
    with pytest.raises(TrainingError, match="needs an array of targets"):
        pos_neg_weights([[1, 0], [1]])
    assert class_weights(torch.tensor([0, 1, 1])).tolist() == pytest.approx([1.5, 0.75])
    present, absent = pos_neg_weights(torch.tensor([0, 1, 1, 1], dtype=torch.bfloat16))
    assert (present.item(), absent.item()) == (0.25, 0.75)
