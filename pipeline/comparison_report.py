"""A comparison of two revisions as people read it: Markdown for a pull request, one HTML page with pictures, JSON."""

import base64
import html
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from matplotlib.figure import Figure

from pipeline.comparison import BETTER, LEVEL, NOISE, WORSE, Row
from pipeline.comparison_figures import difference_bars, loss_pairs
from pipeline.wording import describe, number, systems, table

HEADER = ["metric", "method", "variant", "before", "after", "difference", "verdict"]
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}caption{text-align:left}
th,td{padding:.25rem .6rem;border-bottom:1px solid #8886;text-align:left;white-space:nowrap}
.worse{color:#d33;font-weight:600}.better{color:#2a8a3a;font-weight:600}img{max-width:100%;background:#fff}"""


@dataclass(frozen=True)
class Comparison:
    """All that is told of two revisions.

    rows: of every data set, as `compare` made them. notes: sentences. params: dotted key -> (before, after). changed: what
    kind of artifact or code -> paths that differ. curves: revision -> rows of plots/loss.csv, where it has them.
    """

    before: str
    after: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    params: dict[str, tuple] = field(default_factory=dict)
    changed: dict[str, list[str]] = field(default_factory=dict)
    curves: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """JSON-ready."""
        return asdict(self)

    @property
    def judged(self) -> list[Row]:
        return [row for row in self.rows if row.verdict]


@dataclass(frozen=True)
class _Part:
    """A table with what stands above it; `folded` ones open on a click."""

    title: str
    text: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    folded: bool = False


def verdicts(comparison: Comparison) -> str:
    """How many verdicts of each kind, in one sentence."""
    counts = Counter(row.verdict for row in comparison.judged)
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "nothing to compare"


def markdown(comparison: Comparison) -> str:
    """For a pull request."""
    text = [f"# {comparison.before} → {comparison.after}: {verdicts(comparison)}\n"]
    for part in _parts(comparison):
        body = (part.text + "\n\n" if part.text else "") + (table(part.header, part.rows) if part.rows else "")
        if part.folded:
            text.append(f"<details><summary>{part.title}</summary>\n\n{body}\n</details>\n")
        else:
            text.append(f"## {part.title}\n\n{body}")
    return "\n".join(text)


def page(comparison: Comparison) -> str:
    """One self-contained HTML page: the same tables, the differences with their intervals, and both losses."""
    title = html.escape(f"{comparison.before} → {comparison.after}: {verdicts(comparison)}")
    body = [f"<h1>{title}</h1>"]
    if any(row.difference is not None for row in comparison.judged):
        alt = "Difference after minus before of every judged metric, with its 95 % interval; the tables say the same"
        body.append(_picture(difference_bars(comparison.judged)[0], alt))
    for part in _parts(comparison):
        body.append(_html_part(part))
    if all(comparison.curves.values()) and comparison.curves:
        body += ["<h2>Training losses</h2>", _picture(loss_pairs(comparison.curves)[0], "Losses of both revisions")]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    lines = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head><body>\n{lines}\n</body></html>\n'
    )


def _parts(comparison: Comparison) -> Iterator[_Part]:
    for dataset in dict.fromkeys(row.dataset for row in comparison.rows):
        rows = [row for row in comparison.rows if row.dataset == dataset]
        actions = list(dict.fromkeys(row.action for row in rows))
        judged = {row.metric for row in rows if row.verdict}
        called = systems(dict.fromkeys(row.system for row in rows))
        of = f"{dataset} ({actions[0]})"
        seeds: dict[str, tuple[int, int]] = {}
        for row in rows:
            if row.verdict:  # a metric may be there on one side alone
                before, after = seeds.get(called[row.system], (0, 0))
                seeds[called[row.system]] = max(before, row.seeds[0]), max(after, row.seeds[1])
        trained = _trained(seeds)
        first = [row for row in rows if row.action == actions[0]]
        yield _Part(of, trained, HEADER, _lines(row for row in first if row.metric in judged))
        yield _Part(f"{of}: the other metrics", "", HEADER, _lines(r for r in first if r.metric not in judged), True)
        for action in actions[1:]:
            found = _lines(row for row in rows if row.action == action and row.metric in judged)
            yield _Part(f"{dataset}: {action}", "", HEADER, found, True)
    if comparison.params:
        values = [[f"`{key}`", str(old), str(new)] for key, (old, new) in comparison.params.items()]
        yield _Part("Parameters that changed", "", ["parameter", "before", "after"], values)
    else:
        yield _Part("Parameters that changed", "None.")
    changed = [[kind, ", ".join(paths)] for kind, paths in comparison.changed.items()]
    yield _Part("Data, networks and code that changed", "" if changed else "None.", ["what", "where"], changed)
    yield _Part("How to read this", " ".join([*(f"Note: {note}." for note in comparison.notes), _reading(comparison)]))


def _trained(seeds: Mapping[str, tuple[int, int]]) -> str:
    """How many seeds each system has before and after; those that have as many together, unless that is all of them."""
    alike: dict[tuple[int, int], list[str]] = {}
    for called, counts in seeds.items():
        alike.setdefault(counts, []).append(called)
    told = []
    for (before, after), called in alike.items():
        count = f"{before} before, {after} after"
        if not before or not after:
            count = f"{after} after, none before (new)" if after else f"{before} before, none after (gone)"
        told.append(count if len(alike) == 1 else f"{', '.join(called)}: {count}")
    return f"Training seeds: {'; '.join(told)}."


def _lines(rows: Iterable[Row]) -> list[list[str]]:
    rows = list(rows)
    labels = systems(dict.fromkeys(row.system for row in rows))
    order = list(labels)
    metrics = list(dict.fromkeys(row.metric for row in rows))
    rows.sort(key=lambda row: (metrics.index(row.metric), order.index(row.system)))  # stable: variants stay in order
    return [
        [
            describe(row.metric)[0],
            labels[row.system],
            row.variant.replace("_", "-"),
            *(number(None if v is None else {"value": v}, row.metric, interval=False) for v in (row.before, row.after)),
            difference(row),
            row.verdict or "",
        ]
        for row in rows
    ]


def difference(row: Row) -> str:
    """After minus before with its interval, and where that is of videos alone, so said."""
    if row.difference is None:
        return "-"
    score = {"value": row.difference, "low": row.low, "high": row.high}
    return number(score, row.metric, sign=True) + ("" if row.over_seeds else " (videos only)")


def _reading(comparison: Comparison) -> str:
    count = sum(row.verdict in (BETTER, WORSE, NOISE) for row in comparison.judged)
    chance = (
        f" The {count} verdicts better, worse or noise come from p-values that Holm's step-down adjusts over those of a data"
        " set, the brackets are not adjusted: where nothing changed, about one of twenty data sets gets any better or worse"
        " with three seeds a side, up to one of seven with fewer or where one side's seeds vary much more than the other's."
    )
    return (
        f"Brackets: {100 * LEVEL:.0f} % interval of the difference over videos (paired where they are the same) and over training"
        " seeds (Welch's t); controls without a seed have that of videos. **Noise**: chance"
        " alone may do as much. **Cannot tell**: with one seed on each side nobody knows how much training alone varies, so the"
        " interval is of videos only and no verdict is given: train with two seeds or more; with one seed on one side, the other's"
        " variance stands for both. **Same**: identical results."
        " Verdicts are on LA2DS, in the headline metrics of the mean over actions; the rest is shown without."
    ) + (chance if count else "")


def _html_part(part: _Part) -> str:
    text = f"<p>{_inline(part.text)}</p>" if part.text else ""
    if part.rows:
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in part.header)
        lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in part.rows)
        text += f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    title = html.escape(part.title)
    return f"<details><summary>{title}</summary>{text}</details>" if part.folded else f"<h2>{title}</h2>{text}"


def _cell(text: str) -> str:
    kind = f' class="{text}"' if text in ("better", "worse") else ""
    return f"<td{kind}>{_inline(text)}</td>"


def _inline(text: str) -> str:
    """The little Markdown that the parts use: bold and code."""
    pieces = html.escape(text).split("**")
    bold = "".join(f"<strong>{piece}</strong>" if i % 2 else piece for i, piece in enumerate(pieces))
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(bold.split("`")))


def _picture(figure: Figure, alt: str) -> str:
    file = io.BytesIO()
    figure.savefig(file, dpi=110, format="png", metadata={"Software": None})
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
