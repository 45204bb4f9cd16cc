# Every habit is a verb. `make help` lists them.
# CLUSTER=local (default): our own cluster, from nothing. CLUSTER=current: the cluster of the current kube-context.
CLUSTER ?= local
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
BIN := $(VENV)/bin
LOCAL := python3 -m tests.cluster
# What failed is told whole, and last of all: of a long log often only the tail is kept.
PYTEST := CI=1 $(BIN)/pytest -q
ALONE := not cluster and not apiserver and not backends and not generators and not programs and not trust
STORIES := tests/unit/crash tests/unit/fail_closed tests/unit/hours tests/contract
# CI's own variables must not change what a test sees.
export PYTHONDONTWRITEBYTECODE := 1
export PYTHONPATH := $(CURDIR)/operator

help: ## what there is
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

demo: $(if $(filter local,$(CLUSTER)),cluster images) ## the main job before your eyes: rank, migrate, roll back
	@python3 -m tests.demo --cluster $(CLUSTER)

test: check stories backends programs apiserver trust generators e2e ## everything that CI checks

check: format-check lint types layers unit golden generated ## the fast tiers only, within a minute once set up

setup: $(VENV)/.installed ## the Python environment of the tests

$(VENV)/.installed: requirements-dev.txt
	@echo "Setting up $(VENV) (about a minute) …"
	@python3 -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@touch $@

cluster: ## bring the local cluster up (cold about 5 minutes, running: seconds)
	@$(LOCAL) up

cluster-down: ## end the local cluster; leaves nothing but its cache
	@$(LOCAL) down

kubeconfig: ## path of the local cluster's kubeconfig
	@$(LOCAL) kubeconfig

images: ## build all images and hand them to the local cluster's nodes
	@$(LOCAL) images

format: $(VENV)/.installed ## rewrite the sources in our format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

format-check: $(VENV)/.installed
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }

lint: $(VENV)/.installed ## ruff
	@$(BIN)/ruff check --quiet .

types: $(VENV)/.installed ## mypy, strict
	@$(BIN)/mypy

layers: $(VENV)/.installed ## import contracts
	@$(BIN)/lint-imports --no-cache

unit: $(VENV)/.installed ## unit and architecture tests
	@$(PYTEST) -n 2 -m "$(ALONE)" tests --ignore tests/golden $(STORIES:%=--ignore %)

stories: $(VENV)/.installed ## crash replay, the fail-closed matrix, what takes hours, contracts on fakes (2 minutes)
	@$(PYTEST) -n 3 -m "$(ALONE)" $(STORIES)

golden: $(VENV)/.installed ## manifests against their golden files
	@$(PYTEST) -m "not cluster and not apiserver and not backends" tests/golden

generated: $(VENV)/.installed ## CRDs and reference pages are fresh
	@$(PY) -m changeover.api.crds --check .
	@$(PY) -m tests.docs --check

crds: $(VENV)/.installed ## generate CRDs into crds/ and the chart
	@$(PY) -m changeover.api.crds .

reference: $(VENV)/.installed ## write the reference pages from the code
	@$(PY) -m tests.docs

backends: $(VENV)/.installed ## the example backends, built and started here, speak HTTP (the first time: minutes)
	@$(PYTEST) -m backends tests/contract/backends

generators: $(VENV)/.installed images ## the load generators against servers with a known answer
	@{ command -v wrk && command -v h2load; } >/dev/null || apt-get install -qq --yes --no-install-recommends wrk nghttp2-client >/dev/null
	@$(PYTEST) -m generators tests/contract/loader

programs: $(VENV)/.installed cluster ## read by others as we mean it: kstatus (Go), promtool, reports in Chromium (a minute)
	@command -v chromium >/dev/null || apt-get install -qq --yes --no-install-recommends chromium >/dev/null
	@$(PYTEST) -m programs tests/contract

apiserver: $(VENV)/.installed cluster ## tests on a real etcd and kube-apiserver
	@$(PYTEST) -n 2 -m "apiserver and not trust" tests

trust: $(VENV)/.installed cluster ## a sample of each goal (5 minutes); each whole by a command of its own: docs/trust.md
	@$(PYTEST) -rPEf -n 3 --dist loadfile -m trust tests/trust

trust-crash trust-pairs trust-sweeps trust-faults trust-views: trust-%: $(VENV)/.installed cluster ## killed, killed twice, every fault, old views: docs/trust.md
	@$(PY) -m tests.trust.live $* $(WHAT)

trust-lead trust-rest trust-rights trust-soak: trust-%: $(VENV)/.installed cluster ## two operators, at rest, rights, two hours of faults
	@$(PY) -m tests.trust.live.$* $(WHAT)

trust-search trust-mutants trust-coverage trust-prometheus trust-injection trust-promql trust-hostile trust-supply: trust-%: $(VENV)/.installed ## the decision, and the rest of the world
	@$(PY) -m tests.trust.$* $(WHAT)

trust-misoperations: trust-%: $(VENV)/.installed cluster ## specs changed by mistake, and back
	@$(PY) -m tests.trust.$* $(WHAT)

trust-hostile-live: $(VENV)/.installed cluster ## nonsense of others beside a live operator and its neighbour
	@$(PY) -m tests.trust.live.hostile $(WHAT)

trust-escalation: $(VENV)/.installed cluster ## a tenant with our verbs alone
	@$(PYTEST) -rP -m trust tests/trust/test_escalation.py

e2e: $(VENV)/.installed cluster images ## the main job on the local cluster, asserted
	@$(PYTEST) -rPEf --durations=15 --durations-min=20 -m cluster tests/e2e

site: $(VENV)/.installed ## the documentation as a site, in build/site; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.installed ## tables of the decision rule, simulated
	@$(PY) -m tests.bench.decision

measure: $(VENV)/.installed cluster images ## figures on the local cluster: make measure WHAT="twins --times 20"
	@$(PY) -m tests.bench.measured $(WHAT)

lock: ## pin the dependencies anew
	@$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	    --allow-unsafe --output-file requirements.txt pyproject.toml
	@$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	    --allow-unsafe --extra dev --output-file requirements-dev.txt pyproject.toml

.PHONY: help demo test check stories setup cluster cluster-down kubeconfig images format format-check lint types layers unit \
	golden generated crds reference backends programs apiserver trust e2e generators site bench measure lock
