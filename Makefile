# Everything below sets up what it needs: Python 3.11+, make and the package registries are enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
CODE := server tools tests bench

.PHONY: demo test check setup format bench lock clean

demo: $(VENV)/.run
	@$(BIN)/paperspace-storage-mcp demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow" $(PYTEST)

check: $(VENV)/.dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -m "not slow" $(PYTEST)

format: $(VENV)/.dev
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

setup: $(VENV)/.dev

# Two steps, so that the demo does not wait for the developers' tools.
$(VENV)/.run: requirements/run.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements/dev.txt
	@touch $@

# What is tested, pinned for every platform and Python at once. Needs uv, which the line installs.
lock: $(VENV)/.run
	@$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --no-header --no-emit-index-url --python-version 3.11 pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --no-header --no-emit-index-url --group dev --python-version 3.11 pyproject.toml -o requirements/dev.txt

bench: $(VENV)/.dev
	$(BIN)/python bench/compare.py $(BENCH)

clean:
	rm -rf $(VENV) build dist results
