"""Batches cut from a cohort's uint8 images: moved once, made float, channels last."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from medcourse.data.cohort import Cohort
from medcourse.networks.forward import float_images

_GPU_SHARE = 0.5  # of the free GPU memory that a cohort may take


class Batches:
    """A cohort's images and targets, by row numbers.

    The whole cohort goes to the GPU when it takes less than half of its free memory; otherwise, and on the CPU, every
    batch is cut from the (memory-mapped) array. No worker processes: the array is already decoded.

    Attributes:
        cohort: they are cut from it.
        targets: on the device, int64, N; of a multilabel cohort float32, N x K, NaN = not assessed.
    """

    def __init__(self, cohort: Cohort, device: torch.device) -> None:
        self.cohort = cohort
        self._device = device
        dtype = torch.float32 if cohort.task == "multilabel" else torch.int64
        self.targets = torch.tensor(cohort.targets, dtype=dtype, device=device)
        self._resident: Tensor | None = None
        if device.type == "cuda":
            size = len(cohort) * cohort.channels * cohort.size**2
            if size < _GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
                self._resident = torch.from_numpy(cohort.read(range(len(cohort)))).to(device)

    def __len__(self) -> int:
        return len(self.cohort)

    def read(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images (float32 in [0, 1], n x C x H x W, channels last) and targets on the device."""
        index = torch.as_tensor(np.asarray(rows), device=self._device)
        if self._resident is None:
            pixels = torch.from_numpy(self.cohort.read(rows)).to(self._device)
        else:
            pixels = self._resident[index]
        return float_images(pixels.contiguous(memory_format=torch.channels_last)), self.targets[index]


def cut(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Batches of ``size`` rows; a last batch of one row joins the one before (batch statistics need two)."""
    starts = list(range(0, len(rows), size))
    if len(starts) > 1 and len(rows) - starts[-1] == 1:
        starts.pop()
    for first, after in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield rows[first:after]
