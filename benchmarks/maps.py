"""What Grad-CAM costs: mc.activation_maps against a forward pass, and against pytorch-grad-cam, on the same 256 films.

    .venv/bin/pip install grad-cam==1.5.7
    MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/maps.py --size 96

No extra installs grad-cam: it brings OpenCV, which nothing else here needs.
One thread, CPU seconds, the three alternate in one process; the ratios are of neighbours. Without the films' pack they are drawn.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from training_throughput import processor

import medcourse as mc
from medcourse.networks.forward import float_images


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Run everything and print the lines."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--size", type=int, default=96)
    asked.add_argument("--films", type=int, default=256)
    asked.add_argument("--repeats", type=int, default=5)
    asked.add_argument("--batch", type=int, default=32)
    given = asked.parse_args()
    torch.set_num_threads(1)
    films = mc.load("chest-xray-pneumonia", size=given.size)
    films = films.subset(films.table.sample(given.films, random_state=0).index)
    images = np.asarray(films.images)
    model = mc.build_model("resnet18", films).eval()
    batches = [float_images(torch.from_numpy(part)) for part in np.array_split(images, -(-given.films // given.batch))]

    def forward() -> None:
        with torch.no_grad():
            for batch in batches:
                model(batch)

    def ours() -> np.ndarray:
        return mc.activation_maps(model, images, target=1, batch_size=given.batch)

    def theirs() -> np.ndarray:
        with GradCAM(model, [model.network.layer4]) as extractor:
            return np.concatenate([extractor(batch, [ClassifierOutputTarget(1)] * len(batch)) for batch in batches])

    works = {"forward pass": forward, "mc.activation_maps": ours, "pytorch-grad-cam": theirs}
    times = np.array([[seconds(work) for work in works.values()] for _ in range(given.repeats + 1)])[1:]  # one warm-up
    print(f"{processor()}, 1 thread, torch {torch.__version__}; {len(images)} films, {given.size} px, {films.name}")
    for name, spent in zip(works, times.T, strict=True):
        print(f"{name:28s} median {np.median(spent):.2f} CPU s (min {spent.min():.2f}, max {spent.max():.2f})")
    for name, ratio in {
        "ours / forward pass": times[:, 1] / times[:, 0],
        "pytorch-grad-cam / ours": times[:, 2] / times[:, 1],
    }.items():
        print(f"{name:28s} median {np.median(ratio):.2f} (min {ratio.min():.2f}, max {ratio.max():.2f})")
    print(f"largest difference of the maps: {np.abs(ours() - theirs()).max():.4f}")


if __name__ == "__main__":
    main()
