"""The console command `la2ds`: the commands and every stage. `dvc repro` runs all stages, in order, where needed."""

import typer

from commands import add, align, deviations, diff, events, info, search, show, transfer
from stages import evaluate, extract, film, fit, frames, fuse, project, render, report, table, train

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)
PANELS = {
    "Your data": (add, info, show, events),
    "What a trained network is good for": (align, transfer, search, deviations),
    "What a change did, and which method does best": (diff, table),
    "Stages, in the order in which `dvc repro` runs them": (
        extract,
        project,
        render,
        frames,
        train,
        fuse,
        evaluate,
        report,
    ),
    "Synthetic videos": (film, fit),
}
for panel, modules in PANELS.items():
    for module in modules:
        name = module.__name__.split(".")[-1]
        app.command(name, help=module.__doc__, rich_help_panel=panel)(module.main)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
