"""ImageNet weights: torchvision's own, and those of SqueezeNet's features from the manifest."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from medcourse.data.cache import stored
from medcourse.data.fetch import MIRROR, is_of_network
from medcourse.data.load import weights_file
from medcourse.errors import IntegrityError, SourceError

_SQUEEZENET = "squeezenet1_1-imagenet"  # in the manifest


def with_imagenet_weights(build: Callable[..., nn.Module]) -> nn.Module:
    """One of torchvision's networks with its ImageNet weights, for 3 channels and 1,000 classes.

    SqueezeNet's come from the manifest's sources (its ``features`` only: the classifier stays random), all others from torchvision.

    Raises:
        SourceError: they cannot be had; the message says what to do.
        IntegrityError: what came is not the file that was expected.
        StorageError: this machine's disk is full, or may not be read or written.
    """
    if build.__name__ == "squeezenet1_1":
        network = build(weights=None)
        features = load_file(weights_file(_SQUEEZENET, progress=False))  # verified by its hash
        network.load_state_dict({**network.state_dict(), **features})
        return network
    name = build.__name__
    with stored(f"the ImageNet weights of {name}", Path(torch.hub.get_dir()), "TORCH_HOME"):
        try:
            return build(weights="DEFAULT", progress=False)  # its bar would go to stderr and break a notebook's test
        except OSError as error:
            if not is_of_network(error):
                raise
            raise SourceError(
                f"the ImageNet weights of {name} cannot be fetched ({error}). Use weights=None, or put the file into "
                f"{torch.hub.get_dir()}/checkpoints by hand; squeezenet1_1's come from the mirror ({MIRROR})."
            ) from error
        except RuntimeError as error:  # torch.hub found another hash
            raise IntegrityError(f"the ImageNet weights of {name} were refused: {error}. Try again.") from error
