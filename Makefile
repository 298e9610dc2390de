# Two commands: `make demo` and `make test`. Both make what they need, below this folder.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest

.PHONY: demo test lint types tests test-oldest bench fuzz crash adversary notebooks clean

demo: $(VENV)/runs
	$(VENV)/bin/dask-validator demo --db demo.duckdb

test: lint types tests test-oldest

lint: $(VENV)/tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/tests
	$(VENV)/bin/mypy

tests: $(VENV)/tests
	$(VENV)/bin/python -m pytest

# The oldest release of everything that pyproject.toml admits, on what touches DuckDB and Dask.
test-oldest: $(OLDEST)/tests
	$(OLDEST)/bin/python -m pytest tests/test_golden.py tests/store tests/test_bad_input.py

# An hour and 22 GB of disk when the databases are to be made, most of it for the million; BENCH="--strategies 1000 12996 100000" for less.
bench: $(VENV)/tests
	$(VENV)/bin/python benchmarks/bench.py --results benchmarks/RESULTS.md $(BENCH)

# Ten thousand hostile databases, a quarter of an hour on two cores; FUZZ="--cases 1000 --seed 7" for less or others.
fuzz: $(VENV)/tests
	$(VENV)/bin/python -m tests.fuzz $(FUZZ)

# Kills runs at 150 moments and goes on with each, five minutes on two cores; CRASH="--kills 8 --commits 16" for less.
crash: $(VENV)/tests
	$(VENV)/bin/python -m tests.crash $(CRASH)

# What neighbours, files, web pages and databases could do to a run, tried; the table says what held.
adversary: $(VENV)/tests
	$(VENV)/bin/python -m pytest tests/adversary $(ADVERSARY)

# Runs the notebooks and saves them with their outputs; needs Chromium, which takes the pictures of their figures.
notebooks: $(VENV)/tests
	$(VENV)/bin/python -m tests.notebooks $(NOTEBOOKS)

$(VENV)/runs: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/tests: $(VENV)/runs
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(OLDEST)/tests: pyproject.toml tests/oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable . --constraint tests/oldest.txt pytest hypothesis
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) demo.duckdb demo.duckdb.* data benchmarks/data
