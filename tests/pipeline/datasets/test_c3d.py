"""C3D files that ezc3d writes, read back as joints."""

import sys

import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.datasets.c3d import C3dConfig, read

ezc3d = pytest.importorskip("ezc3d")

NAMES = ["Ann:LWRA", "Ann:LWRB", "ELB", "HEAD"]


def c3d_file(path, points, names=NAMES, residuals=None, unit="mm", rate=100.0):
    """points: (T, M, 3)."""
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [rate]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(names)
    file["parameters"]["POINT"]["UNITS"]["value"] = [unit]
    file["data"]["points"] = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2).transpose(2, 1, 0)
    if residuals is not None:
        file["data"]["meta_points"]["residuals"] = residuals.T[None]
        file["data"]["meta_points"]["camera_masks"] = np.zeros((7, *residuals.T.shape), dtype=bool)
    file.write(str(path))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "arm.yaml").write_text("joints: [wrist, elbow, head]\nlimbs: [[wrist, elbow]]\n")
    return tmp_path


def settings(root, **changes):
    joints = {"wrist": ["LWRA", "LWRB"], "elbow": "ELB", "head": "HEAD"}
    known = {"root": root, "action": "reach", "val_fraction": 0.6, "skeleton": "arm.yaml", "joints": joints}
    return C3dConfig(**known | changes)


def test_by_hand(root):
    points = np.random.default_rng(0).normal(0, 1000, (6, 4, 3)).astype(np.float32)
    for name in ("a", "b", "c"):
        c3d_file(root / f"{name}.c3d", points)
    found = read(settings(root), "mocap")
    assert found.names == ("a", "b", "c") and found.lengths.tolist() == [6, 6, 6] and set(found.fps) == {100}
    x, y, z = np.stack([points[:, :2].mean(axis=1), points[:, 2], points[:, 3]], axis=1).transpose(2, 0, 1) / 1000
    np.testing.assert_allclose(found.joints[:6], np.stack([x, z, -y], axis=2), rtol=1e-5)  # z points up
    assert (found.confidence == 1).all() and found.poses == "motion_capture"


def test_missing_markers(root):
    points = np.ones((6, 4, 3))
    points[1, 0] = np.nan  # one of the two that make the wrist
    residuals = np.zeros((6, 4))
    residuals[3, 2] = -1
    for name in ("a", "b", "c"):
        c3d_file(root / f"{name}.c3d", points, residuals=residuals)
    confidence = read(settings(root), "mocap").confidence[:6]
    expected = np.ones((6, 3))
    expected[1, 0] = expected[3, 1] = 0
    np.testing.assert_array_equal(confidence, expected)


def test_more_names_than_a_parameter_holds(root):
    names = [f"M{number}" for number in range(300)]
    points = np.arange(4 * 300 * 3, dtype=float).reshape(4, 300, 3)
    for name in ("a", "b", "c"):
        c3d_file(root / f"{name}.c3d", points, names, unit="m")
    joints = {"wrist": "M0", "elbow": "M254", "head": "M299"}
    found = read(settings(root, joints=joints, up="y"), "mocap")
    np.testing.assert_allclose(found.joints[0], points[0, [0, 254, 299]])


def test_units(root):
    for name, unit in (("a", "cm"), ("b", "m"), ("c", "m"), ("d", "ells")):
        c3d_file(root / f"{name}.c3d", np.ones((4, 4, 3)), unit=unit)
    found = read(settings(root, up="y"), "mocap")
    np.testing.assert_allclose(found.joints[::4, 0, 0], [0.01, 1, 1])
    assert "'ells'" in found.left_out["d"] and "Set 'units'" in found.left_out["d"]
    found = read(settings(root, up="y", units="mm"), "mocap")
    np.testing.assert_allclose(found.joints[::4, 0, 0], [0.001] * 4)


def test_damaged_files_are_left_out(root):
    for name in ("a", "b", "c", "d"):
        c3d_file(root / f"{name}.c3d", np.ones((6, 4, 3)))
    content = (root / "d.c3d").read_bytes()
    for damaged in (b"", content[:100], content[:600], b"no C3D at all " * 100):
        (root / "d.c3d").write_bytes(damaged)
        found = read(settings(root), "mocap")
        assert found.names == ("a", "b", "c")
        assert found.left_out["d"].startswith("Expected a C3D file, but got") and "\n" not in found.left_out["d"]
        assert "in d.c3d. Export it again." in found.left_out["d"]


def test_without_ezc3d(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    with pytest.raises(InputError, match=r"package ezc3d, but it is not installed.*pip install -e '\.\[c3d\]'"):
        read(settings(root), "mocap")
