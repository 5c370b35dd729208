import copy
import errno
import io
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models as zoo

from medcourse.data.cohort import Cohort
from medcourse.errors import ArgumentError, IntegrityError, SourceError, StorageError, TrainingError
from medcourse.networks.models import IMAGENET_MEAN, MODELS, build_model
from medcourse.networks.saving import load_model
from medcourse.training.trainer import Trainer
from tests.conftest import make_cohort, make_multilabel

pytestmark = pytest.mark.usefixtures("one_thread")

LAST = {
    "simple-cnn": (("features.9.",), ("fc.",)),
    "resnet18": (("layer4.",), ("fc.",)),
    "resnet50": (("layer4.",), ("fc.",)),
    "densenet121": (("features.denseblock4.", "features.norm5."), ("classifier.",)),
    "densenet201": (("features.denseblock4.", "features.norm5."), ("classifier.",)),
    "squeezenet1_1": (("features.12.",), ("classifier.1.",)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_models_take_any_channels_and_classes_from_their_smallest_size_on(name: str, channels: int):
    size = MODELS[name].smallest
    cohort = make_cohort(6, classes=("a", "b", "c"), size=size, channels=channels)
    model = build_model(name, cohort)
    assert model(torch.rand(2, channels, size, size)).shape == (2, 3)
    with pytest.raises(TrainingError, match=f"{size - 1} pixels are too small for {name}; load them at size={size}"):
        build_model(name, make_cohort(6, size=size - 1))


def test_logits_take_both_signs():
    """torchvision's SqueezeNet ends with a ReLU: no logit below 0, no sigmoid below 0.5."""
    squeeze = build_model("squeezenet1_1", make_cohort(6, size=32))
    with torch.no_grad():
        squeeze.network.classifier[1].bias.fill_(-3.0)
    assert squeeze(torch.rand(2, 1, 32, 32)).max() < 0


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("train", ["head", "last-block", "all"])
def test_a_frozen_part_is_frozen(name: str, train: str):
    cohort = make_cohort(4, size=32)
    model = build_model(name, cohort, train=train)
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    Trainer(model, epochs=1, progress=False, device="cpu").fit(cohort)
    changed = {k for k, v in model.network.state_dict().items() if not torch.equal(v, before[k])}
    block, head = LAST[name]
    assert any(k.startswith(head) for k in changed)
    if train == "all":
        assert any(not k.startswith(block + head) for k in changed)
    else:
        parts = head if train == "head" else block + head
        assert all(any(k.startswith(part) for k in changed) for part in parts)
        assert all(k.startswith(parts) for k in changed), "batch statistics of frozen parts must not move either"


def saved_and_loaded(model: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, saved_and_loaded])
@pytest.mark.parametrize("train", ["head", "last-block", "all"])
def test_a_copy_trains_the_same_parts(copied: Callable, train: str):
    model = build_model("resnet18", make_cohort(4, size=32), train=train)
    expected = {name for name, module in model.train().named_modules() if module.training}
    assert "network.fc" in expected
    assert ("network.layer4.0.bn1" in expected) == (train != "head")
    twin = copied(model.eval())
    assert not any(module.training for module in twin.modules())
    assert {name for name, module in twin.train().named_modules() if module.training} == expected


def test_a_new_head_in_the_place_of_the_old_one_trains():
    model = build_model("resnet18", make_cohort(4, size=32), train="head")
    model.network.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 2))
    assert model.train().network.fc[0].training
    assert not model.network.bn1.training


def test_what_is_unfrozen_later_trains():
    model = build_model("resnet18", make_cohort(4, size=32), train="head").train()
    model.network.layer4.requires_grad_(True)
    assert model.train().network.layer4[0].bn1.training
    assert not model.network.bn1.training
    assert not model.network.layer3[0].bn1.training


def test_the_seed_fixes_the_weights_and_leaves_the_global_state_alone():
    cohort = make_cohort(6, size=32)
    torch.manual_seed(5)
    a = build_model("squeezenet1_1", cohort, seed=1)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    b, c = build_model("squeezenet1_1", cohort, seed=1), build_model("squeezenet1_1", cohort, seed=2)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not all(torch.equal(p, q) for p, q in zip(a.parameters(), c.parameters(), strict=True))


def test_normalisation_is_inside():
    cohort = make_cohort(20, channels=3)
    model = build_model("simple-cnn", cohort)
    pixels = torch.from_numpy(np.asarray(cohort.images)).float() / 255
    assert model.mean.flatten().tolist() == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-5)
    assert model.std.flatten().tolist() == pytest.approx(pixels.transpose(0, 1).flatten(1).std(1).tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"name": "resnet19"}, "name='resnet19' .* one of simple-cnn"),
        ({"weights": "jft"}, "weights='jft'"),
        ({"train": "tail"}, "train='tail' .* head"),
        ({"seed": 1.5}, r"seed=1\.5"),
    ],
)
def test_a_wrong_word(arguments, named):
    with pytest.raises(ArgumentError, match=named):
        build_model(**({"name": "resnet18", "cohort": make_cohort(6, size=32)} | arguments))


def test_there_are_no_imagenet_weights_of_the_simple_network():
    with pytest.raises(TrainingError, match="no ImageNet weights for 'simple-cnn'"):
        build_model("simple-cnn", make_cohort(6, size=32), weights="imagenet")


# ---------------------------------------------------------------------- saved models


def trained(name: str = "simple-cnn", cohort: Cohort | None = None, **more) -> tuple[Trainer, Cohort]:
    cohort = cohort or make_cohort(12, size=32)
    trainer = Trainer(build_model(name, cohort, **more), epochs=1, progress=False, device="cpu")
    trainer.fit(cohort)
    return trainer, cohort


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_predicts_the_same(name: str, tmp_path: Path):
    cohorts = {1: make_cohort(12, size=32), 3: make_cohort(12, size=32, channels=3, classes=("a", "b", "c"))}
    for channels, cohort in cohorts.items():
        trainer, _ = trained(name, cohort, train="last-block" if channels == 1 else "all")
        trainer.save(tmp_path / "model.safetensors")
        before = torch.get_rng_state()
        model = load_model(str(tmp_path / "model.safetensors"))
        assert torch.equal(torch.get_rng_state(), before)
        again = Trainer(model, progress=False, device="cpu")
        assert np.array_equal(again.predict(cohort).probabilities, trainer.predict(cohort).probabilities)
        assert all(weight.requires_grad for weight in model.parameters())
        again.fit(cohort)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.realdata
def test_a_saved_model_that_sees_grey_as_three_channels(tmp_path: Path):
    trainer, cohort = trained("squeezenet1_1", weights="imagenet", train="head")
    trainer.save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    assert (model.trained_on.channels, model.mean.shape[1]) == (1, 3)
    assert np.array_equal(Trainer(model, device="cpu").predict(cohort).scores, trainer.predict(cohort).scores)


def test_a_saved_model_knows_what_it_was_trained_on(tmp_path: Path):
    films = make_multilabel(40, size=32)
    trained(cohort=films)[0].save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    assert (model.architecture, model.trained_on.task, model.trained_on.classes) == (
        "simple-cnn",
        "multilabel",
        films.classes,
    )
    for other in (make_cohort(8, size=32, classes=("a", "b", "c")), make_multilabel(40, size=16)):
        with pytest.raises(TrainingError, match="was trained for the classes, channels and size multilabel: edema"):
            Trainer(model, device="cpu").predict(other)


def test_models_that_cannot_be_saved(tmp_path: Path):
    cohort = make_cohort(8, size=32)
    own = Trainer(nn.Sequential(nn.Flatten(), nn.Linear(32**2, 2)), epochs=1, progress=False, device="cpu")
    own.fit(cohort)
    with pytest.raises(TrainingError, match="only models of mc"):
        own.save(tmp_path / "own")
    with pytest.raises(TrainingError, match="never trained"):
        Trainer(build_model("simple-cnn", cohort), device="cpu").save(tmp_path / "raw")
    trainer, _ = trained()
    with pytest.raises(TrainingError, match="cannot be written"):
        trainer.save(tmp_path / "missing" / "model")
    trainer.model.network.fc = nn.Sequential(nn.Linear(128, 2))
    with pytest.raises(TrainingError, match="parts of this simple-cnn were replaced"):
        trainer.save(tmp_path / "replaced")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_saved_models(tmp_path: Path):
    with pytest.raises(TrainingError, match="missing cannot be read"):
        load_model(tmp_path / "missing")
    (tmp_path / "text").write_text("weights")
    with pytest.raises(TrainingError, match="text cannot be read"):
        load_model(tmp_path / "text")
    save_file({"a": torch.zeros(1)}, tmp_path / "other", {"by": "hand"})
    with pytest.raises(TrainingError, match=r"does not hold a model that trainer\.save"):
        load_model(tmp_path / "other")
    trained()[0].save(tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-10])
    with pytest.raises(TrainingError, match="cut cannot be read"):
        load_model(tmp_path / "cut")


# ---------------------------------------------------------------------- ImageNet weights


@pytest.mark.realdata
def test_squeezenets_features_come_from_the_mirror():
    grey, colour = make_cohort(6, size=32), make_cohort(6, size=32, channels=3)
    model = build_model("squeezenet1_1", grey, weights="imagenet", train="head").eval()
    first = model.network.features[0].weight
    assert first.shape == (64, 3, 3, 3)
    assert not torch.equal(first, build_model("squeezenet1_1", colour).network.features[0].weight)
    assert model.mean.flatten().tolist() == pytest.approx(IMAGENET_MEAN)
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(model(images), model(images.repeat(1, 3, 1, 1))), "grey becomes three equal channels"
    run = Trainer(model, epochs=1, progress=False, device="cpu").fit(grey, grey)
    assert np.isfinite(run.history["val_loss"]).all()


@pytest.mark.parametrize("place", [None, "empty"])
def test_without_the_mirror_squeezenet_says_what_to_do(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, place
):
    monkeypatch.delenv("MEDCOURSE_MIRROR", raising=False)
    if place:
        monkeypatch.setenv("MEDCOURSE_MIRROR", str(tmp_path))
    with pytest.raises(SourceError, match=r"(?s)squeezenet1_1-imagenet' could not be fetched.*Set MEDCOURSE_MIRROR"):
        build_model("squeezenet1_1", make_cohort(6, size=32), weights="imagenet")


def test_another_file_under_squeezenets_name_is_refused(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEDCOURSE_MIRROR", str(tmp_path))
    (tmp_path / "squeezenet1_1-imagenet-features.safetensors").write_bytes(b"<html>")
    with pytest.raises(IntegrityError, match="expected d3fe48a74168687f"):
        build_model("squeezenet1_1", make_cohort(6, size=32), weights="imagenet")


def fails(error: Exception) -> Callable:
    def fetch(*_: object, **__: object) -> None:
        raise error

    return fetch


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_torchvisions_weights(name: str, monkeypatch: pytest.MonkeyPatch):
    """No network is asked: torch.hub's answer is ours, a whole set of weights, an error, or another hash."""
    cohort = make_cohort(6, size=32, classes=("a", "b", "c"))
    whole = {k: torch.full_like(v, 0.5) for k, v in getattr(zoo, name)(weights=None).state_dict().items()}
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: dict(whole))
    model = build_model(name, cohort, weights="imagenet")
    assert model.network.get_submodule(MODELS[name].first).weight.unique().tolist() == [0.5]
    assert model(torch.rand(2, 1, 32, 32)).shape == (2, 3)
    for error, raised in ((URLError("no route"), SourceError), (RuntimeError("invalid hash value"), IntegrityError)):
        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fails(error))
        with pytest.raises(raised, match=f"ImageNet weights of {name}"):
            build_model(name, cohort, weights="imagenet")


def test_a_full_disk_is_not_called_a_network_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch):
    full = fails(OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", full)
    with pytest.raises(StorageError, match=r"refused the ImageNet weights of resnet18: No space.*set TORCH_HOME"):
        build_model("resnet18", make_cohort(6, size=32), weights="imagenet")


def test_a_seed_of_numpy_is_a_seed():
    cohort = make_cohort(8, size=32)
    for name in ("simple-cnn", "resnet18"):
        a, b = (build_model(name, cohort, seed=seed).state_dict() for seed in (3, np.int64(3)))
        assert all(torch.equal(a[key], b[key]) for key in a)
