"""Video as a stochastic process (Zhang et al., "Modeling Video as Stochastic Processes", CVPR 2023), no labels.

Between two moments of a video the embeddings shall follow a Brownian bridge: a frame between them lies near the line
that joins theirs, the nearer the closer it is to one of them in time, and frames of other bridges do not.

Shapes: B pairs, T time of the longest sequence, S bridges of a video, Q bridges of all videos, D width.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor

from pipeline.objectives.base import ObjectiveSettings, OneVideoObjective, View
from pipeline.objectives.parts.distances import squared_distances
from pipeline.objectives.parts.sampling import frames_at


class Settings(ObjectiveSettings):
    """bridges: of each video, one after another. overlap: the largest share of a bridge that its neighbour covers, too.

    steps: time is counted in this many steps a video, so that the spread of a bridge does not depend on the frame rate;
    a configuration of the released code samples 80 frames of a video. spread: a bridge's variance at its point is
    alpha * (tail - point); `literal` takes it so, as the paper does, `vsp` takes that for the deviation, as the code
    does. negatives: frames of all other bridges of the `batch`, as in the code, or of the same `video` only.
    """

    name: Literal["vsp"] = "vsp"
    frames: int | None = Field(None, ge=3)
    bridges: int = Field(5, ge=1)
    overlap: float = Field(0.2, ge=0, lt=1)
    steps: float = Field(80, gt=0)
    spread: Literal["vsp", "literal"] = "vsp"  # what the released code trains with
    negatives: Literal["batch", "video"] = "batch"


def draw_bridges(keep: Bool[Tensor, "B T"], settings: Settings) -> tuple[Int64[Tensor, "B S 3"], Bool[Tensor, "B S"]]:
    """Positions of the head, the point and the tail of each bridge, and whether there is such a bridge.

    The bridges cut a sequence into equal parts, each of which then reaches a random bit into its neighbours; the
    outermost ends move inwards. A sequence too short for parts of three frames is cut into fewer; two frames give none.
    """
    part = torch.arange(settings.bridges, device=keep.device)
    last = keep.sum(dim=1, keepdim=True) - 1
    num_parts = (last // 2).clamp(1, settings.bridges)
    length = last / num_parts
    u_head, u_tail, u_point = torch.rand(3, len(keep), settings.bridges, device=keep.device)
    reach = length * settings.overlap / (2 - settings.overlap)
    head = (part * length - torch.where(part == 0, -u_head, u_head) * reach).round()
    tail = ((part + 1) * length + torch.where(part == num_parts - 1, -u_tail, u_tail) * reach).round()
    point = head + 1 + (u_point * (tail - head - 1)).floor()
    valid = (part < num_parts) & (tail - head >= 2)
    return torch.stack([head, point, tail], dim=-1).long().masked_fill(~valid[..., None], 0), valid


def bridge_logits(
    z: Float[Tensor, "Q 3 D"], time: Float[Tensor, "Q 3"], spread: Literal["vsp", "literal"]
) -> Float[Tensor, "Q Q 3"]:
    """-|x - mean|^2 / (2 sigma^2) of every frame x of every bridge at the point of each bridge (the first axis)."""
    head, point, tail = time.unbind(dim=1)
    alpha = (point - head) / (tail - head)
    mean = z[:, 0] + alpha[:, None] * (z[:, 2] - z[:, 0])
    squared = squared_distances(mean, z.flatten(0, 1))
    variance = (alpha * (tail - point)).pow(2 if spread == "vsp" else 1)
    return (-squared / (2 * variance[:, None])).unflatten(1, (-1, 3))


class Objective(OneVideoObjective):
    """-log of the share that a bridge's own point has among itself and the frames of the others.

    Mean over the bridges of all videos of a view, then over both views, which it does not compare.
    """

    def of_video(self, view: View) -> Float[Tensor, ""]:
        frames, valid = draw_bridges(view.keep, self.settings)
        z = frames_at(view.z.float(), frames.flatten(1)).unflatten(1, frames.shape[1:])[valid]
        time = view.time.float() * (self.settings.steps / view.num_frames)[:, None]
        logits = bridge_logits(z, time.gather(1, frames.flatten(1)).view(frames.shape)[valid], self.settings.spread)
        own = logits.diagonal()[1]
        counts = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
        if self.settings.negatives == "video":
            video = valid.nonzero()[:, 0]
            counts &= video[:, None] == video
        others = logits.masked_fill(~counts[..., None], -torch.inf).flatten(1)
        loss = torch.cat([own[:, None], others], dim=1).logsumexp(dim=1) - own
        return loss.sum() / max(len(z), 1)
