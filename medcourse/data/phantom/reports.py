"""A table of findings that a program read from reports: the stand-in for the NIH's official labels, without images.

As there, most patients have one or two films and a few have many, and a patient who has a finding has it on several
films: the films with a rare finding belong to few patients.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.data.phantom.canvas import stream

# Shares of the patients who have the finding on at least one film, in the NIH's table.
PATIENTS_WITH = {
    "Atelectasis": 0.162,
    "Cardiomegaly": 0.051,
    "Consolidation": 0.070,
    "Edema": 0.035,
    "Effusion": 0.139,
    "Emphysema": 0.034,
    "Fibrosis": 0.041,
    "Hernia": 0.0043,
    "Infiltration": 0.261,
    "Mass": 0.083,
    "Nodule": 0.110,
    "Pleural_Thickening": 0.065,
    "Pneumonia": 0.033,
    "Pneumothorax": 0.048,
}


def report_labels(patients: int = 30805, seed: int = 0) -> pd.DataFrame:
    """One row per film, index ``image_id``: group, findings, follow_up, age, sex, view, sizes, and a y_ column per finding.

    Args:
        patients: number of patients; films come to 3 or 4 for each.
        seed: the same seed gives the same table.
    """
    rng = stream(seed, 41)
    films = np.minimum(np.ceil(rng.lognormal(0.35, 1.25, patients)), 184).astype(int)
    patient = np.repeat(np.arange(patients), films)
    follow_up = np.arange(len(patient)) - np.repeat(films.cumsum() - films, films)
    shown = {}
    for name, part in PATIENTS_WITH.items():
        has = rng.random(patients) < part
        first = follow_up == rng.integers(0, films)[patient]  # each of them shows it at least once
        shown[name] = has[patient] & (first | (rng.random(len(patient)) < 0.25))
    group = np.array([f"{number:08d}" for number in range(1, patients + 1)])[patient]
    age = np.clip(rng.normal(47, 17, patients), 1, 95).astype(int)
    columns = {
        "group": group,
        "findings": _told(shown),
        "follow_up": follow_up,
        "age": age[patient],
        "sex": np.where(rng.random(patients) < 0.46, "F", "M")[patient],
        "view": np.where(rng.random(len(patient)) < 0.6, "PA", "AP"),
        "original_width": 1024,
        "original_height": 1024,
        "spacing_x": 0.4,
        "spacing_y": 0.4,
        **{f"y_{name}": there.astype(float) for name, there in shown.items()},
    }
    film = np.array([f"_{number:03d}" for number in range(films.max())])[follow_up]
    return pd.DataFrame(columns, index=pd.Index(np.char.add(group, film), name="image_id"))


def _told(shown: dict[str, NDArray[np.bool_]]) -> NDArray[np.str_]:
    """The findings of each film in one string, as "Edema|Hernia": written once for each combination, which is far quicker."""
    names = list(shown)
    code = sum(there.astype(int) << bit for bit, there in enumerate(shown.values()))
    combinations, place = np.unique(code, return_inverse=True)
    words = ["|".join(name for bit, name in enumerate(names) if number >> bit & 1) for number in combinations]
    return np.array([word or "No Finding" for word in words])[place]
