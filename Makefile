# Two commands: `make demo` and `make test`. Both make what they need, below this folder.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
# The releases of Python that pyproject.toml names, and the tests of what touches Python, DuckDB and Dask.
PYTHONS := 3.11 3.12 3.13
EDGES := tests/test_golden.py tests/store tests/test_bad_input.py tests/adversary/test_database.py tests/cli/test_export.py
# Whole files, as each shares what it has made; none of these counts seconds, processes or ports.
TWO_AT_A_TIME := -n 2 --dist loadfile
TOGETHER := $(addprefix tests/,cli config documents explanation filters journal promoted reference rules run sources store \
	trade_files universe views/report work $(addprefix adversary/test_,database.py records.py unseen_characters.py) \
	$(addprefix views/test_,calibrated.py frames.py live_page_columns.py palette.py plots.py promoted.py streams.py \
	summary.py trades_of_a_strategy.py) $(addprefix test_,any_layout.py bad_input.py dry_run_and_check.py events.py \
	fuzz.py golden.py golden_2026_06.py notebooks.py own_filters_and_sessions.py packaging.py python_api.py structure.py \
	unknown_filters.py whole_run.py whole_run_by_rules.py))

.PHONY: demo test lint types tests test-oldest test-pythons bench luck null fuzz crash adversary notebooks clean

demo: $(VENV)/runs
	$(VENV)/bin/dask-validator demo --db demo.duckdb

test: lint types tests test-oldest test-pythons

lint: $(VENV)/tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/tests
	$(VENV)/bin/mypy

tests: $(VENV)/tests
	$(VENV)/bin/python -m pytest $(TWO_AT_A_TIME) $(TOGETHER)
	$(VENV)/bin/python -m pytest $(TOGETHER:%=--ignore=%)

# The oldest release of everything that pyproject.toml admits, at the edges.
test-oldest: $(OLDEST)/tests
	$(OLDEST)/bin/python -m pytest $(TWO_AT_A_TIME) $(EDGES)

# The edges again on the other releases of Python, as far as they are installed; `make test-python3.13` for one of them.
test-pythons:
	@own=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	for version in $(PYTHONS); do \
		if [ "$$version" = "$$own" ]; then continue; fi; \
		if python$$version -c 'import ensurepip' 2> /dev/null; then $(MAKE) test-python$$version || exit 1; \
		else echo "Python $$version is not installed here: not tested"; fi; \
	done

test-python%: $(VENV)-python%/tests
	$(VENV)-python$*/bin/python -m pytest $(TWO_AT_A_TIME) $(EDGES)

# An hour and 22 GB of disk when the databases are to be made, most of it for the million; BENCH="--strategies 1000 12996 100000" for less.
# BASE=COMMIT compares with an earlier version instead, ten minutes.
bench: $(VENV)/tests
	$(VENV)/bin/python benchmarks/$(if $(BASE),compare.py --base $(BASE),bench.py --results benchmarks/RESULTS.md) $(BENCH)

# What null worlds cost, in units of the gathers and sparse products that nobody can leave out.
luck: $(VENV)/tests
	$(VENV)/bin/python benchmarks/luck.py --results benchmarks/LUCK.md $(BENCH)

# How often the interval of `calibrate` holds on 20 databases of noise, four minutes; NULL="--seed 5 --worlds 1000" for others.
null: $(VENV)/tests
	$(VENV)/bin/python benchmarks/null.py --results benchmarks/NULL.md $(NULL)

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
		--editable . --constraint tests/oldest.txt pytest pytest-xdist hypothesis
	touch $@

.PRECIOUS: $(VENV)-python%/tests
$(VENV)-python%/tests: pyproject.toml
	python$* -m venv $(VENV)-python$*
	$(VENV)-python$*/bin/python -m pip install --quiet --disable-pip-version-check --editable . pytest pytest-xdist hypothesis
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) $(VENV)-python* demo.duckdb demo.duckdb.* data benchmarks/data
