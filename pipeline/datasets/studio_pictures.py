"""Pictures of the SYNTHETIC people of `studio.py` that lie under their 2D poses: what a video camera would have seen.

The poses are noisy and lack joints, the performances behind them are not: these are generated again, exact, and the
view of each sequence is what best maps its performance onto its poses. Axes and pixels as in `pipeline/scene.py`.
Shapes: T frames, K joints of `coco_17`, S pixels of a picture's side.
"""

import zlib
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.config import InputError
from pipeline.datasets.studio import StudioConfig, read
from pipeline.scene import TARGET_M, Camera, draw_background, draw_light, expose, grain, shadow
from pipeline.sequence import PoseSequences
from pipeline.shaded_person import FEET, draw_look, figure, paint

FAR_M = 1000.0  # from so far, the perspective of a person stays below a tenth of a pixel
ROOM_M = 4.0  # the room behind is seen from as near as rooms are
MARGIN = 0.25  # of the frame, by which the room goes on beyond it on every side; further out its edge is repeated
DETAIL = 2.0  # canvas pixels to one of the picture along the longer side of the crop, of people twice as tall as wide
NOISE = 5.0  # mean standard deviation of the canvas's noise, in grey levels of 255


@dataclass(frozen=True)
class StudioPictures:
    """The pictures of a data set's pose store. performances: of each sequence, (T, K, 3) float32 in its performer's axes.

    cameras: in pixels of the virtual frame of side frame_px. names, groups: of each sequence and of its performer.
    """

    performances: tuple[np.ndarray, ...]
    cameras: tuple[Camera, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    frame_px: int
    seed: int

    @property
    def stamp(self) -> list:
        return [self.seed, self.frame_px]

    def crops(self, n: int, frames: slice, box: np.ndarray, size_px: int) -> np.ndarray:
        """(T, S, S, 3) uint8 RGB pictures of these frames of sequence n, the same whichever are drawn together.

        box: (4,) as of `crop_box`; it may reach beyond the frame. Each of its axes is scaled to size_px by itself.
        """
        scale = DETAIL * size_px / box[2:].max()
        canvas = np.maximum(1, np.rint(box[2:] * scale))
        corner = box[:2] + (box[2:] - canvas / scale) / 2
        camera = _zoomed(self.cameras[n], corner, scale)
        seed = [self.seed, zlib.crc32(self.names[n].encode())]
        rng = np.random.default_rng(seed)
        light, brightness, noise = draw_light(rng), rng.uniform(0.75, 1.15), NOISE * rng.uniform(0.5, 1.5)
        room = self._room(n, corner, scale, canvas.astype(int).tolist(), rng)
        grains = grain(noise, room.shape, rng)
        look = draw_look(np.random.default_rng([self.seed, zlib.crc32(self.groups[n].encode())]))
        numbers = range(len(self.performances[n]))[frames]
        pictures = np.empty((len(numbers), size_px, size_px, 3), dtype=np.uint8)
        for picture, number in zip(pictures, numbers, strict=True):
            joints = camera.see(self.performances[n][number].astype(float))
            image = paint(shadow(room, joints[FEET], camera), figure(joints, camera, look), light)
            image = expose(image, brightness, grains, np.random.default_rng([*seed, 1 + number]))
            cv2.resize(image, (size_px, size_px), dst=picture, interpolation=cv2.INTER_AREA)
        return pictures

    def _room(self, n: int, corner: np.ndarray, scale: float, size: list[int], rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) uint8 RGB of the room from `corner` on. It does not depend on which part of it is asked for."""
        outset = round(MARGIN * self.frame_px)
        far = self.cameras[n]
        near = replace(far, distance_m=ROOM_M, focal_px=far.focal_px * ROOM_M / FAR_M)
        side = round((self.frame_px + 2 * outset) * scale)
        whole = draw_background(_zoomed(near, np.full(2, -outset), scale), side, rng)
        shift = np.column_stack([np.eye(2), (corner + outset) * scale])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(whole, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def studio_pictures(config: StudioConfig, sequences: PoseSequences) -> StudioPictures:
    """The pictures under the 2D poses that `project` makes of `read(config)`.

    Raises InputError if the poses are not one orthographic view of each of these performances.
    """
    exact = {"azimuth_deg": 0.0, "elevation_deg": 0.0, "noise_m": 0.0, "missing": 0.0}
    people = read(config.model_copy(update=exact), sequences.dataset)
    found = {name: people.joints[people.frames(n)] for n, name in enumerate(people.names)}
    cameras = []
    for n, name in enumerate(sequences.names):
        poses, visible = (values[sequences.frames(n)] for values in (sequences.joints, sequences.confidence > 0))
        if len(found.get(name, ())) != len(poses):
            raise InputError(
                f"Expected the poses of these settings, but got others in sequence {name!r} of data set"
                f" {sequences.dataset!r}. Run its stages extract and project again."
            )
        camera, off_px = _fitted(found[name][visible].astype(float), poses[visible].astype(float))
        if off_px > 0.5 + 1.5 * config.noise_m * camera.focal_px / FAR_M:
            raise InputError(
                f"Expected poses that are one view of a performance, but got them {off_px:.1f} px off the nearest in"
                f" sequence {name!r} of data set {sequences.dataset!r}. Set project.normalise to none."
            )
        cameras.append(camera)
    return StudioPictures(
        performances=tuple(found[name] for name in sequences.names),
        cameras=tuple(cameras),
        names=sequences.names,
        groups=sequences.groups,
        frame_px=int(sequences.frame_size.max()),
        seed=config.seed,
    )


def _fitted(points: np.ndarray, pixels: np.ndarray) -> tuple[Camera, float]:
    """The distant camera that sees points (P, 3) nearest to pixels (P, 2), and how far off: RMS of a coordinate."""
    middle, centre = points.mean(axis=0), pixels.mean(axis=0)
    linear = np.linalg.lstsq(points - middle, (pixels - centre) * [1, -1], rcond=None)[0]
    u, lengths, v = np.linalg.svd(linear.T, full_matrices=False)
    right, up = u @ v
    axes, scale = np.stack([right, up, np.cross(right, up)]), lengths.mean()
    target_px = centre + scale * (TARGET_M - middle) @ axes[:2].T * [1, -1]
    camera = Camera(axes, FAR_M, scale * FAR_M, target_px)
    return camera, float(np.sqrt(np.square(camera.project(camera.see(points)) - pixels).mean()))


def _zoomed(camera: Camera, corner: np.ndarray, scale: float) -> Camera:
    """The camera in pixels of a canvas: so many to a pixel of the frame, from `corner` on."""
    center_px = (camera.center_px - corner + 0.5) * scale - 0.5
    return replace(camera, focal_px=camera.focal_px * scale, center_px=center_px)
