"""What does it bring to keep freed memory for the next step (MEDCOURSE_KEEP_MEMORY)? Time per step and peak memory, both ways.

    .venv/bin/python benchmarks/freed_memory.py [--repeats 5]

Each run is a process of its own with one thread: a network on random images, batch 32, fp32, on the CPU; one epoch to warm up, one
that is measured, then a prediction. The two settings alternate. CPU seconds, because on a shared machine the wall clock also
measures the others.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from training_throughput import BATCH, processor

import medcourse as mc
from medcourse.training.device import KEEP_MEMORY

RUNS = (("simple-cnn", 64, 320), ("resnet18", 64, 320), ("resnet18", 160, 96))  # network, size, images
SETTINGS = {"0": "given back", "1": "kept"}


def resident() -> float:
    """MB of memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure(network: str, size: int, images: int) -> dict[str, float]:
    """One run in this process."""
    torch.set_num_threads(1)
    table = pd.DataFrame(
        {"label": np.array(["a", "b"])[np.arange(images) % 2], "group": [f"g{i}" for i in range(images)]}
    )
    pixels = np.random.default_rng(0).integers(0, 255, (images, 1, size, size), dtype=np.uint8)
    cohort = mc.Cohort(pixels, table, ("a", "b"))
    model = mc.build_model(network, cohort)
    trainer = mc.Trainer(model, epochs=1, batch_size=BATCH, precision="fp32", device="cpu", progress=False)
    trainer.fit(cohort)
    faults, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
    trainer.fit(cohort)
    seconds, used, after_fit = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF), resident()
    trainer.predict(cohort)
    steps = images // BATCH
    return {
        "CPU ms per step": 1000 * seconds / steps,
        "page faults per step": (used.ru_minflt - faults) / steps,
        "MB at most": used.ru_maxrss / 1024,
        "MB after fit": after_fit,
        "MB after predict": resident(),
    }


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        network, size, images = arguments.one
        print(json.dumps(measure(network, int(size), int(images))))
        return
    print(
        f"{processor()}, 1 thread, torch {torch.__version__}; median (min to max) of {arguments.repeats} processes each"
    )
    for run in RUNS:
        found: dict[str, list[dict[str, float]]] = {setting: [] for setting in SETTINGS}
        for _ in range(arguments.repeats):
            for setting, rows in found.items():
                command = [sys.executable, __file__, "--one", *map(str, run)]
                environment = {**os.environ, KEEP_MEMORY: setting, "OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                rows.append(json.loads(done.stdout))
        print(f"\n{run[0]}, {run[1]} px, {run[2]} images")
        for what in found["0"][0]:
            told = [f"{SETTINGS[setting]} {spread([row[what] for row in rows])}" for setting, rows in found.items()]
            print(f"  {what:22s} {'   '.join(told)}", flush=True)


def spread(values: list[float]) -> str:
    """Median, minimum and maximum."""
    return f"{np.median(values):8.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main()
