"""A process killed at any line leaves no bad cache; several at once leave one good cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medcourse.data.cache import unfinished
from tests.conftest import HANGS

pytestmark = pytest.mark.slow  # starts many processes


def run(folder: Path, what: str) -> list[dict]:
    script = Path(__file__).with_name("kills.py")
    command = [sys.executable, str(script), str(folder), what]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_every_line(tmp_path: Path):
    """Each line of cache.py, fetch.py, decode.py and Python's shutil that the work passes, in the midst of its visits."""
    found = run(tmp_path, "kills")
    assert len(found) > 50
    assert [one["line"] for one in found if not one["killed"]] == []
    assert [one["line"] for one in found if one["damaged"]] == []
    assert [one["line"] for one in found if not one["right"]] == []
    assert {one["finished_after"] for one in found} == {3}  # the tree and two stacks
    assert {one["finished"] for one in found} >= {0, 1, 2}  # in the midst of it
    assert sum(one["left_over"] for one in found) > len(found) / 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_several_processes_at_once(tmp_path: Path):
    found = run(tmp_path, "crowd")
    assert len(found) == 3
    for one in found:
        assert one["statuses"] == [0, 0, 0, 0], one
        assert (one["finished"], one["finished_after"], one["left_over"]) == (3, 3, 0), one
        assert one["right"], one
        assert not one["damaged"], one


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
