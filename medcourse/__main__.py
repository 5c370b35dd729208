"""``python -m medcourse`` is the command line."""

from medcourse.cli import run

run()
