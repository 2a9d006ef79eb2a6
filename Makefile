# Two commands matter: `make demo` and `make test`. Both set up what they need.
.PHONY: demo crash-matrix test test-servers check check-types check-rest check-deploy bench storms \
  month simulate decide-bench diagnosis-bench run format constraints pictures fuzz audit sbom dist
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
BIN := .venv/bin
# What is compiled once need not be compiled again by each of a hundred processes.
unexport PYTHONDONTWRITEBYTECODE

demo: ## From nothing to a verified recovery, on real Prometheus and Alertmanager. KEEP=1 stays up;
      ## STORY=second, storm, conflict, freeze, drill or replicas tells another story; STORY=night
      ## tells a night on call in a moment: all that reaches each phone, and the review.
      ## METRICS=victoria-metrics measures with VictoriaMetrics and vmalert instead of Prometheus.
	@deploy/setup.sh demo servers $(if $(filter victoria-metrics,$(METRICS)),victoria_metrics) \
	  $(if $(filter replicas,$(STORY)),postgresql)
	@METRICS=$(METRICS) $(BIN)/python deploy/sandbox/demo.py $(ARGS)

test: ## Everything that CI runs.
	@deploy/setup.sh servers victoria_metrics postgresql browser
	@$(MAKE) --no-print-directory check check-deploy
	@$(BIN)/python -m pytest -m "not bench and not acceptance" -n 2 --dist worksteal
	@$(BIN)/python -m pytest -m acceptance -n 3 --dist loadfile --no-loadscope-reorder

test-servers: ## The acceptance tests on the Prometheus and Alertmanager of Debian 12, 13 and testing,
      ## whose packages are fetched into .servers once. TESTS=files, SUITES="trixie testing".
	@deploy/setup.sh servers browser
	@deploy/test_servers.sh $(TESTS)

check: ## Format, lint, types, import contracts, one home for each name, the rules in rules/ and
       ## their cases.
	@deploy/setup.sh
	@$(MAKE) --no-print-directory -j2 --output-sync=target check-types check-rest

check-types:
	@$(BIN)/mypy

check-rest:
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@$(BIN)/lint-imports --no-logo | tail -8
	@$(BIN)/python deploy/names.py
	@$(BIN)/python deploy/advisories.py check
	@$(BIN)/stopgap check rules/
	@$(BIN)/stopgap test rules/cases

check-deploy: ## What is in deploy/, by the tools that will read it: hadolint, compose, kubectl, Helm, and
       ## Kubernetes' schemas.
	@deploy/setup.sh deploy_tools
	@.venv-deploy/bin/python deploy/lint.py

bench: ## The speed of this build in one table with its aims, and as bench.json: durable intake, POST
       ## to action, matching, the fold, pages. BASE=revision measures that build beside it, in the
       ## same run; ONLY="intake reaction matching fold pages" a part. tests/bench/README.md explains.
	@deploy/setup.sh
	@$(BIN)/python -m tests.bench $(if $(BASE),--base $(BASE)) $(if $(ONLY),--only $(ONLY))

storms: ## Storms on slow disks and of resent alerts, of three replicas, starts with 100,000 incidents,
        ## the audit, what a store reads and takes. BASE=revision puts that build through the same
        ## storms, and compares.
	@deploy/setup.sh postgresql
	@BENCH_BASE=$(BASE) $(BIN)/python -m pytest -m bench -s tests/bench tests/contract/test_journal.py \
	  tests/contract/test_inbox.py

simulate: ## The daemon in thousands of simulated nights, with crashes, faults and people, each drawn
          ## by a seed. SEEDS=10000, JOBS=2; SEED=n replays one in words; PLANTED=1 shows in how
          ## many seeds each planted bug is found.
	@deploy/setup.sh
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) \
	  $(if $(JOBS),--jobs $(JOBS)) $(if $(SEED),--seed $(SEED)) $(if $(PLANTED),--planted) \
	  $(if $(FIRST),--first $(FIRST)) $(if $(ONLY),--only $(ONLY)) $(if $(WHOLE),--whole)

month: ## Thirty days of a daemon's life, in virtual time (some ten minutes of a core): at their end it
       ## holds no more than when it had settled.
	@deploy/setup.sh
	@$(BIN)/python -m pytest -m bench -s tests/stories/test_thirty_days.py

decide-bench: ## How the daemon decides in simulated worlds, beside a plain threshold and a sequential
      ## test. WORLDS=draws of each world (50), SEED=1, ONLY=part of the worlds' names.
	@deploy/setup.sh
	@$(BIN)/python -m tests.worlds.bench

diagnosis-bench: ## Whom the dossier blames in simulated outages, with both error rates. OUTAGES=500, SEED=1.
	@deploy/setup.sh
	@$(BIN)/python -m tests.core.diagnosis.bench

fuzz: ## What reads from outside, fed with changed real inputs: none crashes, hangs or accepts a changed
      ## signature. INPUTS=1000000 in all, SEED= (printed), ONLY=target, NUMBER=one input of it.
	@deploy/setup.sh
	@$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),1000000) $(if $(SEED),--seed $(SEED)) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(NUMBER),--number $(NUMBER))

audit: ## Ask for known faults of the pinned versions (needs a network), and keep the answer with its
       ## date in deploy/advisories.json, which `make check` goes by without one.
	@deploy/setup.sh
	@$(BIN)/python deploy/advisories.py renew

sbom: ## The product's own dependencies, with its extras and without the tools, as CycloneDX.
	@deploy/setup.sh
	@$(BIN)/python deploy/sbom.py sbom.json

crash-matrix: ## Every point of the main stories at which the daemon may die, and what comes of it.
       ## ARGS="--twice" for two deaths in one story, ARGS=canary for the stories of that name.
	@deploy/setup.sh
	@$(BIN)/python -m tests.simulation.crash_matrix.table $(ARGS)

dist: ## The source distribution and the wheel, in dist/.
	@deploy/setup.sh
	@rm -rf build dist
	@$(BIN)/python -c "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')" \
	  >/dev/null
	@ls -l dist

run: ## The daemon with stopgap.yaml of this folder, or its defaults.
	@deploy/setup.sh
	@$(BIN)/stopgap run

format: ## Let ruff put everything in order.
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

constraints: ## Pin what is installed now.
	@{ echo "# The versions that the tests ran with. Made by: make constraints"; \
	  $(BIN)/python -m pip freeze --exclude-editable; } > deploy/constraints.txt

pictures: ## Take the pictures of the README from the demo.
	@deploy/setup.sh servers browser
	@$(BIN)/python deploy/sandbox/pictures.py
