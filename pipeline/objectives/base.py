"""What an alignment objective is: its settings, and a loss over pairs of embedded sequences.

A new one is one file in this folder: a class of settings with its own `name`, and a class `Objective` that is built from
them. `objective: {name: ...}` in params.yaml picks it.

Shapes: B pairs, T time of the longest sequence of one side, D width.
"""

from typing import ClassVar, Literal, NamedTuple

from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from pipeline.config import Config


class View(NamedTuple):
    """One side of B pairs of sequences, padded behind their ends.

    z: embeddings, behind the projection head. time: the frame of its video that each position shows, counted from 0 and
    strictly rising. num_frames: of the whole videos, of which a view shows all or some. keep: False where there is padding,
    whose z and time are anything. parts: of the modalities that are fused in z, each by itself, before the head.
    """

    z: Float[Tensor, "B T D"]
    time: Float[Tensor, "B T"]
    num_frames: Float[Tensor, " B"]
    keep: Bool[Tensor, "B T"]
    parts: tuple[Tensor, ...] = ()


class ObjectiveSettings(Config):
    """What every objective can be told; a subclass adds its own.

    frames: of `two_videos`, how many frames of each video a step sees, drawn at random; null: all that augmentation leaves.
    """

    name: str
    frames: int | None = Field(None, ge=2)


class AlignmentObjective(nn.Module):
    """A loss of two views, to be minimised: finite, with finite gradients, for any finite z and two or more kept frames.

    pairs: what the two views show. `augmented`: every frame of a video, and an augmented version of it. `two_videos`: two
    different videos of the action, each augmented by itself (of one video alone, if an action has no other).
    It may have parameters of its own, which are trained with the network's. width: D.
    """

    pairs: ClassVar[Literal["augmented", "two_videos"]]

    def __init__(self, settings: ObjectiveSettings, width: int):
        super().__init__()
        self.settings = settings

    def forward(self, a: View, b: View) -> Float[Tensor, ""]:
        raise NotImplementedError


class OneVideoObjective(AlignmentObjective):
    """The mean of a loss of each view, which are not compared: it looks at one video at a time."""

    pairs = "two_videos"

    def forward(self, a: View, b: View) -> Float[Tensor, ""]:
        return (self.of_video(a) + self.of_video(b)) / 2

    def of_video(self, view: View) -> Float[Tensor, ""]:
        """The loss of the B videos of a view."""
        raise NotImplementedError
