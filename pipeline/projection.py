"""3D poses to 2D: orthographic projection into a virtual frame (method: paper section 3.1; CASA's normalisation).

Axes of 3D joints: x right, y up, z towards the viewer. Shapes: F frames, K joints.
"""

import logging
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from pipeline.clip import Clip
from pipeline.config import Config, InputError
from pipeline.sequence import PoseSequences, clips_of, from_clips
from pipeline.skeleton import Skeleton

log = logging.getLogger(__name__)

PARALLEL = 1e-6  # an xaxis pair whose part across the zaxis is shorter than this, relative to it, has no direction


class ProjectConfig(Config):
    """normalise: none projects the joints as they are, casa each frame in its body's own axes (`casa_normalise`).

    azimuth_deg: the camera goes round the performer, towards the image's right. elevation_deg: it goes up.
    frame_px: side of the square virtual frame.
    """

    normalise: Literal["none", "casa"] = "none"
    azimuth_deg: float = Field(0, allow_inf_nan=False)
    elevation_deg: float = Field(0, ge=-90, le=90)
    frame_px: int = Field(256, ge=2)


def casa_normalise(joints: Float[np.ndarray, "F K 3"], skeleton: Skeleton) -> Float[np.ndarray, "F K 3"]:
    """CASA's per-frame normalisation [Kwon et al., CVPR 2022]: position, orientation and size of the body removed.

    The first joint of `zaxis` becomes the origin and its second (0, 0, 1); the `xaxis` pair points to +x, apart from
    its part along z. Missing joints are NaN. A frame that lacks one of these joints, or in which the pairs have no
    direction of their own (zero length, parallel), is NaN as a whole. Raises InputError for a skeleton without axes.
    """
    if skeleton.zaxis is None or skeleton.xaxis is None:
        raise InputError(
            f"Expected a skeleton with 'zaxis' and 'xaxis', but {skeleton.name!r} lacks them. Add them, or set"
            " project.normalise to none."
        )
    joints = joints.astype(np.float64)
    origin = joints[:, skeleton.zaxis[0]]
    z = joints[:, skeleton.zaxis[1]] - origin
    length = np.linalg.norm(z, axis=1, keepdims=True)
    length[length == 0] = np.nan
    z = z / length
    across = joints[:, skeleton.xaxis[1]] - joints[:, skeleton.xaxis[0]]
    x = across - (across * z).sum(axis=1, keepdims=True) * z
    size = np.linalg.norm(x, axis=1, keepdims=True)
    size[size <= PARALLEL * np.linalg.norm(across, axis=1, keepdims=True)] = np.nan
    length[np.isnan(size)] = np.nan  # the whole frame, not x and y alone
    x = x / size
    body = np.stack([x, np.cross(z, x), z], axis=1)
    return np.einsum("fij,fkj->fki", body, joints - origin[:, None]) / length[:, None]


def project(sequences: PoseSequences, config: ProjectConfig, to_train: bool = True) -> PoseSequences:
    """3D poses to pixels, y down, each sequence with one scale in the middle of its frame; 2D poses as they are.

    Of CASA-normalised bodies the image shows x and z (at azimuth and elevation 0), so `zaxis` points down. What
    `casa_normalise` cannot orient becomes missing; a sequence of which nothing is left is left out. to_train: as of
    `from_clips`.
    """
    if sequences.joints.shape[2] == 2:
        return sequences
    confidence = sequences.confidence
    joints = sequences.joints.astype(np.float64)
    if config.normalise == "casa":
        joints[confidence == 0] = np.nan
        joints = casa_normalise(joints, sequences.skeleton)[..., [0, 2, 1]] * (1, -1, 1)  # z points down
        lost = (confidence > 0) & np.isnan(joints).any(axis=2)
        if lost.any():
            log.warning("%d frames of %s have no body axes and are missing", lost.any(axis=1).sum(), sequences.dataset)
        confidence = np.where(lost, 0, confidence).astype(np.float32)
    pixels = np.nan_to_num(joints) @ _view(config).T
    clips = clips_of(replace(sequences, joints=pixels, confidence=confidence), sequences.dataset)
    return from_clips(
        (_fitted(clip, config.frame_px) for clip in clips),
        dataset=sequences.dataset,
        skeleton=sequences.skeleton,
        event_names=sequences.event_names,
        poses="synthetic" if sequences.poses == "synthetic" else "projected",
        labels=sequences.labels,
        left_out=sequences.left_out,
        provenance=sequences.provenance,
        to_train=to_train,
    )


def _view(config: ProjectConfig) -> Float[np.ndarray, "2 3"]:
    """The image's x and y (down) in the axes of the joints."""
    azimuth, elevation = np.radians([config.azimuth_deg, config.elevation_deg])
    right = (np.cos(azimuth), 0, -np.sin(azimuth))
    down = (np.sin(azimuth) * np.sin(elevation), -np.cos(elevation), np.cos(azimuth) * np.sin(elevation))
    return np.array([right, down])


def _fitted(clip: Clip, frame_px: int) -> Clip:
    """Scale and shift a sequence so that its visible joints fill the frame, pixels 0 to frame_px - 1."""
    visible = clip.confidence > 0
    joints = clip.joints
    if visible.any():
        low, high = joints[visible].min(axis=0), joints[visible].max(axis=0)
        extent = (high - low).max()
        scale = (frame_px - 1) / extent if extent > 0 else 1.0
        joints = (joints - (low + high) / 2) * scale + (frame_px - 1) / 2
        joints = joints.clip(0, frame_px - 1)  # rounding
    return replace(clip, joints=joints, frame_size=(frame_px, frame_px))
