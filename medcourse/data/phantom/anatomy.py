"""The chest of one drawn patient, and where its organs lie on a frontal film.

Coordinates are the body's: u to the image's right (the patient's left), v down, 0 at the middle of the film, 1 at its
edge. The proportions follow a frontal film: the heart lies to the image's right and takes up a little less than half
of the thorax, the dome under the right lung stands higher, clavicles cross the apices.
"""

from dataclasses import dataclass

import numpy as np

from medcourse.data.phantom.canvas import Plane, soft

f32 = np.float32


@dataclass(frozen=True)
class Anatomy:
    """What stays the same on every film of a patient; lengths in half images, densities in grey values (0 to 1)."""

    woman: bool
    necklace: bool
    width: float  # half width of the thorax at its base
    apex: float  # v of the lungs' tops
    dome: float  # v of the right dome
    dome_drop: float  # how much lower the left dome stands
    dome_rise: float  # from the side wall to the top of a dome
    heart: float  # half of the heart's width as a share of `width`
    heart_tilt: float
    knob: float  # radius of the aortic knob
    mediastinum: float  # half width
    bend: float  # of the spine
    rib_step: float  # from one rib to the next
    rib_phase: float
    rib_slope: float
    clavicle: float  # v of the clavicles' inner ends
    clavicle_rise: float
    breast: float  # radius
    fat: float  # thickness of the soft tissue


def draw_anatomy(rng: np.random.Generator, woman: bool, necklace: bool) -> Anatomy:
    """A patient's anatomy from the patient's own random numbers."""

    def near(mean: float, sd: float) -> float:
        return float(mean + sd * np.clip(rng.standard_normal(), -2, 2))

    return Anatomy(
        woman=woman,
        necklace=necklace,
        width=near(0.71 - 0.03 * woman, 0.04),
        apex=near(-0.73, 0.03),
        dome=near(0.36, 0.05),
        dome_drop=near(0.07, 0.02),
        dome_rise=near(0.17, 0.025),
        heart=near(0.455, 0.03),
        heart_tilt=near(0.35, 0.10),
        knob=near(0.095, 0.015),
        mediastinum=near(0.125, 0.015),
        bend=near(0.0, 0.018),
        rib_step=near(0.142, 0.009),
        rib_phase=float(rng.uniform(0, 1)),
        rib_slope=near(0.25, 0.04),
        clavicle=near(-0.49, 0.025),
        clavicle_rise=near(0.10, 0.05),
        breast=near(0.32, 0.05),
        fat=near(0.0, 0.035),
    )


@dataclass(frozen=True)
class Chest:
    """One patient's organs as planes (float32, size x size) on one film's grid.

    ``density`` is what the beam meets on its way, without findings; ``air`` is how much the lungs took away from it
    (0 outside of them), and so the most that a finding can give back.
    """

    u: Plane
    v: Plane
    density: Plane
    air: Plane
    dome: Plane  # v of the diaphragm in each column


def heart_depth(a: Anatomy, u: Plane, v: Plane, enlarged: float = 1.0) -> Plane:
    """1 at the heart's middle, 0 at its outline, negative outside. Enlarged, it grows to the patient's left."""
    half = a.width * a.heart * enlarged
    x = (u - (half - a.mediastinum - 0.07)) / half
    y = (v - (a.dome + a.dome_drop - 0.19)) / (0.27 * (0.5 + 0.5 * enlarged))
    y = y - f32(a.heart_tilt) * x
    return 1 - x * x - y * y


def project(a: Anatomy, u: Plane, v: Plane, pixel: float) -> Chest:
    """The organs on a film; ``pixel`` is a pixel's width, and no edge is sharper."""
    side = np.abs(u - a.bend * np.sin(3 * v))
    left = (u > 0).astype(np.float32)
    rise = np.clip((0.30 - v) / (0.42 - a.apex), 0, 1)
    wall = a.width * np.sqrt(1 - 0.93 * rise * rise * rise) + 0.02  # inner wall of the rib cage
    t = side / wall

    inner = a.mediastinum * (1 - 0.35 * np.exp(-40 * (v + 0.12) ** 2) + 0.3 * soft(-0.45 - v, 0.25)) + pixel
    top = v - (a.apex + 3.5 * (side - 0.45 * a.width) ** 2)
    dome = a.dome + a.dome_drop * left + a.dome_rise * ((side - 0.40 * a.width) / 0.38) ** 2
    edge = max(0.022, 1.2 * pixel)
    field = soft(wall - side, 2.5 * edge) * soft(top, 4 * edge) * soft(dome - v, 1.2 * edge) * soft(side - inner, 0.07)

    heart = np.sqrt(soft(heart_depth(a, u, v), 0.5))
    knob = np.sqrt(soft(1 - ((u - a.mediastinum) ** 2 + (v + 0.36) ** 2) / a.knob**2, 0.6))
    aorta = soft(a.mediastinum + 0.035 - np.abs(u), 0.04) * soft(v + 0.40, 0.08) * left
    hilum = np.exp(-110 * (side - 0.18) ** 2 - 45 * (v + 0.04 + 0.05 * left) ** 2)
    kept = np.maximum(np.maximum(0.80 * heart, 0.75 * knob), np.maximum(0.45 * hilum, 0.35 * aorta))
    air = 0.45 * field * np.sqrt(np.clip(1.15 - t * t, 0, 1)) * (1 - kept)
    density = _soft_tissue(a, u, v, side, pixel) - air
    density = density + 0.06 * heart + 0.12 * soft(v - dome, 0.2) * soft(wall + 0.06 - side, 0.12)
    density = density - 0.10 * soft(
        1 - ((u - 0.34) / 0.13) ** 2 - ((v - dome - 0.15) / 0.07) ** 2, 0.9
    )  # stomach's air
    density = density + _vessels(a, side, v, left, pixel) * field
    density = density + _bones(a, v, side, t, wall, pixel)
    density = density - 0.10 * np.exp(-((u / 0.045) ** 2)) * soft(-0.28 - v, 0.08)  # trachea
    return Chest(u, v, density, air, dome)


def _soft_tissue(a: Anatomy, u: Plane, v: Plane, side: Plane, pixel: float) -> Plane:
    """The trunk with neck and shoulders, breasts, and what stands between the lungs."""
    shoulder = soft(v + 0.98, 0.42)  # the neck widens into the shoulders
    trunk = 0.24 + (a.width - 0.06 + 2 * a.fat + 0.30 * np.exp(-5 * (v + 0.35) ** 2)) * shoulder
    across = np.clip(1 - (side / trunk) ** 2, 0, 1)
    body = (0.52 + a.fat) * np.cbrt(across)
    middle = side * (1 / (1.35 * a.mediastinum))
    middle = middle * middle
    body = body + 0.12 * np.exp(-middle * middle) * soft(across, 0.3)
    if a.woman:
        breast = 1 - ((side - 0.40) / a.breast) ** 2 - ((v - 0.26) / (a.breast * 0.95)) ** 2
        body = body + 0.09 * np.sqrt(soft(breast, 1))
    return body


def _vessels(a: Anatomy, side: Plane, v: Plane, left: Plane, pixel: float) -> Plane:
    """Branches that spread from the hila and fade towards the wall."""
    x, y = side - 0.12, v + 0.06
    r = np.hypot(x, y)
    turn = 2.3 * np.arctan2(y, x) + a.rib_phase * 6 + 0.9 * np.sin(9 * r + 1.7 * left)
    branch = np.abs(turn - np.rint(turn)) * r
    return 0.08 * np.exp(r * (-1 / 0.2)) * soft(0.05 - branch, 0.05 + pixel)


def _bones(a: Anatomy, v: Plane, side: Plane, t: Plane, wall: Plane, pixel: float) -> Plane:
    """Ribs (behind: sloping down to the side; in front: down to the middle), clavicles, spine, shoulder joints."""
    half = f32(0.034)
    edge = max(0.018, pixel)

    def rib(height: Plane) -> Plane:
        phase = height / a.rib_step - a.rib_phase
        off = np.abs(phase - np.rint(phase)) * a.rib_step
        return soft(half - off + edge / 2, edge) * (0.75 + 0.5 * np.minimum(off / half, 1) ** 2)

    slope = a.rib_slope * (1 + 0.5 * v)
    inside = soft(wall + 0.03 - side, 0.02 + pixel) * soft(v - a.apex + 0.05, 0.06) * soft(0.62 - v, 0.3)
    behind = rib(v - slope * t * t + 0.05 * np.sin(np.pi * np.minimum(t, 1))) * soft(side - 0.06, 0.04)
    front = rib(v - slope - 0.36 * (1 - t)) * soft(t - 0.38, 0.2)
    tangent = np.exp(-(((t - 1.0) / 0.045) ** 2))
    bone = inside * (behind * (0.055 + 0.05 * tangent) + front * 0.03 + 0.03 * tangent)

    along = np.clip((side - 0.06) / 0.62, 0, 1)
    line = a.clavicle - a.clavicle_rise * along + 0.035 * np.sin(2 * np.pi * along)
    ends = soft(side - 0.05, 0.03 + pixel) * soft(0.74 - side, 0.08)
    thick = 0.036 - 0.01 * np.sin(np.pi * along)
    bone = bone + 0.12 * ends * soft(thick - np.abs(v - line) + edge / 2, edge)

    joint = 1 - ((side - a.width - 0.12) / 0.12) ** 2 - ((v + 0.58) / 0.13) ** 2
    blade = 1 - ((side - a.width + 0.02 + 0.15 * v) / 0.13) ** 2 - ((v + 0.30) / 0.33) ** 2
    bone = bone + 0.08 * np.sqrt(soft(joint, 1)) + 0.04 * soft(blade, 0.3)

    vertebra = 0.75 + 0.25 * np.cos(2 * np.pi * v / (a.rib_step * 0.95))
    return bone + 0.10 * soft(0.085 - side, 0.03 + pixel) * vertebra
