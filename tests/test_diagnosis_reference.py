"""What a forest finds, and stored averages taken anew: no training, so these are fast."""

import numpy as np
import torch
from torch import nn

from medcourse.diagnosis.inside import renew_statistics
from medcourse.diagnosis.reference import found_on, found_within, small_pictures


def pictures(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Noise, brighter on the left in class 1; two pictures of each patient."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) // 2 % 2
    images = rng.random((n, 1, 16, 16), dtype=np.float32)
    images[targets == 1, :, :, :8] += 0.1
    return torch.from_numpy(images), targets, (np.arange(n) // 2).astype(object)


def test_small_pictures():
    features = small_pictures(torch.rand(3, 2, 20, 20))
    assert features.shape == (3, 2 * (64 + 11))
    assert small_pictures(torch.full((1, 1, 16, 16), 0.25)).tolist() == [[0.25] * 75]


def test_signal_is_found_out_of_fold_and_on_validation():
    images, targets, groups = pictures()
    within = found_within(small_pictures(images), targets, groups, 2)
    assert within.auroc > 0.9 > within.chance
    others, theirs, _ = pictures(seed=1)
    beyond = found_on((small_pictures(images), targets), (small_pictures(others), theirs), 2)
    assert beyond.auroc > 0.9 > beyond.chance


def test_permuted_labels_are_at_chance_out_of_fold_though_validation_may_be_ranked():
    images, targets, groups = pictures()
    below = 0
    for seed in range(3):
        wrong = np.random.default_rng(seed).permutation(targets)
        within = found_within(small_pictures(images), wrong, groups, 2)
        below += within.auroc < within.chance
    assert below == 3
    assert within.chance < 0.62  # enough images to say so


def test_a_patient_who_is_known_by_sight_is_no_signal():
    rng = np.random.default_rng(0)
    base = rng.random((60, 1, 16, 16), dtype=np.float32)
    images = torch.from_numpy(np.repeat(base, 4, axis=0))  # four equal pictures of each patient
    targets = np.repeat(rng.permutation(60) % 2, 4)
    features = small_pictures(images)
    apart = found_within(features, targets, np.repeat(np.arange(60), 4).astype(object), 2)
    mixed = found_within(features, targets, np.arange(240).astype(object), 2)
    assert mixed.auroc > 0.95
    assert apart.auroc < 0.7


def test_too_few_groups_cannot_tell():
    images, targets, _ = pictures(40)
    assert found_within(small_pictures(images), targets, targets.astype(object), 2) is None
    assert found_within(small_pictures(images), np.zeros(40, int), np.arange(40).astype(object), 2) is None


def test_averages_taken_anew():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5))
    model[0].running_mean.fill_(7.0)
    batches = [torch.zeros(4, 1, 2, 2), torch.ones(4, 1, 2, 2)]
    assert renew_statistics(model, batches) is model
    assert model[0].running_mean.tolist() == [0.5]
    assert not any(module.training for module in model.modules())


def test_a_frozen_average_is_left_alone():
    model = nn.Sequential(nn.BatchNorm2d(1).requires_grad_(False)).eval()
    model[0].running_mean.fill_(7.0)
    renew_statistics(model, [torch.zeros(4, 1, 2, 2)])
    assert model[0].running_mean.tolist() == [7.0]
