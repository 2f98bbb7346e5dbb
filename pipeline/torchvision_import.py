"""Import torchvision where it was built for CUDA and torch was not."""

import importlib

import torch

from pipeline.config import MissingPackage

_LIBRARIES: list[torch.library.Library] = []  # an operator lives as long as its library


def import_torchvision(how_to_install: str) -> None:
    """A torchvision built for CUDA looks for operators that it brings only beside a torch with CUDA.

    Raises MissingPackage that ends with how_to_install.
    """
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        raise MissingPackage(f"Expected torchvision, but {error}. {how_to_install}") from None
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        # Only after the failure: a torchvision that works aborts if its operators are declared twice.
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        importlib.import_module("torchvision")
