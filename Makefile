# `make` lists the targets. Everything runs in .venv, which `make setup` makes.
PYTHON ?= python3
# A Python that is named replaces the one of .venv, if that is of another version. The usual one does not.
NAMED := $(if $(filter file,$(origin PYTHON)),,--this-python)
VENV := .venv
BIN := $(VENV)/bin

# Tests at the same time. Many wait for a server to start or to stop, so two cores do three.
WORKERS ?= 3

# For `make image`. BASE_IMAGE replaces the Containerfile's base; IMAGE_FLAGS go to the engine's build as they are.
# The format is docker's with podman too: podman's own drops the health check. The version is a flag, not a build
# argument: podman takes a label from its cache although the argument in it has changed.
ENGINE ?= $(shell command -v podman || command -v docker)
CONTAINERFILE ?= labserver/deploy/Containerfile
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' labserver/__init__.py)
IMAGE ?= localhost/labserver:$(VERSION)

# Packages of other programs, such as ROS's, do not belong into the course's.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help lab setup build serve test quick check notebooks exercises arc bench detect faults site slides timetable memory image lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: setup  ## set up, build, start the service and JupyterLab (Ctrl-C stops both)
	@$(BIN)/lab start

setup:  ## make .venv with everything the course needs; repairs it too, and takes no time if it is whole
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null || { echo "error: $(PYTHON) is no\
	 command here that runs Python 3: install Python 3.11 to 3.14, or name yours, such as \`make lab PYTHON=python3.12\`." >&2; exit 1; }
	@$(PYTHON) -E -s -m exercises.lab.set_up $(NAMED)

build: setup  ## sources -> features -> model -> bundle, if the bundle is missing or older than the code
	@$(BIN)/labserver build --if-needed

serve: build  ## the finished service, on http://127.0.0.1:8000 if that port is free
	@$(BIN)/labserver serve

test: setup build check  ## lint, types, and every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# Without plugins that only slow tests use: every worker would import them.
quick: check  ## lint, types, and the tests that are not slow (about a minute)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" -p no:schemathesis -p no:nbval -p no:locust

notebooks: setup build  ## run every notebook in place; a second run changes only what is measured
	@$(BIN)/python tests/tools/execute.py

# Each conftest.py alone: to mypy they are modules of one name.
check: setup  ## ruff, mypy, and the contracts between the folders
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for file in notebooks/conftest.py $$(find tests -mindepth 2 -name conftest.py); do $(BIN)/mypy $$file || exit 1; done
	$(BIN)/lint-imports --no-cache

exercises: setup  ## make exercises/ anew from solutions/
	@$(BIN)/python -m exercises.lab.generate

image: build  ## the finished service as a container image (needs podman or docker)
	@test -n "$(ENGINE)" || { echo "There is no container engine here: install podman or docker."; exit 1; }
	BUILDAH_FORMAT=docker $(ENGINE) build --file $(CONTAINERFILE) --tag $(IMAGE) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
	    --label org.opencontainers.image.version=$(VERSION) \
	    --label org.opencontainers.image.revision=$$(git describe --always --abbrev=40 --dirty 2>/dev/null || echo unknown) \
	    --build-context bundle=$$(realpath $${LABSERVER_HOME:-var}/bundle) $(IMAGE_FLAGS) .
	@echo "Run it: $(notdir $(ENGINE)) run --rm --read-only --publish 127.0.0.1:8000:8000 $(IMAGE)"

site: setup build  ## the course as static pages, slides included, in var/site; they need no internet
	@PYTHONPATH=tests/tools $(BIN)/python -m publishing.site

slides: setup  ## each lesson as one HTML file with reveal.js inside, in var/site/slides
	@PYTHONPATH=tests/tools $(BIN)/python -m publishing.slides

faults: setup build  ## break everything that can break, and print what was lost (a few minutes; needs wrk)
	FAULTS=full $(BIN)/python -m pytest -p no:cacheprovider -q tests/faults

arc: setup build  ## measure all ten stages: writes notebooks/arc.png and the table in the README (needs wrk)
	@$(BIN)/labserver arc

bench: setup build  ## stages against the floor: writes var/bench.json and var/bench.md (needs wrk)
	@$(BIN)/labserver bench

detect: build  ## put faults into the inputs of 2013: writes var/detect.md, .json and .png (some minutes)
	@$(BIN)/labserver detect

lock: setup  ## make requirements.txt, the serving lock and environment.yml anew from pyproject.toml
	$(BIN)/python tests/tools/lock.py --write

timetable: setup  ## the tables of times in notebooks/INSTRUCTORS.md, from the minutes of notebooks and exercises
	@PYTHONPATH=tests/tools $(BIN)/python -m publishing.timetable --write

memory: build  ## what a learner needs in memory, lesson by lesson (Linux, 10 to 30 minutes); prints a table
	@PYTHONPATH=tests/tools:notebooks $(BIN)/python -m publishing.memory

clean:  ## remove the environment and everything built
	rm -rf $(VENV) var artefacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
