"""From text to a Document with everything in it: spans, values, links, facts. The only path to a prediction.

Two back ends differ in the middle step alone, from token ids to logits: ONNX Runtime, which needs no torch, and torch. With
ONNX Runtime a document's result is bit for bit the same whatever is read beside it; with torch logits may
differ in the sixth decimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, overload

import numpy as np
import numpy.typing as npt

from gongbao.calibration import Calibration
from gongbao.facts import Linker, RuleLinker, complete
from gongbao.learned_linking import LearnedLinker
from gongbao.model_folder import CONFIG, LINKER, ONNX, VOCABULARY, WEIGHTS, ModelFolder, default_model
from gongbao.schema import Document, Span, SpanKey, UsageError
from gongbao.sentences import sentences
from gongbao.suspects import Judged
from gongbao.tagging import TagSet, decode_spans_many, span_probabilities
from gongbao.windows import Vocabulary, WindowSize, batches, pad, windows

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

_AS_IT_IS = Calibration()
# How many characters are read before the first of them is decoded: bounds the memory of a long run of documents.
CHUNK = 100_000


class Backend(Protocol):
    """Token ids and mask, both (windows, width), to logits, (windows, width, tags) float32."""

    def __call__(self, tokens: Ids, mask: Ids) -> Array:
        """Run the encoder and its head."""
        ...


class OnnxBackend:
    """`model.onnx` with ONNX Runtime.

    Args:
        threads: for one operation; None: as many as there are cores.
    """

    name = "onnx"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions have no common base but this
            raise UsageError(
                f"{path} cannot be loaded: {str(error).splitlines()[0]}",
                remedy="copy the model folder again, whole, or write the file anew with `gongbao model export`",
            ) from None

    def __call__(self, tokens: Ids, mask: Ids) -> Array:
        """Run the encoder and its head."""
        out: Array = self._session.run(["logits"], {"input_ids": tokens, "attention_mask": mask})[0]
        return out


class TorchBackend:
    """The safetensors weights with torch, on the GPU if there is one."""

    name = "torch"

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
    cut = [(n, window) for n, text in enumerate(texts) for window in windows(text, size)]
    ids = [vocabulary.encode(text) for text in texts]
    parts: list[Array | None] = [None] * len(cut)
    for chosen, width in batches([w.end - w.start for _, w in cut], tokens=batch_tokens):
        tokens, mask = pad(
            [ids[cut[k][0]][cut[k][1].start : cut[k][1].end] for k in chosen], width, vocabulary
        )
        out = backend(tokens, mask)
        for row, k in enumerate(chosen):
            window = cut[k][1]
            # + 1 for [CLS]
            parts[k] = _log_softmax(
                out[row, window.own_start - window.start + 1 : window.own_end - window.start + 1]
            )
    found: list[list[Array]] = [[] for _ in texts]
    for (n, _), part in zip(cut, parts, strict=True):
        assert part is not None
        found[n].append(part)
    return [np.concatenate(p) if p else np.zeros((0, 0), np.float32) for p in found]


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
    return _decoded(texts, emissions(texts, backend, vocabulary, size, batch_tokens), tagset, calibration)


def _decoded(
    texts: Sequence[str], log_probs: Sequence[Array], tagset: TagSet, calibration: Calibration = _AS_IT_IS
) -> list[list[Span]]:
    places = [(n, start, end) for n, text in enumerate(texts) for start, end in sentences(text)]
    decoded = decode_spans_many([log_probs[n][start:end] for n, start, end in places], tagset)
    spans: list[list[Span]] = [[] for _ in texts]
    for (n, offset, _), found in zip(places, decoded, strict=True):
        for s in found:
            start, end = offset + s.start, offset + s.end
            said = texts[n][start:end]
            spans[n].append(
                Span(
                    start, end, s.label, said, id=f"s{len(spans[n]) + 1}",
                    score=round(calibration(s.score, s.label), 4),
                )
            )  # fmt: skip
    return spans


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


class Extractor:
    """A loaded model. Call it with a text, a Document, or a list of either.

    Args:
        folder: the model's description.
        backend: what runs it.
        linker: what links spans; None: the model's learned linker, or the rules where it has none.
        batch_tokens: tokens in one run of the encoder, padding included.
    """

    def __init__(
        self, folder: ModelFolder, backend: Backend, linker: Linker | None = None, batch_tokens: int = 4096
    ) -> None:
        self.folder = folder
        self._backend = backend
        self._linker = linker or _linker(folder)
        self._batch_tokens = batch_tokens
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
        """The same for any number of texts, one after another.

        About CHUNK characters are held at a time, but always whole documents: one of 10 million characters takes gigabytes.
        """
        waiting: list[Document] = []
        characters = 0
        for n, item in enumerate(given, 1):
            waiting.append(item if isinstance(item, Document) else Document(id=f"text-{n}", text=item))
            characters += len(waiting[-1].text)
            if characters >= CHUNK:
                yield from self._read(waiting)
                waiting, characters = [], 0
        yield from self._read(waiting)

    def judge(self, documents: Sequence[Document]) -> dict[str, Judged]:
        """What the model makes of annotated documents, by id: its own spans, and the probability of each annotated one.

        These are the model's own probabilities, not calibrated, so that its spans and the annotated ones compare.

        Labels that the model does not have are left out of the probabilities.
        """
        texts = [d.text for d in documents]
        tagset = self.folder.tagset
        log_probs = emissions(texts, self._backend, self._vocabulary, self.folder.window, self._batch_tokens)
        out = {}
        for document, found, own in zip(
            documents, _decoded(texts, log_probs, tagset), log_probs, strict=True
        ):
            known = document.replace(
                spans=tuple(s for s in document.spans if s.label in tagset.labels), links=(), facts=()
            )
            out[document.id] = Judged(known.replace(spans=tuple(found)), _probabilities(known, own, tagset))
        return out

    def _read(self, documents: Sequence[Document]) -> Iterator[Document]:
        spans = find_spans(
            [d.text for d in documents], self._backend, self._vocabulary, self.folder.window, self.folder.tagset,
            self._batch_tokens, self.folder.calibration,
        )  # fmt: skip
        for document, found in zip(documents, spans, strict=True):
            bare = document.replace(
                spans=tuple(found),
                links=(),
                facts=(),
                model=self.folder.identity(),
                scheme=self.folder.scheme,
            )
            yield complete(bare, self.folder.scheme, self._linker)
