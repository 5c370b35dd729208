"""How fast is mc.Trainer? Against the loop people write, and against the limit, in one process, alternating.

(a) mc.Trainer on a memory-mapped cohort;
(b) the usual loop: ImageFolder, PIL transforms, DataLoader with 2 workers, fp32;
(c) the limit: bare forward, backward and step on tensors already in memory, at (a)'s precision and layout.

ResNet18 on the pneumonia films (real JPEG files from the cache). One warm-up and five counted repeats of each, in the
order a b c a b c ..., so that a machine that slows down slows all three. Ratios are taken repeat by repeat.

    MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/training_throughput.py [--sizes 64 224] [--repeats 5]
"""

import argparse
import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

import medcourse as mc
from medcourse.data.fetch import fetch
from medcourse.data.manifest import find_dataset
from medcourse.training.device import computes_in_bf16

BATCH = 32


def processor() -> str:
    """The processor's name as Linux gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


class Ours:
    """(a): one epoch of mc.Trainer; images per second of the training pass."""

    def __init__(self, cohort: mc.Cohort) -> None:
        self.cohort = cohort
        self.trainer = mc.Trainer(mc.build_model("resnet18", cohort), epochs=1, batch_size=BATCH, progress=False)

    def __call__(self) -> float:
        return float(self.trainer.fit(self.cohort).history["images_per_second"].iloc[0])


class Usual:
    """(b): the loop of most tutorials."""

    def __init__(self, folder: Path, rows: list[int], size: int, device: torch.device) -> None:
        steps = [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize([0.485] * 3, [0.229] * 3)]
        data = Subset(ImageFolder(str(folder), transforms.Compose(steps)), rows)
        self.loader = DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=2)
        self.device = device
        self.model = models.resnet18(num_classes=2).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def __call__(self) -> float:
        self.model.train()
        start, seen = time.perf_counter(), 0
        for images, targets in self.loader:
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.model(images.to(self.device)), targets.to(self.device))
            loss.backward()
            self.optimizer.step()
            seen += len(images)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return seen / (time.perf_counter() - start)


class Limit:
    """(c): the same model and precision on batches that are already there."""

    def __init__(self, cohort: mc.Cohort, device: torch.device, bf16: bool) -> None:
        self.model = mc.build_model("resnet18", cohort).to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)  # as in (a)
        self.device, self.bf16 = device, bf16
        self.batches = []
        for first in range(0, len(cohort), BATCH):
            rows = range(first, min(first + BATCH, len(cohort)))
            images = torch.from_numpy(cohort.read(rows)).to(device).contiguous(memory_format=torch.channels_last)
            self.batches.append((images.float() / 255, torch.from_numpy(cohort.targets[list(rows)]).to(device)))

    def __call__(self) -> float:
        self.model.train()
        start, seen = time.perf_counter(), 0
        for images, targets in self.batches:
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                logits = self.model(images)
            torch.nn.functional.cross_entropy(logits.float(), targets).backward()
            self.optimizer.step()
            seen += len(images)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return seen / (time.perf_counter() - start)


def measure(size: int, repeats: int, images: int) -> None:
    """Print one block of the table for one image size."""
    cohort = mc.load("chest-xray-pneumonia", size=size, phantom=False)
    train = cohort.subset(cohort.table["split"].eq("train"))
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(train), images, replace=False))
    part = train.subset(train.table.index[chosen])
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    bf16 = computes_in_bf16(kind)
    folder = fetch(find_dataset("chest-xray-pneumonia")) / "train"
    contenders = {
        "a": Ours(part),
        "b": Usual(folder, rng.choice(len(train), images, replace=False).tolist(), size, torch.device(kind)),
        "c": Limit(part, torch.device(kind), bf16),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(repeats + 1):
        for name, run in contenders.items():
            speed = run()
            if repeat:
                speeds[name].append(speed)
    precision = "bf16" if bf16 else "fp32"
    print(f"\n{size} px, {images} films per repeat, batch {BATCH}, {kind}, a and c in {precision}, b in fp32")
    for name, what in {"a": "mc.Trainer", "b": "ImageFolder + DataLoader", "c": "bare step"}.items():
        v = speeds[name]
        print(f"  {name} {what:26s} median {np.median(v):8.1f} images/s   (min {min(v):.1f}, max {max(v):.1f})")
    for other, bar in {"c": 0.93, "b": 1.5 if size < 128 else 2.2}.items():
        ratio = np.array(speeds["a"]) / np.array(speeds[other])
        print(f"  a/{other} median {np.median(ratio):.3f} (min {ratio.min():.3f}, max {ratio.max():.3f}); bar {bar}")


def loading() -> None:
    """Print how long the films take to load, the first time (decode) and the second."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as cache:
        before = os.environ.get("MEDCOURSE_CACHE")
        os.environ["MEDCOURSE_CACHE"] = cache
        times = []
        for _ in range(2):
            start = time.perf_counter()
            mc.load("chest-xray-pneumonia", size=64, phantom=False, progress=False)
            times.append(time.perf_counter() - start)
        os.environ.pop("MEDCOURSE_CACHE") if before is None else os.environ.update(MEDCOURSE_CACHE=before)
    print(f"\nmc.load of 5,840 films at 64 px: first {times[0]:.1f} s (bar 20), second {times[1]:.2f} s (bar 0.5)")


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=0, help="films per repeat; 0: 1024 at 64 px, 160 above")
    arguments = parser.parse_args()
    print(f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    if torch.cuda.is_available():
        print(torch.cuda.get_device_name())
    loading()
    for size in arguments.sizes:
        measure(size, arguments.repeats, arguments.images or (1024 if size < 128 else 160))


if __name__ == "__main__":
    main()
