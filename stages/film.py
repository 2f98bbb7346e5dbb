"""Film the synthetic people of `studio`: videos, their annotated joints and key events."""

import time
from pathlib import Path
from typing import Annotated

import typer

from pipeline.film import FilmConfig, write_film
from pipeline.progress import progress_bar
from stages.base import PARAMS, Params, ParamsOption, size_of, stage, summary

app = typer.Typer(add_completion=False)


@app.command("film", help=__doc__)
@stage
def main(
    name: Annotated[str, typer.Argument(help="Name of the film: its key below `films` in params.yaml.")],
    params: ParamsOption = PARAMS,
) -> None:
    started = time.monotonic()
    config = Params(params).section(f"films.{name}.film", FilmConfig)
    out = Path("data") / "raw" / name / "film"
    with progress_bar("frames") as progress:
        done = write_film(config, out, progress)
    rate = f"{done['frames'] / (time.monotonic() - started):.0f}frames/s"
    summary(started, film=name, **done, rate=rate, size=size_of(out))


if __name__ == "__main__":
    app()
