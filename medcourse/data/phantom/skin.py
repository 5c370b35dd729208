"""Drawn pigmented lesions with the columns of HAM10000.

Nevi and melanomas differ in one hidden number, the suspicion of the lesion, from which irregular border, dark and
blue-grey patches and asymmetry all follow; the two classes overlap in it on purpose, so that no model can be perfect.
Nevi came by two roads, followed up or excised, and the camera may go with the road, as it does in HAM10000.
Everything follows from the seed.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.data.phantom.canvas import Drawing, clouds, linked, plane

# Shares of HAM10000's images (6,705 nevi of 10,015 and so on), and how each diagnosis is drawn.
_SHARES = {"akiec": 0.033, "bcc": 0.051, "bkl": 0.110, "df": 0.011, "mel": 0.111, "nv": 0.670, "vasc": 0.014}
_ROADS = {"follow_up": 0.55, "consensus": 0.08, "histo": 0.37}  # how HAM10000's nevi were diagnosed, shares of images
_PHOTOGRAPHS = [0.46, 0.41, 0.13]  # 1, 2 or 3 of a lesion; as in HAM10000, a nevus that is followed up has one
_PIGMENT = {  # mean RGB of the lesion, in 0..1
    "akiec": (0.72, 0.47, 0.42),
    "bcc": (0.74, 0.52, 0.50),
    "bkl": (0.58, 0.42, 0.31),
    "df": (0.63, 0.45, 0.38),
    "mel": (0.47, 0.31, 0.24),
    "nv": (0.47, 0.31, 0.24),
    "vasc": (0.62, 0.22, 0.26),
}
_SUSPICION = {"mel": 2.4}  # mean of the hidden number, in its own standard deviations; 0 for every other diagnosis
_CAMERAS = {"A": (1.0, 1.0, 1.0), "B": (1.12, 0.87, 0.87)}  # gain of red, green and blue
_WHITE_BALANCE = 0.03  # standard deviation of each gain from photograph to photograph
_PLACES = ["back", "lower extremity", "trunk", "upper extremity", "abdomen", "face", "chest", "foot", "neck", "scalp"]


@dataclass(frozen=True)
class _Lesion:
    suspicion: float
    pigment: NDArray[np.float32]
    skin: NDArray[np.float32]
    radius: float
    ellipse: float
    waves: NDArray[np.float32]  # amplitude of the border's 2nd..7th harmonic
    phases: NDArray[np.float32]
    patches: NDArray[np.float32]  # n x 4: x, y, radius, strength
    centre: NDArray[np.float32]


def skin_lesions(images: int, camera_link: float, seed: int) -> Drawing:
    """HAM10000's columns, and ``camera``, for ``images`` drawn images of about 3/4 as many lesions.

    Args:
        images: number of rows.
        camera_link: how strongly the camera goes with the road of diagnosis, see ``mc.phantom.skin``.
        seed: the same seed gives the same table and pictures.
    """
    rng = np.random.default_rng([seed, 0])
    kinds = [(dx, "histo", part) for dx, part in _SHARES.items() if dx != "nv"]
    kinds += [("nv", road, _SHARES["nv"] * part) for road, part in _ROADS.items()]
    one = np.array([road == "follow_up" for _, road, _ in kinds])
    mean = np.where(one, 1, np.dot(_PHOTOGRAPHS, [1, 2, 3]))
    share = np.array([part for _, _, part in kinds]) / mean  # the shares are those of images, here lesions are drawn
    of_lesion = rng.choice(len(kinds), p=share / share.sum(), size=images)
    several = rng.choice([1, 2, 3], p=_PHOTOGRAPHS, size=images)
    lesion = np.repeat(np.arange(images), np.where(one[of_lesion], 1, several))[:images]
    dx, dx_type = (np.array([kind[k] for kind in kinds])[of_lesion[lesion]] for k in (0, 1))
    age = 5.0 * np.round(rng.normal(np.where(dx == "nv", 46, 61), 14) / 5)
    table = pd.DataFrame(
        {
            "label": dx,
            "group": [f"PHANTOM_L{n:05d}" for n in lesion],
            "lesion_id": [f"PHANTOM_L{n:05d}" for n in lesion],
            "dx": dx,
            "dx_type": dx_type,
            "age": np.clip(age, 5, 85),
            "sex": np.array(["female", "male"])[rng.integers(0, 2, images)[lesion]],
            "localization": np.array(_PLACES)[rng.integers(0, len(_PLACES), images)[lesion]],
            "path": "",
            "mask_path": "",
            "camera": np.where(linked(one[of_lesion], camera_link, rng), "B", "A")[lesion],
        },
        index=pd.Index([f"PHANTOM_{i:05d}" for i in range(images)], name="image_id"),
    )
    shown = list(zip(table["dx"], table["group"], table["camera"], strict=True))
    return Drawing(
        table,
        tuple(_SHARES),
        "RGB",
        lambda row, size: skin_image(*shown[row], photograph=row, size=size, seed=seed),
    )


def skin_image(
    dx: str, group: str, camera: str, photograph: int, size: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One drawn photograph of a lesion.

    Args:
        dx: the diagnosis.
        group: the lesion's id in the table; photographs of one lesion share its shape and pigment.
        camera: "A" or "B"; it colours the whole picture, the lesion and the skin around it, and nothing else.
        photograph: number of the photograph (the table's row): its own turn, zoom, light, white balance, hairs and
            noise.
        size: height and width in pixels.
        seed: that of the table.

    Returns:
        The image (uint8, 3 x size x size) and the lesion mask (uint8, size x size, 0 or 1).
    """
    lesion = _lesion(dx, np.random.default_rng([seed, 1, int(group.removeprefix("PHANTOM_L"))]))
    rng = np.random.default_rng([seed, 2, photograph])
    x, y = _grid(size, rng)
    mask = _shape(lesion, x, y)
    colour = lesion.skin[:, None, None] * (1 + 0.05 * clouds(size, rng, 4))
    inside = lesion.pigment[:, None, None] * (1 + 0.14 * clouds(size, rng, 6))
    for px, py, radius, strength in lesion.patches:
        spot = strength * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2))
        inside = inside * (1 - 0.75 * spot) + np.array([0.02, 0.04, 0.09])[:, None, None] * spot
    soft = 1 / (1 + np.exp(-mask * (26 - 4 * np.clip(lesion.suspicion, -2, 3))))
    picture = colour * (1 - soft) + inside * soft
    picture = _hair(picture, size, rng)
    picture = picture * (np.array(_CAMERAS[camera]) * (1 + rng.normal(0, _WHITE_BALANCE, 3)))[:, None, None]
    picture = picture * rng.uniform(0.9, 1.08) * (1 - 0.12 * (x**2 + y**2)) + rng.normal(0, 0.012, picture.shape)
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8), (mask > 0).astype(np.uint8)


def skin_photographs(images: int, camera_link: float = 0.0, seed: int = 0) -> Drawing:
    """A stand-in for ham10000: ``skin_lesions`` with its columns, so the camera is in the pixels only."""
    drawn = skin_lesions(images, camera_link, seed)
    return replace(drawn, table=drawn.table.drop(columns="camera"))


def _lesion(dx: str, rng: np.random.Generator) -> _Lesion:
    suspicion = rng.normal(_SUSPICION.get(dx, 0.0), 1.0)
    strength = 1 / (1 + np.exp(-(suspicion - 0.8)))
    n_patches = rng.poisson(0.6 + 2.4 * strength)
    patches = np.column_stack(
        [
            rng.normal(0, 0.22, (n_patches, 2)),
            rng.uniform(0.08, 0.2, n_patches),
            np.clip(rng.normal(0.25 + 0.65 * strength, 0.15, n_patches), 0, 1),
        ]
    )
    return _Lesion(
        suspicion=suspicion,
        pigment=np.array(_PIGMENT[dx], np.float32) * np.float32(rng.normal(1.05 - 0.3 * strength, 0.12)),
        skin=np.array([0.86, 0.68, 0.60], np.float32) * np.float32(rng.uniform(0.86, 1.06)),
        radius=float(np.clip(rng.normal(0.46 + 0.05 * strength, 0.11), 0.2, 0.8)),
        ellipse=float(rng.uniform(0.75, 1.0)),
        waves=(np.abs(rng.normal(0, 0.03 + 0.13 * strength, 6)) / np.arange(1.5, 7.5)).astype(np.float32),
        phases=rng.uniform(0, 2 * np.pi, 6).astype(np.float32),
        patches=patches.astype(np.float32),
        centre=rng.normal(0, 0.06, 2).astype(np.float32),
    )


def _grid(size: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates in -1..1 as this photograph saw the lesion: turned, zoomed, shifted."""
    x, y = plane(size)
    turn, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.2)
    dx, dy = rng.normal(0, 0.05, 2)
    return (
        ((np.cos(turn) * x - np.sin(turn) * y) * zoom + dx).astype(np.float32),
        ((np.sin(turn) * x + np.cos(turn) * y) * zoom + dy).astype(np.float32),
    )


def _shape(lesion: _Lesion, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signed depth inside the lesion (positive inside), in units of the image's half width."""
    u, v = x - lesion.centre[0], (y - lesion.centre[1]) / lesion.ellipse
    angle = np.arctan2(v, u)
    harmonics = np.arange(2, 8, dtype=np.float32)[:, None, None]
    border = (lesion.waves[:, None, None] * np.cos(harmonics * angle + lesion.phases[:, None, None])).sum(0)
    return (lesion.radius * (1 + border) - np.hypot(u, v)).astype(np.float32)


def _hair(picture: NDArray[np.float32], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A few dark hairs on one photograph in four."""
    if rng.random() > 0.25:
        return picture
    x, y = plane(size)
    for _ in range(rng.integers(1, 5)):
        angle, offset, bend = rng.uniform(0, np.pi), rng.uniform(-0.8, 0.8), rng.uniform(-0.4, 0.4)
        along = np.cos(angle) * x + np.sin(angle) * y
        across = -np.sin(angle) * x + np.cos(angle) * y - offset - bend * along**2
        picture = picture * (1 - 0.55 * np.exp(-((across * size / 1.3) ** 2)))
    return picture
