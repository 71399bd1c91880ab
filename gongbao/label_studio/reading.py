"""Export → Document, and an account of all that is left out."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, count
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from gongbao.label_studio.config import LabelConfig
from gongbao.label_studio.tasks import Task, infer, labels_in, load, lookup, offsets_in, tasks_of, without
from gongbao.schema import DataError, Document, Link, Span, UsageError

Choose: TypeAlias = Literal["best", "all", "annotators", "predictions"]
"""Of each task the best annotation, all of them, the best of each annotator, or the predictions."""


class Reason(StrEnum):
    """Why something was left out of an import, or was noted in it."""

    NO_TEXT = "the task has no text"
    NOT_TEXT = "the task's text is not a string"
    URL = "the task's text is an address"
    NOT_ANNOTATED = "the task is not annotated"
    ONLY_PREDICTED = "the task has predictions only"
    NOT_PREDICTED = "the task has no predictions"

    CANCELLED = "the annotation was cancelled"
    DRAFT = "a draft, not submitted"
    NOT_CHOSEN = "another annotation of the task was chosen"
    ONLY_ID = "the export holds only its id"
    NO_RESULT = "it has no list of results"

    OTHER_TYPE = "not a labelled stretch of text"
    OTHER_CONTROL = "the region belongs to another control"
    OTHER_TEXT = "the region lies on another text"
    NO_LABEL = "the region has no label"
    SEVERAL_LABELS = "the region has several labels"
    UNKNOWN_LABEL = "the configuration does not have the label"
    BAD_OFFSETS = "the offsets lie outside the text"
    DUPLICATE = "the region is there twice"
    OVERLAP = "the region overlaps a longer or earlier one"

    END_GONE = "an end of the relation is not there"
    TO_ITSELF = "the relation leads from a region to itself"
    NO_ROLE = "the relation has no label, and the scheme does not leave one only"
    UNKNOWN_ROLE = "the configuration does not have the relation"
    NOT_ALLOWED = "the scheme allows no such link between these labels"
    BAD_DIRECTION = "the relation's direction is not right, left or bi"
    DUPLICATE_LINK = "the relation is there twice"

    TEXT_DIFFERS = "the region's own text is not the text at its offsets"
    REGION_ID = "two regions have one id, the later got a new one"
    TASK_ID = "two documents have one id, the later got a new one"
    RESERVED = "the data's field label_studio was replaced"
    JSON_MIN = "JSON_MIN holds no relations and no ids of the data's own"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was left out, or noted: why, and where (Label Studio's ids, as strings)."""

    reason: Reason
    task: str | None = None
    annotation: str | None = None
    region: str | None = None
    detail: str = ""

    def __str__(self) -> str:
        named = (("task", self.task), ("annotation", self.annotation), ("region", self.region))
        place = ", ".join(f"{what} {value}" for what, value in named if value is not None)
        return ": ".join(part for part in (place, str(self.reason), self.detail) if part)


@dataclass(frozen=True)
class Import:
    """What was read: the documents in the export's order, what was left out, what was noted, and the
    configuration (inferred when none was given).
    """

    documents: tuple[Document, ...]
    dropped: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    config: LabelConfig

    @property
    def counts(self) -> dict[str, int]:
        """How often something was left out, by reason, the most frequent first."""
        return {str(reason): n for reason, n in Counter(f.reason for f in self.dropped).most_common()}


def read_export(
    source: Path | str | Sequence[Mapping[str, Any]],
    config: LabelConfig | None = None,
    *,
    choose: Choose = "best",
) -> Import:
    """Read a JSON or JSON_MIN export, or tasks made for import: a file, or the list in it.

    Without a configuration the labels, the names and the field of the text are inferred from the regions.
    The module's docstring says what becomes of what; all that is left out is in the result.

    Raises:
        DataError: a file that is not JSON in UTF-8, that is no list of tasks, or with NaN, infinite numbers or
            halves of characters in it; labels that cannot be inferred.
        UsageError: `choose` is none of the four.
    """
    if choose not in get_args(Choose):
        raise UsageError(f"no way to choose annotations: {choose!r}", remedy=" or ".join(get_args(Choose)))
    file = source if isinstance(source, Path | str) else None
    records = load(source) if isinstance(source, Path | str) else source
    try:
        tasks, is_min = tasks_of(records)
        reader = _Reader(config or infer(tasks), choose)
        for task in tasks:
            reader.read(task)
    except DataError as error:
        raise error.within(file=file) from None
    if is_min:
        reader.notes.insert(0, Finding(Reason.JSON_MIN, detail="export as JSON to have them"))
    return Import(tuple(reader.documents), tuple(reader.dropped), tuple(reader.notes), reader.config)


class _Reader:
    """Turns tasks into documents one by one and keeps account of what is left out."""

    def __init__(self, config: LabelConfig, choose: Choose) -> None:
        self.config = config
        self.choose = choose
        self.documents: list[Document] = []
        self.dropped: list[Finding] = []
        self.notes: list[Finding] = []
        self._ids: set[str] = set()
        self._bases: set[str] = set()  # those of tasks, where an annotator's name comes behind them

    def read(self, task: Task) -> None:
        text = lookup(task.data, self.config.data_key)
        if text is None or text == "":
            self._drop(Reason.NO_TEXT, task, detail=f"in the field {self.config.data_key!r}")
        elif not isinstance(text, str):
            self._drop(Reason.NOT_TEXT, task, detail=f"{text!r:.60}")
        elif self.config.text_is_url or _ADDRESS.fullmatch(text):
            self._drop(Reason.URL, task, detail=text[:120])
        else:
            chosen = self._chosen(task)
            base = self._base_id(task)
            if (
                chosen and self.choose == "annotators"
            ):  # told apart before the annotator's name comes behind it
                base = self._free(base, self._bases, task, chosen[0])
            for annotation in chosen:
                self._document(task, text, annotation, base)

    def _drop(self, reason: Reason, task: Task, annotation: Any = None, detail: str = "") -> None:
        self.dropped.append(Finding(reason, task.name, _name(annotation), detail=detail))

    def _chosen(self, task: Task) -> list[Mapping[str, Any]]:
        """The annotations (or predictions) of a task that become documents."""
        for draft in task.drafts:
            self._drop(Reason.DRAFT, task, draft)
        predicted = self.choose == "predictions"
        there = task.predictions if predicted else task.annotations
        if not there and predicted:
            self._drop(Reason.NOT_PREDICTED, task)
        elif not there and not task.drafts:
            self._drop(Reason.ONLY_PREDICTED if task.predictions else Reason.NOT_ANNOTATED, task)
        complete: list[Mapping[str, Any]] = []
        for annotation in there:
            if not isinstance(annotation, Mapping):
                self._drop(Reason.ONLY_ID, task, annotation)
            elif annotation.get("was_cancelled"):
                self._drop(Reason.CANCELLED, task, annotation)
            elif not isinstance(annotation.get("result"), list):
                self._drop(Reason.NO_RESULT, task, annotation)
            else:
                complete.append(annotation)
        if self.choose == "all" or not complete:
            return complete
        rivals: dict[str | None, list[int]] = {}
        for n, annotation in enumerate(complete):
            rivals.setdefault(_annotator(annotation) if self.choose == "annotators" else None, []).append(n)
        best = {max(numbers, key=lambda n: (*_rank(complete[n]), n)) for numbers in rivals.values()}
        for n, annotation in enumerate(complete):
            if n not in best:
                self._drop(Reason.NOT_CHOSEN, task, annotation)
        return [complete[n] for n in sorted(best)]

    def _free(self, wanted: str, taken: set[str], task: Task, annotation: Mapping[str, Any]) -> str:
        """An id that no other has; a change of it is noted."""
        name = _free(wanted, taken)
        if name != wanted:
            self.notes.append(
                Finding(Reason.TASK_ID, task.name, _name(annotation), detail=f"{wanted} → {name}")
            )
        return name

    def _document(self, task: Task, text: str, annotation: Mapping[str, Any], base: str) -> None:
        annotator = _annotator(annotation)
        wanted = base
        if self.choose == "all":
            wanted = f"{base}@{annotator or 'unknown'}"
        elif self.choose == "annotators":  # of an address, what stands before its @
            wanted = f"{base}@{(annotator or 'unknown').partition('@')[0]}"
        name = self._free(wanted, self._ids, task, annotation)
        origin = {
            "task": task.id, "annotation": annotation["id"] if _name(annotation) else None, "annotator": annotator,
            "created": annotation.get("created_at"), "updated": annotation.get("updated_at"),
            "lead_time": annotation.get("lead_time"), "ground_truth": annotation.get("ground_truth") or None,
            "document": base if base != name else None, "meta": dict(task.meta) or None,
        }  # fmt: skip
        meta = without(task.data, self.config.data_key)
        meta.pop("id", None)
        if "label_studio" in meta:
            self.notes.append(Finding(Reason.RESERVED, task.name, detail=f"{meta['label_studio']!r:.60}"))
        meta["label_studio"] = {key: value for key, value in origin.items() if value is not None}
        spans, links = _Result(self, (task.name, _name(annotation)), text).read(annotation["result"])
        model = {"version": annotation.get("model_version")} if self.choose == "predictions" else None
        self.documents.append(
            Document(name, text, meta, spans, links, model=model, scheme=self.config.scheme)
        )

    def _base_id(self, task: Task) -> str:
        in_data = None if self.config.data_key == "id" else task.data.get("id")
        for given in (in_data, task.meta.get("id")):
            if isinstance(given, int | str) and str(given):
                return str(given)
        return f"task-{task.id}" if task.id is not None else task.name.replace(" ", "-")


class _Refused(Exception):  # noqa: N818 - caught where it is known which region or relation it is about
    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason)


class _Result:
    """The `result` of one annotation: its regions, then the relations between those that stay."""

    def __init__(self, reader: _Reader, place: tuple[str, str | None], text: str) -> None:
        self._reader = reader
        self._config = reader.config
        self._place = place
        self._text = text
        self._known: dict[str, Span] = {}  # by the id that relations call them by

    def read(self, items: list[Any]) -> tuple[tuple[Span, ...], tuple[Link, ...]]:
        relations = [i for i in items if isinstance(i, Mapping) and i.get("type") == "relation"]
        regions = [i for i in items if not isinstance(i, Mapping) or i.get("type") != "relation"]
        spans = self._flat(self._spans(regions))
        links: dict[tuple[str, str, str], Link] = {}
        for item in relations:
            for link in self._links(item):
                if links.setdefault((link.head, link.tail, link.role), link) is not link:
                    self._drop(Reason.DUPLICATE_LINK, f"{link.head}→{link.tail}", link.role)
        return tuple(spans), tuple(links.values())

    def _drop(self, reason: Reason, region: str | None, detail: str = "") -> None:
        self._reader.dropped.append(Finding(reason, *self._place, region, detail))

    def _note(self, reason: Reason, region: str | None, detail: str) -> None:
        self._reader.notes.append(Finding(reason, *self._place, region, detail))

    def _spans(self, regions: Sequence[Any]) -> list[Span]:
        """The spans of the regions that can be read, each once, in the order they were drawn."""
        given = {region for item in regions if (region := _name(item))}
        ids: set[str] = set()
        spans: dict[tuple[int, int, str], Span] = {}
        for item in regions:
            region = _name(item)
            try:
                key = self._key(item)
            except _Refused as refused:
                self._drop(refused.reason, region, refused.detail)
                continue
            if key in spans:
                self._drop(Reason.DUPLICATE, region)
            else:
                start, end, label = key
                span_id = self._id(region, f"s{len(spans) + 1}", ids, given)
                score = _score(item) if self._reader.choose == "predictions" else None
                spans[key] = Span(start, end, label, self._text[start:end], span_id, score)
            if region:
                self._known.setdefault(region, spans[key])
        return list(spans.values())

    def _id(self, region: str | None, instead: str, ids: set[str], given: set[str]) -> str:
        """The region's own id; a new one where it has none or another has the same."""
        if region and region not in ids:
            ids.add(region)
            return region
        new = _free(region or instead, ids | given)  # a later region may bring that id along
        ids.add(new)
        if region:
            self._note(Reason.REGION_ID, region, f"now {new}")
        return new

    def _key(self, item: Any) -> tuple[int, int, str]:
        """Start, end and label of a region, for a region that can be read."""
        if not isinstance(item, Mapping):
            raise _Refused(Reason.OTHER_TYPE, f"{item!r:.60}")
        region, control, value = _name(item), item.get("from_name"), item.get("value")
        if item.get("type") != "labels" or not isinstance(value, Mapping):
            raise _Refused(Reason.OTHER_TYPE, f"type {item.get('type')!r}")
        if control not in self._config.controls.values():
            raise _Refused(Reason.OTHER_CONTROL, f"from_name {control!r}")
        if item.get("to_name", self._config.to_name) != self._config.to_name:
            raise _Refused(Reason.OTHER_TEXT, f"to_name {item.get('to_name')!r}")
        labels = labels_in(value)
        if len(labels) != 1:
            raise _Refused(Reason.SEVERAL_LABELS if labels else Reason.NO_LABEL, ", ".join(labels))
        if self._config.controls.get(labels[0]) != control:
            raise _Refused(Reason.UNKNOWN_LABEL, labels[0])
        start, end = offsets_in(value) or (0, 0)
        if not 0 <= start < end <= len(self._text):
            where = f"{value.get('start')!r:.20}-{value.get('end')!r:.20} of {len(self._text)} characters"
            raise _Refused(Reason.BAD_OFFSETS, where)
        said, text = value.get("text"), self._text[start:end]
        if isinstance(said, str) and _letters(said) != _letters(text):
            self._note(Reason.TEXT_DIFFERS, region, f"{said!r:.60} is {text!r:.60} at {start}-{end}")
        return start, end, labels[0]

    def _flat(self, spans: Sequence[Span]) -> list[Span]:
        """Those of the spans that stay when no two may overlap."""
        kept: list[Span] = []  # by start
        # The longest first; sorting leaves equal ones in the order they were drawn.
        for span in sorted(spans, key=lambda s: s.start - s.end):
            at = bisect_left(kept, span.start, key=lambda s: s.start)
            rivals = [s for s in kept[max(0, at - 1) : at + 1] if s.start < span.end and span.start < s.end]
            if rivals:
                both = (span, rivals[0])
                self._drop(Reason.OVERLAP, span.id, " and ".join(f"{s.label} {s.text!r:.60}" for s in both))
            else:
                kept.insert(at, span)
        ids = {span.id for span in kept}
        self._known = {region: span for region, span in self._known.items() if span.id in ids}
        return kept

    def _links(self, item: Mapping[str, Any]) -> list[Link]:
        """The links of a relation; a finding for each of its labels that gives none."""
        scheme = self._config.scheme
        where = f"{_name(item, 'from_id')}→{_name(item, 'to_id')}"
        score = _score(item) if self._reader.choose == "predictions" else None
        links: list[Link] = []
        try:
            ways = self._ways(item)
            for role in labels_in(item) or [self._only_role(ways)]:
                allowed = [(h, t) for h, t in ways if scheme.allows(h.label, t.label, role)]
                links += [Link(h.id, t.id, role, score) for h, t in allowed]
                if scheme.role(role) is None:
                    self._drop(Reason.UNKNOWN_ROLE, where, role)
                elif not allowed:
                    head, tail = ways[0]
                    self._drop(Reason.NOT_ALLOWED, where, f"{role} from {head.label} to {tail.label}")
        except _Refused as refused:
            self._drop(refused.reason, where, refused.detail)
        return links

    def _ways(self, item: Mapping[str, Any]) -> list[tuple[Span, Span]]:
        """The arrows that a relation stands for, each as head and tail."""
        one, other = (self._known.get(_name(item, end) or "") for end in ("from_id", "to_id"))
        if one is None or other is None:
            raise _Refused(Reason.END_GONE)
        if one is other:
            raise _Refused(Reason.TO_ITSELF)
        right, left = (one, other), (other, one)
        direction = str(item.get("direction") or "right")
        ways = {"right": [right], "left": [left], "bi": [right, left]}.get(direction)
        if ways is None:
            raise _Refused(Reason.BAD_DIRECTION, f"{direction:.60}")
        return ways

    def _only_role(self, ways: Sequence[tuple[Span, Span]]) -> str:
        """The role of a relation that was drawn without one, where the scheme leaves no choice."""
        scheme = self._config.scheme
        names = [r.name for r in scheme.roles]
        roles = [n for n in names if any(scheme.allows(h.label, t.label, n) for h, t in ways)]
        if len(roles) != 1:
            raise _Refused(Reason.NO_ROLE, ", ".join(roles))
        return roles[0]


_ADDRESS: Final = re.compile(r"\s*(https?|s3|gs|azure-blob|file)://\S+\s*")


def _name(item: Any, key: str = "id") -> str | None:
    """The id of an annotation, region or draft (which may be nothing but its id) as a string."""
    found = item.get(key) if isinstance(item, Mapping) else item
    return str(found) if isinstance(found, int | str) and str(found) else None


def _free(wanted: str, taken: set[str]) -> str:
    """`wanted`, with a number behind it if it is taken. Then it is taken."""
    name = next(n for n in chain([wanted], (f"{wanted}~{n}" for n in count(2))) if n not in taken)
    taken.add(name)
    return name


def _letters(text: str) -> str:
    r"""What a browser leaves of a text: it writes line breaks as a literal \n, and other blanks for blanks."""
    return "".join(c for c in re.sub(r"\\[nrt]", "", text) if c.isalnum())


def _score(item: Mapping[str, Any]) -> float | None:
    score = item.get("score")
    # The server checks no score; one that no float can hold is none.
    if isinstance(score, int | float) and not isinstance(score, bool) and abs(score) < 1e300:
        return float(score)
    return None


def _annotator(annotation: Mapping[str, Any]) -> str | None:
    """Who annotated: a number, or where the export spells the user out, that user's number or address."""
    by = annotation.get("completed_by")
    return (_name(by) or _name(by, "email")) if isinstance(by, Mapping) else _name(by)


def _rank(annotation: Mapping[str, Any]) -> tuple[bool, float]:
    """Ground truth first, then the last updated; a time that cannot be read is the earliest."""
    when = annotation.get("updated_at") or annotation.get("created_at")
    try:
        time = datetime.fromisoformat(str(when))
    except ValueError:
        return bool(annotation.get("ground_truth")), -math.inf
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return bool(annotation.get("ground_truth")), time.timestamp()
