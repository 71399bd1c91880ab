"""Articles to a project as tasks, each text once, whatever happens between.

The server takes the same text as often as it is sent, and an import whose answer is lost may have been carried out. So each task
carries the hash of its text; what is there is looked up before, after every failure, and at the end, when a task that arrived
twice all the same (two people pushing, a killed run whose last request was still on its way) loses its younger, untouched double.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from gongbao.extractor import Extractor
from gongbao.label_studio import LabelConfig, to_tasks
from gongbao.label_studio.tasks import lookup
from gongbao.schema import Document, GongbaoError
from gongbao.studio.server import PAUSES, Server, Unsure

HASH: Final = "text_sha256"
"""The field of a task's data that holds the SHA-256 of its text as it was pushed."""
_UNNAMED: Final = "from the file"  # Label Studio would call suggestions without a name "undefined"
_PAGE: Final = 100
_BATCH_BYTES: Final = 4_000_000
_AGAIN: Final = "the same command again sends what is missing and nothing twice"
Json: TypeAlias = dict[str, Any]


@dataclass
class Pushed:
    """What a push did: ids of documents, and why some were left out."""

    project: int
    added: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)  # document, why
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> Json:
        """Plain JSON."""
        skipped = [{"document": document, "why": why} for document, why in self.skipped]
        return {"project": self.project, "added": self.added, "skipped": skipped, "notes": self.notes}


def text_hash(text: str) -> str:
    """The SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def push(
    server: Server,
    project: int,
    documents: Iterable[Document],
    config: LabelConfig,
    *,
    extractor: Extractor | None = None,
    as_: Literal["predictions", "annotations"] = "predictions",
    batch: int = 25,
) -> Pushed:
    """Import what the project does not have yet; spans and links of documents come along as `as_`.

    Documents are read, marked and sent in batches, so that no more than a batch of them is held.

    Args:
        extractor: marks the new documents; None: they come with the spans they have, or none.
        batch: tasks in a request, fewer where texts are long.

    Raises:
        GongbaoError: the server does not take them. What was sent before is there; a second push sends the rest.
    """
    done = Pushed(project)
    there = _listing(server, project, config.data_key)
    sender = _Sender(server, project, config, there, done)
    fresh = sender.new(documents)
    marked = extractor.stream(fresh) if extractor is not None else fresh
    versions: set[str] = set()
    for tasks in _batches((_task(d, config, as_) for d in marked), batch):
        versions |= {
            p["model_version"] for t in tasks for p in t.get("predictions", ()) if "model_version" in p
        }
        sender.send(tasks)
        server.report(f"  {done.added} sent")
    if sender.sent:
        sender.settle()
    versions.discard(_UNNAMED)
    if len(versions) == 1:
        _show(server, project, versions.pop())
    return done


def _task(document: Document, config: LabelConfig, as_: Literal["predictions", "annotations"]) -> Json:
    (task,) = to_tasks([document], config, as_=as_, model_version=_version_of(document))
    task["data"][HASH] = text_hash(document.text)
    if as_ == "predictions" and not document.spans and document.model is None:
        del task["predictions"]  # nobody has looked; a model that found nothing says so with an empty one
    return task


def _version_of(document: Document) -> str:
    """The model's name with its version: what annotators see beside the suggestions."""
    told = [
        str(document.model[key]) for key in ("name", "version") if document.model and document.model.get(key)
    ]
    return " ".join(told) or _UNNAMED


def _batches(tasks: Iterable[Json], most: int) -> Iterator[list[Json]]:
    waiting: list[Json] = []
    size = 0
    for task in tasks:
        length = len(json.dumps(task, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if waiting and (len(waiting) >= most or size + length > _BATCH_BYTES):
            yield waiting
            waiting, size = [], 0
        waiting.append(task)
        size += length
    if waiting:
        yield waiting


class _Sender:
    """Sends batches, and knows the tasks that are there: their numbers by the hash of their text."""

    def __init__(
        self, server: Server, project: int, config: LabelConfig, there: dict[str, list[int]], done: Pushed
    ) -> None:
        self._server = server
        self._project = project
        self._key = config.data_key
        self._there = there
        self._done = done
        self.sent: set[str] = set()

    def new(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents whose text the project does not have, each text once."""
        seen: dict[str, str] = {}
        for document in documents:
            key = text_hash(document.text)
            if not document.text.strip():
                why = "it has no text"
            elif "\0" in document.text:
                why = "it holds a NUL character, which the server's database cannot"
            elif key in self._there:
                why = f"task {self._there[key][0]} has its text"
            elif key in seen:
                why = f"{seen[key]} has the same text"
            else:
                seen[key] = document.id
                yield document
                continue
            self._done.skipped.append((document.id, why))

    def send(self, tasks: list[Json]) -> None:
        """Import the tasks. After a failure that tells nothing, what has arrived is not sent again."""
        for pause in (*PAUSES, None):
            try:
                self._import(tasks)
            except Unsure as error:
                if pause is None:
                    raise GongbaoError(
                        error.problem, file=error.file, remedy=f"{error.remedy}; {_AGAIN}"
                    ) from None
                self._server.wait(pause, f"{error.problem}; looking what has arrived")
                arrived = _listing(self._server, self._project, self._key)
                missing = [t for t in tasks if t["data"][HASH] not in arrived]
                self._count([t for t in tasks if t["data"][HASH] in arrived])
                if not (tasks := missing):
                    return
            else:
                self._count(tasks)
                return

    def _count(self, tasks: list[Json]) -> None:
        self.sent |= {t["data"][HASH] for t in tasks}
        self._done.added += len(tasks)

    def _import(self, tasks: list[Json]) -> None:
        answer = self._server.call(
            f"importing {len(tasks)} tasks",
            lambda sdk: sdk.projects.import_tasks(id=self._project, request=tasks).model_dump(),
            writes=True,
        )
        if answer.get("task_count") is None and answer.get("import_") is not None:
            raise GongbaoError(
                "this server imports in the background, as Label Studio Enterprise does", file=self._server.url,
                remedy="write tasks with `gongbao annotations export` and import the file in the browser",
            )  # fmt: skip
        for what in ("task", "annotation", "prediction"):
            wanted = len(tasks) if what == "task" else sum(len(t.get(f"{what}s", ())) for t in tasks)
            if answer.get(f"{what}_count") != wanted:
                raise GongbaoError(
                    f"{wanted} {what}s were sent and the server counts {answer.get(f'{what}_count')}",
                    file=self._server.url, record=f"project {self._project}",
                    remedy=f"look at the project's tasks; {_AGAIN}",
                )  # fmt: skip

    def settle(self) -> None:
        """See that all that was sent is there, once."""
        there = _listing(self._server, self._project, self._key)
        missing = self.sent - there.keys()
        if missing:
            raise GongbaoError(
                f"{len(missing)} of {len(self.sent)} tasks are not there, which the server said it had taken",
                file=self._server.url, record=f"project {self._project}", remedy=_AGAIN,
            )  # fmt: skip
        for key in sorted(self.sent):  # a set of strings has another order in every process
            for double in there[key][1:]:
                self._remove(double, there[key][0])

    def _remove(self, double: int, first: int) -> None:
        def untouched(sdk: Any) -> bool:
            task = sdk.tasks.get(str(double))
            return not (task.total_annotations or task.cancelled_annotations or task.drafts)

        if not self._server.call(f"looking at task {double}", untouched):
            self._done.notes.append(
                f"tasks {first} and {double} have the same text; both were left, for {double} has annotations"
            )
            return
        self._server.call(f"removing task {double}", lambda sdk: sdk.tasks.delete(str(double)))
        self._done.notes.append(f"task {double} came twice and was removed; {first} stays")


def _listing(server: Server, project: int, data_key: str) -> dict[str, list[int]]:
    """The numbers of the project's tasks by the hash of their text, the oldest first; a page is held at a time.

    The hash that a task carries counts: a text that was mended on the server is not pushed again. Tasks that came another way
    are hashed here.
    """
    there: dict[str, list[int]] = {}

    def page(sdk: Any, number: int) -> tuple[int, int, list[tuple[str, int]]]:
        answer = sdk.tasks.list(
            project=project, page=number, page_size=_PAGE, fields="task_only", include="id,data"
        )
        found = []
        for task in answer.items:
            text = lookup(task.data, data_key)
            key = task.data.get(HASH) or (text_hash(text) if isinstance(text, str) else None)
            if key:
                found.append((str(key), int(task.id)))
        return len(answer.items), int(answer.response.total), found

    number = seen = 0
    here = total = 1
    while here and seen < total:
        number += 1
        here, total, found = server.call("listing the tasks", partial(page, number=number))
        seen += here
        for key, task in found:
            there.setdefault(key, []).append(task)
    for numbers in there.values():
        numbers.sort()
    return there


def _show(server: Server, project: int, version: str) -> None:
    """Let the suggestions of this model be the ones that are shown."""
    server.call(
        "choosing whose suggestions are shown",
        lambda sdk: sdk.projects.update(id=project, model_version=version),
    )
