import gc
import re
import weakref
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from medcourse.data.cohort import Cohort
from medcourse.errors import ArgumentError, Interrupted, LateralityError, TrainingError
from medcourse.networks.models import Classifier, pixel_statistics
from medcourse.networks.seeds import seeded
from medcourse.training import device, report
from medcourse.training.augmentation import Augmentation, restain
from medcourse.training.batches import Batches, cut
from medcourse.training.device import PRECISION, auto_precision, computes_in_bf16, make_fabric
from medcourse.training.trainer import Trainer
from tests.conftest import make_cohort

pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(cohort: Cohort, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Dropout(0.1), nn.LazyLinear(len(cohort.classes)))
        net(torch.zeros(1, cohort.channels, cohort.size, cohort.size))
        return Classifier(net, *pixel_statistics(cohort))


def fit(train: Cohort, val: Cohort | None = None, seed: int = 0, **more):
    arguments = {"epochs": 3, "lr": 0.01, "progress": False, "device": "cpu"} | more
    trainer = Trainer(tiny(train), seed=seed, **arguments)
    return trainer, trainer.fit(train, val)


def test_training_makes_cudnn_deterministic_and_leaves_it_on():
    cudnn = torch.backends.cudnn
    for enabled in (True, False):
        with cudnn.flags(enabled), seeded(0, torch.device("cpu")):
            assert (cudnn.enabled, cudnn.deterministic, cudnn.benchmark) == (enabled, True, False)


# ---------------------------------------------------------------------- augmentation


def test_every_image_draws_its_own_parameters():
    images = torch.rand(1, 3, 16, 16).repeat(8, 1, 1, 1)
    out = Augmentation("skin")(images, torch.Generator().manual_seed(0))
    assert out.shape == images.shape
    assert 0 <= out.min() <= out.max() <= 1
    assert len({tuple(picture.flatten().tolist()) for picture in out}) == 8


def test_the_generator_fixes_the_draws():
    images = torch.rand(4, 1, 16, 16)
    a, b = (Augmentation("chest")(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a, b)


def left_marker(policy: Augmentation, n: int = 64, channels: int = 1) -> float:
    """Share of images whose bright left half is still on the left after augmentation."""
    images = torch.zeros(n, channels, 32, 32)
    images[..., :16] = 1
    out = policy(images, torch.Generator().manual_seed(0))
    return float((out[..., :16].mean((1, 2, 3)) > out[..., 16:].mean((1, 2, 3))).float().mean())


def test_chest_never_mirrors_and_skin_does():
    assert left_marker(Augmentation("chest")) == 1.0
    assert 0.3 < left_marker(Augmentation("chest", flip=True)) < 0.7
    assert 0.3 < left_marker(Augmentation("skin", rotation=0)) < 0.7


def stained(haematoxylin: torch.Tensor, eosin: torch.Tensor) -> torch.Tensor:
    """Patches that hold these amounts (N x H x W) of the two stains, by Beer and Lambert."""
    colours = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    colours = colours / colours.norm(dim=1, keepdim=True)
    return (-torch.stack([haematoxylin, eosin], -1) @ colours).exp().permute(0, 3, 1, 2)


def test_restain_multiplies_each_stain_on_its_own():
    blue, pink = torch.rand(2, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    factors = torch.tensor([[1.0, 1.0], [1.3, 1.0], [1.0, 0.6], [0.8, 1.2], [0.0, 1.0]])
    expected = stained(blue * factors[:, 0, None, None], pink * factors[:, 1, None, None])
    assert torch.allclose(restain(stained(blue, pink), factors), expected, atol=1e-5)
    glass = torch.ones(1, 3, 4, 4)
    assert torch.allclose(restain(glass, factors[3:4]), glass), "where there is no stain, nothing changes"


def test_restain_leaves_other_colours_alone():
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clamp_min(0.01)
    assert torch.allclose(restain(images, torch.ones(4, 2)), images, atol=1e-5)
    dark = torch.zeros(1, 3, 4, 4)
    assert torch.isfinite(restain(dark, torch.tensor([[0.8, 1.2]]))).all()


def test_histology_varies_the_stain_of_every_image():
    patches = stained(torch.full((40, 8, 8), 0.5), torch.full((40, 8, 8), 0.5))
    still = {"rotation": 0, "shift": 0, "zoom": 0, "brightness": 0, "contrast": 0, "colour": 0}
    out = Augmentation("histology", **still)(patches, torch.Generator().manual_seed(0))
    colours = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    colours = colours / colours.norm(dim=1, keepdim=True)
    amounts = torch.linalg.lstsq(colours.T, -out[:, :, 4, 4].log().T).solution / 0.5  # of haematoxylin, of eosin
    assert 0.8 <= amounts.min() < 0.85
    assert 1.15 < amounts.max() <= 1.2
    assert abs(float(torch.corrcoef(amounts)[0, 1])) < 0.4
    again = Augmentation("histology", **still, stain=0)(patches, torch.Generator().manual_seed(0))
    assert torch.allclose(again, patches, atol=1e-5)
    assert 0.3 < left_marker(Augmentation("histology", rotation=0), channels=3) < 0.7


def test_stain_needs_colour():
    with pytest.raises(TrainingError, match=r"1 channel\(s\): the policy 'histology' varies stain"):
        fit(make_cohort(20), augment="histology")
    with pytest.raises(TrainingError, match="use stain=0"):
        Augmentation("histology")(torch.rand(2, 1, 16, 16))
    fit(make_cohort(20), augment=Augmentation("histology", stain=0), epochs=1)
    fit(make_cohort(20, channels=3), augment="histology", epochs=1)


def test_an_identity_policy_changes_nothing():
    images = torch.rand(4, 3, 16, 16)
    still = Augmentation("chest", rotation=0, shift=0, zoom=0, brightness=0, contrast=0)
    assert torch.allclose(still(images), images, atol=1e-5)


def test_a_policy_tells_its_parameters():
    of = {name: Augmentation(name).parameters for name in ("chest", "skin", "histology")}
    assert of["chest"]["rotation"] == 7
    assert [parameters["flip"] for parameters in of.values()] == [False, True, True]
    assert Augmentation("chest", **of["histology"]).parameters == of["histology"]
    told = Augmentation.__doc__ or ""
    assert all(f"``{name}``" in told for name in of["chest"]), "each has its reason in the docstring"


def test_a_mirror_on_lateral_images_is_refused():
    films = make_cohort(20, laterality=True)
    vertical = Augmentation("chest", flip_vertical=True)  # a left-right flip, turned by 180 degrees
    for policy, off in ((Augmentation("chest", flip=True), "flip"), (vertical, "flip_vertical"), ("skin", "flip")):
        with pytest.raises(LateralityError, match=rf"situs inversus.* Use {off}=False"):
            fit(films, augment=policy)
    fit(films, augment=Augmentation("chest", flip=True, allow_laterality_flip=True), epochs=1)
    fit(films, augment="chest", epochs=1)
    fit(make_cohort(20), augment="skin", epochs=1)


def test_a_wrong_policy():
    with pytest.raises(ArgumentError, match="one of chest, skin, histology"):
        Augmentation("knee")
    with pytest.raises(ArgumentError, match=r"policy field='twist' .* rotation"):
        Augmentation("chest", twist=3)


# ---------------------------------------------------------------------- trainer


def test_it_learns_and_says_what_happened():
    train, val = make_cohort(200, seed=1), make_cohort(60, seed=2)
    trainer, run = fit(train, val, epochs=6)
    assert run.history["val_auroc"].iloc[-1] > 0.95
    assert list(run.history.index) == [1, 2, 3, 4, 5, 6]
    recalls = run.history[[f"val_recall_{name}" for name in val.classes]]
    assert run.history["val_balanced_accuracy"].to_numpy() == pytest.approx(recalls.mean(axis=1).to_numpy())
    shares = val.counts().to_numpy() / len(val)
    assert run.history["val_accuracy"].to_numpy() == pytest.approx((recalls * shares).sum(axis=1).to_numpy())
    assert run.history["train_loss"].iloc[-1] < run.history["train_loss"].iloc[0]
    pred = trainer.predict(val)
    assert pred.table.index.equals(val.table.index)
    assert "age" in pred.table
    assert pred.table["p_ill"].between(0, 1).all()
    assert f"best epoch {run.best_epoch}" in repr(run)


def test_same_seed_same_result_other_seed_other_result():
    train, val = make_cohort(100, seed=1), make_cohort(40, seed=2)
    scores = [fit(train, val, seed=s, augment="skin")[0].predict(val).scores for s in (1, 1, 2)]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_the_best_epoch_is_kept_and_predicted_with():
    train, val = make_cohort(100, seed=1), make_cohort(40, seed=2)
    trainer, run = fit(train, val, epochs=5, lr=0.3)
    pred = trainer.predict(val)
    p = np.clip(pred.probabilities[np.arange(40), val.targets], 1e-12, 1)
    assert -np.log(p).mean() == pytest.approx(run.history.loc[run.best_epoch, "val_loss"], rel=1e-3)
    best = run.history["val_auroc"].max()
    tied = run.history[run.history["val_auroc"] == best]
    assert run.best_epoch == tied["val_loss"].idxmin()


def test_without_validation_the_last_epoch_stays():
    _, run = fit(make_cohort(40), None, epochs=2)
    assert run.best_epoch == 2
    assert "val_loss" not in run.history


def test_one_class_only_is_reported_as_it_happens(capsys: pytest.CaptureFixture[str]):
    cohort = make_cohort(40)
    model = tiny(cohort)
    with torch.no_grad():
        model.network[3].weight.zero_()
        model.network[3].bias.copy_(torch.tensor([2.0, -2.0]))
    run = Trainer(model, epochs=2, lr=1e-6, progress=False, device="cpu").fit(cohort, cohort)
    assert (run.history["val_classes_called"] == 1).all()
    said = capsys.readouterr()
    assert said.out.count("Classifier, lr 1e-06, epoch ") == said.out.count("ONE CLASS ONLY") == 2
    assert "are called healthy" in said.out
    assert said.err == ""


def lines_shown(out: str) -> list[str]:
    """What stood in the line that is written anew, one after the other."""
    return [line.rstrip("\n") for line in out.split("\r") if line.strip()]


def test_the_line_tells_run_epoch_kept_score_and_time_left(capsys: pytest.CaptureFixture[str]):
    train, val = make_cohort(100, seed=1), make_cohort(40, seed=2)
    _, run = fit(train, val, epochs=4, progress=True, name="weighted")
    said = capsys.readouterr()
    *bars, summary = lines_shown(said.out)
    kept = f"{run.history.loc[run.best_epoch, 'val_auroc']:.3f}"
    assert summary.startswith(f"weighted: epoch {run.best_epoch} of 4 is kept, its validation AUROC is {kept};")
    assert {len(line) for line in bars} == {report.COLUMNS}
    assert all(re.search(r"^weighted: epoch [1-4] of 4 .*, (\d\d:\d\d|\?) left", line) for line in bars)
    assert f"epoch 1, AUROC {run.history.loc[1, 'val_auroc']:.3f}" in said.out
    assert said.err == ""


def test_a_long_name_leaves_the_line_whole_and_silence_is_silence(capsys: pytest.CaptureFixture[str]):
    _, run = fit(
        make_cohort(40), None, epochs=2, progress=True, name="weighted by the costs of a missed melanoma, twice"
    )
    *bars, summary = lines_shown(capsys.readouterr().out)
    assert run.best_epoch == 2
    assert "melanoma, twice: the last epoch is kept" in summary
    assert {len(line) for line in bars} == {report.COLUMNS}
    fit(make_cohort(40), make_cohort(20), epochs=1)
    assert capsys.readouterr().out == ""


def test_an_interrupt_is_one_message_in_a_notebook(monkeypatch: pytest.MonkeyPatch):
    def stop(self: report.Report, images: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(report.Report, "step", stop)
    with pytest.raises(Interrupted) as stopped:
        fit(make_cohort(), name="slow")
    assert isinstance(stopped.value, KeyboardInterrupt)
    [message] = stopped.value._render_traceback_()
    assert message.startswith("slow: stopped by you in epoch 1 of ")


def test_a_loss_that_is_not_finite_stops_with_the_batch_named():
    class Breaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen = 0

        def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            return logits.sum() * (float("nan") if self.seen == 5 else 0.0)

    with pytest.raises(TrainingError, match=r"nan in epoch 2, batch 2 of 3 \(rows \["):
        fit(make_cohort(24), batch_size=8, loss=Breaks())


def test_cohorts_that_do_not_fit():
    train = make_cohort(40)
    one_class = train.subset(train.table["label"] == "ill")
    with pytest.raises(TrainingError, match=r"the training set holds no image of \['healthy'\]"):
        fit(one_class)
    with pytest.raises(TrainingError, match=r"the validation set holds no image of \['healthy'\]"):
        fit(train, one_class)
    with pytest.raises(TrainingError, match="classes, channels and size"):
        fit(train, make_cohort(40, channels=3))
    trainer, _ = fit(train)
    with pytest.raises(TrainingError, match="trained for the classes"):
        trainer.predict(make_cohort(40, classes=("a", "b")))
    with pytest.raises(TrainingError, match="gives 2 logits"):
        Trainer(tiny(train), progress=False, device="cpu").fit(make_cohort(42, classes=("a", "b", "c")))
    with pytest.raises(TrainingError, match="row numbers"):
        fit(train, sampler=[99])


def test_a_sampler_decides_what_is_seen():
    train = make_cohort(40)
    seen: list[int] = []

    class Watched(nn.CrossEntropyLoss):
        def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            seen.extend(targets.tolist())
            return super().forward(logits, targets)

    fit(train, sampler=range(40), epochs=1, loss=Watched())
    assert seen == train.targets.tolist()


def test_progress_goes_to_stdout(capfd: pytest.CaptureFixture[str]):
    fit(make_cohort(40), make_cohort(20), epochs=2, progress=True)
    shown = capfd.readouterr()
    assert "AUROC" in shown.out
    assert shown.err == ""


def test_several_classes():
    train, val = make_cohort(150, classes=("a", "b", "c"), seed=1), make_cohort(60, classes=("a", "b", "c"), seed=2)
    trainer, run = fit(train, val, epochs=6)
    assert run.history["val_auroc"].iloc[-1] > 0.9
    assert trainer.predict(val).probabilities.shape == (60, 3)


def test_bf16_when_asked():
    fabric = make_fabric("cpu", "bf16")
    assert fabric.autocast is not None
    _, run = fit(make_cohort(60), make_cohort(20), epochs=2, precision="bf16")
    assert np.isfinite(run.history["train_loss"]).all()


@pytest.mark.parametrize("able", [True, False])
@pytest.mark.parametrize(("asked", "wins"), [("fp32", "fp32"), ("bf16", "bf16"), ("", None), (None, None)])
def test_the_variable_says_what_auto_means_and_an_argument_wins(monkeypatch: pytest.MonkeyPatch, asked, wins, able):
    monkeypatch.setattr(device, "computes_in_bf16", lambda kind: able)
    monkeypatch.delenv(PRECISION, raising=False)
    if asked is not None:
        monkeypatch.setenv(PRECISION, asked)
    expected = wins or ("bf16" if able else "fp32")
    assert auto_precision("cpu") == expected
    words = {"fp32": "32-true", "bf16": "bf16-mixed"}
    cohort = make_cohort(20)
    assert Trainer(tiny(cohort), device="cpu").fabric._precision.precision == words[expected]
    for given, word in words.items():
        assert Trainer(tiny(cohort), device="cpu", precision=given).fabric._precision.precision == word


def test_another_word_in_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PRECISION, "fp16")
    with pytest.raises(ArgumentError, match=r"MEDCOURSE_PRECISION='fp16' .* fp32, bf16"):
        Trainer(tiny(make_cohort(20)), device="cpu")
    Trainer(tiny(make_cohort(20)), device="cpu", precision="fp32")


def test_without_the_variable_the_hardware_decides(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(PRECISION, raising=False)
    assert auto_precision("cpu") == ("bf16" if computes_in_bf16("cpu") else "fp32")


def test_batches():
    cohort = make_cohort(10)
    images, targets = Batches(cohort, torch.device("cpu")).read([3, 1])
    assert images.dtype == torch.float32
    assert torch.equal((images * 255).round().byte(), torch.from_numpy(np.asarray(cohort.images)[[3, 1]]))
    assert targets.tolist() == cohort.targets[[3, 1]].tolist()
    assert [list(b) for b in cut(range(9), 4)] == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]
    assert [len(b) for b in cut(range(10), 4)] == [4, 4, 2]


class Full(nn.Module):
    """Out of memory when more images than fit go through at once; ``fits`` in training, ``fits_without`` gradients."""

    def __init__(self, fits: int, fits_without: int) -> None:
        super().__init__()
        self.fits, self.fits_without = fits, fits_without
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > (self.fits if self.training else self.fits_without):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.network(images)


def test_out_of_memory_is_refused_with_advice():
    advice = "out of GPU memory. Use a smaller batch_size, smaller images .* or precision='bf16'"
    cohort = make_cohort(60)
    with pytest.raises(TrainingError, match=rf"epoch 1, batch 1 of 4 \(16 images\): {advice}"):
        Trainer(Full(8, 64), batch_size=16, device="cpu", progress=False).fit(cohort)
    trainer = Trainer(Full(16, 32), batch_size=16, device="cpu", progress=False, epochs=1)
    for attempt in (partial(trainer.fit, cohort, cohort), partial(trainer.predict, cohort)):
        with pytest.raises(TrainingError, match=rf"images of cohort .*: {advice}"):
            attempt()
    smaller = Trainer(Full(16, 32), batch_size=8, device="cpu", progress=False, epochs=1)
    smaller.fit(cohort, cohort)
    assert len(smaller.predict(cohort)) == 60


def test_a_model_goes_with_its_trainer():
    cohort = make_cohort(20)
    model = tiny(cohort)
    trainer = Trainer(model, epochs=1, progress=False, device="cpu")
    trainer.fit(cohort, cohort)
    trainer.predict(cohort)
    last = weakref.ref(model)
    gc.disable()  # no circle that the collector would have to find: tensors do not count for it
    try:
        del model, trainer
        assert last() is None
    finally:
        gc.enable()


def test_freed_memory_stays_unless_somebody_has_said_otherwise(monkeypatch: pytest.MonkeyPatch):
    """What it saves is measured by benchmarks/freed_memory.py."""
    asked: list[tuple[int, ...]] = []
    libc = SimpleNamespace(mallopt=lambda *given: asked.append(given), malloc_trim=lambda *given: asked.append(given))
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", device.KEEP_MEMORY):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device.ctypes, "CDLL", lambda _: libc)
    device.keep_freed_memory()
    device.give_memory_back()
    assert asked == [(-3, 32 * 2**20), (-1, 512 * 2**20), (0,)]  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
    for name, value in ((device.KEEP_MEMORY, "0"), ("MALLOC_TRIM_THRESHOLD_", "1000000")):
        monkeypatch.setenv(name, value)
        device.keep_freed_memory()
        device.give_memory_back()
        monkeypatch.delenv(name)
    assert len(asked) == 3
    monkeypatch.setenv(device.KEEP_MEMORY, "no")
    with pytest.raises(ArgumentError, match="MEDCOURSE_KEEP_MEMORY='no'"):
        device.keep_freed_memory()
