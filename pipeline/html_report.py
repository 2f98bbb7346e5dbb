"""The HTML report: one file that needs no network, beside report.md and with the same tables, and what is better looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import altair
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from pipeline import charts, pose_sources
from pipeline.action_page import action_context
from pipeline.evidence import gather
from pipeline.inputs import OWN
from pipeline.inspection import inspect
from pipeline.inspection_tables import inspection_tables, overview
from pipeline.markdown import INTRODUCTION, LABEL_ORDER, description
from pipeline.report import Reported
from pipeline.run_facts import contents, installed, stage_times
from pipeline.store import open_store
from pipeline.tables import side_results, tables
from pipeline.wording import learned, phase_names

PAGE = Path(__file__).with_name("page")
MARKDOWN = MarkdownIt("commonmark", {"html": False})
MOST_POINTS = 3000  # of the maps of a data set's actions together


@dataclass(frozen=True)
class Run:
    """What was run for a data set.

    outputs: stage, in order, -> what it wrote, `render` among them. params: as YAML. tau_stride: that of `EvaluateConfig`.
    """

    outputs: Mapping[str, Path]
    params: str
    tau_stride: int = 2


def write_page(reported: Sequence[Reported], runs: Mapping[str, Run], timings: Path, path: Path) -> dict:
    """Write the page; returns its size for the summary.

    runs: of each data set. timings: a folder with <stage>_<data set>.json of the stages that ran here.
    """
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["markdown"] = MARKDOWN.render
    environment.tests["learned"] = learned
    all_sequences = {each.name: each.sequences for each in reported}
    details = {each.name: each.details for each in reported}
    page = environment.get_template("report.html.jinja").render(
        introduction=INTRODUCTION.partition("\n\n")[2],
        datasets=[_dataset_context(each, runs[each.name], timings) for each in reported],
        sources=[
            pose_sources.comparison(group, all_sequences, details) for group in pose_sources.same_videos(all_sequences)
        ],
        versions=installed(),
        style=(PAGE / "style.css").read_text(encoding="utf-8"),
        script=(PAGE / "charts.js").read_text(encoding="utf-8"),
        vega=_vega(),
    )
    path.write_text(page, encoding="utf-8")
    return {"page": f"{path.stat().st_size / 2**20:.1f}MiB"}


@cache
def _vega() -> str:
    """The JavaScript that draws Altair's charts, of the version that Altair writes them for."""
    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return vl_convert.javascript_bundle(vl_version=version)


def _dataset_context(each: Reported, run: Run, timings: Path) -> dict:
    details, sequences = each.details, each.sequences
    boxes = open_store(run.outputs["render"], "heatmaps", {"poses": run.outputs["project"]})["boxes"][...]
    actions = list(details["actions"])
    most = min(1500, max(200, MOST_POINTS // len(actions)))
    known = details["systems"], each.results / "embeddings", boxes, run.tau_stride
    evidence = (gather(sequences, action, *known) for action in actions)
    return {
        "name": each.name,
        "description": description(details, sequences.provenance),
        "tables": tables(details, each.published),
        "side": side_results(details),
        "label_order": LABEL_ORDER,
        "orders": {action: facts["label_order"] for action, facts in details["actions"].items()},
        "stages": 2 if any("+" in name for name in details["systems"]) else 1,
        "losses": _losses(each),
        "actions": [action_context(found, details, most) for found in evidence],
        "videos": _videos(each),
        "times": stage_times(run.outputs, each.name, timings),
        "contents": contents(run.outputs),
        "params": run.params,
        "notes": details["notes"],
    }


def _losses(each: Reported) -> list[dict]:
    """One chart for each action and method: losses of different methods are no numbers to compare."""
    found = []
    for action, method in dict.fromkeys((row["action"], row["method"]) for row in each.curves):
        rows = [row for row in each.curves if (row["action"], row["method"]) == (action, method)]
        first = max((int(row["epoch"]) for row in rows if "+" not in row["input"]), default=-1) + 1
        points = [
            {
                "epoch": int(row["epoch"]) + 1 + (first if "+" in row["input"] else 0),
                "loss": float(row["loss"]),
                "input": row["input"],
                "seed": row["seed"],
                "stage": "two" if "+" in row["input"] else "one",
            }
            for row in rows
        ]
        ends = {(p["input"], p["seed"]): p["loss"] for p in points}
        told = ", ".join(f"{seen} seed {seed} {loss:.3g}" for (seen, seed), loss in ends.items())
        of = action if method == OWN else f"{action}, {method}"
        unit = " in frames²" if method == OWN else ""
        text = f"Training loss of {of} over epochs. Last losses{unit}: {told}."
        found.append(charts.for_page(charts.losses(points, text), of))
    return found


def _videos(each: Reported) -> dict:
    """The data set's own page: tables of what is there, charts of lengths, phases and missing joints."""
    sequences, found = each.sequences, inspect(each.sequences)
    seconds = (sequences.lengths / sequences.fps).round(2).tolist()
    rows = [{"seconds": s, "split": split} for s, split in zip(seconds, sequences.splits, strict=True)]
    text = f"How many sequences are how long: from {min(seconds):g} to {max(seconds):g} s."
    shown = [charts.for_page(charts.lengths(rows, text), "Lengths of sequences")]
    shares, most = [], 0
    for action, names in sequences.event_names.items():
        phase = [p for n in sequences.where(action) for p in sequences.phase[sequences.frames(n)].tolist() if p >= 0]
        num_phases = 1 + max(phase, default=-1)
        most = max(most, num_phases)
        shares += [
            {"action": action, "number": k + 1, "phase": name, "share": round(phase.count(k) / len(phase), 4)}
            for k, name in enumerate(phase_names(names, num_phases)[:num_phases])
        ]
    if shares:
        text = "Share of the labelled frames that each phase takes, one bar an action."
        shown.append(charts.for_page(charts.phase_shares(shares, most, text), "Phases"))
    if found.missing_percent:
        rows = [{"joint": joint.name, "missing": joint.missing_percent} for joint in found.joints]
        worst = max(found.joints, key=lambda joint: joint.missing_percent)
        text = f"Share of frames in which each joint is missing; most often {worst.name}, {worst.missing_percent:g} %."
        shown.append(charts.for_page(charts.missing_joints(rows, text), "Missing joints"))
    skeleton = f"{found.dimensions}D poses ({found.poses}), skeleton {found.skeleton}: {overview(found)}."
    return {"overview": skeleton, "tables": inspection_tables(found), "charts": shown}
