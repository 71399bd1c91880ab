"""Documents that are nearly the same, and splits that keep them on one side.

Texts are compared folded: without white space and with full-width forms made plain. Their likeness is the
Jaccard index of their sets of character n-grams. Candidates come from MinHash signatures in bands (Broder
1997; Indyk and Motwani 1998), and each of them is then compared exactly, so that no pair is wrong and one in a thousand
at the threshold itself may be missed, fewer above it. Memory is some 600 bytes a text.
"""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gongbao.schema import Document, UsageError
from gongbao.sentences import sentences

Hashes: TypeAlias = NDArray[np.uint64]

DOCUMENT_GRAM: Final = 6
SENTENCE_GRAM: Final = 3
SHORTEST: Final = 12
"""Characters of the shortest sentence that counts as shared; below it are forms of address and headings."""

_HASHES = 128
_BATCH = 1 << 18  # n-grams that are hashed at a time
_MISSED = 0.001


@dataclass(frozen=True, slots=True)
class Pair:
    """Two documents (ids) that are alike; `similarity` is 1.0 for the same text."""

    first: str
    second: str
    similarity: float

    def __str__(self) -> str:
        return f"{self.first} and {self.second} are alike ({self.similarity:.2f})"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"first": self.first, "second": self.second, "similarity": round(self.similarity, 4)}


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a document's text."""

    document: str
    start: int
    end: int
    text: str

    def __str__(self) -> str:
        return f"{self.document}, characters {self.start}-{self.end}: {self.text}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"document": self.document, "start": self.start, "end": self.end, "text": self.text}


@dataclass(frozen=True, slots=True)
class Shared:
    """A sentence that stands, nearly the same, in two sets of documents."""

    first: Place
    second: Place
    similarity: float

    def __str__(self) -> str:
        return f"{self.first}\n{self.second}\n  alike ({self.similarity:.2f})"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "similarity": round(self.similarity, 4),
        }


def folded(text: str) -> str:
    """The text without white space and with full-width and other compatibility forms made plain (NFKC)."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def duplicates(documents: Sequence[Document], threshold: float = 0.8) -> list[Pair]:
    """The pairs of documents whose likeness is the threshold or more, in the documents' order.

    Of several with the same text each is paired with the first of them, and only the first with others.
    """
    return [
        Pair(documents[a].id, documents[b].id, similarity)
        for a, b, similarity in _alike([folded(d.text) for d in documents], DOCUMENT_GRAM, threshold)
    ]


def shared_sentences(a: Sequence[Document], b: Sequence[Document], threshold: float = 0.8) -> list[Shared]:
    """The sentences of `a` that stand in `b` too, or nearly so, each with the places in both.

    Of a sentence that stands several times on one side the first place is given.
    """
    places: dict[str, list[Place | None]] = {}
    for side, documents in enumerate((a, b)):
        for document in documents:
            for start, end in sentences(document.text):
                key = folded(document.text[start:end])
                if len(key) >= SHORTEST:
                    both = places.setdefault(key, [None, None])
                    both[side] = both[side] or Place(document.id, start, end, document.text[start:end])
    found = [Shared(one, two, 1.0) for one, two in places.values() if one and two]
    keys = list(places)
    sides = np.array(
        [(one is not None) + 2 * (two is not None) for one, two in places.values()], dtype=np.uint8
    )
    for i, j, similarity in _alike(keys, SENTENCE_GRAM, threshold, sides):
        for one, two in ((places[keys[i]][0], places[keys[j]][1]), (places[keys[j]][0], places[keys[i]][1])):
            if one and two:
                found.append(Shared(one, two, similarity))
    return found


# ----------------------------------------------------------------------------------------- splits


@dataclass(frozen=True)
class Split:
    """Documents in three parts, and the sentences that stand, nearly the same, in two of them all the same.

    `ungrouped` is the number of documents that no group but only their likeness keeps with others.
    """

    train: tuple[Document, ...]
    dev: tuple[Document, ...]
    test: tuple[Document, ...]
    shared: tuple[Shared, ...]
    ungrouped: int = 0

    @property
    def parts(self) -> dict[str, tuple[Document, ...]]:
        """The parts by name."""
        return {"train": self.train, "dev": self.dev, "test": self.test}

    def __str__(self) -> str:
        told = [
            f"{name:6}{len(part):6} documents {sum(len(d.spans) for d in part):7} spans"
            for name, part in self.parts.items()
        ]
        if self.ungrouped:
            told.append(
                f"{self.ungrouped} documents name no group (place and year): only likeness keeps them together"
            )
        return "\n".join(
            [*told, f"{len(self.shared)} sentences stand in two of them", *map(str, self.shared)]
        )


def place_and_year(document: Document) -> str | None:
    """The default group of a document: its meta's place, and year or year of publication. None without them."""
    place = document.meta.get("place")
    year = document.meta.get("year") or str(document.meta.get("published") or "")[:4]
    return f"{place} {year}" if place and year else None


def set_aside(documents: Sequence[Document], seed: int) -> tuple[list[Document], list[Document]]:
    """What is left to train on, and about a tenth to choose on, divided as `split` divides. Raises what it raises."""
    parts = split(documents, (0.9, 0.1, 0.0), seed=seed)
    return list(parts.train), list(parts.dev)


def split(
    documents: Sequence[Document],
    ratios: tuple[float, float, float] = (0.7, 0.1, 0.2),
    *,
    group: Callable[[Document], str | None] = place_and_year,
    threshold: float = 0.8,
    seed: int = 0,
) -> Split:
    """Divide documents into train, dev and test so that no family of articles stands in two of them.

    A family is what shares a group or is near-duplicate, directly or through others. The largest are dealt first,
    each to where it brings the counts of documents and of each label closest to the ratios. The same
    documents and seed give the same split, and its parts keep the documents' order.

    Args:
        documents: all of them.
        ratios: the shares of train, dev and test; a part may be 0.
        group: gives the name of a document's group, None where it has none.
        threshold: the likeness from which on documents are near-duplicates.
        seed: decides between families of the same size.

    Raises:
        UsageError: ratios that are no shares of a whole, or fewer families than parts.
    """
    if len(ratios) != 3 or min(ratios) < 0 or not abs(sum(ratios) - 1) <= 1e-6:
        raise UsageError(
            f"{ratios} are no shares of a whole", remedy="give three that add up to 1, as 0.7 0.1 0.2"
        )
    families = _families(documents, group, threshold)
    wanted = sum(ratio > 0 for ratio in ratios)
    if len(families) < wanted:
        raise UsageError(
            f"{len(documents)} documents in {len(families)} families cannot be divided into {wanted} parts",
            remedy="add documents, or group them more finely",
        )
    dealt = _deal(families, [_counts(documents, family) for family in families], ratios, seed)
    train, dev, test = ([documents[n] for n in sorted(part)] for part in dealt)
    shared = [
        s for one, two in ((train, dev), (train, test), (dev, test)) for s in shared_sentences(one, two)
    ]
    ungrouped = sum(group(document) is None for document in documents)
    return Split(tuple(train), tuple(dev), tuple(test), tuple(shared), ungrouped)


def folds(documents: Sequence[Document], count: int, *, seed: int = 0) -> list[list[Document]]:
    """Divide documents into `count` parts of like size, by families as `split` does.

    Raises:
        UsageError: fewer than two parts, or fewer families than parts.
    """
    families = _families(documents, place_and_year, 0.8)
    if not 2 <= count <= len(families):
        raise UsageError(
            f"{len(documents)} documents in {len(families)} families cannot be divided into {count} folds",
            remedy="take from 2 folds to as many as there are families (places and years)",
        )
    dealt = _deal(families, [_counts(documents, family) for family in families], [1 / count] * count, seed)
    return [[documents[n] for n in sorted(part)] for part in dealt]


def _families(
    documents: Sequence[Document], group: Callable[[Document], str | None], threshold: float
) -> list[list[int]]:
    """The connected components of documents, by index, under the same group and near-duplication."""
    parent = list(range(len(documents)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[str, int] = {}
    for n, document in enumerate(documents):
        if (name := group(document)) is not None:
            parent[root(n)] = root(first.setdefault(name, n))
    for a, b, _ in _alike([folded(d.text) for d in documents], DOCUMENT_GRAM, threshold):
        parent[root(b)] = root(a)
    members: dict[int, list[int]] = {}
    for n in range(len(documents)):
        members.setdefault(root(n), []).append(n)
    return list(members.values())


def _counts(documents: Sequence[Document], family: Sequence[int]) -> Counter[str]:
    """What is to be balanced: spans of each label, and the documents themselves under the empty name."""
    counts = Counter(span.label for n in family for span in documents[n].spans)
    counts[""] = len(family)
    return counts


def _deal(
    families: Sequence[list[int]], counts: Sequence[Counter[str]], ratios: Sequence[float], seed: int
) -> list[list[int]]:
    total: Counter[str] = sum(counts, Counter())
    have: list[Counter[str]] = [Counter() for _ in ratios]
    dealt: list[list[int]] = [[] for _ in ratios]
    order = list(range(len(families)))
    random.Random(seed).shuffle(order)  # noqa: S311 (not a secret)
    order.sort(key=lambda n: -sum(counts[n].values()))
    open_parts = [part for part, ratio in enumerate(ratios) if ratio]
    for left, n in zip(range(len(order), 0, -1), order, strict=True):
        empty = [part for part in open_parts if not dealt[part]]
        # The last families go to the parts that are still empty.
        choice = empty if empty and left <= len(empty) else open_parts
        part = min(choice, key=lambda p: _strain(have[p], counts[n], total, ratios[p]))
        have[part] += counts[n]
        dealt[part] += families[n]
    return dealt


def _strain(have: Counter[str], more: Counter[str], total: Counter[str], ratio: float) -> float:
    """By how much a part's squared distance from its share of all counts would grow with `more`."""
    return sum(
        (((have[key] + more[key]) / n - ratio) ** 2 - (have[key] / n - ratio) ** 2) / ratio
        for key, n in total.items()
    )


# ------------------------------------------------------------------------------------ similarity


def _alike(
    texts: Sequence[str], gram: int, threshold: float, sides: NDArray[np.uint8] | None = None
) -> Iterator[tuple[int, int, float]]:
    """(i, j, likeness) of texts that are alike, i < j, sorted; with `sides`, not of those that share one side only.

    Empty texts are like nothing.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"{threshold} is no threshold", remedy="give a number above 0, up to 1")
    first: dict[str, int] = {}
    same = [(first[t], n, 1.0) for n, t in enumerate(texts) if t and first.setdefault(t, n) != n]
    kept = [n for text, n in first.items() if text]
    shingles = lru_cache(maxsize=256)(lambda n: np.unique(hashed_grams(texts[n], gram)))
    near = []
    for a, b in sorted(_candidates([texts[n] for n in kept], gram, threshold)):
        i, j = kept[a], kept[b]
        if sides is not None and sides[i] == sides[j] != 3:
            continue
        one, two = shingles(i), shingles(j)
        both = len(np.intersect1d(one, two, assume_unique=True))
        similarity = both / (len(one) + len(two) - both)
        if similarity >= threshold:
            near.append((i, j, similarity))
    return iter(sorted(same + near))


def hashed_grams(text: str, n: int) -> Hashes:
    """A 64-bit hash of each n-gram of a text, in order; of a shorter text, of all of it."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    count = max(1, len(codes) - n + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    for k in range(min(n, len(codes))):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += codes[k : k + count]
    # The finaliser of SplitMix64 (Steele, Lea and Flood 2014): similar n-grams get unlike hashes.
    hashes ^= hashes >> np.uint64(30)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _candidates(texts: Sequence[str], gram: int, threshold: float) -> set[tuple[int, int]]:
    """The pairs of texts that agree in a band of their signatures and, as a whole, nearly enough."""
    signatures = _signatures(texts, gram)
    rows = max(r for r in range(1, _HASHES) if r == 1 or (1 - threshold**r) ** (_HASHES // r) <= _MISSED)
    enough = _HASHES * (threshold - 4 * (threshold * (1 - threshold) / _HASHES) ** 0.5)
    found: set[tuple[int, int]] = set()
    for begin in range(0, _HASHES - rows + 1, rows):
        band = np.ascontiguousarray(signatures[:, begin : begin + rows])
        keys = band.view(np.dtype((np.void, band.dtype.itemsize * rows))).ravel()
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.concatenate([[True], keys[order][1:] != keys[order][:-1], [True]]))
        for bucket in np.flatnonzero(np.diff(edges) > 1):
            members = order[edges[bucket] : edges[bucket + 1]]
            for at, a in enumerate(members[:-1]):
                rest = members[at + 1 :]
                agreeing = (signatures[rest] == signatures[a]).sum(axis=1)
                found.update((int(a), int(b)) for b in rest[agreeing >= enough])
    return found


def _signatures(texts: Sequence[str], gram: int) -> NDArray[np.uint32]:
    """(texts, _HASHES): of each text the least of its n-grams' hashes, under each of the hash functions."""
    out = np.empty((len(texts), _HASHES), dtype=np.uint32)
    random_state = np.random.default_rng(20230101)
    odd = random_state.integers(0, 1 << 31, _HASHES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    flip = random_state.integers(0, 1 << 32, _HASHES, dtype=np.uint32)
    begin = size = 0
    batch: list[NDArray[np.uint32]] = []
    for n, text in enumerate(texts):
        batch.append((hashed_grams(text, gram) >> np.uint64(32)).astype(np.uint32))
        size += len(batch[-1])
        if size >= _BATCH or n == len(texts) - 1:
            joined = np.concatenate(batch)
            starts = np.cumsum([0, *(len(part) for part in batch[:-1])])
            for k in range(_HASHES):
                out[begin : n + 1, k] = np.minimum.reduceat((joined ^ flip[k]) * odd[k], starts)
            begin, size, batch = n + 1, 0, []
    return out
