# make demo: data, training of both systems, images, scores, result/demo/index.html
# make serve: the web page, with a shipped model, or with what the demo trained
# make test: linters and tests (CPU only); make test-long: those that take 15 seconds or more
# make planted: proves that the tests notice wrong changes (tests/planted)
# make test-browser: the web page, its server and a real Chromium (installs it with apt-get where it is missing)
# make clean: deletes what make demo made, and nothing else
# Each target does its own set-up.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: test test-long planted test-browser lint demo serve clean

$(BIN)/.stamp-%: %.txt requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-warn-conflicts --requirement $<
	touch $@

lint: $(BIN)/.stamp-requirements-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --durations=12

test-long: $(BIN)/.stamp-requirements-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m long

planted: $(BIN)/.stamp-requirements-dev
	$(BIN)/python -m tests.planted

test-browser: $(BIN)/.stamp-requirements-browser
	PYTHON=$(BIN)/python scripts/install_chromium.sh
	STEPPOSE_BROWSER=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser tests/studio/test_server.py

serve: $(BIN)/.stamp-requirements-page
	$(BIN)/python serve.py

demo: $(BIN)/.stamp-requirements
	$(BIN)/python -m scripts.demo

clean:
	rm -rf result/demo dataset/demo
