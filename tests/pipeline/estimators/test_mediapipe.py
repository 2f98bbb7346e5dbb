import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import cbook

from pipeline.config import InputError
from pipeline.estimators.mediapipe import MediapipeConfig, load
from pipeline.metrics.pck import pck, torso_size
from pipeline.skeleton import load_skeleton

pytest.importorskip("mediapipe")

SKELETON = load_skeleton("mediapipe_33")


def start(**settings):
    estimator = load(MediapipeConfig(name="mediapipe", **settings), Path())
    estimator.start()
    return estimator


def bytes_of(people) -> list[bytes]:
    return [one.joints.tobytes() + one.confidence.tobytes() for one in people]


def portrait() -> np.ndarray:
    """Somebody seen down to the chest, facing the camera: 512 x 600 pixels."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        image = cv2.imdecode(np.frombuffer(file.read(), dtype=np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


TIPS = np.array([(105, 260), (165, 150), (218, 110), (270, 120), (320, 165)])  # from the thumb on


def drawn_hand() -> np.ndarray:
    """A left hand's palm, 480 x 480 pixels."""
    skin = (225, 172, 140)
    image = np.full((480, 480, 3), (60, 80, 70), dtype=np.uint8)
    cv2.ellipse(image, (240, 330), (70, 85), 0, 0, 360, skin, -1, cv2.LINE_AA)
    cv2.line(image, (240, 380), (240, 479), skin, 90, cv2.LINE_AA)
    knuckles = [(185, 350), (190, 280), (225, 265), (258, 265), (288, 285)]
    for knuckle, tip in zip(knuckles, TIPS.tolist(), strict=True):
        cv2.line(image, knuckle, tip, skin, 32, cv2.LINE_AA)
    image = cv2.GaussianBlur(image, (0, 0), 3)
    for tip in TIPS.tolist():
        cv2.circle(image, tip, 7, (245, 205, 185), -1)
    return image


def test_skeletons_have_mediapipes_order():
    from mediapipe.python.solutions.hands import HandLandmark
    from mediapipe.python.solutions.pose import PoseLandmark

    names = {"mouth_left": "left_mouth", "mouth_right": "right_mouth"}
    assert [names.get(mark.name.lower(), mark.name.lower()) for mark in PoseLandmark] == list(SKELETON.joints)
    fingers = [mark.name.lower().replace("pinky", "little").split("_")[0] for mark in HandLandmark]
    assert [joint.split("_")[0] for joint in load_skeleton("hand_21").joints] == fingers
    hands = load_skeleton("hands_42").joints
    assert hands == tuple(f"{side}_{joint}" for side in ("left", "right") for joint in load_skeleton("hand_21").joints)


@pytest.mark.parametrize("static", [True, False])
def test_hands_are_told_apart_and_the_left_one_comes_first(static):
    left = drawn_hand()
    right = left[:, ::-1]
    estimator = start(landmarks="hands", static=static)
    tips = [4, 8, 12, 16, 20]
    (people,) = estimator(left[None])
    np.testing.assert_allclose(people.joints[0, tips], TIPS, atol=15)
    assert (people.confidence[0, :21] > 0.5).all() and (people.confidence[0, 21:] == 0).all()
    estimator.start()
    (people,) = estimator(right[None])
    np.testing.assert_allclose(people.joints[0, 21:][tips], (479, 0) + TIPS * (-1, 1), atol=15)
    assert (people.confidence[0, :21] == 0).all() and (people.confidence[0, 21:] > 0.5).all()
    estimator.start()
    (people,) = estimator(np.concatenate([right, left], axis=1)[None])
    assert people.joints.shape == (1, 42, 2) and (people.confidence > 0.5).all()
    np.testing.assert_allclose(people.joints[0, tips], TIPS + np.array([480, 0]), atol=15)


@pytest.mark.parametrize(("landmarks", "num_joints"), [("pose", 33), ("hands", 42)])
def test_nobody_in_the_frame_is_nobody_found(landmarks, num_joints):
    people = start(landmarks=landmarks)(np.zeros((2, 120, 160, 3), dtype=np.uint8))
    assert [one.joints.shape for one in people] == [(0, num_joints, 2)] * 2
    assert [one.confidence.shape for one in people] == [(0, num_joints)] * 2


def test_a_pose_in_pixels_and_joints_outside_the_frame_missing():
    from mediapipe.python.solutions.pose import Pose

    image = portrait()
    (people,) = start()(image[None])
    with pytest.warns(UserWarning, match="GetPrototype"), Pose(smooth_landmarks=False) as own:
        own.process(np.zeros((8, 8, 3), dtype=np.uint8))
        marks = own.process(image).pose_landmarks.landmark
    # Its 0 and 1 are the frame's edges; our first pixel's centre is 0.
    expected = np.array([(mark.x * 512, mark.y * 600) for mark in marks]) - 0.5
    np.testing.assert_allclose(people.joints[0], expected, rtol=1e-6)
    assert people.joints.dtype == people.confidence.dtype == np.float32
    by_name = dict(zip(SKELETON.joints, people.confidence[0], strict=True))
    assert min(by_name[joint] for joint in ("nose", "left_shoulder", "right_shoulder")) > 0.9
    assert by_name["left_ankle"] == by_name["right_ankle"] == by_name["left_knee"] == 0


def test_same_frames_same_bytes_whatever_ran_before_and_however_batched():
    still = portrait()
    video = np.stack([np.roll(still, 3 * t, axis=1) for t in range(6)])
    estimator = start()
    first = bytes_of(estimator(video))
    estimator(video[::-1])
    estimator.start()
    assert bytes_of(estimator(video[:1]) + estimator(video[1:])) == first
    assert bytes_of(start()(video)) == first
    assert len(set(first)) == 6


def test_static_frames_know_nothing_of_each_other():
    still = portrait()
    video = np.stack([np.roll(still, 40 * t, axis=1) for t in range(4)])
    estimator = start(static=True)
    assert bytes_of(estimator(video)) == bytes_of(estimator(video[::-1]))[::-1]


def test_world_poses_have_x_right_y_up_and_z_towards_the_viewer():
    blank = np.zeros_like(portrait())
    frames = np.stack([portrait(), portrait()])
    people = start(landmarks="world")(frames)
    assert people[1].joints.shape == (1, 33, 3) and people[1].joints.dtype == np.float32
    np.testing.assert_array_equal(people[1].confidence, start(landmarks="pose")(frames)[1].confidence)
    at = dict(zip(SKELETON.joints, people[1].joints[0], strict=True))
    assert at["left_shoulder"][0] > at["right_shoulder"][0] + 0.2  # who faces us has the left shoulder at our right
    assert at["nose"][1] > at["left_shoulder"][1] + 0.05
    assert at["nose"][2] > max(at["left_ear"][2], at["right_ear"][2])
    middle = (at["left_hip"] + at["right_hip"]) / 2
    np.testing.assert_allclose(middle, 0, atol=0.02)
    assert start(landmarks="world")(blank[None])[0].joints.shape == (0, 33, 3)


def test_the_compiled_library_writes_nothing_on_stderr(capfd):
    for landmarks, image in (("pose", portrait()), ("hands", np.tile(drawn_hand(), (1, 2, 1)))):
        start(landmarks=landmarks)(np.stack([image, image]))
    print("still open", file=sys.stderr)
    assert capfd.readouterr().err == "still open\n"


def test_what_it_cannot_do_is_said(monkeypatch):
    with pytest.raises(InputError, match="smooth"):
        start(smooth=True, static=True)
    monkeypatch.setattr("pipeline.estimators.mediapipe.MODELS", {"pose": ("pose_landmark/gone.tflite",)})
    with pytest.raises(InputError, match=r"gone\.tflite.*`make`"):
        start()
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(InputError, match="Run `make`"):
        start()


@pytest.mark.shared
@pytest.mark.parametrize("clip", ["correct20", "correct40"])
def test_real_videos_against_tracks_made_elsewhere(shared, clip):
    folder = shared / "pushup_videos"
    video = cv2.VideoCapture(str(folder / "videos" / f"{clip}.mp4"))
    frames = []
    while (got := video.read())[0]:
        frames.append(cv2.cvtColor(got[1], cv2.COLOR_BGR2RGB))
    frames = np.stack(frames)
    people = start()(frames)
    with np.load(folder / "mediapipe33_xyzv.npz") as tracks:
        track = tracks[clip]
    reference = track[..., :2] * (640, 360) - 0.5
    inside = ((reference > 0) & (reference < (639, 359))).all(axis=2)
    inside[:10] = False  # the tracks go on from the video before for as long
    joints = np.concatenate([one.joints for one in people])
    confidence = np.concatenate([one.confidence for one in people])
    size = torso_size(reference, inside, SKELETON)
    found = pck(joints, confidence, reference, inside * track[..., 3], size)
    for joint in ("shoulder", "elbow", "wrist"):
        for side in ("left", "right"):
            assert found.values[SKELETON.joints.index(f"{side}_{joint}")] > 0.9
