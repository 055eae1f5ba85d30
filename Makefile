# Two commands: `make run` builds everything from raw ticks to the weekly report, `make test` proves it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PORT   ?= 3000
WORKERS ?= -n auto --maxprocesses 4 --dist loadfile

.PHONY: run ui real cluster-demo test test-all lint docs site golden mutants sbom hooks install clean help

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: $(VENV)/.installed ## make the environment and install the locked dependencies

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "== environment: $(VENV) ($$($(PYTHON) --version))"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@echo "== installing $$(grep -c == requirements.lock) locked packages (torch alone is 200 MB and more)"
	@$(BIN)/pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' requirements.lock)
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

run: install ## build the whole graph on the simulated exchange: ticks, factors, models, weights, report
	@$(BIN)/mg run

real: install ## the same on a folder of real market data: make real DATA=folder
	@test -n "$(DATA)" || { echo "usage: make real DATA=folder"; exit 2; }
	@$(BIN)/mg real $(DATA)

ui: install ## start Dagster on the same lake; after MG_SETTINGS=file make run: MG_SETTINGS=file make ui
	@exec $(BIN)/mg ui --port $(PORT)

cluster-demo: install ## several machines on this one: PostgreSQL, S3, two Ray nodes; a backfill, compared with a local lake
	@$(BIN)/python -c 'import dagster_postgres, dagster_ray, s3fs' 2>/dev/null || { \
	  echo "== installing the packages of several machines, at the locked versions"; \
	  grep -v '^torch' requirements.lock > $(VENV)/constraints.txt; \
	  $(BIN)/pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt -e '.[scale]'; }
	@$(BIN)/python deploy/cluster/cluster_demo.py

test: install ## all tests of the default suite
	@$(BIN)/pytest -m "not slow" $(WORKERS)

test-all: install ## the slow ones too
	@$(BIN)/pytest $(WORKERS)

lint: install ## style, spelling, types, import contracts, dead code, links of the documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/typos
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/vulture
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

docs: install ## write the generated pages from the code: docs/factors.md, the table of docs/models.md, docs/reports, the graph
	@$(BIN)/mg factors --docs
	@$(BIN)/mg graph --docs
	@$(BIN)/python -m mg_models.catalog.table docs/models.md
	@$(BIN)/python -m mg_models.catalog.provenance docs/catalog
	@$(BIN)/python -m mg_portfolio.catalog docs/catalog/portfolios.md
	@$(BIN)/python -m mg_portfolio.report.items docs/reports
	@$(BIN)/python -m mg_assets.cli.report_details docs/reports

site: install ## build the documentation site, without a network: site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict && echo "wrote site/index.html"

golden: install ## take the content of the small market's tables for the expected one: tests/golden/content.json
	@$(BIN)/pytest tests/mg_assets/assets/test_graph.py -k recipe_alone --write-golden
	@git diff --stat tests/golden

SBOM_TOOL := cyclonedx-bom==7.5.0

mutants: install ## change the core in 120 places and list the changes that no test notices (long): make mutants MUTANTS="--count 400 --seed 2"
	@nice $(BIN)/python tests/campaigns/mutants.py $(MUTANTS)

sbom: install ## list what is installed, with versions and licences: dist/sbom.cdx.json (CycloneDX), by a tool in an environment of its own
	@test -x build/sbom/bin/cyclonedx-py || { $(PYTHON) -m venv build/sbom && build/sbom/bin/pip install --quiet --disable-pip-version-check $(SBOM_TOOL); }
	@mkdir -p dist
	@build/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o dist/sbom.cdx.json $(BIN)/python
	@echo "wrote dist/sbom.cdx.json"

hooks: install ## run the lint step's quick part before each commit
	@$(BIN)/pre-commit install

clean: ## remove the demo lake
	rm -rf lake/demo
