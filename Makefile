# The commands of the README. Needs Python 3.11+ and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
# The real wheels have hashes in requirements/; pip alone installs them.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo serve test check format docs exam lock clean

demo: .venv/.runtime
	@$(BIN)/bursar demo --out bursar-demo

serve: .venv/.runtime
	@$(BIN)/bursar serve

test: .venv/.dev
	$(BIN)/python -m pytest -n 2 -m "not exam"

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.dev
	COLUMNS=80 $(BIN)/python -m typer agent.entrypoints.cli utils docs --name bursar --output docs/cli.md

exam: .venv/.dev
	$(BIN)/python -m pytest -n 2 -m exam

lock: .venv/.dev
	$(PIP) uv
	$(BIN)/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/runtime.txt
	$(BIN)/uv pip compile pyproject.toml --group dev -c requirements/runtime.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/dev.txt

clean:
	rm -rf .venv bursar-demo

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "bursar needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv

.venv/.runtime: requirements/runtime.txt pyproject.toml | .venv/bin/python
	@echo "installing locked dependencies into .venv (once, about a minute)"
	$(PIP) --require-hashes -r requirements/runtime.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.runtime
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@
