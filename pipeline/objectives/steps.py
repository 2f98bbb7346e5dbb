"""Key steps without labels, of several cues (STEPs; Shah et al., ICCV 2023): bootstrapped multi-cue contrast, BMC2.

Frames of a video near in time attract each other and all others repel each other, as in the Contrastive-IDM of LAV
(Haresh et al., CVPR 2021), in each cue (modality) by itself and from one cue to another. Bootstrapped: frames that are
far in time but look alike attract each other, too. Formula and defaults are those of the released code
(anshulbshah/STEPs: `methods/losses.py`, `methods/selfsup.py`, `opts.py`); three things are ours:

- The released code asks frozen, pretrained features which frames look alike. Here an encoder sees pictures itself, so
  its own embeddings u are asked, without a gradient.
- Each cue is compared as its encoder leaves it, where the released network has an MLP above each; a cue narrower than
  another is filled up with zeros, which keeps all its distances.
- The released code evaluates the embeddings of its first cue, we those of the fused cues. So these are a cue as well,
  but only by themselves, as they are made of those that they would be compared with.

Shapes: B pairs, T time of the longest sequence, D width.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from pipeline.objectives.base import ObjectiveSettings, OneVideoObjective, View
from pipeline.objectives.parts.distances import distances, prepared


class Settings(ObjectiveSettings):
    """window_frames: sigma, how many frames apart in their video those are, at most, that attract each other.

    The released code takes 10 s, of long videos; many a clip is shorter than that, so the default is that of LAV here.
    margin: the distance from which on others are left alone; between unit embeddings there are 0 to 2, so all repel.
    bootstrap: the cues that are asked which frames look alike: the `first` (the released code's choice: RGB), `all`
    side by side, or `none`: only time counts. cross: weight of what is compared across cues, in each direction.
    """

    name: Literal["steps"] = "steps"
    window_frames: float = Field(10.0, ge=0)
    margin: float = Field(2.0, gt=0)
    bootstrap: Literal["first", "all", "none"] = "first"
    cross: float = Field(1.0, ge=0)


def frames_apart(view: View) -> Float[Tensor, "B T T"]:
    """|time| between the frames of a video, in frames."""
    return (view.time[:, :, None] - view.time[:, None]).abs()


def both_kept(view: View) -> Bool[Tensor, "B T T"]:
    """Where neither frame is padding."""
    return view.keep[:, :, None] & view.keep[:, None]


@torch.no_grad()
def looking_alike(view: View, window_frames: float) -> Bool[Tensor, "B T T"]:
    """Whether frame j is nearer to frame i (a row) in z than those in the window around i are on average.

    z is standardised frame by frame first, to mean 0 and variance 1 over its width. Of padding it says anything.
    """
    z = F.layer_norm(view.z, view.z.shape[-1:])
    distance = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist")
    itself = torch.eye(z.shape[1], dtype=torch.bool, device=z.device)
    window = (frames_apart(view) <= window_frames) & both_kept(view) & ~itself
    mean = (distance * window).sum(dim=2, keepdim=True) / window.sum(dim=2, keepdim=True).clamp_min(1)
    # Less than, and not at most as in the released code, whose features are frozen: if an encoder made one point of all
    # frames, all would look alike, and the loss would be 0.
    return distance < mean


def contrast(
    distance: Float[Tensor, "B T T"], attract: Bool[Tensor, "B T T"], view: View, margin: float
) -> Float[Tensor, " B"]:
    """Mean over the pairs of frames: distance / w of those that attract each other, w * (lack of the margin) of others.

    w = 1 + the square of their difference in time, in parts of the video.
    """
    weight = 1 + (frames_apart(view) / view.num_frames[:, None, None]).square()
    terms = torch.where(attract, distance / weight, weight * (margin - distance).relu())
    return terms.masked_fill(~both_kept(view), 0).sum(dim=(1, 2)) / view.keep.sum(dim=1).square()


class Objective(OneVideoObjective):
    """Sum of the contrast within each cue and of the first cue with each other one, in both directions.

    Mean over videos, then over both views, which it does not compare. With one modality the only cue is z, and the loss
    is its contrast within; with several the cues are the parts, in their order, and z beside them.
    """

    def of_video(self, view: View) -> Float[Tensor, ""]:
        settings, view = self.settings, prepared(view, normalize=False)
        seen = [prepared(view._replace(z=part), normalize=False).z for part in view.parts] or [view.z]
        attract = frames_apart(view) <= settings.window_frames
        if settings.bootstrap != "none":
            asked = torch.cat(seen, dim=-1) if settings.bootstrap == "all" else seen[0]
            attract = attract | looking_alike(view._replace(z=asked), settings.window_frames)

        cues = [view.z, *seen] if len(seen) > 1 else [view.z]
        widest = max(cue.shape[-1] for cue in cues)
        cues = [F.normalize(F.pad(cue, (0, widest - cue.shape[-1])), dim=-1) for cue in cues]
        loss = sum(contrast(distances(cue, cue), attract, view, settings.margin) for cue in cues)
        for other in cues[2:]:
            across = distances(cues[1], other)
            for distance in (across, across.mT):
                loss = loss + settings.cross * contrast(distance, attract, view, settings.margin)
        return loss.mean()
