"""Augmentation by policy; the policy knows the anatomy.

Every image of a batch draws its own parameters: one affine warp for the whole batch (``affine_grid``/``grid_sample``),
then light and colour, on whatever device the batch lies.
"""

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from medcourse.arguments import one_of
from medcourse.data.cohort import Cohort
from medcourse.errors import LateralityError, TrainingError


@dataclass(frozen=True)
class _Policy:
    rotation: float = 0.0  # degrees, drawn from -rotation..rotation
    shift: float = 0.0  # share of the image's side
    zoom: float = 0.0  # share
    brightness: float = 0.0  # added, in units of the full range
    contrast: float = 0.0  # share
    colour: float = 0.0  # share, one factor per channel
    stain: float = 0.0  # share, one factor for haematoxylin and one for eosin
    flip: bool = False  # left-right
    flip_vertical: bool = False


POLICIES = {
    # A film is taken upright, at about the same distance, with the heart on the left: it is never mirrored.
    "chest": _Policy(rotation=7, shift=0.05, zoom=0.08, brightness=0.06, contrast=0.12),
    # A dermatoscope has no up or down and no left or right.
    "skin": _Policy(
        rotation=180, shift=0.05, zoom=0.12, brightness=0.05, contrast=0.1, colour=0.05, flip=True, flip_vertical=True
    ),
    # Tissue on a slide has no up or down either; how much of each stain it takes up is the laboratory's.
    "histology": _Policy(
        rotation=180,
        shift=0.05,
        zoom=0.1,
        brightness=0.03,
        contrast=0.08,
        colour=0.03,
        stain=0.2,
        flip=True,
        flip_vertical=True,
    ),
}

# Optical density of haematoxylin and of eosin in red, green and blue (Ruifrok & Johnston 2001), each of length 1.
_STAINS = F.normalize(torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]), dim=1)
_DARKEST = 1 / 255  # a black pixel has no logarithm


class Augmentation:
    """Random changes that leave the diagnosis alone: float images in [0, 1], N x C x H x W, to the same.

    What each parameter is for, and its value in "chest", "skin" and "histology":

    - ``rotation`` (7, 180, 180 degrees; drawn from -rotation to rotation): nobody stands quite straight before the detector,
      but a film has an up. A dermatoscope and a slide have none.
    - ``shift`` (0.05 of the side in all): no two pictures are aimed at the same point. More would cut off what counts.
    - ``zoom`` (0.08, 0.12, 0.1): distance and body size differ. Little, because the size of a heart, a mole or a nucleus is a
      sign itself.
    - ``brightness`` (0.06, 0.05, 0.03 of the range) and ``contrast`` (0.12, 0.1, 0.08): exposure, lamp and processing
      differ. Little, because brightness is density: a white lung is a finding, a dark nucleus, too.
    - ``colour`` (0, 0.05, 0.03; a factor for each channel): lamps and white balance differ. Little, because colour is a sign
      of melanoma. A film has none.
    - ``stain`` (0, 0, 0.2; factors for haematoxylin and eosin): each laboratory stains in its own way. In optical density, by
      colour deconvolution (Ruifrok & Johnston 2001, Anal Quant Cytol Histol 23:291); as augmentation Tellez et al. 2018,
      IEEE Trans Med Imaging 37:2126. For RGB images.
    - ``flip`` and ``flip_vertical`` (off, on, on; each for one image in two): skin and tissue look alike in a mirror. A chest
      does not: heart, stomach and liver change sides, as in situs inversus totalis. (In isolated dextrocardia only the
      heart does, so no mirror makes that.) A vertical flip is a mirror, too: it is a left-right flip, turned by 180 degrees.

    Args:
        policy: "chest", "skin" or "histology".
        allow_laterality_flip: mirror even images in which left and right mean something (to see what that does).
        **changes: parameters by name, for example ``rotation=3``.

    Raises:
        ArgumentError: unknown policy or parameter.
    """

    def __init__(self, policy: str, *, allow_laterality_flip: bool = False, **changes: Any) -> None:
        self.name = one_of("policy", policy, POLICIES)
        for field in changes:
            one_of("policy field", field, [known.name for known in fields(_Policy)])
        self.allow_laterality_flip = allow_laterality_flip
        self._policy = replace(POLICIES[policy], **changes)

    def __repr__(self) -> str:
        return f"Augmentation({self.name!r}: {self._policy})"

    @property
    def parameters(self) -> dict[str, float | bool]:
        """Every parameter of the policy by name, those at 0 and off, too."""
        return asdict(self._policy)

    def check(self, cohort: Cohort) -> None:
        """Refuse a mirror flip on a cohort in which left and right mean something, and stain on a grey one.

        Raises:
            LateralityError: the policy mirrors, the cohort declares laterality, and no permission was given.
            TrainingError: the policy varies stain, and the images have no colour.
        """
        if self._policy.stain and cohort.channels != 3:
            raise TrainingError(f"{cohort.name} has {cohort.channels} channel(s): {self._no_stain()}")
        mirrors = [name for name in ("flip", "flip_vertical") if getattr(self._policy, name)]
        if mirrors and cohort.laterality and not self.allow_laterality_flip:
            off = ", ".join(f"{name}=False" for name in mirrors)
            raise LateralityError(
                f"the policy '{self.name}' mirrors images, but {cohort.name} declares laterality: a mirrored chest film shows "
                "heart, stomach and liver on the wrong sides (as in situs inversus totalis). A vertical flip is a mirror, too. "
                f"Use {off}, or allow_laterality_flip=True if that is what you want to study."
            )

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Every image with its own draw.

        Args:
            images: float in [0, 1], N x C x H x W, on any device.
            generator: of random numbers, on the CPU; torch's own when None.

        Raises:
            TrainingError: the policy varies stain, and C is not 3.
        """
        p = self._policy
        if p.stain and images.shape[1] != 3:
            raise TrainingError(f"the images have {images.shape[1]} channel(s): {self._no_stain()}")

        def draw(columns: int = 1) -> Tensor:
            """Uniform in -1..1, N x columns, drawn on the CPU so that every device sees the same numbers."""
            return (torch.rand(len(images), columns, generator=generator) * 2 - 1).to(images)

        angle = draw()[:, 0] * math.radians(p.rotation)
        scale = 1 / (1 + draw()[:, 0] * p.zoom)
        offset = draw(2) * 2 * p.shift
        mirror_x = torch.where(draw()[:, 0] < 0, -1.0, 1.0) if p.flip else torch.ones_like(angle)
        mirror_y = torch.where(draw()[:, 0] < 0, -1.0, 1.0) if p.flip_vertical else torch.ones_like(angle)
        row_x = torch.stack([angle.cos() * scale * mirror_x, -angle.sin() * scale * mirror_y, offset[:, 0]], 1)
        row_y = torch.stack([angle.sin() * scale * mirror_x, angle.cos() * scale * mirror_y, offset[:, 1]], 1)
        grid = F.affine_grid(torch.stack([row_x, row_y], 1), list(images.shape), align_corners=False)
        out = F.grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)
        if p.stain:
            out = restain(out, 1 + draw(2) * p.stain)
        contrast = 1 + draw().reshape(-1, 1, 1, 1) * p.contrast
        light = draw().reshape(-1, 1, 1, 1) * p.brightness
        mean = out.mean((1, 2, 3), keepdim=True)
        out = (out - mean) * contrast + mean + light
        if p.colour:
            out = out * (1 + draw(images.shape[1])[:, :, None, None] * p.colour)
        return out.clamp(0, 1)

    def _no_stain(self) -> str:
        return (
            f"the policy '{self.name}' varies stain, which needs red, green and blue. Load RGB images, or use stain=0."
        )


def restain(images: Tensor, amounts: Tensor) -> Tensor:
    """Other amounts of haematoxylin and eosin in the same tissue.

    By Beer and Lambert, the optical density ``-log(image)`` of a pixel is the sum of its stains' densities. It is taken
    apart into haematoxylin, eosin and a remainder at right angles to both (Ruifrok & Johnston 2001), the two are
    multiplied, and the parts are put together again.

    Args:
        images: float in [0, 1], N x 3 x H x W (red, green, blue).
        amounts: float, N x 2: factors of haematoxylin and eosin, 0 or more; 1 leaves a stain as it is.

    Returns:
        As ``images``; at most 1 where the density was 0 or more.
    """
    stains = _STAINS.to(images)
    parts = torch.cat([stains, torch.linalg.cross(stains[0], stains[1])[None]])
    factors = torch.cat([amounts.to(images), torch.ones_like(amounts[:, :1]).to(images)], 1)
    change = torch.linalg.inv(parts) @ (factors[:, :, None] * parts)  # N x 3 x 3, density before to density after
    density = -images.clamp_min(_DARKEST).log()
    return torch.einsum("nchw,ncd->ndhw", density, change).neg().exp()
