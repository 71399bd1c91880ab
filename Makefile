# Two commands set everything up: `make demo` and `make test`. Both make the virtual environment first.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
SOURCES := gongbao tests benchmarks train.py evaluate.py predict.py
OUT := out
# Among the runs, so that `gongbao predict` without --model finds it.
MODEL := runs/demo
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
# Where PyTorch's CPU build comes from: the usual index has, for Linux, only one with gigabytes of CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: demo test check format clean

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

check: $(READY)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:
	rm -rf $(OUT) .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
