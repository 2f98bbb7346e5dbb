"""Check a folder of videos or poses, write its entry into params.yaml, and say what to run next."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from commands.base import console, print_table
from commands.params_file import check_name, set_dataset
from pipeline.config import Config, MissingPackage
from pipeline.datasets.registry import parse_source, read_source
from pipeline.datasets.videos import VideosConfig
from pipeline.estimators.registry import load_estimator
from pipeline.extraction import Run
from pipeline.frames import video_pictures
from pipeline.inputs import needs_pictures, parse
from pipeline.inspection import inspect
from pipeline.intake import estimator_settings, events_settings, make_source, recognise
from pipeline.sequence import PoseSequences
from pipeline.survey import advice, facts, names_of, survey
from pipeline.training import TrainConfig
from stages.base import DETECTIONS, PARAMS, Params, ParamsOption, stage

app = typer.Typer(add_completion=False)
RUN = Run(DETECTIONS)


@app.command("add", help=__doc__)
@stage
def main(
    path: Annotated[Path, typer.Argument(help="Folder of videos, of folders of frames, or of pose files.")],
    name: Annotated[str, typer.Option(help="Name of the new data set.")],
    action: Annotated[str | None, typer.Option(help="Of all sequences; else sub-folders, or NAME.")] = None,
    reader: Annotated[str | None, typer.Option(help="Who reads the files, where they do not tell.")] = None,
    estimator: Annotated[
        str, typer.Option(help="Finds the people in videos: mediapipe, onnx, openpifpaf.")
    ] = "mediapipe",
    weights: Annotated[Path | None, typer.Option(help="The estimator's weights, if it needs a file.")] = None,
    events: Annotated[
        Path | None, typer.Option(help="CSV of key events, in the folder; `derived` unless --set labels=human.")
    ] = None,
    preset: Annotated[str, typer.Option(help="How to train: a key below `presets`.")] = "quick",
    inputs: Annotated[
        str | None, typer.Option(help="What networks see, e.g. pose2d,rgb,pose2d+rgb; by default pose2d, or as before.")
    ] = None,
    val_fraction: Annotated[float, typer.Option(help="Share of the sequences that validate.")] = 0.3,
    fps: Annotated[float | None, typer.Option(help="Frame rate of folders of frames and of pose files.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="More of the reader's settings: KEY=VALUE.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the entry of this name.")] = False,
    params: ParamsOption = PARAMS,
) -> None:
    batch_size = Params(params).section(f"presets.{preset}", TrainConfig).batch_size
    check_name(params, name, replace)
    old = (Params(params).content.get("datasets") or {}).get(name) or {}
    seen = parse(inputs) if inputs else old.get("inputs") or [["pose2d"]]
    methods = old.get("methods") or {}
    source = make_source(
        path,
        {"reader": reader} if reader else recognise(path, by_folder=action is None),
        action=action or name,
        estimator=estimator_settings(estimator, weights, path),
        val_fraction=val_fraction,
        fps=fps,
        settings=settings or (),
    )
    if events:
        unlabelled = {key: value for key, value in source.items() if key != "events"}
        names = names_of(parse_source(unlabelled, "the new entry"), name, RUN)
        source["events"] = events_settings(events, source, names)
    config = parse_source(source, "the new entry")
    preview = _checked(config, name)
    if any(needs_pictures(each) for each in (seen, *methods.values())):
        video_pictures(preview)  # an error where a sequence has no video
    dropped = {key: value for key, value in (old.get("source") or {}).items() if key not in source}
    set_dataset(params, name, {"preset": preset, "inputs": seen, "methods": methods, "source": source})
    for line in advice(preview, preset, batch_size):
        typer.echo(f"warning: {line}", err=True)
    if dropped:
        typer.echo(f"warning: settings of the old entry are gone: {dropped}; keep one by --set KEY=VALUE", err=True)
    if Path(source["root"]).is_absolute():
        typer.echo(f"note: {path} is outside of this project, and its path in {params} is this machine's", err=True)
    shown = f"la2ds show {name} {shlex.quote(preview.names[0])}"
    look = f"la2ds extract {name} && la2ds project {name}\n  la2ds info {name}\n  {shown}"
    typer.echo(f"\nWritten to {params}: datasets.{name}. To look at the poses:\n  {look}\nAll of it:\n  dvc repro")


def _checked(config: Config, name: str) -> PoseSequences:
    """Probe videos, or read pose files, and print what was found. An estimator that cannot work is an InputError."""
    out = console()
    if isinstance(config, VideosConfig):
        found = survey(config, name)
        preview = found.preview
        title = f"Videos below {config.root} (frames, seconds: smallest / median / largest)"
        print_table(out, title, ("fact", "value"), facts(found).items(), left=2)
        try:
            load_estimator(config.estimator, config.root)
        except MissingPackage as error:  # which can still be installed, and may be where the poses are made
            typer.echo(f"warning: {error}", err=True)
        if config.val_fraction is not None:
            typer.echo("note: the split is provisional: it is drawn anew without videos that show nobody", err=True)
    else:
        preview = read_source(config, name, RUN)
    rows = [(part.action, part.split, part.sequences, part.frames, part.labelled) for part in inspect(preview).parts]
    print_table(out, "Sequences", ("action", "split", "sequences", "frames", "labelled"), rows, left=2)
    if preview.left_out:
        print_table(out, "Left out", ("sequence", "reason"), preview.left_out.items(), left=2)
    return preview


if __name__ == "__main__":
    app()
