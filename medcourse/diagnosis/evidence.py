"""What can be measured about a finished run, each when a rule first asks for it. Only copies of the model are run."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from torch import Tensor, nn
from torch.nn import functional as F

from medcourse.data.cohort import Cohort
from medcourse.diagnosis.probes import Probes
from medcourse.evaluation.ranking import against_rest, aurocs, recalls
from medcourse.networks.forward import is_head, run_layers
from medcourse.training.batches import Batches, cut
from medcourse.training.preconditions import rows_of
from medcourse.training.run import Run
from medcourse.training.trainer import Trainer
from medcourse.training.validation import default_loss

_BATCH = 16  # images of the short trainings
_MOST = 512  # training images that are looked at
_CHUNK = 64
_DRAWS = 2000  # scores that a loss is the mean of
_FOLDS = 5


@dataclass(frozen=True)
class Scores:
    """Logits (float64, N x K) and targets (int64, N) of some images; every class has some."""

    logits: NDArray[np.float64]
    targets: NDArray[np.int64]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        return torch.from_numpy(self.logits).softmax(1).numpy()

    @property
    def auroc(self) -> float:
        """Of several classes the mean, one against the rest."""
        return _mean_auroc(self.targets, self.probabilities)

    @property
    def recalls(self) -> NDArray[np.float64]:
        """Share of the images of each class that are called so."""
        k = self.logits.shape[1]
        return recalls(against_rest(self.targets, k), against_rest(self.logits.argmax(1), k) == 1)


class Evidence:
    """Measurements of one finished run.

    Args:
        trainer: whose model, loss and sampler are copied before use.
        run: its last.
        train, val: binary or multiclass cohorts with images of every class.
    """

    def __init__(self, trainer: Trainer, run: Run, train: Cohort, val: Cohort) -> None:
        self.trainer, self.run, self.train, self.val = trainer, run, train, val
        self.model = copy.deepcopy(trainer.model).eval()
        self._device = trainer.fabric.device
        self._loss = copy.deepcopy(trainer.loss or default_loss(train.task))
        self._rng = np.random.default_rng(trainer.seed)

    # ------------------------------------------------------------------ what an epoch draws

    @cached_property
    def drawn(self) -> NDArray[np.int64]:
        """The rows of the first epoch, in the order of the sampler (of a copy: to iterate may change it)."""
        sampler = copy.deepcopy(self.trainer.sampler)
        if sampler is None:
            return self._rng.permutation(len(self.train))
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(1)
        return np.array(rows_of(sampler, len(self.train)))

    @cached_property
    def drawn_shares(self) -> NDArray[np.float64]:
        """Share of each class in an epoch."""
        return np.bincount(self.train.targets[self.drawn], minlength=len(self.train.classes)) / len(self.drawn)

    @cached_property
    def batch_variance(self) -> tuple[float, float]:
        """Variance of the commonest class's share between the batches of an epoch, as a multiple of that in random
        order; and the share of batches of one class. About 1 in a shuffled epoch, the batch size in a sorted one."""
        size, share = self.trainer.batch_size, self.drawn_shares.max()
        common = self.train.targets[self.drawn] == self.drawn_shares.argmax()
        of_batches = np.array([common[rows].mean() for rows in cut(range(len(common)), size)])
        variance = ((of_batches[: len(common) // size] - share) ** 2).mean() if len(common) >= 2 * size else 0.0
        return float(variance * size / (share * (1 - share))), float(np.isin(of_batches, (0, 1)).mean())

    @cached_property
    def constant_answer(self) -> tuple[NDArray[np.float64], float]:
        """The constant answer (K probabilities) with the lowest loss over an epoch, and that loss.

        Plain cross-entropy: the class shares. Class weights and other losses move it, which is what they are for.
        """
        targets = torch.from_numpy(self.train.targets[self.drawn]).to(self._device)
        logits = torch.zeros(1, len(self.train.classes), device=self._device, requires_grad=True)
        solver = torch.optim.LBFGS([logits], max_iter=50, line_search_fn="strong_wolfe")

        def value() -> Tensor:
            solver.zero_grad()
            loss = self._loss(logits.expand(len(targets), -1), targets)
            loss.backward()
            return loss

        solver.step(value)
        return logits.detach().double().softmax(1)[0].cpu().numpy(), float(value().detach())

    # ------------------------------------------------------------------ what the model says

    def _images(self, cohort: Cohort, rows: NDArray[np.int64]) -> list[Tensor]:
        """Float in [0, 1], in chunks."""
        data = Batches(cohort, self._device)
        return [data.read(part)[0] for part in cut(rows.tolist(), _CHUNK)]

    def _scores(self, model: nn.Module, cohort: Cohort, rows: NDArray[np.int64] | None = None) -> Scores:
        rows = np.arange(len(cohort)) if rows is None else rows
        with torch.no_grad():
            logits = torch.cat([model(images).float() for images in self._images(cohort, rows)])
        return Scores(logits.nan_to_num().double().cpu().numpy(), cohort.targets[rows])

    @cached_property
    def _sample(self) -> NDArray[np.int64]:
        """Training images that an epoch draws, each once."""
        return self._rng.permutation(np.unique(self.drawn))[:_MOST]

    @cached_property
    def on_train(self) -> Scores:
        return self._scores(self.model, self.train, self._sample)

    @cached_property
    def on_val(self) -> Scores:
        return self._scores(self.model, self.val)

    @cached_property
    def with_new_averages(self) -> tuple[Scores, Scores] | None:
        """Scores on training and validation images when batch normalisation averages anew over training images.

        None without batch normalisation, or where some of it is frozen.
        """
        model = copy.deepcopy(self.model)
        layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
        if not layers or not all(weight.requires_grad for layer in layers for weight in layer.parameters()):
            return None
        torch.optim.swa_utils.update_bn(self._images(self.train, self._rng.choice(self.drawn, _MOST)), model)
        model.eval()
        return self._scores(model, self.train, self._sample), self._scores(model, self.val)

    def loss_of(self, scores: Scores) -> float:
        """The trainer's loss of these scores, the classes in the shares of an epoch."""
        counts = np.bincount(scores.targets, minlength=len(self.drawn_shares))
        chances = (self.drawn_shares / counts)[scores.targets]
        rows = self._rng.choice(len(chances), _DRAWS, p=chances / chances.sum())
        logits = torch.from_numpy(scores.logits[rows]).float().to(self._device)
        with torch.no_grad():
            return float(self._loss(logits, torch.from_numpy(scores.targets[rows]).to(self._device)))

    @cached_property
    def train_loss_reduction(self) -> float:
        """How much of the constant answer's loss is gone on training images, in the best epoch or with the weights kept."""
        best = min(self.loss_of(self.on_train), float(self.run.history["train_loss"].min()))
        return 1 - best / self.constant_answer[1]

    @cached_property
    def val_loss_reduction(self) -> float:
        """The same of validation images, with the weights kept."""
        return 1 - self.loss_of(self.on_val) / self.constant_answer[1]

    @cached_property
    def ranks(self) -> bool:
        """Is the AUROC on validation more than the best of the run's epochs could reach by luck?"""
        return self.on_val.auroc >= _chance(self.val.targets, len(self.run.history))

    @cached_property
    def collapsed(self) -> bool:
        return len(np.unique(self.on_val.logits.argmax(1))) == 1

    @cached_property
    def failed(self) -> bool:
        """One class, or no better than chance, or next to nothing learned."""
        return self.collapsed or not self.ranks or self.train_loss_reduction < 0.1

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Training and validation loss of every epoch, relative to a constant answer's (of even shares, if that is more)."""
        constant = max(self.constant_answer[1], float(np.log(len(self.train.classes))))
        return self.run.history.filter(regex="_loss$") / constant

    # ------------------------------------------------------------------ inside the model

    @cached_property
    def _few(self) -> Tensor:
        """64 training images."""
        return self._images(self.train, self._sample[:_CHUNK])[0]

    @cached_property
    def first_input(self) -> tuple[float, float]:
        """Mean and standard deviation of the pictures that reach the first layer with weights; 0 and 1 if none do."""
        pictures: list[Tensor] = []
        model = copy.deepcopy(self.model)
        for layer in [layer for layer in model.modules() if is_head(layer)][:1]:
            layer.register_forward_pre_hook(lambda _, inputs: pictures.append(inputs[0].float()))
        with torch.no_grad():
            model(self._few)
        if not pictures or pictures[0].shape[2:] != self._few.shape[2:]:
            return 0.0, 1.0
        return float(pictures[0].mean()), float(pictures[0].std())

    @cached_property
    def dead_share(self) -> float:
        """The largest share, over the ReLUs, of channels that are 0 on each of 64 training images."""
        relus = [ran.output for ran in run_layers(self.model, self._few) if isinstance(ran.module, nn.ReLU | nn.ReLU6)]
        return max([float((out.transpose(0, 1).flatten(1).amax(1) <= 0).float().mean()) for out in relus], default=0.0)

    @cached_property
    def frozen(self) -> tuple[float, float]:
        """Share of the weights that no gradient reaches, and how far those are from a fresh draw.

        The second is the median excess kurtosis over their tensors: 0 for normal, -1.2 for uniform random weights, well
        above 0 for trained ones (a frozen network that somebody trained is transfer learning, not a fault).
        """
        model = copy.deepcopy(self.model)
        logits = model(self._few[:2])
        if logits.requires_grad:
            logits.square().sum().backward()
        weights = list(model.parameters())
        still = [weight.detach().double() for weight in weights if weight.grad is None]
        large = [weight - weight.mean() for weight in still if weight.ndim > 1 and weight.numel() >= 200]
        tails = [float((weight**4).mean() / weight.var() ** 2 - 3) for weight in large]
        share = sum(weight.numel() for weight in still) / sum(weight.numel() for weight in weights)
        return share, float(np.median(tails)) if tails else 0.0

    # ------------------------------------------------------------------ short trainings, and a forest

    def _probes(self, model: nn.Module) -> Probes:
        """On a batch with as many images of each class, if there are as many."""
        k = len(self.train.classes)
        of_class = [self._sample[self.train.targets[self._sample] == each] for each in range(k)]
        rows = np.concatenate([found[: max(1, _BATCH // k)] for found in of_class])
        return Probes(model, *Batches(self.train, self._device).read(rows.tolist()))

    @cached_property
    def further(self) -> Probes:
        """Short trainings from the weights that the run has now."""
        return self._probes(self.model)

    @cached_property
    def anew(self) -> Probes:
        """Short trainings from fresh random weights; frozen layers stay as they are."""
        model = copy.deepcopy(self.model)
        for layer in model.modules():
            weights = list(layer.parameters(recurse=False))
            draw: Callable[[], None] | None = getattr(layer, "reset_parameters", None)
            if draw and weights and all(weight.requires_grad for weight in weights):
                draw()
        return self._probes(model)

    @cached_property
    def forest(self) -> tuple[float, float] | None:
        """Do the labels show in the pictures at all? AUROC of a random forest on the training labels, and its chance level.

        It sees 8 x 8 pictures and deciles of intensity. Cross-validated by group; None when a class has fewer than two.
        """
        targets, groups = self.train.targets[self._sample], self.train.table["group"].to_numpy()[self._sample]
        folds = min(_FOLDS, *(len(np.unique(groups[targets == k])) for k in range(len(self.train.classes))))
        if folds < 2:
            return None
        images = torch.cat(self._images(self.train, self._sample)).cpu()
        deciles = torch.quantile(images.flatten(2), torch.linspace(0, 1, 11), dim=2).permute(1, 0, 2)
        small = F.adaptive_avg_pool2d(images, min(8, images.shape[-1]))
        features = torch.cat([small.flatten(1), deciles.flatten(1)], 1).numpy()
        forest = RandomForestClassifier(100, min_samples_leaf=2, class_weight="balanced", random_state=0, n_jobs=1)
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
        scores = cross_val_predict(forest, features, targets, groups=groups, cv=parts, method="predict_proba")
        return _mean_auroc(targets, scores), _chance(targets, _FOLDS)  # folds share images: wider


def _mean_auroc(targets: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    return float(aurocs(against_rest(targets, scores.shape[1]), scores).mean())


def _chance(targets: NDArray[np.int64], tries: int) -> float:
    """The AUROC that the best of so many scores without any knowledge stays below in 97.5 of 100 sets.

    Mann-Whitney, normal approximation, Bonferroni.
    """
    counts = np.bincount(targets)
    pairs = (counts * (len(targets) - counts)).min()
    return float(0.5 + norm.isf(0.025 / tries) * np.sqrt((len(targets) + 1) / (12 * pairs)))
