"""One frontal chest film: a patient's chest, findings with exact masks, and what scanner and technician add."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcourse.data.phantom.anatomy import Anatomy, Chest, heart_depth, project
from medcourse.data.phantom.canvas import Plane, clouds, plane, soft

f32 = np.float32
OPACITIES = {  # finding: number of blobs at most, radius in half images, share of the air that it takes at its middle
    "Pneumonia": (2, 0.27, 0.75),
    "Consolidation": (1, 0.28, 0.95),
    "Infiltration": (3, 0.24, 0.45),
    "Atelectasis": (1, 0.18, 0.75),
    "Edema": (6, 0.26, 0.50),
    "Nodule": (1, 0.055, 0.75),
    "Mass": (1, 0.12, 0.85),
}
FINDINGS = (*OPACITIES, "Effusion", "Cardiomegaly")


@dataclass(frozen=True)
class Site:
    """A scanner: what it adds to every film."""

    brightness: float = 0.0  # added to the grey values (0 to 1)
    contrast: float = 1.0


def draw_film(
    anatomy: Anatomy,
    findings: tuple[str, ...],
    site: Site,
    marker: bool,
    size: int,
    disease: np.random.Generator,
    pose: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One film.

    Args:
        anatomy: the patient's.
        findings: some of ``FINDINGS``.
        site: the scanner.
        marker: whether the letter L stands in the upper corner at the image's right.
        size: height and width in pixels.
        disease: random numbers of the findings.
        pose: random numbers of this film: position, exposure, collimation, noise.

    Returns:
        The image (uint8, 1 x size x size) and the mask of all findings (uint8, size x size, 0 or 1). Outside the mask
        the film is the one that the same numbers draw without findings.
    """
    x, y = plane(size)
    pixel = 2 / size
    turn, shift_x, shift_y = pose.normal(0, 0.02), pose.normal(0, 0.025), pose.normal(0, 0.03)
    zoom = f32(np.clip(pose.normal(0.98, 0.04), 0.9, 1.06))
    u = (x + f32(turn) * y) * zoom + f32(shift_x)
    v = (y - f32(turn) * x) * zoom + f32(shift_y)
    chest = project(anatomy, u, v, pixel)
    added = _findings(anatomy, chest, findings, size, disease)
    density = chest.density + added
    if anatomy.necklace:
        density = density + _necklace(u, v, pixel)
    exposure, gain = pose.normal(0, 0.045), pose.normal(0.98, 0.08)
    opening, letter = _collimation(x, y, pose, pixel), _letter(x, y, pose, pixel)
    grain = clouds(size, pose, 9)  # numbers that depend on the size come last, so that a film is one at every size
    grey = 1.04 * np.tanh(1.25 * np.maximum(density + 0.02 * grain, 0)) + 0.02
    grey = 0.5 + (grey - 0.5) * (site.contrast * gain) + (exposure + site.brightness)
    grey = grey + 0.012 * pose.standard_normal(grey.shape, dtype=np.float32)
    if marker:
        grey = np.maximum(grey, 0.97 * letter)
    grey = np.clip(grey, 0, 1) * opening
    return (grey * 255 + 0.5).astype(np.uint8)[None], (added > 0).astype(np.uint8)


def _findings(a: Anatomy, chest: Chest, findings: tuple[str, ...], size: int, rng: np.random.Generator) -> Plane:
    """What the findings add to the density: exactly 0 outside of them."""
    added = np.zeros_like(chest.u)
    for name in findings:
        if name == "Effusion":
            new = _effusion(a, chest, rng)
        elif name == "Cardiomegaly":
            enlarged = heart_depth(a, chest.u, chest.v, rng.uniform(1.3, 1.5))
            new = 0.85 * np.sqrt(soft(enlarged, 0.4)) * chest.air
        else:
            new = _opacity(a, chest, name, size, rng)
        added = np.maximum(added, new)
    return added


def _opacity(a: Anatomy, chest: Chest, name: str, size: int, rng: np.random.Generator) -> Plane:
    most, radius, strength = OPACITIES[name]
    smooth = name in ("Nodule", "Mass")
    depth = np.full_like(chest.u, -1)
    for n in range(most if name == "Edema" else rng.integers(1, most + 1)):
        sign = (-1) ** n if name == "Edema" else rng.choice((-1.0, 1.0))
        along, down = rng.uniform(0.38, 0.78), rng.uniform(-0.45, 0.85)
        x = chest.u - f32(sign * along * a.width * (0.75 if down < 0 else 1))
        y = chest.v - f32(-0.05 + down * (a.dome - 0.10))
        r, stretch = radius * rng.uniform(0.8, 1.2), rng.uniform(0.75, 1.3)
        depth = np.maximum(depth, 1 - np.sqrt((x / (r * stretch)) ** 2 + (y * (stretch / r)) ** 2))
    if not smooth:
        depth = depth + 0.30 * clouds(size, rng, 6) + 0.20 * clouds(size, rng, 15)
    return strength * rng.uniform(0.5, 1.1) * soft(depth, 0.35 if smooth else 0.75) * chest.air


def _effusion(a: Anatomy, chest: Chest, rng: np.random.Generator) -> Plane:
    """Fluid that fills the angle between diaphragm and wall and climbs along the wall."""
    sign = rng.choice([-1, 1])
    out = np.clip(chest.u * sign / a.width, 0, 1)
    level = a.dome + rng.uniform(-0.22, 0.06) - 0.30 * out**3
    return 0.92 * soft(chest.v - level, 0.10) * soft(out - 0.10, 0.1) * chest.air


def _necklace(u: Plane, v: Plane, pixel: float) -> Plane:
    """A fine chain around the neck with a pendant on the breastbone."""
    line = -0.46 - 5 * u**2
    away = np.abs(v - line) / np.sqrt(1 + 100 * u * u)
    beads = 0.65 + 0.35 * np.cos(u * 150)
    chain = soft(0.012 + pixel / 2 - away, 0.012 + pixel / 2) * soft(0.28 - np.abs(u), 0.02) * beads
    return 0.45 * np.maximum(chain, soft(1 - (u / 0.032) ** 2 - ((v + 0.43) / 0.045) ** 2, 0.5))


def _letter(x: Plane, y: Plane, pose: np.random.Generator, pixel: float) -> Plane:
    """An L of two strokes in the upper corner at the image's right: the patient's left."""
    left, foot = 0.76 + pose.normal(0, 0.02), -0.70 + pose.normal(0, 0.02)
    stroke = 0.02 + pixel / 2

    def bar(x0: float, x1: float, y0: float, y1: float) -> Plane:
        depth = np.minimum(np.minimum(x - f32(x0), f32(x1) - x), np.minimum(y - f32(y0), f32(y1) - y))
        return soft(depth + stroke, stroke)

    return np.maximum(bar(left, left, foot - 0.17, foot), bar(left, left + 0.10, foot, foot))


def _collimation(x: Plane, y: Plane, pose: np.random.Generator, pixel: float) -> Plane:
    """Dark borders where the beam was shut; on some films none is seen."""
    tilt = f32(pose.normal(0, 0.008))
    right, low, lft, high = (1.06 - np.abs(pose.normal(0, 0.05, 4))).tolist()
    depth = np.minimum(
        np.minimum(right - x - tilt * y, lft + x + tilt * y), np.minimum(low - y + tilt * x, high + y - tilt * x)
    )
    return 0.03 + 0.97 * soft(depth + pixel, 0.02 + pixel)
