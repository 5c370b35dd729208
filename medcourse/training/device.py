"""Where and in which precision a model trains: Lightning Fabric, set up from two words."""

import ctypes
import logging
import os
import sys
from pathlib import Path
from typing import Literal, get_args

import torch
from lightning_fabric import Fabric

from medcourse.arguments import one_of, whole_number
from medcourse.errors import TrainingError

Precision = Literal["auto", "fp32", "bf16"]
PRECISION = "MEDCOURSE_PRECISION"
KEEP_MEMORY = "MEDCOURSE_KEEP_MEMORY"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def make_fabric(device: str, precision: Precision) -> Fabric:
    """A launched Fabric: one device, or all that ``torchrun`` (or SLURM) has started processes for.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: "auto" (see ``auto_precision``), "fp32" or "bf16" (autocast).

    Raises:
        ArgumentError: unknown words (also in MEDCOURSE_PRECISION).
        TrainingError: a device that is not there.
    """
    kind, _, number = str(device).partition(":")
    one_of("device", kind, ("auto", "cpu", "cuda", "mps"))
    one_of("precision", precision, get_args(Precision))
    if number:
        whole_number("device number", int(number) if number.isdecimal() else number)
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    found = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if found <= int(number or 0):
        raise TrainingError(
            f"device='{device}' is not there: this machine has {found} such device(s). Use device='auto'."
        )
    if precision == "auto":
        precision = auto_precision(kind)
    if kind == "cpu":
        keep_freed_memory()
    # Fabric tells its precision on stderr; one stored stderr line would break a notebook's test.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    processes, own = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    fabric = Fabric(
        accelerator=kind,
        devices=[int(number)] if number and kind == "cuda" else own,
        num_nodes=max(1, processes // own),
        strategy="ddp" if processes > 1 else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def keep_freed_memory() -> None:
    """Let up to 512 MB that a training step has freed stay with the process until ``predict`` ends.

    A setting of the whole process, on Linux with glibc; elsewhere nothing happens. Without it glibc gives the top of the heap
    back after every step and takes it again in the next, and the system fills each page with zeros anew: a step of a ResNet18 at
    64 px takes a fifth longer (docs/BENCHMARKS.md). MEDCOURSE_KEEP_MEMORY=0 turns it off. Existing settings in MALLOC_TRIM_THRESHOLD_ or
    MALLOC_MMAP_THRESHOLD_ are respected.

    Raises:
        ArgumentError: MEDCOURSE_KEEP_MEMORY is neither 0 nor 1.
    """
    if libc := _glibc():
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # the most that glibc itself would come to
        libc.mallopt(_M_TRIM_THRESHOLD, 512 * 2**20)


def give_memory_back() -> None:
    """Hand what is free to the system, after ``keep_freed_memory``."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """None where there is none, or where its heap is to be left alone."""
    keep = one_of(KEEP_MEMORY, os.environ.get(KEEP_MEMORY) or "1", ("0", "1")) == "1"
    own = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"} & set(os.environ)
    libc = ctypes.CDLL(None) if keep and not own and sys.platform == "linux" else None
    return libc if hasattr(libc, "mallopt") else None


def auto_precision(kind: str) -> Literal["fp32", "bf16"]:
    """What precision="auto" means on a device ("cpu", "cuda" or "mps").

    ``MEDCOURSE_PRECISION`` (fp32 or bf16) decides where it is set and not empty; else ("auto", too) bf16 where the hardware
    computes in it, and fp32 where it does not.

    Raises:
        ArgumentError: MEDCOURSE_PRECISION holds another word.
    """
    asked = one_of(PRECISION, os.environ.get(PRECISION) or "auto", get_args(Precision))
    return "bf16" if asked == "bf16" or (asked == "auto" and computes_in_bf16(kind)) else "fp32"


def computes_in_bf16(kind: str) -> bool:
    """Whether the hardware multiplies bfloat16 natively; emulated, it is many times slower than float32."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpuinfo = Path("/proc/cpuinfo")
    if kind == "cpu" and cpuinfo.exists():
        flags = set(cpuinfo.read_text().split())
        return bool(flags & {"amx_bf16", "avx512_bf16", "bf16"})
    return False
