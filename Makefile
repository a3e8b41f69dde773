# `make help` lists the commands. They live in local/: tools.py installs what is missing, stack.py does the rest.

PYTHON ?= python3
TOOLS = { command -v $(PYTHON) >/dev/null || { echo "error: There is no $(PYTHON) on the PATH: install Python 3.11 or newer." >&2; exit 1; }; } \
	&& $(PYTHON) -B -m local.tools
VENV_PYTHON = .local/venv/bin/python
STACK = $(VENV_PYTHON) -m local.stack

# Every shell has a variable USER; only one given to make itself means a demo user.
ifeq ($(origin USER),command line)
DEMO_USER = $(USER)
else
DEMO_USER = dispatch
endif
MINUTES ?= 15
ORDERS ?= 1000000
FILE ?= local/prices.json
SECONDS ?= 2

# To stop what was never started is no mistake.
if_installed = test -x $(VENV_PYTHON) || { echo "$(1)"; exit 0; }; $(2)

.PHONY: audit bench openapi help installed up down deploy prices token invoke-files url db-url psql logs test test-db test-db-down clean
.DEFAULT_GOAL := help

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Install what is missing, build, start and deploy the local stack (PARAMS="OidcIssuer=.. CorsOrigins=..")
	@echo "[1/9] Tools"
	@$(TOOLS)
	@$(STACK) up

# What the other commands run with comes with the first `make up`.
installed:
	@test -x $(VENV_PYTHON) || { echo "error: Nothing is installed here yet: run \`make up\` first." >&2; exit 1; }

down: ## Stop the local stack; its data stays
	@$(call if_installed,Nothing was running.,$(STACK) down)

deploy: ## Build and deploy again after a change
	@$(TOOLS)
	@$(STACK) deploy

prices: installed ## Load a price list (FILE=local/prices.json)
	@$(STACK) prices $(FILE)

token: installed ## Print a token (USER=owner|admin|dispatch|accountant|driver|rival|newcomer)
	@$(STACK) token $(DEMO_USER)

invoke-files: installed ## Write what `sam local invoke` needs to run a function against this stack
	@$(STACK) invoke-files

url: installed ## Print the base URL of the API
	@$(STACK) url

db-url: installed ## Print the URL of the database (superuser, without the pooler)
	@$(STACK) db-url

psql: installed ## Open the database
	@$(STACK) psql

logs: installed ## Print the functions' logs (MINUTES=15)
	@$(STACK) logs $(MINUTES)

test: ## Check everything (ONLY="format template clippy dependencies rust gateway")
	@$(TOOLS)
	@$(VENV_PYTHON) -m local.checks run $(ONLY)

audit: ## Ask the RustSec advisory database about the dependencies (needs the internet)
	@$(TOOLS)
	@$(VENV_PYTHON) -m local.checks audit

test-db: ## Start a database for cargo test, and print its environment
	@$(TOOLS) >&2
	@$(VENV_PYTHON) -m local.checks start-database

test-db-down: ## Stop that database
	@$(call if_installed,Nothing was running.,$(VENV_PYTHON) -m local.checks stop-database)

bench: ## Measure against the targets (ORDERS=1000000 SECONDS=2)
	@$(TOOLS)
	@$(VENV_PYTHON) -m local.benchmark $(ORDERS) $(SECONDS)

openapi: ## Write functions/api/openapi.json anew from the code
	@WRITE_OPENAPI=1 cargo test -q --workspace --test api openapi

clean: ## Stop the local stack and delete its data; installed tools stay
	@$(call if_installed,Nothing is installed here and so there is nothing to delete.,$(STACK) clean)
