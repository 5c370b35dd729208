"""The trainer: a loop that stays visible, on one device or many (Lightning Fabric)."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.evaluation.predictions import Predictions
from medcourse.networks.forward import evaluation_mode, explained
from medcourse.networks.seeds import training_seed
from medcourse.training.augmentation import Augmentation
from medcourse.training.batches import Batches, cut
from medcourse.training.checkpoint import Checkpoint, Settings, describe, restore
from medcourse.training.device import Precision, give_memory_back, make_fabric
from medcourse.training.memory import Portion, gradients
from medcourse.training.preconditions import (
    Loss,
    check_cohorts,
    check_logits,
    check_numbers,
    checked,
    learning,
    rows_of,
)
from medcourse.training.preconditions import describe as needs
from medcourse.training.run import Progress, Run
from medcourse.training.validation import default_loss, judge, probabilities

_EVAL_BATCH = 128


class Trainer:
    """Train a model on a cohort and predict another one.

    Args:
        model: float images in [0, 1], N x C x H x W, to logits, N x classes (``mc.build_model``). Trained in place.
        loss: logits (float32, N x classes) and targets (int64, N) to a scalar; cross-entropy when None. Of a multilabel
            cohort the targets are float32, N x classes, NaN = not assessed, and None is the binary cross-entropy, mean
            over the assessed ones. Under ``torchrun`` every process's loss is that of its own part of the batch.
        epochs: passes over the training set.
        lr: learning rate of Adam.
        batch_size: images per step (over all processes).
        augment: a policy's name, an ``mc.Augmentation``, or any function of a batch of images; None for none.
        sampler: yields the row numbers of an epoch (``mc.BalancedSampler``); None shuffles all rows.
        device: "auto", "cpu", "cuda", "cuda:1", "mps". All devices of a ``torchrun`` are used.
        precision: "auto" (what MEDCOURSE_PRECISION says; bf16 where the hardware has it when that is not set), "fp32"
            or "bf16".
        seed: of order, augmentation and dropout, MEDCOURSE_SEED_SHIFT added. Same seed, same machine, same result.
        checkpoint: a folder of this run's own. After every epoch the whole state is written there, and ``fit`` goes on
            from it, also after a kill: weights, history (but for times) and predictions become those of an unbroken
            run; a finished run is not trained again. Everything but ``epochs`` must stay as it was. A function,
            loss or sampler of your own must keep no state, and draw from torch's global generator (a sampler may have
            ``set_epoch`` instead).
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
        check_numbers(epochs, lr, batch_size)
        if not isinstance(model, nn.Module):
            raise TrainingError(f"a Trainer needs a model (mc.build_model), not {type(model).__name__}")
        self.fabric = make_fabric(device, precision)
        self.model = model.to(memory_format=torch.channels_last)
        self.loss = loss
        self.epochs, self.lr, self.batch_size = int(epochs), float(lr), int(batch_size)  # numpy's numbers are no JSON
        self.augment = Augmentation(augment) if isinstance(augment, str) else augment
        self.sampler = sampler
        self.seed = training_seed(seed)
        self.checkpoint = checkpoint
        self.progress = progress
        self.run: Run | None = None  # of the last fit that came to its end; diagnose_training asks for both
        self.start: dict[str, Tensor] | None = None  # the weights that the last fit began with
        self._module = self.fabric.setup_module(self.model)
        self._trained_on: str | None = None
        alone = self.fabric.world_size == 1
        self._say = partial(
            _say, self.fabric.is_global_zero
        )  # no method: a circle would keep the model after `del trainer`
        self._portion = Portion("training", alone, self._say)
        self._eval_portion = Portion("predicting", alone, self._say)
        if isinstance(self.loss, nn.Module):
            self.fabric.to_device(self.loss)

    # ------------------------------------------------------------------ fit

    def fit(self, train: Cohort, val: Cohort | None = None) -> Run:
        """Train, and keep the weights of the epoch with the best validation AUROC (ties: lower loss).

        Without a validation set the last epoch's weights stay. When a GPU runs out of memory, fewer images go through the
        model at once; a step is still that of the whole batch, for every loss (see ``memory.gradients``), except that
        batch normalisation sees the smaller parts. Not under ``torchrun``. An epoch in which the model calls all validation
        images one class (multilabel: calls no finding at all, or every one everywhere) is reported when it ends.

        Raises:
            TrainingError: cohorts that do not fit each other or the model, a class missing from training or
                validation, a loss that is not finite (named with epoch, batch and images), no memory for one image, a
                checkpoint of another run, or stain to be varied in grey images.
            LateralityError: the augmentation mirrors images in which left and right mean something.
        """
        check_cohorts(train, val)
        if isinstance(self.augment, Augmentation):
            self.augment.check(train)
        weights, loss = learning(self.model), self.loss or default_loss(train.task)
        check_logits(self._answer(train.subset(train.table.index[:2])), train)
        self._trained_on = needs(train)
        data = Batches(train, self.fabric.device)
        val_data = None if val is None else Batches(val, self.fabric.device)
        self.run, self.start = None, {name: value.clone() for name, value in self.model.state_dict().items()}
        adam = torch.optim.Adam(weights, lr=self.lr, fused=True)
        with _random_state(self.seed, self.fabric.device) as generator:
            progress, save = self._begin(train, val, loss, adam, generator)
            optimizer: Any = self.fabric.setup_optimizers(adam)
            with self._bar(progress.epoch, len(data)) as bar:
                for epoch in range(progress.epoch + 1, self.epochs + 1):
                    began = time.perf_counter()
                    rows = self._order(len(data), epoch, generator)
                    record = {
                        "train_loss": self._train_epoch(optimizer, checked(loss), data, rows, epoch, generator, bar)
                    }
                    record["seconds"] = time.perf_counter() - began
                    record["images_per_second"] = len(rows) * self.fabric.world_size / record["seconds"]
                    if val is not None and val_data is not None:
                        record |= self._validate(val, val_data, checked(loss), epoch)
                    progress.add(record, time.perf_counter() - began, self.model)
                    save()
                    bar.set_postfix_str(
                        ", ".join(f"{k} {record[k]:.3f}" for k in ("train_loss", "val_auroc") if k in record)
                    )
        adam.zero_grad(set_to_none=True)  # gradients take as much memory as the model, and nobody asks for them now
        if progress.best_weights:
            self.model.load_state_dict(progress.best_weights)
        self.run = progress.result()
        return self.run

    def _begin(
        self, train: Cohort, val: Cohort | None, loss: Loss, adam: torch.optim.Adam, generator: torch.Generator
    ) -> tuple[Progress, Callable[[], None]]:
        """A new run, or the one in the checkpoint folder put back; and what writes its state (rank 0 only)."""
        if self.checkpoint is None:
            return Progress(), lambda: None
        files, saved = None, None
        if self.fabric.is_global_zero:
            own: Settings = {"lr": self.lr, "batch size": self.batch_size, "seed": self.seed}
            own |= {"precision": str(self.fabric.strategy.precision.precision)}
            own |= describe(self.model, train, val, loss, self.augment, self.sampler)
            files = Checkpoint(self.checkpoint, own)
            saved = files.load(self._say)
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
        else:
            done = "finished, nothing is trained" if progress.epoch == self.epochs else "going on"
            self._say(f"checkpoint {self.checkpoint}: {progress.epoch} of {self.epochs} epochs done, {done}")
        return progress, save

    def _train_epoch(
        self,
        optimizer: Any,
        loss: Loss,
        data: Batches,
        rows: list[int],
        epoch: int,
        generator: torch.Generator,
        bar: tqdm,
    ) -> float:
        """One pass over ``rows``; the mean loss per image, of all processes."""
        self._module.train()
        losses: list[Tensor] = []
        batches = list(cut(rows, max(1, self.batch_size // self.fabric.world_size)))
        for number, batch in enumerate(batches, start=1):
            with explained(f"training failed in epoch {epoch}, batch {number} of {len(batches)} ({len(batch)} images)"):
                images, targets = data.read(batch)
                if isinstance(self.augment, Augmentation):
                    images = self.augment(images, generator)
                elif self.augment:
                    images = self.augment(images)
                work = partial(self._gradients, optimizer, loss, images, targets)
                losses.append(self._portion.fit(len(images), work))
                optimizer.step()
            if self.fabric.device.type == "cpu" or number % 16 == 0 or number == len(batches):
                self._stop_unless_finite(losses, batches, epoch)  # on a GPU not at every step: it waits for the device
            bar.update(len(batch) * self.fabric.world_size)
        sizes = torch.tensor([len(batch) for batch in batches], dtype=torch.float64)
        mean = (torch.stack(losses).cpu().double() * sizes).sum() / sizes.sum()
        every: Any = self.fabric.all_gather(mean.to(self.fabric.device)) if self.fabric.world_size > 1 else mean
        return float(every.mean())

    def _gradients(self, optimizer: Any, loss: Loss, images: Tensor, targets: Tensor, size: int) -> Tensor:
        optimizer.zero_grad(set_to_none=True)  # a try that ran out of memory may have left some
        return gradients(self.fabric, self._module, loss, images, targets, size)

    def _validate(self, val: Cohort, data: Batches, loss: Loss, epoch: int) -> dict[str, float]:
        logits = self._logits(data)
        said = judge(val, probabilities(logits, val.task), epoch, self._say)
        return {"val_loss": float(loss(logits, data.targets)), **said}

    # ------------------------------------------------------------------ predict

    def predict(self, cohort: Cohort) -> Predictions:
        """Probabilities for every image, with all columns of the cohort's table.

        Raises:
            TrainingError: a cohort whose classes, channels or size are not those of the training set.
        """
        if self._trained_on not in (None, needs(cohort)):
            raise TrainingError(
                f"the model was trained for the classes, channels and size {self._trained_on}; {cohort.name} has "
                f"{needs(cohort)}. Load or relabel it like the training set."
            )
        logits = self._answer(cohort)
        check_logits(logits, cohort)
        p = probabilities(logits, cohort.task)
        give_memory_back()
        table = cohort.table.assign(**{f"p_{name}": p[:, k] for k, name in enumerate(cohort.classes)})
        return Predictions(table, cohort.classes, cohort.task)

    def _answer(self, cohort: Cohort) -> Tensor:
        what = f"{cohort.channels} x {cohort.size} x {cohort.size} pixels"
        with explained(f"the model does not take the images of {cohort.name} ({what}); build it for this cohort"):
            return self._logits(Batches(cohort, self.fabric.device))

    def _logits(self, data: Batches) -> Tensor:
        """Logits of all images in order (float32), in evaluation mode; the mode is put back."""
        with evaluation_mode(self._module), torch.inference_mode():
            return self._eval_portion.fit(min(_EVAL_BATCH, len(data)), partial(self._forward, data))

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
            rows = rows_of(self.sampler, n)
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


def _say(first: bool, line: str) -> None:
    if first:
        tqdm.write(line, file=sys.stdout)


@contextmanager
def _random_state(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed everything for the block, deterministic kernels included, and put the global state back after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)
