"""From text to a Document with everything in it: spans, values, links, facts. The only path to a prediction.

Two back ends differ in the middle step alone, from token ids to logits: ONNX Runtime, which needs no torch, and torch. With
ONNX Runtime a document's result is bit for bit the same whatever is read beside it, int8 included; with torch logits may
differ in the sixth decimal.

While the encoder reads one chunk of text, the spans of the chunk before are decoded and linked. So a stream is read one chunk ahead
of what it gives, and no more than two are held, whatever its length. A long document goes through in sections.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Final, Literal, Protocol, overload

import numpy as np
import numpy.typing as npt

from gongbao.calibration import Calibration
from gongbao.facts import Linker, RuleLinker, complete
from gongbao.learned_linking import LearnedLinker
from gongbao.model_folder import CONFIG, LINKER, ONNX, VOCABULARY, WEIGHTS, ModelFolder, default_model
from gongbao.schema import Document, Span, SpanKey, UsageError
from gongbao.sentences import sentences
from gongbao.suspects import Judged
from gongbao.tagging import ScoredSpan, TagSet, decode_spans_many, span_probabilities
from gongbao.windows import Vocabulary, WindowSize, batches, pad, windows

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

_AS_IT_IS = Calibration()
CHUNK = 20_000
"""Characters that the encoder is given before the first of them are decoded, and of a section of a long document. Two chunks'
log-probabilities are what a run holds."""
_MANY: Final = 2_000  # sections of a chunk: a great many may be empty
_JOB: Final = 1024  # tokens that a thread takes at a time


class Backend(Protocol):
    """Token ids and mask, both (windows, width), to logits, (windows, width, tags) float32."""

    def __call__(self, tokens: Ids, mask: Ids) -> Array:
        """Run the encoder and its head."""
        ...


class OnnxBackend:
    """`model.onnx` with ONNX Runtime: each window by itself, without padding, several at a time.

    So quantised layers, whose scale is that of what a run is given, depend on nothing but the window, and
    two threads with a window each are quicker than two at the same one (docs/inference.md has the figures).

    Args:
        model: the file, or what is in it.
        threads: windows at a time; None: as many as there are cores.
    """

    name = "onnx"

    def __init__(self, model: Path | bytes, threads: int | None = None) -> None:
        import onnxruntime

        self.workers = threads or _cores()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"],
                disabled_optimizers=["SkipLayerNormFusion"],  # its kernel is many times slower than what it fuses
            )  # fmt: skip
        except Exception as error:  # onnxruntime's own exceptions have no common base but this
            raise UsageError(
                f"{model if isinstance(model, Path) else 'the model'} cannot be loaded: {str(error).splitlines()[0]}",
                remedy="copy the model folder again, whole, or write the file anew with `gongbao model export`",
            ) from None
        self._inputs = {given.name for given in self._session.get_inputs()}

    def __call__(self, tokens: Ids, mask: Ids) -> Array:
        """Run the encoder and its head. What the padding gets is 0."""
        found = [self._window(row[:n][None]) for row, n in zip(tokens, mask.sum(axis=1), strict=True)]
        out = np.zeros((*tokens.shape, found[0].shape[-1]), np.float32)
        for row, logits in zip(out, found, strict=True):
            row[: logits.shape[1]] = logits[0]
        return out

    def _window(self, tokens: Ids) -> Array:
        # Models of before this way of reading ask for a mask too.
        given = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        out: Array = self._session.run(["logits"], {name: given[name] for name in self._inputs})[0]
        return out


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class TorchBackend:
    """The safetensors weights with torch, on the GPU if there is one."""

    name = "torch"
    workers = 1  # torch's own threads share one batch

    def __init__(self, folder: ModelFolder, threads: int | None = None) -> None:
        try:
            import torch

            from gongbao.model import load_model
        except ModuleNotFoundError as error:
            raise UsageError(
                f"the torch back end needs {error.name}, which is not installed",
                remedy="pip install 'gongbao[train]', or use the model's ONNX file (--backend onnx)",
            ) from None
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            self._model = load_model(folder)
        except (
            Exception
        ) as error:  # of transformers, safetensors and torch, which have no common base but this
            raise UsageError(
                f"the weights in {folder.path} cannot be loaded: {f'{error}'.partition(chr(10))[0]}",
                remedy="copy the model folder again, whole",
            ) from None

    def __call__(self, tokens: Ids, mask: Ids) -> Array:
        """Run the encoder and its head."""
        from gongbao.model import logits

        return logits(self._model, tokens, mask)


def emissions(
    texts: Sequence[str], backend: Backend, vocabulary: Vocabulary, size: WindowSize, batch_tokens: int = 4096
) -> list[Array]:
    """Log-probabilities of the tags of every character of every text, (len(text), tags) each.

    Windows of all texts are sorted by length and run in batches of at most `batch_tokens` tokens; of each window
    the part it owns is kept (windows.py).
    """
    return _Reading(texts, backend, vocabulary, size, batch_tokens).emissions()


class _Reading:
    """Texts on their way through the encoder: begun when this is made, in a pool's threads if there is one."""

    def __init__(
        self, texts: Sequence[str], backend: Backend, vocabulary: Vocabulary, size: WindowSize,
        batch_tokens: int, pool: Executor | None = None,
    ) -> None:  # fmt: skip
        self._count = len(texts)
        self._cut = [(n, window) for n, text in enumerate(texts) for window in windows(text, size)]
        ids = [vocabulary.encode(text) for text in texts]
        self._batches = batches([w.end - w.start for _, w in self._cut], tokens=batch_tokens)

        def run(batch: tuple[Ids, int]) -> list[Array]:
            chosen = [self._cut[k] for k in batch[0]]
            tokens, mask = pad([ids[n][w.start : w.end] for n, w in chosen], batch[1], vocabulary)
            out = backend(tokens, mask)
            # + 1 for [CLS]
            return [
                _log_softmax(row[w.own_start - w.start + 1 : w.own_end - w.start + 1])
                for row, (_, w) in zip(out, chosen, strict=True)
            ]

        self._found: Iterator[list[Array]] = (pool.map if pool else map)(run, self._batches)

    def emissions(self) -> list[Array]:
        """What `emissions` gives, as soon as all of it is there."""
        parts: list[list[tuple[int, Array]]] = [[] for _ in range(self._count)]
        for (chosen, _), found in zip(self._batches, self._found, strict=True):
            for k, part in zip(chosen.tolist(), found, strict=True):
                parts[self._cut[k][0]].append((k, part))
        return [
            np.concatenate([part for _, part in sorted(own, key=itemgetter(0))])
            if own
            else np.zeros((0, 0), np.float32)
            for own in parts
        ]


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    out: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out


def find_spans(
    texts: Sequence[str],
    backend: Backend,
    vocabulary: Vocabulary,
    size: WindowSize,
    tagset: TagSet,
    batch_tokens: int = 4096,
    calibration: Calibration = _AS_IT_IS,
) -> list[list[Span]]:
    """The best legal spans of each text with their calibrated scores; ids s1, s2, … in order.

    Each sentence is decoded by itself, so that no span reaches from a title or a date line into the text below it.
    """
    found = _decoded(texts, emissions(texts, backend, vocabulary, size, batch_tokens), tagset)
    return [_spans(text, own, calibration) for text, own in zip(texts, found, strict=True)]


def _decoded(texts: Sequence[str], log_probs: Sequence[Array], tagset: TagSet) -> list[list[ScoredSpan]]:
    """The best legal spans of each text, with the model's own probabilities."""
    places = [(n, start, end) for n, text in enumerate(texts) for start, end in sentences(text)]
    decoded = decode_spans_many([log_probs[n][start:end] for n, start, end in places], tagset)
    found: list[list[ScoredSpan]] = [[] for _ in texts]
    for (n, offset, _), own in zip(places, decoded, strict=True):
        found[n] += [replace(s, start=s.start + offset, end=s.end + offset) for s in own]
    return found


def _spans(
    text: str, found: Sequence[ScoredSpan], calibration: Calibration, offset: int = 0, before: int = 0
) -> list[Span]:
    """What was found in a text, as spans of the document in which it begins at `offset` and `before` spans come before it."""
    return [
        Span(
            s.start + offset, s.end + offset, s.label, text[s.start : s.end], id=f"s{n}",
            score=round(calibration(s.score, s.label), 4),
        )
        for n, s in enumerate(found, before + 1)
    ]  # fmt: skip


def _probabilities(document: Document, log_probs: Array, tagset: TagSet) -> dict[SpanKey, float]:
    """How probable each span of a document is among all readings of its sentence; 0 for one that crosses its end."""
    places = sentences(document.text)
    keys = [span.key for span in document.spans]
    inside = [[k for k in keys if start <= k[0] and k[1] <= end] for start, end in places]
    found = span_probabilities(
        [log_probs[start:end] for start, end in places],
        [
            [(s - start, e - start, label) for s, e, label in own]
            for (start, _), own in zip(places, inside, strict=True)
        ],
        tagset,
    )
    said = {key: p for own, ps in zip(inside, found, strict=True) for key, p in zip(own, ps, strict=True)}
    return {key: said.get(key, 0.0) for key in keys}


def _linker(folder: ModelFolder) -> Linker:
    if folder.linker is None:
        return RuleLinker(folder.scheme)
    return LearnedLinker.load(folder.linker, folder.scheme)


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of a document that is read by itself."""

    document: Document
    offset: int
    text: str
    is_last: bool


def _sections(document: Document) -> Iterator[_Section]:
    """The whole of a document, or if it is long, parts of it that begin where a sentence does."""
    text, at = document.text, 0
    while len(text) - at > CHUNK:
        part = text[at : at + CHUNK]
        # The last sentence in it may be cut.
        start = sentences(part)[-1:]
        end = start[0][0] if start and start[0][0] > CHUNK // 2 else CHUNK
        yield _Section(document, at, part[:end], False)
        at += end
    yield _Section(document, at, text[at:] if at else text, True)


def _chunks(given: Iterable[str | Document]) -> Iterator[list[_Section]]:
    waiting: list[_Section] = []
    characters = 0
    for n, item in enumerate(given, 1):
        for section in _sections(item if isinstance(item, Document) else Document(id=f"text-{n}", text=item)):
            waiting.append(section)
            characters += len(section.text)
            if characters >= CHUNK or len(waiting) >= _MANY:
                yield waiting
                waiting, characters = [], 0
    if waiting:
        yield waiting


class Extractor:
    """A loaded model. Call it with a text, a Document, or a list of either.

    Args:
        folder: the model's description.
        backend: what runs it.
        linker: what links spans; None: the model's learned linker, or the rules where it has none.
        batch_tokens: tokens that the back end is given at a time, padding included; None: what suits it.
    """

    def __init__(
        self,
        folder: ModelFolder,
        backend: Backend,
        linker: Linker | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        self.folder = folder
        self._backend = backend
        self._linker = linker or _linker(folder)
        workers = getattr(backend, "workers", 1)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="encoder")
        self._batch_tokens = batch_tokens or (_JOB if workers > 1 else 4096)
        self._vocabulary = folder.vocabulary

    @classmethod
    def load(
        cls,
        folder: Path | str | None = None,
        backend: Literal["auto", "onnx", "torch"] = "auto",
        threads: int | None = None,
    ) -> Extractor:
        """Load a model folder; without one the default model (models/), else the newest run.

        Args:
            backend: `auto` takes the ONNX file where there is one.

        Raises:
            UsageError: no such model, a back end that is not installed, or a file that cannot be loaded.
            DataError: a file that is to be loaded is not the one that was saved with the model.
        """
        described = ModelFolder.load(folder if folder is not None else default_model())
        if backend == "onnx" and described.onnx is None:
            raise UsageError(
                f"{described.path} has no ONNX file",
                remedy="write it with `gongbao model export`, or use --backend torch",
            )
        if backend != "torch" and described.onnx is not None:
            described.check(CONFIG, VOCABULARY, LINKER, ONNX)
            return cls(described, OnnxBackend(described.onnx, threads))
        if not (described.path / WEIGHTS).exists():
            raise UsageError(
                f"{described.path} holds no {WEIGHTS}" + ("" if described.onnx else f" and no {ONNX}"),
                remedy="copy the model folder again, whole",
            )
        described.check(CONFIG, VOCABULARY, LINKER, WEIGHTS)
        return cls(described, TorchBackend(described, threads))

    @overload
    def __call__(self, given: str | Document) -> Document: ...  # type: ignore[overload-overlap]  # a str is a Sequence[str] too
    @overload
    def __call__(self, given: Sequence[str | Document]) -> list[Document]: ...
    def __call__(self, given: str | Document | Sequence[str | Document]) -> Document | list[Document]:
        """Spans, values, links and facts of one text or of each of several; a Document keeps its id and meta."""
        if isinstance(given, str | Document):
            return next(self.stream([given]))
        return list(self.stream(given))

    def stream(self, given: Iterable[str | Document]) -> Iterator[Document]:
        """The same for any number of texts, one after another, however many or long they are.

        At most two CHUNKs are in work at a time, beside the document they are of with its spans.
        """
        spans: list[Span] = []  # of a document of which not all sections are read
        for sections, log_probs in self._read(given):
            found = _decoded([s.text for s in sections], log_probs, self.folder.tagset)
            for section, own in zip(sections, found, strict=True):
                spans += _spans(section.text, own, self.folder.calibration, section.offset, len(spans))
                if section.is_last:
                    yield self._whole(section.document, spans)
                    spans = []

    def _read(self, given: Iterable[str | Document]) -> Iterator[tuple[list[_Section], list[Array]]]:
        """Sections with the log-probabilities of their characters' tags."""
        reading: deque[tuple[list[_Section], _Reading]] = deque()
        for chunk in chain(_chunks(given), (None,)):
            if chunk is not None:
                reading.append((chunk, self._begin([section.text for section in chunk])))
            while len(reading) > (chunk is not None):
                sections, begun = reading.popleft()
                yield sections, begun.emissions()

    def _begin(self, texts: Sequence[str]) -> _Reading:
        return _Reading(
            texts, self._backend, self._vocabulary, self.folder.window, self._batch_tokens, self._pool
        )

    def _whole(self, document: Document, spans: Sequence[Span]) -> Document:
        """The document with these spans, their values, links and facts in place of what it had."""
        scheme = self.folder.scheme
        bare = document.replace(
            spans=tuple(spans), links=(), facts=(), model=self.folder.identity(), scheme=scheme
        )
        return complete(bare, scheme, self._linker)

    def judge(self, documents: Sequence[Document]) -> dict[str, Judged]:
        """What the model makes of annotated documents, by id: its own spans, and the probability of each annotated one.

        These are the model's own probabilities, not calibrated, so that its spans and the annotated ones compare.

        Labels that the model does not have are left out of the probabilities.
        """
        return {document.id: judged for document, judged in self.read_and_judge(documents)}

    def read_and_judge(self, documents: Iterable[Document]) -> Iterator[tuple[Document, Judged]]:
        """What `stream` gives and what `judge` says, from one reading of each annotated document."""
        tagset = self.folder.tagset
        scored: list[Span] = []
        plain: list[Span] = []
        parts: list[Array] = []
        for sections, log_probs in self._read(documents):
            found = _decoded([section.text for section in sections], log_probs, tagset)
            for section, own, its in zip(sections, log_probs, found, strict=True):
                at = (section.offset, len(scored))
                scored += _spans(section.text, its, self.folder.calibration, *at)
                plain += _spans(section.text, its, _AS_IT_IS, *at)
                parts.append(own)
                if section.is_last:
                    document = section.document
                    known = document.replace(
                        spans=tuple(s for s in document.spans if s.label in tagset.labels), links=(), facts=()
                    )
                    said = _probabilities(known, np.concatenate(parts), tagset)
                    yield self._whole(document, scored), Judged(known.replace(spans=tuple(plain)), said)
                    scored, plain, parts = [], [], []
