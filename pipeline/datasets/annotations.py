"""Phases drawn by hand in ELAN (.eaf, or tab-delimited text with column headings) or VIA 3 (project .json, export .csv).

A segment is (video, tier, label, start in seconds, place for errors). The reader keeps the starts: a phase ends where
the next begins.
"""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.parsers.expat import ExpatError, ParserCreate

from pipeline.config import InputError
from pipeline.datasets.events import EventRow, check_columns

Segment = tuple[str, str, str, float, str]
NOT_TIERS = ("Begin Time", "End Time", "Duration", "File ", "Participant")


def read_annotations(path: Path, phases: Sequence[str], tier: str | None = None) -> dict[str, EventRow]:
    """Video -> the seconds at which its phases but the first begin; a video's name is its file's, without the suffix.

    phases: the labels in order; a video may lack some. tier: the ELAN tier or VIA attribute that holds them; may be left
    out where only one has segments. A file that does not name its video is taken to be named after it. Raises InputError
    for a file of another kind, a label that is no phase, and a phase that comes twice or too early.
    """
    formats = {".eaf": _elan, ".txt": _elan_text, ".tsv": _elan_text, ".json": _via_project, ".csv": _via_csv}
    if path.suffix not in formats:
        raise InputError(f"Expected a file of type {list(formats)}, but got {path}. Export the labels as one of these.")
    try:
        segments = list(formats[path.suffix](path))
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ExpatError, csv.Error) as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"Expected labels of ELAN or VIA 3, but got {detail} in {path}. Export them again.") from None
    tiers = sorted({segment[1] for segment in segments})
    if tier not in tiers and not (tier is None and len(tiers) == 1):
        raise InputError(f"Expected a tier or attribute of {tiers}, but got {tier!r} for {path}. Name one of these.")
    starts: dict[str, dict[str, float]] = {}
    for video, of_tier, label, start, where in sorted(segments, key=lambda segment: segment[3]):
        if tier not in (None, of_tier):
            continue
        if label not in phases:
            raise InputError(f"Expected a phase of {list(phases)}, but got {label!r} in {where}. Correct it or add it.")
        found = starts.setdefault(video, {})
        if found and phases.index(label) <= phases.index(last := next(reversed(found))):
            raise InputError(
                f"Expected each phase of {video!r} once and in order, but got {label!r} after {last!r} in {where}."
                " Correct the labels, or cut the video into sequences."
            )
        found[label] = start
    return {
        video: EventRow(
            action="",
            events=(),
            event_names=tuple(phases[1:]),
            num_frames=None,
            split=None,
            where=f"{path}, {video!r}",
            seconds=tuple(found.get(phase, -1.0) for phase in phases[1:]),
        )
        for video, found in sorted(starts.items())
    }


def _elan(path: Path) -> Iterator[Segment]:
    content = path.read_bytes()
    _refuse_entities(content)
    root = ElementTree.fromstring(content)
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    video = path.stem if media is None else _stem(unquote(media.attrib["MEDIA_URL"]))
    origin_ms = 0 if media is None else float(media.get("TIME_ORIGIN", 0))  # the video's time at the timeline's 0
    times_ms = {slot.attrib["TIME_SLOT_ID"]: slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    for tier in root.iter("TIER"):
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            where = f"{path}, annotation {annotation.attrib['ANNOTATION_ID']!r}"
            start_ms = times_ms[annotation.attrib["TIME_SLOT_REF1"]]
            if start_ms is None:
                raise InputError(f"Expected a start time, but got none in {where}. Align it in ELAN.")
            label = (annotation.findtext("ANNOTATION_VALUE") or "").strip()
            yield video, tier.attrib["TIER_ID"], label, (float(start_ms) + origin_ms) / 1000, where


def _refuse_entities(content: bytes) -> None:
    """ELAN declares no entities; a file that does could make the parser expand a few lines to gigabytes."""

    def refuse(name, *_):
        raise ValueError(f"a declaration of entity {name!r}")

    parser = ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.Parse(content, True)


def _elan_text(path: Path) -> Iterator[Segment]:
    """A row per annotation with columns Tier and Annotation, or a column per tier; lines on the media before that."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    skipped = next((i for i, line in enumerate(lines) if not line.strip('"').startswith("#")), len(lines))
    media = re.search(r'file:[^"\t\n]+?(?= -- |["\t\n]|$)', "\n".join(lines[:skipped]))
    reader = csv.DictReader(lines[skipped:], delimiter="\t")
    columns = list(reader.fieldnames or ())
    column, per_second = (
        ("Begin Time - ss.msec", 1) if "Begin Time - ss.msec" in columns else ("Begin Time - msec", 1000)
    )
    check_columns([column], columns, path)
    tiers = [name for name in columns if name and not name.startswith(NOT_TIERS)]
    for row in reader:
        file = row.get("File Path") or row.get("File Name") or (media.group() if media else path.name)
        labels = {row["Tier"]: row["Annotation"]} if "Annotation" in columns else {tier: row[tier] for tier in tiers}
        for tier, label in labels.items():
            if label:
                where = f"{path}, line {skipped + reader.line_num}"
                yield _stem(file), tier, label.strip(), float(row[column]) / per_second, where


def _via_project(path: Path) -> Iterator[Segment]:
    project = json.loads(path.read_text(encoding="utf-8"))
    for key, entry in project["metadata"].items():
        file = project["file"][str(project["view"][entry["vid"]]["fid_list"][0])]["fname"]
        yield from _via_segment(project["attribute"], file, entry["z"], entry["xy"], entry["av"], f"{path}, {key!r}")


def _via_csv(path: Path) -> Iterator[Segment]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(file)
    attributes = json.loads(next((line for line in lines if line.startswith("# ATTRIBUTE =")), "").partition("=")[2])
    for key, files, _, *rest in csv.reader(line for line in lines if line.strip() and not line.startswith("#")):
        yield from _via_segment(attributes, json.loads(files)[0], *map(json.loads, rest[:3]), f"{path}, {key!r}")


def _via_segment(
    attributes: dict, file: str, times_s: list, shape: list, values: dict, where: str
) -> Iterator[Segment]:
    if times_s and not shape:  # a shape is a region of one frame
        for key, value in values.items():
            attribute = attributes[key]
            label = attribute["options"].get(value, value)
            yield _stem(file), attribute["aname"], label.strip(), float(times_s[0]), where


def _stem(file: str) -> str:
    return PurePosixPath(file.replace("\\", "/")).stem
