"""Document → tasks for import, and back to the export form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from itertools import count
from typing import Any, Literal, TypeAlias

from gongbao.label_studio.config import LabelConfig
from gongbao.label_studio.tasks import lookup
from gongbao.schema import DataError, Document, UsageError

Json: TypeAlias = dict[str, Any]


def to_tasks(
    documents: Iterable[Document],
    config: LabelConfig,
    *,
    as_: Literal["predictions", "annotations"] = "predictions",
    model_version: str | None = None,
) -> list[Json]:
    """Tasks for import into a server, one for each document.

    A task's data holds the text, the document's id and its meta. Spans and links come as a prediction, with
    their scores and `model_version` (by default that of the document's model), or as an annotation. A
    prediction's own score is the mean of its spans'.

    Raises:
        DataError: a label or link that the configuration does not have; meta that takes the place of the
            text or the id.
        UsageError: `as_` is neither of the two.
    """
    if as_ not in ("predictions", "annotations"):
        raise UsageError(f"nothing to import spans as: {as_!r}", remedy="predictions or annotations")
    tasks = []
    for document in documents:
        origin = _origin(document)
        source: Json = {"result": _result(document, config)}
        if as_ == "annotations":
            # Unless told otherwise the server takes what is imported for ground truth.
            source["ground_truth"] = bool(origin.get("ground_truth"))
            source |= {"lead_time": origin["lead_time"]} if "lead_time" in origin else {}
        else:
            scores = [s.score for s in document.spans if s.score is not None]
            version = model_version or (document.model or {}).get("version")
            source |= {"model_version": str(version)} if version else {}
            source |= {"score": float(sum(scores) / len(scores))} if scores else {}
        task = {"data": _data(document, document.id, config), as_: [source]}
        tasks.append(task | ({"meta": origin["meta"]} if "meta" in origin else {}))
    return tasks


def to_export(documents: Iterable[Document], config: LabelConfig) -> list[Json]:
    """The documents as a server would have exported them.

    Documents of one task (read with `choose="all"`) come back as its annotations; a document of a model is a
    prediction. Regions and relations keep ids, offsets and labels; a relation that was drawn to the left is
    written as the same arrow to the right. Tasks and annotations without a number get one.

    Raises:
        DataError: as `to_tasks` does.
    """
    documents = list(documents)
    origins = [_origin(document) for document in documents]
    new_task = _numbers(origin.get("task") for origin in origins)
    new_annotation = _numbers(origin.get("annotation") for origin in origins)
    tasks: dict[tuple[str, str, str], Json] = {}
    for document, origin in zip(documents, origins, strict=True):
        base = origin.get("document", document.id)
        key = (str(origin.get("task")), base, document.text)
        if key not in tasks:
            tasks[key] = {
                "id": next(new_task) if origin.get("task") is None else origin["task"],
                "annotations": [], "drafts": [], "predictions": [],
                "data": _data(document, base, config), "meta": origin.get("meta", {}),
            }  # fmt: skip
        annotation: Json = {
            "id": next(new_annotation) if origin.get("annotation") is None else origin["annotation"],
            "result": _result(document, config),
            "created_at": origin.get("created"),
            "updated_at": origin.get("updated"),
        }
        if document.model is not None:
            tasks[key]["predictions"].append(annotation | {"model_version": document.model.get("version")})
            continue
        annotator = str(origin.get("annotator") or "") or None
        tasks[key]["annotations"].append(annotation | {
            "completed_by": int(annotator) if annotator and annotator.isdecimal() else annotator,
            "was_cancelled": False, "ground_truth": bool(origin.get("ground_truth")),
            "lead_time": origin.get("lead_time"),
        })  # fmt: skip
    return list(tasks.values())


def _origin(document: Document) -> Mapping[str, Any]:
    """What `read_export` kept of the task; the meta of other documents may hold anything there."""
    origin = document.meta.get("label_studio")
    return origin if isinstance(origin, Mapping) else {}


def _numbers(taken: Iterable[Any]) -> Iterator[int]:
    used = {str(n) for n in taken}
    return (n for n in count(1) if str(n) not in used)


def _data(document: Document, document_id: str, config: LabelConfig) -> Json:
    data = {key: deepcopy(value) for key, value in document.meta.items() if key != "label_studio"}
    for key in ("id", config.data_key):
        if lookup(data, key) is not None:
            raise DataError(
                f"the meta field {key!r} stands where Label Studio keeps the {'id' if key == 'id' else 'text'}",
                record=document.id, remedy="rename the field",
            )  # fmt: skip
    data |= {"id": document_id}
    *path, last = config.data_key.split(".")
    inner: Any = data
    for part in path:
        inner = inner.setdefault(part, {})
        if not isinstance(inner, dict):
            raise DataError(f"the meta field {part!r} leaves no place for the text", record=document.id)
    inner[last] = document.text
    return data


def _result(document: Document, config: LabelConfig) -> list[Json]:
    document = document.replace(scheme=config.scheme)  # refuses what the configuration does not have
    result: list[Json] = [
        {
            "id": span.id, "from_name": config.controls[span.label], "to_name": config.to_name, "type": "labels",
            "value": {"start": span.start, "end": span.end, "text": span.text, "labels": [span.label]},
        } | ({"score": float(span.score)} if span.score is not None else {})
        for span in document.spans
    ]  # fmt: skip
    roles: dict[tuple[str, str, float | None], list[str]] = defaultdict(list)
    for link in document.links:
        roles[link.head, link.tail, link.score].append(link.role)
    for (head, tail, score), labels in roles.items():
        back = roles.get((tail, head, score), [])
        both = sorted(back) == sorted(labels)
        if both and head > tail:
            continue  # written from the other end
        ends = {"from_id": head, "to_id": tail, "direction": "bi" if both else "right"}
        scored = {} if score is None else {"score": float(score)}
        result.append({"type": "relation", **ends, "labels": labels, **scored})
    return result
