"""The trainer: a loop that stays visible, on one device or many (Lightning Fabric)."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from medcourse.arguments import number, whole_number
from medcourse.data.cohort import Cohort
from medcourse.errors import ArgumentError, TrainingError
from medcourse.evaluation.predictions import Predictions
from medcourse.networks.forward import evaluation_mode, explained
from medcourse.networks.models import Classifier
from medcourse.networks.saving import save_model
from medcourse.networks.seeds import seeded, training_seed
from medcourse.networks.signature import InputSignature
from medcourse.training.augmentation import Augmentation
from medcourse.training.batches import Batches, cut
from medcourse.training.checkpoint import Training, describe, load_checkpoint, save_checkpoint
from medcourse.training.device import Precision, give_memory_back, make_fabric
from medcourse.training.optimizer import MakeOptimizer, make_optimizer
from medcourse.training.preconditions import Loss, check_cohorts, check_finite, check_logits, checked, rows_of
from medcourse.training.remembered import remembered
from medcourse.training.report import Report
from medcourse.training.run import Progress, Run
from medcourse.training.validation import default_loss, one_class_report, probabilities, validation_metrics

_EVAL_BATCH = 128  # at most; a prediction keeps no gradients, so four times the images of a step fit


class Trainer:
    """Train a model on a cohort and predict another one.

    Args:
        model: float images in [0, 1], N x C x H x W, to logits, N x classes (``mc.build_model``, ``mc.load_model``). Trained
            in place.
        loss: logits (float32, N x classes) and targets (int64, N) to a scalar; cross-entropy when None. Of a multilabel
            cohort the targets are float32, N x classes, NaN = not assessed, and None is the binary cross-entropy, mean
            over the assessed ones. Under ``torchrun`` every process's loss is that of its own part of the batch.
        epochs: passes over the training set.
        lr: learning rate of Adam; not used with ``optimizer=``.
        batch_size: images per step (over all processes).
        augment: a policy's name, an ``mc.Augmentation``, or any function of a batch of images; None for none.
        sampler: yields the row numbers of an epoch (``mc.BalancedSampler``); None shuffles all rows.
        device: "auto", "cpu", "cuda", "cuda:1", "mps". All devices of a ``torchrun`` are used. On the CPU memory that a step
            has freed stays with the process until ``predict`` ends, unless MEDCOURSE_KEEP_MEMORY is 0.
        precision: "auto" (what MEDCOURSE_PRECISION says; bf16 where the hardware has it when that is not set), "fp32"
            or "bf16".
        seed: of order, augmentation and dropout, MEDCOURSE_SEED_SHIFT added. Same seed, same machine, same result.
        checkpoint: a folder of this run's own. After every epoch the whole state is written there, and ``fit`` goes on
            from it, also after a kill: weights, history (but for times) and predictions become those of an unbroken
            run; a finished run is not trained again. Everything but ``epochs`` must stay as it was. A function,
            loss or sampler of your own must keep no state, and draw from torch's global generator (a sampler may have
            ``set_epoch`` instead). Without a folder, and with MEDCOURSE_REMEMBER=1, a training that came to its end is kept
            in the cache, and a ``fit`` that depends on the same things takes its weights from there.
        optimizer: a function of the model that returns a ``torch.optim.Optimizer``, or a pair of it and a learning-rate
            scheduler, which is stepped once per epoch. Parameter groups give each part of the network a rate of its own.
            None: Adam over all weights. Frozen weights get no gradient and do not move, so they may be among them.
        after_epoch: called with this trainer and a dict of the epoch's numbers (``epoch`` and those of ``Run.history``) when
            an epoch has ended. It may predict, and change ``requires_grad`` of ``trainer.model``'s weights: what it unfreezes
            learns from the next epoch on.
        progress: show a line while it trains, and say at the end which epoch is kept.
        name: whose run it is, in what ``fit`` says; None: the network and its learning rate.

    Raises:
        ArgumentError: a number out of range, or an unknown word.
        TrainingError: no model, or a device that is not there.
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
        optimizer: MakeOptimizer | None = None,
        after_epoch: Callable[["Trainer", dict[str, float]], object] | None = None,
        progress: bool = True,
        name: str | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TrainingError(f"a Trainer needs a model (mc.build_model), not {type(model).__name__}")
        for what, function in {"optimizer": optimizer, "after_epoch": after_epoch}.items():
            if function is not None and not callable(function):
                raise ArgumentError(f"{what}= must be a function, not a {type(function).__name__}")
        self.epochs = whole_number("epochs", epochs, least=1)
        self.lr = number("lr", lr, above=0)
        self.batch_size = whole_number("batch_size", batch_size, least=1)
        self.fabric = make_fabric(device, precision)
        self.model = model.to(memory_format=torch.channels_last)
        self.loss = loss
        self.augment = Augmentation(augment) if isinstance(augment, str) else augment
        self.sampler = sampler
        self.seed = training_seed(seed)
        self.checkpoint = checkpoint
        self.optimizer, self.after_epoch = optimizer, after_epoch
        self.progress = progress
        network = getattr(model, "architecture", None) or type(model).__name__
        self.name = name or (f"{network}, lr {self.lr:g}" if optimizer is None else network)
        self.run: Run | None = None  # of the last fit that came to its end
        self._module = self.fabric.setup_module(self.model)
        self._trained_on = model.trained_on if isinstance(model, Classifier) else None
        if isinstance(self.loss, nn.Module):
            self.fabric.to_device(self.loss)

    # ------------------------------------------------------------------ fit

    def fit(self, train: Cohort, val: Cohort | None = None) -> Run:
        """Train, and keep the weights of the epoch with the best validation AUROC (ties: lower loss).

        Without a validation set the last epoch's weights stay. An epoch in which the model calls all validation images one
        class (multilabel: calls no finding at all, or every one everywhere) is reported when it ends.

        Raises:
            TrainingError: cohorts that do not fit each other or the model, a class missing from training or
                validation, an optimizer that does not fit the model, a loss that is not finite (named with epoch, batch and
                images), a GPU without enough memory, a checkpoint of another run, or stain to be varied in grey images.
            LateralityError: the augmentation mirrors images in which left and right mean something.
        """
        check_cohorts(train, val)
        if isinstance(self.augment, Augmentation):
            self.augment.check(train)
        loss = self.loss or default_loss(train.task)
        check_logits(self._logits(Batches(train.subset(train.table.index[:2]), self.fabric.device)), train)
        optimizer, scheduler = make_optimizer(self.optimizer, self.model, self.lr)
        self._trained_on = InputSignature.of(train)
        if isinstance(self.model, Classifier):
            self.model.trained_on = self._trained_on
        data = Batches(train, self.fabric.device)
        val_data = None if val is None else Batches(val, self.fabric.device)
        self.run = None
        report = Report(self.name, self.epochs, len(data), self.progress, self.fabric.is_global_zero)
        with seeded(self.seed, self.fabric.device) as generator:
            training = Training(self.model, optimizer, scheduler, generator)
            progress, save = self._begin(training, train, val, loss, report)
            wrapped: Any = self.fabric.setup_optimizers(optimizer)
            with report.running(progress.epoch):
                for epoch in range(progress.epoch + 1, self.epochs + 1):
                    report.begin_epoch(epoch)
                    began = time.perf_counter()
                    rows = self.rows_of_epoch(len(data), epoch, generator)
                    record = {
                        "train_loss": self._train_epoch(wrapped, checked(loss), data, rows, epoch, generator, report)
                    }
                    record["seconds"] = time.perf_counter() - began
                    record["images_per_second"] = len(rows) * self.fabric.world_size / record["seconds"]
                    if val_data is not None:
                        record |= self._validate(val_data, checked(loss), epoch, report)
                    progress.add(record, self.model)
                    self._end_epoch(progress, scheduler)
                    progress.seconds += time.perf_counter() - began
                    save()
                    report.end_epoch(progress)
        # gradients take as much memory as the model, and nobody asks for them now
        optimizer.zero_grad(set_to_none=True)
        if progress.best_weights:
            self.model.load_state_dict(progress.best_weights)
        report.summary(progress)
        self.run = progress.result()
        return self.run

    def _begin(
        self, training: Training, train: Cohort, val: Cohort | None, loss: Loss, report: Report
    ) -> tuple[Progress, Callable[[], None]]:
        """A new run, or the one in the checkpoint folder (or the remembered one) put back; and what writes its state (rank 0 only)."""
        own = {"loss": loss, "precision": self.fabric.strategy.precision.precision}
        own |= {name: getattr(self, name) for name in ("lr", "batch_size", "seed", "augment", "sampler", "after_epoch")}
        if self.checkpoint is None:
            if self.fabric.world_size > 1:
                return Progress(), lambda: None
            facts = own | {"optimizer": self.optimizer, "device": self.fabric.device.type, "sets": (train, val)}
            return remembered(self.model, self.epochs, report.say, facts)
        settings = describe(training, train, val, own)
        first, folder = self.fabric.is_global_zero, self.checkpoint
        saved = self.fabric.broadcast(load_checkpoint(folder, settings, self.epochs, report.say) if first else None)
        progress = Progress() if saved is None else training.restore(*saved)

        def save() -> None:
            if first:
                save_checkpoint(folder, settings, progress, training)

        if saved is None:
            save()  # so that a kill in the first epoch, too, goes back to these very weights
        return progress, save

    def _train_epoch(
        self,
        optimizer: Any,
        loss: Loss,
        data: Batches,
        rows: list[int],
        epoch: int,
        generator: torch.Generator,
        report: Report,
    ) -> float:
        """One pass over ``rows``; the mean loss per image, of all processes."""
        self._module.train()
        losses: list[Tensor] = []
        batches = list(cut(rows, max(1, self.batch_size // self.fabric.world_size)))
        for step, batch in enumerate(batches, start=1):
            with explained(f"training failed in epoch {epoch}, batch {step} of {len(batches)} ({len(batch)} images)"):
                images, targets = data.read(batch)
                if isinstance(self.augment, Augmentation):
                    images = self.augment(images, generator)
                elif self.augment:
                    images = self.augment(images)
                optimizer.zero_grad(set_to_none=True)
                value = loss(self._module(images).float(), targets)
                self.fabric.backward(value)
                optimizer.step()
                losses.append(value.detach())
            if self.fabric.device.type == "cpu" or step % 16 == 0 or step == len(batches):
                check_finite(losses, batches, epoch)  # on a GPU not at every step: it waits for the device
            report.step(len(batch) * self.fabric.world_size)
        sizes = torch.tensor([len(batch) for batch in batches], dtype=torch.float64)
        mean = (torch.stack(losses).cpu().double() * sizes).sum() / sizes.sum()
        every: Any = self.fabric.all_gather(mean.to(self.fabric.device)) if self.fabric.world_size > 1 else mean
        return float(every.mean())

    def _validate(self, data: Batches, loss: Loss, epoch: int, report: Report) -> dict[str, float]:
        logits = self._logits(data)
        p = probabilities(logits, data.cohort.task)
        metrics = validation_metrics(data.cohort, p)
        if found := one_class_report(data.cohort, p, metrics):
            report.say(f"{self.name}, epoch {epoch}: {found}")
        return {"val_loss": float(loss(logits, data.targets)), **metrics}

    def _end_epoch(self, progress: Progress, scheduler: LRScheduler | None) -> None:
        if scheduler is not None:
            scheduler.step()
        if self.after_epoch is None:
            return
        before = [weight.requires_grad for weight in self.model.parameters()]
        self.after_epoch(self, dict(progress.records[-1]))
        if self.fabric.world_size > 1 and before != [weight.requires_grad for weight in self.model.parameters()]:
            raise TrainingError(
                "under torchrun after_epoch= cannot change what learns: the processes would drift apart"
            )

    # ------------------------------------------------------------------ predict and save

    def predict(self, cohort: Cohort) -> Predictions:
        """Probabilities for every image, with all columns of the cohort's table.

        Raises:
            TrainingError: a cohort whose classes, channels or size are not those of the training set, or a GPU without
                enough memory.
        """
        if self._trained_on not in (None, InputSignature.of(cohort)):
            raise TrainingError(
                f"the model was trained for the classes, channels and size {self._trained_on}; {cohort.name} has "
                f"{InputSignature.of(cohort)}. Load or relabel it like the training set."
            )
        logits = self._logits(Batches(cohort, self.fabric.device))
        check_logits(logits, cohort)
        p = probabilities(logits, cohort.task)
        give_memory_back()
        table = cohort.table.assign(**{f"p_{name}": p[:, k] for k, name in enumerate(cohort.classes)})
        return Predictions(table, cohort.classes, cohort.task)

    def save(self, path: str | Path) -> None:
        """Write the model to a safetensors file, with what ``mc.load_model`` needs to build it again.

        Args:
            path: e.g. "melanoma.safetensors"; its folder must be there. An older file is replaced.

        Raises:
            TrainingError: the model is not one of ``mc.build_model`` or was never trained, or the file cannot be written.
        """
        if self.fabric.is_global_zero:
            save_model(self.model, path)

    def _logits(self, data: Batches) -> Tensor:
        """Logits of all images in order (float32), in evaluation mode; the mode is put back."""
        cohort, size = data.cohort, min(_EVAL_BATCH, 4 * self.batch_size)
        what = f"{cohort.channels} x {cohort.size} x {cohort.size} pixels"
        with (
            evaluation_mode(self._module),
            torch.inference_mode(),
            explained(
                f"the model does not take the images of {cohort.name} ({what})", advice="Build it for this cohort."
            ),
        ):
            return torch.cat([self._module(data.read(rows)[0]).float() for rows in cut(range(len(data)), size)])

    # ------------------------------------------------------------------ inside

    def rows_of_epoch(self, n: int, epoch: int, generator: torch.Generator) -> list[int]:
        """This process's rows of one epoch; all processes get equally many."""
        if self.sampler is None:
            rows = torch.randperm(n, generator=generator).tolist()
        else:
            if hasattr(self.sampler, "set_epoch"):
                self.sampler.set_epoch(epoch)
            rows = rows_of(self.sampler, n)
        world = self.fabric.world_size
        return rows[: len(rows) - len(rows) % world][self.fabric.global_rank :: world]
