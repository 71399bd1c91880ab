"""The stored predictions of an entry: spans and links without the texts, and what each document counted.

One JSON object a line and a document, of all runs one after another, compressed:

    {"run": 0, "id": "gb-001", "spans": [[18, 23, "AMOUNT"], …], "links": [[0, 1, "VALUE"], …],
     "counts": {"spans": {"AMOUNT": [tp, fp, fn], …}, "links": {"VALUE": […], …}, "facts": […]}}

A link names its spans by their places in the list. With the counts ranks need no corpus; with the corpus the counts can be
made anew. A text cannot be: a board on a corpus that must not be published can be.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gongbao.counts import Counts
from gongbao.facts import prepare_gold
from gongbao.files import replacing
from gongbao.metrics import DocumentCounts, evaluate
from gongbao.schema import DataError, Document, LabelScheme, Link, Span


@dataclass(frozen=True, slots=True)
class Stored:
    """One document of one run: (start, end, label) of its spans, (head, tail, role) of its links by places of spans."""

    spans: tuple[tuple[int, int, str], ...]
    links: tuple[tuple[int, int, str], ...]
    counts: DocumentCounts

    def document(self, gold: Document, scheme: LabelScheme) -> Document:
        """The predicted document, on the gold one's text.

        Raises:
            DataError: a span that does not lie in the text, or what the scheme forbids.
        """
        return Document(
            gold.id, gold.text,
            spans=tuple(Span(s, e, label, gold.text[s:e], id=f"s{n}") for n, (s, e, label) in enumerate(self.spans)),
            links=tuple(Link(f"s{head}", f"s{tail}", role) for head, tail, role in self.links),
            scheme=scheme,
        )  # fmt: skip


def score(
    gold: Sequence[Document], predicted: Sequence[Document], scheme: LabelScheme
) -> list[DocumentCounts]:
    """Strict scores of spans and links as they are given, and of the facts that gongbao makes of them, documents by id.

    A system's own values and facts are not looked at: all systems are compared in what they found in the text.

    Raises:
        DataError: ids or texts that are not those of the gold documents.
    """
    wanted = [prepare_gold(d, scheme) for d in sorted(gold, key=lambda d: d.id)]
    bare = (Document(d.id, d.text, spans=d.spans, links=d.links) for d in predicted)
    found = evaluate(wanted, [prepare_gold(d, scheme) for d in bare])
    return list(found.documents)


def pack(runs: Sequence[tuple[Sequence[Document], Sequence[DocumentCounts]]]) -> bytes:
    """The file's bytes, the same for the same runs."""
    lines = [
        json.dumps(_line(n, document, counts), ensure_ascii=False, separators=(",", ":")) + "\n"
        for n, (documents, tallies) in enumerate(runs)
        for document, counts in zip(sorted(documents, key=lambda d: d.id), tallies, strict=True)
    ]
    return gzip.compress("".join(lines).encode(), mtime=0)


def _line(run: int, document: Document, counts: DocumentCounts) -> dict[str, Any]:
    places = {span.id: n for n, span in enumerate(document.spans)}
    return {
        "run": run,
        "id": document.id,
        "spans": [list(span.key) for span in document.spans],
        "links": [[places[k.head], places[k.tail], k.role] for k in document.links],
        "counts": {
            "spans": {label: _three(c) for label, c in counts.spans.items()},
            "links": {role: _three(c) for role, c in counts.links.items()},
            "facts": _three(counts.facts),
        },
    }


def _three(counts: Counts) -> list[int]:
    return [counts.tp, counts.fp, counts.fn]


def write(packed: bytes, path: Path) -> None:
    """Write the file, whole or not at all."""
    with replacing(path, "wb") as file:
        file.write(packed)


def read(path: Path) -> list[list[Stored]]:
    """The runs of an entry, each with its documents by id.

    Raises:
        DataError: the file is missing, broken, or not of this form.
    """
    runs: dict[int, list[Stored]] = defaultdict(list)
    try:
        for line in gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]:
            data = json.loads(line)
            runs[data["run"]].append(_stored(data))
    except OSError as error:
        raise DataError(f"the predictions cannot be read: {error.strerror or error}", file=path) from None
    except (EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"the packed predictions are broken: {error}", file=path) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"no stored predictions: {type(error).__name__}: {error}", file=path) from None
    if sorted(runs) != list(range(len(runs))) or not runs:
        raise DataError("there are no runs, or not all of them", file=path)
    return [runs[n] for n in range(len(runs))]


def _stored(data: Mapping[str, Any]) -> Stored:
    counts = data["counts"]
    return Stored(
        spans=tuple((int(start), int(end), str(label)) for start, end, label in data["spans"]),
        links=tuple((int(head), int(tail), str(role)) for head, tail, role in data["links"]),
        counts=DocumentCounts(
            str(data["id"]),
            dict(_named(counts["spans"])), dict(_named(counts["links"])), Counts(*map(int, counts["facts"])),
        ),
    )  # fmt: skip


def _named(counts: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, Counts]]:
    for name, (tp, fp, fn) in counts.items():
        yield name, Counts(tp, fp, fn)
