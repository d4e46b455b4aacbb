# `make` lists the targets. Everything runs in .venv, which `make setup` makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
UV := $(BIN)/uv

# Tests at the same time. Many wait for a server to start or to stop, so two cores do three.
WORKERS ?= 3

# For `make image`. BASE_IMAGE replaces the Containerfile's base; IMAGE_FLAGS go to the engine's build as they are.
# The format is docker's with podman too: podman's own drops the health check. The version is a flag, not a build
# argument: podman takes a label from its cache although the argument in it has changed.
ENGINE ?= $(shell command -v podman || command -v docker)
CONTAINERFILE ?= labserver/deploy/Containerfile
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' labserver/__init__.py)
IMAGE ?= localhost/labserver:$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help lab setup build serve test check notebooks exercises arc bench faults site slides timetable memory image lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: setup  ## set up, build, start the service and JupyterLab (Ctrl-C stops both)
	@$(BIN)/lab start

setup: $(STAMP)  ## make .venv with everything the course needs

# Byte-compiled at install: where PYTHONDONTWRITEBYTECODE is set, scikit-learn otherwise takes seconds to import in every process.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make lab PYTHON=python3.12")'
	@echo "1/3 A Python environment in $(VENV): some 15 s."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "2/3 The packages, downloaded once and byte-compiled: one minute, more on a slow line or machine."
	@bash -o pipefail -c '$(UV) pip install --python $(BIN)/python --require-hashes --compile-bytecode \
	    --requirement requirements.txt 2>&1 | grep -v "^ [+-] "'
	@echo "3/3 The course itself: some seconds."
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

build: setup  ## sources -> features -> model -> bundle, if the bundle is missing or older than the code
	@$(BIN)/labserver build --if-needed

serve: build  ## the finished service on http://127.0.0.1:8000
	@$(BIN)/labserver serve

test: setup build check  ## lint, types, and every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

notebooks: setup build  ## run every notebook in place; a second run changes only what is measured
	@$(BIN)/python tests/notebooks/execute.py

check: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy notebooks/kit.py notebooks/publishing

exercises: setup  ## make exercises/ anew from solutions/
	@$(BIN)/python -m exercises.generate

image: build  ## the finished service as a container image (needs podman or docker)
	@test -n "$(ENGINE)" || { echo "There is no container engine here: install podman or docker."; exit 1; }
	BUILDAH_FORMAT=docker $(ENGINE) build --file $(CONTAINERFILE) --tag $(IMAGE) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
	    --label org.opencontainers.image.version=$(VERSION) \
	    --label org.opencontainers.image.revision=$$(git describe --always --abbrev=40 --dirty 2>/dev/null || echo unknown) \
	    --build-context bundle=$$(realpath $${LABSERVER_HOME:-var}/bundle) $(IMAGE_FLAGS) .

site: setup build  ## the course as static pages, slides included, in var/site; they need no internet
	@PYTHONPATH=notebooks $(BIN)/python -m publishing.site

slides: setup  ## each lesson as one HTML file with reveal.js inside, in var/site/slides
	@PYTHONPATH=notebooks $(BIN)/python -m publishing.slides

faults: setup build  ## break everything that can break, and print what was lost (a few minutes; needs wrk)
	FAULTS=full $(BIN)/python -m pytest -p no:cacheprovider -q tests/faults

arc: setup build  ## measure all ten stages: writes notebooks/arc.png and the table in the README (needs wrk)
	@$(BIN)/labserver arc

bench: setup build  ## stages against the floor: writes var/bench.json and var/bench.md (needs wrk)
	@$(BIN)/labserver bench

lock: setup  ## make requirements.txt, the serving lock and environment.yml anew from pyproject.toml
	$(BIN)/python tests/generated.py --write

timetable: setup  ## the tables of times in notebooks/INSTRUCTORS.md, from the minutes of notebooks and exercises
	@cd notebooks && ../$(BIN)/python -m publishing.timetable --write

memory: build  ## what a learner needs in memory, lesson by lesson (Linux, 10 to 30 minutes); prints a table
	@cd notebooks && ../$(BIN)/python -m publishing.memory

clean:  ## remove the environment and everything built
	rm -rf $(VENV) var artefacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
