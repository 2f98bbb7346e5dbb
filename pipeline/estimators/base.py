"""What a 2D pose estimator is to the rest: frames in, the people of each frame out.

Shapes: B frames of a batch, H x W pixels, P people in a frame, K joints.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class People:
    """The people of one frame, none to many.

    joints: (P, K, 2) float32 pixels, y down; the centre of the first pixel is (0, 0). Or (P, K, 3) in metres: x right,
    y up, z towards the viewer. confidence: (P, K) float32 in [0, 1]; 0 where the joint was not found.
    """

    joints: np.ndarray
    confidence: np.ndarray


class Estimator(Protocol):
    """One estimator, ready to run in this process. Its facts go into the pose store and the report.

    name: as in params.yaml. version: of the package that computes. weights: sha256 of the weights, hexadecimal.
    skeleton: name of a built-in topology of K joints.
    """

    name: str
    version: str
    weights: str
    skeleton: str

    def start(self) -> None:
        """Forget the video before; called before the first frame of each."""

    def __call__(self, frames: np.ndarray) -> list[People]:
        """(B, H, W, 3) uint8 RGB, consecutive frames of one video -> the people of each."""
