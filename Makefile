# make repro: the post on IOI. make tasks: the other tasks, side by side. make calibrate: how often the verdict is right.
# make test: the checks. make docs: the pages as a site. All make .venv first, from the lock files.
.PHONY: repro tasks calibrate test quick-test docs params readme clean

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two files of tests at a time, the longest first.
TWO := -n 2 --dist loadfile --no-loadscope-reorder
# A shell variable, so that a path with a space in it stays one word.
ENV := PATH="$$PWD/$(BIN):$$PATH"

repro: .venv/installed
	$(ENV) dvc repro
	@cat results/headline.txt

tasks: .venv/installed
	$(ENV) subspace-illusion tasks

# With of=mine by conf/calibrate/mine.yaml, such as with a model of yours besides.
calibrate: .venv/installed-cluster  ## planted cases anew, and the estimate on models left out, some two hours
	$(if $(of),$(ENV) python -m subspace_illusion.pipeline.compose calibrate=$(of))
	$(ENV) dvc repro stages/calibration/dvc.yaml
	cp results/calibration/calibration.json src/subspace_illusion/verdict/calibration.json

test: .venv/installed-test
	$(ENV) ruff check .
	$(ENV) ruff format --check .
	$(ENV) pyrefly check
	$(ENV) python -m pytest $(TWO)

quick-test: .venv/installed-test  ## the checks that take seconds, for every change
	$(ENV) ruff check .
	$(ENV) python -m pytest $(TWO) -m "not slow"

docs: .venv/installed-docs  ## build/site, in which every link leads somewhere
	rm -rf build/pages && mkdir -p build/pages/data
	for part in README.md docs examples benchmarks results src site; do ln -s "$$PWD/$$part" build/pages/$$part; done
	ln -s "$$PWD/data/own" build/pages/data/own
	$(ENV) mkdocs build --quiet --config-file site/mkdocs.yml

params: .venv/installed  ## params.yaml anew from conf/
	$(ENV) python -m subspace_illusion.pipeline.compose

readme: .venv/installed  ## the findings in README and docs/ from results/
	$(ENV) python -m subspace_illusion.pipeline.readme

.venv/installed: requirements.lock pyproject.toml
	python3 -m venv .venv
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --editable .
	@touch $@

.venv/installed-cluster: .venv/installed requirements-cluster.lock  ## for compute.scheduler
	$(PIP) -r requirements-cluster.lock
	@touch $@

.venv/installed-test: .venv/installed-cluster requirements-test.lock
	$(PIP) -r requirements-test.lock
	@touch $@

.venv/installed-docs: .venv/installed requirements-docs.lock
	$(PIP) -r requirements-docs.lock
	@touch $@

clean:
	rm -rf .venv
