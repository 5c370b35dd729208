"""Binder: what it installs is what pyproject.toml asks for, and its scripts run in a copy of the repository."""

import re
import runpy
import stat
import subprocess
import time
import tomllib

import pytest
import requests
import yaml
from packaging.requirements import Requirement
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.scratch import ROOT, copy_of_the_repository, environment_without_medcourse

SCRIPTS = ("postBuild", "start")
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}  # where conda-forge has another one than PyPI
LOADS = "from pathlib import Path\nimport medcourse as mc\n\nmc.load_table({data!r})\nmc.load_table({data!r}, phantom='auto')\n"


def parts(line: str) -> tuple[str, str]:
    """``torch>=2.6`` as ("torch", ">=2.6")."""
    requirement = Requirement(line)
    return requirement.name, str(requirement.specifier)


def test_binder_installs_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())
    [by_pip] = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    by_conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    assert environment["channels"] == ["conda-forge", "nodefaults"]

    tools = {"python", "pip", "hatchling"}
    installed = dict(map(parts, [*(line for line in by_conda if not line.startswith("python=")), *by_pip]))
    asked = dict(map(parts, project["dependencies"]))
    asked = {CONDA_NAMES.get(name, name): bounds for name, bounds in asked.items()}
    assert {name: bounds for name, bounds in installed.items() if name not in tools} == asked
    [builder] = [line for line in project["optional-dependencies"]["dev"] if line.startswith("hatchling")]
    assert builder in by_conda
    [python] = [line for line in by_conda if line.startswith("python=")]
    assert python.removeprefix("python=") in Requirement(f"python{project['requires-python']}").specifier


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_executable_and_stops_at_the_first_error(name):
    script = ROOT / "binder" / name
    assert script.stat().st_mode & stat.S_IXUSR
    assert "\nset -euo pipefail\n" in script.read_text()


def test_the_caches_are_those_of_the_lessons():
    """Every call of a loader is found, and its arguments are constants: `postBuild` makes the same call."""
    found = runpy.run_path(str(ROOT / "binder" / "build_caches.py"))["loads"]
    for lesson in sorted((ROOT / "course" / "source").glob("*.py")):
        source = lesson.read_text(encoding="utf-8")
        assert len(found(source)) == len(re.findall(r"\bmc\.load(?:_table)?\(", source)), lesson
        for call in found(source):
            constants = [*call.args, *(keyword.value for keyword in call.keywords)]
            assert all(hasattr(constant, "value") for constant in constants), lesson


@pytest.fixture(scope="module")
def binder(tmp_path_factory):
    """A copy of the repository with one short lesson, and an environment in which medcourse is not installed."""
    folder = tmp_path_factory.mktemp("binder")
    repository = copy_of_the_repository(folder / "repository")
    for lesson in (repository / "course" / "source").iterdir():
        lesson.unlink()
    (repository / "course" / "source" / "01_loads.py").write_text(LOADS.format(data="chexpert-readers"))
    return repository, environment_without_medcourse(folder / "environment") | {"HOME": str(folder)}


@pytest.mark.slow
@pytest.mark.realdata
def test_post_build_installs_fetches_and_fails_when_a_data_set_is_missing(binder, tmp_path):
    repository, environment = binder
    environment = environment | {"MEDCOURSE_CACHE": str(tmp_path)}
    away = environment | {
        "MEDCOURSE_MIRROR": "",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    for given, succeeds in ((away, False), (environment, True)):
        script = [repository / "binder" / "postBuild"]
        done = subprocess.run(script, cwd="/", env=given, capture_output=True, text=True)
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        assert done.stdout.count("mc.load_table('chexpert-readers'") == (2 if succeeds else 1)
        assert succeeds or "SourceError" in done.stderr
    where = subprocess.run(
        ["python", "-c", "import medcourse; print(medcourse.__file__)"],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert str(repository.parent / "environment") in where.stdout
    assert list(tmp_path.rglob("*.csv")), "the data set lies in the cache"


@pytest.mark.slow
@pytest.mark.parametrize("server", ["jupyterlab", "jupyter_server"])
def test_start_opens_the_start_page_with_one_thread(binder, tmp_path, server):
    repository, environment = binder
    start = repository / "binder" / "start"
    said = subprocess.run(
        [start, "python", "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert said.stdout == "1\n", said.stderr
    log = tmp_path / "server.log"
    options = ["--no-browser", "--allow-root", "--port=0", "--ip=127.0.0.1", "--IdentityProvider.token="]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [start, "python", "-m", server, *options], cwd=repository, env=environment, stdout=out, stderr=out
        )
    try:
        began = time.monotonic()
        while not (address := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - began < 300, log.read_text()
            time.sleep(0.1)
        with requests.Session() as session:  # the server says its address a moment before it listens
            session.mount(address[0], HTTPAdapter(max_retries=Retry(connect=12, backoff_factor=0.1)))
            page = session.get(address[0], timeout=300, allow_redirects=False)
        assert page.headers["Location"].rstrip("?").endswith("/lab/tree/course/README.md")
    finally:
        process.terminate()
        process.wait(timeout=60)
