"""Time-contrastive network of a single view (Sermanet et al., "Time-Contrastive Networks", ICRA 2018, section III).

Frames near in time attract each other, all others of the video repel each other; no second video is needed. The default
is the n-pairs form (Sohn, 2016) that TCC (Dwibedi et al., CVPR 2019) compares itself with; its settings are of TCC's
code, those of the triplet form of TCN's.

Shapes: B pairs, T time of the longest sequence, K anchors, D width.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor

from pipeline.objectives.base import ObjectiveSettings, OneVideoObjective, View
from pipeline.objectives.parts.sampling import frames_at, random_frames, random_one


class Settings(ObjectiveSettings):
    """form: `n_pairs`: a softmax over the positives of all anchors; `triplet`: a hinge against one negative.

    anchors: frames drawn of each video. window: how many frames away from its anchor a positive may be.
    temperature: of the softmax; TCC's code has none, so 1. regularization: weight of the squared norms (n-pairs).
    margin: of the hinge, in squared distance on the unit sphere. negative_window: how many frames away a negative must
    be at least; TCN's code takes twice the positive window.
    """

    name: Literal["tcn"] = "tcn"
    form: Literal["n_pairs", "triplet"] = "n_pairs"
    anchors: int = Field(20, ge=2)
    window: float = Field(5, gt=0)
    temperature: float = Field(1.0, gt=0)
    regularization: float = Field(0.002, ge=0)
    margin: float = Field(0.2, gt=0)
    negative_window: float = Field(10, gt=0)


def frame_distances(view: View, anchor: Int64[Tensor, "B K"]) -> Float[Tensor, "B K T"]:
    """|time| from each anchor to every frame of its video, in frames; NaN to itself and to padding."""
    time = view.time.float()
    distance = (time.gather(1, anchor)[:, :, None] - time[:, None]).abs()
    itself = torch.arange(time.shape[1], device=time.device) == anchor[..., None]
    return distance.masked_fill(itself | ~view.keep[:, None], torch.nan)


def draw_positive(distance: Float[Tensor, "B K T"], settings: Settings) -> Int64[Tensor, "B K"]:
    """A frame within the window, before or after the anchor; the nearest one where a view shows none within it."""
    nearest = distance.nan_to_num(nan=torch.inf).amin(dim=-1, keepdim=True)
    return random_one(distance <= nearest.clamp_min(settings.window))


def draw_negative(distance: Float[Tensor, "B K T"], settings: Settings) -> Int64[Tensor, "B K"]:
    """A frame at least `negative_window` away; the farthest one of a view that is too short for that."""
    farthest = distance.nan_to_num(nan=0).amax(dim=-1, keepdim=True)
    return random_one(distance >= farthest.clamp_max(settings.negative_window))


def n_pairs(
    anchor: Float[Tensor, "B K D"], positive: Float[Tensor, "B K D"], valid: Bool[Tensor, "B K"], settings: Settings
) -> Float[Tensor, "B K"]:
    """-log softmax, over the positives of the video, of the dot product with one's own, + the squared norms."""
    similarity = anchor @ positive.mT / settings.temperature
    log_probability = similarity.masked_fill(~valid[:, None], -torch.inf).log_softmax(dim=2)
    squared_norm = anchor.square().sum(dim=-1) + positive.square().sum(dim=-1)
    return 0.25 * settings.regularization * squared_norm - log_probability.diagonal(dim1=1, dim2=2)


def triplet(
    anchor: Float[Tensor, "B K D"], positive: Float[Tensor, "B K D"], negative: Float[Tensor, "B K D"], margin: float
) -> Float[Tensor, "B K"]:
    """max(0, |a - p|^2 - |a - n|^2 + margin) of embeddings scaled to length 1, as in TCN's code for this form."""
    anchor, positive, negative = (F.normalize(z, dim=-1) for z in (anchor, positive, negative))
    difference = (anchor - positive).square().sum(dim=-1) - (anchor - negative).square().sum(dim=-1)
    return F.relu(difference + margin)


class Objective(OneVideoObjective):
    """Mean over anchors, then over videos, then over both views, which it does not compare."""

    def of_video(self, view: View) -> Float[Tensor, ""]:
        settings, z = self.settings, view.z.float()
        frames, valid = random_frames(view.keep, settings.anchors)
        distance = frame_distances(view, frames)
        anchor, positive = frames_at(z, frames), frames_at(z, draw_positive(distance, settings))
        if settings.form == "n_pairs":
            loss = n_pairs(anchor, positive, valid, settings)
        else:
            loss = triplet(anchor, positive, frames_at(z, draw_negative(distance, settings)), settings.margin)
        return (loss.masked_fill(~valid, 0).sum(dim=1) / valid.sum(dim=1)).mean()
