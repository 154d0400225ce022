# make demo      sets up .venv and runs the whole idea on scikit-learn's digits, anew, in plada-demo
# make check     lints, type-checks and runs the tests without training or many processes: before each commit
# make test      lints, type-checks and runs the tests; what CI runs
# make test-all  runs all tests, at length, with bounds checks, and as other machines would (hours)
# make docs      builds the documentation as a site, build/site, and fails at any warning
# make package   builds the distribution, and uses its wheel where nothing else is installed
# make fuzz      fuzzes each reader for 20 minutes, and writes the tables of fuzz/README.md (a night)
# make bench     measures what changed in sizes, times and memory (needs ../shared/corpora); all of it with FRESH=1
# make cold      measures what the first call of a process costs beside the next (minutes)
# make frames    measures what frames hold: loss, corruption, interruption, speed (a minute)
# make tables    measures how fast tables are read, beside pandas and polars (a minute)
# make accuracy  trains the students that bench/results/accuracy.csv has not yet (needs ../shared; hours, can be stopped)
# make frontier  searches and trains what bench/results/frontier.csv has not yet (needs ../shared; hours, can be stopped)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Two processes of OpenMP threads that spin while they wait slow each other down by orders of magnitude.
QUIET_THREADS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
PYTEST := $(QUIET_THREADS) $(BIN)/pytest -q -rs -n 2 --dist worksteal
# Compiled code checks no bounds of its own: these read bytes of all kinds with checks.
BYTES_TESTS := $(addprefix tests/codec/test_,round_trip.py oracle.py damage.py vectors.py)

.PHONY: demo check test test-all lint docs package fuzz bench cold frames tables accuracy frontier clean

demo: .venv/demo.installed
	rm -rf plada-demo
	$(BIN)/plada-train demo

# Modules that would not run need not be imported either: torch takes seconds.
check: lint
	HYPOTHESIS_PROFILE=quick $(PYTEST) -m 'not training and not processes and not browser and not exhaustive' \
		$(addprefix --ignore=,$(shell grep -rl '^pytestmark = .*pytest.mark.training' tests))

test: lint
	$(PYTEST) -m 'not browser and not exhaustive'

test-all: lint
	HYPOTHESIS_PROFILE=thorough $(PYTEST)
	NUMBA_BOUNDSCHECK=1 PLADA_KERNELS=compiled $(PYTEST) $(BYTES_TESTS)
	$(MAKE) docs
	$(BIN)/python -m tests.package
	$(BIN)/python -m tests.machines

docs: .venv/test.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

package: .venv/test.installed
	$(BIN)/python -m tests.package

lint: .venv/test.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

fuzz: .venv/test.installed
	$(QUIET_THREADS) $(BIN)/python -m fuzz.run --record

bench: .venv/test.installed
	$(BIN)/python -m bench.payload.run $(if $(FRESH),--fresh)
	$(BIN)/python -m bench.figures

cold: .venv/test.installed
	$(BIN)/python -m bench.payload.cold
	$(BIN)/python -m bench.figures

frames: .venv/test.installed
	$(BIN)/python -m bench.frames
	$(BIN)/python -m bench.figures

tables: .venv/test.installed
	$(BIN)/python -m bench.tables
	$(BIN)/python -m bench.figures

accuracy: .venv/test.installed
	$(BIN)/python -m bench.accuracy.run $(if $(FRESH),--fresh)
	$(BIN)/python -m bench.accuracy.accuracy_figures
	$(BIN)/python -m bench.figures

frontier: .venv/test.installed
	$(BIN)/python -m bench.planning.run
	$(BIN)/python -m bench.planning.transfer
	$(BIN)/python -m bench.planning.planning_figures
	$(BIN)/python -m bench.figures

.venv/demo.installed: EXTRAS := train
.venv/test.installed: EXTRAS := train,export,arrow,roaring,frames,plot,bench,docs,dev
# What pip says fills pages, mostly about indexes that are not ours: it is kept in a file, and shown if it matters.
.venv/%.installed: pyproject.toml constraints.txt
	@$(PYTHON) -m venv .venv
	@echo 'installing plada[$(EXTRAS)] into .venv'
	@$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]' \
		> .venv/$*.log 2>&1 || { tail -n 5 .venv/$*.log; echo 'pip failed: all it said is in .venv/$*.log'; exit 1; }
	@touch $@

clean:
	rm -rf plada-demo .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
