# Two commands on a bare machine with python3, python3-venv and make: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test conform check lint types layers fmt clean

demo: .venv/ready
	$(BIN)/syncline demo --output out

test: .venv/ready
	$(BIN)/pytest -n 2 --dist loadfile tests

# The suite waits more than it works: `make -j2 conform` does both wires at once.
conform: conform-wayland conform-zmq

conform-%: .venv/ready
	mkdir -p out
	$(BIN)/syncline conform --practice --wire $* --junit out/$@.xml

check: lint types layers

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/ready
	$(BIN)/mypy

layers: .venv/ready
	$(BIN)/lint-imports

fmt: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv out dist build *.egg-info src/*.egg-info
