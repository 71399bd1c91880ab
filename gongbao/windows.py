"""Characters to token ids, and long texts to overlapping windows and back.

One character is one token: the tokeniser is a look-up of single characters in the encoder's own vocabulary, so
characters and tokens are the same positions. A text longer than a window is read in overlapping windows, and
each character is judged in the window in which it has most context on its shorter side.
"""

from __future__ import annotations

import itertools
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gongbao.schema import DataError
from gongbao.sentences import sentences

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
BLANK = "▁"  # stands for every kind of white space, as in SentencePiece


class Vocabulary:
    """Single characters and their ids.

    A character is looked up as it is, then as white space, NFKC-folded (the first character of the folded form),
    and in lower case; what is left is `[UNK]`. The text itself is never changed.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = tuple(tokens)
        self._ids: dict[str, int] = {}
        for n, token in enumerate(self.tokens):
            if token in self._ids:
                raise DataError(f"the vocabulary holds {token!r} twice, as {self._ids[token]} and {n}")
            self._ids[token] = n
        for token in (PAD, UNK, CLS, SEP):
            if token not in self._ids:
                raise DataError(
                    f"the vocabulary has no {token}", remedy="use the vocabulary of a BERT-family encoder"
                )
        self.pad, self.unk, self.cls, self.sep = (self._ids[t] for t in (PAD, UNK, CLS, SEP))
        self._seen: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def load(cls, path: Path | str) -> Vocabulary:
        """Read a vocab.txt: a token a line. DataError tells why it cannot be read."""
        try:
            # Not splitlines(): U+2028 and its like are characters of the vocabulary.
            text = Path(path).read_text(encoding="utf-8")
            return cls(text.removesuffix("\n").split("\n"))
        except DataError as error:
            raise error.within(file=path) from None
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(
                f"the vocabulary cannot be read: {why}",
                file=path,
                remedy="copy the model folder again, whole",
            ) from None

    def id(self, character: str) -> int:
        """The id of one character."""
        found = self._seen.get(character)
        if found is None:
            found = self._seen[character] = self._look_up(character)
        return found

    def _look_up(self, character: str) -> int:
        folded = unicodedata.normalize("NFKC", character)[:1]
        blank = BLANK if character.isspace() or folded.isspace() else ""
        for form in (character, blank, folded, folded.lower()):
            if len(form) == 1 and form in self._ids:
                return self._ids[form]
        return self.unk

    def encode(self, text: str) -> npt.NDArray[np.int64]:
        """Ids of every character, shape (len(text),), without [CLS] and [SEP]."""
        seen = self._seen
        try:
            return np.fromiter(map(seen.__getitem__, text), np.int64, len(text))
        except KeyError:
            for character in set(text):
                self.id(character)
            return np.fromiter(map(seen.__getitem__, text), np.int64, len(text))


@dataclass(frozen=True, slots=True)
class Window:
    """Characters `start:end` are read together; those in `own_start:own_end` are judged here."""

    start: int
    end: int
    own_start: int
    own_end: int


@dataclass(frozen=True, slots=True)
class WindowSize:
    """How long a window is and how far it reaches into the next, in characters ([CLS] and [SEP] not counted)."""

    size: int
    overlap: int

    def __post_init__(self) -> None:
        if not 1 <= self.overlap * 3 <= self.size:
            raise DataError(
                f"windows of {self.size} characters cannot overlap by {self.overlap}",
                remedy="let the overlap be at least 1 and at most a third of the size",
            )


def windows(text: str, size: WindowSize) -> list[Window]:
    """Cut a text into windows whose own parts cover every character exactly once.

    A window ends at the last sentence end of its final quarter where there is one, and the next begins `overlap` before
    that, at a sentence start if one is within half an overlap. The own parts meet in the middle of the overlap, so that no
    character could be judged with more context on its shorter side.
    """
    n = len(text)
    if n <= size.size:
        return [Window(0, n, 0, n)] if n else []
    bounds = sorted({edge for pair in sentences(text) for edge in pair} | {0, n})
    cuts: list[tuple[int, int]] = []
    start = 0
    while True:
        if start + size.size >= n:
            cuts.append((start, n))
            break
        end = _near(bounds, start + size.size * 3 // 4, start + size.size, last=True)
        cuts.append((start, end))
        start = _near(bounds, end - size.overlap * 3 // 2, end - size.overlap // 2, near=end - size.overlap)
    edges = [0, *((a[1] + b[0] + 1) // 2 for a, b in itertools.pairwise(cuts)), n]
    return [Window(s, e, edges[k], edges[k + 1]) for k, (s, e) in enumerate(cuts)]


def _near(bounds: Sequence[int], low: int, high: int, *, near: int = 0, last: bool = False) -> int:
    """The bound in [low, high] that is the last or the nearest to `near`; without one `high` or `near`."""
    inside = bounds[bisect_left(bounds, low) : bisect_right(bounds, high)]
    if last:
        return inside[-1] if inside else high
    return min(inside, key=lambda b: abs(b - near)) if inside else near


def held(start: int, end: int, cut: Sequence[Window]) -> bool:
    """Whether some window holds the characters `start:end` whole."""
    return any(w.start <= start and end <= w.end for w in cut)


def batches(
    lengths: Sequence[int], *, tokens: int = 4096, multiple: int = 8
) -> list[tuple[npt.NDArray[np.int64], int]]:
    """Group windows of like length, longest first.

    Returns:
        (indices, width) for each batch: `len(indices) * width` is at most `tokens` (one window at the least), and
        `width` is the longest of them with [CLS] and [SEP], rounded up to `multiple`.
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    out = []
    at = 0
    while at < len(order):
        width = -(-(lengths[order[at]] + 2) // multiple) * multiple
        count = max(1, tokens // width)
        out.append((order[at : at + count], width))
        at += count
    return out


def pad(
    ids: Sequence[npt.NDArray[np.int64]], width: int, vocabulary: Vocabulary
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """[CLS] ids [SEP] padded to `width`: token ids and attention mask, both (len(ids), width)."""
    tokens = np.full((len(ids), width), vocabulary.pad, np.int64)
    mask = np.zeros((len(ids), width), np.int64)
    for row, window in enumerate(ids):
        n = len(window)
        tokens[row, 0] = vocabulary.cls
        tokens[row, 1 : n + 1] = window
        tokens[row, n + 1] = vocabulary.sep
        mask[row, : n + 2] = 1
    return tokens, mask
