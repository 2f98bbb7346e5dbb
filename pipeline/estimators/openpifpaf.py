"""openpifpaf (Kreiss, Bertoni, Alahi; AGPL-3.0), the separately installed estimator back end: CIF and CAF fields.

It dates from torch 1.13; beside the torch of today it needs three things that are gone, put back here.
"""

import contextlib
import importlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal

import matplotlib
import matplotlib.cm
import numpy as np
import torch
from pydantic import Field, model_validator

from pipeline.config import Config, InputError, MissingPackage
from pipeline.estimators.base import Estimator, People
from pipeline.torchvision_import import import_torchvision
from pipeline.weights import find_weights, sha256

log = logging.getLogger(__name__)


class OpenpifpafConfig(Config):
    """Which network, and how it looks. One of `checkpoint` and `weights` must be given.

    checkpoint: name of a released one (shufflenetv2k16, shufflenetv2k30, mobilenetv3small, ...); it is downloaded where
    torch's cache has none. weights: a local .pkl, relative to the data set's root or whole; it is unpickled, which runs
    what is in it, so take none from a stranger. sha256: of the weights, or the beginning of it. long_edge_px: frames are
    scaled to it; None takes them as they are. seed_threshold: least confidence of a person's first joint.
    joint_threshold: of its other joints. instance_threshold: least score of a person. complete: also the joints that
    were not found, where they are likeliest to be, with next to no confidence.
    """

    name: Literal["openpifpaf"] = "openpifpaf"
    checkpoint: str | None = None
    weights: Path | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-f]{8,64}$")
    long_edge_px: int | None = Field(None, ge=33)
    seed_threshold: float = Field(0.2, gt=0, le=1)
    joint_threshold: float = Field(0.15, ge=0, le=1)
    instance_threshold: float = Field(0.15, ge=0, le=1)
    complete: bool = False

    @model_validator(mode="after")
    def _one_network(self) -> "OpenpifpafConfig":
        if (self.checkpoint is None) == (self.weights is None):
            raise ValueError("give one of checkpoint and weights")
        return self


def load(config: OpenpifpafConfig, root: Path) -> Estimator:
    """The estimator, ready to run on CUDA where there is a device.

    A checkpoint that must be downloaded is logged before. Raises InputError if openpifpaf is not installed, the weights
    are missing or others, the name of the checkpoint is unknown, or the download fails.
    """
    path = find_weights(root, config.weights, config.sha256) if config.weights else None
    openpifpaf = import_openpifpaf()
    path = path or _released(openpifpaf, config.checkpoint, config.sha256)
    return _Openpifpaf(openpifpaf, path, config)


class _Openpifpaf:
    """See `Estimator`. Frames go one by one, each with the same seed: openpifpaf pads them with a grey drawn at random."""

    name = "openpifpaf"
    skeleton = "coco_17"

    def __init__(self, openpifpaf: ModuleType, path: Path, config: OpenpifpafConfig):
        device = "CUDA" if torch.cuda.is_available() else "CPU"
        self.version = f"{openpifpaf.__version__}, torch {torch.__version__}, {device}"
        self.weights = sha256(path)
        self.config, self.decoder = config, openpifpaf.decoder
        try:
            with _ONE_AT_A_TIME, _loading(openpifpaf):
                self.predictor = _predictor_of(openpifpaf, config.long_edge_px)(str(path))
        except Exception as error:  # unpickling raises whatever is in the file
            detail = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"Expected a checkpoint of openpifpaf, but got {detail!r} in {path}. Give the right file."
            ) from None

    def start(self) -> None:
        # A decoder adds up fields in buffers that it never clears, so that its rounding depends on what it saw before.
        self.predictor.processor = self.decoder.factory(self.predictor.model_cpu.head_metas)

    def __call__(self, frames: np.ndarray) -> list[People]:
        with _ONE_AT_A_TIME, torch.random.fork_rng():
            self._set_thresholds()
            return [self._frame(frame) for frame in frames]

    def _frame(self, frame: np.ndarray) -> People:
        torch.manual_seed(0)
        ((found, _, _),) = self.predictor.numpy_images([frame])
        return _people(found)

    def _set_thresholds(self) -> None:
        """They belong to the whole process. Complete people need thresholds of 0, as in openpifpaf's command line."""
        decoder, utils = torch.classes.openpifpaf_decoder.CifCaf, self.decoder.utils
        joint = 0.0 if self.config.complete else self.config.joint_threshold
        utils.CifSeeds.set_threshold(self.config.seed_threshold)
        decoder.set_force_complete(self.config.complete)
        decoder.set_keypoint_threshold(joint)
        decoder.set_keypoint_threshold_rel(0.0 if self.config.complete else RELATIVE_THRESHOLD)
        utils.nms.Keypoints.set_keypoint_threshold(joint)
        utils.nms.Keypoints.set_instance_threshold(self.config.instance_threshold)


def import_openpifpaf() -> ModuleType:
    """The package, ready to use. Raises InputError if it is not installed, which says how to install it."""
    import_torchvision("Run `make openpifpaf`.")
    if not hasattr(matplotlib.cm, "get_cmap"):  # gone since matplotlib 3.9
        matplotlib.cm.get_cmap = matplotlib.colormaps.get_cmap
    try:
        package = importlib.import_module("openpifpaf")
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"Expected openpifpaf, but {error}. Run `make openpifpaf`; it needs a C++ compiler."
        ) from None
    logging.getLogger("openpifpaf").setLevel(logging.WARNING)  # it tells of every frame,
    torch.ops.openpifpaf.set_quiet(True)  # and on stdout
    return package


def _predictor_of(openpifpaf: ModuleType, long_edge_px: int | None) -> type:
    """openpifpaf's Predictor with its class-wide settings in a class of our own."""

    class Predictor(openpifpaf.Predictor):
        batch_size = 1
        long_edge = long_edge_px
        loader_workers = 0

    return Predictor


def _people(found: list) -> People:
    """openpifpaf's annotations of one frame, whose first pixel's centre is (0, 0) as well."""
    data = np.stack([person.data for person in found]) if found else np.zeros((0, 17, 3))
    return People(data[..., :2].astype(np.float32), np.clip(data[..., 2], 0, 1).astype(np.float32))


def _released(openpifpaf: ModuleType, name: str, expected: str | None) -> Path:
    """The file of a released checkpoint in torch's cache, downloaded if it is not there."""
    released = openpifpaf.network.factory.CHECKPOINT_URLS.items()
    urls = {key: url for key, url in released if isinstance(url, str) and "-cocokp-" in url}
    if name not in urls:
        raise InputError(f"Expected a checkpoint of {sorted(urls)}, but got {name!r}. Correct 'checkpoint'.")
    folder, url = Path(torch.hub.get_dir()) / "checkpoints", urls[name]
    path = folder / url.rsplit("/", 1)[-1]
    if not path.is_file():
        log.info("downloading openpifpaf's checkpoint %s from %s to %s", name, url, path)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            # The end of a release's name is the beginning of its hash.
            torch.hub.download_url_to_file(url, str(path), path.stem.rsplit("-", 1)[-1], progress=False)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"Expected a download of {url}, but got {error}. Put the file at {path}, or give another by 'weights'."
            ) from None
    return find_weights(folder, Path(path.name), expected)


@contextlib.contextmanager
def _loading(openpifpaf: ModuleType) -> Iterator[None]:
    """A checkpoint holds the network's classes, which torch unpickles only when told so. Leaves no settings behind."""
    before = os.environ.get(TRUST)
    os.environ[TRUST] = "1"
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        os.environ.pop(TRUST, None)
        if before is not None:
            os.environ[TRUST] = before
        openpifpaf.network.Factory.checkpoint = None


RELATIVE_THRESHOLD = 0.5  # openpifpaf's own: of a joint's confidence to that of the joint it was reached from
TRUST = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_ONE_AT_A_TIME = threading.Lock()  # seed, thresholds and the leave to unpickle belong to the whole process
