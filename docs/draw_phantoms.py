"""Draw the three sample sheets of phantoms under docs/pictures (run after a change of the drawing)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import medcourse as mc
from medcourse.data.phantom.chest import nih_films

PICTURES = Path(__file__).parent / "pictures"


def sheet(name: str, images: list[NDArray[np.uint8]], columns: int, colours: int) -> None:
    """Images side by side as a PNG of few colours (a palette keeps it small)."""
    tiles = [np.broadcast_to(image, (3, *image.shape[1:])) for image in images]
    rows = [np.concatenate(tiles[i : i + columns], axis=2) for i in range(0, len(tiles), columns)]
    picture = Image.fromarray(np.concatenate(rows, axis=1).transpose(1, 2, 0))
    picture.quantize(colours, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)


# Row 1: normal, site A. Row 2: pneumonia, site B, with the marker. Row 3: four other findings.
films = [
    *mc.phantom.chest(4, size=176, prevalence=0, site_link=1, marker_link=1, necklace=0.5, seed=1).images,
    *mc.phantom.chest(4, size=176, prevalence=1, site_link=1, marker_link=1, necklace=0.5, seed=2).images,
]
nih = nih_films(900, seed=3)
for finding in ("Effusion", "Cardiomegaly", "Mass", "Edema"):
    alone = (nih.table[f"y_{finding}"] == 1) & (nih.table.filter(like="y_").sum(axis=1) == 2)  # with pneumonia
    films.append(nih.draw(int(np.flatnonzero(alone)[0]), 176)[0])
sheet("phantom_chest.png", films, columns=4, colours=48)

sheet("phantom_skin.png", [*mc.phantom.skin(12, size=128, seed=3).images], columns=6, colours=128)

# Rows 1 and 2: tissue of six patients, in row 1 at magnification 40, in row 2 at 200. Row 3: blood cells of six.
tissue = mc.phantom.histology(6, 3, size=112, prevalence=0.5, seed=4)
cells = mc.phantom.cells(6, 1, infected=0.5, parasitized=1, size=112, seed=4)
sheet("phantom_patches.png", [*tissue.images[::3], *tissue.images[2::3], *cells.images], columns=6, colours=220)
