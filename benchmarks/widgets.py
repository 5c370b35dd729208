"""How long a widget takes from the key to the new picture, in a real JupyterLab, and how much of that is drawing.

    PYTHONPATH=. .venv/bin/python benchmarks/widgets.py [--pictures docs/pictures]

Needs Chromium, as tests/test_browser.py. ``--pictures`` keeps a screenshot of each widget (widget_<name>.png).
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator
from training_throughput import processor

from medcourse.viewing.explorer import Explorer
from tests.browser import DRAWN, WIDGETS, open_notebook, widgets_notebook

REPEATS = 10
# Starts a clock when a key goes down, and stops it when the picture that then comes has been decoded.
CLOCK = """
cell => {
  const before = cell.querySelector('img').src;
  const start = new Promise(done => cell.addEventListener('keydown', () => done(performance.now()), {once: true, capture: true}));
  const end = new Promise(done => new MutationObserver((_, watch) => {
    const picture = cell.querySelector('img');
    if (picture && picture.src !== before) { watch.disconnect(); picture.decode().then(() => done(performance.now())); }
  }).observe(cell.querySelector('.jp-OutputArea'), {childList: true, subtree: true, attributes: true, attributeFilter: ['src']}));
  window.step = Promise.all([start, end]).then(([a, b]) => b - a);
}
"""


def steps(cell: Locator, controls: list[tuple[str, str, str]]) -> list[float]:
    """Milliseconds of one step of each control."""
    found = []
    for role, label, key in controls:
        cell.evaluate(CLOCK)
        cell.get_by_role(role, name=label, exact=True).press(key)
        found.append(cell.page.evaluate("window.step"))
    return found


def drawing(explorer: Explorer) -> list[float]:
    """CPU milliseconds of each drawing, in this process, after a warm-up."""
    found = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        explorer.redraw()
        found.append(1000 * (time.process_time() - start))
    return found[1:]


def shown(milliseconds: list[float]) -> str:
    """Median, minimum and maximum."""
    return f"{np.median(milliseconds):.0f} ({min(milliseconds):.0f} to {max(milliseconds):.0f})"


def main() -> None:
    """Measure all widgets and print a line for each."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--pictures", type=Path)
    given = asked.parse_args()
    print(f"{processor()}; milliseconds: median (minimum to maximum) of about {REPEATS} steps")
    names: dict = {}
    exec(DRAWN, names)
    cpu = {name: drawing(eval(code, names)) for name, (code, _) in WIDGETS.items()}
    with tempfile.TemporaryDirectory() as folder, open_notebook(widgets_notebook(), "widgets", Path(folder)) as lesson:
        lesson.run("drawn")
        for name, (_, controls) in WIDGETS.items():
            lesson.run(name)
            cell = lesson.cell(name)
            cell.locator("img").wait_for()
            steps(cell, controls)  # a warm-up
            if given.pictures:
                cell.locator(".jp-Cell-outputWrapper").screenshot(path=given.pictures / f"widget_{name}.png")
            times = [time for _ in range(REPEATS // len(controls)) for time in steps(cell, controls)]
            print(f"{name:14s} key to picture {shown(times)}; drawing, CPU {shown(cpu[name])}", flush=True)


if __name__ == "__main__":
    main()
