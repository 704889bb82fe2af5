# make demo   installs what the demo needs into .venv and does the main job on the built-in exam
# make test   adds what the tests need to .venv and runs format, lint, types and all tests
# make bench  rewrites the tables in benchmarks/results (minutes)
# make calibration  chooses thresholds and standard errors again on simulated exams (20 minutes)
# make studies  the cohort, the performance of the quality checks, the arteries (30 minutes; goes on
#             where it was stopped)
# make network  the network against deconvolution, where its errors are, what it can't read, how it
#             tells the blood's volume and blood from bone, its speed (35 minutes)
# make raters  a reading study on 15 simulated exams with simulated raters (10 minutes)
# make weights  trains the network that ships with bolus from nothing (1.5 hours)
# make attacks  10,000 broken and hostile inputs at every entry (an hour; goes on where it was
#             stopped)
# make docs   builds the documentation as a site in docs/_build/html, with its gallery
#             and runs what the pages say to type
# make long   runs the longest tests: the wheel in an empty environment, what a run writes compared
#             with the code before, floods of connections
# make peers  bolus and open peers on the same curves (PYPET=clone of PyPeT,
#             PEERS_PYTHON=python3.12 where the usual one is older)
# make web    rebuilds the page of `bolus view` (needs node and npm; users don't)
# make installation  import time, sizes and times of installations, before and now (half an hour)
# make clean  removes what the others made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_STAMP := $(VENV)/installed-demo
STAMP := $(VENV)/installed
# bytecode of modules that nobody imports is 120 MB; Python writes that of the others by itself
INSTALL = $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt

.PHONY: demo test check bench calibration studies network raters weights attacks docs long \
	peers installation web clean

demo: $(DEMO_STAMP)
	$(BIN)/bolus demo demo-out

test: check
	$(BIN)/pytest

check: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/kudo.py
	$(BIN)/python benchmarks/hybrid.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/memory.py

calibration: $(STAMP)
	$(BIN)/python benchmarks/calibrate.py
	$(BIN)/python benchmarks/standard_errors.py

studies: $(STAMP)
	$(BIN)/python benchmarks/cohort.py
	$(BIN)/python benchmarks/verdicts.py
	$(BIN)/python benchmarks/arteries.py

network: $(STAMP)
	$(BIN)/python benchmarks/network.py --exams 20 --shifts 4
	$(BIN)/python benchmarks/error_sources.py
	$(BIN)/python benchmarks/unlike.py
	$(BIN)/python benchmarks/blood_volume.py
	$(BIN)/python benchmarks/moved_bone.py
	$(BIN)/python benchmarks/network_speed.py

raters: $(STAMP)
	$(BIN)/python benchmarks/raters.py

weights: $(STAMP)
	$(BIN)/python benchmarks/weights.py

attacks: $(STAMP)
	$(BIN)/python benchmarks/attacks.py --count 10000

docs: $(STAMP)
	$(BIN)/sphinx-build -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/pytest -m docs

long: $(STAMP)
	$(BIN)/pytest -m long

peers: $(STAMP)
	cd benchmarks && ../$(BIN)/python -m peers

installation: $(STAMP)
	$(BIN)/python benchmarks/installation.py

web:
	cd web && npm ci --no-audit --no-fund && npm run build

# nilearn is there for its brain atlas, and only the files are read: it needs none of its dependencies
$(DEMO_STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	$(INSTALL) --no-deps nilearn
	touch $(DEMO_STAMP)

# tests take warnings for errors, those of compiling other people's modules excepted
$(STAMP): $(DEMO_STAMP)
	$(INSTALL) --editable '.[dev]'
	$(BIN)/python -W ignore -m compileall -qq $(VENV)/lib || true  # templates are not Python
	touch $(STAMP)

clean:
	rm -rf $(VENV) .venv-peers demo-out build dist docs/_build docs/gallery docs/results .pytest_cache .mypy_cache .ruff_cache
