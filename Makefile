# Everything below sets up what it needs: Python 3.11+, make and the package registries are enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
CODE := server tools tests bench evals packages deploy

.PHONY: demo test check platforms setup format bench mutants evals hosts frameworks lock clean manifests version dist image audit lowest newest

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

# The types as the other systems have them: what exists on Linux alone may not be used on the way of Windows or macOS.
platforms: $(VENV)/.dev
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 server tools
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin server tools
	$(BIN)/pyright --pythonpath $(BIN)/python --pythonplatform Windows server tools
	$(BIN)/pyright --pythonpath $(BIN)/python --pythonplatform Darwin server tools

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
	$(BIN)/uv pip compile --quiet --universal --no-header --no-emit-index-url --python-version 3.11 --extra hosted --constraint requirements/run.txt pyproject.toml -o requirements/hosted.txt
	$(BIN)/uv pip compile --quiet --universal --no-header --no-emit-index-url --group dev --python-version 3.11 pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --no-header --no-emit-index-url --group release --constraint requirements/dev.txt --python-version 3.11 -o requirements/release.txt
	$(BIN)/uv pip compile --quiet --universal --no-header --no-emit-index-url --group mutants --constraint requirements/dev.txt --python-version 3.11 -o requirements/mutants.txt

# Packages: docs/releasing.md says what each is for.
$(VENV)/.release: $(VENV)/.run requirements/release.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements/release.txt
	@touch $@

# After a change of packages/facts.toml, of a skill or of the icon.
manifests: $(VENV)/.run
	$(BIN)/python -m packages.write

version: $(VENV)/.run
	@test -n "$(TO)" || { echo "which version? make version TO=1.2.3" >&2; exit 2; }
	$(BIN)/python -m packages.write --version $(TO)

dist: $(VENV)/.release
	$(BIN)/python -m packages.build

# The image, with docker or buildah; `make image BASE=bootstrap` where no image registry can be reached.
image:
	BASE=$(BASE) deploy/build

# Known weaknesses of what is installed, and of the clients the tests use. Asks the advisory databases.
audit: $(VENV)/.release
	$(BIN)/pip-audit --strict --requirement requirements/run.txt --no-deps --disable-pip
	$(BIN)/pip-audit --strict --requirement requirements/dev.txt --no-deps --disable-pip
	$(BIN)/pip-audit --strict --requirement requirements/release.txt --no-deps --disable-pip
	cd tests/clients && npm audit
	cd tests/release && npm audit
	$(BIN)/zizmor --offline .github

# The fast tests on the oldest versions that pyproject.toml allows, then on the newest.
lowest newest: $(VENV)/.release
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)-$@
	$(BIN)/uv pip compile --quiet --no-header --python-version 3.11 --resolution $(if $(filter lowest,$@),lowest-direct,highest) --extra hosted pyproject.toml -o $(VENV)-$@/versions.txt
	$(BIN)/uv pip install --quiet --python $(VENV)-$@/bin/python --constraint $(VENV)-$@/versions.txt --group dev --requirement $(VENV)-$@/versions.txt
	$(VENV)-$@/bin/python -m pytest -m "not slow" $(PYTEST)

# Six hosts from npm, 2 GB, driven with a stand-in for their model: docs/clients.md. HOSTS="codex qwen" for some.
hosts: $(VENV)/.dev
	@mkdir -p $(VENV)-hosts && cp tests/hosts/package.json $(VENV)-hosts/
	@cd $(VENV)-hosts && npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock
	@cd $(VENV)-hosts && npm rebuild --silent @anthropic-ai/claude-code opencode-ai
	@HOSTS_BIN=$(VENV)-hosts/node_modules/.bin PYTHONPATH=tests $(BIN)/python -m hosts.drive $(HOSTS)

# Fifteen agent frameworks, each in an environment of its own, driven with its own stand-in for a model:
# docs/frameworks.md. FRAMEWORKS="agno mastra" for some.
frameworks: $(VENV)/.dev
	@FRAMEWORKS_IN=$(VENV)-frameworks PYTHONPATH=tests $(BIN)/python -m frameworks.drive $(FRAMEWORKS)

bench: $(VENV)/.dev
	$(BIN)/python bench/compare.py $(BENCH)

# Needs redis-server and nginx (Debian: redis-server, nginx-light); installs FastMCP into an environment of its own.
.PHONY: bench-hosted
bench-hosted: $(VENV)/.dev
	PYTHONPATH=server:tools:tests $(BIN)/python -P bench/hosted.py $(BENCH)

# What agents make of the tools: docs/evals.md. The two scripted ones, or EVALS='--agent "claude -p {prompt} ..."'.
evals: $(VENV)/.dev
	@$(BIN)/python -m evals $(EVALS)

# Lines changed one at a time: do the tests notice? docs/mutations.md.
$(VENV)/.mutants: $(VENV)/.dev requirements/mutants.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements/mutants.txt
	@touch $@

mutants: $(VENV)/.mutants
	nice -n 10 $(BIN)/python bench/mutants.py $(MUTANTS)

clean:
	rm -rf $(VENV) $(VENV)-frameworks $(VENV)-lowest $(VENV)-newest build dist results
