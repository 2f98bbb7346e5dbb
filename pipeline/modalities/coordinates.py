"""`pose3d`, `joints2d`: coordinates of the joints, normalised frame by frame (Kwon et al., CVPR 2022: what CASA sees).

The unit is the length of the torso, `zaxis` of the skeleton; its first joint is the origin. Joints that a frame does
not show are interpolated in time; one that no frame of a sequence shows lies at the origin. In `pose3d-zero` and
`joints2d-zero` all that a frame does not show lies at the origin, behind the same normalisation and augmentation: what
joints are worth is asked by taking them away (paper Table 3), and interpolation would give them back.

Shapes: T frames of a sequence, N of its augmented version, K joints, d axes (2 or 3).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from pipeline.augmentation import AugmentationConfig, Augmented, noise
from pipeline.config import InputError
from pipeline.gaps import fill
from pipeline.modalities.base import joined
from pipeline.modalities.stores import Stores
from pipeline.projection import casa_normalise
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton

log = logging.getLogger(__name__)

Missing = Literal["interpolate", "zero"]


@dataclass(frozen=True)
class Coordinates:
    """fetch: n -> (T, K, d) normalised joints, NaN if never seen, and (T, K) which to show at the origin all the same.

    renew: normalises what augmentation has moved.
    """

    fetch: Callable[[int], tuple[np.ndarray, np.ndarray]]
    renew: Callable[[np.ndarray], np.ndarray]
    skeleton: Skeleton
    shape: tuple[int, int]

    @property
    def limbs(self) -> tuple[tuple[int, int], ...]:
        return self.skeleton.limbs

    def original(self, n: int, index: np.ndarray | None = None) -> np.ndarray:
        joints = shown(*self.fetch(n))
        return joints if index is None else joints[index]

    def pairs(
        self,
        numbers: Sequence[int],
        drawn: Sequence[Augmented],
        config: AugmentationConfig,
        rng: np.random.Generator,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        originals = [self.original(n) for n in numbers]
        augmented = []
        for n, d in zip(numbers, drawn, strict=True):
            joints, hidden = (each[d.index] for each in self.fetch(n))
            if d.flipped and config.flip_exchanges_sides:
                hidden = hidden[:, self.skeleton.mirrored]
            augmented.append(shown(self._augmented(joints, d.flipped, config, rng), hidden))
        return joined(originals, device), joined(augmented, device)

    def _augmented(
        self, joints: np.ndarray, flipped: bool, config: AugmentationConfig, rng: np.random.Generator
    ) -> np.ndarray:
        """Orientation and flip, after which the body is normalised anew as in CASA's code; then position.

        CASA turns joints of a body model, and its released code draws those angles without adding them, which is
        `orientation_prob` 0 here. Its noise in the latent space of a body prior, which needs that prior, is left out.
        """
        chains = list(self.skeleton.chains.values())
        if chains and rng.random() < config.orientation_prob:
            chain, axes = chains[rng.integers(len(chains))], 3 if self.shape[1] == 3 else 1
            joints = turn(joints, chain, config.orientation_rad * noise((len(joints), axes), config.smooth_frames, rng))
        if flipped:
            joints = joints * np.float32([-1, 1, 1][: self.shape[1]])
            joints = joints[:, self.skeleton.mirrored] if config.flip_exchanges_sides else joints
        joints = self.renew(joints)
        if rng.random() < config.position_prob:
            joints = joints + config.position_torso * noise(joints.shape, config.smooth_frames, rng)
        return joints


def turn(joints: np.ndarray, chain: tuple[int, ...], rotations: np.ndarray) -> np.ndarray:
    """(N, K, d) joints with a chain's descendants turned about its proximal joint, unless that was never seen.

    rotations: of each frame, radians: (N, 1) about the picture's axis, from x to y, or (N, 3) rotation vectors.
    """
    proximal, descendants = chain[0], list(chain[1:])
    vectors = rotations if rotations.shape[1] == 3 else np.pad(rotations, ((0, 0), (2, 0)))
    axes = joints.shape[2]
    matrices = Rotation.from_rotvec(vectors).as_matrix()[:, :axes, :axes]
    offsets = joints[:, descendants] - joints[:, proximal, None]
    result = joints.copy()
    turned = joints[:, proximal, None] + np.einsum("nij,nkj->nki", matrices, offsets)
    result[:, descendants] = np.where(np.isnan(turned), joints[:, descendants], turned)
    return result


def shown(joints: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """As a network sees them: float32, and what was never seen or is hidden at the origin."""
    return np.where(hidden[..., None], 0, np.nan_to_num(joints)).astype(np.float32)


def filled(joints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(T, K, d) float64 with what a frame lacks interpolated in time, and NaN for joints that are never seen."""
    joints = np.where(seen[..., None], joints, np.nan).astype(np.float64)
    fill(joints, seen)
    return joints


def in_body_axes(joints: np.ndarray, confidence: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """CASA's normalisation of a sequence (T, K, 3); all NaN if the joints of its axes are never seen.

    Joints are interpolated first, so that a frame which lacks a joint of the axes keeps the others. A frame whose axes
    have no direction is interpolated as a whole.
    """
    body = casa_normalise(filled(joints, confidence > 0), skeleton)
    return filled(body, ~np.isnan(body).any(axis=2))


def in_torso_lengths(joints: np.ndarray, confidence: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """What of CASA's normalisation a picture admits, (T, K, 2): the origin moves with the body, the unit is the torso.

    The unit is one for the sequence, its median: a torso that leans towards the camera looks short, and a frame divided
    by it would show a giant. Nothing is turned: that a body lies is seen in the picture. Each end of the torso is the
    middle of `zaxis`'s joint and its partner on the other side, as far as the sequence shows them, since half a body is
    often hidden. If an end is never seen, the origin is the middle of all joints, the unit their root mean square
    distance from it.
    """
    joints = filled(joints, confidence > 0)
    known = ~np.isnan(joints).any(axis=(0, 2))

    def middle(joint: int) -> np.ndarray | None:
        both = [k for k in {joint, int(skeleton.mirrored[joint])} if known[k]]
        return joints[:, both].mean(axis=1) if both else None

    ends = [middle(joint) for joint in skeleton.zaxis or ()]
    if len(ends) == 2 and all(end is not None for end in ends):
        origin, other = ends
        unit = np.median(np.linalg.norm(other - origin, axis=1))
    else:
        origin = joints[:, known].mean(axis=1)
        unit = np.sqrt(np.square(joints[:, known] - origin[:, None]).sum(axis=2).mean())
    return (joints - origin[:, None]) / (unit or 1.0)


def hidden(confidence: np.ndarray, missing: Missing) -> np.ndarray:
    """(T, K): which joints are not shown although the others tell where they are."""
    return (confidence == 0) & (missing == "zero")


def load_2d(stores: Stores, missing: Missing = "interpolate") -> Coordinates:
    """missing: where joints lie that a frame does not show; also of `load_3d`."""
    sequences, skeleton = stores.sequences, stores.sequences.skeleton

    def fetch(n: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = sequences.confidence[sequences.frames(n)]
        joints = in_torso_lengths(sequences.joints[sequences.frames(n)], confidence, skeleton)
        return joints, hidden(confidence, missing)

    return Coordinates(cache(fetch), lambda joints: joints, skeleton, (skeleton.num_joints, 2))


def load_3d(stores: Stores, missing: Missing = "interpolate") -> Coordinates:
    """Raises InputError for extracted poses that are 2D, and for a skeleton without the axes of the normalisation."""
    sequences, extracted = stores.sequences, stores.extracted
    assert extracted is not None, "inputs with 3D poses come with their store"
    skeleton = extracted.skeleton
    _check_3d(extracted)
    number = {name: n for n, name in enumerate(extracted.names)}

    def fetch(n: int) -> tuple[np.ndarray, np.ndarray]:
        frames = extracted.frames(number[sequences.names[n]])
        confidence = extracted.confidence[frames]
        joints = in_body_axes(extracted.joints[frames], confidence, skeleton)
        if np.isnan(joints).all():
            log.warning(
                "%s of %s has no body axes: its joints lie at the origin", sequences.names[n], sequences.dataset
            )
        return joints, hidden(confidence, missing)

    def renew(joints: np.ndarray) -> np.ndarray:
        return casa_normalise(joints, skeleton)

    return Coordinates(cache(fetch), renew, skeleton, (skeleton.num_joints, 3))


def _check_3d(extracted: PoseSequences) -> None:
    skeleton = extracted.skeleton
    if extracted.joints.shape[2] != 3:
        raise InputError(
            "Expected 3D poses for the inputs pose3d and pose3d-zero, but those of data set"
            f" {extracted.dataset!r} are 2D. Choose joints2d or joints2d-zero for it."
        )
    if skeleton.zaxis is None or skeleton.xaxis is None:
        raise InputError(
            "Expected a skeleton with 'zaxis' and 'xaxis' for the inputs pose3d and pose3d-zero, but"
            f" {skeleton.name!r} of data set {extracted.dataset!r} lacks them. Add them."
        )
