"""From all people of a video to the one that matters: follow everybody, choose one, bridge short gaps, smooth.

Shapes: T frames, D detections over all frames, K joints, N tracks seen lately, M detections of a frame. Sizes are the
diagonal of the box around a person's visible joints. Joints in 3D are followed in the same way, in metres for pixels.
A person goes on being the same one while the joints are close to where they were going and the boxes overlap. So a cut
ends all tracks and begins new ones, unless somebody after it stands almost where, and as, somebody before it stood.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.optimize import linear_sum_assignment

from pipeline.config import Config, InputError
from pipeline.detections import Detections
from pipeline.gaps import bridge, smooth

VELOCITY_S = 0.2  # a velocity is the mean over about this long
COAST_S = 0.5  # and carries a person who is lost about this far
BOX_MARGIN = 0.1  # a body is wider than its joints: share of the size, on every side, before boxes are overlapped
AMBIGUOUS = 0.1  # a rival whose cost, in [0, 1], is within this of the match could as well be the person
STRIDE_S = 0.2  # movement is measured over this long, in which a person moves further than the joints jitter


class PersonConfig(Config):
    """Who is followed, how, and what is done to the joints.

    choose: "largest", the greatest sum over frames of box area; "most_central", of nearness to the middle of the frame
    (1 there, 0 at half a diagonal); "most_moving", of the way of the joints in sizes. A track seen long so wins over
    one seen briefly. Or the number of a track.
    """

    choose: Literal["largest", "most_central", "most_moving"] | Annotated[int, Field(strict=True, ge=0)] = "largest"
    min_confidence: float = Field(0.1, ge=0, le=1)  # lower ones are guesses, and each would widen the crop
    min_joints: int = Field(3, ge=1)  # a detection with fewer says too little about who it is
    min_overlap: float = Field(0.2, ge=0, le=1)  # intersection over union of the two boxes
    max_distance: float = Field(0.15, gt=0, allow_inf_nan=False)  # mean over joints, in sizes: what estimators err
    max_speed: float = Field(1.0, ge=0, allow_inf_nan=False)  # sizes per second on top, beside steady motion
    max_lost_s: float = Field(1.0, ge=0, allow_inf_nan=False)  # longer unseen, and a track has ended
    max_gap_s: float = Field(0.2, ge=0, allow_inf_nan=False)  # longest gap of a joint that is bridged; 0: none
    smooth_s: float = Field(0.0, ge=0, allow_inf_nan=False)  # standard deviation of the Gaussian; 0: off


@dataclass(frozen=True)
class Track:
    """One person through a video.

    joints: (T, K, 2) float32 pixels, 0 where missing. confidence: (T, K) float32, 0 where missing; a bridged joint has
    the lower one of the gap's two ends. num_people: (T,) detections that were good enough. num_tracks: all people of
    the video. track: the one chosen, -1 if there is none. num_bridged_joints: joints times frames.
    num_frames_without: frames in which this person was not detected, bridged or not. num_ambiguous_frames: those in
    which another match was nearly as good; look there for a change of identity.
    """

    joints: np.ndarray
    confidence: np.ndarray
    num_people: np.ndarray
    num_tracks: int
    track: int
    num_bridged_joints: int
    num_frames_without: int
    num_ambiguous_frames: int


@dataclass(frozen=True)
class _Visible:
    """Detections worth following, in order of frame, then left to right. frame: (D,). joints: (D, K, 2) and
    confidence: (D, K), 0 where missing. seen: (D, K). box: (D, 2, 2) first and last corner around the
    joints. body: the same with its margin. size: (D,), at least 1."""

    frame: np.ndarray
    joints: np.ndarray
    confidence: np.ndarray
    seen: np.ndarray
    box: np.ndarray
    body: np.ndarray
    size: np.ndarray


def follow(detections: Detections, fps: float, frame_size: tuple[int, int], config: PersonConfig) -> Track:
    """The chosen person of a video, one row for every frame; all missing if nobody was detected.

    Tracks are numbered from 0 by first appearance, left to right within a frame; the order of people within a frame
    means nothing. fps: frames per second. frame_size: (width, height), needed by "most_central" alone.
    Raises InputError if config asks for a track, or a middle of the frame, that there is not.
    """
    if config.choose == "most_central" and (num_axes := detections.joints.shape[2]) != 2:
        raise InputError(
            f"Expected 2D poses for choose: most_central, but got {num_axes}D ones, which are not in the frame."
            " Choose largest or most_moving."
        )
    people = _visible(detections, config)
    number, ambiguous = _number(people, fps, config)
    num_tracks = int(number.max(initial=-1)) + 1
    track = _choose(people, number, num_tracks, fps, frame_size, config) if num_tracks else -1
    mine = number == track
    joints = np.zeros((len(detections), *detections.joints.shape[1:]), dtype=np.float32)
    confidence = np.zeros(joints.shape[:2], dtype=np.float32)
    joints[people.frame[mine]] = people.joints[mine]
    confidence[people.frame[mine]] = people.confidence[mine]
    num_bridged = bridge(joints, confidence, round(config.max_gap_s * fps))
    if config.smooth_s > 0:
        joints = smooth(joints, confidence, config.smooth_s * fps)
    return Track(
        joints=joints,
        confidence=confidence,
        num_people=np.bincount(people.frame, minlength=len(detections)),
        num_tracks=num_tracks,
        track=track,
        num_bridged_joints=num_bridged,
        num_frames_without=len(detections) - int(mine.sum()),
        num_ambiguous_frames=int(ambiguous[mine].sum()),
    )


def _visible(detections: Detections, config: PersonConfig) -> _Visible:
    frame = np.repeat(np.arange(len(detections)), detections.counts)
    seen = (detections.confidence >= config.min_confidence) & (detections.confidence > 0)
    seen &= np.isfinite(detections.joints).all(axis=2)
    enough = seen.sum(axis=1) >= config.min_joints
    frame, seen = frame[enough], seen[enough]
    joints = np.where(seen[..., None], detections.joints[enough], np.float32(0))
    confidence = np.where(seen, detections.confidence[enough], np.float32(0))
    first = np.where(seen[..., None], joints, np.inf).min(axis=1)
    last = np.where(seen[..., None], joints, -np.inf).max(axis=1)
    # The bytes settle ties, so that only people who are equal in everything are interchangeable.
    order = sorted(
        range(len(frame)), key=lambda d: (frame[d], first[d, 0], joints[d].tobytes(), confidence[d].tobytes())
    )
    size = np.maximum(np.linalg.norm(last - first, axis=1), 1)
    margin = BOX_MARGIN * size[:, None]
    box, body = np.stack([first, last], axis=1), np.stack([first - margin, last + margin], axis=1)
    return _Visible(*(array[order] for array in (frame, joints, confidence, seen, box, body, size)))


def _number(people: _Visible, fps: float, config: PersonConfig) -> tuple[np.ndarray, np.ndarray]:
    """(D,) the track of each detection, and whether another match was nearly as good."""
    number = np.full(len(people.frame), -1)
    ambiguous = np.zeros(len(people.frame), dtype=bool)
    max_lost = round(config.max_lost_s * fps) + 1
    num_tracks = 0
    last = np.zeros(0, dtype=int)  # (N,) the latest detection of each track
    num_axes = people.joints.shape[2]
    velocity = np.zeros((0, num_axes))  # (N, 2) pixels per second
    for now in np.split(np.arange(len(number)), np.flatnonzero(np.diff(people.frame)) + 1):
        if not len(now):
            break
        alive = people.frame[now[0]] - people.frame[last] <= max_lost
        last, velocity = last[alive], velocity[alive]
        elapsed = ((people.frame[now[0]] - people.frame[last]) / fps)[:, None]
        shift = velocity * COAST_S * -np.expm1(-elapsed / COAST_S)
        cost = _cost(people, last, now, shift, elapsed, config)
        tracks, found = linear_sum_assignment(cost)
        good = cost[tracks, found] < 1
        tracks, found = tracks[good], found[good]
        rivals = np.where(cost < 1, cost, np.inf)
        rivals[tracks, found] = np.inf
        nearest = np.minimum(rivals.min(axis=1)[tracks], rivals.min(axis=0, initial=np.inf)[found])
        ambiguous[now[found]] = nearest - cost[tracks, found] < AMBIGUOUS
        before, after = last[tracks], now[found]
        both = (people.seen[before] & people.seen[after])[..., None]
        move = ((people.joints[after] - people.joints[before]) * both).sum(axis=1) / both.sum(axis=1)
        velocity[tracks] -= np.expm1(-elapsed[tracks] / VELOCITY_S) * (move / elapsed[tracks] - velocity[tracks])
        number[after] = number[before]
        last[tracks] = after
        new = np.delete(now, found)
        number[new] = num_tracks + np.arange(len(new))
        num_tracks += len(new)
        last, velocity = np.concatenate([last, new]), np.concatenate([velocity, np.zeros((len(new), num_axes))])
    return number, ambiguous


def _cost(
    people: _Visible, last: np.ndarray, now: np.ndarray, shift: np.ndarray, elapsed: np.ndarray, config: PersonConfig
) -> np.ndarray:
    """(N, M) in [0, 1]: how much of the allowed distance lies between track n, moved by shift, and detection m.

    It is 1 where they cannot be the same; no match then costs no more than the worst match, and a newcomer pushes
    nobody out of a track. Overlap only admits: where people cross, as a part of the cost it mixed them up more often.
    """
    limit = config.max_distance + config.max_speed * elapsed
    distance = _distance(people, last[:, None], now[None], shift[:, None])
    possible = (distance < limit) & (_overlap(people, last, now, shift) >= config.min_overlap)
    return np.where(possible, distance / limit, 1)


def _distance(people: _Visible, a: np.ndarray, b: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Mean distance of the joints seen in both detections, a moved by shift, in the larger size; infinite without any."""
    both = people.seen[a] & people.seen[b]
    apart = np.linalg.norm(people.joints[b] - people.joints[a] - shift[..., None, :], axis=-1)
    num = both.sum(axis=-1)
    mean = (apart * both).sum(axis=-1) / np.maximum(num, 1) / np.maximum(people.size[a], people.size[b])
    return np.where(num > 0, mean, np.inf)


def _overlap(people: _Visible, last: np.ndarray, now: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union of the bodies' boxes."""
    before, after = (people.body[last] + shift[:, None])[:, None], people.body[now]
    sides = np.minimum(before[..., 1, :], after[:, 1]) - np.maximum(before[..., 0, :], after[:, 0])
    common = np.maximum(sides, 0).prod(axis=-1)
    area_before, area_after = ((box[..., 1, :] - box[..., 0, :]).prod(axis=-1) for box in (before, after))
    return common / (area_before + area_after - common)


def _choose(
    people: _Visible, number: np.ndarray, num_tracks: int, fps: float, frame_size: tuple[int, int], config: PersonConfig
) -> int:
    if isinstance(config.choose, int):
        if config.choose >= num_tracks:
            raise InputError(
                f"Expected one of {num_tracks} tracks, numbered from 0, but got choose: {config.choose}. Name another."
            )
        return config.choose
    if config.choose == "largest":
        score = (people.box[:, 1] - people.box[:, 0]).prod(axis=1)
    elif config.choose == "most_central":
        if min(frame_size) < 1:
            raise InputError(f"Expected a frame size for choose: most_central, but got {frame_size}. Choose largest.")
        middle = (np.array(frame_size) - 1) / 2
        away = np.linalg.norm(people.box.mean(axis=1) - middle, axis=1)
        score = 1 - away / np.linalg.norm(np.array(frame_size) / 2)
    else:
        score = _way(people, number, max(1, round(STRIDE_S * fps)))
    return int(np.bincount(number, weights=score).argmax())


def _way(people: _Visible, number: np.ndarray, stride: int) -> np.ndarray:
    """(D,) how far a detection is from the first of its track in the last `stride` frames, in sizes."""
    place = number * (people.frame.max() + 1 + stride) + people.frame  # tracks lie further apart than a stride
    order = np.argsort(place)
    before = order[np.searchsorted(place[order], place - stride)]
    way = _distance(people, before, np.arange(len(number)), np.zeros(people.joints.shape[2]))
    return np.where(np.isfinite(way), way, 0)
