# The two commands a person needs: `make demo` and `make test`. Everything else serves them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PORT ?= 8700

.DEFAULT_GOAL := help
.PHONY: help install demo demo-check drills test test-fast test-cluster test-deps lint format lock bench-investigation bench-start bench-retrieval bench-rank bench-culprits bench-intake chaos crash-matrix abuse

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

install: .venv/.installed ## create .venv with the locked dependencies

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: .venv/.installed ## the whole product on practice parts: prints one address to open
	@$(BIN)/tocsin demo --port $(PORT)

demo-check: .venv/.installed test-deps ## the demo without a person: a headless browser presses the buttons
	@$(BIN)/python -m bench.demo_check

test: .venv/.installed test-deps ## everything: lint, types, contracts, unit, property, integration, browser, a real API server
	@$(BIN)/python -m tests.cluster.build --background
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -q --ignore=tests/cluster
	@env -u KUBECONFIG $(BIN)/python -m tests.cluster --if-possible

test-fast: .venv/.installed lint ## what every commit passes: lint, and the tests that need no other server than Postgres
	$(BIN)/python -m pytest -q -m "not slow"

test-cluster: .venv/.installed test-deps ## every change, and the practice cluster compared, on a real API server; on $$KUBECONFIG's when set
	@$(BIN)/python -m tests.cluster

test-deps: ## Debian packages that the tests need, where they are missing
	@sh .ci/packages

lint: .venv/.installed ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed ## let ruff format and mend what it can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: ## write requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate --no-header --upgrade -q -o requirements.lock

drills: .venv/.installed ## every drill without a model: diagnosed right? change right? recovered? DRILLS="disk_full ..." for some
	@$(BIN)/python -m bench.drills $(DRILLS)

bench-investigation: .venv/.installed ## CPU, memory and tokens of one investigation beside a bare FunctionAgent
	@$(BIN)/python -m bench.investigation

bench-start: .venv/.installed ## time to --help and to ready
	@$(BIN)/python -m bench.start

bench-retrieval: .venv/.installed ## search quality over alerts and runbooks: DATA=folder with corpus.jsonl
	@$(BIN)/python -m bench.retrieval $(DATA)

bench-rank: .venv/.installed ## CPU and memory of ranking one large incident, and how they grow
	@$(BIN)/python -m bench.rank

bench-culprits: .venv/.installed ## every drill without a model: is the culprit first, and how sure; DATA=folder adds recorded incidents
	@$(BIN)/python -m bench.culprits $(if $(DATA),--data $(DATA))

bench-intake: .venv/.installed ## durable acknowledgements beside an empty Bolt listener, and a storm of 10,000 alerts
	@$(BIN)/python -m bench.intake

KILLS ?= 100
chaos: .venv/.installed test-deps ## kill two replicas, Postgres and Redis under load, KILLS=100 times, and compare
	@$(BIN)/python -u -m bench.chaos --kills $(KILLS)

crash-matrix: .venv/.installed ## SIGKILL at every await point of a change's run, against five kinds of API server
	@$(BIN)/python -u -m bench.crash_matrix

abuse: .venv/.installed ## forged, replayed and altered requests, guests, bots and strangers against two running bots
	@$(BIN)/python -u -m bench.abuse
