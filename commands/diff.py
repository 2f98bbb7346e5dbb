"""Compare the results of two revisions: which differences are larger than the noise of videos and training."""

import time
from pathlib import Path
from typing import Annotated

import typer

from commands.revisions import WORKSPACE, Revision
from pipeline.comparison import MISSING, ONE_SEED, WORSE, compare, lost, metrics_of
from pipeline.comparison_report import Comparison, difference, markdown, page, verdicts
from pipeline.config import InputError
from pipeline.store import write_json
from pipeline.wording import describe
from stages.base import stage, summary

app = typer.Typer(add_completion=False)
GOT_WORSE = 3


@app.command("diff", help=__doc__)
@stage
def main(
    before: Annotated[str, typer.Argument(metavar="REV", help="A git revision whose results are in DVC's cache.")],
    after: Annotated[str, typer.Argument(metavar="[REV]", help="Another; left out, the working tree.")] = WORKSPACE,
    out: Annotated[Path | None, typer.Option(help="Write the Markdown here, instead of printing it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one page with pictures.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all rows for machines.")] = None,
    fail_if_worse: Annotated[
        str,
        typer.Option(
            metavar="METRIC[,METRIC]",
            help="Exit with 3 if LA2DS got worse beyond noise, or is no longer there: any input, plain or clock-broken,"
            " mean over actions of any data set; or an action or data set is gone. `cannot tell (one seed)` does not fail.",
        ),
    ] = "",
) -> None:
    started = time.monotonic()
    gate = [metric for metric in fail_if_worse.split(",") if metric]
    old, new = Revision(before), Revision(after)
    results, others = old.results(), new.results()
    rows, notes = [], old.outdated() + new.outdated()
    for dataset in [name for name in results if name in others]:
        found, said = compare(dataset, results[dataset], others[dataset], gate)
        rows, notes = rows + found, notes + [f"{dataset}: {note}" for note in said]
    notes += [f"only one revision has the data set {name}" for name in sorted(set(results) ^ set(others))]
    sides = [side for found in (results, others) for of in found.values() for side in of.scores.values()]
    known = metrics_of(scores for side in sides for scores in side.values())
    if unknown := sorted(set(gate) - set(known)):
        raise InputError(
            f"Expected metrics of {', '.join(known)}, but got {', '.join(unknown)}. Correct --fail-if-worse."
        )
    changed, params = old.changed(new), old.changed_params(new)
    comparison = Comparison(
        before, after, rows, notes, params, changed, {before: old.curves(), after: new.curves()} if html else {}
    )
    if out:
        out.write_text(markdown(comparison), encoding="utf-8")
    else:
        typer.echo(markdown(comparison))
    if html:
        html.write_text(page(comparison), encoding="utf-8")
    if as_json:
        write_json(as_json, comparison.to_dict())
    gated = [row for row in comparison.judged if row.metric in gate]
    for row in gated:
        if row.verdict in (WORSE, ONE_SEED, MISSING):
            what = f"{row.dataset} {row.action}, {row.system}, {row.variant}: {describe(row.metric)[0]}"
            typer.echo(f"{row.verdict}: {what} {difference(row)}", err=True)
    gone = [(name, *each) for name, found in results.items() for each in lost(found, others.get(name), gate)]
    for dataset, action, metric in gone:
        typer.echo(f"{MISSING}: {dataset} {action}: {describe(metric)[0]} is no longer there", err=True)
    if out:
        summary(started, verdicts=f"[{verdicts(comparison)}]", rows=len(rows))
    # what only the second revision has is new, not gone
    if gone or any(row.verdict == WORSE or (row.verdict == MISSING and row.before is not None) for row in gated):
        raise typer.Exit(GOT_WORSE)


if __name__ == "__main__":
    app()
