# One target per task. `make demo` and `make test` are complete on a fresh machine with Python 3.11, 3.12 or 3.13.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# the first that runs and has a supported version: a name on the path may be a shim without an interpreter
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python; do $$p -c '$(FITS)' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
PYTEST_ALL := OMP_NUM_THREADS=1 $(PYTEST) -n 2 --dist loadfile
INNER_FLOORS := $(addprefix --cov=pipeline/camray/,domain core io stages)

.PHONY: install demo test check format lint types imports coverage test-slow test-browser test-server test-formats test-faults test-gpu ui gallery reference docs docs-serve lock clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' || \
		{ echo "camray needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -W ignore -m compileall -qq -j 0 $(BIN)/../lib || true  # on all cores; templates of packages are no Python
	@touch $@

demo: install  ## generated films, all stages, about five minutes on two cores
	$(BIN)/camray demo

test: install  ## everything that needs no browser, server or GPU
	$(PYTEST_ALL) $(INNER_FLOORS) --cov-report=term:skip-covered --cov-fail-under=95

coverage: install  ## the same tests with the coverage of all floors; a third longer
	CAMRAY_COVERAGE=all $(PYTEST_ALL) --cov --cov-report=term:skip-covered

check: install lint types imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install  ## in two processes; in one where these do not start in time, as on a busy machine (exit code 2)
	$(BIN)/mypy --num-workers 2 || { [ $$? = 2 ] && $(BIN)/mypy; }

imports: install
	$(BIN)/lint-imports

test-slow: install
	$(PYTEST) -m slow --timeout 3600

test-browser: install  ## needs chromium and chromedriver
	$(PYTEST) -m browser

test-server: .venv/.server .ohif/package/dist/index.html  ## needs Orthanc with its DICOMweb plugin; with chromium and npm the OHIF viewer too
	$(PYTEST) -m server

.venv/.server: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[s3]' 'moto[server,s3]==5.2.5'
	@touch $@

.ohif/package/dist/index.html:
	@command -v npm >/dev/null || echo "npm is missing: tests in the OHIF viewer are skipped"
	@! command -v npm >/dev/null || { mkdir -p .ohif && cd .ohif && npm pack --silent @ohif/app@3.13.2 && \
		tar -xzf ohif-app-3.13.2.tgz && rm ohif-app-3.13.2.tgz; }

test-formats: install .venv-formats/.installed  ## Label Studio's, Datumaro's and Kubernetes' own readers and schemas, in a separate environment
	$(PYTEST) -m formats

.venv-formats/.installed:
	$(BIN)/python -m venv .venv-formats
	.venv-formats/bin/python -m pip install --quiet --disable-pip-version-check datumaro==1.13.12 label-studio-sdk==2.1.2 kubernetes-validate==1.37.0
	@touch $@

test-faults: install  ## damaged films, kills, full disks and the like: 20 minutes on two cores; ends with a table
	OMP_NUM_THREADS=1 $(PYTEST) tests/faults -m faults -n 2 --dist worksteal

test-gpu: install
	$(PYTEST) -m gpu

gallery: install  ## docs/gallery.html: every explanation method on the same generated films
	$(BIN)/camray gallery

reference: install  ## the generated pages in docs/reference/
	$(BIN)/python docs/make_reference.py

docs: .venv/.docs  ## the pages in docs/ as a site in site/; a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

docs-serve: .venv/.docs  ## the same while it is edited, on loopback
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

.venv/.docs: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $@

ui: install  ## MLflow on the default store
	$(BIN)/camray track ui

lock: install  ## pin the installed versions
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf .venv .venv-formats site build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
