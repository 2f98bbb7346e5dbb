"""`studio`, the data set that needs no download: SYNTHETIC people, animated from the key poses of each action's YAML.

Nobody was filmed: the poses come from forward kinematics with the variation that alignment has to see through (body
proportions, tempo, pauses, false starts, style, handedness, view, sensor noise). Phases and events are therefore exact.
Standing still of any length before and after the action, and tempo drawn anew for every phase, see to it that the
position in the clip does not give the phase away.

Shapes: T frames, A angles, Q knots of the animation, K joints.
"""

import reprlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import yaml
from pydantic import Field, FiniteFloat, ValidationError
from scipy.interpolate import PchipInterpolator

from pipeline.clip import Clip, Split
from pipeline.config import Config, InputError
from pipeline.datasets.kinematics import ANGLES, MIDLINE, PAIRED, Body, forward_kinematics, mirrored, rotation
from pipeline.sequence import PoseSequences, from_clips
from pipeline.skeleton import load_skeleton

Probability = Annotated[float, Field(ge=0, le=1)]

PROPORTIONS = 0.08  # log standard deviation of each length of a body, and of the body as a whole
TEMPO = (0.75, 1.25)  # a performer's factor on all durations
PAUSE_S = (0.2, 0.6)
FALSE_START_S = (0.4, 0.8)
FALSE_START_SHARE = (0.15, 0.4)  # of the way to the second phase's pose
MIN_PHASE_FRAMES = 4


class Phase(Config):
    """One phase: a movement from the pose before to `pose`, or a hold where they are the same.

    event: the name of its first frame's key event; None for the first phase. duration_s: the mean of an arcsine
    distribution between duration_s * (1 - spread) and duration_s * (1 + spread). pause: probability of a halt half way.
    """

    event: str | None = None
    pose: str
    duration_s: float = Field(gt=0, allow_inf_nan=False)
    spread: float = Field(ge=0, lt=1)
    pause: Probability = 0.0


class Action(Config):
    """One action: key poses in degrees, and the phases that lead through them.

    poses: angle name -> degrees, 0 where not given; a name of PAIRED sets both sides; `left_` or `right_`
    before it sets one and goes first.
    false_start: probability that the movement begins and is taken back within the first phase. left_handed: share of
    performers who do it mirrored.
    """

    poses: dict[str, dict[Literal[ANGLES + PAIRED], FiniteFloat]] = Field(min_length=2)
    phases: list[Phase] = Field(min_length=4)
    false_start: Probability = 0.0
    left_handed: Probability = 0.0

    def key_pose(self, name: str) -> np.ndarray:
        """(A,) degrees."""
        given = self.poses[name]
        return np.array([given.get(angle, given.get(angle.split("_", 1)[1], 0.0)) for angle in ANGLES])


class StudioConfig(Config):
    """What is generated. Videos are counted per action; each performer does every action once.

    root: folder of one YAML file per action; actions: their names, all by default. style: standard deviation of a
    performer's movement size, per angle, relative to 1, and of where half of a movement lies in its time. asymmetry:
    the same of each side by itself. sway_deg: standard deviation of a slow random movement of every angle.
    azimuth_deg, elevation_deg: the camera is drawn within +- azimuth and from 0 to elevation (looking down). noise_m:
    standard deviation of the measured joints, per coordinate. missing: probability that a joint in a frame is missing.
    """

    reader: Literal["studio"] = "studio"
    root: Path
    actions: list[str] | None = None
    train_videos: int = Field(40, ge=1)
    val_videos: int = Field(20, ge=2)
    seed: int = Field(0, ge=0)
    fps: float = Field(30.0, ge=10, le=1000)
    style: float = Field(0.08, ge=0, le=0.3)
    asymmetry: float = Field(0.05, ge=0, le=0.3)
    sway_deg: float = Field(1.5, ge=0)
    azimuth_deg: float = Field(60.0, ge=0, le=180)
    elevation_deg: float = Field(10.0, ge=0, le=90)
    noise_m: float = Field(0.015, ge=0)
    missing: Probability = 0.02


def load_action(path: Path) -> Action:
    """Read one action. Raises InputError that names the file and the key at fault."""
    try:
        action = Action.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"Expected a YAML file, but got text that does not parse in {path}: {' '.join(str(error).split())}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the whole file"
        raise InputError(
            f"Expected an action, but got {reprlib.repr(first['input'])} for {key} in {path}: {first['msg']}. Correct it."
        ) from None
    events: set[str] = set()
    for index, phase in enumerate(action.phases):
        if phase.pose not in action.poses:
            expected, got, key = f"a pose of {sorted(action.poses)}", phase.pose, "pose"
        elif (phase.event is None) != (index == 0) or phase.event in events:
            expected, got, key = "a new name of each key event, and none for the first phase", phase.event, "event"
        else:
            events.add(phase.event or "")
            continue
        raise InputError(f"Expected {expected}, but got {got!r} for phases.{index}.{key} in {path}. Correct it.")
    return action


def read(config: StudioConfig, dataset: str) -> PoseSequences:
    """Generate the data set: (F, 17, 3) joints of `coco_17` in metres and camera axes, x right, y up, z to the camera.

    The same settings give the same arrays, and a clip does not depend on which others are generated. group: the
    performer; nobody is in both splits. Raises InputError for a missing or wrong action file.
    """
    found = sorted(path.stem for path in config.root.glob("*.yaml"))
    names = found if config.actions is None else config.actions
    if not found:
        raise InputError(f"Expected a YAML file for each action, but got none in {config.root}. Correct 'root'.")
    if not names or not set(names) <= set(found):
        raise InputError(f"Expected actions of {found}, but got {names} in {config.root}. Correct 'actions'.")
    actions = {name: load_action(config.root / f"{name}.yaml") for name in names}
    return from_clips(
        _clips(actions, config),
        dataset=dataset,
        skeleton=load_skeleton("coco_17"),
        event_names={name: tuple(phase.event for phase in action.phases[1:]) for name, action in actions.items()},
        poses="synthetic",
        labels="exact",
    )


@dataclass(frozen=True)
class Performer:
    """One person. tempo: factor on durations. style: (A,) factors on angles. hand: in [0, 1), low is left-handed."""

    body: Body
    tempo: float
    style: np.ndarray
    hand: float


def _performer(config: StudioConfig, rng: np.random.Generator) -> Performer:
    height, *lengths = np.exp(PROPORTIONS * rng.standard_normal(1 + len(fields(Body))))
    size = rng.standard_normal(len(MIDLINE) + len(PAIRED))
    style = 1 + config.style * np.concatenate([size, size[len(MIDLINE) :]])
    style[len(MIDLINE) :] += config.asymmetry * rng.standard_normal(2 * len(PAIRED))
    return Performer(Body().scaled(height * np.array(lengths)), rng.uniform(*TEMPO), style, rng.random())


def _clips(actions: dict[str, Action], config: StudioConfig) -> Iterator[Clip]:
    skeleton = load_skeleton("coco_17")
    splits: tuple[tuple[Split, int], ...] = (("train", config.train_videos), ("val", config.val_videos))
    for name, action in actions.items():
        for number, (split, num_videos) in enumerate(splits):
            for index in range(num_videos):
                performer = _performer(config, np.random.default_rng([config.seed, number, index]))
                rng = np.random.default_rng([config.seed, number, index, zlib.crc32(name.encode())])
                angles, events = _perform(action, performer, config, rng)
                positions = forward_kinematics(angles, performer.body)
                joints = np.stack([positions[joint] for joint in skeleton.joints], axis=1)
                joints = joints @ _camera(config, rng).T + config.noise_m * rng.standard_normal(joints.shape)
                seen = rng.random(joints.shape[:2]) >= config.missing
                yield Clip(
                    name=f"{name}_{split}_{index:03d}",
                    action=name,
                    split=split,
                    joints=joints,
                    confidence=seen.astype(np.float32),
                    fps=config.fps,
                    events=events,
                    group=f"performer_{split}_{index:03d}",
                )


def _camera(config: StudioConfig, rng: np.random.Generator) -> np.ndarray:
    """(3, 3) from the performer's axes to the camera's."""
    azimuth = rng.uniform(-config.azimuth_deg, config.azimuth_deg)
    elevation = rng.uniform(0, config.elevation_deg)
    return rotation("x", np.radians(elevation)) @ rotation("y", np.radians(azimuth))


def _perform(
    action: Action, performer: Performer, config: StudioConfig, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, ...]]:
    """One performance: (T, A) degrees, and the first frame of each phase but the first."""
    poses = np.stack([action.key_pose(phase.pose) for phase in action.phases]) * performer.style
    if performer.hand < action.left_handed:
        poses = mirrored(poses)

    def frames(seconds: float) -> int:
        return max(MIN_PHASE_FRAMES, round(seconds * performer.tempo * config.fps))

    times, knots, starts = [0], [poses[0]], []
    for index, (phase, pose) in enumerate(zip(action.phases, poses, strict=True)):
        start, before = times[-1], knots[-1]
        starts.append(start)
        # Arcsine rather than uniform: short and long are likelier than the mean, which takes the most from a clock.
        end = start + frames(phase.duration_s * (1 + phase.spread * np.cos(np.pi * rng.random())))
        if index == 0 and rng.random() < action.false_start:
            begins, length = rng.uniform(start, end), frames(rng.uniform(*FALSE_START_S))
            attempt = pose + rng.uniform(*FALSE_START_SHARE) * (poses[1] - pose)
            times += [begins + 1, begins + 1 + length / 2, begins + 1 + length]
            knots += [pose, attempt, pose]
            end += length + MIN_PHASE_FRAMES
        elif index and phase.pose != action.phases[index - 1].pose:
            middle = start + (end - start) * np.clip(0.5 + config.style * rng.standard_normal(), 0.2, 0.8)
            times.append(middle)
            knots.append((before + pose) / 2)
            if rng.random() < phase.pause:
                pause = frames(rng.uniform(*PAUSE_S))
                times.append(middle + pause)
                knots.append(knots[-1])
                end += pause
        times.append(end)
        knots.append(pose)
    # Monotone between knots: it eases in and out of a hold, passes a pose on the way without stopping, never overshoots.
    angles = PchipInterpolator(times, np.stack(knots))(np.arange(times[-1]))
    return angles + _sway(len(angles), config, rng), tuple(starts[1:])


def _sway(num_frames: int, config: StudioConfig, rng: np.random.Generator) -> np.ndarray:
    """(T, A) degrees: the sum of three slow waves per angle, of standard deviation sway_deg."""
    hertz, turns = rng.uniform(0.1, 0.6, (3, len(ANGLES))), rng.random((3, len(ANGLES)))
    seconds = np.arange(num_frames)[:, None, None] / config.fps
    return config.sway_deg * np.sqrt(2 / 3) * np.sin(2 * np.pi * (hertz * seconds + turns)).sum(axis=1)
