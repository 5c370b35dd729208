"""Where the maps of skin networks lie, and what their answers hang on: the stored results that lesson 13 reads.

    MEDCOURSE_MIRROR=../shared/data python benchmarks/skin_camera.py [--seeds 3]    # --seeds 0 reports what is stored

HAM10000's nevi came by two roads, with two cameras (lesson 01). One network learns melanomas (all excised) against nevi of both
roads, so the camera tells much of the answer; the other learns excised lesions only. Then every test image is changed: its
colours move to those of the other camera in the whole image, in the lesion only, or in the skin around it; or the lesion is
painted over with the colour of the skin. Maps (Grad-CAM, of the class that is called) are scored against the lesion masks.

SqueezeNet with ImageNet weights (from the mirror), 160 px, 800 images to train on, 400 to test, split by lesion. Writes
benchmarks/results/skin-camera.csv.gz, a row per network and test image, and course/pictures/13_skin_maps.png, and prints the
table of docs/FINDINGS.md.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import medcourse as mc
from medcourse.data.splits import Splits
from medcourse.evaluation.ranking import auroc
from medcourse.studies.comparison import markdown

ROOT = Path(__file__).parents[1]
RESULTS, PICTURE = (
    ROOT / "benchmarks" / "results" / "skin-camera.csv.gz",
    ROOT / "course" / "pictures" / "13_skin_maps.png",
)
ROADS = {"both roads": ["histo", "follow_up"], "excised": ["histo"]}
WAYS = ("colour everywhere", "colour of the lesion", "colour around it", "lesion painted over")
SIZE, CELLS = 160, 9  # pixels; cells of SqueezeNet's maps
IMAGES, PREVALENCE = 1200, 0.3
EPOCHS, RATE, BATCH = 2, 1e-4, 16


def sets(arm: str, seed: int) -> Splits:
    """Training and test images of one network, split by lesion; no image without a mask."""
    skin = mc.load("ham10000", size=SIZE, phantom=False)
    masked = skin.masks[:].any((1, 2))
    skin = skin.subset(skin.table["dx_type"].isin(ROADS[arm]) & masked)
    pair = skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
    return mc.split(pair.sample(IMAGES, prevalence=PREVALENCE, seed=seed), test=1 / 3, val=0, seed=seed)


def between_cameras() -> float:
    """Mean red minus mean green of followed-up nevi less that of excised nevi, in grey values."""
    nevi = mc.load("ham10000", size=64, phantom=False)
    nevi = nevi.subset(nevi.table["dx"] == "nv")
    redness = mc.inspect(nevi).statistics["red-green"].groupby(nevi.table["dx_type"]).mean()
    return float(redness["follow_up"] - redness["histo"])


def changed(test: mc.Cohort, shift: float) -> dict[str, mc.Cohort]:
    """The test images as the other camera would show them, in all of the image or a part of it; and without the lesion."""
    images, inside = np.array(test.images), test.masks[:] > 0
    to_other = np.where(test.table["dx_type"] == "follow_up", -1, 1)[:, None, None] * shift / 2

    def coloured(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
        moved = images.astype(np.float32)
        moved[:, 0] += to_other * where
        moved[:, 1] -= to_other * where
        return np.rint(moved.clip(0, 255)).astype(np.uint8)

    painted = images.copy()
    for image, lesion in zip(painted, inside, strict=True):
        if not lesion.all():
            image[:, lesion] = np.median(image[:, ~lesion], axis=1).astype(np.uint8)[:, None]
    made = (coloured(np.ones_like(inside)), coloured(inside), coloured(~inside), painted)
    return {name: mc.Cohort(those, test.table, test.classes) for name, those in zip(WAYS, made, strict=True)}


def run(arm: str, seed: int, shift: float) -> tuple[pd.DataFrame, NDArray[np.float32], mc.Cohort]:
    """Train one network; a row per test image, the maps, and the test images."""
    parts = dict(sets(arm, seed).items())
    train, test = parts["train"], parts["test"]
    model = mc.build_model("squeezenet1_1", train, weights="imagenet", seed=seed)
    trainer = mc.Trainer(model, epochs=EPOCHS, lr=RATE, batch_size=BATCH, seed=seed, progress=False)
    trainer.fit(train)
    rows = test.table[["group", "dx_type"]].assign(arm=arm, seed=seed, melanoma=test.targets)
    rows["seven numbers"] = mc.simple_baseline(train, test).scores
    rows["score"] = trainer.predict(test).scores
    called = (rows["score"] >= 0.5).to_numpy().astype(int)
    maps = {"map": mc.activation_maps(model, test.images, target=called)}
    for name, other in changed(test, shift).items():
        rows[name] = trainer.predict(other).scores
        if name == "colour everywhere":
            maps["map after the change"] = mc.activation_maps(model, other.images, target=called)
    rows["likeness"] = likeness(*maps.values())
    for name, one in (maps | mc.baseline_maps(train.masks, cells=CELLS)).items():
        found = mc.localisation(one, test.masks)
        for column in ("pointing_hit", "energy_inside"):
            rows[f"{name}: {column}"] = found[column].to_numpy()
    return rows.reset_index(), maps["map"], test


def likeness(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """The correlation of each pair of maps over the pixels, NaN where one is the same everywhere."""
    a, b = (maps.reshape(len(maps), -1) - maps.mean((1, 2))[:, None] for maps in (left, right))
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1), dtype=np.float64)
    return np.divide((a * b).sum(1), scale, out=np.full(len(a), np.nan), where=scale > 0)


def draw(rows: pd.DataFrame, maps: NDArray[np.float32], test: mc.Cohort) -> None:
    """Eight melanomas and eight followed-up nevi, evenly spaced in the test set, so that nobody chose them."""
    kinds = [np.flatnonzero(rows["melanoma"] == 1), np.flatnonzero(rows["dx_type"] == "follow_up")]
    at = np.concatenate([kind[np.linspace(0, len(kind) - 1, 8).astype(int)] for kind in kinds])
    shown = test.subset(test.table.index[at])
    names = np.where(shown.targets == 1, "melanoma", "nevus")
    shown.table["told"] = [f"{name} {score:.2f}" for name, score in zip(names, rows["score"].iloc[at], strict=True)]
    mc.plot.maps(shown, maps[at], columns=8, title="told", masks=shown.masks)
    plt.savefig(PICTURE, dpi=80)


def report(stored: pd.DataFrame) -> pd.DataFrame:
    """AUROC before and after each change, how often maps of melanomas point at the lesion, and how far a map changes with
    the colours: mean (lowest to highest seed)."""
    ill, columns = stored["melanoma"] == 1, ["score", "seven numbers", *WAYS]
    table = {}
    for arm, road in (("both roads", "follow_up"), ("both roads", "histo"), ("excised", "histo")):
        seeds = stored[(stored["arm"] == arm) & (ill | (stored["dx_type"] == road))].groupby("seed")
        values = {c: seeds.apply(lambda t, c=c: auroc(t["melanoma"].to_numpy(), t[c].to_numpy())) for c in columns}
        for name in ("map", "uniform", "mean mask"):
            column = f"{name}: pointing_hit"
            values[f"{name}, pointing hit"] = stored[ill & (stored["arm"] == arm)].groupby("seed")[column].mean()
        values["map before and after colour everywhere, correlation"] = seeds["likeness"].mean()
        against = "excised" if road == "histo" else "followed-up"
        table[f"{arm}, against {against} nevi"] = {
            name: f"{one.mean():.2f} ({one.min():.2f} to {one.max():.2f})" for name, one in values.items()
        }
    return pd.DataFrame(table).rename_axis("")


def main() -> None:
    """Train all networks, write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds, tables = parser.parse_args().seeds, []
    shift = between_cameras()
    print(f"shift between the cameras: {shift:.1f} grey values, torch {torch.__version__}", flush=True)
    for seed in range(seeds):
        for arm in ROADS:
            rows, maps, test = run(arm, seed, shift)
            tables.append(rows)
            if arm == "both roads" and seed == 0:
                draw(rows, maps, test)
            print(arm, seed, rows.mean(numeric_only=True).round(3).to_dict(), flush=True)
            pd.concat(tables).to_csv(RESULTS, index=False, float_format="%.3f", lineterminator="\n")
    print(markdown(report(mc.stored_results("skin-camera"))))


if __name__ == "__main__":
    main()
