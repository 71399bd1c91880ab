"""What everything else speaks of: spans, links, facts, documents, the label scheme, and errors.

All of it is frozen and validates itself. Offsets are code points of the text exactly as given, half-open:
`text[start:end] == span.text` for every span of every document, or the document cannot be built.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

SpanKey: TypeAlias = tuple[int, int, str]
"""Start, end and label: what makes two spans of one text the same."""

Approx: TypeAlias = Literal["exact", "about", "at_least", "at_most", "more_than", "less_than"]
APPROX: Final = ("exact", "about", "at_least", "at_most", "more_than", "less_than")
KINDS: Final = (
    "money", "percent", "percentage_point", "fraction", "multiple", "ratio", "count", "area", "length",
    "weight", "volume", "energy", "power", "concentration", "duration", "age", "number",
)  # fmt: skip


class GongbaoError(Exception):
    """Something the user can mend. The message names the file, the record, the place and the remedy.

    Args:
        problem: what is wrong, one sentence.
        file: the file it is in.
        record: which record of it: `line 3`, `task 12`, a document's id.
        text, start, end: the text and the characters the problem is about; shown with a marker below.
        remedy: what to do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        record: object = None,
        text: str | None = None,
        start: int | None = None,
        end: int | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = file
        self.record = record
        self.text = text
        self.start = start
        self.end = end
        self.remedy = remedy
        super().__init__(problem)

    def __str__(self) -> str:
        place = [str(part) for part in (self.file, self.record) if part is not None]
        if self.start is not None:
            place.append(f"characters {self.start}-{self.end}")
        head = f"{', '.join(place)}: {self.problem}" if place else self.problem
        lines = [head]
        if self.text is not None and self.start is not None:
            lines.append(excerpt(self.text, self.start, self.end if self.end is not None else self.start + 1))
        if self.remedy:
            lines.append(f"  → {self.remedy}")
        return "\n".join(lines)

    def within(self, *, file: object = None, record: object = None) -> GongbaoError:
        """The same error with the file and the record filled in where they were not known yet."""
        self.file = file if self.file is None else self.file
        self.record = record if self.record is None else self.record
        return self


class DataError(GongbaoError, ValueError):
    """Data that breaks a contract: a span that is not its text, a link the scheme forbids, a bad file."""


class UsageError(GongbaoError):
    """The command or the configuration asks for something that cannot be (exit code 2)."""


_LONGEST: Final = 60  # characters that are marked


def excerpt(text: str, start: int, end: int, context: int = 12) -> str:
    """The characters around `start:end` on one line, with a marker line under them.

    Wide characters take two columns of a terminal, so the marker is laid out in columns. Control
    characters and line ends are shown as `␤`-like pictures, one for one.
    """
    start = max(0, min(start, len(text)))
    end = max(start, min(end, len(text)))
    end = min(end, start + _LONGEST)
    left, right = max(0, start - context), min(len(text), end + context)
    shown = "".join(_picture(c) for c in text[left:right])
    lead = "  …" if left else "  "
    before = "".join(_picture(c) for c in text[left:start])
    marked = shown[start - left : end - left]
    return (
        f"{lead}{shown}{'…' if right < len(text) else ''}\n"
        f"{' ' * (_columns(lead) + _columns(before))}{'^' * max(1, _columns(marked))}"
    )


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "␤" if character in "\x85\u2028\u2029" else character


def _columns(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


# ---------------------------------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Amount:
    """A normalised amount.

    `low` and `high` are in `unit` and equal unless the text gives a range; an open side is None. Percent is
    a ratio (50.7% is 0.507 `ratio`); percentage points stay points (`pp`). `si_*` are there when the
    unit can be converted (m2, m, kg, J, W, ratio for pp, …).
    """

    kind: str
    low: float | None
    high: float | None
    unit: str
    approx: Approx = "exact"
    si_low: float | None = None
    si_high: float | None = None
    si_unit: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"{self.kind!r} is no kind of amount", remedy=f"one of {', '.join(KINDS)}")
        if self.approx not in APPROX:
            raise DataError(f"{self.approx!r} is no approximation", remedy=f"one of {', '.join(APPROX)}")
        if self.low is None and self.high is None:
            raise DataError("an amount needs a low or a high side")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise DataError(f"the low side {self.low} is above the high side {self.high}")

    def to_json(self) -> dict[str, Any]:
        """The `value` object of the contract."""
        out: dict[str, Any] = {
            "kind": self.kind, "low": self.low, "high": self.high, "unit": self.unit, "approx": self.approx,
        }  # fmt: skip
        if self.si_unit is not None:
            out |= {"si_low": self.si_low, "si_high": self.si_high, "si_unit": self.si_unit}
        return out


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of calendar days, both ends inclusive, None where it is open."""

    start: date | None
    end: date | None

    def __post_init__(self) -> None:
        if self.start is None and self.end is None:
            raise DataError("a period needs a start or an end")
        if self.start and self.end and self.start > self.end:
            raise DataError(f"the period starts on {self.start} and ends before, on {self.end}")

    def to_json(self) -> dict[str, Any]:
        """The `value` object of the contract: ISO dates or null."""
        return {
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat() if self.end else None,
        }


class Unread(Enum):
    """The type of UNREAD: no value was looked for (None: one was, and there is none)."""

    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD
Value: TypeAlias = Amount | Period | Unread | None


def value_from_json(data: Mapping[str, Any] | None) -> Amount | Period | None:
    """Amount or Period from the `value` object of the contract, None from null."""
    if data is None:
        return None
    if not isinstance(data, Mapping):
        raise DataError(f"a value is a JSON object or null, this is {data!r:.60}")
    _only(
        data,
        {"kind", "low", "high", "unit", "approx", "si_low", "si_high", "si_unit", "start", "end"},
        "value",
    )
    if "kind" in data:
        return Amount(
            kind=_get(data, "kind", str), low=_number(data, "low"), high=_number(data, "high"), unit=_get(data, "unit", str, ""),
            approx=data.get("approx", "exact"), si_low=_number(data, "si_low"), si_high=_number(data, "si_high"),
            si_unit=_get(data, "si_unit", str, None),
        )  # fmt: skip
    return Period(_date(data.get("start")), _date(data.get("end")))


def _number(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{key} is {value!r}, not a number")
    return value


def _date(value: object) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise DataError(f"{value!r} is no date", remedy="write dates as 2023-01-31") from None


# --------------------------------------------------------------------------- spans, links, facts


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch `start:end` of a document's text. `score` is the model's, None for gold."""

    start: int
    end: int
    label: str
    text: str
    id: str
    score: float | None = None
    value: Value = UNREAD

    def __post_init__(self) -> None:
        if not (isinstance(self.start, int) and isinstance(self.end, int)) or not 0 <= self.start < self.end:
            raise DataError(f"a span from {self.start!r} to {self.end!r} is empty or backward")
        if len(self.text) != self.end - self.start:
            raise DataError(
                f"the span's text {self.text!r} has {len(self.text)} characters, "
                f"its offsets {self.start}-{self.end} have {self.end - self.start}"
            )
        if not self.label or not self.id:
            raise DataError(f"the span {self.text!r} has no {'id' if self.label else 'label'}")

    @property
    def key(self) -> tuple[int, int, str]:
        """What makes two spans of one text the same: (start, end, label)."""
        return self.start, self.end, self.label

    def to_json(self) -> dict[str, Any]:
        """The span object of the contract; `value` is there when one was looked for."""
        out: dict[str, Any] = {
            "id": self.id, "start": self.start, "end": self.end, "label": self.label, "text": self.text,
        }  # fmt: skip
        if self.score is not None:
            out["score"] = self.score
        if self.value is not UNREAD:
            out["value"] = self.value.to_json() if self.value is not None else None
        return out


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow from the span `head` to the span `tail` (their ids) with a role."""

    head: str
    tail: str
    role: str
    score: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The link object of the contract."""
        out: dict[str, Any] = {"head": self.head, "tail": self.tail, "role": self.role}
        if self.score is not None:
            out["score"] = self.score
        return out


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement: the spans (by id) of its metric and amount, and of its period and subject if it has them.

    `inherited` names those of `period` and `subject` that stand further up, not in the sentence itself. `direction` says of
    a change whether it is a rise ("up") or a fall ("down"): the amount itself has no sign (下降3.1% is 3.1% down).
    """

    metric: str
    amount: str
    role: str
    period: str | None = None
    subject: str | None = None
    inherited: tuple[str, ...] = ()
    direction: str | None = None
    score: float | None = None

    def __post_init__(self) -> None:
        if self.direction not in (None, "up", "down"):
            raise DataError(f"a change goes {self.direction!r}", remedy='write "up", "down", or nothing')

    def to_json(self) -> dict[str, Any]:
        """The fact object of the contract."""
        out: dict[str, Any] = {
            "metric": self.metric, "amount": self.amount, "role": self.role, "period": self.period,
            "subject": self.subject, "inherited": list(self.inherited),
        }  # fmt: skip
        if self.direction is not None:
            out["direction"] = self.direction
        if self.score is not None:
            out["score"] = self.score
        return out


@dataclass(frozen=True, slots=True)
class Block:
    """Where a stretch of text stood in its source: page (None where there are none) and paragraph, from 1."""

    start: int
    end: int
    paragraph: int
    page: int | None = None
    kind: str = "paragraph"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `page` is left out where the source has no pages."""
        out: dict[str, Any] = {"start": self.start, "end": self.end, "paragraph": self.paragraph}
        if self.page is not None:
            out["page"] = self.page
        if self.kind != "paragraph":
            out["kind"] = self.kind
        return out


# ----------------------------------------------------------------------------------------- scheme


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of link and the labels it may lead from and to. No labels given: any."""

    name: str
    heads: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelScheme:
    """Which labels there are, which links may join them, and which labels have values of which kind.

    `values` maps a label to "amount" or "period": what its text is normalised as.
    """

    labels: tuple[str, ...]
    roles: tuple[Role, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        if not self.labels:
            raise DataError("a scheme needs at least one label")
        for names, what in ((self.labels, "label"), ([r.name for r in self.roles], "role")):
            twice = {n for n in names if list(names).count(n) > 1}
            if twice:
                raise DataError(f"the scheme names the {what} {sorted(twice)[0]!r} twice")
        for role in self.roles:
            for label in (*role.heads, *role.tails):
                self._known(label, f"the role {role.name!r}")
        for label, kind in self.values.items():
            self._known(label, "values")
            if kind not in ("amount", "period"):
                raise DataError(f"{label!r} is read as {kind!r}", remedy='write "amount" or "period"')

    def __reduce__(self) -> tuple[Any, ...]:
        # For copies and for other processes: a MappingProxyType goes to neither.
        return LabelScheme, (self.labels, self.roles, dict(self.values))

    def _known(self, label: str, where: str) -> None:
        if label not in self.labels:
            raise DataError(f"{where} names the label {label!r}, which the scheme does not have")

    def role(self, name: str) -> Role | None:
        """The role of that name."""
        return next((r for r in self.roles if r.name == name), None)

    def allows(self, head: str, tail: str, role: str) -> bool:
        """Whether a link of that role may lead from the label `head` to the label `tail`."""
        found = self.role(role)
        return (
            found is not None
            and (not found.heads or head in found.heads)
            and (not found.tails or tail in found.tails)
        )

    def to_json(self) -> dict[str, Any]:
        """As it is saved in a model folder."""
        return {
            "labels": list(self.labels),
            "roles": [{"name": r.name, "heads": list(r.heads), "tails": list(r.tails)} for r in self.roles],
            "values": dict(self.values),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabelScheme:
        """The inverse of `to_json`.

        Raises:
            DataError: a field that is missing or of the wrong type, or what LabelScheme itself refuses.
        """
        return cls(
            labels=_names(data, "labels"),
            roles=tuple(
                Role(_get(r, "name", str), _names(r, "heads"), _names(r, "tails"))
                for r in _objects(_get(data, "roles", list, []), {"name", "heads", "tails"}, "role")
            ),
            values=_get(data, "values", Mapping, {}),
        )


# -------------------------------------------------------------------------------------- documents


@dataclass(frozen=True)
class Document:
    """A text and what is known of it. Building one checks all of it; `replace` gives a changed copy.

    Args:
        scheme: labels and links are checked against it. Without it only what holds for every scheme is
            checked. It is not kept.

    Raises:
        DataError: offsets that are not the text, overlapping spans, an id that occurs twice, a link or fact to
            a span that is not there, a label or link that the scheme forbids. The error shows the place.
    """

    id: str
    text: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    links: tuple[Link, ...] = ()
    facts: tuple[Fact, ...] = ()
    blocks: tuple[Block, ...] = ()
    model: Mapping[str, Any] | None = None
    scheme: LabelScheme | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        if not isinstance(self.id, str) or not self.id:
            raise DataError(f"a document's id is {self.id!r}", remedy="give every document a text as its id")
        if not isinstance(self.text, str):
            raise DataError(f"the text is {type(self.text).__name__}, not text", record=self.id)
        put(self, "meta", MappingProxyType(dict(self.meta)))
        put(self, "spans", tuple(sorted(self.spans, key=lambda s: (s.start, s.end))))
        put(self, "links", tuple(self.links))
        put(self, "facts", tuple(self.facts))
        put(self, "blocks", tuple(self.blocks))
        by_id = self._check_spans()
        put(self, "_by_id", by_id)
        self._check_links(by_id)
        self._check_blocks()
        put(self, "scheme", None)

    def _check_spans(self) -> dict[str, Span]:
        by_id: dict[str, Span] = {}
        last: Span | None = None
        for span in self.spans:
            if span.end > len(self.text):
                raise self._error(
                    f"the span {span.text!r} ends behind the text's {len(self.text)} characters", span
                )
            if self.text[span.start : span.end] != span.text:
                raise self._error(f"the span says {span.text!r}, the text there is different", span)
            if last is not None and span.start < last.end:
                raise self._error(
                    f"{last.label} {last.text!r} ({last.start}-{last.end}) and {span.label} {span.text!r} overlap",
                    span,
                )
            if span.id in by_id:
                raise self._error(f"the span id {span.id!r} occurs twice", span)
            if self.scheme is not None and span.label not in self.scheme.labels:
                raise self._error(
                    f"the label {span.label!r} is not in the scheme",
                    span,
                    f"it has {', '.join(self.scheme.labels)}",
                )
            by_id[span.id] = span
            last = span
        return by_id

    def _check_links(self, by_id: Mapping[str, Span]) -> None:
        seen: set[tuple[str, str, str]] = set()
        for link in self.links:
            for end in (link.head, link.tail):
                if end not in by_id:
                    raise DataError(
                        f"a {link.role} link names the span {end!r}, which is not there", record=self.id
                    )
            head, tail = by_id[link.head], by_id[link.tail]
            if head is tail:
                raise self._error(f"{head.text!r} is linked to itself", head)
            if (link.head, link.tail, link.role) in seen:
                raise self._error(
                    f"the {link.role} link from {head.text!r} to {tail.text!r} is there twice", tail
                )
            seen.add((link.head, link.tail, link.role))
            if self.scheme is not None and not self.scheme.allows(head.label, tail.label, link.role):
                raise self._error(
                    f"the scheme has no {link.role!r} link from {head.label} {head.text!r} to {tail.label} {tail.text!r}",
                    tail,
                    f"its link roles are {', '.join(r.name for r in self.scheme.roles) or 'none'}",
                )
        for fact in self.facts:
            for part in (fact.metric, fact.amount, fact.period, fact.subject):
                if part is not None and part not in by_id:
                    raise DataError(f"a fact names the span {part!r}, which is not there", record=self.id)

    def _check_blocks(self) -> None:
        at = 0
        for block in self.blocks:
            if not at <= block.start <= block.end <= len(self.text):
                raise DataError(
                    f"the block {block.start}-{block.end} is out of order or outside the text", record=self.id
                )
            at = block.end

    def _error(self, problem: str, span: Span, remedy: str | None = None) -> DataError:
        return DataError(
            problem, record=self.id, text=self.text, start=span.start, end=span.end, remedy=remedy
        )

    def span(self, span_id: str) -> Span:
        """The span of that id (KeyError where there is none)."""
        found: Span = self._by_id[span_id]  # type: ignore[attr-defined]
        return found

    def block_at(self, offset: int) -> Block | None:
        """The block that holds the character `offset`, None in the gap between two."""
        low, high = 0, len(self.blocks)
        while low < high:
            middle = (low + high) // 2
            if self.blocks[middle].end <= offset:
                low = middle + 1
            else:
                high = middle
        if low < len(self.blocks) and self.blocks[low].start <= offset:
            return self.blocks[low]
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.spans, self.links, self.facts, self.blocks)
        return Document, (self.id, self.text, dict(self.meta), *parts, self.model)

    def replace(self, **changes: Any) -> Document:
        """A copy with some fields changed, checked like any other."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """The document object of the contract; empty parts but `spans` and `links` are left out."""
        out: dict[str, Any] = {"id": self.id, "text": self.text, "meta": dict(self.meta)}
        out["spans"] = [s.to_json() for s in self.spans]
        out["links"] = [k.to_json() for k in self.links]
        if self.facts:
            out["facts"] = [f.to_json() for f in self.facts]
        if self.blocks:
            out["blocks"] = [b.to_json() for b in self.blocks]
        if self.model is not None:
            out["model"] = dict(self.model)
        return out

    def to_line(self) -> str:
        """One line of JSON without the line end."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], scheme: LabelScheme | None = None) -> Document:
        """The inverse of `to_json`.

        Raises:
            DataError: a field that is missing, unknown or of the wrong type, or what Document itself refuses.
        """
        if not isinstance(data, Mapping):
            raise DataError(f"a document is a JSON object, this is {type(data).__name__}")
        _only(data, {"id", "text", "meta", "spans", "links", "facts", "blocks", "model"}, "document")
        record = data.get("id")
        try:
            text = _get(data, "text", str)
            return cls(
                id=_get(data, "id", str),
                text=text,
                meta=_get(data, "meta", Mapping, {}),
                spans=tuple(_spans_from_json(_get(data, "spans", list, []), text)),
                links=tuple(_links_from_json(_get(data, "links", list, []))),
                facts=tuple(_facts_from_json(_get(data, "facts", list, []))),
                blocks=tuple(_blocks_from_json(_get(data, "blocks", list, []))),
                model=_get(data, "model", Mapping, None),
                scheme=scheme,
            )
        except DataError as error:
            raise error.within(record=record) from None


_MISSING: Final = object()
_KINDS: Final = {str: "text", int: "a whole number", list: "a list", Mapping: "an object"}


def _get(data: Mapping[str, Any], key: str, kind: Any, default: Any = _MISSING) -> Any:
    value = data.get(key, default)
    if value is _MISSING:
        raise DataError(f"the field {key!r} is missing")
    if value is None and (default is None or default is not _MISSING):
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise DataError(f"the field {key!r} is {value!r:.60}, not {_KINDS.get(kind, 'a number')}")
    return value


def _names(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = _get(data, key, list)
    for name in names:
        if not isinstance(name, str) or not name:
            raise DataError(f"{key} holds {name!r:.60}, not a name")
    return tuple(names)


def _only(data: Mapping[str, Any], known: set[str], what: str) -> None:
    unknown = sorted(set(data) - known)
    if unknown:
        raise DataError(f"a {what} has no field {unknown[0]!r}", remedy=f"it has {', '.join(sorted(known))}")


def _objects(items: Iterable[Any], known: set[str], what: str) -> Iterator[Mapping[str, Any]]:
    for item in items:
        if not isinstance(item, Mapping):
            raise DataError(f"a {what} is a JSON object, this is {item!r:.60}")
        _only(item, known, what)
        yield item


def _spans_from_json(items: Iterable[Any], text: str) -> Iterator[Span]:
    for n, item in enumerate(
        _objects(items, {"id", "start", "end", "label", "text", "score", "value"}, "span"), 1
    ):
        start, end = _get(item, "start", int), _get(item, "end", int)
        # `text` may be left out by a writer by hand: the offsets say it all.
        said = _get(item, "text", str, None)
        if said is None:
            if not 0 <= start < end <= len(text):
                raise DataError(f"the span {start}-{end} does not lie in the text's {len(text)} characters")
            said = text[start:end]
        try:
            yield Span(
                start, end, _get(item, "label", str), said, id=_get(item, "id", str, None) or f"s{n}",
                score=_get(item, "score", (int, float), None),
                value=value_from_json(item["value"]) if "value" in item else UNREAD,
            )  # fmt: skip
        except DataError as error:
            error.text, error.start, error.end = text, start, end
            raise


def _links_from_json(items: Iterable[Any]) -> Iterator[Link]:
    for item in _objects(items, {"head", "tail", "role", "score"}, "link"):
        yield Link(
            _get(item, "head", str), _get(item, "tail", str), _get(item, "role", str),
            score=_get(item, "score", (int, float), None),
        )  # fmt: skip


def _facts_from_json(items: Iterable[Any]) -> Iterator[Fact]:
    known = {"metric", "amount", "role", "period", "subject", "inherited", "direction", "score"}
    for item in _objects(items, known, "fact"):
        yield Fact(
            _get(item, "metric", str), _get(item, "amount", str), _get(item, "role", str),
            period=_get(item, "period", str, None), subject=_get(item, "subject", str, None),
            inherited=tuple(_get(item, "inherited", list, [])), direction=_get(item, "direction", str, None),
            score=_get(item, "score", (int, float), None),
        )  # fmt: skip


def _blocks_from_json(items: Iterable[Any]) -> Iterator[Block]:
    for item in _objects(items, {"start", "end", "paragraph", "page", "kind"}, "block"):
        yield Block(
            _get(item, "start", int), _get(item, "end", int), _get(item, "paragraph", int),
            page=_get(item, "page", int, None), kind=_get(item, "kind", str, "paragraph"),
        )  # fmt: skip
