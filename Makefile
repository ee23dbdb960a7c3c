# make demo   the whole method on rendered clips, from video files to a timeline
# make test   every test that does not take minutes
# make docs   the site of these docs, in site/
# make campaign MINUTES=10   hostile files and kills at random moments
# Each creates $(VENV) when there is none and installs what it needs.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
TORCHVISION ?= torchvision==0.28.0
DEMO ?= demo
SIZE ?= small
MINUTES ?= 10
SEED ?= 0
BIN := $(VENV)/bin
# What one process compiled, no other compiles again, also where an image says otherwise.
export PYTHONDONTWRITEBYTECODE =
READY := $(VENV)/.ready-for-rlld

.PHONY: campaign demo docs test alone wheel slow lint format check browser install

install: $(READY)

# torch first and by itself: a later package would otherwise bring its own choice of build. So would
# torchvision, of which only the Python part is used.
$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --no-deps '$(TORCHVISION)'
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/rlld demo --out $(DEMO) --size $(SIZE)

# A warning is a failure: a link that leads nowhere, a page that the navigation lacks. The variable
# silences the theme's announcement of its own successor.
docs: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean
	@echo 'site/index.html; with its search: $(BIN)/python -m http.server -d site'

# One thread per process: the networks of the tests are small, and the processes fill the cores.
test: $(READY) browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

# The same from a clone in an empty folder: the tests that use what may lie beside the checkout, on
# what is committed. An installed checkout would come first, hence PYTHONPATH. Where nothing lies
# beside a checkout in which all is committed, `make test` was that already.
alone: $(READY) browser
	@if test -z "$$(git status --porcelain)$$RLLD_LLP_DIR$$RLLD_MEDIA_DIR$$RLLD_SETS_DIR" && ! test -e ../shared; \
	then echo 'all is committed, and nothing lies beside it: make test runs alone'; exit; fi; \
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	git clone --quiet . "$$folder/rlld" && cd "$$folder/rlld" && unset RLLD_LLP_DIR RLLD_MEDIA_DIR RLLD_SETS_DIR && \
	export PYTHONPATH="$$PWD/src" OMP_NUM_THREADS=1 && \
	$(abspath $(BIN))/python -m pytest -n auto --dist loadfile -m 'not slow and (media or not browser)' \
	    tests/golden tests/metrics/test_metrics_golden.py \
	    $$(grep -rlE 'shared_llp|shared_media|shared_sets|invented_llp' tests --include='test_*.py') && \
	$(abspath $(BIN))/python tests/golden/run.py tests/golden/cases

# What users install: built by way of the source archive, tried where the checkout is not seen.
wheel: $(READY)
	work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && unset PYTHONPATH && \
	$(BIN)/python -m build --outdir "$$work/dist" . >"$$work/log" || { cat "$$work/log"; exit 1; } && \
	$(PYTHON) -m venv "$$work/venv" && cd "$$work" && \
	venv/bin/python -m pip install --quiet '$(TORCH)' && \
	venv/bin/python -m pip install --quiet dist/*.whl && \
	venv/bin/rlld demo --size tiny --out demo && venv/bin/python -m rlld --version

# Ray, 240 MB, is for these tests only.
slow: $(READY) browser
	$(BIN)/python -m pip install --quiet --editable '.[dev,ray]'
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m pytest -m 'hypothesis and not slow' --hypothesis-profile thorough

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint test

# The pages are tested in a real browser. Set CHROMIUM to use one that lies elsewhere. Debian's
# chromium-headless-shell is quicker, but now and then holds a request back while clips load.
browser:
	@if [ -n "$$CHROMIUM" ] || command -v chromium chromium-browser google-chrome >/dev/null; \
	then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; \
	then apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	else echo 'no Chromium found: install it or set CHROMIUM to its path' >&2; exit 1; fi

# Hostile files and kills at random moments, for so many minutes; another SEED makes other cases.
campaign: $(READY)
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m campaign --minutes $(MINUTES) --seed $(SEED)
