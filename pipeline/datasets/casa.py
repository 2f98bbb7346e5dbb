"""The poses that CASA provides (Kwon et al., CVPR 2022): `<action>_train.npy` and `<action>_val.npy`.

Each holds a pickled dictionary, sequence -> {"pose", "labels", "beta"}. Shapes: T frames, K joints, D pose and B shape parameters.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from pipeline.clip import Clip, check_clip
from pipeline.config import InputError, MissingPackage
from pipeline.datasets.axes import AxesConfig, Axis
from pipeline.datasets.collection import CollectionConfig, Entry, collect, entries, load_each, own_skeleton
from pipeline.datasets.files import below
from pipeline.datasets.frame_labels import events_of
from pipeline.datasets.safe_pickle import load_pickled_npy
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton

log = logging.getLogger(__name__)

BodyModel = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (T, D) poses and (T, B) shapes to (T, K, 3) joints

SKELETONS = {"joints": "coco_17", "smplx": "body_25", "mano": "hands_42"}
WIDTHS = {"smplx": (66, 10), "mano": (102, 20)}  # pose and shape parameters of a frame
FRAMES_AT_ONCE = 64  # a frame of SMPL-X takes about 3 MB
# Of the 16 joints of the hand model and the 5 finger tips: wrist, thumb, index, middle, ring, little finger.
HAND = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)


class CasaConfig(AxesConfig, CollectionConfig):
    """What the files hold.

    pose: joints, (T, K, 3) (IKEA ASM; with CASA's axes, z from shoulder to hip: up: -z); smplx, axis angles of the body
    (Penn Action); mano, left and right hand (H2O). The latter need the user's own model files, in the folder model_path
    below the root: SMPLX_NEUTRAL.npz or .pkl; MANO_LEFT.pkl and MANO_RIGHT.pkl. The package smplx opens them, and runs
    what is in them: take them from their authors only. skeleton: of joints; any of SMPL-X's joint names for smplx.
    ordered_labels: whether the labels are phases in order; false leaves them aside (those of IKEA ASM repeat).
    """

    reader: Literal["casa"] = "casa"
    pattern: str = r"(?P<action>\w+)_(?P<split>train|val)\.npy"
    pose: Literal["joints", "smplx", "mano"] = "joints"
    skeleton: str | None = None
    model_path: Path | None = None
    ordered_labels: bool = True
    labels: Literal["derived", "human", "carried"] = "human"
    fps: float = Field(20, gt=0, allow_inf_nan=False)
    up: Axis = "-y"

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "CasaConfig":
        if (self.pose == "joints") != (self.model_path is None):
            raise ValueError("give model_path with pose smplx or mano, and not with joints")
        if self.pose == "mano" and self.skeleton not in (None, SKELETONS["mano"]):
            raise ValueError("pose mano has skeleton hands_42")
        return self


def read(config: CasaConfig, dataset: str) -> PoseSequences:
    """Read all sequences. A joint is missing where a coordinate is NaN, a frame where all are 0.

    A file, or a sequence of it, with wrong content is left out. Raises InputError without smplx or the model files where
    they are needed, and as `entries` and `collect` do.
    """
    skeleton = own_skeleton(config.root, config.skeleton or SKELETONS[config.pose])
    model = _body_model(config, skeleton) if config.model_path else None
    wrong: dict[str, str] = {}

    def load(entry: Entry) -> Iterator[Clip]:
        content = load_pickled_npy(entry.path)
        if not isinstance(content, dict):
            raise InputError(f"Expected a dictionary, but got {type(content).__name__} in {entry.path}. Copy it again.")
        for name, sequence in content.items():
            where = f"{entry.path}, sequence {name!r}"
            try:
                joints = _joints(sequence, config, skeleton, model, where)
                present = ~np.isnan(joints).any(axis=2) & (joints != 0).any(axis=(1, 2))[:, None]
                clip = entry.clip(config.turn(joints), present, config.fps, name=str(name))
                useless = check_clip(clip, skeleton, 0)
                events = _phases(sequence, len(joints), where) if config.ordered_labels else ()
            except InputError as error:
                wrong[str(name)] = str(error)
                log.warning("left out %s: %s", name, error)
            else:
                yield clip if useless else replace(clip, events=events)  # what is left out adds no phases to its action

    clips, left_out = load_each(entries(config), load, skeleton)
    most: dict[str, int] = {}
    for clip in clips:
        most[clip.action] = max(most.get(clip.action, 0), len(clip.events))
    return collect(
        config,
        [replace(clip, events=clip.events + (-1,) * (most[clip.action] - len(clip.events))) for clip in clips],
        left_out | wrong,
        dataset=dataset,
        skeleton=skeleton,
        poses="motion_capture",
        event_names={action: tuple(f"phase_{n + 1}" for n in range(number)) for action, number in most.items()},
    )


def _numbers(sequence: object, key: str, where: str) -> np.ndarray:
    if not isinstance(sequence, dict) or key not in sequence:
        raise InputError(f"Expected a dictionary with {key!r}, but it is missing in {where}. Copy the file again.")
    try:
        return np.asarray(sequence[key], dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"Expected numbers {key!r}, but got others in {where}. Copy the file again.") from None


def _joints(
    sequence: object, config: CasaConfig, skeleton: Skeleton, model: BodyModel | None, where: str
) -> np.ndarray:
    """(T, K, 3) joints in the data set's axes."""
    pose = _numbers(sequence, "pose", where)
    shape = (skeleton.num_joints, 3) if model is None else WIDTHS[config.pose][:1]
    if pose.ndim == 0 or pose.shape[1:] != shape:
        raise InputError(
            f"Expected 'pose' (T, {', '.join(map(str, shape))}), but got {pose.shape} in {where}. Correct 'pose' or 'skeleton'."
        )
    if model is None:
        return pose
    beta = _numbers(sequence, "beta", where)
    expected = (len(pose), WIDTHS[config.pose][1])
    if beta.shape not in (expected, expected[1:]):
        raise InputError(f"Expected 'beta' {expected}, but got {beta.shape} in {where}. Correct 'pose'.")
    beta = np.broadcast_to(beta, expected)
    blocks = [slice(start, start + FRAMES_AT_ONCE) for start in range(0, len(pose), FRAMES_AT_ONCE)]
    return np.concatenate([np.zeros((0, skeleton.num_joints, 3)), *(model(pose[rows], beta[rows]) for rows in blocks)])


def _phases(sequence: object, num_frames: int, where: str) -> tuple[int, ...]:
    """The first frame of each phase but the first, as far as the sequence's last phase."""
    labels = _numbers(sequence, "labels", where)
    wrong = (labels % 1 != 0) | (labels < 0) | (labels >= num_frames)
    if labels.shape != (num_frames,) or wrong.any():
        raise InputError(
            f"Expected {num_frames} phases from 0 in 'labels', but got others, {labels.shape}, in {where}. Set"
            " 'ordered_labels' to false, or give key events in a CSV."
        )
    return events_of(labels.astype(int).tolist(), range(int(labels.max(initial=0)) + 1), where)[1:]


def _body_model(config: CasaConfig, skeleton: Skeleton) -> BodyModel:
    try:
        import smplx  # noqa: F401
    except ImportError:
        raise MissingPackage(
            f"Expected the package smplx, but it is not installed, for pose {config.pose!r}. Run `pip install -e '.[smplx]'`."
        ) from None
    folder = below(config.root, config.model_path)
    build = _smplx if config.pose == "smplx" else _mano
    try:
        return build(folder, skeleton)
    except InputError:
        raise
    except Exception as error:  # smplx raises whatever a missing or other file leads it to
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"Expected model files, but got {detail!r} in {folder}. Correct 'model_path'.") from None


def _smplx(folder: Path, skeleton: Skeleton) -> BodyModel:
    import torch
    from smplx import SMPLX
    from smplx.joint_names import JOINT_NAMES

    names = ["pelvis" if joint == "mid_hip" else joint for joint in skeleton.joints]
    if absent := set(names) - set(JOINT_NAMES):
        raise InputError(
            f"Expected joints of SMPL-X, but skeleton {skeleton.name!r} has {sorted(absent)}. Name another."
        )
    index = [JOINT_NAMES.index(name) for name in names]
    suffix = "npz" if (folder / "SMPLX_NEUTRAL.npz").is_file() else "pkl"
    model = SMPLX(str(folder), ext=suffix, num_betas=10, use_pca=False)

    def joints(pose: np.ndarray, beta: np.ndarray) -> np.ndarray:
        body, shape = (torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)) for array in (pose, beta))
        rest = torch.zeros(len(body), 45)
        face = {key: rest[:, :3] for key in ("jaw_pose", "leye_pose", "reye_pose")}
        hands = {"left_hand_pose": rest, "right_hand_pose": rest}
        with torch.no_grad():
            found = model(
                betas=shape, global_orient=body[:, :3], body_pose=body[:, 3:], expression=rest[:, :10], **face, **hands
            )
        return found.joints[:, index].numpy().astype(np.float64)

    return joints


def _mano(folder: Path, skeleton: Skeleton) -> BodyModel:
    import torch
    from smplx import MANO
    from smplx.vertex_ids import vertex_ids

    tips = [vertex_ids["mano"][name] for name in ("thumb", "index", "middle", "ring", "pinky")]
    models = [MANO(str(folder), is_rhand=right, use_pca=False, flat_hand_mean=True) for right in (False, True)]

    def joints(pose: np.ndarray, beta: np.ndarray) -> np.ndarray:
        hands = []
        for model, of_hand, shape in zip(models, np.split(pose, 2, axis=1), np.split(beta, 2, axis=1), strict=True):
            hand, betas = (
                torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)) for array in (of_hand, shape)
            )
            with torch.no_grad():
                found = model(betas=betas, transl=hand[:, :3], global_orient=hand[:, 3:6], hand_pose=hand[:, 6:])
            each = torch.cat([found.joints[:, :16], found.vertices[:, tips]], dim=1)[:, HAND]
            each[(hand == 0).all(dim=1)] = torch.nan  # not annotated
            hands.append(each)
        return torch.cat(hands, dim=1).numpy().astype(np.float64)

    return joints
