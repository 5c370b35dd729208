"""Run by test_kills.py in a process of its own: fork workers that fetch and decode, and kill them.

``python kills.py FOLDER kills|crowd`` prints one JSON line. A fork needs a parent without threads, which pytest's is not.
"""

import hashlib
import io
import json
import os
import random
import signal
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from medcourse.data.cohort import Cohort
from medcourse.data.decode import read_image, stack
from medcourse.data.fetch import check_cached, fetch
from medcourse.data.manifest import Dataset

IMAGES, KILLS, CROWD = 120, 20, 4


def make_pack(folder: Path) -> Dataset:
    """A mirror with one zip of noise films, and its manifest entry."""
    rng = np.random.default_rng(0)
    lines = []
    with zipfile.ZipFile(folder / "toy.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for i in range(IMAGES):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (96, 96), dtype=np.uint8)).save(stream, format="PNG")
            name = f"{'ab'[i % 2]}/p{i:03d}.png"
            packed.writestr(name, stream.getvalue())
            lines.append((name, f"{hashlib.sha256(stream.getvalue()).hexdigest()}  {name}\n"))
    sha256 = hashlib.sha256("".join(line for _, line in sorted(lines)).encode()).hexdigest()
    fields = dict.fromkeys(["title", "group", "licence", "citation", "homepage"], "toy")
    tree = {"files": IMAGES, "sha256": sha256}
    sources = [{"mirror": "toy.zip"}]
    return Dataset.model_validate(
        fields | {"name": "toy", "kind": "tables", "counts": {}, "tree": tree, "sources": sources}
    )


def work(dataset: Dataset) -> tuple[str, str]:
    """Fetch, decode as a data set and as somebody's own folder; SHA-256 of both stacks."""
    folder = fetch(dataset, progress=False)
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))
    known = stack(folder.name, 32, "L", files, lambda i: (read_image(folder / files[i], 32, "L"), None)).images
    own = Cohort.from_folder(folder, group=None, positive="b", size=32, progress=False).images
    return hashlib.sha256(known.tobytes()).hexdigest(), hashlib.sha256(np.asarray(own).tobytes()).hexdigest()


def start(dataset: Dataset) -> int:
    """A forked worker; its exit status is 0 when it finished."""
    if pid := os.fork():
        return pid
    work(dataset)
    os._exit(0)


def finished(cache: Path) -> int:
    """How many folders stand in the cache under their final names."""
    return len([p for p in cache.glob("*/*") if not p.name.startswith(".unfinished-")])


def main() -> None:
    place, what = Path(sys.argv[1]), sys.argv[2]
    os.environ["MEDCOURSE_MIRROR"] = str(place)
    dataset = make_pack(place)
    os.environ["MEDCOURSE_CACHE"] = str(place / "whole")
    began = time.perf_counter()
    right = work(dataset)
    seconds = time.perf_counter() - began
    rng = random.Random(0)
    found = []
    for number in range(KILLS if what == "kills" else 3):
        os.environ["MEDCOURSE_CACHE"] = str(place / f"cache{number}")
        workers = [start(dataset) for _ in range(1 if what == "kills" else CROWD)]
        if what == "kills":
            time.sleep(rng.uniform(0, seconds))
            os.kill(workers[0], signal.SIGKILL)
        statuses = [os.waitpid(pid, 0)[1] for pid in workers]
        cache = place / f"cache{number}"
        found.append(
            {
                "statuses": statuses,
                "finished": finished(cache),
                "damaged": check_cached(dataset) is False,
                "right": work(dataset) == right,
                "finished_after": finished(cache),
                "left_over": len(list(cache.glob("*/.unfinished-*"))),
            }
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
