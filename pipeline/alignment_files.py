"""Alignments as files: a CSV and a JSON of every frame with its partner, pictures and films of the pairs."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress

from pipeline.correspondence import Correspondence, Method, clock, correspond
from pipeline.figures import plt
from pipeline.line_figure import line_figure
from pipeline.performance import Performance
from pipeline.side_by_side import side_by_side
from pipeline.store import write_json
from pipeline.video import write_video

COLUMNS = ("frame_a", "time_a_s", "frame_b", "time_b_s", "confidence", "distance", "phase_a", "phase_b")
VIDEO_COLUMNS = ("video_frame_a", "video_frame_b")


@dataclass(frozen=True, eq=False)
class Alignment:
    """Clips A and B, and what of B belongs to each frame of A."""

    a: Performance
    b: Performance
    found: Correspondence

    @property
    def rows(self) -> list[dict]:
        """One for each frame of A: `COLUMNS`, and `VIDEO_COLUMNS` where the videos number their frames otherwise.

        Frames count from 0, times in seconds; phases count from 1, as people read them, None without one.
        """
        a, b, frames = self.a, self.b, np.arange(len(self.a))
        columns = {
            "frame_a": frames,
            "time_a_s": a.seconds.round(4),
            "frame_b": self.found.frames,
            "time_b_s": b.seconds[self.found.frames].round(4),
            "confidence": self.found.confidence.round(4),
            "distance": self.found.distance.round(4),
            "phase_a": a.poses.phase + 1,
            "phase_b": b.poses.phase[self.found.frames] + 1,
        }
        if self.renumbered:
            numbers = a.poses.video_frames, b.poses.video_frames[self.found.frames]
            columns |= dict(zip(VIDEO_COLUMNS, numbers, strict=True))
        rows = [
            dict(zip(columns, values, strict=True))
            for values in zip(*map(np.ndarray.tolist, columns.values()), strict=True)
        ]
        return [row | {key: row[key] or None for key in ("phase_a", "phase_b")} for row in rows]

    @property
    def renumbered(self) -> bool:
        return any((clip.poses.video_frames != np.arange(len(clip))).any() for clip in (self.a, self.b))

    @property
    def event_errors(self) -> dict[str, float]:
        """Mean error of the key events that both have, % of B: as aligned, and by the clock; nothing without events."""
        by_clock = clock(len(self.a), len(self.b))
        pairs = [pair for pair in zip(self.a.events, self.b.events, strict=False) if min(pair) >= 0]
        if not pairs:
            return {}
        methods = {"event_error_percent": self.found.frames, "event_error_by_clock_percent": by_clock}
        return {
            name: float(np.mean([100 * abs(int(frames[event]) - true) / len(self.b) for event, true in pairs]))
            for name, frames in methods.items()
        }

    @property
    def summary(self) -> dict:
        """Names, frames and rates of both, then what `Correspondence.summary` and `event_errors` say."""
        clips = {"a": self.a, "b": self.b}
        facts = {side: clip.name for side, clip in clips.items()}
        facts |= {f"frames_{side}": len(clip) for side, clip in clips.items()}
        facts |= {f"fps_{side}": clip.poses.fps for side, clip in clips.items()}
        numbers = {key: round(value, 4) for key, value in self.event_errors.items()}
        means = {key: value if isinstance(value, str) else round(value, 4) for key, value in self.found.summary.items()}
        return facts | means | numbers


def align(a: Performance, others: Sequence[Performance], method: Method) -> list[Alignment]:
    """A with each of the others, the nearest by mean distance first."""
    found = [Alignment(a, b, correspond(a.features, b.features, method)) for b in others]
    return sorted(found, key=lambda one: one.found.distance.mean())


def write_tables(alignments: Sequence[Alignment], folder: Path, facts: dict, several: bool) -> None:
    """`alignment.csv` and `alignment.json`; facts: on what embedded them.

    several: others were asked for, however many are left: the CSV begins with a column `b`, the JSON is a list.
    """
    folder.mkdir(parents=True, exist_ok=True)
    extra = VIDEO_COLUMNS if any(one.renumbered for one in alignments) else ()
    with (folder / "alignment.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, (*(("b",) if several else ()), *COLUMNS, *extra), lineterminator="\n")
        table.writeheader()
        for one in alignments:
            table.writerows(({"b": one.b.name} if several else {}) | row for row in one.rows)
    pairs = [{"summary": facts | one.summary, "frames": one.rows} for one in alignments]
    write_json(folder / "alignment.json", {"alignments": pairs} if several else pairs[0])


def write_pictures(one: Alignment, folder: Path, progress: Progress) -> None:
    """`lines.png` and `side_by_side.mp4` at A's frame rate."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = line_figure(one.a, one.b, one.found)
    figure.savefig(folder / "lines.png", metadata={"Software": None})
    plt.close(figure)
    film = progress.track(side_by_side(one.a, one.b, one.found), len(one.a), description=one.b.name)
    write_video(folder / "side_by_side.mp4", film, one.a.poses.fps)
