"""MediaPipe (Lugaresi et al., 2019; Apache-2.0): one person's 33 joints, in 2D or 3D, or two hands, by the models inside its wheel.

Shapes: T or B frames, H x W pixels, K joints.
"""

import hashlib
import importlib.metadata
import os
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.config import Config, InputError, MissingPackage
from pipeline.estimators.base import People

POSE_MODELS = ("pose_detection/pose_detection.tflite", "pose_landmark/pose_landmark_full.tflite")
MODELS = {
    "pose": POSE_MODELS,
    "world": POSE_MODELS,
    "hands": ("palm_detection/palm_detection_full.tflite", "hand_landmark/hand_landmark_full.tflite"),
}
SKELETONS = {"pose": "mediapipe_33", "world": "mediapipe_33", "hands": "hands_42"}
JOINTS_PER_HAND = 21

_STDERR = threading.Lock()


class MediapipeConfig(Config):
    """landmarks: pose, the most prominent person's; world, the same in 3D, inferred from the one view; or hands, the left
    one's joints first.

    static: detect in every frame anew; else a found person or hand is followed, which is faster and steadier. smooth:
    MediaPipe's own filter, which takes all videos for 30 frames/s and lags behind; for a pose that is followed.
    """

    name: Literal["mediapipe"]
    landmarks: Literal["pose", "world", "hands"] = "pose"
    static: bool = False
    smooth: bool = False
    min_detection_confidence: float = Field(0.5, ge=0, le=1)


class Mediapipe:
    """The estimator; what it remembers of a video begins with `start`.

    Confidence of a pose's joint is its visibility, of a hand's joints how sure its side is. A joint outside the frame
    is a guess: it keeps its place and gets confidence 0.
    """

    name = "mediapipe"

    def __init__(self, config: MediapipeConfig):
        if config.smooth and (config.static or config.landmarks == "hands"):
            raise InputError(
                "Expected smooth with a pose that is followed, but got static or hands. Set smooth: false."
            )
        try:
            self.version = importlib.metadata.version("mediapipe")
            import mediapipe
        except ModuleNotFoundError as error:
            raise MissingPackage(f"Expected mediapipe 0.10.14, but {error}. Run `make`.") from None
        modules = Path(mediapipe.__file__).parent / "modules"
        files = [modules / model for model in MODELS[config.landmarks]]
        if missing := [str(file) for file in files if not file.is_file()]:
            raise InputError(
                f"Expected the models inside mediapipe, but {self.version} lacks {missing[0]}. Install 0.10.14 with `make`."
            )
        self.weights = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
        self.skeleton = SKELETONS[config.landmarks]
        self.config = config
        self._graph = None

    def start(self) -> None:
        if self._graph is not None:
            self._graph.close()
        warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype")  # protobuf about MediaPipe
        with _quiet():
            self._graph = _graph(self.config)
            self._graph.process(np.zeros((8, 8, 3), dtype=np.uint8))  # it logs as late as at its first frame

    def __call__(self, frames: np.ndarray) -> list[People]:
        people = {"pose": _person, "world": _world, "hands": _hands}[self.config.landmarks]
        height, width = frames.shape[1:3]
        return [people(self._graph.process(np.ascontiguousarray(frame)), width, height) for frame in frames]


def load(config: MediapipeConfig, root: Path) -> Mediapipe:
    """The estimator; nothing of it lies below `root`. Raises InputError where mediapipe or its models are missing."""
    return Mediapipe(config)


def _graph(config: MediapipeConfig):
    from mediapipe.python.solutions.hands import Hands
    from mediapipe.python.solutions.pose import Pose

    # Complexity 1 is the one inside the wheel; for the others MediaPipe would go and download.
    common = {
        "static_image_mode": config.static,
        "model_complexity": 1,
        "min_detection_confidence": config.min_detection_confidence,
    }
    return Pose(smooth_landmarks=config.smooth, **common) if config.landmarks != "hands" else Hands(**common)


def _person(found, width: int, height: int) -> People:
    if not found.pose_landmarks:
        return _nobody(33)
    marks = found.pose_landmarks.landmark
    return _people(_pixels(marks, width, height), np.array([mark.visibility for mark in marks]), width, height)


def _world(found, width: int, height: int) -> People:
    """Metres from the middle between the hips; x right, y up, z towards the viewer. Confidence as in the picture."""
    in_picture = _person(found, width, height)
    if not len(in_picture.joints):
        return People(np.zeros((0, 33, 3), dtype=np.float32), in_picture.confidence)
    marks = found.pose_world_landmarks.landmark
    joints = np.array([(mark.x, -mark.y, -mark.z) for mark in marks], dtype=np.float32)
    return People(joints[None], in_picture.confidence)


def _hands(found, width: int, height: int) -> People:
    """Of several hands on one side the surest. MediaPipe names sides as in a mirror, so its Right is a left hand."""
    if not found.multi_hand_landmarks:
        return _nobody(2 * JOINTS_PER_HAND)
    joints = np.zeros((2, JOINTS_PER_HAND, 2))
    confidence = np.zeros((2, JOINTS_PER_HAND))
    for hand, side in zip(found.multi_hand_landmarks, found.multi_handedness, strict=True):
        index, score = int(side.classification[0].label == "Left"), side.classification[0].score
        if score > confidence[index, 0]:
            joints[index], confidence[index] = _pixels(hand.landmark, width, height), score
    return _people(joints.reshape(-1, 2), confidence.ravel(), width, height)


def _nobody(num_joints: int) -> People:
    return People(np.zeros((0, num_joints, 2), dtype=np.float32), np.zeros((0, num_joints), dtype=np.float32))


def _pixels(marks, width: int, height: int) -> np.ndarray:
    """MediaPipe's 0 and 1 are the outer edges of the first and last pixel."""
    return np.array([(mark.x * width - 0.5, mark.y * height - 0.5) for mark in marks])


def _people(joints: np.ndarray, confidence: np.ndarray, width: int, height: int) -> People:
    inside = ((joints >= -0.5) & (joints <= (width - 0.5, height - 0.5))).all(axis=1)
    confidence = np.where(inside, np.clip(confidence, 0, 1), 0)
    return People(joints[None].astype(np.float32), confidence[None].astype(np.float32))


@contextmanager
def _quiet():
    """What the compiled library writes on stderr, past Python, goes nowhere. One thread at a time: stderr is shared."""
    with _STDERR, open(os.devnull, "wb") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
