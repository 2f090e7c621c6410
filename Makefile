# `make` lists the targets. Nothing is installed outside .venv, and a step runs again only when its inputs change.

# The first Python there is that all packages are pinned for.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
PYTHON ?= $(or $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c '$(FITS)' 2>/dev/null && echo $$each && break; done),python3)
# Where `make demo` keeps its data, which it throws away if this is empty.
DATA_DIR ?=
NAME ?=
# Which schedules of faults `make soak` runs.
SCHEDULES ?= 20
SEED ?= 1
# How much `make fuzz` tries.
INPUTS ?= 100000
CALLS ?= 10000

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.winnow
LOGS := build/logs
# the modules of benchmarks/ that are commands; the others are parts of them
BENCHES = $(filter-out search_corpus search_libraries,$(patsubst benchmarks/%.py,%,$(shell grep -l __main__ benchmarks/*.py)))
VALIDATE := third_party/buf/validate/validate.proto

# buf starts its plugins by name; the commands of this checkout come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)

PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --require-hashes --no-build-isolation
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe \
	--no-build-isolation --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras
PROCESSORS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
SCORING := $(addprefix services/ingest/,$(addsuffix .py,compiled vocabulary chunks wording features scoring everyday lexicon programs weights))
LLAMA_CPP := -DLLAVA_BUILD=OFF -DLLAMA_ALL_WARNINGS=OFF -DCMAKE_PROJECT_llama.cpp_INCLUDE="$(CURDIR)/requirements/llama_cpp.cmake"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev models demo validate test lint generate release-protos lock attack bench docs check-deploy check-docs check-examples render scale-check image-check fuzz isolation soak failpoints mutants power-cuts overload recovery clean

help: ## list the targets
	@echo "make TARGET, one of:"
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf '  %-15s %s\n' "$$name" "$$what"; done
	@echo "Variables: PYTHON=$(PYTHON), DATA_DIR=folder (make demo, make validate), DATA=folder or file (make bench), NAME=module (make bench), CMAKE_ARGS=options (llama.cpp)"

# --- installing

setup: $(STAMPS)/winnow $(STAMPS)/scoring ## make .venv with everything that Winnow needs to run

setup-dev: $(STAMPS)/dev $(STAMPS)/winnow $(VALIDATE) ## add what the tests need

# venv writes pip last, so an interrupted one is made again
$(BIN)/pip:
	@$(PYTHON) -c '$(FITS)' 2>/dev/null || { \
		echo "Winnow needs Python 3.11 to 3.14, and '$(PYTHON)' is none of these: make PYTHON=/path/to/python3.13 ..." >&2; exit 1; }
	@echo "==> making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(STAMPS)/build: requirements/build.txt | $(BIN)/pip
	@echo "==> installing build tools"
	@$(INSTALL) -r requirements/build.txt
	@mkdir -p $(STAMPS) && touch $@

# other options make another library, which pip would not see
$(STAMPS)/llama: $(wildcard requirements/llama_*) requirements/amx_works.cpp $(STAMPS)/build
	@$(PIP) uninstall --quiet --quiet --yes llama-cpp-python
	@touch $@

$(STAMPS)/runtime: requirements/runtime.txt $(STAMPS)/llama
	@command -v "$${CXX:-c++}" >/dev/null || { echo "llama.cpp is built from source: please install a C++ compiler" \
		"(Debian, Ubuntu: build-essential; Fedora: gcc-c++; macOS: xcode-select --install)" >&2; exit 1; }
	@echo "==> installing what Winnow runs on; the first time this compiles llama.cpp, which takes some minutes"
	@# without pip's cache, which may hold a llama.cpp that was built for another processor or with other options
	@CMAKE_ARGS='$(LLAMA_CPP)'" $$CMAKE_ARGS" CMAKE_BUILD_PARALLEL_LEVEL="$${CMAKE_BUILD_PARALLEL_LEVEL:-$(PROCESSORS)}" \
		$(BIN)/python tools/heartbeat.py "installing" $(LOGS)/runtime.log \
		$(PIP) install --verbose --no-cache-dir --require-hashes --no-build-isolation -r requirements/runtime.txt
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/runtime | $(STAMPS)/winnow
	@echo "==> installing test tools"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@

$(STAMPS)/winnow: pyproject.toml requirements/runtime.in $(STAMPS)/runtime
	@echo "==> installing Winnow itself"
	@PYTHONWARNINGS="ignore:Editable installation" $(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/scoring: $(SCORING) tools/compile_scoring.py requirements/build.txt | $(STAMPS)/winnow
	@echo "==> compiling how messages are scored"
	@$(BIN)/python tools/heartbeat.py "compiling" $(LOGS)/scoring.log $(BIN)/python -m tools.compile_scoring || \
		echo "    Scoring stays plain Python: all works, at half as much processor time again. Are Python's headers there (python3-dev)?"
	@touch $@

# --- using

models: setup ## fetch, check and convert the default models
	@$(BIN)/winnow models fetch

demo: setup ## start everything, import a chat and ask it three questions
	@$(BIN)/winnow demo $(if $(DATA_DIR),--keep --data-dir "$(DATA_DIR)")

validate: setup ## judge a running deployment: integration, speed, search, reconciliation
	@$(BIN)/winnow validate $(if $(DATA_DIR),--data-dir "$(DATA_DIR)")

bench: setup ## run one of benchmarks/: make bench NAME=...
	@test -n "$(filter $(NAME),$(BENCHES))" || { echo "say which one: make bench NAME=... with a name of: $(BENCHES)" >&2; exit 2; }
	@$(if $(filter search embedding,$(NAME)),-$(MAKE) --no-print-directory build/bench-$(NAME)/installed)
	@$(if $(filter embedding,$(NAME)),-$(MAKE) --no-print-directory build/bench-embedding/with-torch)
	@$(BIN)/python -m benchmarks.$(NAME) $(if $(DATA),--data "$(DATA)")

# what it compares with stays out of $(VENV); without it the rest is still measured
build/bench-search/installed: requirements/bench-search.txt
	@echo "==> installing the libraries to compare with in build/bench-search"
	@$(PYTHON) -m venv build/bench-search
	@build/bench-search/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r $<
	@touch $@

build/bench-embedding/installed: requirements/bench-embedding.txt
	@echo "==> installing what to compare with in build/bench-embedding"
	@$(PIP) install --quiet --require-hashes --no-deps --target build/bench-embedding -r $<
	@touch $@

# torch for processors alone: not every index has it, and the other brings gigabytes of CUDA
build/bench-embedding/with-torch: requirements/bench-torch.txt build/bench-embedding/installed
	@echo "==> installing sentence-transformers there"
	@$(PIP) install --quiet --require-hashes --no-deps --upgrade --target build/bench-embedding -r $<
	@touch $@

# --- developing

test: lint models ## lint, then every test, three files at a time
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: setup-dev ## style, types, import directions, protos
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/buf lint

$(VALIDATE): tools/validate_proto.py $(STAMPS)/dev
	@$(BIN)/python tools/validate_proto.py
	@touch $@

generate: setup-dev ## rebuild gen/ from protos/
	@$(BIN)/buf format -w protos
	@$(BIN)/buf generate

release-protos: setup-dev ## take today's protos as the contract that later ones may not break
	@$(BIN)/buf build protos --exclude-source-info -o protos/released.binpb

# --- deploying

# The schemas have an environment of their own: what they bring would get in the way of the tests.
build/deploy/.installed: requirements/deploy.txt | $(BIN)/pip
	@echo "==> installing the schemas that manifests are checked with (about 110 MB)"
	@$(PYTHON) -m venv build/deploy
	@build/deploy/bin/pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all: -r requirements/deploy.txt
	@touch $@

render: setup-dev ## render deploy/overlays into deploy/rendered; needs kubectl or kustomize
	@$(BIN)/python -m tools.check_deploy --render

check-deploy: build/deploy/.installed ## check the manifests against two versions of Kubernetes and the operators' kinds
	@build/deploy/bin/python -m tools.check_deploy

check-docs: setup-dev models ## run what the pages show: every block that the tests run, then the demo and npm's example; needs npm
	@$(BIN)/python -m pytest -q tests/docs tests/deploy/test_guide.py tests/pipeline/test_operating.py tests/pipeline/test_restoring.py
	@$(BIN)/python -m tests.docs.check

check-examples: setup-dev models ## install what examples/client.mjs needs, and run the examples; needs npm
	@npm install --silent --no-save --prefix examples @grpc/grpc-js @grpc/proto-loader
	@$(BIN)/python -m pytest -q tests/pipeline/test_operating.py

scale-check: setup-dev models ## replicas, failover and a rolling restart on loopback: three NATS servers, PostgreSQL with a replica: SCALE_MESSAGES=400
	@$(BIN)/python -m tests.scale.check

image-check: setup ## build deploy/Dockerfile and run the demo against its containers; needs root, buildah, podman, runc, debootstrap
	@$(BIN)/python -m tools.image_check

docs: setup-dev ## write docs/settings.md, docs/metrics.md and docs/api.md anew
	@$(BIN)/python -m tools.settings_page
	@$(BIN)/python -m tools.metrics_page
	@$(BIN)/python -m tools.api_page

lock: setup-dev ## resolve requirements/*.in anew into hash-locked files; LOCK=--upgrade takes newer versions
	@cd requirements && for name in build runtime dev deploy bench-search bench-embedding bench-torch; do \
		echo "==> $$name" && $(subst $(BIN),../$(BIN),$(COMPILE)) $(LOCK) --output-file=$$name.txt $$name.in || exit 1; done

# --- proving that nothing is lost

fuzz: setup-dev ## damaged inputs to every parser, and requests with a fault to every RPC: INPUTS=100000 CALLS=10000 SEED=1
	@$(BIN)/python -m tests.fuzzing --inputs $(INPUTS) --seed $(SEED)
	@FUZZ_CALLS=$(CALLS) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -q -s tests/fuzzing

attack: setup-dev ## damaged requests to every RPC, by one workspace against another: ATTACKS=100000 SEED=1
	@ATTACK_CALLS=$(or $(ATTACKS),100000) ATTACK_SEED=$(SEED) $(BIN)/python -m pytest -q -s tests/hostile

isolation: setup-dev ## random searches by two workspaces at once, none of which may see the other: CALLS=10000 SEED=1
	@ISOLATION_CALLS=$(CALLS) ISOLATION_SEED=$(SEED) $(BIN)/python -m pytest -q tests/search/test_isolation.py

soak: setup-dev ## random faults against real processes: SCHEDULES=20 SEED=1; one again with SCHEDULES=1
	@$(BIN)/python -m tests.faults.soak --schedules $(SCHEDULES) --seed $(SEED) --out build/soak

recovery: setup-dev ## measure how soon work goes on after kills, restarts and partitions
	@$(BIN)/python -m tests.faults.recovery --out build/recovery.json

overload: setup-dev ## five times more than fits, for a minute: memory flat, typed refusals alone
	@$(BIN)/python -m tests.faults.overload --seconds 60 --out build/overload.json

failpoints: setup-dev ## crash every failpoint at each of its first three hits
	@$(BIN)/python -m tests.faults.exhaustive --hits 3 --out build/failpoints

mutants: setup-dev ## take one protection out at a time; the faults must find each
	@$(BIN)/python -m tests.faults.mutants --out build/mutants.json

power-cuts: setup-dev ## cut the power of PostgreSQL and NATS 100 times each; needs root, loop devices and mkfs.ext4
	@$(BIN)/python -m tests.faults.power_cuts --cuts 100 --fill --out build/power-cuts.json

clean: ## remove what was generated, but not .venv
	rm -rf build dist third_party/buf .grimp_cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
	find services tests tools gen benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
