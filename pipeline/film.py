"""`studio` filmed: the SYNTHETIC people of `pipeline/datasets/studio.py` as shaded figures, in videos with known poses.

People and cameras of the validation videos are not those of the training videos. Axes and pixels as in
`pipeline/scene.py`. Shapes: T frames, F frames of an action, K joints of `coco_17`.
"""

import csv
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field
from rich.progress import Progress

from pipeline.config import Config
from pipeline.datasets.kinematics import rotation
from pipeline.datasets.studio import StudioConfig, read
from pipeline.scene import SOLE_M, Camera, draw_background, draw_light, expose, grain, shadow
from pipeline.shaded_person import FEET, SKELETON, Look, Part, draw_look, figure, paint, seen
from pipeline.store import finish, open_partial
from pipeline.video import write_video

VIDEOS, ANNOTATIONS, EVENTS, JOINTS3D = "videos", "annotations.json", "events.csv", "joints3d"

FRAME_SHARE = (0.85, 0.98)  # of the frame that the whole movement fills
DISTANCE_M = (2.5, 6.0)


class FilmConfig(Config):
    """What is filmed: the performances of `studio` with the same root, actions, videos per action, seed and fps.

    azimuth_deg, elevation_deg: the camera is drawn within +- azimuth and from 0 to elevation (looking down).
    noise: standard deviation of the pixels' noise, in grey levels of 255.
    """

    root: Path
    actions: list[str] | None = None
    train_videos: int = Field(60, ge=1)
    val_videos: int = Field(20, ge=2)
    seed: int = Field(0, ge=0)
    fps: float = Field(30.0, ge=10, le=120)
    size_px: int = Field(256, ge=64, le=1024, multiple_of=16)
    azimuth_deg: float = Field(60.0, ge=0, le=180)
    elevation_deg: float = Field(15.0, ge=0, le=60)
    noise: float = Field(4.0, ge=0, le=50)

    @property
    def people(self) -> StudioConfig:
        """The performers, each in axes of his own, and exact."""
        given = self.model_dump(include={"root", "actions", "train_videos", "val_videos", "seed", "fps"})
        return StudioConfig(**given, azimuth_deg=0, elevation_deg=0, noise_m=0, missing=0)


def draw_camera(positions: np.ndarray, config: FilmConfig, rng: np.random.Generator) -> Camera:
    """A camera that has the whole movement, (T, K, 3) in the performer's axes, in its frame."""
    azimuth, elevation = rng.uniform(-1, 1) * config.azimuth_deg, rng.random() * config.elevation_deg
    axes = rotation("x", np.radians(elevation)) @ rotation("y", np.radians(azimuth))
    camera = Camera(axes, rng.uniform(*DISTANCE_M), 1.0, np.zeros(2))
    reach = np.array([[0.12, 0, 0], [-0.12, 0, 0], [0, 0.14, 0], [0, -SOLE_M - 0.02, 0], [0, -SOLE_M, 0.2]])
    points = camera.project(camera.see(positions[:, :, None] + reach)).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    focal_px = config.size_px * rng.uniform(*FRAME_SHARE) / (high - low).max()
    room = config.size_px - focal_px * (high - low)
    return Camera(axes, camera.distance_m, focal_px, rng.random(2) * room - focal_px * low - 0.5)


@dataclass(frozen=True)
class Take:
    """One sequence before the camera. positions: (T, K, 3) float32 in the camera's axes. light: (2,) as in `paint`."""

    name: str
    action: str
    split: str
    group: str
    events: tuple[int, ...]
    positions: np.ndarray
    camera: Camera
    look: Look
    background: np.ndarray
    light: np.ndarray
    brightness: float
    noise: float
    seed: tuple[int, int]

    @property
    def stem(self) -> str:
        return f"{self.group}__{self.name}"

    @property
    def path(self) -> str:
        """Of the video in the film folder."""
        return f"{VIDEOS}/{self.action}/{self.split}/{self.stem}.mp4"

    def figures(self) -> list[list[Part]]:
        """The parts of the person in each frame."""
        return [figure(joints, self.camera, self.look) for joints in self.positions.astype(float)]

    def frames(self, figures: list[list[Part]]) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB pictures, with the sensor's noise and a light that flickers."""
        rng = np.random.default_rng([*self.seed, 1])
        grains = grain(self.noise, self.background.shape, rng)
        for joints, parts in zip(self.positions, figures, strict=True):
            floor = shadow(self.background, joints[FEET], self.camera)
            yield expose(paint(floor, parts, self.light), self.brightness, grains, rng)


def takes(config: FilmConfig) -> Iterator[Take]:
    """Everything that is filmed, drawn from the seed and the names of performer and sequence alone."""
    people = read(config.people, "studio")
    for n, name in enumerate(people.names):
        seed = (config.seed, zlib.crc32(name.encode()))
        rng = np.random.default_rng(seed)
        positions = people.joints[people.frames(n)].astype(float)
        camera = draw_camera(positions, config, rng)
        light = draw_light(rng)
        yield Take(
            name=name,
            action=people.actions[n],
            split=people.splits[n],
            group=people.groups[n],
            events=tuple(int(event) for event in people.events[n] if event >= 0),
            positions=camera.see(positions).astype(np.float32),
            camera=camera,
            look=draw_look(np.random.default_rng([config.seed, zlib.crc32(people.groups[n].encode())])),
            background=draw_background(camera, config.size_px, rng),
            light=light,
            brightness=rng.uniform(0.75, 1.15),
            noise=config.noise * rng.uniform(0.5, 1.5),
            seed=seed,
        )


def write_film(config: FilmConfig, out: Path, progress: Progress) -> dict[str, int]:
    """Film everything into a folder; what a killed run has filmed is kept. Returns counts for the summary.

    videos/<action>/<split>/<performer>__<sequence>.mp4 (H.264); annotations.json: the joints in pixels, in COCO's
    keypoint format, visibility 2 or 1 (hidden), image names "<video's stem>/<frame>"; joints3d/<action>_<split>.npz: the joints
    in the camera's axes, as `pipeline/datasets/joints3d.py` reads them; events.csv: as `read_events` reads it.
    """
    actions = {path.stem: path.read_text(encoding="utf-8") for path in sorted(config.root.glob("*.yaml"))}
    partial = open_partial(out, {"config": config.model_dump(mode="json"), "actions": actions})
    done = list(takes(config))
    num_frames, resumed = sum(len(take.positions) for take in done), 0
    bar = progress.add_task("film", total=num_frames)
    coco: dict[str, list] = {"images": [], "annotations": [], "categories": [_category()]}
    for take in done:
        figures, path = take.figures(), partial / take.path
        if path.is_file():
            resumed += 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, take.frames(figures), config.fps)
        _annotate(take, figures, config.size_px, coco)
        progress.advance(bar, len(figures))
    (partial / ANNOTATIONS).write_text(json.dumps(coco, separators=(",", ":")) + "\n", encoding="utf-8")
    _write_joints(done, config.fps, partial / JOINTS3D)
    _write_events(done, partial / EVENTS)
    finish(partial, out)
    return {"videos": len(done), "frames": num_frames, "videos_resumed": resumed}


def _category() -> dict:
    skeleton = [[a + 1, b + 1] for a, b in SKELETON.limbs]
    return {"id": 1, "name": "person", "keypoints": list(SKELETON.joints), "skeleton": skeleton}


def _annotate(take: Take, figures: list[list[Part]], size_px: int, coco: dict[str, list]) -> None:
    for frame, parts in enumerate(figures):
        number = len(coco["images"]) + 1
        pixels = take.camera.project(take.positions[frame].astype(float))
        discs = np.concatenate([part.discs for part in parts])
        low = np.clip((discs[:, :2] - discs[:, 2:]).min(axis=0), 0, size_px - 1)
        extent = np.clip((discs[:, :2] + discs[:, 2:]).max(axis=0), 0, size_px - 1) - low
        keypoints = np.column_stack([pixels.round(3), 1 + seen(parts, pixels)])
        coco["images"].append(
            {"id": number, "file_name": f"{take.stem}/{frame:06d}", "width": size_px, "height": size_px}
        )
        coco["annotations"].append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "keypoints": keypoints.ravel().tolist(),
                "num_keypoints": len(keypoints),
                "bbox": np.concatenate([low, extent]).round(3).tolist(),
                "area": round(float(extent.prod()), 3),
                "iscrowd": 0,
            }
        )


def _write_joints(done: list[Take], fps: float, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for part in dict.fromkeys((take.action, take.split) for take in done):
        clips = [take for take in done if (take.action, take.split) == part]
        np.savez(
            folder / f"{part[0]}_{part[1]}.npz",
            positions=np.concatenate([take.positions for take in clips]),
            offsets=np.cumsum([0] + [len(take.positions) for take in clips]),
            names=np.array([take.name for take in clips]),
            groups=np.array([take.group for take in clips]),
            fps=np.array(fps),
        )


def _write_events(done: list[Take], path: Path) -> None:
    num_events = max(len(take.events) for take in done)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = [f"event_{number}" for number in range(1, num_events + 1)]
        writer.writerow(["sequence", "action", *columns, "n_frames", "group", "split"])
        for take in done:
            events = [*take.events, *[""] * (num_events - len(take.events))]
            writer.writerow([take.name, take.action, *events, len(take.positions), take.group, take.split])
