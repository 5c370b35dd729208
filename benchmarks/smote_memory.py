"""Peak memory of SMOTE: mc.resample against the usual way, each in a process of its own.

(a) mc.resample(train, "smote"), and the same with "borderline-smote";
(b) the usual way: three-channel float32, flattened, SMOTE().fit_resample of imbalanced-learn.

On the 5,216 training films of the pneumonia set. Peak memory is the process's largest resident set (it counts the pages
of the memory-mapped cohort that were read, and the libraries). (b) needs some 14 GB at 224 px; when less than 18 GB are
free, or with --compute, its figure is computed from the sizes of the arrays that it holds at once, and the line says so.

    MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/smote_memory.py [--size 224] [--compute]
"""

import argparse
import multiprocessing
import resource
import sys
import time

import numpy as np
import psutil

import medcourse as mc

GB = 1e9
ROOM = 18 * GB  # free memory from which on (b) is run
BAR = 1 / 3


def training_films(size: int) -> mc.Cohort:
    """The films of the official training folder."""
    cohort = mc.load("chest-xray-pneumonia", size=size, phantom=False, progress=False)
    return cohort.subset(cohort.table["split"].eq("train"))


def ours(size: int, method: str) -> int:
    """(a): the number of images afterwards."""
    return len(mc.resample(training_films(size), method))


def usual(size: int, _: str) -> int:
    """(b), as tutorials write it."""
    from imblearn.over_sampling import SMOTE

    films = training_films(size)
    x = np.repeat(np.asarray(films.images, dtype=np.float32), 3, axis=1).reshape(len(films), -1) / 255
    return len(SMOTE(random_state=0).fit_resample(x, films.targets)[0])


def arrays_of_the_usual_way(size: int) -> float:
    """Bytes that (b) holds while imbalanced-learn stacks old and new rows: x, its copy, the new rows, and the stack."""
    films = training_films(size)
    row = 3 * size**2 * 4
    old, new = len(films), int(films.counts().max() - films.counts().min())
    return row * (2 * old + new + (old + new))


def measure(work, size: int, method: str) -> tuple[float, float, int]:
    """Peak bytes, seconds and images of ``work`` in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_in_a_process, (work, size, method))


def _in_a_process(work, size: int, method: str) -> tuple[float, float, int]:
    start = time.perf_counter()
    images = work(size, method)
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, time.perf_counter() - start, images


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--compute", action="store_true", help="compute the usual way's memory, do not run it")
    arguments = parser.parse_args()
    size = arguments.size
    print(f"{len(training_films(size))} films at {size} px")  # also decodes them, so that no process below has to
    if arguments.compute or psutil.virtual_memory().available < ROOM:
        peak_usual = arrays_of_the_usual_way(size)
        print(f"  b usual way            {peak_usual / GB:6.2f} GB, computed from its arrays, not run")
    else:
        peak_usual, seconds, images = measure(usual, size, "smote")
        print(f"  b usual way            {peak_usual / GB:6.2f} GB, {seconds:5.0f} s, {images} images afterwards")
    for method in ("smote", "borderline-smote"):
        peak, seconds, images = measure(ours, size, method)
        print(f"  a {method:20s} {peak / GB:6.2f} GB, {seconds:5.0f} s, {images} images afterwards", end="")
        print(f"; a/b {peak / peak_usual:.3f} (bar {BAR:.3f}: {'met' if peak <= BAR * peak_usual else 'MISSED'})")


if __name__ == "__main__":
    main()
