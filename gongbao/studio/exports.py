"""An export as the server gives it: read a task at a time, however long it is, and rid of the people in it."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any, Final, TypeAlias

from gongbao.schema import DataError

Json: TypeAlias = dict[str, Any]
_PIECE: Final = 1 << 18  # bytes
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")


def tasks_in(file: IO[bytes], name: object) -> Iterator[Json]:
    """The tasks of an export one after another; a piece of the file and a task are held at a time.

    Args:
        name: what messages call the file.

    Raises:
        DataError: it is no JSON list of tasks in UTF-8, or breaks off.
    """
    n = 0
    pieces = _Pieces(file)
    try:
        pieces.expect("[")
        if pieces.peek() != "]":
            while not n or pieces.peek() == ",":
                if n:
                    pieces.expect(",")
                n += 1
                task = pieces.value()
                parts = (("data", dict), ("annotations", list))
                if not isinstance(task, dict) or not all(isinstance(task.get(k), kind) for k, kind in parts):
                    raise ValueError("a record is no task with data and annotations")
                yield task
        pieces.expect("]")
        if pieces.peek():
            raise ValueError("something follows its end")
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise DataError(
            f"it is no whole export of tasks: {error}", file=name, record=f"record {n}" if n else None,
            remedy="pull again; a file of yours that is broken: move it away",
        ) from None  # fmt: skip


class _Pieces:
    """JSON values and the marks between them, out of a file that is read piece by piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._size = _PIECE
        self._text = ""
        self._at = 0

    def _more(self) -> bool:
        """Read on; False at the end."""
        piece = self._file.read(self._size)
        self._text, self._at = self._text[self._at :] + self._decoder.decode(piece, final=not piece), 0
        return bool(piece)

    def peek(self) -> str:
        """The next character that is no white space, "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def expect(self, mark: str) -> None:
        """Pass over a mark, ValueError if something else stands there."""
        found = self.peek()
        if found != mark:
            raise ValueError(f"{found!r} stands where {mark!r} belongs" if found else "it breaks off")
        self._at += 1

    def value(self) -> Any:
        """The next value."""
        self.peek()
        self._size = _PIECE
        while True:
            try:
                value, self._at = json.JSONDecoder().raw_decode(self._text, self._at)
                return value
            except json.JSONDecodeError as error:
                self._size *= 2  # so that a value of many pieces is not parsed as often
                if not self._more():
                    raise ValueError(f"it breaks off ({error.msg})") from None


def without_people(task: Json) -> Json:
    """The task without e-mail addresses and names of users. The article and what was marked in it stay as they are.

    People are their numbers on the server, in drafts too; `created_ago`, which changes by itself, goes as well.
    """
    kept = {key: value if key in ("data", "meta") else _nameless(value) for key, value in task.items()}
    if isinstance(task.get("drafts"), list):
        kept["drafts"] = [_draft(draft) for draft in task["drafts"]]
    return kept


def _draft(draft: Any) -> Any:
    if not isinstance(draft, dict):
        return draft
    # The user is an address; "created_username" is it with the number: "li@example.org, 7".
    number = re.search(r", (\d+)$", str(draft.get("created_username") or ""))
    kept = {k: v for k, v in draft.items() if k not in ("created_username", "created_ago", "user")}
    return _nameless(kept) | {"user": int(number[1]) if number else None}


def _nameless(value: Any) -> Any:
    if isinstance(value, dict):
        if "email" in value:
            return value.get("id")
        return {k: v if k == "result" else _nameless(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_nameless(v) for v in value]
    return None if isinstance(value, str) and _EMAIL.search(value) else value
