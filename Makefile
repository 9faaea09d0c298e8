# Everything is installed into .venv; everything a run makes goes below OPINION_HOME (default var/).
PYTHON ?= $(firstword $(shell command -v python3.11) python3)
# A variable of the environment reaches what make starts as it is; make would read a $ in its value.
ifeq ($(origin OPINION_HOME),undefined)
export OPINION_HOME := $(CURDIR)/var
endif
# An address: pip takes a path with a blank for two.
EMPTY =
export PIP_CONSTRAINT = file://$(subst $(EMPTY) ,%20,$(CURDIR))/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK = 1
CONF = --properties-file spark_conf/local/spark-defaults.conf
HOROVOD_VERSION = $(patsubst horovod==%,%,$(filter horovod==%,$(shell cat constraints.txt)))
TORCH_VERSION = $(patsubst torch==%,%,$(filter torch==%,$(shell cat constraints.txt)))
# The wheel is built once a machine: its folder is keyed by all that it depends on.
CACHE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/opinion-distill
HOROVOD = $(CACHE)/horovod-$(HOROVOD_VERSION)-torch-$(TORCH_VERSION)-py311-$(shell uname -m)
INPUTS = setup.py constraints.txt pyproject.toml spark_conf/local/find-spark-home spark_conf/local/spark-command

# Two processes share the tests: a JVM and the Python workers of each are at home in 8 GB.
PYTEST = .venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Debian packages, where something is missing.
APT = as=; [ "$$(id -u)" = 0 ] || as=sudo; $$as apt-get update -q && $$as apt-get install -y -q --no-install-recommends

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup-train: .venv/.installed-train ## The environment with Horovod, for --num-proc above 1 (built once, some minutes)

setup: .venv/.installed .venv/.warm ## The environment only: Java where it is missing, .venv with pinned packages

demo: .venv/.installed .venv/.warm ## Set up, then load, train and score real reviews, and show yesterday's complaints
	.venv/bin/python jobs/demo.py

test: .venv/.installed-dev .venv/.warm ## Set up what is missing, then lint, types and all tests (under 25 minutes)
	@$(MAKE) --no-print-directory lint
	$(PYTEST)

test-fast: .venv/.installed-dev ## Lint, types and the tests that start no Spark (under 3 minutes)
	@$(MAKE) --no-print-directory lint
	$(PYTEST) -m "not spark and not slow and not cluster"

ship: .venv/.installed-ship ## dist/: the Python packages of a cluster's executors (TRAIN=1: torch and Horovod too)
	PIP_FIND_LINKS=$(HOROVOD) .venv/bin/python jobs/ship.py $(if $(TRAIN),--train)

test-cluster: .venv/.installed-cluster ## The tests on a real cluster of this machine: Spark, Hive metastore on PostgreSQL
	.venv/bin/pytest -m "cluster and not faults"

test-faults: .venv/.installed-cluster ## What docs/promises.md promises: that cluster broken on purpose, in thirty ways
	.venv/bin/pytest -m faults

test-airflow: .venv/.installed-airflow ## The DAG file in a real Airflow, in an environment of its own (a minute to install)
	AIRFLOW_HOME=$(CURDIR)/.venv/airflow/home AIRFLOW__CORE__LOAD_EXAMPLES=False .venv/airflow/bin/python -m pytest \
	  -c /dev/null --rootdir . --confcutdir tests/schedule -p no:cacheprovider tests/schedule/test_opinion_dag.py

lint: .venv/.installed-dev ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/.installed-bench ## The night beside its floor and other ways to score: make bench DT=2026-11-09, a loaded day
	.venv/bin/spark-submit $(CONF) benchmarks/scoring.py --dt $(DT)
	.venv/bin/spark-submit $(CONF) benchmarks/training.py

# Asked by a variable of the environment: a query may have lines, and signs that make and the shell would read.
unexport Q
sql: export ASKED = $(value Q)
sql: .venv/.installed ## An analyst's query: make sql Q="select * from opinion.scoring_run"
	@.venv/bin/opinion sql "$$ASKED"

clean: ## Remove .venv and caches, but nothing below OPINION_HOME
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.installed: $(INPUTS)
	@command -v java >/dev/null || { echo "java is missing: installing it"; $(APT) openjdk-17-jre-headless; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "error: Python 3.11 is needed; name it with make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "venv is missing: installing it"; $(APT) python3.11-venv; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -e .[demo]
	@# PySpark's scripts look for it with the first python3 on the PATH; ours with this environment's.
	install -m 755 spark_conf/local/find-spark-home .venv/bin/find-spark-home
	for name in spark-submit spark-sql; do install -m 755 spark_conf/local/spark-command .venv/bin/$$name; done
	@# A package of the same name on PYTHONPATH would come before an editable one.
	.venv/bin/python -c 'import os, sysconfig; open(sysconfig.get_path("purelib") + "/opinion-first.pth", "w").write(f"import sys; sys.path.insert(0, {os.getcwd()!r})\n")'
	@.venv/bin/python -c 'import jobs.reports.plots; raise SystemExit(not jobs.reports.plots.chinese_font())' || { \
	  echo "a font with Chinese is missing, for the plots: installing it"; $(APT) fonts-noto-cjk; }
	@touch $@

# What every first run would compile and read anew, done once; again when code changed that is compiled. It only saves time,
# so a failure stops nothing.
.venv/.warm: .venv/.installed jobs/warm_up.py $(shell grep -rl --include='*.py' njit distill)
	-.venv/bin/opinion warm_up
	@touch $@

.venv/.installed-dev: .venv/.installed-train
	@command -v chromium >/dev/null || { echo "chromium is missing, to look at the pages: installing it"; $(APT) chromium; }
	.venv/bin/pip install -q -e .[demo,dev,train]
	@touch $@

.venv/.installed-bench: .venv/.installed-train
	.venv/bin/pip install -q -e .[demo,train,bench]
	@touch $@

.venv/.installed-train: .venv/.installed $(HOROVOD)/built
	.venv/bin/pip install -q --find-links $(HOROVOD) --only-binary horovod -e .[demo,train]
	@touch $@

.venv/.installed-ship: .venv/.installed $(if $(TRAIN),$(HOROVOD)/built)
	.venv/bin/pip install -q -e .[demo,ship]
	@touch $@

# Java's compiler runs tests/cluster/Metastore.java.
.venv/.installed-cluster: .venv/.installed-dev
	@missing=; command -v javac >/dev/null || missing=openjdk-17-jdk-headless; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	[ -e /usr/share/java/postgresql.jar ] || missing="$$missing libpostgresql-jdbc-java"; \
	[ -z "$$missing" ] || { echo "missing: installing $$missing"; $(APT) $$missing; }
	.venv/bin/pip install -q -e .[demo,dev,train,ship,cluster]
	@touch $@

# Airflow's pins fight with ours.
.venv/.installed-airflow: constraints-airflow.txt | .venv/.installed
	$(PYTHON) -m venv .venv/airflow
	PIP_CONSTRAINT=$(CURDIR)/constraints-airflow.txt .venv/airflow/bin/pip install -q apache-airflow pytest
	@touch $@

# Horovod's CMake asks for C++14, the headers of torch need C++20; nothing else is in the way. CPU builds use Gloo; on a
# machine with NCCL, set HOROVOD_GPU_OPERATIONS=NCCL.
$(HOROVOD)/built: | .venv/.installed
	@{ command -v cmake && command -v g++; } >/dev/null || { echo "a compiler is missing: installing it"; $(APT) cmake g++ libc6-dev; }
	.venv/bin/pip install -q setuptools wheel packaging cloudpickle psutil PyYAML cffi
	rm -rf build/horovod && mkdir -p build/horovod $(HOROVOD)
	.venv/bin/pip download -q --no-deps --no-build-isolation --no-binary horovod -d build/horovod horovod==$(HOROVOD_VERSION)
	tar xf build/horovod/horovod-$(HOROVOD_VERSION).tar.gz -C build/horovod --strip-components 1
	sed -i 's/CMAKE_CXX_STANDARD 14/CMAKE_CXX_STANDARD 20/' build/horovod/CMakeLists.txt build/horovod/horovod/torch/CMakeLists.txt
	HOROVOD_WITH_PYTORCH=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 HOROVOD_WITHOUT_TENSORFLOW=1 \
	  HOROVOD_WITHOUT_MXNET=1 LDFLAGS=-Wl,--strip-debug \
	  .venv/bin/pip wheel -q --no-build-isolation --no-deps -w $(HOROVOD) ./build/horovod
	rm -rf build/horovod
	@touch $@

.PHONY: help setup setup-train demo test test-fast ship test-cluster test-faults test-airflow lint bench sql clean
.DEFAULT_GOAL := help
