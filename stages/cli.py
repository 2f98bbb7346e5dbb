"""The console command `la2ds`: every stage under one roof. `dvc repro` runs them all, in order, when needed."""

import typer

from stages import evaluate, project, render, report, train

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)
for _stage in (project, render, train, evaluate, report):
    app.command(_stage.__name__.removeprefix("stages."), help=_stage.__doc__)(_stage.main)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
