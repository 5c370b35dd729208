"""How much time a fork has had: computed, or slept. A machine that is busy with other work costs a student nothing."""

import os
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
EVERY = 0.25  # seconds between two looks


class Watch:
    """Adds up the CPU seconds of a fork and all that it started, and the seconds in which none of them wanted to run."""

    def __init__(self, session: int, judge: int):
        self.computed = 0.0
        self.slept = 0.0
        self.passed = 0.0
        self._session, self._judge = session, judge
        self._looked = time.monotonic()
        self._alive = 0.0  # seconds of those that are there

    def look(self) -> None:
        """Look once; between two looks a process counts as what it is now."""
        now, computed, runs = time.monotonic(), 0.0, False
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                state, session, seconds = _read(int(entry.name))
                if session == self._session or int(entry.name) == self._judge:
                    computed += seconds
                    runs = runs or state == "R"
        self.computed += max(0.0, computed - self._alive)  # a process that has gone takes its seconds with it
        self._alive = computed
        self.slept += 0.0 if runs else now - self._looked
        self.passed += now - self._looked
        self._looked = now


def _read(pid: int) -> tuple[str, int, float]:
    """State, session, and CPU seconds with those of ended children; of nobody when the process has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "Z", 0, 0.0
    return fields[0], int(fields[3]), sum(map(int, fields[11:15])) / _TICKS
