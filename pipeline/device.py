"""Where networks run."""

from typing import Literal

import torch

from pipeline.config import InputError

DeviceName = Literal["auto", "cpu", "cuda"]


def pick_device(name: DeviceName = "auto") -> torch.device:
    """`auto` is CUDA where there is a device. Raises InputError for `cuda` where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("Expected a CUDA device, but torch finds none. Set device to auto or cpu in the preset.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
