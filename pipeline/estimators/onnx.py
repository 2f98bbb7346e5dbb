"""Any estimator that is an ONNX file, by path, through onnxruntime: MoveNet and RTMPose by the form of their output.

Shapes: B frames of a batch, H x W pixels of the model's input, P people in a frame, K joints.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Config, InputError, MissingPackage
from pipeline.device import DeviceName
from pipeline.estimators.base import Estimator, People
from pipeline.skeleton import load_skeleton
from pipeline.weights import find_weights, sha256

STRIDE_PX = 32  # MoveNet multipose takes sides that are multiples of this
RGB_MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)  # ImageNet's, which RTMPose was trained with
RGB_STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)
BOX_GROWTH = 1.25  # a body is larger than its joints' box
BINS_PER_PX = 2
INPUT_TYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8}


class OnnxConfig(Config):
    """weights: the model, relative to the data set's root or whole; then with its sha256. skeleton: of its K joints.

    output: movenet_multipose, (B, P, 3K + 5): y, x, score of each joint, then box and score of the person.
    movenet_singlepose, (B, 1, K, 3): y, x, score. simcc (RTMPose), (B, K, 2W) and (B, K, 2H): how likely each half
    pixel is; one person, looked for where the last frame had one. min_score: a person with less is not there.
    input_px: longer side of the input, where the model leaves it open. num_threads: within a frame.
    """

    name: Literal["onnx"]
    weights: Path
    sha256: str | None = None
    output: Literal["movenet_multipose", "movenet_singlepose", "simcc"]
    skeleton: str = "coco_17"
    min_score: float = Field(0.2, ge=0, le=1)
    input_px: int = Field(256, ge=STRIDE_PX, multiple_of=STRIDE_PX)
    num_threads: int = Field(1, ge=1)  # whole videos side by side gain more than the threads of one
    device: DeviceName = "auto"


def load(config: OnnxConfig, root: Path) -> Estimator:
    """The estimator, its model tried on an empty image.

    Raises InputError where onnxruntime or the file is missing, and for a file that is another or no ONNX, and a model
    whose input or output has another form than the settings say.
    """
    return (TopDown if config.output == "simcc" else MoveNet)(config, root)


class _Onnx:
    """What the estimators share: the model and its checks. Confidence is the model's score of a joint."""

    name = "onnx"
    channel_axis: int  # of the input

    def __init__(self, config: OnnxConfig, root: Path):
        self.path = find_weights(root, config.weights, config.sha256)
        self.weights = sha256(self.path)
        self.skeleton = config.skeleton
        self.num_joints = load_skeleton(config.skeleton).num_joints
        self.config = config
        self.session, self.version = _open(self.path, config)
        self._check_input()
        self.input = self.session.get_inputs()[0]
        # (height, width) of the input; None where the model leaves it open.
        sides = np.delete(np.array(self.input.shape, dtype=object), [0, self.channel_axis])
        self.size = tuple(side if isinstance(side, int) else None for side in sides)
        self._check_output()
        self.start()

    def start(self) -> None:
        """Nothing is remembered."""

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """(B, H, W, 3) -> the model's outputs; one by one where its batch is of one."""
        images = np.moveaxis(images, 3, self.channel_axis).astype(INPUT_TYPES[self.input.type])
        parts = np.split(images, len(images)) if self.input.shape[0] == 1 else [images]
        found = [self.session.run(None, {self.input.name: part}) for part in parts]
        return [np.concatenate(output) for output in zip(*found, strict=True)]

    def _check_input(self) -> None:
        open_size = self.config.output == "movenet_multipose"
        axes = ["1 or open", "H", "W"]
        axes.insert(self.channel_axis, "3")
        got = [(tuple(entry.shape), entry.type) for entry in self.session.get_inputs()]
        shape, kind = got[0] if len(got) == 1 else ((), "")
        fixed = {axis: side for axis, side in enumerate(shape) if isinstance(side, int)}
        if not (
            len(shape) == 4
            and kind in INPUT_TYPES
            and fixed.get(0, 1) == 1
            and fixed.get(self.channel_axis) == 3
            and (open_size or {1, 2, 3} <= set(fixed))
        ):
            sides = "" if open_size else ", H and W fixed"
            raise self._wrong(f"one input ({', '.join(axes)}){sides}, of {', '.join(INPUT_TYPES)}", got)

    def _check_output(self) -> None:
        height, width = (side or self.config.input_px for side in self.size)
        wanted = self._wanted_output(height, width)
        empty = np.moveaxis(np.zeros((1, height, width, 3), dtype=INPUT_TYPES[self.input.type]), 3, self.channel_axis)
        try:
            got = [np.shape(output) for output in self.session.run(None, {self.input.name: empty})]
        except Exception as error:  # onnxruntime's own, without a common base
            raise self._wrong("a model that runs on an empty image", " ".join(str(error).split())) from None
        if len(got) != len(wanted) or not all(map(_fits, got, wanted)):
            text = " and ".join(str(shape).replace("None", "P") for shape in wanted)
            raise self._wrong(f"output {text}", got)

    def _wrong(self, wanted: str, got) -> InputError:
        return InputError(
            f"Expected {wanted} for {self.config.output} with {self.skeleton}, but got {got} in {self.path}."
            " Correct 'output' or 'skeleton', or give another model."
        )


class MoveNet(_Onnx):
    """MoveNet (Google, 2021; Apache-2.0), of one person or of several: the whole frame in, joints out."""

    channel_axis = 3

    def __call__(self, frames: np.ndarray) -> list[People]:
        height, width = self._size_for(*frames.shape[1:3])
        # The one-person model looks first at the middle of its input.
        view = View.of(_whole(frames[0]), width, height, centred=self.config.output == "movenet_singlepose")
        (found,) = self.run(np.stack([view.image(frame) for frame in frames]))
        return [self._people(output, view, frame) for output, frame in zip(found, frames, strict=True)]

    def _people(self, output: np.ndarray, view: "View", frame: np.ndarray) -> People:
        if self.config.output == "movenet_multipose":
            joints, score = output[:, :-5].reshape(-1, self.num_joints, 3), output[:, -1]
        else:
            joints, score = output, output[..., 2].mean(axis=1)
        joints = joints[score >= self.config.min_score]
        # 0 and 1 are the outer edges of the first and the last pixel of the input.
        pixels = joints[..., 1::-1] * (view.width, view.height) - 0.5
        return _people(view.to_frame(pixels), joints[..., 2], frame)

    def _size_for(self, height: int, width: int) -> tuple[int, int]:
        """Input for a frame of this size: the model's own, else the longer side input_px and the other in proportion."""
        factor = self.config.input_px / max(height, width)
        made = [STRIDE_PX * max(1, int(np.ceil(round(side * factor) / STRIDE_PX))) for side in (height, width)]
        return tuple(own or side for own, side in zip(self.size, made, strict=True))

    def _wanted_output(self, height: int, width: int) -> list[tuple]:
        joints = self.num_joints
        return [(1, None, 3 * joints + 5) if self.config.output == "movenet_multipose" else (1, 1, joints, 3)]


class TopDown(_Onnx):
    """A model with SimCC output (Li et al., ECCV 2022; RTMPose, Jiang et al., 2023): one person, cut out, in.

    The person is looked for around the joints of the last frame, and in the whole frame if not found there.
    """

    channel_axis = 1

    def start(self) -> None:
        self._last: np.ndarray | None = None  # box around the last frame's person

    def __call__(self, frames: np.ndarray) -> list[People]:
        return [self._person(frame) for frame in frames]

    def _person(self, frame: np.ndarray) -> People:
        for box in (self._last, _whole(frame)):
            if box is None:
                continue
            joints, score = self._joints_in(box, frame)
            if score.mean() >= self.config.min_score:
                sure = joints[score >= self.config.min_score]
                middle, reach = (sure.max(axis=0) + sure.min(axis=0)) / 2, np.ptp(sure, axis=0) / 2 * BOX_GROWTH
                self._last = np.stack([middle - reach, middle + reach])
                return _people(joints[None], score[None], frame)
        self._last = None
        return _people(joints[None][:0], score[None][:0], frame)

    def _joints_in(self, box: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (K, 2) in the frame's pixels and their scores (K,)."""
        height, width = self.size
        view = View.of(box, width, height)
        image = (view.image(frame) - RGB_MEAN) / RGB_STD
        along_x, along_y = (output[0] for output in self.run(image[None]))
        bins = np.stack([along_x.argmax(axis=1), along_y.argmax(axis=1)], axis=1)
        return view.to_frame(bins / BINS_PER_PX), np.minimum(along_x.max(axis=1), along_y.max(axis=1))

    def _wanted_output(self, height: int, width: int) -> list[tuple]:
        return [(1, self.num_joints, BINS_PER_PX * side) for side in (width, height)]


@dataclass(frozen=True)
class View:
    """How a box of the frame is shown in an input of width x height: input = scale * frame + shift, in pixels."""

    scale: float
    shift: np.ndarray
    width: int
    height: int

    @classmethod
    def of(cls, box: np.ndarray, width: int, height: int, centred: bool = True) -> "View":
        """The whole box (its two corners, pixels) as large as fits, in the middle or in the upper left."""
        size = np.array([width, height])
        scale = float((size / np.maximum(box[1] - box[0], 1)).min())
        shift = (size - 1) / 2 - scale * box.mean(axis=0) if centred else -0.5 - scale * box[0]
        return cls(scale, shift, width, height)

    def image(self, frame: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8; black where there is no frame."""
        matrix = np.column_stack([np.eye(2) * self.scale, self.shift])
        return cv2.warpAffine(frame, matrix, (self.width, self.height), flags=cv2.INTER_LINEAR)

    def to_frame(self, joints: np.ndarray) -> np.ndarray:
        """Pixels of the input -> pixels of the frame."""
        return (joints - self.shift) / self.scale


def _open(path: Path, config: OnnxConfig):
    """The model, ready to run, and what runs it. Equal inputs give equal bytes, on one device."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingPackage(f"Expected onnxruntime, but {error}. Run `pip install -e '.[onnx]'`.") from None
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers() and config.device != "cpu"
    if config.device == "cuda" and not cuda:
        raise InputError(
            "Expected onnxruntime with CUDA, but it has none. Install onnxruntime-gpu, or set device: auto."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.num_threads
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors
    providers = ["CUDAExecutionProvider"] * cuda + ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # onnxruntime's own, without a common base
        reason = " ".join(str(error).split())
        raise InputError(f"Expected an ONNX model, but onnxruntime says {reason!r} of {path}. Give another.") from None
    used = "CUDA" if session.get_providers()[0].startswith("CUDA") else "CPU"
    return session, f"onnxruntime {onnxruntime.__version__}, {used}"


def _fits(shape: tuple, wanted: tuple) -> bool:
    """None in `wanted` stands for any number."""
    return len(shape) == len(wanted) and all(side in (None, got) for got, side in zip(shape, wanted, strict=True))


def _whole(frame: np.ndarray) -> np.ndarray:
    """The outer corners of the frame's first and last pixel, x and y."""
    height, width = frame.shape[:2]
    return np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])


def _people(joints: np.ndarray, confidence: np.ndarray, frame: np.ndarray) -> People:
    """A joint outside the frame is a guess: it keeps its place and gets confidence 0."""
    low, high = _whole(frame)
    inside = ((joints >= low) & (joints <= high)).all(axis=-1)
    confidence = np.where(inside, np.clip(confidence, 0, 1), 0)
    return People(joints.astype(np.float32), confidence.astype(np.float32))
