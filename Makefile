# `make` lists the targets. Everything is installed below this folder: .venv and .tools.
PYTHON ?= python3
BIN := .venv/bin
LOCK := tests/environments/main.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: again help audit peers install demo run test check environments compiled e2e gameday golden bench dashboards rules chart image image-base image-check pod oom pictures soak fuzz clean

help:
	@printf '%s\n' \
	  'Use it:' \
	  '  make install     put modeltap into .venv/bin' \
	  '  make demo        a real model, the sidecar and drifting traffic (Ctrl-C ends it)' \
	  '  make run         the sidecar: make run UPSTREAM=http://127.0.0.1:8000' \
	  'Check it:' \
	  '  make test        install all that the tests need, then run every check and test' \
	  '  make check       format, lint, types, generated files' \
	  '  make compiled    the data plane as a compiled wheel has it, in .venv/compiled, and its tests' \
	  '  make e2e         only the end-to-end tests with real parts' \
	  '  make gameday     break things and see who is called, here or at PROMETHEUS= ALERTMANAGER= SIDECAR= (docs/gameday.md)' \
	  '  make peers       spans at a real trace backend, asked for over its API (installs 850 MB)' \
  '  make audit       known weaknesses of the runtime packages, as PyPI tells them (needs the network)' \
  '  make soak        mixed traffic with faults: make soak MINUTES=60 (default 10)' \
	  '  make image-check the built image: users, read-only root, build tools, bill of materials, built twice alike' \
	  '  make pod         the rendered pod under podman: model, sidecar, Prometheus (root; a few minutes)' \
	  '  make oom         a model and a job that the kernel really kills for want of memory (root, cgroups; a minute)' \
  '  make fuzz        followers, then decoders, under atheris: make fuzz SECONDS=3600 (default 600 each)' \
  '  make bench       the sidecar against HAProxy, nginx and others (about 25 minutes)' \
	  'Make it:' \
	  '  make golden      rewrite the golden files; read the difference like code' \
	  '  make dashboards  write dashboards/*.json' \
	  '  make pictures    draw them from live data by Grafana'"'"'s own panels (20 minutes; npm packages of 450 MB, Chromium)' \
	  '  make rules       write alert_rules/*.yaml and test them' \
	  '  make chart       write the chart'"'"'s copies and README, and test the chart' \
	  '  make image       build the container image with podman or docker: make image BASE=… EXTRAS=…' \
	  '  make image-base  bases for it from Debian packages, where no registry is reached (root, podman, debootstrap)' \
	  '  make clean       remove .venv, .tools and what was built'

# One stamp per set of packages: nothing is installed twice.
.venv/base: pyproject.toml $(LOCK) tests/environments/data.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c $(LOCK) -e '.[demo]'
	$(BIN)/pip install --quiet --no-deps --ignore-requires-python -r tests/environments/data.txt
	@touch $@

.venv/tests: .venv/base
	$(BIN)/pip install --quiet -r $(LOCK)
	@touch $@

install: .venv/use
	@echo "installed: $(BIN)/modeltap, $$(cat .venv/use)"

demo: .venv/use
	$(BIN)/modeltap demo $(if $(DURATION),--duration $(DURATION))

run: .venv/use
	$(BIN)/modeltap run --upstream $(or $(UPSTREAM),http://127.0.0.1:8000)

# Environments of peers and tools beside each other; each says by itself what went wrong.
environments: .venv/tests
	@{ $(BIN)/python tests/environments/tools.py && $(BIN)/python tests/environments/single.py; } \
	  > .venv/tools.log 2>&1 & a=$$!; \
	$(BIN)/python tests/environments/make.py helm > .venv/helm.log 2>&1 & b=$$!; \
	$(BIN)/python tests/environments/make.py mlserver > .venv/mlserver.log 2>&1 & c=$$!; \
	$(BIN)/python tests/environments/make.py mlflow > .venv/mlflow.log 2>&1 & g=$$!; \
	$(BIN)/python tests/environments/make.py tritonclient > .venv/tritonclient.log 2>&1 & f=$$!; \
	$(BIN)/python tests/environments/redis_server.py > .venv/redis.log 2>&1 & h=$$!; \
	$(MAKE) --silent .venv/compiled.stamp > .venv/compile.log 2>&1 & d=$$!; \
	$(BIN)/python tests/environments/make.py openai > .venv/openai.log 2>&1 & e=$$!; \
	wait $$a || { cat .venv/tools.log; exit 1; }; \
	wait $$b || { cat .venv/helm.log; exit 1; }; \
	wait $$c || { cat .venv/mlserver.log; exit 1; }; \
	wait $$d || { cat .venv/compile.log; exit 1; }; \
	wait $$e || { cat .venv/openai.log; exit 1; }; \
	wait $$g || { cat .venv/mlflow.log; exit 1; }; \
	wait $$f || { cat .venv/tritonclient.log; exit 1; }; \
	wait $$h || { cat .venv/redis.log; exit 1; }; \
	cat .venv/tools.log

# The data plane as wheels and images have it. Beside the plain one, so that no extension hides a change to its source.
SOURCES := setup.py pyproject.toml $(shell find exporter -name '*.py')
COMPILED := PYTHONSAFEPATH=1 PYTHONPATH=.venv/compiled:.
.venv/compiled.stamp: $(SOURCES) | .venv/base
	rm -rf build .venv/compiled $@
	MODELTAP_COMPILE=1 $(BIN)/pip install --quiet --no-deps --target .venv/compiled . > .venv/compiled.log 2>&1 \
	  || { cat .venv/compiled.log; exit 1; }
	rm -rf build
	$(COMPILED) $(BIN)/python -c 'import exporter.proxy.tap as one; assert one.__file__.endswith(".so"), one.__file__'
	@touch $@

# What a user runs: compiled, unless a source was changed since. Tests run `python -m`, which is the source itself.
define LAUNCHER
#!/bin/sh
home=$$(dirname "$$(readlink -f "$$0")")/..
if [ -e "$$home/compiled.stamp" ] && \
   [ -z "$$(find "$$home/../exporter" -name '*.py' -newer "$$home/compiled.stamp" -print -quit)" ]; then
  PYTHONPATH=$$home/compiled$${PYTHONPATH:+:$$PYTHONPATH}
  export PYTHONPATH
fi
PYTHONSAFEPATH=1 exec "$$home/bin/python" -m exporter "$$@"
endef

# What was plain is tried again: a compiler may be there by now.
.venv/use: .venv/base $(SOURCES) Makefile $(shell grep -qs plain .venv/use && echo again)
	$(file >$(BIN)/modeltap,$(LAUNCHER))@chmod +x $(BIN)/modeltap
	@if ! command -v $(CC) > /dev/null; then echo 'plain Python: there is no C compiler'; \
	elif echo 'compiling the data plane, a minute the first time' >&2; \
	  $(MAKE) --silent .venv/compiled.stamp > .venv/compile.log 2>&1; then echo 'compiled'; \
	else echo 'plain Python: it could not be compiled, see .venv/compile.log'; fi > $@

compiled: .venv/compiled.stamp
	$(COMPILED) $(BIN)/python -m pytest $(BESIDE) -m 'not replaces' tests/wire tests/records
	$(COMPILED) $(BIN)/python -m pytest -m 'not replaces' tests/proxy $(COMPILED_ONLY) tests/app/test_drain.py tests/app/test_root.py

check: .venv/tests
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m dashboards.generate --check
	$(BIN)/python -m alert_rules.generate --check
	$(BIN)/python helm/sync.py --check
	$(BIN)/python helm/readme.py --check
	@$(BIN)/python -m tests.licences > .venv/licences.log || { cat .venv/licences.log; exit 1; }
	$(BIN)/python -m tests.audit --soft
	$(BIN)/modeltap metrics --markdown | diff - docs/metrics.md || { echo 'stale: run make golden'; exit 1; }

# What has deadlines and rates runs by itself, one after the other; all else a file at a time on each core. The fault
# matrix runs once, in the form that wheels and images have.
ALONE := tests/e2e tests/app tests/proxy tests/bench tests/demo tests/supervise
COMPILED_ONLY := tests/faults
BESIDE := -n $(or $(JOBS),2) --dist loadfile

test: environments check
	$(BIN)/python -m pytest $(BESIDE) $(patsubst %,--ignore=%,$(ALONE) $(COMPILED_ONLY))
	$(BIN)/python -m pytest $(ALONE)
	$(MAKE) --silent compiled

e2e: environments
	$(BIN)/python -m pytest tests/e2e

gameday: .venv/tests
	$(BIN)/python -m tests.gameday $(if $(PROMETHEUS),--prometheus $(PROMETHEUS)) \
	  $(if $(ALERTMANAGER),--alertmanager $(ALERTMANAGER)) $(if $(SIDECAR),--sidecar $(SIDECAR)) \
	  $(if $(DOWN),--down '$(DOWN)') $(if $(UP),--up '$(UP)') $(foreach scene,$(SCENE),--scene $(scene))

peers: .venv/tests
	$(BIN)/python tests/environments/make.py phoenix
	$(BIN)/python -m pytest -s tests/peers/check_traces.py

audit: .venv/tests
	$(BIN)/python -m tests.audit

soak: .venv/compiled.stamp
	$(COMPILED) $(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10)

fuzz: .venv/tests
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600)
	$(BIN)/python -m tests.fuzz.decoders --seconds $(or $(SECONDS),600)

golden: .venv/tests
	GOLDEN=1 $(BIN)/python -m pytest tests/publish/test_prometheus.py tests/helm/test_golden.py
	$(BIN)/modeltap metrics --markdown > docs/metrics.md

bench: .venv/use
	$(BIN)/python -m bench --install --build plain="/usr/bin/env PYTHONSAFEPATH=1 \
	  PYTHONPATH=$(CURDIR) $(CURDIR)/$(BIN)/python -m exporter" $(BENCH)

dashboards: .venv/tests
	$(BIN)/python -m dashboards.generate

pictures: .venv/tests
	$(BIN)/python tests/environments/tools.py > .venv/tools.log
	$(BIN)/python -m tests.pictures $(PICTURES)

rules: environments
	$(BIN)/python -m alert_rules.generate
	$(BIN)/python -m pytest tests/alert_rules

chart: environments
	$(BIN)/python helm/sync.py
	$(BIN)/python helm/readme.py
	$(BIN)/python -m pytest tests/helm

# Where no registry is reached: `make image-base`, then `make image BASE=localhost/modeltap-base:bookworm`.
image:
	$(PYTHON) image/build.py $(if $(EXTRAS),--extras $(EXTRAS)) $(if $(BASE),--base $(BASE)) \
	  $(if $(filter localhost/modeltap-base:%,$(BASE)),--build-base $(subst -base:,-build:,$(BASE)) --offline)

image-base:
	$(PYTHON) image/base.py

image-check: .venv/tests
	$(BIN)/python tests/environments/make.py cyclonedx
	BASE=$(BASE) $(BIN)/python -m pytest -s tests/image/check_image.py

pod: .venv/tests
	$(BIN)/python -m pytest -s tests/pod/check_pod.py

oom: .venv/tests
	$(BIN)/python -m pytest -s tests/oom/check_oom.py

clean:
	rm -rf .venv .tools build dist *.egg-info bench/results/*.json
