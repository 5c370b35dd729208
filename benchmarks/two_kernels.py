"""Several students on one machine: how long does a training take alone, and with a second one beside it?

Each setting is what a JupyterHub can put into the environment of its kernels. A training is four epochs of the small network
on drawn skin images; the clock runs while it trains, imports do not count.

    .venv/bin/python benchmarks/two_kernels.py [--repeats 3] [--images 400]
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from training_throughput import processor

CORES = len(os.sched_getaffinity(0))
SETTINGS = {
    "nothing set": {},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
TRAINING = """
import sys, time
import medcourse as mc
skin = mc.phantom.skin(images=int(sys.argv[1]), size=64)
cohort = skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
trainer = mc.Trainer(mc.build_model("simple-cnn", cohort), epochs=4, progress=False, device="cpu", precision="fp32")
print("ready", flush=True)
input()
wall, cpu = time.perf_counter(), time.process_time()
trainer.fit(cohort)
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def train(together: int, setting: dict[str, str], images: int) -> list[tuple[float, float]]:
    """Wall and CPU seconds of trainings that begin at the same moment, one process each."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in names} | setting
    command = [sys.executable, "-c", TRAINING, str(images)]
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(together)
    ]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0].split() for process in processes]
    return [(float(wall), float(cpu)) for wall, cpu in said]


def main() -> None:
    """Print a line for each setting: medians over repeats."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=400)
    given = parser.parse_args()
    os.chdir(Path(__file__).parents[1])  # the kernels import this checkout's medcourse
    print(f"{processor()}, {CORES} cores, {given.images} images; wall seconds (CPU seconds) of each, median")
    runs: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(given.repeats):  # alternating, so that a machine that slows down slows all settings
        for name, setting in SETTINGS.items():
            for together in (1, 2):
                runs.setdefault((name, together), []).extend(train(together, setting, given.images))
    print("| kernels' environment | alone | two side by side |\n|---|---|---|")
    for name in SETTINGS:
        medians = [map(statistics.median, zip(*runs[name, together], strict=True)) for together in (1, 2)]
        print(f"| {name} | {' | '.join(f'{wall:.1f} s ({cpu:.1f})' for wall, cpu in medians)} |")


if __name__ == "__main__":
    main()
