# Every target needs Python 3.11 or later and the network's package index, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN ?= runs/demo
FUZZ_SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit slow fuzz sanitize clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("seqloom needs Python 3.11 or later; name one with: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

SOURCES := CMakeLists.txt $(wildcard csrc/*)

$(VENV)/demo-installed: pyproject.toml constraints.txt $(SOURCES) | $(BIN)/python
	$(INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/test-installed: pyproject.toml constraints.txt $(SOURCES) | $(BIN)/python
	$(INSTALL) --editable '.[test]'
	@touch $@

demo: $(VENV)/demo-installed ## train the Chinese word segmenter beside its baselines, score it, and use it
	@$(BIN)/python -m seqloom.app.demo --out $(RUN)

test: lint types unit ## everything that has to hold: lint, types, imports between rooms, tests

lint: $(VENV)/test-installed ## ruff and the imports between rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/test-installed ## mypy, strict
	$(BIN)/mypy

unit: $(VENV)/test-installed ## the tests, on all cores; each worker computes on one thread
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4

slow: $(VENV)/test-installed ## the long tests: floors of accuracy on real data
	$(BIN)/python -m pytest -m slow

fuzz: $(VENV)/test-installed ## hostile input at every door for FUZZ_SECONDS (600); prints its seed, and that of each failure
	OMP_NUM_THREADS=1 $(BIN)/python tests/test_fuzz.py --seconds $(FUZZ_SECONDS)

sanitize: $(VENV)/test-installed ## the engine's tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(INSTALL) --no-deps --config-settings=cmake.define.SEQLOOM_SANITIZE=ON --editable .
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so.6)" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1 \
		SEQLOOM_COMPILE=0 OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest tests/engine tests/layers; \
		status=$$?; $(INSTALL) --no-deps --editable .; exit $$status

clean: ## remove what the targets made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
