"""The openpifpaf back end: its decoder finds what its encoders wrote, and a small network learns filmed people."""

import importlib.util
import json
import logging
import subprocess
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from rich.progress import Progress

from pipeline.config import InputError
from pipeline.estimators.base import People
from pipeline.estimators.openpifpaf import OpenpifpafConfig, import_openpifpaf, load
from pipeline.estimators.openpifpaf_fit import FitConfig, augment, fit, new_network, read_frames, score
from pipeline.film import FilmConfig, write_film
from pipeline.skeleton import load_skeleton
from pipeline.weights import sha256

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("openpifpaf") is None, reason="openpifpaf is not built: make openpifpaf"
    ),
    pytest.mark.filterwarnings("ignore"),  # the package's code is of 2022
]
ROOT = Path(__file__).resolve().parents[3] / "data" / "raw" / "studio"
TINY = FitConfig(input_px=97, frames_per_video=4, epochs=3, batch_size=4, held_out=0)
SIZE = 129


class Quiet(Progress):
    """A bar that nobody sees; it can interrupt its owner like a user."""

    def __init__(self, stop_after: int | None = None):
        super().__init__(disable=True)
        self.left = stop_after

    def advance(self, task, advance=1):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("film") / "film"
    config = FilmConfig(root=ROOT, actions=["squat"], train_videos=2, val_videos=2, size_px=128, fps=10)
    write_film(config, out, Quiet())
    return out


@pytest.fixture(scope="module")
def trained(film, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("fit") / "openpifpaf"
    fit(film, out, TINY, Quiet())
    return out


def two_people() -> np.ndarray:
    """(2, 17, 3) an upright person and one on his head beside him, in the pixels of the network's input."""
    pose = import_openpifpaf().plugins.coco.constants.COCO_UPRIGHT_POSE.astype(float)
    upright = pose[:, :2] * [8.5, -8.5]
    people = np.stack([upright, -upright])
    people += [[[32.0, 100.0]], [[94.0, 20.0]]]
    return np.concatenate([people, np.full((2, 17, 1), 2.0)], axis=2).astype(np.float32)


def answer(people: np.ndarray) -> list[torch.Tensor]:
    """What a perfect network says of one image (its heads' fields) where openpifpaf's encoders see these people."""
    openpifpaf = import_openpifpaf()
    metas = new_network(0).head_metas
    annotations = [{"keypoints": person, "bbox": np.zeros(4), "iscrowd": False} for person in people]
    fields = []
    for meta, encoder in zip(metas, (openpifpaf.encoder.Cif, openpifpaf.encoder.Caf), strict=True):
        target = encoder(meta)(torch.zeros(3, SIZE, SIZE), annotations, {})
        vectors = meta.n_vectors
        confidence, offsets, scales = target[:, :1], target[:, 1 : 1 + 2 * vectors], target[:, 1 + 3 * vectors :]
        rows, columns = torch.meshgrid(*(torch.arange(n) for n in target.shape[-2:]), indexing="ij")
        places = offsets + torch.stack([columns, rows] * vectors)
        field = torch.cat([torch.zeros_like(confidence), confidence, places, scales], dim=1)
        fields.append(torch.nan_to_num(field, nan=0.0))
    return fields


def test_it_imports_and_its_compiled_decoder_runs():
    # In a process of its own, where nothing has been imported yet.
    code = """
import warnings
warnings.simplefilter("ignore")
from pipeline.estimators.openpifpaf import import_openpifpaf
openpifpaf = import_openpifpaf()
import torch
print(openpifpaf.__version__, torch.classes.openpifpaf_decoder.CifCaf is not None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.13.11", "True"]


def test_people_encoded_into_fields_are_decoded_in_the_pixels_of_the_frame(trained, monkeypatch):
    estimator = load(OpenpifpafConfig(weights=Path("openpifpaf.pkl"), long_edge_px=SIZE), trained)
    people = two_people()
    somebody = [field[None] for field in answer(people)]
    answers = iter([somebody, [torch.zeros_like(field) for field in somebody]])
    monkeypatch.setattr(estimator.predictor, "model", lambda images: next(answers))
    estimator.start()
    found, none = estimator(np.zeros((2, 1 + 2 * (SIZE - 1), 1 + 2 * (SIZE - 1), 3), np.uint8))
    assert none.joints.shape == (0, 17, 2) and none.confidence.shape == (0, 17)
    assert found.joints.dtype == found.confidence.dtype == np.float32
    order = np.argsort(found.joints[:, :, 0].mean(axis=1))
    # Frames are twice as long as the network's input, corner to corner.
    np.testing.assert_allclose(found.joints[order], 2 * people[..., :2], atol=0.05)
    assert found.confidence.min() > 0.5 and found.confidence.max() <= 1


def test_a_joint_that_is_not_there_is_missing_unless_people_are_to_be_complete(trained, monkeypatch):
    people = two_people()[:1]
    people[0, 9, 2] = 0  # the left wrist
    batch = [field[None] for field in answer(people)]
    found = {}
    for complete in (True, False):  # in this order: the thresholds of one must not stay for the other
        settings = OpenpifpafConfig(weights=Path("openpifpaf.pkl"), long_edge_px=SIZE, complete=complete)
        estimator = load(settings, trained)
        monkeypatch.setattr(estimator.predictor, "model", lambda images: batch)
        estimator.start()
        (found[complete],) = estimator(np.zeros((1, SIZE, SIZE, 3), np.uint8))
    assert np.flatnonzero(found[False].confidence[0] == 0).tolist() == [9]
    assert 0 < found[True].confidence[0, 9] < 0.01
    others = np.arange(17) != 9
    np.testing.assert_allclose(found[True].joints[0, others], people[0, others, :2], atol=0.05)


def test_its_facts_and_the_same_answer_every_time(trained, film):
    estimator = load(
        OpenpifpafConfig(weights=Path("openpifpaf.pkl"), seed_threshold=0.01, instance_threshold=0), trained
    )
    assert (estimator.name, estimator.skeleton) == ("openpifpaf", "coco_17")
    assert estimator.version.startswith(f"0.13.11, torch {torch.__version__}")
    assert estimator.weights == sha256(trained / "openpifpaf.pkl")
    images = read_frames(film, "val", 2).images[:, 40:80, 40:96]  # not square: it is padded
    state = torch.get_rng_state()
    answers = []
    for size in (len(images), 1):  # batches of all or one
        estimator.start()
        answers.append([one for n in range(0, len(images), size) for one in estimator(images[n : n + size])])
    assert torch.equal(state, torch.get_rng_state())
    assert sum(len(people.joints) for people in answers[0]) > 0
    for a, b in zip(*answers, strict=True):
        np.testing.assert_array_equal(a.joints, b.joints)
        np.testing.assert_array_equal(a.confidence, b.confidence)


def test_what_is_wrong_with_weights_is_said_in_one_line(tmp_path, monkeypatch, caplog):
    def message(**settings) -> str:
        with pytest.raises(InputError) as caught:
            load(OpenpifpafConfig(**settings), tmp_path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def offline(url, *_, **__):
        raise urllib.error.URLError("no route to host")

    (tmp_path / "text.pkl").write_text("not a checkpoint")
    torch.save({"layer": torch.zeros(1)}, tmp_path / "other.pkl")
    assert "there is none at" in message(weights="absent.pkl")
    assert "Expected a checkpoint of openpifpaf" in message(weights="text.pkl")
    assert "Expected a checkpoint of openpifpaf" in message(weights="other.pkl")
    (tmp_path / "foreign.pkl").write_bytes(b"cabsent_package\nNetwork\n.")
    assert "Expected a checkpoint of openpifpaf" in message(weights="foreign.pkl")
    assert "of SHA-256 0000000000" in message(weights="text.pkl", sha256="0000000000")
    assert "shufflenetv2k16" in message(checkpoint="resnet51")
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with caplog.at_level(logging.INFO):
        assert "no route to host" in message(checkpoint="shufflenetv2k16")
    (record,) = [record.getMessage() for record in caplog.records if "downloading" in record.getMessage()]
    assert "shufflenetv2k16 from http" in record and str(tmp_path / "hub" / "checkpoints") in record
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "openpifpaf", None)
        assert "make openpifpaf" in message(weights="other.pkl")
    for settings in ({}, {"checkpoint": "shufflenetv2k16", "weights": "a.pkl"}):
        with pytest.raises(ValidationError, match="give one"):
            OpenpifpafConfig(**settings)


def test_a_killed_fit_goes_on_to_the_same_bytes_and_its_loss_falls(film, trained, tmp_path):
    out = tmp_path / "openpifpaf"
    with pytest.raises(KeyboardInterrupt):
        fit(film, out, TINY, Quiet(stop_after=3))
    assert not out.exists()
    losses = fit(film, out, TINY, Quiet())["loss"]
    assert {path.name for path in out.iterdir()} == {"openpifpaf.pkl", "fit.json", "manifest.json"}
    assert losses == json.loads((trained / "fit.json").read_text(encoding="utf-8"))["loss"]
    assert (out / "openpifpaf.pkl").read_bytes() == (trained / "openpifpaf.pkl").read_bytes()
    assert losses[-1] < 0.9 * losses[0]


def test_augmented_keypoints_stay_on_what_they_mark():
    """A frame of grey with one bright dot per joint: each that is still marked is where the picture is bright."""
    config = FitConfig(input_px=161, zoom=0.3, shift=0.2)
    rng, coco = np.random.default_rng(0), load_skeleton("coco_17")
    swapped = []
    for _ in range(40):
        keypoints = np.column_stack([rng.uniform(4, 251, (17, 2)).round(), np.full(17, 2.0)]).astype(np.float32)
        image = np.zeros((256, 256, 3), np.uint8)
        shades = 60 + 10 * np.arange(17)
        for (x, y), shade in zip(keypoints[:, :2].astype(int), shades, strict=True):
            image[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = shade
        picture, moved = augment(image, keypoints, config, rng)
        assert picture.shape == (161, 161, 3)
        inside = moved[:, 2] > 0
        assert ((moved[inside, :2] >= 0) & (moved[inside, :2] <= 160)).all() and inside.sum() > 3
        columns, rows = np.rint(moved[inside, :2]).astype(int).T
        seen = picture[rows, columns, 0].astype(int)
        plain, exchanged = (np.abs(seen - shades[order][inside]) <= 6 for order in (np.arange(17), coco.mirrored))
        assert max(plain.mean(), exchanged.mean()) > 0.6  # dots may cover each other
        swapped.append(exchanged.mean() > plain.mean())
    assert 8 < sum(swapped) < 32


def test_pck_counts_joints_within_a_tenth_of_the_torso():
    true = np.zeros((2, 17, 3))
    true[:, [6, 12], 0] = 20.0  # shoulders and hips: a box of 20 x 50
    true[:, [11, 12], 1] = 50.0
    near, far = true[0, :, :2].copy(), true[0, :, :2].copy()
    near[3], far[3], far[4] = near[3] + [0, 4.9], far[3] + [0, 5.1], far[4] + [3, 3]
    sure, unsure = np.ones(17), np.full(17, 0.5)
    sure[7] = 0
    found = [
        People(np.stack([near, far + 99]).astype(np.float32), np.stack([sure, unsure]).astype(np.float32)),
        People(far[None].astype(np.float32), np.ones((1, 17), np.float32)),
    ]
    expected = np.ones(17)
    expected[3], expected[7] = 0.5, 0.5
    np.testing.assert_array_equal(score(found, true), expected)
    np.testing.assert_array_equal(score([People(np.zeros((0, 17, 2)), np.zeros((0, 17)))] * 2, true), np.zeros(17))
