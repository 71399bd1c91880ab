"""Fine-tuning: a configuration and annotated documents in, a run's folder out.

A run's folder is enough to use the run or to repeat it:

    train.toml      the resolved configuration (`gongbao train --config RUN/train.toml` repeats it, where the data lies
                    as it did; run.json tells whether it is the same)
    label_config.xml  the labelling configuration
    run.json        hashes of the data, environment, what windows could not hold, scores after each epoch
    README.md       the model's card
    checkpoints/    while it runs: what --resume goes on from; removed at the end
    and the model's own files (model_folder.py)
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset, disable_progress_bars
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

import gongbao
from gongbao.config import OptimisationConfig, TrainConfig
from gongbao.corpus import distinct, resolve, split_hash
from gongbao.counts import total_spans
from gongbao.encoder import character_encoder, describe
from gongbao.extractor import Extractor, OnnxBackend, find_spans
from gongbao.facts import prepare_gold
from gongbao.files import bundled, replacing
from gongbao.label_studio import read_config
from gongbao.metrics import evaluate
from gongbao.model import export_onnx, has_bf16, logits, new_model
from gongbao.model_folder import DESCRIPTION, ONNX, RUNS, VOCABULARY, ModelFolder
from gongbao.refitting import refit
from gongbao.schema import DataError, Document, LabelScheme, UsageError
from gongbao.splitting import set_aside
from gongbao.tagging import TagSet
from gongbao.windows import Vocabulary, WindowSize, held, pad, windows

Report = Callable[[str], None]
LABELLING = "label_config.xml"


# ------------------------------------------------------------------------------------------ data


def _documents(names: Sequence[str], scheme: LabelScheme) -> list[Document]:
    # The same id may come from two files: documents are told apart by it from here on.
    return distinct(document for name in names for document in resolve(name, scheme))


def _labelling(config: TrainConfig) -> Path:
    return Path(config.data.scheme) if config.data.scheme else bundled(f"annotations/{LABELLING}")


def load_data(config: TrainConfig) -> tuple[LabelScheme, list[Document], list[Document]]:
    """The scheme, the training documents and the dev documents of a configuration.

    Raises:
        UsageError: nothing to train on.
        DataError: a document with a label or link that the scheme does not have, or a broken file.
    """
    scheme = read_config(_labelling(config)).scheme
    try:
        train = _documents(config.data.train, scheme)
    except DataError as error:
        if not config.data.scheme and "the label" in error.problem:
            error.remedy = f"{error.remedy}; name the labelling configuration of your own labels: --set data.scheme=FILE.xml"
        raise
    if not train:
        raise UsageError(f"{', '.join(config.data.train) or 'data.train'} holds no documents to train on")
    if config.data.dev:
        dev = _documents(config.data.dev, scheme)
    else:
        train, dev = set_aside(train, config.training.seed)
    if not dev or not any(d.spans for d in train):
        raise UsageError(
            "there are no documents to choose the best epoch on"
            if not dev
            else "the training documents have no spans",
            remedy="annotate more documents, or name some with data.dev"
            if not dev
            else "annotate some first",
        )
    return scheme, train, dev


def training_windows(
    documents: Sequence[Document], vocabulary: Vocabulary, size: WindowSize, tagset: TagSet
) -> tuple[Dataset, dict[str, int]]:
    """Rows of `input_ids` and `labels` with their `length`, and what they cannot represent.

    Each character has its tag in the window that owns it, as in inference, and -100 (no loss) elsewhere. Counted are
    characters that the vocabulary does not know and spans that no window holds whole.
    """
    rows: dict[str, list[Any]] = {"input_ids": [], "labels": [], "length": []}
    lost = {"documents": len(documents), "characters": 0, "unknown_characters": 0, "spans": 0, "spans_cut": 0}
    for document in documents:
        ids = vocabulary.encode(document.text)
        tags = tagset.encode([s.key for s in document.spans], len(document.text))
        cut = windows(document.text, size)
        lost["characters"] += len(ids)
        lost["unknown_characters"] += int((ids == vocabulary.unk).sum())
        lost["spans"] += len(document.spans)
        lost["spans_cut"] += sum(not held(s.start, s.end, cut) for s in document.spans)
        for window in cut:
            labels = np.full(window.end - window.start, -100)
            own = slice(window.own_start, window.own_end)
            labels[window.own_start - window.start : window.own_end - window.start] = tags[own]
            rows["input_ids"].append(ids[window.start : window.end])
            rows["labels"].append(labels)
            rows["length"].append(len(labels))
    return Dataset.from_dict(rows).with_format("numpy"), lost


def _collate(vocabulary: Vocabulary) -> Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]:
    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        width = -(-max(len(r["labels"]) + 2 for r in rows) // 8) * 8
        tokens, mask = pad([r["input_ids"] for r in rows], width, vocabulary)
        labels = np.full((len(rows), width), -100)
        for n, row in enumerate(rows):
            labels[n, 1 : len(row["labels"]) + 1] = row["labels"]
        return {
            "input_ids": torch.from_numpy(tokens),
            "attention_mask": torch.from_numpy(mask),
            "labels": torch.from_numpy(labels),
        }

    return collate


class _Sampler(LengthGroupedSampler):
    """Windows of like length together, in an order that seed and epoch alone decide.

    transformers' own draws from the global generator, whose state at that moment a resumed run does not have.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths)
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by Trainer before each epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self._seed * 100_003 + self._epoch)
        order: Iterator[int] = super().__iter__()  # type: ignore[no-untyped-call]
        return order


# --------------------------------------------------------------------------------------- trainer


class _Trainer(Trainer):
    """transformers' Trainer with our sampler, layer-wise rates, and dev span F1 as its evaluation."""

    def __init__(
        self,
        config: OptimisationConfig,
        lengths: list[int],
        score: Callable[[Any], dict[str, float]],
        **more: Any,
    ):
        self._config = config
        self._lengths = lengths
        self._score = score
        super().__init__(**more)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return _Sampler(self.args.train_batch_size, self._lengths, self._config.seed)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        model: Any = self.model
        model.eval()
        scores = self._score(model)
        model.train()
        self.log(scores)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, scores)
        return scores

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            whole: Any = self.model
            self.optimizer = torch.optim.AdamW(list(parameter_groups(whole, self._config)), fused=True)
        return self.optimizer


def parameter_groups(model: torch.nn.Module, config: OptimisationConfig) -> Iterator[dict[str, Any]]:
    """Parameters by rate and decay: the head's rate, then encoder_rate · layer_decay^(layers above), embeddings lowest.

    Biases and layer norms are not decayed. After Howard & Ruder 2018 (discriminative fine-tuning).
    """
    layers = 1 + max(_depth(name) for name, _ in model.named_parameters())
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        depth = _depth(name)
        rate = (
            config.head_rate
            if depth is HEAD
            else config.encoder_rate * config.layer_decay ** (layers - 1 - depth)
        )
        decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else config.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    for (rate, decay), parameters in groups.items():
        yield {"params": parameters, "lr": rate, "weight_decay": decay}


HEAD = -2


def _depth(name: str) -> int:
    """-1 for the embeddings, n for layer n, HEAD for the head."""
    parts = name.split(".")
    if "layer" in parts:
        return int(parts[parts.index("layer") + 1])
    return -1 if "embeddings" in parts else HEAD


COMPLETE = "complete"


class _Progress(TrainerCallback):
    """A line an epoch, and a mark in each checkpoint that is whole: a kill in mid-write leaves one without it."""

    def __init__(self, report: Report, epochs: int) -> None:
        self._report = report
        self._epochs = epochs
        self._began = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.best_global_step:
            # A checkpoint keeps the path of the best one, and the run's folder may have another path by now.
            state.best_model_checkpoint = str(_checkpoint(args, state.best_global_step))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        every = max(1, state.max_steps // self._epochs // 4)
        if state.global_step % every == 0:
            gone = time.monotonic() - self._began
            self._report(f"  step {state.global_step} of {state.max_steps}, {gone:.0f} s")

    def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        f1 = given["metrics"]["eval_span_f1"]
        self._report(f"epoch {state.epoch:.0f} of {self._epochs}: dev span F1 {f1:.4f}")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            (_checkpoint(args, state.global_step) / COMPLETE).touch()


def _checkpoint(args: Any, step: int) -> Path:
    return Path(args.output_dir) / f"checkpoint-{step}"


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint below a run's folder."""
    whole = [p.parent for p in (folder / "checkpoints").glob(f"checkpoint-*/{COMPLETE}")]
    return max(whole, key=lambda p: int(p.name.rpartition("-")[2]), default=None)


def _stopped_after(checkpoint: Path) -> int | None:
    """After how many epochs the run had stopped with this checkpoint; None if it was to go on.

    Trainer forgets on resuming that it was to stop early, and would train an epoch more.
    """
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    stopped = state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]
    return round(state["epoch"]) if stopped else None


# --------------------------------------------------------------------------------------- the run


def train(
    config: TrainConfig,
    folder: Path | str | None = None,
    *,
    resume: bool = False,
    report: Report | None = None,
) -> Path:
    """Fine-tune and return the run's folder.

    Args:
        folder: where to; None: runs/NAME-DATE-TIME, or with `resume` the newest unfinished run of that name.
        resume: go on from the last whole checkpoint; the weights end the same as without the interruption.
        report: gets lines of progress; None: they go to standard error.

    Raises:
        UsageError: the folder already holds a finished model, another configuration's run, or nothing to resume; the
            data has changed since the run that is to be resumed began.
        DataError: the training data is broken.
    """
    say = report or (lambda line: print(line, file=sys.stderr, flush=True))
    folder = _run_folder(config, folder, resume)
    scheme, train_documents, dev_documents = load_data(config)
    encoder = character_encoder(config.encoder.name, config.encoder.layers)
    vocabulary = Vocabulary.load(encoder / VOCABULARY)
    size = config.window.window
    _check_positions(encoder, size)
    tagset = TagSet(scheme.labels)
    disable_progress_bars()
    rows, lost = training_windows(train_documents, vocabulary, size, tagset)
    say(
        f"training on {len(train_documents)} documents ({lost['characters']:,} characters, {lost['spans']:,} spans), "
        f"choosing on {len(dev_documents)}; {lost['spans_cut']} spans are longer than a window holds, "
        f"{lost['unknown_characters']} characters are unknown to the encoder"
    )
    seen = {d.text for d in train_documents} & {d.text for d in dev_documents}
    if seen:
        say(f"{len(seen)} of the texts to choose on are trained on too: their scores will say nothing")
    if not int(os.environ.get("RANK", "0")):
        _begin(folder, config, _hashes(train_documents, dev_documents), resume)

    def score(model: PreTrainedModel) -> dict[str, float]:
        found = find_spans(
            [d.text for d in dev_documents],
            lambda tokens, mask: logits(model, tokens, mask),
            vocabulary,
            size,
            tagset,
        )
        right = total_spans(zip((d.spans for d in dev_documents), found, strict=True))
        return {"eval_span_f1": right.f1, "eval_precision": right.precision, "eval_recall": right.recall}

    transformers.set_seed(config.training.seed)
    model = new_model(encoder, tagset, config.training.dropout)
    trainer = _Trainer(
        config.training,
        list(rows["length"]),
        score,
        model=model,
        args=_arguments(config, folder, len(rows)),
        train_dataset=rows.remove_columns("length"),
        eval_dataset=rows,
        data_collator=_collate(vocabulary),
        callbacks=[
            EarlyStoppingCallback(early_stopping_patience=config.training.patience),
            _Progress(say, config.training.epochs),
        ],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    checkpoint = last_checkpoint(folder) if resume else None
    if checkpoint and (epochs := _stopped_after(checkpoint)):
        trainer.args.num_train_epochs = epochs
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.is_world_process_zero():
        if trainer.state.global_step < trainer.state.max_steps:
            say(f"stopped after {config.training.patience} epochs without a better dev span F1")
        _finish(trainer, config, folder, encoder, scheme, (train_documents, dev_documents), lost, say)
    return folder


def _run_folder(config: TrainConfig, folder: Path | str | None, resume: bool) -> Path:
    if int(os.environ.get("RANK", "0")) or (folder is None and "RANK" in os.environ):
        # One of several processes (torchrun): the first of them looks at the folder, and all must mean the same one.
        if folder is None:
            raise UsageError("several processes need the name of one folder", remedy="add -o FOLDER")
        return Path(folder)
    if folder is not None:
        folder = Path(folder)
        if (folder / DESCRIPTION).exists():
            raise UsageError(f"{folder} already holds a finished model", remedy="name another folder with -o")
        if resume and not (folder / "train.toml").exists():
            raise UsageError(
                f"{folder} holds no run to resume", remedy="leave --resume away to begin one there"
            )
    elif resume:
        begun = [p.parent for p in RUNS.glob("*/train.toml") if not (p.parent / DESCRIPTION).exists()]
        begun = [p for p in begun if _is_of(p, config)]
        if not begun:
            raise UsageError(
                f"no unfinished run of this configuration lies in {RUNS.resolve()}",
                remedy="name its folder with -o, or leave --resume away to begin a new one",
            )
        return max(begun, key=lambda p: (p / "train.toml").stat().st_mtime)
    else:
        return RUNS / f"{config.name}-{datetime.now():%Y%m%d-%H%M%S}"
    if (folder / "train.toml").exists():
        if TrainConfig.load(folder / "train.toml") != config:
            raise UsageError(
                f"{folder} holds a run of another configuration",
                remedy=f"give that one (--config {folder / 'train.toml'}), or name another folder with -o",
            )
        if not resume:
            raise UsageError(
                f"{folder} holds an unfinished run", remedy="add --resume, or name another folder with -o"
            )
    return folder


def _hashes(train_documents: Sequence[Document], dev_documents: Sequence[Document]) -> dict[str, Any]:
    parts = {"train": train_documents, "dev": dev_documents}
    return {
        name: {"documents": len(documents), "sha256": split_hash(documents)}
        for name, documents in parts.items()
    }


def _begin(folder: Path, config: TrainConfig, data: Mapping[str, Any], resume: bool) -> None:
    """Write down what the run is made from. If it is resumed, that has to be what it was made from so far."""
    record = folder / "run.json"
    if resume and record.exists():
        begun = json.loads(record.read_text(encoding="utf-8"))["data"]
        changed = [name for name in data if data[name] != begun[name]]
        if changed:
            raise UsageError(
                f"the {' and '.join(changed)} data is not what {folder} was begun with",
                remedy="restore it, or train anew in another folder",
            )
    with replacing(record) as file:
        json.dump({"data": data}, file)
    with replacing(folder / "train.toml") as file:
        file.write(config.to_toml())


def _is_of(folder: Path, config: TrainConfig) -> bool:
    try:
        return TrainConfig.load(folder / "train.toml") == config
    except UsageError:  # that of another version
        return False


def _check_positions(encoder: Path, size: WindowSize) -> None:
    positions = json.loads((encoder / "config.json").read_text(encoding="utf-8"))["max_position_embeddings"]
    if size.size + 2 > positions:
        raise UsageError(
            f"windows of {size.size} characters do not fit the encoder's {positions} positions ([CLS] and [SEP] take two)",
            remedy=f"--set window.size={positions - 2}, or less",
        )


def _arguments(config: TrainConfig, folder: Path, rows: int) -> TrainingArguments:
    given = config.training
    cuda = torch.cuda.is_available()
    bf16 = given.precision == "bf16" or (given.precision == "auto" and has_bf16())
    fp16 = given.precision == "fp16" or (given.precision == "auto" and cuda and not bf16)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    steps = math.ceil(rows / (given.batch_size * processes)) * given.epochs
    return TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        num_train_epochs=given.epochs,
        per_device_train_batch_size=given.batch_size,
        warmup_steps=round(steps * given.warmup),
        lr_scheduler_type="linear",
        max_grad_norm=given.clip,
        seed=given.seed,
        use_cpu=not cuda,
        # Without a backend's name several processes on CPUs would each train alone.
        ddp_backend="gloo" if processes > 1 and not cuda else None,
        bf16=bf16,
        fp16=fp16,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=3,
        load_best_model_at_end=True,
        metric_for_best_model="eval_span_f1",
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        logging_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=cuda,
        dataloader_num_workers=0,
    )


def _finish(
    trainer: Trainer, config: TrainConfig, folder: Path, encoder: Path, scheme: LabelScheme,
    data: tuple[list[Document], list[Document]], lost: Mapping[str, int], say: Report,
) -> None:  # fmt: skip
    """Write the model, score it on dev by the way that users go, describe it, and clear the checkpoints away."""
    model: Any = trainer.model
    model.save_pretrained(folder)
    shutil.copyfile(encoder / VOCABULARY, folder / VOCABULARY)
    shutil.copyfile(_labelling(config), folder / LABELLING)
    say("writing model.onnx for inference without torch")
    export_onnx(folder)
    train_documents, dev_documents = data
    described = ModelFolder(
        folder, config.name, f"{datetime.now():%Y-%m-%d}", scheme, config.window.window
    ).hashed()
    described, linking = refit(described, train_documents, dev_documents, config.linker.kind, say)
    extractor = Extractor(described, OnnxBackend(folder / ONNX))
    scores = evaluate([prepare_gold(d, scheme) for d in dev_documents], extractor(dev_documents)).to_json()
    record = {
        "gongbao": gongbao.__version__,
        "data": {**_hashes(train_documents, dev_documents), "lost": dict(lost)},
        "encoder": {"name": config.encoder.name, **describe(encoder)},
        "environment": environment(),
        "epochs": [
            entry for entry in trainer.state.log_history if "eval_span_f1" in entry or "loss" in entry
        ],
        "linker": linking,
        "dev": scores,
    }
    with replacing(folder / "run.json") as file:
        json.dump(record, file, ensure_ascii=False, indent=1)
    with replacing(folder / "README.md") as file:
        file.write(card(config, record, described))
    described.save()
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def environment() -> dict[str, str]:
    """What a run was made with."""
    packages = ("torch", "transformers", "datasets", "accelerate", "numpy", "onnxruntime")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": str(torch.get_num_threads()),
        **{name: version(name) for name in packages},
    }


def card(config: TrainConfig, record: Mapping[str, Any], folder: ModelFolder) -> str:
    """The model's card: what it is, what it was made from, how good it is, how to use it."""
    data, dev = record["data"], record["dev"]
    rows = "\n".join(
        f"| {label} | {c['precision']:.3f} | {c['recall']:.3f} | {c['f1']:.3f} | {c['tp'] + c['fn']} |"
        for label, c in [*dev["spans"]["labels"].items(), ("micro", dev["spans"]["micro"])]
    )
    return f"""# {folder.name} ({folder.version})

A gongbao token classifier for {", ".join(folder.scheme.labels)}.

- Encoder: {config.encoder.name}, {record["encoder"]["num_hidden_layers"]} layers, {record["encoder"]["hidden_size"]} wide.
- Training data: {data["train"]["documents"]} documents (sha256 {data["train"]["sha256"][:12]}…), best epoch chosen on
  {data["dev"]["documents"]} (sha256 {data["dev"]["sha256"][:12]}…).
- Links: {"learned from the training data" if record["linker"]["kind"] == "learned" else "by rule"}.
- Scores: probabilities, calibrated on dev (expected calibration error {dev["calibration_error"] or 0:.3f} there).
- Configuration: train.toml. Everything else that was recorded: run.json.

| dev | precision | recall | F1 | gold |
|---|---|---|---|---|
{rows}

The best epoch was chosen on these documents, so other text will score lower; `gongbao evaluate` tells.

    gongbao predict report.docx --model {folder.path.name}
    gongbao train --config train.toml
"""
