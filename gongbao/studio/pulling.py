"""Annotations home: a snapshot that the server counts and signs, checked against what was there before it takes its place.

The file is a Label Studio export (a JSON list of tasks, here a line each, in the order of their numbers) of the tasks that somebody
annotated or began to. It holds nobody's address: people are their numbers. The version before stays beside it under its date.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias

from gongbao.checks import Finding, check
from gongbao.files import replacing, sha256
from gongbao.label_studio import LabelConfig, Reason, read_export
from gongbao.label_studio.tasks import lookup
from gongbao.schema import DataError, GongbaoError, UsageError
from gongbao.studio.exports import Json, tasks_in, without_people
from gongbao.studio.pushing import HASH, text_hash
from gongbao.studio.server import Server

Key: TypeAlias = tuple[int, str, int]  # task, hash of its text, annotation
TITLE: Final = "gongbao pull"
_PATIENCE: Final = 3600.0  # seconds for a snapshot
_EXPECTED: Final = (Reason.NOT_ANNOTATED, Reason.ONLY_PREDICTED, Reason.DRAFT, Reason.CANCELLED)


@dataclass(frozen=True, slots=True)
class Change:
    """An annotation that is new, changed or withdrawn; `by` is the annotator's number on the server."""

    kind: Literal["new", "changed", "withdrawn"]
    document: str
    task: int
    annotation: int
    by: int | None
    regions: int
    before: int | None = None  # regions that it had

    def to_json(self) -> Json:
        """Plain JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass
class Pulled:
    """What a pull found.

    Args:
        tasks: those in the file; `waiting`: those nobody has annotated, which are not.
        kept: where the version before lies now; None: there was none, or nothing has changed.
        written: the file is new; else it was like this already.
        findings: broken rules of the annotation, of all annotators.
        dropped: what `annotations import` will leave out, by reason.
    """

    output: Path
    tasks: int = 0
    annotations: int = 0
    waiting: int = 0
    written: bool = False
    kept: Path | None = None
    changes: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> Json:
        """Plain JSON."""
        return {
            "file": str(self.output), "written": self.written, "kept": str(self.kept) if self.kept else None,
            "tasks": self.tasks, "annotations": self.annotations, "waiting": self.waiting,
            "changes": [c.to_json() for c in self.changes], "findings": [f.to_json() for f in self.findings],
            "dropped": dict(self.dropped), "notes": self.notes,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _State:
    """An annotation as far as a change of it can be told."""

    document: str
    by: int | None
    regions: int
    digest: bytes


def pull(
    server: Server,
    project: int,
    output: Path,
    config: LabelConfig,
    *,
    allow_withdrawn: bool = False,
    strict: bool = False,
) -> Pulled:
    """Write the project's annotations to a file; the version before is kept beside it.

    Args:
        config: what labels and links are checked against.
        allow_withdrawn: annotations that the file has may be missing now.
        strict: no annotation may break a rule (`checks.check`).

    Raises:
        DataError: what came is not whole or no export, or the file that is there is none; with `strict`, a broken rule.
        UsageError: the file is an export of another project.
        GongbaoError: the server fails; nothing is annotated; annotations are missing that the file has. The file is untouched.
    """
    before = dict(_states_in(output, project, config)) if output.exists() else {}
    pulled = Pulled(output)
    with tempfile.TemporaryFile() as raw, tempfile.TemporaryFile() as lines:
        expected = _download(server, project, raw)
        raw.seek(0)
        index, now = _take(raw, lines, expected, config, pulled)
        pulled.changes = list(_changes(before, now))
        _refuse(pulled, server, project, allow_withdrawn, strict)
        digest = hashlib.sha256()
        for piece in _whole(lines, index):
            digest.update(piece)
        if output.exists() and sha256(output) == digest.hexdigest():
            return pulled
        with replacing(output, "wb") as file:
            file.writelines(_whole(lines, index))
            if output.exists():
                pulled.kept = _keep(output)
        pulled.written = True
    return pulled


# ------------------------------------------------------------------------------------- the snapshot


def _download(server: Server, project: int, file: IO[bytes]) -> int:
    """Let the server make a snapshot, fetch it whole, and remove it there. The number of its tasks."""
    _clear_away(server, project)
    options = {
        "predictions": {"only_id": True}, "drafts": {"only_id": False}, "annotations__completed_by": {"only_id": True},
    }  # fmt: skip
    # A snapshot that was made though its answer was lost is cleared away by a later pull.
    snapshot = server.call(
        "asking for a snapshot",
        lambda sdk: _described(
            sdk.projects.exports.create(project, title=TITLE, serialization_options=options)
        ),
    )
    number = snapshot["id"]
    try:
        waited, pause = 0.0, 1.0
        while snapshot["status"] not in ("completed", "failed"):
            if waited > _PATIENCE:
                raise GongbaoError(
                    f"the snapshot is not done after {waited:.0f} s",
                    file=server.url,
                    remedy="see whether the server's workers run",
                )
            server.wait(pause, "the server makes the snapshot")
            waited, pause = waited + pause, min(pause * 1.5, 30.0)
            snapshot = server.call(
                "waiting for the snapshot",
                lambda sdk: _described(sdk.projects.exports.get(project, number)),
            )
        if snapshot["status"] == "failed":
            raise GongbaoError(
                "the server could not make the snapshot", file=server.url, remedy="its log says why"
            )
        server.call("fetching the snapshot", lambda sdk: _fetch(sdk, project, snapshot, file))
    finally:
        with suppress(GongbaoError):
            server.call(
                "removing the snapshot", lambda sdk: sdk.projects.exports.delete(project, number), pauses=()
            )
    return int(snapshot["tasks"])


def _described(export: Any) -> Json:
    """What is needed of the SDK's export; KeyError or TypeError if it is none."""
    return {
        "id": int(export.id),
        "status": export.status,
        "md5": export.md5,
        "tasks": (export.counters or {}).get("task_number", 0),
    }


def _fetch(sdk: Any, project: int, snapshot: Json, file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in sdk.projects.exports.download(project, snapshot["id"]):
        digest.update(chunk)
        file.write(chunk)
    if snapshot["md5"] and digest.hexdigest() != snapshot["md5"]:
        raise GongbaoError(
            f"what was fetched is not the snapshot: {file.tell()} bytes with another checksum", file="the export",
            remedy="pull again; if that does not help, a proxy changes what passes through it",
        )  # fmt: skip


def _clear_away(server: Server, project: int) -> None:
    """Remove our snapshots that a killed pull left; one of this hour may belong to somebody who is pulling now."""
    old = datetime.fromtimestamp(server.clock(), UTC) - timedelta(hours=1)

    def left(sdk: Any) -> list[int]:
        ours = [e for e in sdk.projects.exports.list(project) if e.title == TITLE]
        return [int(e.id) for e in ours if e.created_at is not None and e.created_at < old]

    def remove(sdk: Any, number: int) -> None:
        sdk.projects.exports.delete(project, number)

    for number in server.call("looking for snapshots", left):
        server.call("removing a snapshot", partial(remove, number=number))


# ----------------------------------------------------------------------------------- what is in it


def _take(
    raw: IO[bytes], lines: IO[bytes], expected: int, config: LabelConfig, pulled: Pulled
) -> tuple[list[tuple[int, int, int]], dict[Key, _State]]:
    """Strip, check and write down every task that somebody worked on. Where each lies (number, start, length), and the states."""
    index: list[tuple[int, int, int]] = []
    now: dict[Key, _State] = {}
    documents: dict[str, str] = {}
    tasks = 0
    for given in tasks_in(raw, "the export"):
        tasks += 1
        task = without_people(given)
        if not task["annotations"] and not task.get("drafts"):
            pulled.waiting += 1
            continue
        _inspect(task, config, documents, pulled)
        now.update(_states(task, config))
        line = json.dumps(task, ensure_ascii=False, separators=(",", ":")).encode()
        index.append((int(task["id"]), lines.tell(), len(line)))
        lines.write(line)
    if tasks != expected:
        raise DataError(
            f"{tasks} tasks came and the server counted {expected}", file="the export", remedy="pull again"
        )
    pulled.tasks, pulled.annotations = len(index), len(now)
    return sorted(index), now


def _whole(lines: IO[bytes], index: list[tuple[int, int, int]]) -> Iterator[bytes]:
    """The file's bytes: a list with a task a line, by number."""
    for n, (_, start, length) in enumerate(index):
        lines.seek(start)
        yield (b",\n" if n else b"[\n") + lines.read(length)
    yield b"\n]\n"


def _inspect(task: Json, config: LabelConfig, documents: dict[str, str], pulled: Pulled) -> None:
    """Check a task as `annotations import` and `corpus check` will see it."""
    number = task.get("id")
    if not isinstance(number, int):
        raise DataError("a task has no number", file="the export", remedy="pull again")
    text, pushed = lookup(task["data"], config.data_key), task["data"].get(HASH)
    if isinstance(text, str) and pushed and pushed != text_hash(text):
        pulled.notes.append(f"task {number}: its text was changed on the server since it was pushed")
    try:
        found = read_export([task], config, choose="all")
    except DataError as error:
        raise error.within(file="the export") from None
    pulled.dropped.update(str(f.reason) for f in found.dropped if f.reason not in _EXPECTED)
    # One by one: the documents of two annotators have one text, which is no mistake here.
    pulled.findings += [f for document in found.documents for f in check([document], config.scheme)]
    name = _name(task)
    if name in documents:
        pulled.notes.append(f"tasks {documents[name]} and {number} have the same id, {name}")
    documents[name] = str(number)


def _name(task: Json) -> str:
    """What messages call a task's document."""
    return str(task["data"].get("id") or f"task-{task.get('id')}")


# ------------------------------------------------------------------------------------- the change


def _states(task: Json, config: LabelConfig) -> Iterator[tuple[Key, _State]]:
    text = lookup(task["data"], config.data_key)
    text_key = text_hash(text) if isinstance(text, str) else ""
    name = _name(task)
    for annotation in task["annotations"]:
        if not isinstance(annotation, Mapping) or annotation.get("was_cancelled"):
            continue
        result = annotation.get("result") or []
        said = json.dumps([result, bool(annotation.get("ground_truth"))], ensure_ascii=False, sort_keys=True)
        by = annotation.get("updated_by") or annotation.get("completed_by")
        number, own = (i if isinstance(i, int) else 0 for i in (task.get("id"), annotation.get("id")))
        key = (number, text_key, own)
        regions = sum(1 for r in result if isinstance(r, Mapping) and r.get("type") != "relation")
        yield (
            key,
            _State(
                name,
                by if isinstance(by, int) else None,
                regions,
                hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest(),
            ),
        )


def _states_in(output: Path, project: int, config: LabelConfig) -> Iterator[tuple[Key, _State]]:
    """The annotations of the file that is there."""
    with open(output, "rb") as file:
        for task in tasks_in(file, output):
            if task.get("project", project) != project:
                raise UsageError(
                    f"it is an export of project {task['project']}, not of {project}", file=output,
                    remedy="name another file for this project with -o",
                )  # fmt: skip
            yield from _states(task, config)


def _changes(before: Mapping[Key, _State], now: Mapping[Key, _State]) -> Iterator[Change]:
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        state = new or old
        assert state is not None
        if old is not None and new is not None and old.digest == new.digest:
            continue
        kind: Literal["new", "changed", "withdrawn"] = (
            "new" if old is None else "withdrawn" if new is None else "changed"
        )
        yield Change(
            kind,
            state.document,
            key[0],
            key[2],
            state.by,
            new.regions if new else 0,
            old.regions if old else None,
        )


def _refuse(pulled: Pulled, server: Server, project: int, allow_withdrawn: bool, strict: bool) -> None:
    """Raise for what must not take the place of the file that is there."""
    here: dict[str, Any] = {"file": pulled.output, "record": f"project {project} of {server.url}"}
    gone = [c for c in pulled.changes if c.kind == "withdrawn"]
    if gone and not allow_withdrawn:
        named = ", ".join(f"{c.document} (task {c.task}, {c.before} regions)" for c in gone[:5])
        raise GongbaoError(
            f"{len(gone)} annotations that the file has are no longer on the server: {named}{', …' if len(gone) > 5 else ''}; "
            "the file was left as it is", remedy="if that was meant, pull with --allow-withdrawn: the file's version before is kept too", **here,
        )  # fmt: skip
    if not pulled.tasks and not gone:
        raise GongbaoError(
            "nothing is annotated yet; nothing was written", remedy="annotate and submit", **here
        )
    errors = [f for f in pulled.findings if f.severity == "error"]
    if strict and errors:
        raise DataError(f"{len(errors)} broken rules, the first: {errors[0]}; nothing was written",
                        remedy="mend them in Label Studio, or pull without --strict", **here)  # fmt: skip


def _keep(path: Path) -> Path:
    """Give the file a second name, with the date it was written; it keeps the first until the new one takes that."""
    stamp = datetime.fromtimestamp(path.stat().st_mtime).astimezone().strftime("%Y-%m-%dT%H%M%S")
    for n in count(1):
        name = path.with_name(f"{path.stem}.{stamp}{'' if n == 1 else f'-{n}'}{path.suffix}")
        if not name.exists():
            break
        if sha256(name) == sha256(path):
            return name
    try:
        os.link(path.resolve(), name)
    except OSError:  # a file system without links
        with open(path, "rb") as old, replacing(name, "wb") as copy:
            shutil.copyfileobj(old, copy)
    return name
