"""The tasks in an export, whichever of Label Studio's JSON forms it has, and the configuration they speak of."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gongbao.label_studio.config import LabelConfig
from gongbao.schema import DataError, LabelScheme, Role


def load(path: Path | str) -> Any:
    """The JSON in a file. DataError tells why it cannot be read, and where it breaks."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", file=path) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} is not UTF-8",
            file=path,
            remedy="save the export as UTF-8, as Label Studio writes it",
        ) from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        cut = not text.strip() or (error.pos > 0 and not text.rstrip().endswith(("]", "}")))
        raise DataError(
            f"the file is no JSON: {error.msg}", file=path, record=f"line {error.lineno}",
            text=text, start=error.pos, end=error.pos + 1,
            remedy="it breaks off: export it again" if cut else "a Label Studio export is a JSON list of tasks",
        ) from None  # fmt: skip
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise DataError(f"the file is no JSON that can be read: {error}", file=path) from None


@dataclass(frozen=True)
class Task:
    """A task as every form of export has it; `name` is what messages call it by."""

    name: str
    id: int | str | None
    data: Mapping[str, Any]
    meta: Mapping[str, Any]
    annotations: list[Any]
    predictions: list[Any]
    drafts: list[Any]


def tasks_of(records: Any) -> tuple[list[Task], bool]:
    """The tasks, and whether they came as JSON_MIN (a row for each annotation, brought together by task)."""
    if not isinstance(records, Sequence) or isinstance(records, str | bytes):
        raise DataError(f"an export is a list of tasks, this is {type(records).__name__}")
    tasks: list[Task] = []
    rows: dict[str, Task] = {}
    for number, record in enumerate(records, 1):
        where = f"record {number}"
        if not isinstance(record, Mapping):
            raise DataError(f"a task is a JSON object, this is {record!r:.60}", record=where)
        identity = record.get("id") if isinstance(record.get("id"), int | str) else None
        name = where if identity is None else str(identity)
        where = where if identity is None else f"task {name}"
        _check_sound(record, where)
        if "annotation_id" in record and "annotations" not in record:
            task = _task_of_row(record, name, identity)
            if name in rows:
                rows[name].annotations.extend(task.annotations)
                continue
            rows[name] = task
        else:
            task = _task_of(record, name, identity, where)
        tasks.append(task)
    return tasks, bool(rows)


def _task_of(record: Mapping[str, Any], name: str, identity: int | str | None, where: str) -> Task:
    def part(key: str, kind: type, default: Any) -> Any:
        value = record.get(key)
        if value is not None and not isinstance(value, kind):
            raise DataError(f"the task's {key} is {value!r:.60}", record=where)
        return default if value is None else value

    if "data" not in record:
        raise DataError(
            "the record has no data", record=where, remedy="tasks of Label Studio have data and annotations"
        )
    return Task(
        name, identity, part("data", Mapping, {}), part("meta", Mapping, {}),
        part("annotations", list, []), part("predictions", list, []), part("drafts", list, []),
    )  # fmt: skip


_ROW: Final = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement")


def _task_of_row(row: Mapping[str, Any], name: str, identity: int | str | None) -> Task:
    """A row of JSON_MIN: fields of the data, controls with their regions, and the annotation, side by side."""
    controls = {key for key, value in row.items() if _are_regions(value)}
    result = [
        {"from_name": key, "type": "labels", "value": value} for key in sorted(controls) for value in row[key]
    ]
    annotation = {
        "id": row["annotation_id"], "completed_by": row.get("annotator"), "created_at": row.get("created_at"),
        "updated_at": row.get("updated_at"), "lead_time": row.get("lead_time"), "result": result,
    }  # fmt: skip
    data = {key: value for key, value in row.items() if key not in controls and key not in _ROW}
    # A task that nobody annotated has a row too, with nothing but its data.
    return Task(name, identity, data, {}, [annotation] if row["annotation_id"] is not None else [], [], [])


def _are_regions(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(v, Mapping) and {"start", "end"} <= v.keys() and "text" in v for v in value)
    )


def _check_sound(record: Any, where: str) -> None:
    """Refuse what no JSONL could hold again: NaN, infinity, and halves of characters."""
    stack = [record]
    while stack:
        value = stack.pop()
        if isinstance(value, Mapping):
            stack.extend(value.keys())
            stack.extend(value.values())
        elif isinstance(value, list | tuple):
            stack.extend(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise DataError(
                f"the number {value} is in it", record=where, remedy="write null where there is no number"
            )
        elif isinstance(value, str) and (broken := re.search("[\ud800-\udfff]", value)):
            raise DataError(
                "half a character (a lone surrogate) is in it", record=where,
                text=value.encode("utf-8", "replace").decode(), start=broken.start(), end=broken.end(),
                remedy="cut and escape the text by whole characters",
            )  # fmt: skip


def infer(tasks: Sequence[Task]) -> LabelConfig:
    """The configuration that the regions of an export speak of."""
    found = [(task, region) for task in tasks for region in _results(task) if _is_labelled(region)]
    if not found:
        raise DataError("no region tells the labels", remedy="give the labelling configuration")
    to_names = Counter(str(region.get("to_name") or "text") for _, region in found)
    to_name = to_names.most_common(1)[0][0]
    controls: dict[str, str] = {}
    for _, region in found:
        if (region.get("to_name") or "text") == to_name:
            for label in labels_in(region["value"]):
                controls.setdefault(label, str(region.get("from_name")))
    relations = (r for task in tasks for r in _results(task) if r.get("type") == "relation")
    roles = sorted({name for r in relations for name in labels_in(r)})
    return LabelConfig(
        scheme=LabelScheme(tuple(sorted(controls)), tuple(Role(name) for name in roles)),
        controls=controls,
        to_name=to_name,
        data_key=_infer_key(tasks, found),
    )


def _results(task: Task) -> Iterator[Mapping[str, Any]]:
    for source in (*task.annotations, *task.predictions):
        result = source.get("result") if isinstance(source, Mapping) else None
        yield from (r for r in result if isinstance(r, Mapping)) if isinstance(result, list) else ()


def _is_labelled(region: Mapping[str, Any]) -> bool:
    value = region.get("value")
    return region.get("type") == "labels" and isinstance(value, Mapping) and bool(labels_in(value))


def labels_in(value: Mapping[str, Any]) -> list[str]:
    """The labels of a region's value or of a relation, each once."""
    labels = value.get("labels")
    return list(dict.fromkeys(str(label) for label in labels if label)) if isinstance(labels, list) else []


def _infer_key(tasks: Sequence[Task], found: Sequence[tuple[Task, Mapping[str, Any]]]) -> str:
    """The field whose characters at the regions' offsets are the regions' texts most often."""
    lengths: Counter[str] = Counter()
    for task in tasks:
        lengths.update({key: len(text) for key, text in _strings(task.data)})
    if not lengths:
        raise DataError("no task holds a text", remedy="give the labelling configuration")
    hits: Counter[str] = Counter()
    for task, region in found:
        value = region["value"]
        span = offsets_in(value)
        for key, text in _strings(task.data):
            hits[key] += span is not None and bool(value.get("text")) and text[slice(*span)] == value["text"]
    return max(lengths, key=lambda key: (hits[key], key == "text", lengths[key], key))


def _strings(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The strings in a task's data, with dots in the names of nested ones."""
    stack = list(data.items())
    while stack:
        key, value = stack.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, Mapping):
            stack.extend((f"{key}.{inner}", v) for inner, v in value.items())


def offsets_in(value: Mapping[str, Any]) -> tuple[int, int] | None:
    """The offsets of a region's value, None if they are no whole numbers (those of HTML are paths)."""
    start, end = (
        int(v) if isinstance(v, int | float) and not isinstance(v, bool) and v == int(v) else None
        for v in (value.get("start"), value.get("end"))
    )
    return None if start is None or end is None else (start, end)


def lookup(data: Any, key: str) -> Any:
    """The field of that name, or at the end of the path that its dots make; None where there is none."""
    if key in data:
        return data[key]
    for part in key.split("."):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def without(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The data without the field that `lookup` finds."""
    first, _, rest = key.partition(".")
    inner = data.get(first)
    left = {k: v for k, v in data.items() if k not in (key, first if rest else key)}
    if rest and key not in data and isinstance(inner, Mapping):
        return left | ({first: inner} if (inner := without(inner, rest)) else {})
    return left | ({first: inner} if rest and first in data else {})
