"""Kill a process at a line of its choice, and what test_kills.py runs in a process of its own.

``python kills.py FOLDER kills|crowd`` prints one JSON line. A fork needs a parent without threads, which pytest's is not.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
from PIL import Image

from medcourse.data import cache as data_cache
from medcourse.data import decode, fetch
from medcourse.data.cohort import Cohort
from medcourse.data.decode import read_image, stack
from medcourse.data.fetch import check_cached
from medcourse.data.manifest import Dataset

IMAGES, CROWD = 24, 4
Line = tuple[str, int]


def watch(modules: list[ModuleType], tell: Callable[[Line], None]) -> None:
    """Tell each line of these modules right before this thread executes it, from now on."""
    names = {module.__file__: module.__name__ for module in modules}

    def trace(frame: FrameType, event: str, _: Any) -> Callable | None:
        name = names.get(frame.f_code.co_filename)
        if event == "line" and name:
            tell((name, frame.f_lineno))
        return trace if name else None

    sys.settrace(trace)


def lines_of(modules: list[ModuleType], work: Callable[[], object]) -> list[Line]:
    """The lines of these modules that some work passes, in order."""
    passed: list[Line] = []
    watch(modules, passed.append)
    try:
        work()
    finally:
        sys.settrace(None)
    return passed


def middle(passed: list[Line]) -> dict[Line, int]:
    """For each line that was passed: at which of its visits to kill."""
    return {line: visits // 2 + 1 for line, visits in Counter(passed).items()}


def killed_at(line: Line, visit: int, modules: list[ModuleType], work: Callable[[], object]) -> bool:
    """Fork a process that works and gets SIGKILL right before a line; False when it ended without coming there."""
    if pid := os.fork():
        status = os.waitpid(pid, 0)[1]
        assert status in (0, signal.SIGKILL), f"the process that was to die at {line} ended with {status}"
        return status == signal.SIGKILL
    left = visit

    def die(here: Line) -> None:
        nonlocal left
        left -= here == line
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        watch(modules, die)
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


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
    folder = fetch.fetch(dataset, progress=False)
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))
    known = stack(folder.name, 32, "L", files, lambda i: read_image(folder / files[i], 32, "L")).images
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
    caches = iter(range(10_000))

    def new_cache() -> Path:
        cache = place / f"cache{next(caches)}"
        os.environ["MEDCOURSE_CACHE"] = str(cache)
        return cache

    new_cache()
    right = work(dataset)
    new_cache()
    modules = [data_cache, fetch, decode, shutil]
    points = middle(lines_of(modules, lambda: work(dataset)))
    found = []
    for line, visit in points.items() if what == "kills" else [((what, number), 0) for number in range(3)]:
        cache = new_cache()
        told: dict[str, Any] = {"line": line}
        if what == "kills":
            told["killed"] = killed_at(line, visit, modules, lambda: work(dataset))
        else:
            told["statuses"] = [os.waitpid(pid, 0)[1] for pid in [start(dataset) for _ in range(CROWD)]]
        told["finished"] = finished(cache)
        told["left_over"] = len(list(cache.glob("*/.unfinished-*")))
        told["damaged"] = check_cached(dataset) is False
        told["right"] = work(dataset) == right
        told["finished_after"] = finished(cache)
        found.append(told)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
