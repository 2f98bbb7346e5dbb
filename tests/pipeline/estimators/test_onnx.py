"""Models made here find one coloured blob per joint, so that what goes in and what comes out can be compared."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.estimators.onnx import OnnxConfig, load
from pipeline.metrics.pck import pck, torso_size
from pipeline.skeleton import load_skeleton

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

# Red, green and blue blob = joints 0, 1, 2: the centre of each colour, as a share of the image, and its brightest value.
BLOBS = """
    f = Cast<to=1>(image)
    one = Constant<value = int64[1] {{1}}>()
    two = Constant<value = int64[1] {{2}}>()
    last = Constant<value = int64[1] {{-1}}>()
    zero_f = Constant<value = float {{0.0}}>()
    one_f = Constant<value = float {{1.0}}>()
    half = Constant<value = float {{0.5}}>()
    full = Constant<value = float {{255.0}}>()
    columns = ReduceSum<keepdims=0>(f, one)
    rows = ReduceSum<keepdims=0>(f, two)
    sum = ReduceSum(rows, one)
    some = Add(sum, one_f)
    x_0 = Mul(columns, zero_f)
    y_0 = Mul(rows, zero_f)
    x_1 = Add(x_0, one_f)
    y_1 = Add(y_0, one_f)
    x_n = CumSum(x_1, one)
    y_n = CumSum(y_1, one)
    x_mid = Sub(x_n, half)
    y_mid = Sub(y_n, half)
    w = ReduceSum(x_1, one)
    h = ReduceSum(y_1, one)
    x_mass = Mul(columns, x_mid)
    y_mass = Mul(rows, y_mid)
    x_sum = ReduceSum(x_mass, one)
    y_sum = ReduceSum(y_mass, one)
    x_px = Div(x_sum, some)
    y_px = Div(y_sum, some)
    x = Div(x_px, w)
    y = Div(y_px, h)
    peak = ReduceMax<axes=[1, 2], keepdims=0>(f)
    peak_1 = Unsqueeze(peak, one)
    score = Div(peak_1, full)
    y_4 = Unsqueeze(y, last)
    x_4 = Unsqueeze(x, last)
    score_4 = Unsqueeze(score, last)
    joints = Concat<axis=-1>(y_4, x_4, score_4)
"""
SINGLE = (
    """<ir_version: 8, opset_import: ["" : 17]>
agraph ({kind}[{batch},{height},{width},3] image) => (float[N,1,3,3] joints) {{"""
    + BLOBS
    + "}}"
)
MULTI = (
    """<ir_version: 8, opset_import: ["" : 17]>
agraph ({kind}[{batch},{height},{width},3] image) => (float[N,1,14] found) {{"""
    + BLOBS
    + """
    wanted = Constant<value = int64[3] {{0, 1, 9}}>()
    flat = Reshape(joints, wanted)
    person = ReduceMean<axes=[2]>(score)
    found = Concat<axis=2>(flat, person, person, person, person, person)
}}"""
)
# The brightness along each axis, between 0 and 1, at half pixels.
SIMCC = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[{batch},3,{height},{width}] image) => (float[N,3,X] simcc_x, float[N,3,Y] simcc_y)
<float[3,1,1] mean = {{123.675, 116.28, 103.53}}, float[3,1,1] std = {{58.395, 57.12, 57.375}}> {{
    spread = Mul(image, std)
    f = Add(spread, mean)
    full = Constant<value = float {{255.0}}>()
    light = Div(f, full)
    x_1 = ReduceMax<axes=[2], keepdims=0>(light)
    y_1 = ReduceMax<axes=[3], keepdims=0>(light)
    twice = Constant<value = float[3] {{1.0, 1.0, 2.0}}>()
    simcc_x = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(x_1, , twice)
    simcc_y = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(y_1, , twice)
}}"""
# Two people, whatever the image: the one has joints in the middle, in the corner and below the frame, the other no score.
FIXED = """<ir_version: 8, opset_import: ["" : 17]>
agraph (int32[1,H,W,3] image) => (float[1,2,14] found) {{
    found = Constant<value = float[1,2,14] {{
        0.5, 0.5, 0.8, 0.0, 0.0, 1.5, 0.95, 0.5, 0.6, 0.0, 0.0, 0.0, 0.0, 0.9,
        0.5, 0.5, 0.8, 0.1, 0.1, 0.7, 0.20, 0.5, 0.6, 0.0, 0.0, 0.0, 0.0, 0.1}}>()
}}"""


@pytest.fixture
def make(tmp_path):
    """A model, written and loaded as an estimator of three joints."""
    (tmp_path / "rgb.yaml").write_text("joints: [red, green, blue]\nlimbs: [[red, green]]\n")

    def make_one(model: str, output: str, batch="1", height="H", width="W", kind="int32", **settings):
        text = model.format(batch=batch, height=height, width=width, kind=kind)
        onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
        settings = {"skeleton": str(tmp_path / "rgb.yaml"), **settings}
        return load(OnnxConfig(name="onnx", weights="model.onnx", output=output, **settings), tmp_path)

    return make_one


def blobs(height: int, width: int, places, sigma_px: float = 4) -> np.ndarray:
    """(H, W, 3): a Gaussian of each colour at its place (x, y), in pixels."""
    y, x = np.mgrid[:height, :width]
    planes = [np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * sigma_px**2)) for at in places]
    return np.round(255 * np.stack(planes, axis=-1)).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(360, 640), (300, 170), (97, 64)])
@pytest.mark.parametrize(
    ("model", "output", "size"),
    [(MULTI, "movenet_multipose", ("H", "W")), (SINGLE, "movenet_singlepose", (192, 192))],
)
def test_joints_come_back_to_where_they_are_in_the_frame(make, model, output, size, height, width):
    places = np.array([(width * 0.3, height * 0.25), (width * 0.71, height * 0.5), (width * 0.5, height * 0.8)])
    estimator = make(model, output, height=size[0], width=size[1])
    (people,) = estimator(blobs(height, width, places, sigma_px=max(height, width) / 80)[None])
    np.testing.assert_allclose(people.joints[0], places, atol=max(height, width) / 256 * 0.05)
    assert (people.confidence > 0.8).all()


@pytest.mark.parametrize("kind", ["int32", "uint8", "float"])
def test_an_open_batch_gives_what_single_frames_give(make, kind):
    frames = np.stack([blobs(90, 160, [(20 + 9 * t, 30), (50, 40 + 3 * t), (100, 60)]) for t in range(5)])
    found = [make(MULTI, "movenet_multipose", batch=batch, kind=kind, input_px=64)(frames) for batch in ("1", "open")]
    assert len(found[0]) == 5
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one.joints, other.joints)
        np.testing.assert_array_equal(one.confidence, other.confidence)


def test_people_by_hand(make):
    # 128 x 72 pixels in an input of 256 x 160: twice as large, and 16 rows below the frame.
    (people,) = make(FIXED, "movenet_multipose")(np.zeros((1, 72, 128, 3), dtype=np.uint8))
    np.testing.assert_array_equal(people.joints, [[[63.5, 39.5], [-0.5, -0.5], [63.5, 75.5]]])
    np.testing.assert_array_equal(people.confidence, np.array([[0.8, 1, 0]], dtype=np.float32))
    assert people.joints.dtype == people.confidence.dtype == np.float32


@pytest.mark.parametrize(
    ("model", "output", "size"),
    [
        (MULTI, "movenet_multipose", ("H", "W")),
        (SINGLE, "movenet_singlepose", (192, 192)),
        (SIMCC, "simcc", (256, 192)),
    ],
)
def test_nobody_in_the_frame_is_nobody_found(make, model, output, size):
    (people,) = make(model, output, height=size[0], width=size[1])(np.zeros((1, 120, 160, 3), dtype=np.uint8))
    assert people.joints.shape == (0, 3, 2) and people.confidence.shape == (0, 3)


def test_simcc_looks_where_the_last_frame_had_the_person(make):
    near = np.array([(400.3, 200.2), (460.6, 220.8), (430.1, 290.4)])
    far = near - (330, 150)
    estimator = make(SIMCC, "simcc", height=256, width=192)
    person, elsewhere = blobs(360, 640, near), blobs(360, 640, far)
    first, second, lost, empty = estimator(np.stack([person, person, elsewhere, np.zeros_like(person)]))
    # One pixel of the input is 3.3 of the frame's when it shows the whole frame, 0.44 when it shows the person.
    np.testing.assert_allclose(first.joints[0], near, atol=3.4 / 2)
    np.testing.assert_allclose(second.joints[0], near, atol=0.45 / 2 + 0.1)
    np.testing.assert_allclose(lost.joints[0], far, atol=3.4 / 2)
    assert len(empty.joints) == 0
    estimator(person[None])
    estimator.start()
    np.testing.assert_array_equal(estimator(person[None])[0].joints, first.joints)


def test_no_onnx_at_all(tmp_path):
    (tmp_path / "model.onnx").write_text("<html>not found</html>")
    with pytest.raises(InputError, match=r"Expected an ONNX model.*model\.onnx"):
        load(OnnxConfig(name="onnx", weights="model.onnx", output="simcc"), tmp_path)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (
            SIMCC,
            {"output": "movenet_singlepose", "height": 64, "width": 48},
            r"\(1 or open, H, W, 3\).*\(1, 3, 64, 48\)",
        ),
        (SINGLE, {"output": "simcc", "height": 64, "width": 48}, r"\(1 or open, 3, H, W\).*\(1, 64, 48, 3\)"),
        (SINGLE, {"output": "movenet_singlepose"}, "H and W fixed"),
        (MULTI, {"output": "movenet_multipose", "batch": "4"}, r"1 or open.*\(4, "),
        (MULTI, {"output": "movenet_multipose", "kind": "int64"}, "int64"),
        (MULTI, {"output": "movenet_multipose", "skeleton": "coco_17"}, r"\(1, P, 56\).*coco_17.*\(1, 1, 14\)"),
        (SINGLE, {"output": "movenet_multipose"}, r"\(1, P, 14\).*\(1, 1, 3, 3\)"),
        (SIMCC, {"output": "simcc", "height": 64, "width": 48, "skeleton": "coco_17"}, r"\(1, 17, 96\).*\(1, 3, 96\)"),
    ],
)
def test_a_model_of_another_form_is_named(make, model, settings, message):
    with pytest.raises(InputError, match=message):
        make(model, **settings)


def test_the_report_can_say_what_ran(make, tmp_path):
    import onnxruntime

    from pipeline.weights import sha256

    estimator = make(MULTI, "movenet_multipose", device="cpu")
    assert estimator.version == f"onnxruntime {onnxruntime.__version__}, CPU"
    assert estimator.weights == sha256(tmp_path / "model.onnx")


def read(path: Path) -> np.ndarray:
    video = cv2.VideoCapture(str(path))
    frames = []
    while (got := video.read())[0]:
        frames.append(cv2.cvtColor(got[1], cv2.COLOR_BGR2RGB))
    return np.stack(frames)


@pytest.mark.shared
@pytest.mark.parametrize("clip", ["correct11", "correct40"])  # MoveNet for one person, the track, often loses a far arm
def test_real_videos_against_tracks_made_elsewhere(shared, clip):
    coco = load_skeleton("coco_17")
    models = shared.parent / "models" / "movenet"
    frames = read(shared / "pushup_videos" / "videos" / f"{clip}.mp4")
    estimator = load(OnnxConfig(name="onnx", weights="movenet-multipose-f16w.onnx", output="movenet_multipose"), models)
    people = [estimator(batch) for batch in np.array_split(frames, 9)]
    people = [one for batch in people for one in batch]
    assert [len(one.joints) for one in people] == [1] * len(frames)
    joints, confidence = (np.concatenate([getattr(one, name) for one in people]) for name in ("joints", "confidence"))
    np.testing.assert_array_equal(joints[:20], np.concatenate([one.joints for one in estimator(frames[:20])]))
    with np.load(shared / "pushup_videos" / "movenet17_xys.npz") as tracks:
        track = tracks[clip]
    # Whoever made the tracks took y from a square input for y from the frame, forgetting the bars above and below.
    reference = track[..., :2] * (1, 640 / 360) - (0, 140)
    found = pck(joints, confidence, reference, track[..., 2], torso_size(reference, track[..., 2], coco))
    for joint in ("shoulder", "elbow", "wrist"):
        for side in ("left", "right"):
            assert found.values[coco.joints.index(f"{side}_{joint}")] > 0.9
