from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medcourse.errors import ArgumentError, TrainingError
from medcourse.imbalance.losses import CostSensitiveLoss, FocalLoss, LogitAdjustedLoss, WeightedBCELoss
from medcourse.imbalance.weights import class_weights, pos_neg_weights
from medcourse.networks.models import build_model
from medcourse.training.trainer import Trainer
from tests.conftest import make_cohort, make_multilabel

NAN = float("nan")
LOGITS = torch.tensor([[1.2, -0.3, 0.4], [-2.0, 0.5, 0.1], [0.3, 0.2, -1.5], [0.0, 3.0, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 2, 1, 1])
FINDINGS = torch.tensor([[1, 0, NAN], [0, NAN, 1], [1, 1, 0], [NAN, 0, 0]], dtype=torch.float64)
COSTS = [[0, 1, 2], [10, 0, 1], [3, 4, 0.5]]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z)
    return e / e.sum(1, keepdims=True)


def test_weighted_bce_by_hand():
    w_p, w_n = np.array([0.75, 0.5, 0.9]), np.array([0.25, 0.5, 0.1])
    z, y = LOGITS.numpy(), FINDINGS.numpy()
    s = 1 / (1 + np.exp(-z))
    by_hand = np.nanmean(-(w_p * y * np.log(s) + w_n * (1 - y) * np.log(1 - s)))
    assert float(WeightedBCELoss(w_p, w_n)(LOGITS, FINDINGS)) == pytest.approx(by_hand, rel=1e-6)


def test_weight_pairs_make_present_and_absent_weigh_alike():
    targets = torch.tensor([0.0] * 6 + [1.0] * 2)[:, None]
    logits = torch.zeros(8, 1, requires_grad=True)
    WeightedBCELoss(*pos_neg_weights(targets.numpy()))(logits, targets).backward()
    assert float(logits.grad[:6].sum()) == pytest.approx(-float(logits.grad[6:].sum()))


def test_what_was_not_assessed_has_no_part():
    logits = LOGITS.clone().requires_grad_()
    loss = WeightedBCELoss(1.0, 1.0)
    value = loss(logits, FINDINGS)
    value.backward()
    known = ~FINDINGS.isnan()
    assert value.item() == pytest.approx(float(F.binary_cross_entropy_with_logits(LOGITS[known], FINDINGS[known])))
    assert (logits.grad[~known] == 0).all()
    assert (logits.grad[known] != 0).all()
    assert float(loss(LOGITS, torch.full_like(LOGITS, NAN))) == 0


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, [0.2, 0.5, 0.3]])
def test_focal_loss_by_hand(gamma, alpha):
    p = softmax(LOGITS.numpy())[np.arange(4), LABELS.numpy()]
    a = 1 if alpha is None else np.array(alpha)[LABELS.numpy()]
    by_hand = np.mean(-a * (1 - p) ** gamma * np.log(p))
    assert float(FocalLoss(gamma, alpha)(LOGITS, LABELS)) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_loss_of_findings_by_hand(alpha):
    y = FINDINGS.numpy()
    s = 1 / (1 + np.exp(-LOGITS.numpy()))
    p = np.where(y == 1, s, 1 - s)
    a = 1 if alpha is None else np.where(y == 1, alpha, 1 - alpha)
    losses = np.where(np.isnan(y), np.nan, -a * (1 - p) ** 2 * np.log(p))
    assert float(FocalLoss(2.0, alpha)(LOGITS, FINDINGS)) == pytest.approx(np.nanmean(losses), rel=1e-6)


def test_one_alpha_is_that_of_the_positive_class():
    two = LOGITS[:, :2]
    labels = torch.tensor([0, 1, 1, 0])
    one, both = (FocalLoss(2.0, alpha)(two, labels) for alpha in (0.25, [0.75, 0.25]))
    assert float(one) == float(both)


def test_logit_adjustment_by_hand_and_its_limits():
    counts = np.array([80, 15, 5])
    z = LOGITS.numpy() + 1.5 * np.log(counts / 100)
    by_hand = -np.log(softmax(z)[np.arange(4), LABELS.numpy()]).mean()
    assert float(LogitAdjustedLoss(counts, tau=1.5)(LOGITS, LABELS)) == pytest.approx(by_hand, rel=1e-6)
    plain = float(F.cross_entropy(LOGITS, LABELS))
    assert float(LogitAdjustedLoss(counts, tau=0)(LOGITS, LABELS)) == pytest.approx(plain)
    assert float(LogitAdjustedLoss([7, 7, 7])(LOGITS, LABELS)) == pytest.approx(plain)


def test_a_constant_model_learns_no_prior_under_logit_adjustment():
    labels = torch.tensor([0] * 9 + [1])
    logits = torch.zeros(10, 2, requires_grad=True)  # the right constant answer once the prior is taken out
    LogitAdjustedLoss([9, 1])(logits, labels).backward()
    assert logits.grad.sum(0).abs().max() < 1e-6


def test_expected_cost_by_hand():
    by_hand = (np.array(COSTS)[LABELS.numpy()] * softmax(LOGITS.numpy())).sum(1).mean()
    assert float(CostSensitiveLoss(COSTS)(LOGITS, LABELS)) == pytest.approx(by_hand, rel=1e-6)
    sure = 50 * torch.eye(2)
    missed = CostSensitiveLoss([[0, 1], [10, 0]])
    assert float(missed(sure, torch.tensor([1, 1]))) == pytest.approx(5)  # one of two positives called negative
    assert float(missed(sure, torch.tensor([0, 0]))) == pytest.approx(0.5)


LOSSES = [
    (WeightedBCELoss([0.75, 0.5, 0.9], [0.25, 0.5, 0.1]), FINDINGS),
    (FocalLoss(2.0, [0.2, 0.5, 0.3]), LABELS),
    (FocalLoss(0.5), LABELS),
    (FocalLoss(1.5, 0.25), FINDINGS),
    (LogitAdjustedLoss([80, 15, 5]), LABELS),
    (CostSensitiveLoss(COSTS), LABELS),
]


@pytest.mark.parametrize(("loss", "targets"), LOSSES, ids=lambda v: repr(v) if isinstance(v, nn.Module) else "")
def test_slopes(loss, targets):
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), LOGITS.clone().requires_grad_())


@pytest.mark.parametrize(("loss", "targets"), LOSSES, ids=lambda v: repr(v) if isinstance(v, nn.Module) else "")
@pytest.mark.parametrize("scale", [1e3, -1e3, 0.0])
def test_certain_logits_stay_finite(loss, targets, scale):
    logits = (LOGITS.float() * scale).requires_grad_()
    value = loss(logits, targets.float() if targets.is_floating_point() else targets)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    "loss", [FocalLoss(), FocalLoss(1.0, 0.3), LogitAdjustedLoss([40, 8]), CostSensitiveLoss([[0, 1], [5, 0]])]
)
def test_the_trainer_takes_each(loss):
    cohort = make_cohort(48)
    trainer = Trainer(
        build_model("simple-cnn", cohort), loss=loss, epochs=1, batch_size=16, progress=False, device="cpu"
    )
    run = trainer.fit(cohort, cohort)
    assert np.isfinite(run.history["train_loss"]).all()


@pytest.mark.parametrize("make", [lambda y: WeightedBCELoss(*pos_neg_weights(y)), lambda y: FocalLoss(2.0, 0.75)])
def test_the_trainer_takes_them_for_findings(make):
    cohort = make_multilabel(64, size=16)
    loss = make(cohort.targets)
    trainer = Trainer(
        build_model("simple-cnn", cohort), loss=loss, epochs=1, batch_size=16, progress=False, device="cpu"
    )
    run = trainer.fit(cohort, cohort)
    assert np.isfinite(run.history[["train_loss", "val_loss"]]).all(axis=None)


def test_losses_move_and_say_what_they_are():
    for loss, _ in LOSSES:
        assert all(buffer.device.type == "meta" for buffer in deepcopy(loss).to("meta").buffers())
    assert repr(FocalLoss(1.5)) == "FocalLoss(gamma=1.5, alpha=None)"
    assert repr(CostSensitiveLoss([[0, 1], [10, 0]])) == "CostSensitiveLoss(costs=[[0.0, 1.0], [10.0, 0.0]])"


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: WeightedBCELoss([1, 2], [1, 2, 3]), "give pairs"),
        (lambda: WeightedBCELoss([-1], [1]), "finite and 0 or more"),
        (lambda: LogitAdjustedLoss([3, 0]), "all above 0"),
        (lambda: CostSensitiveLoss([[0, 1, 2], [1, 0, 2]]), "give K x K"),
        (lambda: CostSensitiveLoss([[0, 1], [1]]), "costs must be numbers"),
        (lambda: CostSensitiveLoss([[5, 1], [1, 0]]), "costs more than a wrong one"),
        (lambda: WeightedBCELoss(1, 1)(LOGITS, LABELS), "as many float targets"),
        (lambda: WeightedBCELoss([1, 1], [1, 1])(LOGITS, FINDINGS), "for 2 classes, the model gives 3"),
        (lambda: FocalLoss(2, [1, 1])(LOGITS, LABELS), "for 2 classes, the model gives 3"),
        (lambda: FocalLoss(2, [1, 1, 1])(LOGITS, FINDINGS), "alpha is one number"),
        (lambda: LogitAdjustedLoss([1, 1])(LOGITS, LABELS), "for 2 classes, the model gives 3"),
        (lambda: CostSensitiveLoss(COSTS)(LOGITS, FINDINGS[:, 0]), "needs logits N x K"),
        (lambda: WeightedBCELoss(1, 1)(LOGITS, torch.full_like(LOGITS, -1.0)), r"also \[-1\.0\]"),
        (lambda: FocalLoss()(LOGITS, torch.full_like(LOGITS, 0.9)), r"also \[0\.9\]"),
        (
            lambda: CostSensitiveLoss(COSTS)(LOGITS, torch.full_like(LABELS, -1)),
            r"targets of 0\.\.2; there are also \[-1\]",
        ),
        (lambda: LogitAdjustedLoss([1, 1, 1])(LOGITS, torch.full_like(LABELS, -100)), r"also \[-100\]"),
        (lambda: FocalLoss()(LOGITS, LABELS + 3), r"targets of 0\.\.2; there are also"),
        (lambda: FocalLoss(2, [[1, 2], [3, 4]]), "one number, or one weight per class"),
        (lambda: WeightedBCELoss([[1, 2]], [[1, 2]]), "give pairs"),
        (lambda: WeightedBCELoss([1, 1], [1, 1])(LOGITS[:, 0], FINDINGS[:, 0]), "for 2 classes, the model gives 1"),
        (lambda: LogitAdjustedLoss(["a", "b"]), "counts must be numbers"),
        (lambda: FocalLoss()(LOGITS.tolist(), LABELS), "needs tensors, not list, Tensor"),
        (lambda: FocalLoss()(LOGITS, LABELS.tolist()), "needs tensors, not Tensor, list"),
        (lambda: WeightedBCELoss(1, 1)(LOGITS[None], FINDINGS[None]), "N x K logits"),
        (lambda: LogitAdjustedLoss([-1, 3]), "0 or more"),
    ],
)
def test_a_wrong_loss(make, named):
    with pytest.raises(TrainingError, match=named):
        make()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: FocalLoss(-1), "gamma=-1 .* 0 or more"),
        (lambda: FocalLoss("2"), "gamma='2'"),
        (lambda: FocalLoss(2, 1.5), "alpha=1.5 .* between 0 and 1"),
        (lambda: LogitAdjustedLoss([3, 1], tau=NAN), "tau=nan"),
        (lambda: LogitAdjustedLoss([1, 1], tau=None), "tau=None"),
    ],
)
def test_a_wrong_number(make, named):
    with pytest.raises(ArgumentError, match=named):
        make()


def test_shapes_alone_can_be_traced():
    for loss, targets in LOSSES:
        told = deepcopy(loss).to("meta")(torch.empty(LOGITS.shape, device="meta"), targets.to("meta"))
        assert told.shape == ()


def test_the_callers_array_may_change():
    weights = np.array([0.5, 0.5], dtype=np.float32)
    loss = WeightedBCELoss(weights, weights)
    weights[0] = 7
    assert loss.w_p.tolist() == [0.5, 0.5]


def test_a_logit_that_is_no_number_is_left_out_where_nothing_was_assessed():
    logits = torch.tensor([[NAN, 1.0]], requires_grad=True)
    loss = WeightedBCELoss(1, 1)(logits, torch.tensor([[NAN, 1.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log1p(np.exp(-1)))
    assert logits.grad[0, 0] == 0


def test_class_weights_are_those_of_cui_et_al():
    counts = np.array([5000, 500, 50])
    weights = class_weights(np.repeat([0, 1, 2], counts), "effective").double().numpy()
    effective_number = np.array([sum(0.9999**k for k in range(n)) for n in counts])  # their eq. 4: 1 + b + b^2 + ...
    assert weights == pytest.approx(3 / effective_number / (1 / effective_number).sum(), rel=1e-6)
