"""Shuffle and learn (Misra et al., "Unsupervised Learning using Temporal Order Verification", ECCV 2016, section 3).

A classifier is asked whether three frames of a video are in order. Five frames a < b < c < d < e give the triplets:
(b, c, d) is in order, (b, a, d) and (b, e, d) are not. The sampling, the classifier and the settings are those of TCC's
code (Dwibedi et al., CVPR 2019), which draws the five anywhere; Misra et al. draw them where there is much motion.

Shapes: B pairs, T time of the longest sequence, N triplets, D width.
"""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor, nn

from pipeline.objectives.base import ObjectiveSettings, OneVideoObjective, View
from pipeline.objectives.parts.sampling import random_frames


class Settings(ObjectiveSettings):
    """triplets: drawn of each video in a step. shuffle_fraction: how many of them are out of order.

    hidden: widths of the classifier's hidden layers.
    """

    name: Literal["sal"] = "sal"
    frames: int | None = Field(None, ge=5)
    triplets: int = Field(8, ge=1)
    shuffle_fraction: float = Field(0.75, ge=0, le=1)
    hidden: tuple[int, ...] = (128, 64)


def draw_triplets(
    keep: Bool[Tensor, "B T"], settings: Settings
) -> tuple[Int64[Tensor, "N 3"], Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """Positions of three frames, whether they are out of order, and whether the video has the five frames they need.

    N = B * triplets, those of one video side by side. Half of the triplets, at random, are read backwards; that leaves
    them in order or not, as they are.
    """
    keep = keep.repeat_interleave(settings.triplets, dim=0)
    five, valid = random_frames(keep, 5)
    num, device = len(keep), keep.device
    backwards, early = torch.rand(2, num, device=device) < 0.5
    shuffled = torch.randperm(num, device=device) < int(settings.shuffle_fraction * num)
    a, b, c, d, e = torch.where(backwards[:, None], five.flip(1), five).unbind(dim=1)
    middle = torch.where(shuffled, torch.where(early, a, e), c)
    return torch.stack([b, middle, d], dim=1), shuffled, valid.all(dim=1)


class Objective(OneVideoObjective):
    """Cross-entropy of "in order" and "shuffled": mean over the triplets of all videos of a view, then over both views.

    The views are not compared. A video of fewer than five frames counts nothing.
    """

    def __init__(self, settings: Settings, width: int):
        super().__init__(settings, width)
        widths = (3 * width, *settings.hidden)
        hidden = [layer for sizes in pairwise(widths) for layer in (nn.Linear(*sizes), nn.ReLU())]
        self.classifier = nn.Sequential(*hidden, nn.Linear(widths[-1], 2))

    def of_video(self, view: View) -> Float[Tensor, ""]:
        frames, shuffled, valid = draw_triplets(view.keep, self.settings)
        video = torch.arange(len(frames), device=frames.device) // self.settings.triplets
        logits = self.classifier(view.z.float()[video[:, None], frames].flatten(1))
        loss = F.cross_entropy(logits, shuffled.long(), reduction="none").masked_fill(~valid, 0)
        return loss.sum() / valid.sum().clamp_min(1)
