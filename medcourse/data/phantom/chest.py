"""Which chest films there are: patients, diagnoses, sites and markers, and how strongly these go together."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.data.origins import NIH_FINDINGS
from medcourse.data.phantom.anatomy import draw_anatomy
from medcourse.data.phantom.canvas import Drawing, linked, some, stream
from medcourse.data.phantom.film import Site, draw_film

# How often a finding stands beside pneumonia in the 1,000 NIH films. The other findings are not drawn: never present.
_BESIDE_PNEUMONIA = {
    "Atelectasis": 0.23,
    "Cardiomegaly": 0.03,
    "Consolidation": 0.07,
    "Edema": 0.19,
    "Effusion": 0.18,
    "Infiltration": 0.37,
    "Mass": 0.04,
    "Nodule": 0.04,
}


@dataclass(frozen=True)
class Films:
    """The truth about every film, row by row."""

    seed: int
    brightness: float  # how much brighter (and flatter) site B's films are, in shares of the grey range
    patient: NDArray[np.int64]
    findings: list[tuple[str, ...]]
    site_b: NDArray[np.bool_]
    marker: NDArray[np.bool_]
    necklace: NDArray[np.bool_]
    woman: NDArray[np.bool_]

    def draw(self, row: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """One film and the mask of its findings."""
        patient = int(self.patient[row])
        anatomy = draw_anatomy(stream(self.seed, 11, patient), bool(self.woman[row]), bool(self.necklace[row]))
        b = self.brightness
        site = Site(b / 2, 1 - b) if self.site_b[row] else Site(-b / 2)
        disease, pose = (self.seed, 12, patient), stream(self.seed, 13, row)
        return draw_film(anatomy, self.findings[row], site, bool(self.marker[row]), size, disease, pose)

    def boxes(self, row: int) -> list[tuple[str, float, float, float, float]]:
        """The box around each finding: name, x, y (upper left), width, height, in pixels of a film of 1024 x 1024."""
        found = []
        for name in self.findings[row]:
            alone = replace(self, findings=[*self.findings[:row], (name,), *self.findings[row + 1 :]])
            y, x = np.nonzero(alone.draw(row, 64)[1])
            low_x, low_y = 16.0 * x.min(), 16.0 * y.min()
            found.append((name, low_x, low_y, 16.0 * (x.max() + 1) - low_x, 16.0 * (y.max() + 1) - low_y))
        return found


def films(
    diagnosis: NDArray[np.str_],
    per_patient: NDArray[np.int64],
    site_link: float,
    marker_link: float,
    brightness: float,
    necklace: float,
    seed: int,
) -> Films:
    """Films of patients who have one finding each ("" for none); site, sex and necklace are the patient's own."""
    rng = stream(seed, 10)
    patients = len(diagnosis)
    ill = diagnosis != ""
    woman = some(patients, 0.5, rng)
    necklaces = some(patients, necklace, rng)
    site_b = linked(ill, site_link, rng)
    patient = np.repeat(np.arange(patients), per_patient)
    return Films(
        seed=seed,
        brightness=brightness,
        patient=patient,
        findings=[(name,) if name else () for name in diagnosis[patient].tolist()],
        site_b=site_b[patient],
        marker=linked(ill[patient], marker_link, rng),
        necklace=necklaces[patient],
        woman=woman[patient],
    )


def pneumonia_films(patients: int, seed: int) -> Drawing:
    """A stand-in for chest-xray-pneumonia, with its columns, its file names, and links like those of real collections.

    As there, ``personN`` restarts for bacteria (one or two dense opacities) and virus (up to three faint ones).
    """
    rng = stream(seed, 14)
    kind = rng.choice(["", "bacteria", "virus"], p=[0.35, 0.35, 0.30], size=patients)
    finding = np.select([kind == "bacteria", kind == "virus"], ["Pneumonia", "Infiltration"], "")
    drawn = films(finding, rng.geometric(0.7, patients), 0.3, 0.3, 0.08, 0.1, seed)
    test, second = some(patients, 0.12, rng), some(patients, 0.5, rng)
    number = np.zeros(patients, np.int64)
    for name in ("", "bacteria", "virus"):
        number[kind == name] = np.arange(1, (kind == name).sum() + 1)
    rows = []
    for film, p in enumerate(drawn.patient.tolist()):
        ill, split = bool(kind[p]), "test" if test[p] else "train"
        name_id = f"person{number[p]}" if ill else f"{'NORMAL2-' if second[p] else ''}IM-{number[p]:04d}"
        group = f"{name_id}_{kind[p]}" if ill else name_id
        image_id = f"{group}_{film}" if ill else f"{name_id}-{film:04d}"
        rows.append((image_id, "PNEUMONIA" if ill else "NORMAL", group, split, name_id, str(kind[p]), ""))
    columns = ["image_id", "label", "group", "split", "name_id", "pathogen", "path"]
    table = pd.DataFrame(rows, columns=columns).set_index("image_id")
    return Drawing(table, ("NORMAL", "PNEUMONIA"), "L", drawn.draw, laterality=True)


def nih_films(patients: int, seed: int) -> Drawing:
    """A stand-in for the 1,000 NIH films: half without finding, half with pneumonia and what else there may be."""
    rng = stream(seed, 15)
    ill = some(patients, 0.5, rng)
    drawn = films(np.where(ill, "Pneumonia", ""), rng.geometric(0.68, patients), 0.2, 0.2, 0.08, 0.1, seed)
    beside = [
        tuple(name for name, part in _BESIDE_PNEUMONIA.items() if rng.random() < part) if found else ()
        for found in drawn.findings
    ]
    drawn = replace(drawn, findings=[(*a, *b) for a, b in zip(drawn.findings, beside, strict=True)])
    boxed = set([row for row, found in enumerate(drawn.findings) if found][:44])  # as few films as in the original
    age = np.clip(rng.normal(44, 16, patients), 2, 92).astype(int)
    follow_up = pd.Series(drawn.patient).groupby(drawn.patient).cumcount()
    table = pd.DataFrame(
        {
            "group": [f"{p:08d}" for p in drawn.patient],
            "findings": ["|".join(sorted(found)) or "No Finding" for found in drawn.findings],
            "follow_up": follow_up,
            "age": age[drawn.patient],
            "sex": np.where(drawn.woman, "F", "M"),
            "view": np.where(drawn.site_b, "PA", "AP"),
            "original_width": 1024,
            "original_height": 1024,
            "spacing_x": 0.4,
            "spacing_y": 0.4,
            **{f"y_{name}": [float(name in found) for found in drawn.findings] for name in NIH_FINDINGS},
            "boxes": [drawn.boxes(row) if row in boxed else [] for row in range(len(drawn.patient))],
            "path": "",
        }
    )
    table.index = pd.Index([f"{p:08d}_{f:03d}" for p, f in zip(drawn.patient, follow_up, strict=True)], name="image_id")
    return Drawing(table, NIH_FINDINGS, "L", drawn.draw, laterality=True)


def chest_films(
    patients: int,
    films_per_patient: int,
    prevalence: float,
    site_link: float,
    marker_link: float,
    brightness: float,
    necklace: float,
    seed: int,
    finding: str = "Pneumonia",
) -> Drawing:
    """Films with every cause set by hand, and the causes as columns: see ``mc.phantom.chest``."""
    ill = some(patients, prevalence, stream(seed, 16))
    per_patient = np.full(patients, films_per_patient)
    drawn = films(np.where(ill, finding, ""), per_patient, site_link, marker_link, brightness, necklace, seed)
    classes = ("NORMAL", finding.upper())
    table = pd.DataFrame(
        {
            "label": np.where(ill, classes[1], classes[0])[drawn.patient],
            "group": [f"PHANTOM_P{p:05d}" for p in drawn.patient],
            "site": np.where(drawn.site_b, "B", "A"),
            "marker": drawn.marker,
            "necklace": drawn.necklace,
            "sex": np.where(drawn.woman, "female", "male"),
        },
        index=pd.Index([f"PHANTOM_{row:05d}" for row in range(len(drawn.patient))], name="image_id"),
    )
    return Drawing(table, classes, "L", drawn.draw, laterality=True)
