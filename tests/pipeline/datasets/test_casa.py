"""CASA's files as it writes them: joints as they are, and axis angles by a stand-in for the package smplx.

The stand-in has the package's interface and answers with sums of what it is given, so that what is passed where, and
which joints are taken, can be worked out by hand.
"""

import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline.config import InputError
from pipeline.datasets.casa import CasaConfig, read
from pipeline.projection import ProjectConfig, project
from pipeline.skeleton import load_skeleton

LABELS = [0, 0, 1, 1, 2, 2]


def joints(seed=0, num_frames=6, num_joints=17):
    return np.random.default_rng(seed).normal(size=(num_frames, num_joints, 3))


def save(root, name, **sequences):
    root.mkdir(exist_ok=True)
    np.save(root / f"{name}.npy", sequences)


@pytest.fixture
def root(tmp_path):
    save(tmp_path, "squats_train", v1={"pose": joints(1), "labels": np.array(LABELS)})
    save(
        tmp_path,
        "squats_val",
        v2={"pose": joints(2), "labels": np.array(LABELS)},
        v3={"pose": joints(3), "labels": [0, 0, 0, 1, 1, 1]},
    )
    return tmp_path


def settings(root, **changes):
    return CasaConfig(**{"root": root, "up": "-z"} | changes)


def test_joints_and_labels(root):
    found = read(settings(root), "casa")
    assert found.names == ("v1", "v2", "v3") and found.splits == ("train", "val", "val")
    assert set(found.actions) == {"squats"} and found.skeleton.name == "coco_17" and set(found.fps) == {20}
    np.testing.assert_allclose(found.joints[:6], joints(1)[..., [0, 2, 1]] * (1, -1, 1), rtol=1e-6)
    assert found.events.tolist() == [[2, 4], [2, 4], [3, -1]] and found.event_names == {
        "squats": ("phase_1", "phase_2")
    }
    assert found.phase.tolist() == LABELS * 2 + [0, 0, 0, 1, 1, 1] and found.labels == "human"


def test_the_image_of_normalised_bodies_shows_x_and_z(root):
    """CASA lays z from shoulder to hip; in the image, that is down."""
    pixels = project(read(settings(root), "casa"), ProjectConfig()).joints[:6]
    scale = np.ptp(pixels.reshape(-1, 2), axis=0).max() / np.ptp(joints(1)[..., [0, 2]].reshape(-1, 2), axis=0).max()
    difference = pixels - joints(1)[..., [0, 2]] * scale
    np.testing.assert_allclose(difference, np.broadcast_to(difference[0, 0], difference.shape), atol=1e-3)


def test_missing_joints_and_frames(root):
    pose = joints(4)
    pose[1, 3] = np.nan
    pose[2] = 0
    pose[3, 0] = 0  # the origin of normalised joints
    save(root, "squats_train", v1={"pose": pose, "labels": LABELS})
    confidence = read(settings(root), "casa").confidence[:6]
    expected = np.ones((6, 17))
    expected[1, 3] = expected[2] = 0
    np.testing.assert_array_equal(confidence, expected)


def test_labels_that_repeat(root):
    save(
        root,
        "squats_train",
        v1={"pose": joints(1), "labels": LABELS},
        v4={"pose": joints(4), "labels": [0, 5, 1, 1, 5, 0]},
    )
    found = read(settings(root), "casa")
    assert (
        found.names == ("v1", "v2", "v3")
        and "after 5" in found.left_out["v4"]
        and "sequence 'v4', frame 2" in found.left_out["v4"]
    )
    found = read(settings(root, ordered_labels=False), "casa")
    assert found.names == ("v1", "v4", "v2", "v3") and found.labels == "none" and (found.phase == -1).all()


def test_what_is_left_out_adds_no_phases(root):
    short = {"pose": joints(4, num_frames=3), "labels": [0, 1, 2]}
    empty = {"pose": np.zeros((6, 17, 3)), "labels": [0, 1, 2, 3, 4, 5]}
    two = {"pose": joints(1), "labels": [0, 0, 0, 1, 1, 1]}
    save(root, "squats_train", v1=two, v4=short, v5=empty)
    save(root, "squats_val", v2=two, v3=two)
    found = read(settings(root), "casa")
    assert found.names == ("v1", "v2", "v3") and set(found.left_out) == {"v4", "v5"}
    assert found.event_names == {"squats": ("phase_1",)} and found.events.tolist() == [[3]] * 3


def test_key_events_of_a_csv_go_first(root):
    (root / "events.csv").write_text("sequence,event1\nv1,1\nv2,2\nv3,\n")
    found = read(settings(root, events={"path": "events.csv"}), "casa")
    assert found.events.tolist() == [[1], [2], [-1]]


GOOD = {"pose": joints(4), "labels": LABELS}


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        ({"pose": joints(4)}, ["'labels'", "missing"]),
        ({"labels": LABELS}, ["'pose'", "missing"]),
        ("nothing", ["'pose'", "missing"]),
        (GOOD | {"pose": joints(4, num_joints=16)}, ["(T, 17, 3)", "(6, 16, 3)"]),
        (GOOD | {"pose": joints(4).reshape(6, 51)}, ["(T, 17, 3)", "(6, 51)"]),
        (GOOD | {"pose": np.float64(3)}, ["(T, 17, 3)", "()"]),
        (GOOD | {"pose": np.full((6, 17, 3), "x")}, ["numbers 'pose'"]),
        (GOOD | {"pose": np.full((6, 17, 3), np.inf)}, ["finite", "frame 0"]),
        (GOOD | {"labels": LABELS[:-1]}, ["6 phases", "(5,)", "'ordered_labels'"]),
        (GOOD | {"labels": [0, 0, 1, 1.5, 2, 2]}, ["6 phases"]),
        (GOOD | {"labels": [-1, 0, 1, 1, 2, 2]}, ["6 phases"]),
        (GOOD | {"labels": [0, 0, 1, 1, 2, 10**15]}, ["6 phases"]),
        (GOOD | {"labels": None}, ["6 phases"]),
    ],
)  # fmt: skip
def test_a_wrong_sequence_is_left_out(root, wrong, parts):
    save(root, "squats_train", v1={"pose": joints(1), "labels": LABELS}, v4=wrong)
    found = read(settings(root), "casa")
    assert found.names == ("v1", "v2", "v3") and "\n" not in found.left_out["v4"]
    for part in [*parts, "squats_train.npy", "sequence 'v4'"]:
        assert part in found.left_out["v4"]


class Run:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_wrong_file_is_left_out_and_not_run(root):
    save(root, "pushups_train", v5={"pose": Run(root / "ran")})
    np.save(root / "pullups_train.npy", np.arange(3))
    found = read(settings(root), "casa")
    assert found.names == ("v1", "v2", "v3") and not (root / "ran").exists()
    assert "mkdir" in found.left_out["pushups_train"] and "pushups_train.npy" in found.left_out["pushups_train"]
    assert "Expected a dictionary, but got ndarray" in found.left_out["pullups_train"]


@pytest.fixture
def smplx(monkeypatch):
    names = ["pelvis", *(joint for joint in load_skeleton("body_25").joints if joint != "mid_hip"), "jaw"]
    package = ModuleType("smplx")
    package.joint_names, package.vertex_ids = ModuleType("joint_names"), ModuleType("vertex_ids")
    package.joint_names.JOINT_NAMES = names
    package.vertex_ids.vertex_ids = {"mano": {"thumb": 4, "index": 0, "middle": 1, "ring": 2, "pinky": 3}}
    package.made = []

    class SMPLX:
        """Joint j lies at (sum of its pose, j, sum of its shape)."""

        def __init__(self, folder, ext, num_betas, use_pca):
            package.made.append(("SMPLX", folder, ext))
            if not os.path.exists(os.path.join(folder, f"SMPLX_NEUTRAL.{ext}")):
                raise AssertionError("Path does not exist!")

        def __call__(self, *, betas, global_orient, body_pose, **others):
            assert global_orient.shape[1:] == (3,) and body_pose.shape[1:] == (63,) and betas.shape[1:] == (10,)
            assert len({len(others[key]) for key in others} | {len(betas), len(body_pose)}) == 1
            size = sum(part.sum(dim=1) for part in (global_orient, body_pose, *others.values()))
            index = torch.arange(len(names)).expand(len(betas), -1)
            columns = (size[:, None].expand_as(index), index, betas.sum(dim=1)[:, None].expand_as(index))
            return SimpleNamespace(joints=torch.stack(columns, dim=2))

    class MANO:
        """Joint j lies at where the hand is plus (j, 0, sum of its angles), and vertex v at that plus (100 + v, 0, shape)."""

        def __init__(self, folder, is_rhand, use_pca, flat_hand_mean):
            assert flat_hand_mean and not use_pca
            package.made.append(("MANO", folder, is_rhand))

        def __call__(self, *, betas, transl, global_orient, hand_pose):
            assert hand_pose.shape[1:] == (45,) and betas.shape[1:] == (10,)
            angles = global_orient.sum(dim=1) + hand_pose.sum(dim=1)

            def row(first, number, last):
                index = first + torch.arange(number).expand(len(betas), -1)
                columns = (index, torch.zeros_like(index), last[:, None].expand_as(index))
                return torch.stack(columns, dim=2) + transl[:, None]

            return SimpleNamespace(joints=row(0, 16, angles), vertices=row(100, 10, betas.sum(dim=1)))

    package.SMPLX, package.MANO = SMPLX, MANO
    for name, module in (
        ("smplx", package),
        ("smplx.joint_names", package.joint_names),
        ("smplx.vertex_ids", package.vertex_ids),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    return package


def angles(root, size, shape, num_frames=100):
    rng = np.random.default_rng(5)
    labels = [0] * num_frames
    made = {}
    for name, file in (("v1", "x_train"), ("v2", "x_val"), ("v3", "x_val")):
        made[name] = {
            "pose": rng.normal(size=(num_frames, size)),
            "beta": rng.normal(size=(num_frames, shape)),
            "labels": labels,
        }
        made[name]["beta"] = made[name]["beta"] if name != "v3" else made[name]["beta"][0]
        save(root, file, **{key: made[key] for key in made if (key == "v1") == (file == "x_train")})
    return made


@pytest.mark.parametrize("suffix", ["npz", "pkl"])
def test_bodies(tmp_path, smplx, suffix):
    made = angles(tmp_path, 66, 10)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"SMPLX_NEUTRAL.{suffix}").touch()
    found = read(settings(tmp_path, pose="smplx", model_path="models", up="y"), "casa")
    assert smplx.made == [("SMPLX", str(tmp_path / "models"), suffix)] and found.skeleton.name == "body_25"
    # body_25 has the pelvis, here first, after its first eight joints
    order = [*range(1, 9), 0, *range(9, 25)]
    for n, name in enumerate(("v1", "v2", "v3")):
        rows = found.joints[found.frames(n)]
        np.testing.assert_allclose(rows[:, 7, 0], made[name]["pose"].sum(axis=1), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(rows[..., 1], np.tile(order, (100, 1)))
        np.testing.assert_allclose(
            rows[:, 0, 2], np.broadcast_to(made[name]["beta"].sum(axis=-1), 100), rtol=1e-4, atol=1e-4
        )
    assert found.labels == "none"  # a single phase


def test_hands(tmp_path, smplx):
    made = angles(tmp_path, 102, 20)
    made["v1"]["pose"][3, 51:] = 0  # no right hand
    save(tmp_path, "x_train", v1=made["v1"])
    found = read(settings(tmp_path, pose="mano", model_path=".", up="y"), "casa")
    assert [one[2] for one in smplx.made] == [False, True] and found.skeleton.name == "hands_42"
    pose, beta = made["v1"]["pose"], made["v1"]["beta"]
    for first, part, shape in ((0, pose[:, :51], beta[:, :10]), (21, pose[:, 51:], beta[:, 10:])):
        hand = (found.joints[:100, first : first + 21] - part[:, None, :3])[0]
        # wrist; thumb, index, middle, ring and little finger from the palm outwards, the tip being a vertex
        expected = [0, 13, 14, 15, 104, 1, 2, 3, 100, 4, 5, 6, 101, 10, 11, 12, 102, 7, 8, 9, 103]
        np.testing.assert_allclose(hand[:, 0], expected, atol=1e-4)
        np.testing.assert_allclose(hand[0, 2], part[0, 3:].sum(), rtol=1e-4)
        np.testing.assert_allclose(hand[4, 2], shape[0].sum(), rtol=1e-4)
    assert (
        (found.confidence[3, 21:] == 0).all()
        and (found.confidence[3, :21] == 1).all()
        and (found.confidence == 0).sum() == 21
    )


def test_other_widths_than_the_models(tmp_path, smplx):
    angles(tmp_path, 72, 10)
    with pytest.raises(InputError, match=r"all 3 .*'pose' \(T, 66\), but got \(100, 72\)"):
        (tmp_path / "SMPLX_NEUTRAL.npz").touch()
        read(settings(tmp_path, pose="smplx", model_path="."), "casa")
    angles(tmp_path, 66, 16)
    with pytest.raises(InputError, match=r"'beta' \(100, 10\), but got \(100, 16\)"):
        read(settings(tmp_path, pose="smplx", model_path="."), "casa")


def test_model_files(root, smplx, monkeypatch):
    body = {"pose": "smplx", "model_path": "models"}
    with pytest.raises(InputError, match=r"model files, but got 'AssertionError: Path does not exist!' in .*models"):
        read(settings(root, **body), "casa")
    with pytest.raises(InputError, match=r"joints of SMPL-X, but skeleton 'penn_13' has \['head'\]"):
        read(settings(root, skeleton="penn_13", **body), "casa")
    with pytest.raises(InputError, match="below root"):
        read(settings(root, pose="smplx", model_path="/models"), "casa")
    monkeypatch.setitem(sys.modules, "smplx", None)
    with pytest.raises(InputError, match=r"package smplx, but it is not installed.*pip install -e '\.\[smplx\]'"):
        read(settings(root, **body), "casa")


@pytest.mark.parametrize(
    "changes",
    [
        {"pose": "smplx"},
        {"model_path": "models"},
        {"pose": "mano", "model_path": "m", "skeleton": "hand_21"},
        {"up": "x"},
    ],
)
def test_wrong_settings(tmp_path, changes):
    with pytest.raises(ValidationError):
        settings(tmp_path, **changes)
