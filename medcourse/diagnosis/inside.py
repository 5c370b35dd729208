"""What happens inside a model: copies come in, hooks and gradients stay on them."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def has_batch_norm(model: nn.Module) -> bool:
    """Is there a batch normalisation that learns?"""
    return any(isinstance(module, BATCH_NORM) and _learns(module) for module in model.modules())


def use_batch_statistics(model: nn.Module) -> nn.Module:
    """Batch normalisation that learns takes each batch's own statistics from now on."""
    for module in model.modules():
        if isinstance(module, BATCH_NORM) and _learns(module):
            module.train()
    return model


def renew_statistics(model: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """Batch normalisation that learns stores the plain mean over these batches; the model is left in evaluation mode."""
    renewed = [module for module in model.modules() if isinstance(module, BATCH_NORM) and _learns(module)]
    for module in renewed:
        module.reset_running_stats()
        module.momentum = None
        module.train()
    with torch.no_grad():
        for images in batches:
            model(images)
    return model.eval()


def first_input(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the pictures that reach the first layer with weights; 0 and 1 if none do."""
    seen: list[Tensor] = []
    layers = _layers(model)
    if not layers:
        return 0.0, 1.0
    layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().float()))
    with torch.no_grad():
        model(images)
    if seen[0].shape[-2:] != images.shape[-2:]:
        return 0.0, 1.0
    return float(seen[0].mean()), float(seen[0].std())


def dead_share(model: nn.Module, images: Tensor) -> float:
    """The largest share, over the ReLUs, of channels that are 0 on every image.

    Batch normalisation by the batch's statistics: what training sees.
    """
    shares: list[float] = []

    def count(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        channels = output.detach().transpose(0, 1).flatten(1)
        shares.append(float((channels.amax(1) <= 0).float().mean()))

    for module in use_batch_statistics(model).modules():
        if isinstance(module, nn.ReLU | nn.ReLU6):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(images)
    return max(shares, default=0.0)


def frozen_share(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """Share of the weights that no gradient reaches, and how far those are from a fresh draw.

    The second is the median excess kurtosis over their tensors: 0 for normal, -1.2 for uniform random weights, well
    above 0 for trained ones (a frozen network that somebody trained is transfer learning, not a fault).
    """
    logits = model(images)
    if logits.requires_grad:
        logits.square().sum().backward()
    frozen = [weight for weight in model.parameters() if weight.grad is None]
    tails = []
    for weight in frozen:
        if weight.ndim > 1 and weight.numel() >= 200:
            values = weight.detach().double()
            tails.append(float(((values - values.mean()) ** 4).mean() / values.var() ** 2 - 3))
    share = sum(weight.numel() for weight in frozen) / max(1, sum(weight.numel() for weight in model.parameters()))
    return share, float(np.median(tails)) if tails else 0.0


def linear_fit(model: nn.Module, images: Tensor, targets: Tensor) -> float:
    """Accuracy of a linear fit (least squares) to the numbers that enter the last layer, on these same images."""
    seen: list[Tensor] = []
    layers = _layers(model)
    if not layers:
        return 0.0
    layers[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().double()))
    with torch.no_grad():
        model(images)
    features = seen[0].flatten(1).cpu().numpy()
    features = (features - features.mean(0)) / (features.std(0) + 1e-12)
    features = np.column_stack([features, np.ones(len(features))])
    wanted = F.one_hot(targets).double().cpu().numpy()
    answer = features @ np.linalg.lstsq(features, wanted, rcond=1e-10)[0]
    return float((answer.argmax(1) == targets.cpu().numpy()).mean())


def _layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def _learns(module: nn.Module) -> bool:
    return all(weight.requires_grad for weight in module.parameters())
