"""The methods of torchcam, with the weights of Grad-CAM++ as its paper has them, and gradients down to one layer only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchcam.methods import GradCAM, GradCAMpp, LayerCAM, SmoothGradCAMpp, XGradCAM


def _plus_plus(activation: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """The weight of each channel by Chattopadhay et al. 2018, eq. 19 (N x C x h x w to N x C).

    Args:
        activation: of the layer.
        first, second, third: derivatives of the score by it: powers of the logit's gradient, since the score is its exponential.
    """
    denominator = 2 * second + third * activation.sum((2, 3), keepdim=True)
    alpha = torch.where(denominator != 0, second / denominator, 0.0)
    return (alpha * first.relu()).sum((2, 3))


class _GradCAMpp(GradCAMpp):
    """torchcam 0.5 divides a copy, so that its weights are the sum of the cubed gradients; and it sums another product."""

    def _get_weights(self, class_idx: int | list[int], scores: Tensor, *_more: Any, **more: Any) -> list[Tensor]:
        self._backprop(scores, class_idx, **more)
        pairs = zip(self.hook_a, [gradient.float() for gradient in self.hook_g], strict=True)
        return [_plus_plus(act.float(), gradient, gradient**2, gradient**3) for act, gradient in pairs]


class _SmoothGradCAMpp(SmoothGradCAMpp):
    """The weights of Omeiza et al., averaged over the noisy copies; an image's map does not depend on its batch.

    torchcam 0.5 takes the activations and the first derivative of the last noisy copy, and noise for the whole batch.
    """

    def _compute_smoothgrad_weights(self, class_idx: int | list[int], eps: float, **more: Any) -> list[Tensor]:
        own, noise = list(self.hook_a), torch.Generator().manual_seed(0)
        sums = [[torch.zeros_like(act, dtype=torch.float32) for act in own] for _power in range(3)]
        for _copy in range(self.num_samples):
            drawn = self.std * torch.randn(self._input.shape[1:], generator=noise)
            self._backprop(self.model(self._input + drawn.to(self._input)), class_idx, **more)
            for power, of_layers in enumerate(sums, start=1):
                for total, gradient in zip(of_layers, self.hook_g, strict=True):
                    total += gradient.float() ** power / self.num_samples
        self.hook_a = own
        return [_plus_plus(act.float(), *powers) for act, *powers in zip(own, *sums, strict=True)]


METHODS = {
    "gradcam": GradCAM,
    "gradcam++": _GradCAMpp,
    "smoothgradcam++": _SmoothGradCAMpp,
    "layercam": LayerCAM,
    "xgradcam": XGradCAM,
}


@contextmanager
def gradients_from(model: nn.Module, layer: str) -> Iterator[None]:
    """For the block, the graph of gradients begins behind a layer: a forward pass then keeps nothing of what lies before it.

    A backbone that is frozen, or runs under ``torch.no_grad()``, makes no difference. ``requires_grad`` of the weights is
    put back, also after an error.
    """

    def begin(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        with torch.enable_grad():
            return output.detach().requires_grad_().clone()  # a clone, since what follows may work in place

    with _frozen(model), model.get_submodule(layer).register_forward_hook(begin):
        yield


def everything_passes(model: nn.Module, layer: str, image: Tensor) -> bool:
    """Does all that the logits know of the image come through this layer? Not of one branch among several."""

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        return output.detach()

    with _frozen(model), model.get_submodule(layer).register_forward_hook(cut), torch.enable_grad():
        return not model(image.detach().clone().requires_grad_()).requires_grad


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    learning = [weight for weight in model.parameters() if weight.requires_grad and not weight.is_inference()]
    try:
        for weight in learning:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
