"""BVH: forward kinematics against poses worked out by hand, and a slow reference with matrices."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import InputError
from pipeline.datasets.bvh import BvhConfig, read, read_bvh

ARM = """HIERARCHY
ROOT Hips
{
\tOFFSET 0.0 90.0 0.0
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT Upper Arm
\t{
\t\tOFFSET 10.0 0.0 0.0
\t\tCHANNELS 3 Zrotation Xrotation Yrotation
\t\tJOINT Hand
\t\t{
\t\t\tOFFSET 5.0 0.0 0.0
\t\t\tCHANNELS 3 Xrotation Yrotation Zrotation
\t\t\tEnd Site
\t\t\t{
\t\t\t\tOFFSET 1.0 0.0 0.0
\t\t\t}
\t\t}
\t}
\tJOINT Leg {
\t\tOFFSET 0.0 -40.0 0.0
\t\tCHANNELS 0
\t\tEnd Site { OFFSET 0.0 -40.0 0.0 } }
}
MOTION
Frames: 4
Frame Time: 0.008333
"""
STILL = "1 2 3  0 0 0  0 0 0  0 0 0\n"
ROWS = [
    STILL,
    "1 2 3  90 0 0  0 0 0  0 0 0\n",  # the whole turns by a quarter about z: x to y
    "0 0 0  0 0 0  90 0 90  45 45 45\n",  # z outside, y inside: x goes by y to -z, and z leaves it there
    "0 0 0  90 0 0  -90 0 0  0 0 0\n",  # one undoes the other
]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "arm.yaml").write_text("joints: [Hips, arm, hand]\nlimbs: [[Hips, arm], [arm, hand]]\n")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.bvh").write_text(ARM + "".join(ROWS))
    return tmp_path


def config(root, **changes):
    known = {"root": root, "action": "reach", "val_fraction": 0.6, "skeleton": "arm.yaml"}
    return BvhConfig(**known | {"joints": {"arm": "Upper Arm", "hand": "Hand"}} | changes)


def test_by_hand(root):
    names, positions, fps = read_bvh(root / "a.bvh")
    assert names == ["Hips", "Upper Arm", "Hand", "Leg"] and fps == pytest.approx(120, abs=0.01)
    expected = [
        [(1, 2, 3), (11, 2, 3), (16, 2, 3), (1, -38, 3)],
        [(1, 2, 3), (1, 12, 3), (1, 17, 3), (41, 2, 3)],
        [(0, 0, 0), (10, 0, 0), (10, 0, -5), (0, -40, 0)],
        [(0, 0, 0), (0, 10, 0), (5, 10, 0), (40, 0, 0)],
    ]
    np.testing.assert_allclose(positions, expected, atol=1e-12)


def test_as_a_data_set(root):
    found = read(config(root, up="z"), "mocap")
    assert found.names == ("a", "b", "c") and found.skeleton.joints == ("Hips", "arm", "hand")
    np.testing.assert_allclose(found.joints[0], [(1, 3, -2), (11, 3, -2), (16, 3, -2)])
    assert (found.confidence == 1).all() and found.poses == "motion_capture"


def matrix(axis, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        {"X": [[1, 0, 0], [0, c, -s], [0, s, c]], "Y": [[c, 0, s], [0, 1, 0], [-s, 0, c]], "Z": [[c, -s, 0], [s, c, 0], [0, 0, 1]]}[axis]
    )  # fmt: skip


@given(
    orders=st.lists(st.permutations("XYZ").flatmap(lambda order: st.integers(0, 3).map(lambda n: order[:n])), min_size=1, max_size=5).filter(any),
    moved=st.booleans(),
    seed=st.integers(0, 999),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_any_order_of_rotations_down_a_chain(tmp_path_factory, orders, moved, seed):
    """One frame of a chain: the product of all matrices on the way, each channel's in the file's order."""
    rng = np.random.default_rng(seed)
    text, row, expected = "HIERARCHY\n", [], []
    place, turned = np.zeros(3), np.eye(3)
    for number, order in enumerate(orders):
        offset = rng.normal(0, 10, 3)
        channels = [f"{axis}rotation" for axis in order]
        angles = rng.uniform(-400, 400, len(order)).tolist()
        if moved:  # a position in the place of the offset's x, between the rotations
            offset[0] = rng.normal()
            channels.insert(1, "Xposition")
            angles.insert(1, offset[0]) if order else angles.append(offset[0])
            row += angles
            angles = [value for value, channel in zip(angles, channels, strict=True) if channel != "Xposition"]
        else:
            row += angles
        text += f"{'JOINT' if number else 'ROOT'} J{number}\n{{\nOFFSET {7 if moved else offset[0]} {offset[1]} {offset[2]}\n"
        text += f"CHANNELS {len(channels)} {' '.join(channels)}\n"
        place = place + turned @ offset
        for axis, angle in zip(order, angles, strict=True):
            turned = turned @ matrix(axis, angle)
        expected.append(place)
    text += "End Site\n{\nOFFSET 1 1 1\n}\n" + "}\n" * len(orders) + "MOTION\nFrames: 1\nFrame Time: 0.1\n"
    path = tmp_path_factory.mktemp("bvh") / "a.bvh"
    path.write_text(text + " ".join(map(str, row)) + "\n")
    np.testing.assert_allclose(read_bvh(path)[1], [expected], atol=1e-9)


def test_several_people_in_a_file(tmp_path):
    one = ARM[ARM.index("ROOT") : ARM.index("MOTION")]
    text = ARM.replace("MOTION", one.replace("Hips", "Hips2") + "MOTION")
    (tmp_path / "a.bvh").write_text(text + "".join(row.strip() + " " + STILL for row in ROWS))
    names, positions, _ = read_bvh(tmp_path / "a.bvh")
    assert names.index("Hips2") == 4
    np.testing.assert_allclose(positions[:, 4], [(1, 2, 3)] * 4)


GOOD = ARM + "".join(ROWS)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "line 0"),
        (ARM.replace("Frames: 4", "Frames: 0"), r"fewer than 4 frames \(0\)"),
        (GOOD.replace("ROOT Hips", "ROUTE Hips"), "'ROUTE Hips' in .*line 2"),
        (GOOD.replace("\tJOINT Upper Arm", "\tROOT Upper Arm"), "'ROOT Upper Arm' in .*line 6"),
        (GOOD.replace("OFFSET 10.0 0.0 0.0", "OFFSET 10.0 0.0"), "line 8"),
        (GOOD.replace("OFFSET 10.0 0.0 0.0", "OFFSET 10.0 0.0 zero"), "3 numbers.*line 8"),
        (GOOD.replace("CHANNELS 3 Zrotation Xrotation", "CHANNELS 3 Zrotation"), "'CHANNELS 3 Zrotation Yrotation' in .*line 9"),
        (GOOD.replace("CHANNELS 3 Zrotation Xrotation", "CHANNELS 3 Wrotation Xrotation"), "'Wrotation'.*line 9"),
        (GOOD.replace("CHANNELS 3 Zrotation Xrotation", "CHANNELS 3 Xrotation Xrotation"), "each once.*line 9"),
        (GOOD.replace("}\nMOTION", "MOTION"), "closed hierarchy.*line 23"),
        (GOOD.replace("}\nMOTION", "}\n}\nMOTION"), "'}' in .*line 25"),
        (GOOD.replace("\tJOINT Leg {", "\tJOINT Leg"), "'OFFSET 0.0 -40.0 0.0' in .*line 21"),
        (GOOD.replace("MOTION", "NOTION"), "'NOTION' in .*line 25"),
        (GOOD[: GOOD.index("MOTION")], "Frames"),
        (GOOD.replace("Frame Time: 0.008333", "Frame Rate: 120"), "'Frame Time:'.*line 26"),
        (GOOD.replace("0.008333", "0"), "frame time above 0"),
        (GOOD.replace("Frames: 4", "Frames: 5"), "5 frames .* got 4"),
        (GOOD[:-10], "12 numbers.*line 31"),
        (GOOD.replace("90 0 90", "90 0 nan"), "12 numbers.*line 30"),
        (GOOD.replace("90 0 90", "90 0 x"), "12 numbers.*line 30"),
        (GOOD.replace("Hand", "Foot"), "marker 'Hand'"),
    ],
)  # fmt: skip
def test_wrong_content_is_named_and_left_out(root, text, part):
    (root / "d.bvh").write_text(text)
    found = read(config(root), "mocap")
    assert found.names == ("a", "b", "c") and "\n" not in found.left_out["d"]
    assert re.search(part, found.left_out["d"])


def test_no_text(root):
    (root / "a.bvh").write_bytes(b"\xff\xfe" * 50)
    with pytest.raises(InputError, match="Expected a BVH file"):
        read_bvh(root / "a.bvh")
