"""Stained tissue and blood cells: patches of which a patient has many.

Tissue is drawn by its two stains, as light passes through a slide (Beer-Lambert; stain colours after Macenko et al.,
ISBI 2009): haematoxylin in the nuclei, eosin in everything else. Benign tissue has glands,
small even nuclei in rings around an empty lumen; in malignant tissue the nuclei are larger, uneven and crowded, and the
glands are lost. One hidden number, the grade of the patient, drives all of it, and the two classes overlap in it.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.data.phantom.canvas import Drawing, Plane, clouds, linked, plane, soft, some, stream

f32 = np.float32
NUCLEUS = {40: 0.022, 100: 0.034, 200: 0.05, 400: 0.075}  # radius of a benign nucleus by magnification, in half images
_HAEMATOXYLIN = np.array([0.56, 0.72, 0.41])
_EOSIN = np.array([0.22, 0.80, 0.56])


def tissue(
    malignant: bool, patient: int, patch: int, size: int, seed: int, magnification: int = 200, stain: float = 0.0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One patch of breast tissue.

    Args:
        malignant: the patient's diagnosis.
        patient: number of the patient, who has a grade and a slide with its own stain.
        patch: number of the patch.
        size: height and width in pixels.
        seed: the same seed gives the same patch.
        magnification: one of ``NUCLEUS``.
        stain: 0 for the laboratory's usual stain; 1 is strong and blue, -1 weak and pink.

    Returns:
        The image (uint8, 3 x size x size) and the mask of its nuclei (uint8, size x size, 0 or 1).
    """
    own = stream(seed, 20, patient)
    grade = 1 / (1 + np.exp(-own.normal(1.9 if malignant else -1.9, 1.0)))
    turn = own.normal(0, 0.04, (2, 3))
    strength = np.exp(own.normal(0, 0.12, 2)) * np.exp(np.array([0.35, -0.15]) * stain)
    rng = stream(seed, 21, patch)
    unit = NUCLEUS[magnification]
    x, y = plane(size)
    bundles = (x * rng.normal() + y * rng.normal()) * (0.4 / unit) + 5 * clouds(size, rng, 5)
    eosin = 0.34 + 0.08 * np.sin(bundles) + 0.06 * np.sin(2.7 * bundles) + 0.09 * clouds(size, rng, 12)
    nuclei, lumen, cells = _layout(grade, unit, rng)
    blue = _stamp(nuclei, size, rng)
    for cx, cy, radius in lumen:
        depth = radius - np.hypot(x - cx, y - cy) * (1 + 0.12 * clouds(size, rng, 5))
        empty = soft(depth, 0.6 * unit)
        wall = soft(depth + 4.5 * unit, unit)
        eosin = eosin * (1 - 0.35 * wall) * (1 - 0.93 * empty)
        blue = blue * (1 - empty)
    for cx, cy, radius in cells:  # sheets of tumour: less fibre, more cytoplasm
        sheet = soft(radius - np.hypot(x - cx, y - cy) + 0.2 * clouds(size, rng, 4), 0.3)
        eosin = eosin * (1 - 0.45 * sheet) + 0.08 * sheet
    colours = np.stack([_HAEMATOXYLIN, _EOSIN]) + turn
    chromatin = 1 + 0.25 * grade * clouds(size, rng, 48)
    density = strength[0] * colours[0][:, None, None] * (0.05 + 1.4 * blue * chromatin)
    density = density + strength[1] * colours[1][:, None, None] * eosin * (1 - 0.5 * blue)
    light = 0.95 * np.exp(-np.maximum(density, 0)) + 0.008 * rng.standard_normal(density.shape, dtype=np.float32)
    return (np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8), (blue > 0.4).astype(np.uint8)


Circles = list[tuple[float, float, float]]  # x, y, radius


def _layout(grade: float, unit: float, rng: np.random.Generator) -> tuple[NDArray[np.float32], Circles, Circles]:
    """Nuclei (n x 6: x, y, radius, elongation, direction, depth of stain), lumens, and sheets of tumour."""
    spread = 0.10 + 0.28 * grade
    parts = []
    lumen: Circles = []
    sheets: Circles = []

    def add(x: NDArray, y: NDArray, swell: float, stretch: float, direction: NDArray) -> None:
        n = len(x)
        radius = unit * swell * np.exp(rng.normal(0, spread, n))
        long = np.exp(np.abs(rng.normal(0, 0.12 + 0.15 * grade, n))) * stretch
        parts.append(np.column_stack([x, y, radius, long, direction, rng.uniform(0.7, 1.0, n)]))

    n = rng.poisson(0.16 / unit**2 * 0.12 + 3)  # spindle cells of the stroma
    add(rng.uniform(-1.05, 1.05, n), rng.uniform(-1.05, 1.05, n), 0.7, 2.0, rng.normal(rng.uniform(0, np.pi), 0.3, n))
    for cx, cy in rng.uniform(-0.8, 0.8, (rng.binomial(4, 0.15 + 0.75 * (1 - grade)), 2)):
        radius = unit * rng.uniform(4, 7) * (1 - 0.4 * grade)
        if any(np.hypot(cx - ox, cy - oy) < radius + other + 7 * unit for ox, oy, other in lumen):
            continue  # glands do not run into each other
        lumen.append((cx, cy, radius))
        for layer in (1.3, 3.4):
            ring = radius + layer * unit
            turns = np.arange(0, 2 * np.pi, 2.6 * unit / ring)
            turns = turns + rng.normal(0, 0.15 + 0.3 * grade, len(turns)) * unit / ring
            away = ring + rng.normal(0, 0.25 * unit, len(turns))
            add(cx + away * np.cos(turns), cy + away * np.sin(turns), 0.95, 1.2, turns)
    for cx, cy in rng.uniform(-0.8, 0.8, (rng.binomial(5, 0.1 + 0.85 * grade), 2)):
        radius = rng.uniform(0.35, 0.7)
        sheets.append((cx, cy, radius))
        n = int(0.36 * (radius / unit) ** 2 / (1 + 0.8 * grade))
        away, turns = radius * np.sqrt(rng.uniform(0, 1, n)), rng.uniform(0, 2 * np.pi, n)
        add(cx + away * np.cos(turns), cy + away * np.sin(turns), 1 + 0.45 * grade, 1.1, rng.uniform(0, np.pi, n))
    return np.concatenate(parts).astype(np.float32), lumen, sheets


def _stamp(nuclei: NDArray[np.float32], size: int, rng: np.random.Generator) -> Plane:
    """Every nucleus as a soft ellipse in its own small window, all windows at once."""
    centre = (nuclei[:, :2] + 1) * (size / 2)
    radius = nuclei[:, 2] * (size / 2)
    reach = int(np.ceil(2.2 * radius.max())) + 1
    step = np.arange(-reach, reach + 1)
    column = np.floor(centre[:, 0]).astype(int)[:, None, None] + step[None, None, :]
    row = np.floor(centre[:, 1]).astype(int)[:, None, None] + step[None, :, None]
    dx = column + f32(0.5) - centre[:, 0][:, None, None]
    dy = row + f32(0.5) - centre[:, 1][:, None, None]
    cos, sin = np.cos(nuclei[:, 4])[:, None, None], np.sin(nuclei[:, 4])[:, None, None]
    wide = (radius * np.sqrt(nuclei[:, 3]))[:, None, None]
    high = (radius / np.sqrt(nuclei[:, 3]))[:, None, None]
    away = np.hypot((cos * dx + sin * dy) / wide, (cos * dy - sin * dx) / high)
    edge = np.maximum(0.35, 1 / np.maximum(radius, 0.5))[:, None, None]
    # the membrane is darker than the inside, so that crowded nuclei stay apart to the eye
    value = np.clip((1 + edge / 2 - away) / edge, 0, 1) * (0.72 + 0.28 * away**2) * nuclei[:, 5][:, None, None]
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size) & (value > 0)
    at = (row * size + column)[inside]
    blue = np.zeros(size * size, np.float32)
    np.maximum.at(blue, at, value[inside].astype(np.float32))
    return blue.reshape(size, size)


def cell(
    parasite: bool, patient: int, number: int, size: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One red blood cell, cut out on black.

    Args:
        parasite: whether a malaria parasite is in it: a ring with a dark dot, a dot, or a dark band.
        patient: number of the patient, whose smear has its own grey.
        number: number of the cell.
        size: height and width in pixels.
        seed: the same seed gives the same cell.

    Returns:
        The image (uint8, 1 x size x size) and the mask of the parasite (uint8, size x size, 0 or 1).
    """
    own = stream(seed, 30, patient)
    smear, pallor = own.normal(0.70, 0.035), own.uniform(0.0, 0.08)
    rng = stream(seed, 31, number)
    x, y = plane(size)
    turn = rng.uniform(0, 2 * np.pi)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    angle = np.arctan2(v, u)
    border = sum(rng.normal(0, 0.025) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 6))
    r = np.hypot(u, v * rng.uniform(1.0, 1.12))
    depth = f32(rng.uniform(0.90, 0.98)) + border - r
    grey = smear + rng.normal(0, 0.02) + pallor * np.exp(-6 * r * r) - 0.05 * np.exp(-((depth / 0.06) ** 2))
    grey = grey + 0.015 * clouds(size, rng, 5)
    stain = np.zeros_like(x)
    if parasite:
        stain = _parasite(x, y, rng, 2 / size) * soft(depth, 0.06)
    elif rng.random() < 0.08:  # a speck of dye, to be told from a parasite
        stain = (
            0.10 * soft(1 - np.hypot(x - rng.normal(0, 0.3), y - rng.normal(0, 0.3)) / 0.07, 0.5) * soft(depth, 0.06)
        )
    grey = (grey - stain + 0.01 * rng.standard_normal(x.shape, dtype=np.float32)) * (depth > 0)
    return (np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8)[None], ((stain > 0) & parasite).astype(np.uint8)


def _parasite(x: Plane, y: Plane, rng: np.random.Generator, pixel: float) -> Plane:
    kind = rng.choice(3, p=[0.5, 0.3, 0.2])
    away, turn = rng.uniform(0.1, 0.62), rng.uniform(0, 2 * np.pi)
    dx, dy = x - f32(away * np.cos(turn)), y - f32(away * np.sin(turn))
    strength, radius = rng.uniform(0.16, 0.42), rng.uniform(0.11, 0.20)
    r = np.hypot(dx, dy * rng.uniform(0.8, 1.3))
    spin = rng.uniform(0, 2 * np.pi)
    dot = np.hypot(dx - f32(radius * np.cos(spin)), dy - f32(radius * np.sin(spin)))
    if kind == 0:  # a ring with its dot of chromatin
        ring = 0.6 * soft(0.045 + pixel / 2 - np.abs(r - radius), 0.04 + pixel / 2)
        return strength * np.maximum(ring, soft(0.08 + pixel / 2 - dot, 0.05 + pixel / 2))
    if kind == 1:
        return strength * soft(0.6 * radius + pixel / 2 - r, 0.05 + pixel / 2)
    band = np.abs(np.cos(spin) * dx + np.sin(spin) * dy)
    return strength * 0.8 * soft(0.06 + pixel / 2 - band, 0.05) * soft(0.3 - r, 0.12)


TUMOUR_TYPES = {
    "benign": {"A": "adenosis", "F": "fibroadenoma", "PT": "phyllodes_tumor", "TA": "tubular_adenoma"},
    "malignant": {
        "DC": "ductal_carcinoma",
        "LC": "lobular_carcinoma",
        "MC": "mucinous_carcinoma",
        "PC": "papillary_carcinoma",
    },
}


def tissue_patches(
    patients: int, patches_per_patient: int, prevalence: float, stain_link: float, stain: float, seed: int
) -> Drawing:
    """Patches with BreakHis' columns and file names, at its four magnifications in turn; see ``mc.phantom.histology``."""
    rng = stream(seed, 22)
    malignant = some(patients, prevalence, rng)
    strong = linked(malignant, stain_link, rng)
    rows = []
    for patient in range(patients):
        label = "malignant" if malignant[patient] else "benign"
        code = rng.choice(list(TUMOUR_TYPES[label]))
        slide = f"14-{90000 + patient}"
        for patch in range(patches_per_patient):
            magnification = list(NUCLEUS)[patch % len(NUCLEUS)]
            image_id = f"SOB_{label[0].upper()}_{code}-{slide}-{magnification}-{patch + 1:03d}"
            rows.append((image_id, label, slide, slide, TUMOUR_TYPES[label][code], magnification, ""))
    columns = ["image_id", "label", "group", "patient", "tumour_type", "magnification", "path"]
    table = pd.DataFrame(rows, columns=columns).set_index("image_id")
    magnifications = table["magnification"].tolist()

    def draw(row: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        patient = row // patches_per_patient
        tone = stain * (0.5 if strong[patient] else -0.5)
        return tissue(bool(malignant[patient]), patient, row, size, seed, magnifications[row], tone)

    return Drawing(table, ("benign", "malignant"), "RGB", draw)


def blood_cells(patients: int, cells_per_patient: int, infected: float, parasitized: float, seed: int) -> Drawing:
    """Cells with the columns of malaria-cells; see ``mc.phantom.cells``."""
    rng = stream(seed, 32)
    ill = some(patients, infected, rng)
    patient = np.repeat(np.arange(patients), cells_per_patient)
    parasite = np.concatenate([some(cells_per_patient, parasitized * there, rng) for there in ill.tolist()])
    slide = [f"C{p + 1}P{p + 1}ThinF_IMG_PHANTOM_{n % 7}" for n, p in enumerate(patient.tolist())]
    table = pd.DataFrame(
        {
            "label": np.where(parasite, "Parasitized", "Uninfected"),
            "group": [f"C{p + 1}" for p in patient],
            "split": np.where(rng.random(len(patient)) < 0.2, "valid", "train"),
            "slide_image": slide,
            "path": "",
        },
        index=pd.Index([f"{s}_cell_{n}" for n, s in enumerate(slide)], name="image_id"),
    )
    return Drawing(
        table,
        ("Uninfected", "Parasitized"),
        "L",
        lambda row, size: cell(bool(parasite[row]), int(patient[row]), row, size, seed),
    )
