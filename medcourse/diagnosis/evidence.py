"""What can be measured about a run, each when a rule first asks for it. Only copies of the model are run."""

import copy
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medcourse.data.cohort import Cohort
from medcourse.diagnosis.inside import (
    dead_share,
    first_input,
    frozen_share,
    has_batch_norm,
    linear_fit,
    renew_statistics,
    use_batch_statistics,
)
from medcourse.diagnosis.probes import Probes
from medcourse.diagnosis.reference import Found, found_on, found_within, small_pictures
from medcourse.diagnosis.scores import EDGES, Scores, edge_statistics, without_edge
from medcourse.evaluation.ranking import auroc
from medcourse.training.augmentation import Augmentation
from medcourse.training.batches import Batches, cut
from medcourse.training.trainer import Trainer
from medcourse.training.validation import default_loss

_MOST = 512  # images of either set that are looked at
_BATCH = 64
BATCH = 16  # of the short trainings


class Evidence:
    """Measurements of one run.

    Args:
        trainer: whose model, loss, sampler and augmentation are copied before use.
        train, val: binary or multiclass cohorts.
    """

    def __init__(self, trainer: Trainer, train: Cohort, val: Cohort) -> None:
        self.trainer, self.train, self.val = trainer, train, val
        self.device = trainer.fabric.device
        self.loss = copy.deepcopy(trainer.loss or default_loss(train.task))
        self.rng = np.random.default_rng(trainer.seed)
        self.train_data, self.val_data = Batches(train, self.device), Batches(val, self.device)

    # ------------------------------------------------------------------ what an epoch shows

    @cached_property
    def drawn(self) -> NDArray[np.int64]:
        """The rows of the first epoch, in the order in which the trainer draws them."""
        twin = copy.copy(self.trainer)  # its sampler is a copy: to iterate may change it
        twin.sampler = copy.deepcopy(self.trainer.sampler)
        rows = twin.rows_of_epoch(len(self.train), 1, torch.Generator().manual_seed(self.trainer.seed))
        return np.asarray(rows, dtype=np.int64)

    @cached_property
    def drawn_targets(self) -> NDArray[np.int64]:
        return self.train.targets[self.drawn]

    @cached_property
    def prior(self) -> tuple[NDArray[np.float64], float]:
        """The constant answer (K probabilities) with the lowest loss over an epoch, and that loss.

        Plain cross-entropy: the class shares. Class weights and other losses move it, which is what they are for.
        """
        targets = torch.from_numpy(self.drawn_targets).to(self.device)
        logits = torch.zeros(1, len(self.train.classes), device=self.device, requires_grad=True)
        solver = torch.optim.LBFGS([logits], max_iter=50, line_search_fn="strong_wolfe")

        def value() -> Tensor:
            solver.zero_grad()
            loss = self.loss(logits.expand(len(targets), -1), targets)
            loss.backward()
            return loss

        solver.step(value)
        return logits.detach().double().softmax(1)[0].cpu().numpy(), float(value().detach())

    @cached_property
    def mixing(self) -> tuple[float, float]:
        """Spread of the first class's share between batches over that of random order, and the share of pure batches.

        1 on average for a shuffled epoch (the ratio of variances); the batch size for a sorted one.
        """
        first = self.drawn_targets == np.bincount(self.drawn_targets).argmax()
        batches = [first[rows] for rows in cut(range(len(first)), self.trainer.batch_size)]
        whole = [batch for batch in batches if len(batch) >= self.trainer.batch_size]
        share = first.mean()
        expected = share * (1 - share) / self.trainer.batch_size
        spread = float(np.mean([(batch.mean() - share) ** 2 for batch in whole])) if len(whole) > 1 else 0.0
        return (spread / expected if expected else 0.0), float(np.mean([batch.mean() in (0, 1) for batch in batches]))

    @cached_property
    def batches(self) -> int:
        return len(list(cut(self.drawn.tolist(), self.trainer.batch_size)))

    # ------------------------------------------------------------------ what the model says

    def model(self, start: bool = False) -> nn.Module:
        """A copy, as it is now or as it was before training; in evaluation mode."""
        model = copy.deepcopy(self.trainer.model)
        if start and self.trainer.start is not None:
            model.load_state_dict(self.trainer.start)
        return model.eval()

    def _scores(self, cohort: Cohort, data: Batches, rows: NDArray[np.int64], model: nn.Module | None = None) -> Scores:
        model = model or self.model()
        with torch.no_grad():
            logits = torch.cat([model(data.read(part)[0]).float() for part in cut(rows.tolist(), _BATCH)])
        return Scores(logits.double().cpu().numpy(), cohort.targets[rows])

    @cached_property
    def train_rows(self) -> NDArray[np.int64]:
        seen = np.unique(self.drawn)
        return self.rng.permutation(seen)[:_MOST]

    @cached_property
    def val_rows(self) -> NDArray[np.int64]:
        return self.rng.permutation(len(self.val))[:_MOST]

    @cached_property
    def finite(self) -> bool:
        return bool(np.isfinite(self.raw_val.logits).all())

    @cached_property
    def raw_val(self) -> Scores:
        return self._scores(self.val, self.val_data, np.arange(len(self.val)))

    @cached_property
    def on_val(self) -> Scores:
        return Scores(np.nan_to_num(self.raw_val.logits), self.raw_val.targets)

    @cached_property
    def on_train(self) -> Scores:
        scores = self._scores(self.train, self.train_data, self.train_rows)
        return Scores(np.nan_to_num(scores.logits), scores.targets)

    @cached_property
    def normalised_by_batch(self) -> tuple[Scores, Scores] | None:
        """Training and validation scores when batch normalisation uses each batch's own statistics; None without it."""
        if not has_batch_norm(self.trainer.model):
            return None
        return self._both(use_batch_statistics(self.model()))

    @cached_property
    def with_renewed_averages(self) -> tuple[Scores, Scores]:
        """The same when the stored averages are taken anew, from training images as an epoch draws them, by these weights."""
        rows = self.rng.permutation(self.drawn)[:_MOST]
        images = (self.train_data.read(part)[0] for part in cut(rows.tolist(), _BATCH))
        return self._both(renew_statistics(self.model(), images))

    def _both(self, model: nn.Module) -> tuple[Scores, Scores]:
        return (
            self._scores(self.train, self.train_data, self.train_rows, model),
            self._scores(self.val, self.val_data, self.val_rows, model),
        )

    @cached_property
    def collapsed(self) -> bool:
        return len(np.unique(self.on_val.called)) == 1

    def value(self, scores: Scores) -> float:
        """The trainer's loss of these scores, every image counted as the epoch counts its class."""
        drawn = np.bincount(self.drawn_targets, minlength=scores.logits.shape[1]) / len(self.drawn)
        here = np.bincount(scores.targets, minlength=scores.logits.shape[1])
        rows = np.concatenate(
            [
                self.rng.choice(np.flatnonzero(scores.targets == k), round(2000 * drawn[k]))
                for k in np.flatnonzero((here > 0) & (drawn > 0))
            ]
        )
        logits = torch.from_numpy(np.nan_to_num(scores.logits[rows])).float().to(self.device)
        with torch.no_grad():
            return float(self.loss(logits, torch.from_numpy(scores.targets[rows]).to(self.device)))

    @cached_property
    def gain(self) -> float:
        """How much of the constant answer's loss the model has taken away on training images (0: nothing learned).

        With batch normalisation by the batch's statistics, as in training; the best epoch's, if that is more (the model has
        the weights of the epoch that ranked validation best, which may be an early one).
        """
        scores = self.on_train if self.normalised_by_batch is None else self.normalised_by_batch[0]
        losses = [self.value(scores)]
        if self.trainer.run is not None:
            losses.append(float(self.trainer.run.history["train_loss"].min()))
        return 1 - min(losses) / self.prior[1]

    @cached_property
    def carried(self) -> float:
        """As ``gain``, of the validation images, by the weights that were kept."""
        scores = [self.on_val] if self.normalised_by_batch is None else [self.on_val, self.normalised_by_batch[1]]
        return 1 - min(self.value(of_val) for of_val in scores) / self.prior[1]

    @cached_property
    def chance(self) -> float:
        """AUROC on validation up to which the best of the run's epochs could be luck."""
        return self.on_val.chance(1 if self.trainer.run is None else len(self.trainer.run.history))

    @cached_property
    def _epochs(self) -> NDArray[np.float64]:
        """Training loss of every epoch, relative to a constant answer's (of even shares, if that is more)."""
        if self.trainer.run is None:
            return np.zeros(1)
        constant = max(self.prior[1], float(np.log(len(self.train.classes))))
        return self.trainer.run.history["train_loss"].to_numpy(dtype=np.float64) / constant

    @property
    def highest_loss(self) -> float:
        """The highest training loss of an epoch, relative to a constant answer's."""
        return float(self._epochs.max())

    @property
    def late_loss(self) -> float:
        """The median of the last third of the epochs, relative to a constant answer's."""
        return float(np.median(self._epochs[-max(1, len(self._epochs) // 3) :]))

    @cached_property
    def failed(self) -> bool:
        """One class, or no better than chance, or next to nothing learned."""
        return self.collapsed or self.on_val.auroc < self.chance or self.gain < 0.1

    # ------------------------------------------------------------------ inside the model

    @cached_property
    def some_images(self) -> Tensor:
        """64 training images, float in [0, 1]."""
        return self.train_data.read(self.train_rows[:_BATCH].tolist())[0]

    def input_range(self, augmented: bool = False) -> tuple[float, float]:
        """Mean and standard deviation of what reaches the first layer, of images as they are or as training sees them."""
        images, augment = self.some_images, self.trainer.augment
        if augmented and augment is not None:
            generator = torch.Generator().manual_seed(self.trainer.seed)
            images = augment(images, generator) if isinstance(augment, Augmentation) else augment(images)
        return first_input(self.model(), images)

    @cached_property
    def dead(self) -> tuple[float, float]:
        """Share of dead channels in the worst layer, before the first step and now."""
        return dead_share(self.model(start=True), self.some_images), dead_share(self.model(), self.some_images)

    @cached_property
    def frozen(self) -> tuple[float, float]:
        """Share of the weights that get no gradient, and their excess kurtosis."""
        return frozen_share(self.model(), self.some_images[:2])

    @cached_property
    def separable(self) -> float:
        """Accuracy on 64 training images of a linear fit to the model's last features."""
        return linear_fit(self.model(start=True), *self.probe_images)

    @cached_property
    def movement(self) -> float:
        """Median over the learning weight tensors of the distance from the start, relative to their size there."""
        start = self.trainer.start or {}
        distances = [
            float((weight.detach() - start[name]).norm() / start[name].norm())
            for name, weight in self.trainer.model.named_parameters()
            if weight.requires_grad and weight.ndim > 1 and start[name].any()
        ]
        return float(np.median(distances)) if distances else 0.0

    # ------------------------------------------------------------------ short trainings and simple models

    @cached_property
    def probe_images(self) -> tuple[Tensor, Tensor]:
        """64 training images, the classes in turn, every class equally often if it can be."""
        targets = self.train.targets[self.train_rows]
        turn = np.zeros(len(targets), dtype=np.int64)
        for k in range(len(self.train.classes)):
            turn[targets == k] = np.arange((targets == k).sum())
        rows = self.train_rows[np.argsort(turn, kind="stable")[:_BATCH]]
        return self.train_data.read(rows.tolist())

    @cached_property
    def probes(self) -> Probes:
        """Short trainings of copies from the start on the first 16 of these images."""
        images, targets = self.probe_images
        return Probes(self.model(start=True), images[:BATCH], targets[:BATCH], self.trainer.lr)

    @cached_property
    def reference(self) -> tuple[Found | None, Found]:
        """What a random forest finds of the training labels out of fold, and of the validation labels after training."""
        classes = len(self.train.classes)
        train, val = (
            (
                small_pictures(torch.cat([data.read(part)[0].cpu() for part in cut(rows.tolist(), _BATCH)])),
                targets[rows],
            )
            for data, rows, targets in (
                (self.train_data, self.train_rows, self.train.targets),
                (self.val_data, self.val_rows, self.val.targets),
            )
        )
        groups = self.train.table["group"].to_numpy()[self.train_rows]
        return found_within(*train, groups, classes), found_on(train, val, classes)

    @cached_property
    def shortcut(self) -> tuple[str, float, float]:
        """The edge or brightness statistic that ranks the training set best: name, AUROC on training and validation."""
        of_train = edge_statistics(self.train.read(self.train_rows))
        of_val = edge_statistics(self.val.read(self.val_rows))
        best = ("", 0.5, 0.5)
        for number, name in enumerate(EDGES):
            for k in range(len(self.train.classes)):
                here, there = self.train.targets[self.train_rows] == k, self.val.targets[self.val_rows] == k
                if 0 < here.mean() < 1 and 0 < there.mean() < 1:
                    value = auroc(here, of_train[:, number])
                    if value > best[1]:  # lower values speak for another class
                        best = (name, value, auroc(there, of_val[:, number]))
        return best

    def without_shortcut(self) -> float:
        """AUROC on validation when the statistic is made the same in all images: the border blanked, or the mean moved."""
        name, model = self.shortcut[0], self.model()
        images = torch.cat([self.val_data.read(part)[0] for part in cut(self.val_rows.tolist(), _BATCH)])
        if name == "mean":
            images = images - images.mean((1, 2, 3), keepdim=True) + images.mean()
        else:
            images = without_edge(images)
        with torch.no_grad():
            logits = torch.cat([model(part).float() for part in images.split(_BATCH)])
        return Scores(logits.double().cpu().numpy(), self.val.targets[self.val_rows]).auroc
