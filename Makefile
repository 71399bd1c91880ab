# Two commands set everything up: `make demo` and `make test`. Both make the virtual environment first.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
SOURCES := gongbao tests benchmarks docs/generate.py serve train.py evaluate.py predict.py
OUT := out
# Among the runs, so that `gongbao predict` without --model finds it.
MODEL := runs/demo
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
# Where PyTorch's CPU build comes from: the usual index has, for Linux, only one with gigabytes of CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: demo test test-studio check format leaderboard reference clean

# PyTorch first and alone: its CPU build where one lies at hand, else from its index, else what the usual index has.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt 'torch==$(TORCH)+cpu' \
		|| $(BIN)/python -m pip install --constraint constraints.txt torch --index-url $(TORCH_INDEX) \
		|| $(BIN)/python -m pip install --constraint constraints.txt torch
	$(BIN)/python -m pip install --constraint constraints.txt --group dev --editable '.[train]'
	touch $@

# Fine-tune on the bundled articles, evaluate on the test split, extract from a bundled report.
demo: $(READY)
	rm -rf $(OUT) $(MODEL)
	$(BIN)/python train.py --config configs/demo.toml -o $(MODEL)
	$(BIN)/python evaluate.py --model $(MODEL) --data test -o $(OUT)/report.html
	$(BIN)/python predict.py data/demo/report.docx --model $(MODEL) -o $(OUT)/facts.xlsx
	$(BIN)/python predict.py data/demo/report.docx --model $(MODEL) --format facts -o $(OUT)/facts.jsonl
	@echo
	@echo "model              $(MODEL)"
	@echo "evaluation report  $(OUT)/report.html"
	@echo "facts              $(OUT)/facts.xlsx  $(OUT)/facts.jsonl"

test: $(READY)
	$(BIN)/python -m pytest --cov

# The Label Studio client against a real server, which has an environment of its own; name one that is there with LABEL_STUDIO=FOLDER.
LABEL_STUDIO_VERSION := $(shell sed -n 's/^VERSION: Final = "\(.*\)"/\1/p' gongbao/studio/local.py)
LABEL_STUDIO ?= .cache/label-studio-$(LABEL_STUDIO_VERSION)
$(LABEL_STUDIO)/bin/label-studio:
	$(PYTHON) -m venv $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/python -m pip install 'label-studio==$(LABEL_STUDIO_VERSION)'

test-studio: $(READY) $(LABEL_STUDIO)/bin/label-studio
	GONGBAO_LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest tests/studio -rP

check: $(READY)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Every entry of leaderboard/ anew, from the models and the data as they are now. The slow ones, which depend on a seed, are
# taken along with SEEDED='spacy transformers', and models of several seeds with BUNDLED='runs/curve/100-1 runs/curve/100-2 …'
# (benchmarks/learning_curve.py makes them).
BASELINES ?= rules crf
SEEDED ?=
BUNDLED ?=
SEEDS ?= 1 2 3
BOARD_SETS := test shift
BASELINE := $(BIN)/python benchmarks/baselines.py --train train --dev dev --data $(BOARD_SETS)
ADD := $(BIN)/gongbao leaderboard add
leaderboard: $(READY)
	$(BIN)/python -m pip install --constraint constraints.txt --group baselines
	$(BASELINE) --only $(BASELINES) -o $(OUT)/baselines
	$(if $(SEEDED),set -e; for seed in $(SEEDS); do \
		$(BASELINE) --only $(SEEDED) --seed $$seed -o $(OUT)/baselines/$$seed; done)
	rm -rf $(foreach set,$(BOARD_SETS),leaderboard/$(set) leaderboard/$(set).json)
	set -e; for set in $(BOARD_SETS); do \
		$(ADD) --data $$set --model models/default --name default; \
		$(if $(BUNDLED),$(ADD) --data $$set --name bundled-only $(addprefix --model ,$(BUNDLED));) \
		for system in $(BASELINES); do \
			$(ADD) --data $$set --train train --train dev --predictions $(OUT)/baselines/$$system.$$set.jsonl; done; \
		for system in $(SEEDED); do $(ADD) --data $$set --train train --train dev \
			$(foreach seed,$(SEEDS),--predictions $(OUT)/baselines/$(seed)/$$system.$$set.jsonl); done; \
	done
	$(BIN)/gongbao leaderboard check

# The pages of docs/reference, from the code.
reference: $(READY)
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(OUT) .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
