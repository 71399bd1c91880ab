"""What a long run has found so far, beside its output, so that a run that was stopped need not begin anew.

    facts.xlsx.3fa9c2d1.journal    a document a line, as they are finished

The name tells the command: inputs, model and date. At the end the output is made from the journal alone, and the journal
goes: so the bytes of the output are the same whether the run was stopped or not, and a disk that was full then costs no
more than writing again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from gongbao.process import say
from gongbao.schema import DataError, Document, UsageError

WORTH: Final = 20
"""Documents from which a journal is kept when the run fails; a killed run leaves it whatever is in it."""

_LONGEST: Final = 200  # bytes of the output's name: with what is added a file's name may have 255


class Journal:
    """An open journal. `add` what is found, ask `has` before a document is read, take all with `documents`."""

    def __init__(self, path: Path, file: IO[bytes], ids: Counter[str]) -> None:
        self._path, self._file, self._ids = path, file, ids
        self._count = ids.total()

    def has(self, name: str) -> bool:
        """Whether a document of this id is here already; of several of one id each counts once."""
        self._ids[name] -= 1
        return self._ids[name] >= 0

    def add(self, document: Document) -> None:
        """Keep a document. What the system has taken survives the end of this process."""
        try:
            line = document.to_line().encode() + b"\n"
        except (TypeError, ValueError) as error:  # a lone surrogate, or something in `meta` that is no JSON
            raise DataError(f"the document cannot be written: {error}", record=document.id) from error
        self._file.write(line)
        self._file.flush()
        self._count += 1

    def documents(self) -> Iterator[Document]:
        """All of them in the order in which they were added."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield Document.from_json(_json(line, self._path, number))

    def __len__(self) -> int:
        return self._count


@contextmanager
def journal(output: Path, about: Mapping[str, Any], *, resume: bool) -> Iterator[Journal]:
    """The journal of a run with this output; `about` is what makes it the same run.

    Raises:
        UsageError: a stopped run of the same command lies there and it is not to be resumed; another process writes it.
        DataError: a line of it is damaged.
    """
    told = json.dumps(about, sort_keys=True, ensure_ascii=True)
    begins = os.fsencode(output.name)[:_LONGEST].decode(errors="ignore")
    path = output.with_name(f"{begins}.{hashlib.sha256(told.encode()).hexdigest()[:8]}.journal")
    if path.exists() and path.stat().st_size and not resume:
        raise UsageError(
            f"a run of this command was stopped, or is still at work; what it found is in {path}",
            remedy="--resume goes on with it; delete the file to begin anew",
        )
    if resume and not path.exists():
        say("there is no stopped run of this command here: it begins at the beginning")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        _lock(file, path)
        found = Journal(path, file, _ids(path))
        if len(found):
            say(f"{len(found):,} documents were found before")
        try:
            yield found
        except BaseException:
            if len(found) < WORTH:
                path.unlink(missing_ok=True)
            else:
                say(f"the same command with --resume goes on behind {len(found):,} documents")
            raise
    path.unlink()


def _ids(path: Path) -> Counter[str]:
    """The ids of the documents; a last line that was being written when the process was killed is cut off."""
    ids: Counter[str] = Counter()
    whole = 0
    with path.open("rb+") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            ids[str(_json(line, path, number)["id"])] += 1
            whole += len(line)
        file.truncate(whole)
    return ids


def _json(line: bytes, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DataError(
            f"the journal is damaged: {error}", file=path, record=f"line {number}",
            remedy="delete it and begin anew without --resume",
        ) from None  # fmt: skip


def _lock(file: IO[bytes], path: Path) -> None:
    """Until the file is closed no other process may write it, where the system can do that."""
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"another process is writing {path}", remedy="wait for it, or end it") from None
