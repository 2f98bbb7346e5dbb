"""Where a filmed person stands: camera, wall, floor and shadow.

Axes of a camera: x right, y up, z from the scene to the viewer, the optical centre at the origin, in metres.
Pixels: y down, the centre of the first is (0, 0).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.datasets.kinematics import rotation

TARGET_M = np.array([0.0, 0.9, 0.0])  # what the camera looks at, in the performer's axes
SOLE_M = 0.09  # the floor is below the ankles
CIRCLE = np.stack([np.cos(turn := np.arange(12) * np.pi / 6), np.sin(turn)], axis=1)
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Camera:
    """axes: (3, 3) from the performer's axes (left, up, ahead of the standing feet) to the camera's. center_px: (2,) the pixel on the optical axis."""

    axes: np.ndarray
    distance_m: float
    focal_px: float
    center_px: np.ndarray

    def see(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) of the performer's axes -> (..., 3) of the camera's."""
        return (points - TARGET_M) @ self.axes.T - [0, 0, self.distance_m]

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) of the camera's axes -> (..., 2) pixels."""
        return self.center_px + self.focal_px * points[..., :2] * [1, -1] / -points[..., 2:]


def draw_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) RGB, neither black nor white."""
    return rng.uniform(25, 235) + rng.uniform(-60, 60, 3).clip(-60, 60)


def draw_background(camera: Camera, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 3) uint8 RGB: a wall with a gradient, stains and things, and a floor, boarded or not."""
    ramp = np.linspace(0, 1, size_px)[:, None]
    ramp = (ramp if rng.random() < 0.5 else ramp.T)[..., None]
    wall = draw_colour(rng) * (1 - ramp) + draw_colour(rng) * ramp
    image = np.clip(np.broadcast_to(wall, (size_px, size_px, 3)), 0, 255).astype(np.uint8)
    for _ in range(rng.integers(2, 9)):
        corners = rng.uniform(0, size_px, 2) + rng.uniform(0.04, 0.3) * size_px * rng.uniform(
            -1, 1, (rng.integers(3, 7), 2)
        )
        shape = cv2.convexHull(np.rint(corners).astype(np.int32))
        if rng.random() < 0.3:
            start, end = np.rint(rng.uniform(0, size_px, (2, 2))).astype(int).tolist()
            cv2.line(image, start, end, draw_colour(rng).tolist(), int(rng.integers(1, 12)), cv2.LINE_AA)
        cv2.fillConvexPoly(image, shape, draw_colour(rng).tolist(), cv2.LINE_AA)
    # The floor lies in the camera's own heading, and ends at the wall.
    pitch = np.arccos(np.clip(camera.axes[1, 1], -1, 1))
    level = Camera(rotation("x", pitch), camera.distance_m, camera.focal_px, camera.center_px)
    wall_m = rng.uniform(0.8, 3.0)

    def ground(x: np.ndarray, z: np.ndarray | float) -> np.ndarray:
        return level.project(level.see(np.stack(np.broadcast_arrays(x, -SOLE_M, z), axis=-1)))

    row = float(ground(np.zeros(()), -wall_m)[1])
    floor, edge = draw_colour(rng), int(np.clip(np.rint(row), 0, size_px))
    image[edge:] = np.clip(floor * np.linspace(0.75, 1.1, size_px)[edge:, None, None], 0, 255)
    if rng.random() < 0.5:
        board = np.arange(-6, 6, rng.uniform(0.15, 0.6))
        for start, end in zip(ground(board, -wall_m), ground(board, 0.5 * camera.distance_m), strict=True):
            ends = np.rint(np.stack([start, end]) * 2**SUBPIXEL_BITS).astype(int).tolist()
            cv2.line(image, *ends, (floor * 0.7).tolist(), 1, cv2.LINE_AA, SUBPIXEL_BITS)
    grid = int(rng.integers(4, 48))
    stains = cv2.resize(
        rng.normal(0, rng.uniform(3, 18), (grid, grid)).astype(np.float32),
        (size_px, size_px),
        interpolation=cv2.INTER_CUBIC,
    )
    image = np.clip(image + stains[..., None], 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 2.0) * size_px / 256)


def draw_light(rng: np.random.Generator) -> np.ndarray:
    """(2,) the direction in pixels that light comes from, rather from above."""
    angle = rng.uniform(-0.8, 0.8) * np.pi
    return np.array([np.sin(angle), -np.cos(angle)])


def shadow(background: np.ndarray, feet: np.ndarray, camera: Camera) -> np.ndarray:
    """The background darker on the floor below the feet, (2, 3) ankles in the camera's axes."""
    axes = camera.axes
    heights = feet @ axes[:, 1]
    ground = feet.mean(axis=0) + axes[:, 1] * (heights.min() - heights.mean() - SOLE_M)
    reach = 0.25 + np.ptp(feet @ axes[:, 0]) / 2
    ring = ground + CIRCLE @ np.stack([reach * axes[:, 0], 0.3 * axes[:, 2]])
    corners = np.rint(camera.project(ring) * 2**SUBPIXEL_BITS).astype(np.int32)
    dark = background.copy()
    cv2.fillConvexPoly(dark, cv2.convexHull(corners), (0, 0, 0), cv2.LINE_AA, SUBPIXEL_BITS)
    return cv2.addWeighted(background, 0.6, dark, 0.4, 0)


def grain(noise: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """(2H, 2W, 3) int16 noise of a sensor for pictures of `shape` (H, W, 3). noise: standard deviation in grey levels."""
    height, width, _ = shape
    return (noise * rng.standard_normal((2 * height, 2 * width, 3))).astype(np.int16)


def expose(image: np.ndarray, brightness: float, grains: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 RGB: what a sensor makes of a scene, with its grain, in a light that flickers."""
    image = cv2.GaussianBlur(image, (3, 3), 0.5)
    image = cv2.convertScaleAbs(image, alpha=brightness * (1 + 0.01 * rng.standard_normal()))
    height, width, _ = image.shape
    x, y = rng.integers(0, min(height, width), 2)
    return cv2.add(image, grains[y : y + height, x : x + width], dtype=cv2.CV_8U)
