"""Key events of a pose sequence derived from its joints: a quantity over time, and where it peaks or crosses a level.

What comes out is a rule's opinion, not a person's: such labels are called derived wherever a number is computed with them.
Shapes: T frames, K joints, D = 2 (pixels, y down) or 3 (y up).
"""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field, ValidationError, model_validator

from pipeline.clip import Clip
from pipeline.config import Config, InputError, fault
from pipeline.figures import PHASE_COLORS, draw_skeleton, plt
from pipeline.joint_quantity import Quantity, Smoothing, bridge, measure, smooth
from pipeline.skeleton import Skeleton

BUILT_IN = Path(__file__).parent / "event_definitions"


class Event(Config):
    """Where one event lies: at an extremum, or at the first frame past a level.

    level: in the quantity's unit; level_share: between its least (0) and greatest (1) value in the clip. which: of
    several crossings; with `only`, more than one make the clip unclean. after, before: events it must lie between.
    """

    name: str = Field(min_length=1)
    at: Literal["maximum", "minimum", "rises_above", "falls_below"]
    level: float | None = None
    level_share: float | None = Field(None, gt=0, lt=1)
    which: Literal["first", "last", "only"] = "first"
    after: str | None = None
    before: str | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "Event":
        given = [self.level, self.level_share].count(None)
        if given != (2 if self.at in ("maximum", "minimum") else 1):
            raise ValueError(f"{self.name}: rises_above and falls_below take one of level and level_share, others none")
        return self


class Definition(Config):
    """How the key events of one action are found; `events` are listed in the order in which they happen.

    max_gap_seconds: longer gaps of a joint are not bridged. least_range: a clip in which the quantity varies less, in its
    own unit, is unclean.
    """

    quantity: Quantity
    smoothing: Smoothing | None = None
    max_gap_seconds: float = Field(0.25, ge=0)
    least_range: float = Field(0, ge=0)
    events: list[Event] = Field(min_length=1)

    @model_validator(mode="after")
    def _agrees(self) -> "Definition":
        names = [event.name for event in self.events]
        if len(set(names)) < len(names):
            raise ValueError("events need distinct names")
        if unknown := {other for event in self.events for other in (event.after, event.before)} - {None, *names}:
            raise ValueError(f"after and before name events, but {sorted(unknown)} are none")
        try:
            self.search_order()
        except CycleError:
            raise ValueError("events lie after and before each other in a circle") from None
        return self

    def search_order(self) -> list[Event]:
        """The events such that each comes after those between which it lies."""
        needs = {event.name: {event.after, event.before} - {None} for event in self.events}
        by_name = {event.name: event for event in self.events}
        return [by_name[name] for name in TopologicalSorter(needs).static_order()]


@dataclass(frozen=True)
class Derived:
    """events: one frame per event, or none at all if there are reasons why the clip is unclean. quantity: (T,) smoothed,
    NaN where joints are missing."""

    events: tuple[int, ...]
    quantity: np.ndarray
    reasons: tuple[str, ...]


def load_definition(name_or_path: str) -> Definition:
    """A built-in definition by name, or a YAML file. Raises InputError for an unknown name and a wrong setting."""
    built_in = sorted(path.stem for path in BUILT_IN.glob("*.yaml"))
    path = BUILT_IN / f"{name_or_path}.yaml" if name_or_path in built_in else Path(name_or_path)
    if not path.is_file():
        raise InputError(f"Expected a definition of {built_in} or a YAML file, but got {name_or_path!r}. Correct it.")
    try:
        return Definition.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        detail = " ".join(str(error).split())
        raise InputError(f"Expected a YAML file, but got text that does not parse in {path}: {detail}") from None
    except ValidationError as error:
        place, why = fault(error)
        raise InputError(f"Expected a definition of key events, but {place} is wrong in {path}: {why}") from None


def derive(
    joints: np.ndarray, confidence: np.ndarray, skeleton: Skeleton, fps: float, definition: Definition
) -> Derived:
    """Find the events in (T, K, D) joints with (T, K) confidence; 0 or NaN is a missing joint.

    An event must be seen to happen: an extremum in the first or last frame, and anything beside missing frames, does not
    count. Raises InputError if the skeleton lacks a joint of the definition.
    """
    seen = np.nan_to_num(confidence) > 0
    points = bridge(np.where(seen[..., None], joints, np.nan), round(definition.max_gap_seconds * fps))
    quantity = smooth(measure(definition.quantity, points, skeleton), definition.smoothing, fps)
    if np.isfinite(quantity).sum() < 2:
        return Derived((), quantity, ("joints are missing",))
    if np.nanmax(quantity) - np.nanmin(quantity) < definition.least_range:
        return Derived((), quantity, ("moves too little",))
    found: dict[str, int] = {}
    for event in definition.search_order():
        start = found[event.after] + 1 if event.after else 0
        stop = found[event.before] if event.before else len(quantity)
        frame, reason = _find(event, quantity, start, stop)
        if reason:
            return Derived((), quantity, (f"{event.name} {reason}",))
        found[event.name] = frame
    names = [event.name for event in definition.events]
    late = [later for earlier, later in pairwise(names) if found[later] <= found[earlier]]
    events = () if late else tuple(found[name] for name in names)
    return Derived(events, quantity, tuple(f"{name} is not in order" for name in late))


def preview(clip: Clip, skeleton: Skeleton, definition: Definition, derived: Derived) -> tuple[Figure, dict[str, Axes]]:
    """The quantity over time with the events marked, and the pose at each; of an unclean clip five poses, and why."""
    names = [event.name for event in definition.events] if derived.events else [""] * 5
    frames = derived.events or np.linspace(0, len(clip.joints) - 1, len(names)).astype(int)
    image = clip.joints if clip.joints.shape[2] == 2 else clip.joints[..., :2] * (1, -1)
    poses = [f"pose {n}" for n in range(len(names))]
    figure, axes = plt.subplot_mosaic([poses, ["quantity"] * len(poses)], figsize=(7, 5))
    over_time = axes["quantity"]
    for n, (name, frame) in enumerate(zip(names, frames, strict=True)):
        color = PHASE_COLORS[(n + 1) % len(PHASE_COLORS)] if derived.events else "#555555"
        ax = axes[poses[n]]
        draw_skeleton(ax, image[frame], clip.confidence[frame], skeleton, color)
        ax.set(aspect="equal", xticks=[], yticks=[])
        ax.invert_yaxis()
        ax.set_title(f"{name}\nframe {frame}".strip(), fontsize=8, color=color)
        ax.spines[:].set_visible(False)
        over_time.axvline(frame / clip.fps, color=color)
    over_time.plot(np.arange(len(image)) / clip.fps, derived.quantity, color="#222222")
    over_time.set(xlabel="seconds", ylabel=f"{definition.quantity.kind} ({definition.quantity.unit})")
    figure.suptitle(f"{clip.name}, {clip.action}: " + ("; ".join(derived.reasons) or "derived events"), fontsize=10)
    figure.tight_layout(pad=0.6)
    return figure, axes


def _find(event: Event, quantity: np.ndarray, start: int, stop: int) -> tuple[int, str]:
    """The event's frame in start..stop - 1, or -1 and why there is none."""
    extremum = event.at in ("maximum", "minimum")
    start = start if extremum else max(0, start - 1)  # a crossing is seen from the frame before it
    known = start + np.flatnonzero(np.isfinite(quantity[start:stop]))
    if len(known) == 0:
        return -1, "is not seen"
    if extremum:
        values = quantity if event.at == "maximum" else -quantity
        frame = int(known[values[known].argmax()])
        if frame in (0, len(values) - 1):
            return -1, "is at the clip's edge"
        beside = values[[frame - 1, frame + 1]]
        if (beside > values[frame]).any():
            return -1, "is no turning point"
    else:
        low, high = np.nanmin(quantity), np.nanmax(quantity)
        level = low + event.level_share * (high - low) if event.level is None else event.level
        above = quantity[known] > level
        past = above if event.at == "rises_above" else ~above
        crossings = known[1:][past[1:] & ~past[:-1]]
        if len(crossings) == 0:
            return -1, "is not reached"
        if event.which == "only" and len(crossings) > 1:
            return -1, "happens more than once"
        frame = int(crossings[-1 if event.which == "last" else 0])
        beside = quantity[frame - 1]
    return (-1, "is beside missing joints") if np.isnan(beside).any() else (frame, "")
