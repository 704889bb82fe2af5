# make demo   installs bolus into .venv and does the main job on the built-in exam
# make test   installs bolus into .venv and runs format, lint, types and all tests
# make bench  rewrites the tables in benchmarks/results (minutes)
# make calibration  chooses the thresholds of each method anew on simulated exams (10 minutes)
# make clean  removes what the others made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test check bench calibration clean

demo: $(STAMP)
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

calibration: $(STAMP)
	$(BIN)/python benchmarks/calibrate.py
	$(BIN)/python benchmarks/standard_errors.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo-out build dist .pytest_cache .mypy_cache .ruff_cache
