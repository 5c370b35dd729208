"""A process killed at any moment leaves no bad cache; several at once leave one good cache."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medcourse.data.fetch import unfinished

pytestmark = pytest.mark.slow  # starts many processes


def run(folder: Path, what: str) -> list[dict]:
    script = Path(__file__).with_name("kills.py")
    done = subprocess.run([sys.executable, str(script), str(folder), what], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments(tmp_path: Path):
    found = run(tmp_path, "kills")
    assert len(found) == 20
    assert not any(one["damaged"] for one in found)
    assert all(one["right"] for one in found)
    assert {one["finished_after"] for one in found} == {3}  # the tree and two stacks
    killed = [one for one in found if one["statuses"] == [signal.SIGKILL]]
    assert len([one for one in killed if one["finished"] < 3]) >= 5  # in the midst of it
    assert any(one["left_over"] for one in killed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_several_processes_at_once(tmp_path: Path):
    for one in run(tmp_path, "crowd"):
        assert one == {
            "statuses": [0, 0, 0, 0],
            "finished": 3,
            "damaged": False,
            "right": True,
            "finished_after": 3,
            "left_over": 0,
        }


def test_what_killed_runs_left_is_removed_after_a_day(tmp_path: Path):
    old, young = tmp_path / ".unfinished-old", tmp_path / ".unfinished-young"
    for folder in (old, young):
        (folder / "tree").mkdir(parents=True)
    os.utime(old, (1e9, 1e9))
    with unfinished(tmp_path) as scratch:
        assert scratch.is_dir()
        assert not old.exists()
    assert young.is_dir()
    assert not scratch.exists()
