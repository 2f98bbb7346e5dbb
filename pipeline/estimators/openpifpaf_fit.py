"""A small openpifpaf network trained on filmed people: its own heads, encoders and losses, on a MobileNetV3 from nothing.

It knows the SYNTHETIC people of `pipeline/film.py` and nobody else; it is there for an end-to-end run that needs no
download. Shapes: N images, H x W pixels of the film, K joints of `coco_17`.
"""

import json
import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np
import torch
from pydantic import Field
from rich.progress import Progress

from pipeline.config import Config
from pipeline.estimators.base import People
from pipeline.estimators.openpifpaf import OpenpifpafConfig, import_openpifpaf, load
from pipeline.metrics.pck import pck, torso_size
from pipeline.skeleton import load_skeleton
from pipeline.store import check, content_hash, finish, open_partial, write_json

log = logging.getLogger(__name__)

WEIGHTS, SCORE, STATE = "openpifpaf.pkl", "fit.json", "state.pt"
BASE = "mobilenetv3small"
UPSAMPLE = 2  # fields at every 8th pixel, not every 16th: a torso is 25 pixels long
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of openpifpaf's input
SKELETON = load_skeleton("coco_17")

Share = Annotated[float, Field(ge=0, lt=1)]


class FitConfig(Config):
    """How the network is trained. An epoch passes once over `frames_per_video` frames of each training video.

    input_px: side of the square that the network sees. held_out: share of the training performers that are not trained
    on but scored. learning_rate: its highest; it rises over the first tenth and falls along a cosine.
    zoom, shift: how far frames are scaled, each side by itself, and moved, as a share of them. colour: how far colours
    are mixed.
    """

    input_px: int = Field(129, ge=65, le=1025)
    frames_per_video: int = Field(12, ge=1)
    epochs: int = Field(14, ge=1)
    batch_size: int = Field(8, ge=2)
    learning_rate: float = Field(4e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    held_out: Share = 0.1
    zoom: Share = 0.1
    shift: Share = 0.08
    colour: Share = 0.25
    seed: int = Field(0, ge=0)


@dataclass(frozen=True)
class Frames:
    """images (N, H, W, 3) uint8 RGB, keypoints (N, K, 3) float32 of x, y, visibility as COCO has it, (N,) performers."""

    images: np.ndarray
    keypoints: np.ndarray
    performers: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def where(self, chosen: np.ndarray) -> "Frames":
        return Frames(self.images[chosen], self.keypoints[chosen], self.performers[chosen])


def read_frames(film: Path, split: str, per_video: int) -> Frames:
    """Frames of a split with their annotated joints: as many of each video, evenly spread."""
    coco = json.loads((film / "annotations.json").read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    annotated = {names[row["image_id"]]: row["keypoints"] for row in coco["annotations"]}
    images, keypoints, performers = [], [], []
    for path in sorted(film.glob(f"videos/*/{split}/*.mp4")):
        with av.open(str(path)) as container:
            decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        for number in np.linspace(0, len(decoded) - 1, min(per_video, len(decoded))).round().astype(int):
            images.append(decoded[number])
            keypoints.append(np.reshape(annotated[f"{path.stem}/{number:06d}"], (-1, 3)))
            performers.append(path.stem.split("__")[0])
    return Frames(np.stack(images), np.stack(keypoints).astype(np.float32), np.array(performers))


class Examples:
    """Frames as the network sees them, and the fields it should answer with by openpifpaf's encoders."""

    def __init__(self, frames: Frames, metas: list, config: FitConfig):
        openpifpaf = import_openpifpaf()
        self.frames, self.config = frames, config
        self.encoders = [openpifpaf.encoder.Cif(metas[0]), openpifpaf.encoder.Caf(metas[1])]

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Images (B, 3, S, S), and the target fields of each head."""
        images, fields = zip(*(self._example(index, rng) for index in indices), strict=True)
        targets = [torch.stack(field) for field in zip(*fields, strict=True)]
        return torch.stack(images).contiguous(memory_format=torch.channels_last), targets

    def _example(self, index: int, rng: np.random.Generator) -> tuple[torch.Tensor, list[torch.Tensor]]:
        config = self.config
        image, keypoints = augment(self.frames.images[index], self.frames.keypoints[index], config, rng)
        mixed = image / 255 @ (np.eye(3) + config.colour * rng.uniform(-1, 1, (3, 3)))
        colours = np.clip(mixed + config.colour / 2 * rng.uniform(-1, 1), 0, 1)
        tensor = torch.from_numpy(((colours - MEAN) / STD).transpose(2, 0, 1).astype(np.float32))
        annotation = {"keypoints": keypoints, "bbox": np.zeros(4), "iscrowd": False}
        return tensor, [encode(tensor, [annotation], {}) for encode in self.encoders]


def augment(
    image: np.ndarray, keypoints: np.ndarray, config: FitConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A square frame stretched, shifted and, every other time, mirrored: (S, S, 3) uint8, and its (K, 3) keypoints.

    What is not in the picture any more has visibility 0.
    """
    side, size = len(image), config.input_px
    window = np.rint(side * rng.uniform(1 - config.zoom, 1 + config.zoom, 2)).astype(int)
    x, y = corner = np.rint((side - window) / 2 + config.shift * side * rng.uniform(-1, 1, 2)).astype(int)
    picture = np.full((window[1], window[0], 3), rng.integers(0, 256), np.uint8)
    (left, top), (right, bottom) = np.maximum(corner, 0), np.minimum(corner + window, side)
    picture[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
    picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    moved = keypoints.copy()
    moved[:, :2] = (keypoints[:, :2] - corner + 0.5) * size / window - 0.5
    if rng.random() < 0.5:
        picture, moved = picture[:, ::-1], moved[SKELETON.mirrored]
        moved[:, 0] = size - 1 - moved[:, 0]
    moved[((moved[:, :2] < 0) | (moved[:, :2] > size - 1)).any(axis=1), 2] = 0
    return picture, moved


def new_network(seed: int) -> torch.nn.Module:
    """openpifpaf's network with the heads of `cocokp` and random weights."""
    openpifpaf = import_openpifpaf()
    from openpifpaf.plugins.coco.cocokp import CocoKp

    metas = CocoKp().head_metas
    for meta in metas:
        meta.upsample_stride = UPSAMPLE
    openpifpaf.network.basenetworks.MobileNetV3.pretrained = False  # no download
    torch.manual_seed(seed)
    with warnings.catch_warnings(action="ignore"):  # it asks torchvision in a way of 2022
        network = openpifpaf.network.Factory(base_name=BASE).from_scratch(metas)
    return network.to(memory_format=torch.channels_last)


def score(found: list[People], keypoints: np.ndarray) -> np.ndarray:
    """(K,) PCK@0.1 by the torso against annotated (N, K, 3); hidden joints count, too. Of several people the surest."""
    joints, confidence = np.zeros((*keypoints.shape[:2], 2)), np.zeros(keypoints.shape[:2])
    for n, people in enumerate(found):
        if len(people.joints):
            best = people.confidence.mean(axis=1).argmax()
            joints[n], confidence[n] = people.joints[best], people.confidence[best]
    true, there = keypoints[..., :2], np.ones(keypoints.shape[:2])
    return pck(joints, confidence, true, there, torso_size(true, there, SKELETON)).values


def fit(film: Path, out: Path, config: FitConfig, progress: Progress) -> dict:
    """Train on a film folder's training videos; write `openpifpaf.pkl`, which `openpifpaf.load` takes, and fit.json.

    A killed run goes on after its last whole epoch. Returns what fit.json holds: the mean loss of each epoch, and PCK
    (see `score`) on the performers held out. The validation videos are not looked at.
    """
    check(film)
    openpifpaf = import_openpifpaf()
    partial = open_partial(out, {"config": config.model_dump(mode="json"), "film": content_hash(film)})
    frames = read_frames(film, "train", config.frames_per_video)
    performers = np.unique(frames.performers)
    held_out = performers[len(performers) - round(config.held_out * len(performers)) :]
    apart = np.isin(frames.performers, held_out)
    network = new_network(config.seed).train()
    examples = Examples(frames.where(~apart), network.head_metas, config)
    compare = openpifpaf.network.losses.Factory().factory(network.head_metas)
    optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    steps = max(1, len(examples.frames) // config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, config.epochs * steps, pct_start=0.1
    )
    state = {"network": network, "optimizer": optimizer, "schedule": schedule}
    losses = _load_state(partial / STATE, state)
    bar = progress.add_task("fit", total=config.epochs * steps, completed=len(losses) * steps)
    for epoch in range(len(losses), config.epochs):
        rng = np.random.default_rng([config.seed, epoch])
        total = 0.0
        for indices in np.resize(rng.permutation(len(examples.frames)), (steps, config.batch_size)):
            images, targets = examples.batch(indices, rng)
            loss, _ = compare(network(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
            progress.advance(bar)
        losses.append(total / steps)
        log.info("epoch %d of %d: loss %.1f", epoch + 1, config.epochs, losses[-1])
        _save_state(partial / STATE, state, losses)
    network.eval().to(memory_format=torch.contiguous_format)
    torch.save({"model": network, "epoch": config.epochs}, partial / WEIGHTS)
    done = {"loss": losses, "held_out": held_out.tolist(), "pck": {}}
    if apart.any():
        estimator = load(OpenpifpafConfig(weights=Path(WEIGHTS), long_edge_px=config.input_px), partial)
        scores = score(estimator(frames.images[apart]), frames.keypoints[apart])
        done["pck"] = dict(zip(SKELETON.joints, scores.tolist(), strict=True))
    write_json(partial / SCORE, done)
    (partial / STATE).unlink()
    finish(partial, out, {"film": film})
    return done


def _save_state(path: Path, state: dict, losses: list[float]) -> None:
    unfinished = path.with_suffix(".tmp")
    torch.save({"losses": losses, **{name: part.state_dict() for name, part in state.items()}}, unfinished)
    os.replace(unfinished, path)


def _load_state(path: Path, state: dict) -> list[float]:
    """Put a saved state back and return its losses, none where nothing was saved."""
    if not path.is_file():
        return []
    saved = torch.load(path, weights_only=True)
    for name, part in state.items():
        part.load_state_dict(saved[name])
    return saved["losses"]
