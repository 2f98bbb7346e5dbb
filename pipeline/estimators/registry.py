"""The estimators by name: a new one is a file beside this one, and a line in each of the two tables below."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipeline.estimators import mediapipe, onnx, openpifpaf
from pipeline.estimators.base import Estimator

EstimatorConfig = Annotated[
    mediapipe.MediapipeConfig | onnx.OnnxConfig | openpifpaf.OpenpifpafConfig, Field(discriminator="name")
]
LOADERS = {"mediapipe": mediapipe.load, "onnx": onnx.load, "openpifpaf": openpifpaf.load}


def load_estimator(config: EstimatorConfig, root: Path) -> Estimator:
    """The estimator that the settings describe; `root` is the data set's, which weights are given relative to."""
    return LOADERS[config.name](config, root)
