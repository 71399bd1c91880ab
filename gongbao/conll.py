"""Tagged text: a character and its tag a line, a blank line behind a sentence (CoNLL, BIO, BIOES, BMES, BILOU).

Columns are divided by tabs or blanks; the first is the character (or a longer token), the last the tag. A tag
is `O`, or one of B, I or M, E or L, S or U, with `-` or `_` and a label.

Tags that contradict each other are repaired like conlleval does: B and S begin a span; I and E go on with the
span before them where it has the same label, and else begin one; S and E end it, and so does whatever
does not go on with it. What was illegal is counted: an I or E that had to begin a span, and, in a file that closes
its spans with E, S, L or U, a span left open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gongbao.schema import DataError, Document, LabelScheme, Span

_TAG = re.compile(r"O|[BIMELSU][-_]\S+")
_KINDS = {"M": "I", "L": "E", "U": "S"}
ILLEGAL = "illegal_tags"
"""The name in a document's meta of how many of its tags were repaired; it is there when there were any."""


@dataclass
class _Sentence:
    tokens: list[str] = field(default_factory=list)
    tags: list[tuple[str, str]] = field(default_factory=list)  # kind (one of O B I E S) and label


def parse(text: str, *, id: str, scheme: LabelScheme | None = None) -> list[Document]:
    """The sentences of tagged text, each a document; their ids are `{id}-1`, `{id}-2` and so on.

    A character that is missing in front of its tag, as when a blank was stripped, is read as a blank.
    Lines of `-DOCSTART-` are passed over.

    Raises:
        DataError: a line without a tag, with its number, or what the scheme refuses.
    """
    read = list(_sentences(text))
    closed = any(kind in "ES" for sentence in read for kind, _ in sentence.tags)
    return [_document(sentence, f"{id}-{n}", closed, scheme) for n, sentence in enumerate(read, 1)]


def _sentences(text: str) -> Iterator[_Sentence]:
    sentence = _Sentence()
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip(" \t") or line.startswith("-DOCSTART-"):
            if sentence.tokens:
                yield sentence
                sentence = _Sentence()
            continue
        token, tag = _columns(line)
        if not _TAG.fullmatch(tag):
            raise DataError(
                f"{tag!r} is no tag", record=f"line {number}", text=line, start=len(line.rstrip()) - len(tag),
                end=len(line.rstrip()), remedy="a line is a character, a tab or blank, and O or a tag like B-LABEL",
            )  # fmt: skip
        sentence.tokens.append(token)
        sentence.tags.append((_KINDS.get(tag[0], tag[0]), tag[2:]))
    if sentence.tokens:
        yield sentence


def _columns(line: str) -> tuple[str, str]:
    """The token and the tag of a line. With blanks between columns a blank in front is the token itself."""
    if "\t" in line:
        first, *_, tag = line.rstrip(" ").split("\t")
        return first or " ", tag.strip(" ")
    columns = line.rstrip(" ").split(" ")
    return (columns[0] if len(columns) > 1 and columns[0] else " "), columns[-1]


def _document(sentence: _Sentence, id: str, closed: bool, scheme: LabelScheme | None) -> Document:
    starts = [0]
    for token in sentence.tokens:
        starts.append(starts[-1] + len(token))
    found, illegal = _repaired(sentence.tags, closed)
    text = "".join(sentence.tokens)
    spans = []
    for n, (first, last, label) in enumerate(found, 1):
        start, end = starts[first], starts[last]
        spans.append(Span(start, end, label, text[start:end], id=f"s{n}"))
    return Document(
        id=id, text=text, meta={ILLEGAL: illegal} if illegal else {}, spans=tuple(spans), scheme=scheme
    )


def _repaired(tags: list[tuple[str, str]], closed: bool) -> tuple[list[tuple[int, int, str]], int]:
    """The spans as (first, behind the last, label) of tokens, and how many tags were illegal."""
    spans: list[tuple[int, int, str]] = []
    begun: int | None = None
    illegal, open_label = 0, ""
    for n, (kind, label) in enumerate([*tags, ("O", "")]):
        goes_on = begun is not None and kind in "IE" and label == open_label
        if begun is not None and not goes_on:
            spans.append((begun, n, open_label))
            illegal += closed
            begun = None
        if kind in "IE" and not goes_on:
            illegal += 1
        if kind != "O" and begun is None:
            begun, open_label = n, label
        if kind in "ES" and begun is not None:
            spans.append((begun, n + 1, open_label))
            begun = None
    return spans, illegal
