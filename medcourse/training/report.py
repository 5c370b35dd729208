"""What a fit says while it runs, on stdout: one line that is written anew, epochs of one class, and which epoch is kept."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from medcourse.errors import Interrupted
from medcourse.training.run import Progress

COLUMNS = 100  # of the line, whatever it says: a notebook of 1,000 pixels does not wrap it
_NAME = 32  # characters; a longer name is cut in the line


class Report:
    """The voice of one run.

    Args:
        name: whose run it is; it stands in every line.
        epochs: of the whole run.
        images: of one epoch, over all processes.
        progress: show the line while it runs, and the summary.
        speaks: False says nothing at all (every process but the first).
    """

    def __init__(self, name: str, epochs: int, images: int, progress: bool, speaks: bool) -> None:
        self.name, self.epochs, self.images = name, epochs, images
        self.speaks, self.shown = speaks, progress and speaks
        self._bar: tqdm | None = None
        self._epoch = 0

    @contextmanager
    def running(self, done: int) -> Iterator[None]:
        """Show the line of a run that goes on after ``done`` epochs; it goes when the run ends.

        Raises:
            Interrupted: the student stopped the run; says in which epoch, and what running it again does.
        """
        # The speed is that of the whole fit so far, so the time left does not jump when an epoch validates.
        self._bar = tqdm(
            desc=self._head(min(done + 1, self.epochs)),
            initial=done * self.images,
            total=self.epochs * self.images,
            file=sys.stdout,  # one line on stderr would break the stored outputs of a notebook
            disable=not self.shown,
            leave=False,
            ncols=COLUMNS,
            smoothing=0,
            bar_format="{desc}|{bar}| {percentage:3.0f} %, {remaining} left{postfix}",
        )
        self._epoch = min(done + 1, self.epochs)
        with self._bar:
            try:
                yield
            except KeyboardInterrupt:
                raise Interrupted(
                    f"{self.name}: stopped by you in epoch {self._epoch} of {self.epochs}. To start anew, run the cell that "
                    "builds the model, and this one. With a checkpoint, fit goes on after the last epoch that ended."
                ) from None

    def begin_epoch(self, epoch: int) -> None:
        """Epochs count from 1."""
        self._epoch = epoch
        if self._bar is not None:
            self._bar.set_description_str(self._head(epoch))

    def step(self, images: int) -> None:
        """So many more images have been trained on."""
        if self._bar is not None:
            self._bar.update(images)

    def end_epoch(self, progress: Progress) -> None:
        """Say which epoch would be kept if this were the last one."""
        if self._bar is not None and progress.best_epoch:
            self._bar.set_postfix_str(f"kept: epoch {progress.best_epoch}, AUROC {progress.best_score[0]:.3f}")

    def _head(self, epoch: int) -> str:
        return f"{self.name[:_NAME]}: epoch {epoch} of {self.epochs} "

    def say(self, line: str) -> None:
        """A line of its own."""
        if self.speaks:
            tqdm.write(line, file=sys.stdout)

    def summary(self, progress: Progress) -> None:
        """Which epoch is kept, with its score, and how long it took."""
        if not self.shown:
            return
        kept = f"epoch {progress.best_epoch} of {progress.epoch} is kept, its validation AUROC is "
        kept = (
            f"{kept}{progress.best_score[0]:.3f}"
            if progress.best_epoch
            else "the last epoch is kept (no validation set)"
        )
        self.say(f"{self.name}: {kept}; {progress.seconds:.0f} s")
