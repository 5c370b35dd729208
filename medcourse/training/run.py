"""A training run: how far it has come, and what it left behind."""

from dataclasses import dataclass, field

import pandas as pd
from torch import Tensor, nn

from medcourse.markup import Part, as_html, as_text, count


@dataclass(frozen=True)
class Run:
    """What a training run left behind.

    Attributes:
        history: one row per epoch (index ``epoch`` from 1): train_loss, seconds, images_per_second; with a validation
            set also val_loss, val_auroc (macro: one against the rest for several classes, over the findings that have
            both kinds of images for multilabel), val_accuracy, val_classes_called (1: the model calls everything one
            class; multilabel: findings called at p >= 0.5 in any image), and but for multilabel val_balanced_accuracy
            and val_recall_<class>.
        seconds: wall time of the whole fit, in all processes that had a part in it.
        best_epoch: the epoch whose weights the model has now.
    """

    history: pd.DataFrame
    seconds: float
    best_epoch: int

    def __repr__(self) -> str:
        return as_text(self._view())

    def _repr_html_(self) -> str:
        return as_html(self._view())

    def _view(self) -> list[Part]:
        title = f"Run of {count(len(self.history), 'epoch')} in {self.seconds:.0f} s; best epoch {self.best_epoch}"
        return [title, self.history.map("{:.3g}".format)]


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: epochs that are done.
        seconds: wall time of the run, earlier processes included.
        records: the history, one row of numbers per epoch.
        best_epoch, best_score, best_weights: the epoch with the highest (AUROC, -loss) on the validation set, its score
            and its weights; 0, empty and empty without a validation set.
    """

    epoch: int = 0
    seconds: float = 0.0
    records: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: list[float] = field(default_factory=list)
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def add(self, record: dict[str, float], model: nn.Module) -> None:
        """One more epoch; its weights are copied when they are the best so far."""
        self.epoch += 1
        self.records.append({"epoch": self.epoch, **record})
        if "val_auroc" in record:
            score = [record["val_auroc"], -record["val_loss"]]
            if not self.best_epoch or score > self.best_score:
                self.best_epoch, self.best_score = self.epoch, score
                self.best_weights = {name: value.clone() for name, value in model.state_dict().items()}

    def result(self) -> Run:
        """What is told of it so far."""
        history = pd.DataFrame(self.records).set_index("epoch")
        return Run(history, self.seconds, self.best_epoch or self.epoch)
