"""TRC files as OpenSim writes them."""

import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.datasets.trc import TrcConfig, read

MARKERS = ["RWrist", "RElbow", "Head"]
GOOD = [[f"{10 * frame + value}.5" for value in range(9)] for frame in range(5)]


def trc_text(rows, markers=MARKERS, units="mm", rate="60.00", num_frames=None, blank=True):
    """Header, names over the first of three columns each, an empty line, rows; tabs between and at the end."""
    columns = [f"{axis}{i}" for i in range(1, len(markers) + 1) for axis in "XYZ"]
    lines = [
        "PathFileType\t4\t(X/Y/Z)\twalk.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{len(rows) if num_frames is None else num_frames}\t{len(markers)}\t{units}\t{rate}\t1\t{len(rows)}",
        "Frame#\tTime\t" + "\t\t\t".join(markers) + "\t\t",
        "\t\t" + "\t".join(columns),
        *([""] if blank else []),
        *("\t".join([str(i), f"{(i - 1) / 60:.5f}", *row]) + "\t" for i, row in enumerate(rows, start=1)),
    ]
    return "\r\n".join(lines) + "\r\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "arm.yaml").write_text("joints: [wrist, elbow, head]\nlimbs: [[wrist, elbow]]\n")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.trc").write_text(trc_text(GOOD), newline="")
    return tmp_path


def settings(root, **changes):
    joints = {"wrist": "RWrist", "elbow": "RElbow", "head": "Head"}
    known = {"root": root, "action": "reach", "val_fraction": 0.6, "skeleton": "arm.yaml", "joints": joints}
    return TrcConfig(**known | changes)


def left_out(root, text):
    (root / "d.trc").write_text(text)
    found = read(settings(root), "mocap")
    assert found.names == ("a", "b", "c") and "\n" not in found.left_out["d"] and "d.trc" in found.left_out["d"]
    return found.left_out["d"]


def test_by_hand(root):
    found = read(settings(root), "mocap")
    np.testing.assert_allclose(found.joints[:5], np.array(GOOD, dtype=float).reshape(5, 3, 3) / 1000, rtol=1e-6)
    assert set(found.fps) == {60} and (found.confidence == 1).all() and found.poses == "motion_capture"


def test_empty_cells_are_missing_markers(root):
    rows = [list(row) for row in GOOD]
    rows[1][3:6] = ["", "", ""]
    rows[2][6:9] = ["nan", "NaN", " "]
    rows[4][8] = ""  # a part of a marker is none
    (root / "a.trc").write_text(trc_text(rows, blank=False))
    confidence = read(settings(root), "mocap").confidence[:5]
    assert confidence.tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, 1], [1, 1, 0]]


def test_units(root):
    (root / "a.trc").write_text(trc_text(GOOD, units="m"))
    assert read(settings(root), "mocap").joints[0, 0, 0] == np.float32(0.5)
    assert read(settings(root, units="cm"), "mocap").joints[0, 0, 0] == np.float32(0.005)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["PathFileType", "line 1"]),
        ("x y z\n1 2 3\n" * 5, ["PathFileType", "line 1"]),
        (trc_text(GOOD, rate="fast"), ["DataRate", "line 3"]),
        (trc_text(GOOD).replace("NumMarkers", "Markers"), ["NumMarkers", "line 3"]),
        (trc_text(GOOD).replace("RElbow\t\t\t", ""), ["3 markers", "line 4"]),
        (trc_text(GOOD).replace("RElbow", ""), ["3 markers", "line 4"]),
        (trc_text(GOOD, num_frames=6), ["6 frames, but got 5"]),
        (trc_text(GOOD)[:-40], ["11 cells", "line 11"]),
        (trc_text(GOOD, blank=False)[:-40], ["11 cells", "line 10"]),
        (trc_text([*GOOD[:2], [*GOOD[2], "7"], *GOOD[3:]]), ["11 cells", "line 9"]),
        (trc_text([*GOOD[:2], [*GOOD[2][:8], "high"], *GOOD[3:]]), ["'high'", "line 9"]),
        (trc_text([*GOOD[:2], [*GOOD[2][:8], "inf"], *GOOD[3:]]), ["inf", "frame 2", "'head'"]),
        (trc_text(GOOD, units="ells"), ["'ells'", "Set 'units'"]),
        (trc_text(GOOD, rate="0"), ["frame rate above 0"]),
        (trc_text(GOOD, markers=["RWrist", "RElbow", "Hat"]), ["marker 'Head'"]),
    ],
)
def test_wrong_content_is_named_and_left_out(root, text, parts):
    message = left_out(root, text)
    for part in parts:
        assert part in message


def test_no_text(root):
    (root / "d.trc").write_bytes(b"\xff\xfe" * 50)
    assert "Expected a TRC file" in read(settings(root), "mocap").left_out["d"]
    with pytest.raises(InputError, match="there is none"):
        read(settings(root, pattern=r".*\.csv"), "mocap")
