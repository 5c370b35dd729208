"""How long the small things take: mc.evaluate, `medcourse --help`, `import medcourse`, drawn films; and the trainer in CPU seconds.

    MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/small_things.py

The trainer against the bare step in CPU seconds of one thread: on a shared machine the wall clock also measures the others.
"""

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from training_throughput import BATCH, Limit, processor

import medcourse as mc

REPEATS = 5


def show(what: str, times: list[float], unit: str = "s") -> None:
    """One line: median, minimum and maximum."""
    print(f"{what:62s} median {np.median(times):.3f} {unit} (min {min(times):.3f}, max {max(times):.3f})")


def timed(work: Callable[[], object], clock: Callable[[], float]) -> list[float]:
    """Seconds of each repeat by a clock (``time.perf_counter``: wall, ``time.process_time``: CPU), after one warm-up."""
    found = []
    for repeat in range(REPEATS + 1):
        start = clock()
        work()
        if repeat:
            found.append(clock() - start)
    return found


def predictions(n: int = 10_000, groups: int = 4_000) -> mc.Predictions:
    """Random predictions of a rare disease."""
    rng = np.random.default_rng(0)
    ill = (rng.random(n) < 0.1).astype(int)
    score = np.clip(0.2 + 0.2 * ill + rng.normal(0, 0.15, n), 0, 1)
    table = pd.DataFrame({"label": ill, "p_ill": score, "group": rng.integers(0, groups, n)})
    return mc.Predictions(table, ("well", "ill"))


def main() -> None:
    """Run everything and print the lines."""
    torch.set_num_threads(1)
    print(f"{processor()}, 1 thread, torch {torch.__version__}")
    pred = predictions()
    show("mc.evaluate, 10,000 predictions, 2,000 draws", timed(lambda: mc.evaluate(pred), time.perf_counter))
    show("mc.phantom.chest, 100 films at 64 px, CPU", timed(lambda: mc.phantom.chest(100, size=64), time.process_time))
    for what in ("from medcourse.cli import app; app(['--help'], standalone_mode=False)", "import medcourse"):
        command = [sys.executable, "-c", what]
        show(
            f"new process: {what[:40]}",
            timed(lambda c=command: subprocess.run(c, check=True, capture_output=True), time.perf_counter),
        )

    films = mc.load("chest-xray-pneumonia", size=64)
    part = films.subset(films.table.sample(256, random_state=0).index)
    trainer = mc.Trainer(mc.build_model("resnet18", part), epochs=1, batch_size=BATCH, precision="fp32", progress=False)
    bare = Limit(part, torch.device("cpu"), bf16=False)
    ratios = []
    for repeat in range(REPEATS + 1):
        seconds = []
        for work in (lambda: trainer.fit(part), bare):
            start = time.process_time()
            work()
            seconds.append(time.process_time() - start)
        if repeat:
            ratios.append(seconds[1] / seconds[0])
    show("CPU seconds, bare step / whole mc.Trainer.fit, 256 films, 64 px", ratios, "")


if __name__ == "__main__":
    main()
