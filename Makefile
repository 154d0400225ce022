# make demo   sets up .venv and runs the whole idea on scikit-learn's digits, anew, in plada-demo
# make test   sets up .venv, lints, type-checks and tests; what CI runs
# make bench  measures what changed in sizes, times and memory (needs ../shared/corpora); all of it with FRESH=1
# make frames  measures what frames hold: loss, corruption, interruption, speed (a minute)
# make accuracy  trains the students that bench/results/accuracy.csv has not yet (needs ../shared; hours, can be stopped)
# make frontier  searches and trains what bench/results/frontier.csv has not yet (needs ../shared; hours, can be stopped)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Two processes of OpenMP threads that spin while they wait slow each other down by orders of magnitude.
QUIET_THREADS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
CODEC_TESTS := tests/test_round_trip.py tests/test_oracle.py tests/test_damage.py tests/test_vectors.py

.PHONY: demo test lint bench frames accuracy frontier clean

demo: .venv/demo.installed
	rm -rf plada-demo
	$(BIN)/plada-train demo

test: lint
	$(QUIET_THREADS) $(BIN)/pytest -q -rs -n 2 --dist worksteal
	rm -rf .cache/numba-boundscheck
	$(QUIET_THREADS) NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.cache/numba-boundscheck \
		HYPOTHESIS_PROFILE=brief $(BIN)/pytest -q -n 2 $(CODEC_TESTS)

lint: .venv/test.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/test.installed
	$(BIN)/python -m bench.run $(if $(FRESH),--fresh)
	$(BIN)/python -m bench.figures

frames: .venv/test.installed
	$(BIN)/python -m bench.frames
	$(BIN)/python -m bench.figures

accuracy: .venv/test.installed
	$(BIN)/python -m bench.accuracy $(if $(FRESH),--fresh)
	$(BIN)/python -m bench.accuracy_figures
	$(BIN)/python -m bench.figures

frontier: .venv/test.installed
	$(BIN)/python -m bench.frontier
	$(BIN)/python -m bench.transfer
	$(BIN)/python -m bench.frontier_figures
	$(BIN)/python -m bench.figures

.venv/demo.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[train]'
	touch $@

.venv/test.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[train,export,arrow,roaring,frames,plot,bench,dev]'
	touch $@

clean:
	rm -rf plada-demo .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
