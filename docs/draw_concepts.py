"""Draw the concept picture of each lesson (course/pictures/NN_concept.png): one idea, no data. And lesson 13's two seeds.

python docs/draw_concepts.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medcourse.viewing.plot import BLUE, GREY, ORANGE

PICTURES = Path(__file__).parents[1] / "course" / "pictures"
WIDTH = 8.0  # inches


def canvas(height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure without frames or ticks."""
    figure, axes = plt.subplots(1, panels, figsize=(WIDTH, height), layout="constrained", squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, list(axes.flat)


def save(figure: Figure, lesson: int, name: str = "concept") -> None:
    """Write the picture with few colours, which keeps it small."""
    from PIL import Image

    path = PICTURES / f"{lesson:02d}_{name}.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def look_first() -> None:
    """How an image gets its label, and the short way round."""
    figure, (axis,) = canvas(2.7)
    axis.set(xlim=(0, 10), ylim=(-1.8, 2.1))
    links = {
        "patient": "Who is it?",
        "lesion\nor lung": "What is to\nbe seen?",
        "camera or\nmachine": "Which one\nmade it?",
        "image": "Is it there\ntwice?",
        "label": "Who said so,\nby which test?",
    }
    for number, (name, question) in enumerate(links.items()):
        x = 1 + 2 * number
        colour = ORANGE if name.startswith("camera") else BLUE
        axis.text(x, 0.35, name, ha="center", va="center", size=12, color="white", weight="bold",
                  bbox={"boxstyle": "round,pad=0.45", "facecolor": colour, "edgecolor": "none"})  # fmt: skip
        axis.text(x, -0.65, question, ha="center", va="center", size=11)
        if number < len(links) - 1:
            axis.annotate(
                "", (x + 1.25, 0.35), (x + 0.75, 0.35), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 2}
            )
    style = {"arrowstyle": "->", "color": ORANGE, "lw": 2, "linestyle": "--", "connectionstyle": "arc3,rad=-0.35"}
    axis.annotate("", (9, 0.75), (5, 0.85), arrowprops=style)
    axis.text(7, 1.05, "a shortcut", ha="center", size=11, color=ORANGE)
    axis.text(5, -1.65, "Ask every link before you train.", ha="center", size=12, style="italic")
    save(figure, 1)


def one_class() -> None:
    """Two ways to call everything a nevus."""
    figure, (axis,) = canvas(3.0)
    axis.set(xlim=(-0.47, 1.08), ylim=(-0.75, 2.95))
    rng = np.random.default_rng(0)
    for y, name in ((1.6, "broken:\none score\nfor every image"), (0.2, "ranks:\nmelanomas higher,\nnone reaches 0.5")):
        axis.plot([0, 1], [y, y], color=GREY, lw=1)
        axis.text(-0.45, y + 0.15, name, va="center", size=11)
    axis.plot(np.full(9, 0.1), 1.6 + 0.09 * np.arange(9), "o", color=BLUE, ms=7)
    axis.plot(np.full(2, 0.1), 1.62 + np.array([0.84, 1.0]), "^", color=ORANGE, ms=8)
    axis.plot(rng.uniform(0.02, 0.2, 9), 0.2 + rng.uniform(0.08, 0.4, 9), "o", color=BLUE, ms=7, label="nevus")
    axis.plot([0.27, 0.36], [0.35, 0.45], "^", color=ORANGE, ms=8, label="melanoma")
    axis.plot([0.5, 0.5], [-0.1, 2.7], color="black", lw=1.5)
    axis.text(0.5, 2.75, "threshold 0.5", ha="center", size=11)
    axis.annotate("", (0.235, 0.75), (0.49, 0.75), arrowprops={"arrowstyle": "->", "color": ORANGE, "lw": 2})
    axis.plot([0.235, 0.235], [-0.1, 0.8], color=ORANGE, lw=2)
    axis.text(0.53, 0.75, "another threshold helps", va="center", size=11, color=ORANGE)
    axis.text(0.53, 1.95, "no threshold helps:\nrepair the training", va="center", size=11)
    for score in (0, 1):
        axis.text(score, -0.15, score, ha="center", va="top", size=10)
    axis.text(0.75, -0.15, "score", ha="center", va="top", size=10)
    axis.legend(loc="lower left", ncols=2, frameon=False, fontsize=10, bbox_to_anchor=(0.27, -0.04))
    save(figure, 2)


def weights() -> None:
    """Weights add the same number to every logit; a threshold goes the other way."""
    figure, (axis,) = canvas(3.1)
    axis.set(xlim=(-7.2, 5.2), ylim=(-1.1, 3.1))
    shift = np.log(9)
    dots = {BLUE: ("o", [-3.9, -3.3, -2.9, -2.5, -1.6]), ORANGE: ("^", [-2.7, -1.9, -0.8, 0.6])}
    for y, move, name in ((2, 0.0, "plain loss"), (0, shift, "melanomas\nweigh 9 times")):
        axis.plot([-4.6, 4.4], [y, y], color=GREY, lw=1)
        axis.text(-7.1, y + 0.15, name, va="center", size=11)
        for colour, (marker, at) in dots.items():
            label = {BLUE: "nevus", ORANGE: "melanoma"}[colour] if move == 0 else None
            axis.plot(np.array(at) + move, np.full(len(at), y + 0.22), marker, color=colour, ms=8, label=label)
        for risk in (0.1, 0.5, 0.9):
            axis.text(np.log(risk / (1 - risk)), y - 0.12, risk, ha="center", va="top", size=10)
    axis.plot([-shift, -shift], [1.95, 2.75], color="black", lw=1.5)
    axis.text(-shift, 2.8, "0.1 here ...", ha="center", size=11)
    axis.plot([0, 0], [-0.05, 0.75], color="black", lw=1.5)
    axis.text(-0.15, 0.85, "... is 0.5 here", ha="left", size=11)
    axis.annotate("", (-3.3 + shift, 0.4), (-3.3, 2.05), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.2})
    axis.text(-3.6, 1.1, "+ log 9\nfor all", ha="right", va="center", size=11, color=GREY)
    axis.text(4.5, 2.15, "score", va="center", size=10)
    axis.legend(loc="upper right", frameon=False, fontsize=10)
    axis.text(-1.3, -1.0, "Weights move all scores. A threshold moves instead.", ha="center", size=12, style="italic")
    save(figure, 3)


def film(axis: Axes, widths: list[float], x: float, strength: float) -> None:
    """A schematic chest of ribs; several widths lie on each other."""
    axis.fill_between([x - 1.25, x + 1.25], -1.5, 1.6, color="black")
    angle = np.linspace(0.15, np.pi - 0.15, 40)
    for number, width in enumerate(widths):
        for rib in range(4):
            y = 0.95 - 0.62 * rib - 0.3 * number
            axis.plot(x + width * np.cos(angle), y + 0.3 * np.sin(angle), color="white", lw=4, alpha=strength)


def resampling() -> None:
    """Between two rows of a table lies a row; between two films lies no film."""
    figure, (left, right) = canvas(2.6, panels=2)
    left.set(xlim=(17.5, 24.5), ylim=(-2.4, 2.6))
    left.plot([20, 22], [0, 0], color=GREY, lw=1.5)
    left.plot([20, 22], [0, 0], "o", color=BLUE, ms=13)
    left.plot([21], [0], "D", color=ORANGE, ms=12)
    for weight, colour in ((20, BLUE), (21, ORANGE), (22, BLUE)):
        left.text(weight, 0.45, f"{weight} kg", ha="center", size=11, color=colour)
    left.text(21, -0.75, "a child of 21 kg may exist", ha="center", size=11, color=ORANGE)
    left.set_title("Between two rows there is a row", size=12)
    right.set(xlim=(-1.5, 7.5), ylim=(-2.4, 2.6))
    film(right, [0.95], 0, 0.9)
    film(right, [0.95, 0.7], 3, 0.45)
    right.fill_between([6 - 1.25, 6 + 1.25], -1.5, 1.6, color="black")
    angle = np.linspace(0.15, np.pi - 0.15, 40)
    for rib in range(4):
        right.plot(6 + 0.7 * np.cos(angle), 0.65 - 0.62 * rib + 0.3 * np.sin(angle), color="white", lw=4, alpha=0.9)
    for x, name, colour in ((0, "film A", BLUE), (3, "half of each", ORANGE), (6, "film B", BLUE)):
        right.text(x, -2.1, name, ha="center", size=11, color=colour)
    right.set_title("Between two films there is no film", size=12)
    save(figure, 4)


def patient_leakage() -> None:
    """The same test images, and two training sets of the same size: with and without the tested lesions."""
    figure, (axis,) = canvas(3.0)
    axis.set(xlim=(-4.2, 9.2), ylim=(-0.6, 5.6))
    rows = {
        (4.3, "training,\nwith leak"): "AABCDDEE",
        (2.3, "test,\nthe same images"): "ABCHI",
        (0.3, "training,\nwithout"): "FFGKDDEE",
    }
    for (y, name), letters in rows.items():
        axis.text(-0.7, y, name, ha="right", va="center", size=12)
        for x, letter in enumerate(letters):
            tested, new = letter in "ABC", letter in "FGK"
            face = ORANGE if tested else BLUE if new else "white"
            axis.text(x, y, letter, ha="center", va="center", size=13, weight="bold", color="white" if tested or new else GREY,
                      bbox={"boxstyle": "square,pad=0.45", "facecolor": face, "edgecolor": GREY})  # fmt: skip
    for x, below in ((0, 0), (1, 0), (2, 1), (3, 2)):
        axis.plot([x, below], [3.8, 2.8], color=ORANGE, lw=1.2)
    axis.text(4.3, 3.3, "each letter is a lesion", ha="left", va="center", size=11, color=GREY)
    axis.text(4.3, 1.3, "new lesions in place of the tested ones", ha="left", va="center", size=11, color=BLUE)
    save(figure, 5)


def test_sets() -> None:
    """A random test set with one ill film, an enriched one with half, and what may be read from each."""
    figure, (axis,) = canvas(3.6)
    axis.set(xlim=(-0.5, 17.5), ylim=(-2.9, 5.6))
    row, column = np.divmod(np.arange(32), 8)
    one, half = (row == 2) & (column == 5), (row + column) % 2 == 0
    for x, is_ill, name in ((0, one, "random: one in 32 is ill"), (9.5, half, "enriched: half are ill")):
        axis.plot(x + column[~is_ill], row[~is_ill], "s", ms=15, color=BLUE, label="healthy film" if x == 0 else None)
        axis.plot(x + column[is_ill], row[is_ill], "^", ms=15, color=ORANGE, label="ill film" if x == 0 else None)
        axis.text(x + 3.5, 3.75, name, ha="center", va="bottom", size=12)
    axis.legend(loc="upper center", ncols=2, frameon=False, fontsize=10, bbox_to_anchor=(0.5, 1.06))
    axis.text(
        8.5, -1.35, "sensitivity, specificity, AUROC: read from both (one case says little)", ha="center", size=11
    )
    axis.text(8.5, -2.45, "PPV, accuracy: belong to one prevalence", ha="center", size=11, color=ORANGE, weight="bold")
    save(figure, 6)


def torso(axis: Axes, x: float, y: float, side: int) -> None:
    """A schematic chest film: two lungs, the heart and the stomach's air on one side (1: the image's right)."""
    angle = np.linspace(0, 2 * np.pi, 60)
    axis.fill_between([x - 1.25, x + 1.25], y - 1.35, y + 1.35, color="black")
    axis.fill(x + 1.1 * np.cos(angle), y + 0.1 + 1.2 * np.sin(angle), color="0.75")
    for lung in (-1, 1):
        axis.fill(x + lung * 0.52 + 0.36 * np.cos(angle), y + 0.25 + 0.85 * np.sin(angle), color="0.25")
    axis.fill(x + side * 0.28 + 0.42 * np.cos(angle), y - 0.2 + 0.42 * np.sin(angle), color="white")
    axis.fill(x + side * 0.5 + 0.2 * np.cos(angle), y - 0.85 + 0.11 * np.sin(angle), color="0.3")


def mirrored() -> None:
    """With the flip, each picture comes with both answers."""
    figure, (axis,) = canvas(3.6)
    axis.set(xlim=(-4.2, 8.4), ylim=(-5.4, 2.2), aspect="equal")
    axis.text(0, 1.75, "the film", ha="center", size=11)
    axis.text(3.6, 1.75, "the flip makes", ha="center", size=11)
    rows = (
        (0, 1, "one child,\nfilm as taken", "as taken", BLUE),
        (-3.3, -1, "another child,\nwe mirrored it", "mirrored", ORANGE),
    )
    for y, side, name, answer, colour in rows:
        for x, shown in ((0, side), (3.6, -side)):
            torso(axis, x, y, shown)
        axis.text(-2.75, y, name, ha="center", va="center", size=11)
        axis.annotate("", (2.2, y), (1.4, y), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 2})
        axis.text(6.7, y, f'answer for both:\n"{answer}"', ha="center", va="center", size=12, color=colour)
    axis.text(
        2, -5.3, "Both pictures come with both answers. Nothing is left to learn.", ha="center", size=12, style="italic"
    )
    save(figure, 9)


def heat(axis: Axes, x: float, y: float, radius: float) -> None:
    """A hot spot of a map."""
    for share in np.linspace(1, 0.2, 9):
        axis.add_patch(plt.Circle((x, y), radius * share, color="#f0e442", alpha=0.13, lw=0, zorder=3))


def maps() -> None:
    """A map answers where, not why."""
    figure, (left, right) = canvas(2.9, panels=2)
    left.set(xlim=(-3, 3), ylim=(-2.7, 2.5), aspect="equal")
    film(left, [0.95], 0, 0.8)
    left.text(-0.95, 1.28, "P", ha="center", va="center", size=15, weight="bold", color="white", zorder=4)
    heat(left, -0.4, 0.45, 0.8)
    left.annotate("decides", (-1.05, 1.3), (-2.9, 0.9), size=11, color=ORANGE, va="center",
                  arrowprops={"arrowstyle": "->", "color": ORANGE, "lw": 2})  # fmt: skip
    left.text(0, -2.2, "Take the letter away:\nother answer.", ha="center", va="center", size=11)
    left.set_title("The map lies on the lung", size=12)
    right.set(xlim=(-3, 3), ylim=(-2.7, 2.5), aspect="equal")
    turn = np.linspace(0, 2 * np.pi, 80)
    radius = 0.62 + 0.07 * np.sin(3 * turn) + 0.05 * np.cos(5 * turn)
    for x, skin, name in ((-1.5, "#d9a08f", "nevus 0.9"), (1.5, "#c4a993", "melanoma 0.9")):
        right.fill_between([x - 1.25, x + 1.25], -1.2, 1.5, color=skin)
        right.fill(x + radius * np.cos(turn), 0.15 + radius * np.sin(turn), color="#5a3a2c", zorder=2)
        heat(right, x, 0.15, 0.95)
        right.text(x, -1.5, name, ha="center", va="center", size=11)
    right.text(0, -2.2, "Change the colour, not the lesion:\nother answer.", ha="center", va="center", size=11)
    right.set_title("The map lies on the lesion", size=12)
    save(figure, 13)


def two_seeds() -> None:
    """The Grad-CAM rows of two arms of chest-resampling, cut from the stored pictures: two seeds of each below one another."""
    from PIL import Image

    results = PICTURES.parents[1] / "benchmarks" / "results"
    figure, axes = plt.subplots(4, 1, figsize=(WIDTH, 6.1), layout="constrained")
    rows = [(arm, seed) for arm in ("baseline", "smote") for seed in (0, 1)]
    for axis, (arm, seed) in zip(axes, rows, strict=True):
        stored = Image.open(results / f"chest-resampling-160px-1epochs-cpu-maps-{arm}-{seed}.png")
        axis.imshow(stored.crop((42, 23, 1122, 214)))  # the first of two rows of maps, with the labels above it
        axis.set(xticks=[], yticks=[], ylabel=f"{arm}\nseed {seed}")
        axis.spines[:].set_visible(False)
    save(figure, 13, "two_seeds")


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for draw in (look_first, one_class, weights, resampling, patient_leakage, test_sets, mirrored, maps, two_seeds):
        draw()
