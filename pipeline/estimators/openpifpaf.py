"""openpifpaf (Kreiss, Bertoni, Alahi; AGPL-3.0), the separately installed estimator back end: how to import it.

It dates from torch 1.13; beside the torch of today it needs two things that are gone, put back here.
"""

import importlib
from types import ModuleType

import matplotlib
import matplotlib.cm
import torch

from pipeline.config import InputError


def import_openpifpaf() -> ModuleType:
    """The package, ready to use. Raises InputError if it is not installed, which says how to install it."""
    _import_torchvision()
    if not hasattr(matplotlib.cm, "get_cmap"):  # gone since matplotlib 3.9
        matplotlib.cm.get_cmap = matplotlib.colormaps.get_cmap
    try:
        return importlib.import_module("openpifpaf")
    except ModuleNotFoundError as error:
        raise InputError(f"Expected openpifpaf, but {error}. Run `make openpifpaf`; it needs a C++ compiler.") from None


def _import_torchvision() -> None:
    """A torchvision built for CUDA looks for operators that it brings only beside a torch with CUDA."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        raise InputError(f"Expected torchvision, but {error}. Run `make openpifpaf`.") from None
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        # Only after the failure: a torchvision that works aborts if its operators are declared twice.
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        importlib.import_module("torchvision")


_LIBRARIES: list[torch.library.Library] = []  # a library's operators live as long as it does
