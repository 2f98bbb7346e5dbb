import importlib.util
import subprocess
import sys

import pytest


@pytest.mark.skipif(importlib.util.find_spec("openpifpaf") is None, reason="openpifpaf is not built: no C++ compiler")
def test_it_imports_and_its_compiled_decoder_runs():
    # In a process of its own: the package's old code warns, and warnings are errors here.
    code = """
import warnings
warnings.simplefilter("ignore")
from pipeline.estimators.openpifpaf import import_openpifpaf
openpifpaf = import_openpifpaf()
import torch
print(openpifpaf.__version__, torch.classes.openpifpaf_decoder.CifCaf is not None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.13.11", "True"]
