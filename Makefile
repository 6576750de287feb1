# Every command of the project. `make help` lists them.
# PYTHON creates the virtual environment (.venv); everything else runs in it.

PYTHON ?= python3
BIN := .venv/bin
TEMPLATES = $(shell find templates -name '*.html')
# What the second run, on PostgreSQL, leaves out unless EVERYTHING is set: tests that touch no database, and those of
# what is the same whatever the rows came from: what a page looks like in a browser, whom a view lets in, what becomes of
# words that attack, what gunicorn answers, what the demo says of a service that dies, what a worker does beside jobs, and
# what is made of files or numbers alone.
NO_DATABASE := contracts library scoring datasets trainer content benchmarks figures proof \
	demo test_architecture.py test_docs.py test_pitfalls.py
ANY_DATABASE := web/test_permissions.py web/test_hostile_rows.py web/test_gunicorn.py \
	$(addprefix worker/test_,playground.py options.py telemetry.py) \
	$(patsubst %,web/wiki/test_%.py,broken_articles calculators check_content feeds history hostile_library models shell) \
	$(patsubst %,web/common/test_%.py,downloads filters kept messages plots plots_axis plots_flow plots_scatter theme warm)
ON_POSTGRES = $(if $(EVERYTHING),,$(patsubst %,--ignore=tests/%,$(NO_DATABASE) $(ANY_DATABASE)) -m "not browser" \
	--deselect=tests/e2e/test_demo.py::test_site_that_dies_is_named_and_the_rest_is_stopped)

# A process more than there are cores, for many tests wait for a browser or a process; each has a database of its own.
# The tests of a file stay together, for they share a site or a model, and the longest files begin (tests/conftest.py).
IN_PARALLEL = --numprocesses $$(($$(nproc) < 8 ? $$(nproc) + 1 : 8)) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo install test pytest check lint types format bench proof screenshots clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## install, then run site and worker on this machine (PORT=8000)
	@$(PYTHON) -m playbook.demo

install: ## create .venv with everything needed to develop
	@$(PYTHON) -m playbook.demo.install site worker trainer dev

# mypy takes one core, for minutes where it has no cache, so the suite begins beside it.
test: ## install, check, and the whole suite on SQLite and again on PostgreSQL
	@$(MAKE) --no-print-directory --jobs=2 check pytest

check: lint types ## lint and types

lint: install ## lint, formats, import contracts, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/djade --check --target-version 5.2 $(TEMPLATES)
	$(BIN)/djlint --lint --quiet templates

types: install ## the types, with mypy
	$(BIN)/mypy playbook tests

pytest: install ## the suite alone, on SQLite and again on PostgreSQL
	$(BIN)/pytest $(IN_PARALLEL)
	@if url=$$($(BIN)/python -m tests.postgres); then \
		echo "Again on PostgreSQL: $$url"; \
		DATABASE_URL=$$url $(BIN)/pytest $(IN_PARALLEL) $(ON_POSTGRES); \
	else \
		test -z "$$REQUIRE_ALL"; \
	fi

format: install ## format Python and templates
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djade --target-version 5.2 $(TEMPLATES)

bench: ## measure; prints a table, writes JSON below tests/benchmarks/results
	@$(PYTHON) -m playbook.demo.install site worker trainer dev bench
	$(BIN)/python -m tests.benchmarks

proof: ## run the shipped experiments again, one in the browser too, and write their reports to content/reports
	@$(PYTHON) -m playbook.demo.install site worker trainer dev
	WHOLE_EXPERIMENT=1 $(BIN)/pytest tests/e2e/test_whole_loop.py
	$(BIN)/python -m tests.proof

screenshots: install ## walk through the product and keep pictures below screenshots/
	WHOLE_EXPERIMENT=1 SCREENSHOTS=screenshots $(BIN)/pytest tests/e2e

clean: ## remove .venv, caches and logs; .data keeps the database, the models and the runs
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info build .data/log .data/static
	find playbook tests -name __pycache__ -prune -exec rm -rf {} +
