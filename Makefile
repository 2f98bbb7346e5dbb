# Each target makes its virtual environment if it is missing. PYTHON picks the interpreter, TORCH_INDEX the torch build.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: repro test bench lint openpifpaf
# DVC does not watch the page, which tells how long stages took: it is missing where all the rest was there already, and
# old where stages ran again and made the same.
repro: $(VENV)/.installed ; export PATH="$(abspath $(BIN)):$$PATH"; dvc repro && { test -f data/reports/report.html && test -z "$$(find data/reports/report.md $(wildcard data/timings) -newer data/reports/report.html)" || la2ds report; }
test: $(VENV)/.installed-dev openpifpaf ; PATH="$(abspath $(BIN)):$$PATH" pytest
bench: $(VENV)/.installed-dev ; for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done
lint: $(VENV)/.installed-dev ; $(BIN)/ruff check . && $(BIN)/ruff format --check .
openpifpaf: $(VENV)/.installed-openpifpaf

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --constraint constraints.txt --editable .
	$(PIP) --no-deps mediapipe==0.10.14 || echo "warning: no mediapipe for this machine, so its back end is left out" >&2
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --constraint constraints.txt --editable .[dev]
	touch $@

# Source only, and it must be compiled against the torch that is installed: hence no build isolation and no cached wheel.
$(VENV)/.installed-openpifpaf: $(VENV)/.installed
	@if command -v c++ >/dev/null; then set -ex; \
	    $(PIP) --constraint constraints.txt setuptools wheel ninja pysparkling python-json-logger importlib_metadata pillow; \
	    $(PIP) --no-deps torchvision==0.28.0; \
	    CFLAGS="-O1 -g0" $(PIP) --no-cache-dir --no-deps --no-build-isolation --no-binary openpifpaf openpifpaf==0.13.11; \
	    touch $@; \
	else echo "warning: no C++ compiler, so openpifpaf was not built; its back end is left out" >&2; fi
