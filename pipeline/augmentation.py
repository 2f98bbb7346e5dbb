"""Augmentation of 2D skeleton sequences (paper section 3.2): temporal, orientation, flip, position, in this order.

Everything happens in heatmap coordinates (u, v), before rendering, with the crop box of the original sequence, so
that one heatmap pixel means the same before and after.

Shapes: M frames before, N frames after, K joints.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from pydantic import Field
from scipy.ndimage import gaussian_filter1d

from pipeline.config import Config
from pipeline.skeleton import Skeleton


class AugmentationConfig(Config):
    """Probabilities are per sequence and independent; the defaults are the paper's Table 9, except temporal_prob."""

    temporal_prob: float = Field(1.0, ge=0, le=1)  # CASA's code always drops frames; the paper's Table 9 prints 0.5
    temporal_max_share: float = Field(0.5, ge=0, lt=1)
    orientation_prob: float = Field(0.3, ge=0, le=1)
    orientation_rad: float = Field(0.1, ge=0)
    flip_prob: float = Field(0.3, ge=0, le=1)
    flip_exchanges_sides: bool = True
    position_prob: float = Field(0.3, ge=0, le=1)
    position_px: float = Field(1.0, ge=0)
    position_torso: float = Field(0.1, ge=0)  # of coordinates, in lengths of the torso: CASA's
    smooth_frames: float = Field(0.0, ge=0)  # std of a Gaussian over time that makes the noise smooth; 0 is IID
    brightness: float = Field(32, ge=0, le=255)  # of pictures: shifted by up to so many grey levels of 255
    contrast: float = Field(0.5, ge=0, lt=1)  # of pictures: a factor within 1 +- this
    light_per_frame: bool = False  # ours: True draws both anew for each frame, so that its light does not give it away


@dataclass(frozen=True)
class Augmented:
    """An augmented sequence. index[j] is the original frame that augmented frame j came from (i_gt, strictly rising).

    index and flipped hold for every modality of the sequence: all show the same frames, all mirrored or none.
    """

    uv: Float32[np.ndarray, "N K 2"]
    confidence: Float32[np.ndarray, "N K"]
    index: Int64[np.ndarray, " N"]
    flipped: bool


def augment(
    uv: Float32[np.ndarray, "M K 2"],
    confidence: Float32[np.ndarray, "M K"],
    px_per_cell: Float32[np.ndarray, "2"],
    skeleton: Skeleton,
    size_px: int,
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> Augmented:
    """Draw one augmented version of a sequence in heatmap coordinates.

    px_per_cell: frame pixels per heatmap pixel along u and v, so that a limb turns by a true angle also where the
    crop stretches the axes differently. Missing joints (confidence 0) stay missing.
    """
    index = np.arange(len(uv))
    if rng.random() < config.temporal_prob:
        index = drop_frames(len(uv), rng.uniform(0, config.temporal_max_share), rng)
    uv, confidence = uv[index], confidence[index]
    if skeleton.chains and rng.random() < config.orientation_prob:
        chain = list(skeleton.chains.values())[rng.integers(len(skeleton.chains))]
        angles = config.orientation_rad * noise((len(uv),), config.smooth_frames, rng)
        angles = angles * (confidence[:, chain[0]] > 0)  # a missing joint is no place to turn about
        uv = rotate_chain(uv, chain, angles, px_per_cell)
    flipped = rng.random() < config.flip_prob
    if flipped:
        uv, confidence = flip(uv, confidence, size_px, skeleton.mirrored if config.flip_exchanges_sides else None)
    if rng.random() < config.position_prob:
        uv = uv + config.position_px * noise(uv.shape, config.smooth_frames, rng)
    return Augmented(uv.astype(np.float32), confidence, index, flipped)


def drop_frames(num_frames: int, share: float, rng: np.random.Generator) -> Int64[np.ndarray, " N"]:
    """The frames that remain, in order, after int(share * num_frames) random ones are deleted."""
    dropped = rng.permutation(num_frames)[: int(share * num_frames)]
    return np.delete(np.arange(num_frames), dropped)


def rotate_chain(
    uv: Float32[np.ndarray, "N K 2"],
    chain: tuple[int, ...],
    angles_rad: Float32[np.ndarray, " N"],
    px_per_cell: Float32[np.ndarray, "2"],
) -> Float32[np.ndarray, "N K 2"]:
    """Turn a chain's descendants about its proximal joint by one angle a frame, measured in frame pixels."""
    proximal, descendants = chain[0], list(chain[1:])
    offset = (uv[:, descendants] - uv[:, proximal, None]) * px_per_cell
    cos, sin = np.cos(angles_rad)[:, None], np.sin(angles_rad)[:, None]
    turned = np.stack([cos * offset[..., 0] - sin * offset[..., 1], sin * offset[..., 0] + cos * offset[..., 1]], -1)
    result = uv.copy()
    result[:, descendants] = uv[:, proximal, None] + turned / px_per_cell
    return result


def flip(
    uv: Float32[np.ndarray, "N K 2"],
    confidence: Float32[np.ndarray, "N K"],
    size_px: int,
    mirrored: Int64[np.ndarray, " K"] | None,
) -> tuple[Float32[np.ndarray, "N K 2"], Float32[np.ndarray, "N K"]]:
    """Mirror inside the crop; with `mirrored` (K,), left and right joints also exchange their names."""
    uv = uv.copy()
    uv[..., 0] = size_px - 1 - uv[..., 0]
    return (uv, confidence) if mirrored is None else (uv[:, mirrored], confidence[:, mirrored])


def noise(shape: tuple[int, ...], smooth_frames: float, rng: np.random.Generator) -> np.ndarray:
    """Standard normal noise, IID or smooth over the first axis with the same variance."""
    drawn = rng.standard_normal(shape, dtype=np.float32)
    if smooth_frames:
        smooth = gaussian_filter1d(drawn, smooth_frames, axis=0, mode="wrap")
        impulse = np.zeros(shape[0])
        impulse[0] = 1
        drawn = smooth / np.linalg.norm(gaussian_filter1d(impulse, smooth_frames, mode="wrap"))
    return drawn.astype(np.float32)
