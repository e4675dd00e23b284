# make demo  installs what the commands need and runs the pipeline on a small synthetic landscape
# make quick  sets everything up and runs the quick tests that start no process and train nothing: about 75 seconds
# make test  sets everything up and runs the tests
# make faults  kills, full disks, inputs that change, and many random examples: takes long
# make fuzz  reads damaged files of every format, N=2000 of each: half an hour
# make hostile  runs the commands over files that name an address or another file
# make format  formats the code and fixes what ruff can fix
# make browser  opens a report in an installed Chromium ($CHROMIUM, or one on the PATH); skips without one
# make bench-images  trains every model on real scenes for 5 and 15 CPU minutes, and writes docs/benchmark.md: a day
# Needs make and Python 3.11 or newer; another one: make demo PYTHON=/path/to/python3
# Another build of PyTorch than the one that fits the machine's driver: make demo TORCH=cpu, TORCH=cu130 and so on

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed

# uv takes the build of PyTorch that fits the machine's driver; on Linux pip takes the CUDA build, without a GPU, too.
# If uv reaches no index, pip may have one of its own.
TORCH ?= auto
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
NOTE := note: uv cannot fetch PyTorch here ($(VENV)/uv.log says why), so pip does; on Linux that may be the CUDA build, about 3 GB
install = @$(UV) $(1) || $(PIP) $(1)

# Tests start many processes. They share what Python compiles, and pytest's rewritten tests, only if it may be kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo quick test faults fuzz hostile lint format docs bench bench-images browser check clean setup

demo: $(RUNS)
	$(BIN)/sattrans demo

quick: setup
	$(BIN)/python -m pytest -n 2 -m "not process and not train and not docs and not real_data and not faults and not slow"

test: setup
	$(BIN)/python -m pytest -n 2 -m "not faults or short"

# A test whose examples hypothesis draws has the marker hypothesis.
faults: setup
	$(BIN)/python -m pytest -n 2 -m "faults or hypothesis" --hypothesis-profile thorough

N ?= 2000

fuzz: setup
	SATTRANS_FUZZ=$(N) $(BIN)/python -m pytest -n 2 -rP tests/faults/test_fuzz.py

hostile: setup
	$(BIN)/python -m pytest -n 2 tests/faults/test_hostile.py tests/maps/test_geojson.py tests/raster/test_open.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# opensr-utils asks for torchvision, which it can do without, and which does not load beside another build of PyTorch.
bench: setup
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python -c "import torchvision" 2>/dev/null || $(BIN)/pip uninstall --quiet --yes torchvision
	$(BIN)/python -m pytest -n 0 --no-header -q -s tests/benchmarks/bench_*.py

bench-images: setup
	$(BIN)/python tests/benchmarks/images.py

browser: setup
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[browser]"
	$(BIN)/python -m pytest -n 0 --no-header -q -rs tests/browser

check: lint test docs

setup: $(STAMP)

# What the commands need. New entry points need a new installation, so the stamp is as old as the project's own files.
$(RUNS): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "sattrans needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about 350 MB without a GPU, 3 GB with CUDA"
	@$(PIP) uv
	@$(BIN)/python -m pip show --quiet torch 2>/dev/null || $(UV) --torch-backend $(TORCH) torch 2>$(VENV)/uv.log || \
	{ echo "$(NOTE)" >&2; $(PIP) torch; }
	$(call install,--editable .)
	@touch $(RUNS)

# What development needs, too.
$(STAMP): $(RUNS)
	@echo "Installing what development needs into $(VENV): about 180 MB"
	$(call install,--editable ".[dev]")
	@touch $(STAMP)

clean:
	rm -rf $(VENV) sattrans-demo site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
