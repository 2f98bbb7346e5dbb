"""A quantity of the body over time: the height of joints, a distance or an angle; gaps bridged, noise smoothed.

Shapes: T frames, K joints, D = 2 (pixels, y down) or 3 (y up).
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from pipeline.config import Config, InputError
from pipeline.skeleton import Skeleton

NUM_JOINTS = {"distance": 2, "angle": 3}


class Quantity(Config):
    """What is measured in each frame.

    kind: height (of the mean of `joints`, upwards; above `relative_to` if given), distance (between two joints) or angle
    (in degrees, at the second of three joints). A joint may be given by several names with "|" between; the first that
    the skeleton has is taken. A name without its side, as in wrist for left_wrist and right_wrist, stands for the mean
    of what is measured on either side, or for one side if that is seen in more frames. size: two joints whose median
    distance is the person's size, the unit of heights and distances then.
    """

    kind: Literal["height", "distance", "angle"]
    joints: list[str] = Field(min_length=1)
    relative_to: str | None = None
    size: tuple[str, str] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "Quantity":
        if len(self.joints) != NUM_JOINTS.get(self.kind, len(self.joints)):
            raise ValueError(f"kind {self.kind} takes {NUM_JOINTS[self.kind]} joints")
        if self.relative_to and self.kind != "height":
            raise ValueError("relative_to belongs to kind height")
        return self

    @property
    def unit(self) -> str:
        """Of its values, in words."""
        if self.kind == "angle":
            return "degrees"
        return "body sizes" if self.size else "units of the joints"


class Smoothing(Config):
    """Savitzky-Golay: width of the window, made odd, and order of the polynomial. Gaussian: width is sigma."""

    method: Literal["savitzky_golay", "gaussian"] = "savitzky_golay"
    width_frames: float | None = Field(None, gt=0)
    width_seconds: float | None = Field(None, gt=0)
    order: int = Field(2, ge=0)

    @model_validator(mode="after")
    def _agrees(self) -> "Smoothing":
        if (self.width_frames is None) == (self.width_seconds is None):
            raise ValueError("give one of width_frames and width_seconds")
        return self


def bridge(points: np.ndarray, max_gap: int) -> np.ndarray:
    """(T, K, D) with gaps of up to max_gap frames between seen ones filled by straight lines."""
    points = points.astype(np.float64)
    for joint in range(points.shape[1]):
        known = np.flatnonzero(~np.isnan(points[:, joint, 0]))
        steps = np.diff(known)
        for gap in np.flatnonzero((steps > 1) & (steps <= max_gap + 1)):
            before, after = known[gap], known[gap + 1]
            share = np.linspace(0, 1, after - before + 1)[:, None]
            points[before : after + 1, joint] = (1 - share) * points[before, joint] + share * points[after, joint]
    return points


def measure(quantity: Quantity, points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(T,) the quantity, NaN where a joint that it needs is missing."""
    names = [*quantity.joints, *([quantity.relative_to] if quantity.relative_to else [])]

    def of_side(points: np.ndarray) -> np.ndarray:
        if quantity.kind == "distance":
            return np.linalg.norm(points[:, 0] - points[:, 1], axis=1)
        if quantity.kind == "angle":
            a, b = points[:, 0] - points[:, 1], points[:, 2] - points[:, 1]
            with np.errstate(invalid="ignore"):  # two joints in one place span no angle
                cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
            return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        heights = points[..., 1] * (-1 if points.shape[2] == 2 else 1)
        own = heights[:, : len(quantity.joints)].mean(axis=1)
        return own - heights[:, -1] if quantity.relative_to else own

    values = _of_sides(of_side, names, points, skeleton)
    if quantity.size and quantity.kind != "angle":
        sizes = _of_sides(lambda pair: np.linalg.norm(pair[:, 0] - pair[:, 1], axis=1), quantity.size, points, skeleton)
        known = sizes[sizes > 0]
        values = values / (np.median(known) if known.size else np.nan)
    return values


def smooth(values: np.ndarray, smoothing: Smoothing | None, fps: float) -> np.ndarray:
    """(T,) with each stretch between missing frames smoothed by itself; one shorter than the window as a whole."""
    if smoothing is None:
        return values
    width = smoothing.width_frames or smoothing.width_seconds * fps
    values = values.copy()
    for run in np.ma.clump_unmasked(np.ma.masked_invalid(values)):
        if smoothing.method == "gaussian":
            values[run] = gaussian_filter1d(values[run], width, mode="nearest")
            continue
        window = min(2 * round((width - 1) / 2) + 1, len(values[run]) - 1 + len(values[run]) % 2)
        if window > smoothing.order:
            values[run] = savgol_filter(values[run], window, smoothing.order)
    return values


def _of_sides(of_side: Callable, names: Sequence[str], points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(T,) what `of_side` gives for the joints: the mean of left and right, or the side that is seen in more frames.

    It is the same side throughout: to change it within the clip would be a jump of the quantity.
    """
    both = [_sides(name, skeleton) for name in names]
    values = [of_side(points[:, list(side)]) for side in dict.fromkeys(zip(*both, strict=True))]
    return max([np.mean(values, axis=0), *values], key=lambda value: np.isfinite(value).sum())


def _sides(names: str, skeleton: Skeleton) -> tuple[int, int]:
    """The joint's index on the left and on the right; the same twice if it has no sides."""
    for name in names.split("|"):
        for left, right in ((name, name), (f"left_{name}", f"right_{name}")):
            if left in skeleton.joints and right in skeleton.joints:
                return skeleton.joints.index(left), skeleton.joints.index(right)
    raise InputError(
        f"Expected a joint of skeleton {skeleton.name!r}, but the definition names {names!r}."
        f" Add its name there after a '|'; there are {list(skeleton.joints)}."
    )
