# Two commands on a fresh machine: `make demo` and `make test`. Both set the environment up first.
PYTHON ?= python3
VENV ?= .venv
CORES ?= 2
BIN := $(VENV)/bin
# Two OpenMP threads that spin can be many times slower than one on a shared machine.
export OMP_WAIT_POLICY ?= passive

# Each process of the tests has one thread of torch; one that runs out of tests takes over half of another's.
PYTEST := python -m pytest -n $(CORES) --dist worksteal

.PHONY: demo evidence readme reference gallery site-test test check style lint faults fuzz keras cpus slurm lowest bench bench-gpu image clean

$(VENV)/.ready: pyproject.toml envs/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable ".[workflow,dev,kaggle]"
	touch $@

# All figures, tables and verdicts on synthetic data, under results/demo/; no network.
demo: $(VENV)/.ready
	$(BIN)/python -P -m snakemake --cores $(CORES) --scheduler greedy --config scale=demo shard=report threads=1

# The real figures and verdicts of all runs in results/evidence, under results/; no training, no data set, no
# network.
evidence: $(VENV)/.ready
	$(BIN)/python -P -m snakemake --cores $(CORES) --scheduler greedy --config train=no threads=1

# Write what was measured into README and docs/results.md, from the runs in results/evidence alone.
README_FIGURES := figure_01 figure_03
readme: $(VENV)/.ready
	rm -rf results/readme
	$(BIN)/python -m reprise import results/evidence --results results/readme
	$(BIN)/python -m reprise summary --results results/readme --write docs/results.md
	$(BIN)/python -m reprise summary --results results/readme --findings 0 --write README.md
	for figure in $(README_FIGURES); do \
		$(BIN)/python -m reprise figure cifar10_architectures $$figure --partial --results results/readme && \
		cp results/readme/figures/cifar10_architectures/$$figure.png \
			results/readme/figures/cifar10_architectures/$$figure.json \
			results/reference/cifar10_architectures/full/ \
		|| exit 1; \
	done
	rm -rf results/readme

# The pages of docs/reference, from the code: keys, command line, configuration.
reference: $(VENV)/.ready
	$(BIN)/python docs/make_reference.py

# docs/gallery.md and its pictures: each kind of figure and table, from made-up results.
gallery: $(VENV)/.ready
	$(BIN)/python docs/make_gallery.py

# The sites of the evidence and, if it is there, of the demo in Debian's Chromium (installs it, as root, and
# playwright): two minutes.
site-test: evidence
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt \
		--editable ".[workflow,dev,kaggle,browser]"
	command -v chromium || [ "$$(id -u)" != 0 ] || apt-get -qq install --yes chromium || \
		{ apt-get -qq update && apt-get -qq install --yes chromium; } || echo "no chromium: the tests skip"
	$(BIN)/$(PYTEST) -m browser tests/site

# All tests but those that the targets below are for.
test: $(VENV)/.ready
	$(BIN)/$(PYTEST) -m "not keras and not cpus and not browser"

# For the developer at work, in less than two minutes on two cores: style, and all tests but those that start
# Snakemake or take long.
check: style
	$(BIN)/$(PYTEST) -m "not keras and not cpus and not browser and not workflow and not slow" --ignore tests/faults

# The style of all code and of the Snakefiles.
style: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m snakefmt --check Snakefile workflow
	$(BIN)/python -m snakemake --lint

# Style, types, which module imports which, and the report files themselves.
lint: style
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python -m reprise check workflow/reports/*

# Damaged and hostile files, mirrors that fail, mutated inputs (tests/faults, which `make test` runs too):
# five minutes on two cores.
faults: $(VENV)/.ready
	$(BIN)/$(PYTEST) tests/faults

# Every parser fed with mutated inputs, FUZZ times as many as in the tests; other ones with another FUZZ_SEED.
# Minutes for each ten.
FUZZ ?= 30
FUZZ_SEED ?= 0
fuzz: $(VENV)/.ready
	FUZZ=$(FUZZ) FUZZ_SEED=$(FUZZ_SEED) $(BIN)/python -m pytest tests/faults/test_fuzz.py

# The lowest versions that pyproject.toml allows (5 GB to download): first the library without Snakemake, then
# the workflow, whose SLURM plugin asks for higher ones of numpy and pandas.
LOWEST := .venv-lowest
LOWEST_INSTALL := $(BIN)/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct --editable
lowest: $(VENV)/.ready
	$(BIN)/uv venv --quiet --clear --python 3.11 $(LOWEST)
	$(LOWEST_INSTALL) ".[dev,kaggle]"
	$(LOWEST)/bin/$(PYTEST) -m "not keras and not cpus and not browser and not workflow"
	$(LOWEST_INSTALL) ".[workflow,dev,kaggle]"
	$(LOWEST)/bin/$(PYTEST) -m workflow

# The Keras reports' defaults against Keras itself (installs tensorflow-cpu).
keras: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt \
		--editable ".[workflow,dev,kaggle,keras]"
	$(BIN)/python -m pytest -m keras

# One training step of every network with the kernels of other processors (SSE4.1, AVX, AVX2, AVX-512),
# against float64: three minutes.
cpus: $(VENV)/.ready
	$(BIN)/python -m pytest -m cpus tests/cpus

# The SLURM profile on a cluster of one node: installs Debian's slurm-wlm and munge if they are missing (and
# leaves them installed), starts them and stops them, in at most ten minutes. Needs root; without it, the
# tests skip and say so.
slurm: $(VENV)/.ready
	REPRISE_SLURM=1 timeout --kill-after=60 600 $(BIN)/python -m pytest -m slurm tests/slurm

# The engine against a plain PyTorch loop and Lightning, start-up, dry runs, the demo (installs lightning):
# results/bench/bench.md.
bench: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt \
		--editable ".[workflow,dev,kaggle,bench]"
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/bench.py

# The engine on a CUDA device: speed, and whether it computes what it does on a CPU; needs torch, torchvision,
# timm and pandas alone.
bench-gpu:
	PYTHONPATH=src $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) tests/bench/bench_gpu.py

# The image `reprise`, with Snakemake and the pinned environment (envs/Dockerfile), where Docker or Podman runs.
image:
	@for engine in docker podman; do \
		if $$engine info >/dev/null 2>&1; then \
			exec $$engine build --file envs/Dockerfile --tag reprise .; \
		fi; \
	done; \
	echo "neither Docker nor Podman runs here: no image is built"

# Deletes what the demo made.
clean:
	rm -rf results/demo
