"""The trainer: a loop that stays visible, on one device or many (Lightning Fabric)."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.evaluation.metrics import auroc
from medcourse.evaluation.predictions import Predictions
from medcourse.training.augmentation import Augmentation
from medcourse.training.batches import Batches, cut
from medcourse.training.checkpoint import Checkpoint, Progress, Settings, describe, restore
from medcourse.training.device import Precision, make_fabric
from medcourse.training.memory import Portion, gradients

Loss = Callable[[Tensor, Tensor], Tensor]
_EVAL_BATCH = 128


@dataclass(frozen=True)
class Run:
    """What a training run left behind.

    Attributes:
        history: one row per epoch (index ``epoch`` from 1): train_loss, seconds, images_per_second; with a validation
            set also val_loss, val_auroc (macro, one against the rest, for several classes), val_accuracy and
            val_classes_called (1: the model calls everything one class).
        seconds: wall time of the whole fit, in all processes that had a part in it.
        best_epoch: the epoch whose weights the model has now.
    """

    history: pd.DataFrame
    seconds: float
    best_epoch: int

    def __repr__(self) -> str:
        best = ", ".join(f"{name} {value:.3g}" for name, value in self.history.loc[self.best_epoch].items())
        return f"Run of {len(self.history)} epochs in {self.seconds:.0f} s; best epoch {self.best_epoch}: {best}"


class Trainer:
    """Train a model on a cohort and predict another one.

    Args:
        model: float images in [0, 1], N x C x H x W, to logits, N x classes (``mc.build_model``). Trained in place.
        loss: logits (float32, N x classes) and targets (int64, N) to a scalar; cross-entropy when None.
        epochs: passes over the training set.
        lr: learning rate of Adam.
        batch_size: images per step (over all processes).
        augment: a policy's name, an ``mc.Augmentation``, or any function of a batch of images; None for none.
        sampler: yields the row numbers of an epoch (``mc.BalancedSampler``); None shuffles all rows.
        device: "auto", "cpu", "cuda", "cuda:1", "mps". All devices of a ``torchrun`` are used.
        precision: "auto" (bf16 where the hardware has it), "fp32" or "bf16".
        seed: of order, augmentation and dropout. Same seed, same machine, same result.
        checkpoint: a folder of this run's own. After every epoch the whole state is written there, and ``fit`` goes on
            from it, also after a kill: weights, history (but for times) and predictions become those of an unbroken
            run; a finished run is not trained again. Everything but ``epochs`` must stay as it was. A function or
            sampler of your own must draw from torch's global generator, or have ``set_epoch``.
        progress: show a bar.

    Raises:
        TrainingError: a number out of range, an unknown word, or a device that is not there.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss | None = None,
        epochs: int = 5,
        lr: float = 1e-3,
        batch_size: int = 32,
        augment: str | Augmentation | Callable[[Tensor], Tensor] | None = None,
        sampler: Iterable[int] | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        seed: int = 0,
        checkpoint: str | Path | None = None,
        progress: bool = True,
    ) -> None:
        for name, value in {"epochs": epochs, "lr": lr, "batch_size": batch_size}.items():
            if not value > 0:
                raise TrainingError(f"{name}={value} must be above 0")
        self.fabric = make_fabric(device, precision)
        self.model = model.to(memory_format=torch.channels_last)
        self.loss: Loss = loss or nn.CrossEntropyLoss()
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.augment = Augmentation(augment) if isinstance(augment, str) else augment
        self.sampler = sampler
        self.seed = seed
        self.checkpoint = checkpoint
        self.progress = progress
        self.run: Run | None = None  # of the last fit that came to its end; diagnose_training asks for both
        self.start: dict[str, Tensor] | None = None  # the weights that the last fit began with
        self._module = self.fabric.setup_module(self.model)
        self._classes: tuple[str, ...] | None = None
        alone = self.fabric.world_size == 1
        self._portion, self._eval_portion = Portion("training", alone, _say), Portion("predicting", alone, _say)
        if isinstance(self.loss, nn.Module):
            self.fabric.to_device(self.loss)

    # ------------------------------------------------------------------ fit

    def fit(self, train: Cohort, val: Cohort | None = None) -> Run:
        """Train, and keep the weights of the epoch with the best validation AUROC (ties: lower loss).

        Without a validation set the last epoch's weights stay. When a GPU runs out of memory, fewer images go through the
        model at once; a step is still that of the whole batch, for every loss (see ``memory.gradients``), except that
        batch normalisation sees the smaller parts. Not under ``torchrun``. An epoch in which the model calls all validation
        images one class is reported when it ends.

        Raises:
            TrainingError: cohorts that do not fit each other or the model, a class missing from training or
                validation, a loss that is not finite (named with epoch, batch and images), no memory for one image, or
                a checkpoint of another run.
            LateralityError: the augmentation mirrors images in which left and right mean something.
        """
        self._check(train, val)
        self._classes = train.classes
        data = Batches(train, self.fabric.device)
        val_data = None if val is None else Batches(val, self.fabric.device)
        self.run, self.start = None, {name: value.clone() for name, value in self.model.state_dict().items()}
        adam = torch.optim.Adam([p for p in self.model.parameters() if p.requires_grad], lr=self.lr, fused=True)
        with _random_state(self.seed, self.fabric.device) as generator:
            progress, save = self._begin(train, val, adam, generator)
            optimizer: Any = self.fabric.setup_optimizers(adam)
            with self._bar(progress.epoch, len(data)) as bar:
                for epoch in range(progress.epoch + 1, self.epochs + 1):
                    began = time.perf_counter()
                    rows = self._order(len(data), epoch, generator)
                    record = {"train_loss": self._train_epoch(optimizer, data, rows, epoch, generator, bar)}
                    record["seconds"] = time.perf_counter() - began
                    record["images_per_second"] = len(rows) * self.fabric.world_size / record["seconds"]
                    if val is not None and val_data is not None:
                        record |= self._validate(val, val_data, epoch)
                    progress.add(record, time.perf_counter() - began, self.model)
                    save()
                    bar.set_postfix_str(
                        ", ".join(f"{k} {record[k]:.3f}" for k in ("train_loss", "val_auroc") if k in record)
                    )
        if progress.best_weights:
            self.model.load_state_dict(progress.best_weights)
        history = pd.DataFrame(progress.records).set_index("epoch")
        self.run = Run(history, progress.seconds, progress.best_epoch or progress.epoch)
        return self.run

    def _begin(
        self, train: Cohort, val: Cohort | None, adam: torch.optim.Adam, generator: torch.Generator
    ) -> tuple[Progress, Callable[[], None]]:
        """A new run, or the one in the checkpoint folder put back; and what writes its state (rank 0 only)."""
        if self.checkpoint is None:
            return Progress(), lambda: None
        rank_0, files, saved = self.fabric.is_global_zero, None, None
        if rank_0:
            own: Settings = {"lr": self.lr, "batch size": self.batch_size, "seed": self.seed}
            own |= {"precision": str(self.fabric.strategy.precision.precision)}
            own |= describe(self.model, train, val, self.loss, self.augment, self.sampler)
            files = Checkpoint(self.checkpoint, own)
            saved = files.load(_say)
        saved = self.fabric.broadcast(saved)
        progress = Progress() if saved is None else restore(saved, self.model, adam, generator)

        def save() -> None:
            if files is not None:
                files.save(progress, self.model, adam, generator)

        if saved is None:
            save()  # so that a kill in the first epoch, too, goes back to these very weights
        elif progress.epoch > self.epochs:
            raise TrainingError(
                f"the checkpoint in {self.checkpoint} already holds {progress.epoch} epochs, more than epochs="
                f"{self.epochs}. Ask for {progress.epoch} or more, or give another folder."
            )
        elif rank_0:
            done = "finished, nothing is trained" if progress.epoch == self.epochs else "going on"
            _say(f"checkpoint {self.checkpoint}: {progress.epoch} of {self.epochs} epochs done, {done}")
        return progress, save

    def _train_epoch(
        self, optimizer: Any, data: Batches, rows: list[int], epoch: int, generator: torch.Generator, bar: tqdm
    ) -> float:
        """One pass over ``rows``; the mean loss per image."""
        self._module.train()
        losses: list[Tensor] = []
        batches = list(cut(rows, max(1, self.batch_size // self.fabric.world_size)))
        for number, batch in enumerate(batches, start=1):
            images, targets = data.read(batch)
            if isinstance(self.augment, Augmentation):
                images = self.augment(images, generator)
            elif self.augment:
                images = self.augment(images)
            losses.append(self._portion.fit(len(images), partial(self._gradients, optimizer, images, targets)))
            optimizer.step()
            if self.fabric.device.type == "cpu" or number % 16 == 0 or number == len(batches):
                self._stop_unless_finite(losses, batches, epoch)  # on a GPU not at every step: it waits for the device
            bar.update(len(batch) * self.fabric.world_size)
        sizes = torch.tensor([len(batch) for batch in batches], dtype=torch.float64)
        return float((torch.stack(losses).cpu().double() * sizes).sum() / sizes.sum())

    def _gradients(self, optimizer: Any, images: Tensor, targets: Tensor, size: int) -> Tensor:
        optimizer.zero_grad(set_to_none=True)  # a try that ran out of memory may have left some
        return gradients(self.fabric, self._module, self.loss, images, targets, size)

    def _validate(self, val: Cohort, data: Batches, epoch: int) -> dict[str, float]:
        logits = self._logits(data)
        targets = torch.from_numpy(val.targets).to(logits.device)
        probabilities = logits.double().softmax(1).cpu().numpy()
        called = np.unique(probabilities.argmax(1))
        scores = [auroc(val.targets == k, probabilities[:, k]) for k in range(len(val.classes))]
        if len(called) == 1 and self.fabric.is_global_zero:
            shown = probabilities[:, 1] if val.task == "binary" else probabilities[:, called[0]]
            _say(
                f"epoch {epoch}: ONE CLASS ONLY, all {len(val)} validation images are called {val.classes[called[0]]} "
                f"(p({val.classes[1 if val.task == 'binary' else called[0]]}) from {shown.min():.3f} to "
                f"{shown.max():.3f}, AUROC {np.mean(scores):.2f})"
            )
        return {
            "val_loss": float(self.loss(logits, targets)),
            "val_auroc": float(np.mean(scores[1:] if val.task == "binary" else scores)),
            "val_accuracy": float((probabilities.argmax(1) == val.targets).mean()),
            "val_classes_called": len(called),
        }

    # ------------------------------------------------------------------ predict

    def predict(self, cohort: Cohort) -> Predictions:
        """Probabilities for every image, with all columns of the cohort's table.

        Raises:
            TrainingError: a cohort whose classes, channels or size are not those of the training set.
        """
        if self._classes is not None and cohort.classes != self._classes:
            raise TrainingError(
                f"the model was trained for the classes {self._classes}, {cohort.name} has {cohort.classes}"
            )
        logits = self._logits(Batches(cohort, self.fabric.device))
        if logits.shape[1] != len(cohort.classes):
            raise TrainingError(
                f"the model gives {logits.shape[1]} logits, {cohort.name} has {len(cohort.classes)} classes"
            )
        probabilities = logits.double().softmax(1).cpu().numpy()
        table = cohort.table.assign(**{f"p_{name}": probabilities[:, k] for k, name in enumerate(cohort.classes)})
        return Predictions(table, cohort.classes)

    def _logits(self, data: Batches) -> Tensor:
        """Logits of all images in order (float32), in evaluation mode; the mode is put back."""
        was_training = self._module.training
        self._module.eval()
        try:
            with torch.inference_mode():
                return self._eval_portion.fit(min(_EVAL_BATCH, len(data)), partial(self._forward, data))
        finally:
            self._module.train(was_training)

    def _forward(self, data: Batches, size: int) -> Tensor:
        return torch.cat([self._module(data.read(rows)[0]).float() for rows in cut(range(len(data)), size)])

    # ------------------------------------------------------------------ inside

    def _order(self, n: int, epoch: int, generator: torch.Generator) -> list[int]:
        """This process's rows of one epoch; all processes get equally many."""
        if self.sampler is None:
            rows = torch.randperm(n, generator=generator).tolist()
        else:
            if hasattr(self.sampler, "set_epoch"):
                self.sampler.set_epoch(epoch)
            rows = [int(row) for row in self.sampler]
            if not rows or min(rows) < 0 or max(rows) >= n:
                raise TrainingError(f"the sampler must yield row numbers 0..{n - 1}; it gave {rows[:5]}")
        world = self.fabric.world_size
        return rows[: len(rows) - len(rows) % world][self.fabric.global_rank :: world]

    def _stop_unless_finite(self, losses: list[Tensor], batches: list[Any], epoch: int) -> None:
        finite = torch.isfinite(torch.stack(losses[-16:])).tolist()
        if not all(finite):
            number = len(losses) - len(finite) + finite.index(False)
            raise TrainingError(
                f"the loss is {losses[number].item()} in epoch {epoch}, batch {number + 1} of {len(batches)} (rows "
                f"{list(batches[number])[:8]} of the training set). Look at these images, lower the learning rate (now "
                f"{self.lr:g}), or use precision='fp32'."
            )

    def _bar(self, done: int, images: int) -> tqdm:
        # On stdout: one line on stderr would break the stored outputs of a notebook.
        return tqdm(
            initial=done * images,
            total=self.epochs * images,
            desc="fit",
            unit="img",
            file=sys.stdout,
            disable=not (self.progress and self.fabric.is_global_zero),
            bar_format="{desc} {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining} {rate_fmt} {postfix}",
        )

    def _check(self, train: Cohort, val: Cohort | None) -> None:
        sets = {"training": train} | ({} if val is None else {"validation": val})
        for name, cohort in sets.items():
            counts = cohort.counts()
            if cohort.classes != train.classes or (cohort.channels, cohort.size) != (train.channels, train.size):
                raise TrainingError(
                    f"the {name} set ({cohort}) does not have the training set's classes, channels and size"
                )
            if (counts == 0).any():
                raise TrainingError(
                    f"the {name} set holds no image of {counts.index[counts == 0].tolist()} (counts {dict(counts)}); split "
                    "again with more images for it, or relabel the cohort"
                )
        if not any(weight.requires_grad for weight in self.model.parameters()):
            raise TrainingError("no weight of the model learns; call model.requires_grad_(True), or build it anew")
        if isinstance(self.augment, Augmentation):
            self.augment.check(train)
        probe = self._logits(Batches(train.subset(train.table.index[:2]), self.fabric.device))
        if probe.shape[1] != len(train.classes):
            raise TrainingError(f"the model gives {probe.shape[1]} logits, the cohort has {len(train.classes)} classes")


@contextmanager
def _random_state(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed everything for the block, deterministic kernels included, and put the global state back after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def _say(line: str) -> None:
    tqdm.write(line, file=sys.stdout)
