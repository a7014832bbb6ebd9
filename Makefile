# `make demo` and `make test` need nothing but make and Python 3.11 or newer.
PYTHON ?= python3
# Versions that are known to work together; empty takes the newest that pyproject.toml allows.
CONSTRAINTS ?= -c constraints.txt
BIN := .venv/bin

.PHONY: setup test test-timm lint format demo serve clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say which: make setup PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e '.[all,dev]'
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if test -x $(BIN)/biome; then set -x; $(BIN)/biome ci --colors=off --error-on-warnings; \
	  else echo "biome is no package for this machine: the JavaScript is not checked" >&2; test "$$CI" != true; fi

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	test ! -x $(BIN)/biome || $(BIN)/biome check --write --colors=off

test: lint
	tests/programs
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --durations=10

# timm, the detectors and TFLite's converter need torchvision, and that its own torch: an environment apart, of gigabytes.
# They bring anyio, whose plug-in for pytest warns.
test-timm:
	test -x .venv-timm/bin/python || $(PYTHON) -m venv .venv-timm
	.venv-timm/bin/python -m pip install --quiet --disable-pip-version-check torch torchvision timm litert-torch ai-edge-litert tflite-micro safetensors numpy mlflow tensorboard pytest pytest-timeout
	.venv-timm/bin/python -m pytest --noconftest -p no:anyio tests/test_timm.py tests/test_backbone.py tests/test_tflite.py tests/test_sinks.py

demo: setup
	$(BIN)/python -m bench.demo

serve: setup
	$(BIN)/nas serve

clean:
	rm -rf .venv .venv-timm state downloads
