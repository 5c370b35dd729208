"""Do maps find the lesion, or the box? Beside maps that saw no image, with intervals by lesion or patient.

    MEDCOURSE_MIRROR=../shared/data python benchmarks/localisation.py masks    # HAM10000: all masks, blind maps only
    MEDCOURSE_MIRROR=../shared/data python benchmarks/localisation.py skin     # the stored maps of benchmarks/skin_camera.py
    MEDCOURSE_MIRROR=../shared/data python benchmarks/localisation.py boxes    # NIH: trains one network, about 3 CPU minutes

Prints tables for docs/BENCHMARKS.md. "mean mask" comes from other lesions or patients than those that are scored.
"""

import argparse

import numpy as np
import pandas as pd

import medcourse as mc
from medcourse.studies.comparison import markdown

SIZE = 160
SCORES = ["pointing_hit", "energy_inside", "iou"]


def told(table: pd.DataFrame, scores: list[str] = SCORES) -> dict[str, str]:
    """Each score with its interval by group, as text."""
    found = mc.bootstrap(table, lambda rows: rows[scores].mean(), n_boot=1000, seed=0)
    return {name: f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" for name, row in found.iterrows()}


def masks() -> pd.DataFrame:
    """Blind maps against every lesion mask, by diagnosis; the mean mask is that of the other half of the lesions."""
    skin = mc.load("ham10000", size=SIZE, phantom=False)
    has_mask = skin.masks[:].any((1, 2))
    skin = skin.subset(has_mask)
    half = pd.factorize(skin.table["group"])[0] % 2
    parts: dict[str, list[pd.DataFrame]] = {}
    for side in (0, 1):
        scored = skin.subset(half == side)
        for name, one in mc.baseline_maps(skin.subset(half != side).masks, cells=5).items():
            found = mc.localisation(one, scored.masks, group=scored.table["group"])
            parts.setdefault(name, []).append(found.assign(dx=scored.table["dx"]))
    rows = {}
    for name, found in parts.items():
        table = pd.concat(found)
        for dx, of_dx in [("all", table), *table.groupby("dx")]:
            rows[name, f"{dx} ({len(of_dx)})"] = told(of_dx)
    print(f"{len(skin)} masks; {int((~has_mask).sum())} images have an empty mask at {SIZE} px")
    return pd.DataFrame(rows).T.rename_axis(["map", "diagnosis (images)"]).reset_index().set_index("map")


def skin() -> pd.DataFrame:
    """The networks of benchmarks/skin_camera.py: their maps, and the paired difference from the mean mask."""
    stored, rows = mc.stored_results("skin-camera"), {}
    stored["kind"] = np.where(stored["melanoma"] == 1, "melanoma", stored["dx_type"] + " nevus")
    for (arm, kind), part in stored.groupby(["arm", "kind"]):
        part = part.assign(difference=part["map: pointing_hit"] - part["mean mask: pointing_hit"])
        columns = [f"{name}: pointing_hit" for name in ("map", "uniform", "mean mask", "image centre")]
        rows[arm, f"{kind} ({len(part)})"] = told(part, [*columns, "difference"])
    print(f"{stored['seed'].nunique()} seeds of each network")
    return pd.DataFrame(rows).T.rename_axis(["trained on", "scored"]).reset_index().set_index("trained on")


def boxes() -> pd.DataFrame:
    """One network for pneumonia on NIH films of patients without a box, against the radiologists' boxes of pneumonia."""
    films = mc.load("nih-chest-xray-1000", size=SIZE, phantom=False)
    drawn = mc.box_masks(films.table["boxes"], SIZE, finding="Pneumonia").any((1, 2))
    boxed = films.subset(drawn)
    others = films.subset(~films.table["group"].isin(boxed.table["group"]))
    train = others.relabel({"Pneumonia": "Pneumonia"}, positive="Pneumonia")
    model = mc.build_model("squeezenet1_1", train, weights="imagenet", seed=0)
    mc.Trainer(model, epochs=2, lr=1e-4, batch_size=16, seed=0, progress=False).fit(train)
    elsewhere = mc.load_table("nih-chest-xray14-boxes").query("finding == 'Pneumonia'")
    patients = elsewhere["image_id"].str.split("_").str[0]
    elsewhere = elsewhere[~patients.isin(boxed.table["group"])]
    lists = [[(r.finding, r.x, r.y, r.width, r.height)] for r in elsewhere.itertuples()]
    truth = mc.box_masks(boxed.table["boxes"], SIZE, finding="Pneumonia")
    maps = {"Grad-CAM": mc.activation_maps(model, boxed.images, target=1)}
    maps |= mc.baseline_maps(mc.box_masks(lists, SIZE), cells=9)
    rows = {}
    for name, one in maps.items():
        rows[name] = told(mc.localisation(one, truth, group=boxed.table["group"]))
    print(f"{len(boxed)} films of {boxed.table['group'].nunique()} patients; mean mask of {len(lists)} other boxes")
    return pd.DataFrame(rows).T.rename_axis("map")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["masks", "skin", "boxes"])
    print(markdown({"masks": masks, "skin": skin, "boxes": boxes}[parser.parse_args().what]()))
