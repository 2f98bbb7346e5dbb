"""The charts of a report, from plain data. Colours of text and lines are the page's own: dark or light."""

import json
from collections.abc import Sequence

import altair as alt

from pipeline.figures import SCREEN_COLORS
from pipeline.wording import learned

HEIGHT = 220
PROGRESS_COLORS = ("#3f7fd0", "#b455b5", "#e08a2e")  # from start to end; told from white and from near-black
LEGEND = {"orient": "bottom", "labelLimit": 0, "symbolOpacity": 1, "columns": 2}


def losses(rows: Sequence[dict], title: str) -> alt.Chart:
    """Training losses of one method: rows of epoch, counted on from stage one to stage two, loss, input, seed and stage, the
    second dashed. Logarithmic where all are positive."""
    inputs = list(dict.fromkeys(row["input"] for row in rows))
    scale = "log" if all(row["loss"] > 0 for row in rows) else "linear"
    last = max((row["epoch"] for row in rows), default=1)
    encodings = {
        "x": alt.X("epoch:Q", title="epoch", axis=alt.Axis(values=list(range(1, last + 1, -(-last // 10))))),
        "y": alt.Y("loss:Q", title="loss", scale=alt.Scale(type=scale, nice=False), axis=alt.Axis(tickCount=5)),
        "color": _color("input", inputs, title="input"),
        "detail": "seed:N",
        "tooltip": ["input:N", "seed:N", "stage:N", "epoch:Q", "loss:Q"],
    }
    if len({row["stage"] for row in rows}) > 1:
        encodings["strokeDash"] = alt.StrokeDash("stage:N", legend=None)
    chart = alt.Chart(alt.Data(values=list(rows))).mark_line(point={"size": 22}).encode(**encodings)
    return _finish(chart, title)


def distribution(quantiles: dict[str, list[float]], shares: Sequence[float], metric: str, title: str) -> alt.Chart:
    """Share of pairs of videos up to each value of a metric, one line a system; `quantiles`: label -> values at `shares`.

    Controls are dashed.
    """
    rows = [
        {"method": label, "value": value, "share": round(share, 3), "kind": "learned" if learned(label) else "control"}
        for label, values in quantiles.items()
        for value, share in zip(values, shares, strict=True)
    ]
    dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=["learned", "control"], range=[[1, 0], [5, 3]]), legend=None)
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X("value:Q", title=metric, scale=alt.Scale(zero=False)),
            y=alt.Y("share:Q", title="share of pairs up to here", axis=alt.Axis(format="%", tickCount=5)),
            color=_color("method", list(quantiles), title=None),
            strokeDash=dash,
            order="share:Q",
            tooltip=["method:N", "value:Q", alt.Tooltip("share:Q", format=".0%")],
        )
    )
    return _finish(chart, title)


def map_by_phase(points: Sequence[dict], phases: Sequence[str], title: str) -> alt.Chart:
    """A map of frames as `evidence.frame_map` makes it, coloured by phase; phases: their names."""
    rows = [{**point, "phase": phases[point["phase"]]} for point in points if point["phase"] >= 0]
    return _map(rows, _color("phase", phases, title="phase"), alt.Tooltip("phase:N"), title)


def map_by_progress(points: Sequence[dict], title: str) -> alt.Chart:
    """The same map coloured by t / T."""
    rows = [{key: value for key, value in point.items() if key != "phase"} for point in points]
    legend = alt.Legend(orient="bottom", title="progress t/T", gradientLength=180)
    scale = alt.Scale(range=list(PROGRESS_COLORS), domain=[0, 0.5, 1])
    return _map(rows, alt.Color("progress:Q", legend=legend, scale=scale), alt.Tooltip("progress:Q"), title)


def lengths(rows: Sequence[dict], title: str) -> alt.Chart:
    """How many sequences are how long: rows of seconds and split."""
    chart = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_bar()
        .encode(
            x=alt.X("seconds:Q", bin=alt.Bin(maxbins=24), title="length, s"),
            y=alt.Y("count():Q", title="sequences"),
            color=_color("split", ["train", "val"], title="split"),
            tooltip=["split:N", "count():Q"],
        )
    )
    return _finish(chart, title)


def phase_shares(rows: Sequence[dict], num_phases: int, title: str) -> alt.Chart:
    """Which share of the frames each phase takes, one bar an action: rows of action, number (from 1), phase and share."""
    numbers = [str(number + 1) for number in range(num_phases)]
    chart = (
        alt.Chart(alt.Data(values=[{**row, "number": str(row["number"])} for row in rows]))
        .mark_bar()
        .encode(
            x=alt.X(
                "share:Q",
                title="share of labelled frames",
                axis=alt.Axis(format="%", tickCount=5),
                scale=alt.Scale(domain=[0, 1]),
            ),
            y=alt.Y("action:N", title=None, sort=None, axis=alt.Axis(labelLimit=140)),
            color=_color("number", numbers, title="phase", columns=0),
            order="number:O",
            tooltip=["action:N", "phase:N", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return _finish(chart, title, height=26 * len({row["action"] for row in rows}))


def missing_joints(rows: Sequence[dict], title: str) -> alt.Chart:
    """In which share of the frames each joint is missing: rows of joint and missing, in percent."""
    chart = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_bar(color=SCREEN_COLORS[0])
        .encode(
            x=alt.X("missing:Q", title="missing, % of frames"),
            y=alt.Y("joint:N", title=None, sort=None, axis=alt.Axis(labelLimit=140)),
            tooltip=["joint:N", "missing:Q"],
        )
    )
    return _finish(chart, title, height=15 * len(rows))


def for_page(chart: alt.Chart, caption: str) -> dict:
    """What a page needs to draw a chart: its Vega-Lite spec, the caption to print, the text to read aloud.

    Numbers that are not finite, which JSON does not have, become null: a point that is not drawn.
    """
    spec = json.loads(json.dumps(chart.to_dict()), parse_constant=lambda _: None)
    return {"spec": spec, "caption": caption, "text": chart.description}


def _map(rows: Sequence[dict], color: alt.Color, tooltip: alt.Tooltip, title: str) -> alt.Chart:
    no_axis = {"axis": None, "scale": alt.Scale(domain=[-0.03, 1.03])}
    chart = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_circle(size=18, opacity=0.75)
        .encode(
            x=alt.X("x:Q", **no_axis),
            y=alt.Y("y:Q", **no_axis),
            color=color,
            tooltip=[tooltip, "video:N", "frame:Q"],
        )
    )
    return _finish(chart, title, height=280)


def _color(field: str, values: Sequence[str], title: str | None, columns: int = 2) -> alt.Color:
    colors = [SCREEN_COLORS[number % len(SCREEN_COLORS)] for number in range(len(values))]
    legend = alt.Legend(title=title, **{**LEGEND, "columns": columns})
    return alt.Color(f"{field}:N", scale=alt.Scale(domain=list(values), range=colors), legend=legend)


def _finish(chart: alt.Chart, title: str, height: int = HEIGHT) -> alt.Chart:
    """As wide as its place on the page; `title`, which says what is to be seen, is read aloud, the page prints its own."""
    size = alt.AutoSizeParams(type="fit-x", contains="padding")
    return chart.properties(
        width="container", height=height, autosize=size, description=title, background="transparent"
    )
