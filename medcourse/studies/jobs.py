"""Run what is missing of a study: its trainings side by side on this machine's cores, or on a Dask cluster (joblib)."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import torch

from medcourse.arguments import one_of, whole_number
from medcourse.cluster import dask_client
from medcourse.errors import EvaluationError, TrainingError
from medcourse.networks.seeds import SHIFT, seed_shift
from medcourse.studies.results import Outcome, Results, png
from medcourse.studies.study import Run, Study

_ONE_AT_A_TIME = threading.Lock()  # trainings in threads of one process would share torch's random state


def reproduce(
    study: Study,
    out: Path,
    size: int,
    seeds: int,
    epochs: int | None = None,
    arms: Sequence[str] | None = None,
    device: str = "auto",
    jobs: int | None = None,
    scheduler: str | None = None,
    say: Callable[[str], None] = print,
) -> str:
    """Run what is missing of a study, draw its figures, and report on the runs with these size, epochs and device.

    A job is one training. Its rows are written when it ends, all of them at once, so that a kill costs the jobs at work and
    nothing else. They stand in the order of seeds and arms, whichever job ends first. With one thread the sums of a
    training may differ in their last digits from those with several. Two processes may run different arms into one folder.

    Args:
        study: from ``find_study``.
        out: folder of the results.
        size: height and width in pixels.
        seeds: number of seeds, from 0.
        epochs: passes over the training set; the study's own when None.
        arms: some of the study's; all when None or empty.
        device: as for ``mc.Trainer``; "auto" is stored as the device that it takes.
        jobs: jobs at a time, each in a process of its own with one thread; None: as many as there are cores, on a GPU 1.
            1 runs them in this process, with all threads. A scheduler decides for itself.
        scheduler: address of a Dask scheduler; its workers, which need medcourse, do the jobs, one at a time each.
        say: is told of every run when it ends.

    Returns:
        The study's own report.

    Raises:
        ArgumentError: an arm that the study does not have, or a number below 1; before anything is fetched.
        EvaluationError: a file of other results, or shifted seeds.
        TrainingError: the scheduler cannot be reached or has no worker, or a worker was killed.
    """
    for arm in arms or ():
        one_of("arm", arm, study.arms)
    settings: dict[str, Any] = {
        "size": whole_number("size", size, 1),
        "epochs": study.epochs if epochs is None else whole_number("epochs", epochs, 1),
        "device": ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device,
    }
    seeds = whole_number("seeds", seeds, 1)
    jobs = whole_number("jobs", (joblib.cpu_count() if settings["device"] == "cpu" else 1) if jobs is None else jobs, 1)
    if shift := seed_shift():
        raise EvaluationError(f"{SHIFT}={shift} would move the seeds that the results are stored under; unset it")
    results = Results(out, study.stored_as() if study.stored_as else study.name)
    done = results.done(settings)
    asked = [(arm, seed) for seed in range(seeds) for arm in arms or study.arms if (arm, seed) not in done]
    if missing := dict.fromkeys((study.shared.get(arm, arm), seed) for arm, seed in asked):
        study.prepare(size)
        with _workers(min(jobs, len(missing)), scheduler) as parallel:
            for outcomes, made in parallel(joblib.delayed(_job)(study.run, *one, settings) for one in missing):
                results.add(settings, outcomes, made, list(study.arms))
                for arm, outcome in outcomes.items():
                    values = ", ".join(f"{name} {value:.3f}" for name, value in outcome.values["test"].items())
                    say(f"{arm}, seed {made['seed']}: {values} ({made['seconds']} s)")
    runs = results.matching(settings)
    for name, figure in study.figures(runs).items():
        results.picture(settings, name).write_bytes(png(figure))
    return study.report(runs)


def _job(run: Run, arm: str, seed: int, settings: Mapping[str, Any]) -> tuple[Mapping[str, Outcome], dict[str, Any]]:
    """One training: what its arms left behind, and what is stored beside every value."""
    with _ONE_AT_A_TIME:
        began = time.perf_counter()
        outcomes = run(arm, seed, settings["size"], settings["epochs"], settings["device"])
        made = {"seed": seed, "torch": torch.__version__, "seconds": round(time.perf_counter() - began, 1)}
        return outcomes, made


@contextmanager
def _workers(jobs: int, scheduler: str | None) -> Iterator[joblib.Parallel]:
    """What runs jobs and yields each as soon as it ends; a job waits here, not in a queue that outlives a kill."""
    here = {"inner_max_num_threads": 1, "initializer": _end_with, "initargs": (os.getpid(),)}
    backend, more = ("dask", {"client": dask_client(scheduler)}) if scheduler else ("loky", here)
    with joblib.parallel_config(backend, **more):
        try:
            yield joblib.Parallel(jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
        except BrokenProcessPool as error:
            raise TrainingError(
                f"one of {jobs} worker processes was killed, most likely because the memory ran out. What was finished is "
                "kept: run the command again, with fewer --jobs"
            ) from error


def _end_with(parent: int) -> None:
    """Let this worker end soon after the process that started it: a killed one cannot stop its workers."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
