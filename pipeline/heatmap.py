"""Joint and limb heatmaps, on the CPU (uint8, to store) and on any device (float, to train); method: section 3."""

from typing import Literal

import numpy as np
import torch
from numba import njit
from pydantic import Field

from pipeline.config import Config
from pipeline.skeleton import Skeleton

# F frames, K joints, L limbs, C channels, S pixels on a side.
Channels = Literal["joints", "limbs", "joints+limbs"]


class RenderConfig(Config):
    """How heatmaps are drawn.

    sigma_px: in heatmap pixels if sigma_space is "grid" (isotropic there), in frame pixels if it is "frame" (then
    anisotropic on the grid: what a full-frame map, cropped and resized, would show). padding: see `crop_box`.
    """

    size_px: int = Field(30, ge=1)
    sigma_px: float = Field(0.6, gt=0)
    sigma_space: Literal["grid", "frame"] = "grid"
    channels: Channels = "joints+limbs"
    padding: float = Field(0.0, ge=0)
    keep_aspect: bool = False


def num_channels(skeleton: Skeleton, channels: Channels) -> int:
    """C: joint maps come first, limb maps after them."""
    joint_maps, limb_maps = _drawn(channels)
    return skeleton.num_joints * joint_maps + skeleton.num_limbs * limb_maps


def grid_sigma(box: np.ndarray, config: RenderConfig) -> np.ndarray:
    """(..., 2) float32 sigma along u and v, in heatmap pixels, for sequences cropped to `box` (..., 4)."""
    scale = config.size_px / box[..., 2:] if config.sigma_space == "frame" else np.ones_like(box[..., 2:])
    return (config.sigma_px * scale).astype(np.float32)


def _drawn(channels: Channels) -> tuple[bool, bool]:
    return channels != "limbs", channels != "joints"


LANES = 16  # a row is drawn in spans of so many pixels: one AVX-512 register, two of AVX2

# exp(-t / 16) by a polynomial, then to the 8th power, is exp(-t / 2) within 1e-4 on [0, FAR]; there it rounds to 0.
FAR = np.float32(16)
E0, E1, E2, E3, E4 = (
    np.polynomial.Chebyshev.interpolate(lambda t: np.exp(-t / 16), 4, domain=[0, FAR])
    .convert(kind=np.polynomial.Polynomial)
    .coef.astype(np.float32)
)
REACH = np.float32(np.sqrt(2 * np.log(510)))  # in sigmas: beyond it 255 * g rounds to 0
POINT = np.float32(1e-6)  # in sigmas: a shorter limb has no direction of its own
# Numba would widen float32 to float64 next to a Python number.
ZERO, HALF, ONE, FULL = np.float32([0, 0.5, 1, 255])


@njit(inline="always")
def _gauss(t):
    """exp(-t / 2), 0 <= t."""
    t = min(t, FAR)
    e = E0 + t * (E1 + t * (E2 + t * (E3 + t * E4)))
    e *= e
    e *= e
    return e * e


@njit(inline="always")
def _reached(low, high, sigma, size):
    """First and one past the last pixel within REACH of [low, high], all in sigmas."""
    first = np.ceil((low - REACH) * sigma)  # np, not math: math.ceil keeps LLVM from vectorising
    end = np.floor((high + REACH) * sigma) + ONE
    bound = np.float32(size)
    return int(min(max(first, ZERO), bound)), int(min(max(end, ZERO), bound))


# All of fast math but the promise that there is no NaN: a confidence may be one.
@njit(nogil=True, cache=True, fastmath={"reassoc", "arcp", "contract", "nsz"}, error_model="numpy")
def _render(uv, confidence, limbs, sigma, joint_maps, limb_maps, out):
    """Draw into out (F, C, S, S), S >= LANES. Everything is measured in sigmas, in which the Gaussian is round."""
    num_frames, num_joints = confidence.shape
    size = out.shape[3]
    x = np.empty(size, np.float32)
    line = np.empty(LANES, np.float32)
    for f in range(num_frames):
        out[f] = 0
        su, sv = sigma[f, 0], sigma[f, 1]
        for i in range(size):
            x[i] = np.float32(i) / su
        if joint_maps:
            for k in range(num_joints):
                score = confidence[f, k] * FULL
                if not score > ZERO:  # NaN too
                    continue
                u, v = uv[f, k, 0] / su, uv[f, k, 1] / sv
                left, right = _reached(u, u, su, size)
                top, bottom = _reached(v, v, sv, size)
                for start in range(left, right, LANES):
                    at = min(start, size - LANES)  # a span never leaves its row; pixels drawn twice are drawn alike
                    for i in range(LANES):
                        du = x[at + i] - u
                        line[i] = score * _gauss(du * du)
                    for j in range(top, bottom):
                        dv = np.float32(j) / sv - v
                        factor = _gauss(dv * dv)
                        pixels = out[f, k, j, at : at + LANES]
                        for i in range(LANES):
                            pixels[i] = np.uint8(np.int32(line[i] * factor + HALF))
        if limb_maps:
            first = num_joints if joint_maps else 0
            for n in range(len(limbs)):
                a, b = limbs[n, 0], limbs[n, 1]
                ca, cb = confidence[f, a], confidence[f, b]
                if not (ca > ZERO and cb > ZERO):
                    continue
                score = min(ca, cb) * FULL
                ua, va, ub, vb = uv[f, a, 0] / su, uv[f, a, 1] / sv, uv[f, b, 0] / su, uv[f, b, 1] / sv
                length = np.sqrt((ub - ua) ** 2 + (vb - va) ** 2)
                tu, tv = ((ub - ua) / length, (vb - va) / length) if length > POINT else (ONE, ZERO)
                half, mu, mv = HALF * length, HALF * (ua + ub), HALF * (va + vb)
                left, right = _reached(min(ua, ub), max(ua, ub), su, size)
                top, bottom = _reached(min(va, vb), max(va, vb), sv, size)
                for start in range(left, right, LANES):
                    at = min(start, size - LANES)
                    columns = x[at : at + LANES]
                    for j in range(top, bottom):
                        # Along and across the limb from its middle: a column vector plus a row vector each.
                        dv = np.float32(j) / sv - mv
                        along_row, across_row = dv * tv - mu * tu, dv * tu + mu * tv
                        pixels = out[f, first + n, j, at : at + LANES]
                        for i in range(LANES):
                            beyond = max(abs(columns[i] * tu + along_row) - half, ZERO)
                            across = across_row - columns[i] * tv
                            pixels[i] = np.uint8(np.int32(score * _gauss(beyond * beyond + across * across) + HALF))


def render(
    uv: np.ndarray,
    confidence: np.ndarray,
    limbs: np.ndarray,
    sigma: np.ndarray,
    size_px: int,
    channels: Channels,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """(F, C, S, S) uint8 heatmaps, round(255 * g), v along rows and u along columns; on one thread, without the GIL.

    Joint: g = c * exp(-(du^2 / su^2 + dv^2 / sv^2) / 2). Limb: the same of the distance to the segment, times the
    smaller of its two confidences, however short it is. A missing joint (confidence 0 or NaN) leaves its map and its
    limbs' maps empty. uv: (F, K, 2) float32 grid coordinates, anywhere. confidence: (F, K) float32 in [0, 1].
    limbs: (L, 2) int64. sigma: (2,) or (F, 2) float32 heatmap pixels. out: C-contiguous, to draw into.
    """
    joint_maps, limb_maps = _drawn(channels)
    shape = (len(uv), uv.shape[1] * joint_maps + len(limbs) * limb_maps, size_px, size_px)
    out = np.empty(shape, np.uint8) if out is None else out
    assert out.shape == shape and out.dtype == np.uint8 and out.flags.c_contiguous
    drawn = out if size_px >= LANES else np.empty((*shape[:2], LANES, LANES), np.uint8)
    # One type and layout for every caller: numba compiles a kernel for each.
    uv, confidence = np.ascontiguousarray(uv, np.float32), np.ascontiguousarray(confidence, np.float32)
    limbs = np.ascontiguousarray(limbs, np.int64)
    sigma = np.array(np.broadcast_to(sigma, (len(uv), 2)), np.float32, order="C")
    _render(uv, confidence, limbs, sigma, joint_maps, limb_maps, drawn)
    if drawn is not out:
        out[...] = drawn[..., :size_px, :size_px]
    return out


@torch.no_grad()
def render_torch(
    uv: torch.Tensor,
    confidence: torch.Tensor,
    limbs: torch.Tensor,
    sigma: torch.Tensor,
    size_px: int,
    channels: Channels,
) -> torch.Tensor:
    """(F, C, S, S) float heatmaps in [0, 1] on the device and in the type of `uv`: g of `render`, not rounded.

    Arguments as for `render`. Gradients are not tracked. Besides the result it needs the memory of the limb maps once more.
    """
    joint_maps, limb_maps = _drawn(channels)
    sigma = sigma.expand(len(uv), 2)
    uv = uv / sigma[:, None]
    visible = torch.nan_to_num(confidence, nan=0.0).to(uv.dtype)
    uv = torch.where((visible > 0)[..., None], uv, 0)
    grid = torch.arange(size_px, device=uv.device, dtype=uv.dtype) / sigma[..., None]  # (F, 2, S)
    num_joints = uv.shape[1] * joint_maps
    out = uv.new_empty(len(uv), num_joints + len(limbs) * limb_maps, size_px, size_px)
    if joint_maps:
        lines = torch.exp((grid[:, None] - uv[..., None]).square_().mul_(-0.5))  # (F, K, 2, S)
        torch.mul((lines[:, :, 1] * visible[..., None])[..., None], lines[:, :, 0, None], out=out[:, :num_joints])
    if limb_maps:
        start, end = uv[:, limbs[:, 0]], uv[:, limbs[:, 1]]  # (F, L, 2)
        length = (end - start).norm(dim=2, keepdim=True)
        point = torch.tensor([1.0, 0.0], device=uv.device, dtype=uv.dtype)
        tangent = torch.where(length > float(POINT), (end - start) / length, point)
        offset = grid[:, None] - ((start + end) / 2)[..., None]  # (F, L, 2, S)
        du, dv = offset[:, :, 0, None, :], offset[:, :, 1, :, None]
        tu, tv = tangent[..., 0, None, None], tangent[..., 1, None, None]
        beyond = (du * tu + dv * tv).abs_().sub_(length[..., None] / 2).clamp_(min=0)
        maps = torch.sub(dv * tu, du * tv, out=out[:, num_joints:])  # across the limb
        maps.square_().addcmul_(beyond, beyond).mul_(-0.5).exp_()
        maps.mul_(torch.minimum(visible[:, limbs[:, 0]], visible[:, limbs[:, 1]])[..., None, None])
    return out
