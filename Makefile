# Everything a person types. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
ROUNDS ?= 20
CASES ?= 5000
MODEL ?= scripted
VENV := .venv/bin
CODE := $(wildcard orchestrator avalua_client triton_common triton_cpu/*.py local_stack demo_model chaos benchmarks loadtest testkit \
	examples tests) bootstrap.py
# Each holds a model.py that Triton imports by itself, with what lies beside it.
BESIDE_TRITON := $(wildcard model_repository/*process/1 triton_cpu/backends/vllm testkit/scripted/gemma2/1)

.PHONY: help setup tools run test test-fast test-slow fuzz image-check chaos load bench bench-service bench-growth \
	bench-scale demo-model demo-eval \
	lint format clean lock

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything from the locks (a second run takes seconds)
	@$(PYTHON) bootstrap.py

tools: ## Have Prometheus and TypeScript at hand for their tests
	@$(PYTHON) tests/tools.py

run: setup ## Start Triton and the orchestrator; TRITONS=2 for two Tritons; Ctrl-C ends all
	@$(VENV)/python -m local_stack

test: setup tools ## Run the tests, on the real server
	@$(VENV)/python -m pytest -n 2 --dist loadgroup -m "not chaos" tests

test-fast: setup tools ## Run the tests that need no language model
	@$(VENV)/python -m pytest -n 2 --dist loadgroup -m "not vllm and not chaos" tests

test-slow: setup ## Run the tests that kill and measure the whole service (minutes)
	@$(VENV)/python -m pytest -m chaos tests

fuzz: setup ## Send requests made from /openapi.json, right and wrong ones; CASES=500 for a short trial
	@$(PYTHON) bootstrap.py .venv-fuzz
	@$(VENV)/python -m tests.fuzz --cases $(CASES)

image-check: setup ## Build the images' own steps on a Debian base, and start the service from there (root; minutes)
	@$(VENV)/python -m tests.docker.image_check

chaos: setup ## Kill everything at random moments; ROUNDS=200 for long, CLUSTER=1 for several orchestrators
	@$(VENV)/python -m chaos --rounds $(ROUNDS) $(if $(CLUSTER),--cluster)

load: setup ## Load a stack of its own, and judge; SCENARIO=overload, MODEL=demo, URL=http://... for a running one
	@$(VENV)/python -m loadtest --model $(MODEL) $(if $(URL),--url $(URL)) $(if $(SCENARIO),--scenario $(SCENARIO))

bench: setup ## Measure the service beside its alternatives: BENCH="--items 60 --rounds 1" for a quick trial
	@$(VENV)/python -m benchmarks.sidebyside $(BENCH)

bench-service: setup ## Measure latency, memory and fairness of the whole path, without a language model
	@$(VENV)/python -m benchmarks.speed
	@$(VENV)/python -m benchmarks.fairness
	@$(VENV)/python -m benchmarks.uploads

bench-growth: setup ## Measure how cost grows with items, with jobs at once and with long answers
	@$(VENV)/python -m benchmarks.growth

bench-scale: setup ## Measure several orchestrators on one PostgreSQL, and two Tritons, without a language model
	@$(VENV)/python -m benchmarks.scale

demo-model: setup ## Train the demo model again (40 minutes on one core)
	@.venv-server/bin/python -m demo_model.train

demo-eval: setup ## Mark 1000 held-out texts through the whole service, and compare with their labels
	@$(VENV)/python -m demo_model.evaluate

lint: setup ## Check style and types
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy $(CODE)
	@for folder in $(BESIDE_TRITON); do \
	  (cd $$folder && "$(CURDIR)/$(VENV)/mypy" --config-file "$(CURDIR)/pyproject.toml" --explicit-package-bases .) \
	    || exit 1; \
	done

format: setup ## Put the code in shape
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

clean: ## Remove the environments and everything that ran
	rm -rf .venv .venv-server .venv-fuzz .tools .run .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f demo_model/checkpoint/unfinished.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: ## Renew the locks (a maintainer's task)
	@PATH="$(CURDIR)/$(VENV):$$PATH" requirements/lock.sh
