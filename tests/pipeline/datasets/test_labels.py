"""Labels in seconds from the video's start, of poses that begin later, or that some frames lack."""

import json

import numpy as np
import pytest

from pipeline.datasets import h2o, ikea_asm, openpifpaf_json, tracks

FIRST, STEP, FPS, NUM = 100, 2, 25, 8  # rows show frames 100, 102 ... 114
START_S = (FIRST + 5 * STEP) / FPS  # when row 5 is shown
NAMES = ("va", "vb", "vc")
FRAMES = range(FIRST, FIRST + NUM * STEP, STEP)


def openpifpaf_files(root):
    flat = [value for k in range(17) for value in (100.0 + k, 20.0 * k, 0.75)]
    found = [{"keypoints": flat}]
    for name in NAMES:
        # openpifpaf counts frames from 1
        lines = [json.dumps({"frame": frame + 1, "predictions": found}) for frame in FRAMES]
        (root / f"{name}.json").write_text("\n".join(lines))
    return openpifpaf_json.OpenPifPafJsonConfig, openpifpaf_json.read, {"pattern": r".*\.json", "fps": FPS}


def csv_files(root):
    (root / "dot.yaml").write_text("joints: [a]\nlimbs: []\n")
    for name in NAMES:
        (root / f"{name}.csv").write_text("frame,a_x,a_y\n" + "".join(f"{frame},1,2\n" for frame in FRAMES))
    return tracks.TracksConfig, tracks.read, {"pattern": r".*\.csv", "fps": FPS, "skeleton": "dot.yaml"}


def h2o_files(root):
    for name in NAMES:
        folder = root / "subject1" / name / "cam4" / "hand_pose"
        folder.mkdir(parents=True)
        for frame in FRAMES:
            (folder / f"{frame:06d}.txt").write_text(" ".join(["1"] * 128))
    return h2o.H2OConfig, h2o.read, {"pattern": r"subject1/(?P<name>\w+)/cam4", "fps": FPS}


def ikea_files(root):
    pose = {"pose_keypoints_3d": np.ones((17, 4)).ravel().tolist()}
    for name in NAMES:
        folder = root / name / "pose3d"
        folder.mkdir(parents=True)
        for frame in FRAMES:
            (folder / f"{frame:06d}.json").write_text(json.dumps(pose))
    return ikea_asm.IkeaAsmConfig, ikea_asm.read, {"pattern": r"(?P<name>\w+)", "fps": FPS, "joints": "3d"}


@pytest.mark.parametrize("write", [openpifpaf_files, csv_files, h2o_files, ikea_files])
def test_rows_that_begin_late_and_are_every_second_frame(tmp_path, write):
    kind, read, settings = write(tmp_path)
    rows = "".join(
        f"{name}.mp4\tphase\t{1000 * s:.0f}\t{label}\n" for name in NAMES for label, s in (("down", 0), ("up", START_S))
    )
    (tmp_path / "labels.txt").write_text("File Name\tTier\tBegin Time - msec\tAnnotation\n" + rows)
    events = {"path": "labels.txt", "format": "annotations", "phases": ["down", "up"]}
    config = kind(root=tmp_path, action="wave", val_fraction=0.6, labels="human", events=events, **settings)
    found = read(config, "test")
    assert found.lengths.tolist() == [NUM] * 3 and set(found.fps) == {FPS / STEP}
    assert found.events.tolist() == [[5]] * 3 and (found.video_frames[:NUM] == FRAMES).all()
