# make demo: data, training of both systems, images, scores, result/demo/index.html (about 13 minutes on 2 CPU cores)
# make test: linters and tests (CPU only); each target does its own set-up

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# TensorBoard, torch and pip are told to stay quiet and offline
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: test lint demo clean

$(BIN)/.stamp-%: %.txt requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement $<
	touch $@

lint: $(BIN)/.stamp-requirements-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

demo: $(BIN)/.stamp-requirements
	$(BIN)/python -m scripts.demo

clean:
	rm -rf result/demo result/demo_nted result/demo_dptn dataset/synthetic
