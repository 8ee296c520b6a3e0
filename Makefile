# Every entry point of gpulab, one line each; `make help` lists them.
.DEFAULT_GOAL := help
PY := .venv/bin/python
ARGS ?=
# Where it is set, every start would compile all packages anew: some seconds for each program.
unexport PYTHONDONTWRITEBYTECODE

##@ Use
.PHONY: lab
lab: ## Start a whole GPU lab on this machine; Ctrl-C stops it (ARGS="--port 9000" and so on)
	@scripts/setup.sh lab && exec $(PY) -m lab $(ARGS)

.PHONY: demo
demo: ## Play the main job against a throw-away lab, with times (ARGS="--spawner process")
	@scripts/setup.sh dev && $(PY) -m lab.demo $(ARGS)

.PHONY: up
up: ## Start the lab in containers on this Docker host (ADDRESS=lab.example.org TLS=files)
	@ADDRESS="$(ADDRESS)" TLS="$(TLS)" scripts/up.sh $(ARGS)

.PHONY: down
down: ## Stop the lab in containers: sessions end and are charged, all data stays
	@scripts/down.sh

.PHONY: backup
backup: ## Copy its books, the hub's database and the policy (ARGS=/backups)
	@scripts/backup.sh $(ARGS)

.PHONY: restore
restore: ## Replace its books by those of a copy (FROM=site/backups/2027-02-01T030000Z)
	@scripts/restore.sh "$(FROM)"

.PHONY: images
images: ## Build all images: what sessions run in, and the lab's own programs
	@for name in huggingface hub api proxy; do scripts/build-image.sh $$name || exit 1; done

.PHONY: images-smoke
images-smoke: ## Prove the images that are here, each without network (ARGS="pytorch")
	@scripts/smoke-images.sh $(ARGS)

images-%: ## Build one of them and what it rests on, for example images-pytorch
	@scripts/build-image.sh $*

##@ Check
.PHONY: test
test: ## Install what the tests need and run all but the long ones (ARGS="tests/quota")
	@scripts/test.sh -m "not long" $(ARGS)

.PHONY: test-long
test-long: ## Run the long tests: more seeds, more kills
	@scripts/test.sh -m long $(ARGS)

.PHONY: faults
faults: ## Kill, stop and starve every part of the lab in turn: the long tests of faults alone
	@scripts/test.sh -m long tests/faults tests/crash $(ARGS)

.PHONY: sim
sim: ## Look for faults of the books by simulation, on both databases (ARGS="--seeds 50")
	@scripts/setup.sh dev && scripts/system-packages.sh
	@$(PY) -m quota.simulation --seeds 5 --faults 0.2 $(ARGS)
	@$(PY) -m tests.simulation.on_postgres --seeds 5 --faults 0.2 $(ARGS)

.PHONY: fuzz
fuzz: ## Look for faults of the books by random use, in the sizes that are promised
	@scripts/setup.sh dev && GPULAB_FUZZ=1 $(PY) -m pytest -q -n 2 $(ARGS) \
		tests/quota/test_p02_repeats.py tests/quota/machine tests/api/test_p44_fuzz.py

.PHONY: lint
lint: ## Check style, types and import directions
	@scripts/setup.sh dev && scripts/lint.sh

##@ Measure
.PHONY: bench
bench: ## Run all benchmarks; each ends with one line of JSON
	@scripts/setup.sh dev && $(PY) -m benchmarks

bench-%: ## Run one of them, for example bench-admission
	@scripts/setup.sh dev && $(PY) -m benchmarks $*

##@ Look after
.PHONY: lock
lock: ## Lock all dependencies anew (ARGS=--upgrade for newer ones)
	@scripts/setup.sh lab && scripts/lock.sh $(ARGS)

.PHONY: clean
clean: ## Remove what was installed and cached here; the lab's state in .state stays
	@rm -rf .venv node_modules build *.egg-info .setup.lock .setup.log \
		images/labextension/node_modules images/labextension/built \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z%-]+:.*## / { sub("%", "NAME", $$1); printf "  make %-12s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)
