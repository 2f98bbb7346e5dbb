"""Shape annotations are checked in tests only; `shared` and `gpu` tests skip where what they need is absent."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

# Modules with numba kernels stay out: the hook would wrap functions before numba compiles them.
CHECKED = [
    "pipeline.models",
    "pipeline.objectives",
    "pipeline.augmentation",
    "pipeline.embedding",
    "pipeline.projection",
]
install_import_hook(CHECKED, "beartype.beartype")

settings.register_profile("untimed", deadline=None)  # how long an example takes says more of the machine than of us
settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_runtest_setup(item):
    if item.get_closest_marker("shared") and not SHARED.is_dir():
        pytest.skip("the real data sets are not beside the checkout")
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture
def shared() -> Path:
    """The folder of real data sets."""
    return SHARED
