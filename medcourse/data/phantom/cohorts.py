"""Drawn cohorts with known truth (``mc.phantom``): each cause behind a pitfall is a parameter that switches it on.

Everything follows from the seed, and from nothing else: the same call gives the same pixels on every machine.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from medcourse.arguments import one_of, share, whole_number
from medcourse.data.cohort import Cohort
from medcourse.data.phantom.canvas import Drawing
from medcourse.data.phantom.chest import chest_films, nih_films, pneumonia_films
from medcourse.data.phantom.film import FINDINGS
from medcourse.data.phantom.patches import blood_cells, tissue_patches
from medcourse.data.phantom.readers import reader_tables
from medcourse.data.phantom.skin import skin_lesions, skin_photographs

__all__ = ["cells", "chest", "histology", "readers", "skin"]

# What stands in for a data set whose manifest entry names it (`phantom:`); readers' tables are in load_table.
STAND_INS: dict[str, Callable[[], Drawing]] = {
    "cells": partial(blood_cells, patients=100, cells_per_patient=50, infected=0.75, parasitized=0.57, seed=0),
    "chest": partial(pneumonia_films, patients=1700, seed=0),
    "histology": partial(
        tissue_patches, patients=82, patches_per_patient=40, prevalence=0.7, stain_link=0.2, stain=0.5, seed=0
    ),
    "nih": partial(nih_films, patients=680, seed=0),
    "skin": partial(skin_photographs, images=8500, camera_link=0.99, seed=0),
}


def chest(
    patients: int = 1000,
    films_per_patient: int = 1,
    prevalence: float = 0.5,
    size: int = 64,
    *,
    site_link: float = 0.0,
    marker_link: float = 0.0,
    brightness: float = 0.1,
    necklace: float = 0.0,
    finding: str = "Pneumonia",
    seed: int = 0,
) -> Cohort:
    """Frontal chest films, NORMAL or with one finding, PNEUMONIA unless told otherwise (``masks`` hold it exactly).

    Patients have an anatomy of their own, the same on each of their films; position, exposure, collimation and noise
    are the film's. Columns: label, group (the patient), site ("A" or "B"), marker, necklace, sex.

    Args:
        patients: 1 or more.
        films_per_patient: 1 or more; a patient's films share the diagnosis. More than 1 lets patients leak.
        prevalence: share of patients with pneumonia, 0 to 1; exact up to rounding.
        size: height and width in pixels.
        site_link: 0 to 1, how strongly the site (the scanner) goes with the label: 0 not at all, 1 means that every
            film of a sick patient, and no other, is from site B. Site B can be seen only where ``brightness`` is not 0.
        marker_link: 0 to 1, the same for a letter L in the upper corner at the image's right. At 0 half of the films
            have one, at 1 exactly those of sick patients.
        brightness: 0 to 1, by how much of the grey range films of site B are brighter (and by which share flatter)
            than those of site A; 0 makes the sites look alike, above 0.5 much is plain black or white.
        necklace: 0 to 1, share of patients who wear a necklace on all of their films.
        finding: what the ill have: "Pneumonia", "Effusion" (fluid above one half of the diaphragm, left or right by
            chance), or another of the findings that are drawn. Its name in capitals is the positive class.
        seed: 0 or more.

    Returns:
        A binary ``Cohort`` with masks, ``laterality`` (the heart lies to the image's right) and ``is_phantom`` set.

    Raises:
        ArgumentError: a parameter outside its range.
    """
    _check(seed, patients=patients, films_per_patient=films_per_patient)
    _check_shares(prevalence=prevalence, site_link=site_link, marker_link=marker_link, brightness=brightness)
    _check_shares(necklace=necklace)
    one_of("finding", finding, FINDINGS)
    drawing = chest_films(
        patients, films_per_patient, prevalence, site_link, marker_link, brightness, necklace, seed, finding
    )
    return _cohort(drawing, size, "phantom chest films")


def skin(images: int = 1000, size: int = 64, *, camera_link: float = 0.0, seed: int = 0) -> Cohort:
    """Pigmented lesions with HAM10000's seven diagnoses, shares and columns, and ``camera``; ``masks`` hold the lesion.

    Nevi were followed up (``dx_type`` "follow_up", 55 % of their images), agreed on ("consensus", 8 %) or excised
    ("histo", 37 %); all else was excised. A nevus that was followed up has one photograph, other lesions have 1 to 3.

    The picture of camera B is redder as a whole, inside and outside the lesion: its mean red minus mean green alone
    tells the cameras apart (AUROC above 0.99). That is so at every ``camera_link``: only who was photographed with it
    changes. So a model that learned the camera at 1 does worse on a cohort drawn at 0, where both cameras still occur.

    Args:
        images: number of photographs, 1 or more; about 3/4 as many lesions (the group).
        size: height and width in pixels.
        camera_link: 0 to 1, how strongly the camera goes with the road of diagnosis: 0 not at all (half of either kind
            are from camera B), 1 means that all followed-up nevi, and no other lesion, are from camera B. A lesion's
            photographs are all from one camera.
        seed: 0 or more.

    Raises:
        ArgumentError: a parameter outside its range.
    """
    _check(seed, images=images)
    _check_shares(camera_link=camera_link)
    return _cohort(skin_lesions(images, camera_link, seed), size, "phantom skin lesions")


def histology(
    patients: int = 40,
    patches_per_patient: int = 25,
    prevalence: float = 0.5,
    size: int = 64,
    *,
    stain_link: float = 0.0,
    stain: float = 0.5,
    seed: int = 0,
) -> Cohort:
    """Stained breast tissue, benign or malignant, with BreakHis' columns; ``masks`` hold the nuclei.

    A patient has one slide with a stain of its own. The diagnosis is the patient's, so many patches are few facts.

    Args:
        patients: 1 or more.
        patches_per_patient: 1 or more, at magnifications 40, 100, 200 and 400 in turn.
        prevalence: share of patients with a malignant tumour, 0 to 1; exact up to rounding.
        size: height and width in pixels.
        stain_link: 0 to 1, how strongly the laboratory goes with the label: at 1 exactly the malignant slides come from
            the one that stains strong and blue, at 0 half of either kind.
        stain: 0 to 1, how far the two laboratories' stains lie apart; 0 makes them alike.
        seed: 0 or more.

    Raises:
        ArgumentError: a parameter outside its range.
    """
    _check(seed, patients=patients, patches_per_patient=patches_per_patient)
    _check_shares(prevalence=prevalence, stain_link=stain_link, stain=stain)
    drawing = tissue_patches(patients, patches_per_patient, prevalence, stain_link, stain, seed)
    return _cohort(drawing, size, "phantom tissue patches")


def cells(
    patients: int = 40,
    cells_per_patient: int = 50,
    infected: float = 0.75,
    parasitized: float = 0.57,
    size: int = 50,
    *,
    seed: int = 0,
) -> Cohort:
    """Red blood cells, Uninfected or Parasitized, with the columns of malaria-cells; ``masks`` hold the parasite.

    Args:
        patients: 1 or more.
        cells_per_patient: 1 or more.
        infected: share of patients who have malaria, 0 to 1; exact up to rounding.
        parasitized: share of an infected patient's cells that hold a parasite, 0 to 1. Below 1, a cell that inherits
            its patient's label is often labelled wrongly.
        size: height and width in pixels.
        seed: 0 or more.

    Raises:
        ArgumentError: a parameter outside its range.
    """
    _check(seed, patients=patients, cells_per_patient=cells_per_patient)
    _check_shares(infected=infected, parasitized=parasitized)
    return _cohort(blood_cells(patients, cells_per_patient, infected, parasitized, seed), size, "phantom blood cells")


def readers(studies: int = 500, *, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Eight readers, two report labelers and ten models on the same studies, named as in chexpert-readers.

    One table is added that no real data set has: ``truth``. ``groundtruth`` is the majority vote of five readers.

    Args:
        studies: 1 or more.
        seed: 0 or more.

    Raises:
        ArgumentError: a parameter outside its range.
    """
    _check(seed, studies=studies)
    return reader_tables(studies, seed)


def _check(seed: int, **counts: int) -> None:
    whole_number("seed", seed)
    for name, value in counts.items():
        whole_number(name, value, least=1)


def _check_shares(**shares: float) -> None:
    for name, value in shares.items():
        share(name, value, zero=True, one=True)


def _cohort(drawing: Drawing, size: int, name: str) -> Cohort:
    size = whole_number("size", size, least=1)
    n, channels = len(drawing.table), 3 if drawing.mode == "RGB" else 1
    images = np.empty((n, channels, size, size), np.uint8)
    masks = np.empty((n, size, size), np.uint8)
    for row in range(n):
        images[row], masks[row] = drawing.draw(row, size)
    return Cohort(
        images,
        drawing.table,
        drawing.classes,
        masks=masks,
        name=name,
        laterality=drawing.laterality,
        is_phantom=True,
    )
