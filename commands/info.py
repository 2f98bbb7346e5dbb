"""Say what is in a pose store: sequences, lengths, what is missing, labelled and left out, and where it came from."""

import json
from typing import Annotated

import typer
from rich.console import Console

from commands.base import StoreArgument, console, find_store, print_table
from pipeline.inspection import Inspection, inspect
from pipeline.inspection_tables import inspection_tables, overview
from pipeline.sequence import read_sequences
from stages.base import stage

app = typer.Typer(add_completion=False)


@app.command("info", help=__doc__)
@stage
def main(
    store: StoreArgument,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON, for machines.")] = False,
) -> None:
    path = find_store(store)
    found = inspect(read_sequences(path))
    if as_json:
        typer.echo(json.dumps({"store": str(path)} | found.to_dict(), indent=1, allow_nan=False))
    else:
        show(found, str(path), console())


def show(found: Inspection, path: str, out: Console) -> None:
    out.print(f"{found.dataset}: {found.dimensions}D poses ({found.poses}), skeleton {found.skeleton}, in {path}")
    out.print(overview(found))
    for each in inspection_tables(found).values():
        print_table(out, each.title, each.header, each.rows, left=each.heads)


if __name__ == "__main__":
    app()
