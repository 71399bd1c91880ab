"""What can be configured, by environment variables with the prefix GONGBAO_, and the keys that let callers in."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gongbao.schema import GongbaoError, UsageError

PREFIX: Final = "GONGBAO_"
SHORTEST_KEY: Final = 16  # characters
_log = logging.getLogger("gongbao.serving")


class Settings(BaseModel):
    """One service's configuration. The variable of a field is GONGBAO_ and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    host: str = Field("127.0.0.1", description="Address to listen on; any but a loopback address needs keys.")
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=64, description="Processes, each with a model and a queue of its own.")
    model: Path | None = Field(None, description="A model's folder; else the default model.")
    backend: Literal["auto", "onnx", "torch"] = "auto"
    threads: int | None = Field(
        None, ge=1, description="Of one model; else the cores, shared by the workers."
    )
    keys: Path | None = Field(None, description="A file with an API key a line. None: loopback only.")

    max_body: int = Field(20_000_000, ge=1, description="Bytes of one request.")
    max_characters: int = Field(100_000, ge=1, description="Characters of one request's texts together.")
    max_texts: int = Field(100, ge=1, description="Texts of one request.")
    max_pages: int = Field(500, ge=1, description="Pages of a PDF.")
    max_requests: int = Field(256, ge=1, description="Requests to extract at a time; further ones get 429.")
    timeout: float = Field(60.0, gt=0, description="Seconds for one request, its upload included.")
    queue_characters: int = Field(1_000_000, ge=1, description="Characters that may wait for the model.")
    # Larger ones pack better by length and make others wait longer: at 4,096 short texts lost a fifth of the speed.
    batch_characters: int = Field(8_192, ge=1, description="Characters that the model is given at a time.")
    readers: int = Field(2, ge=1, le=64, description="Uploaded files that are read at a time.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **changes: Any) -> Settings:
        """The settings of the environment; `changes` that are not None come before them.

        Raises:
            UsageError: a value that does not fit, or a variable that is a known one misspelt.
        """
        given: dict[str, Any] = {}
        for variable, value in environment.items():
            name = variable.removeprefix(PREFIX).lower()
            if not variable.startswith(PREFIX) or not value:
                continue
            if name in cls.model_fields:
                given[name] = value
            elif near := get_close_matches(name, cls.model_fields, n=1, cutoff=0.8):
                # Other parts of gongbao have variables too: only what looks like one of these is refused.
                raise UsageError(
                    f"there is no setting {variable}", remedy=f"did you mean {variable_of(near[0])}?"
                )
        try:
            return cls.model_validate(given | {k: v for k, v in changes.items() if v is not None})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise UsageError(
                f"{variable_of(str(first['loc'][0]))} is {first['input']!r}: {first['msg']}",
                remedy="change the variable, or the option of `gongbao serve` of that name",
            ) from None

    def to_environment(self) -> dict[str, str]:
        """The inverse, for processes that are started with these settings."""
        return {
            variable_of(name): str(value) for name, value in self.model_dump().items() if value is not None
        }

    def open_keys(self) -> Keys | None:
        """The keys; None where the service is for this machine alone and has none.

        Raises:
            UsageError: no keys, and the service could be reached from elsewhere; or no key in the file.
        """
        if self.keys is not None:
            return Keys(self.keys)
        if not is_loopback(self.host):
            raise UsageError(
                f"the service would be open to everybody who can reach {self.host}",
                remedy=f"name a file of API keys in {variable_of('keys')} (--keys), or listen on 127.0.0.1",
            )
        return None


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def is_loopback(host: str) -> bool:
    """Whether an address, or a host's name, is this machine's own and no other can reach it."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


class Keys:
    """API keys of a file: one a line, blank lines and lines that begin with # left out.

    The file is read again when it has changed, so that keys come and go without a restart. While it cannot be read
    or holds no key, nobody gets in.

    Raises:
        UsageError: it cannot be read, holds no key, or one that is too short to be safe.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._state()
        self._digests = self._read()

    def allow(self, key: str) -> bool:
        """Whether this is one of the keys. How long it takes tells nothing of them."""
        self._refresh()
        given = _digest(key)
        # Every one is compared, to the end.
        return sum(hmac.compare_digest(given, known) for known in self._digests) > 0

    def _refresh(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._digests = self._read()
            _log.info("the file of keys was read again: %d keys", len(self._digests))
        except GongbaoError as error:
            self._digests = ()
            _log.error("nobody is let in: %s", error.problem)

    def _state(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> tuple[bytes, ...]:
        try:
            lines = self._path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise self._error(
                f"the file of keys cannot be read: {why}", "check the path and its rights"
            ) from None
        keys = [(n, line.strip()) for n, line in enumerate(lines, 1)]
        keys = [(n, key) for n, key in keys if key and not key.startswith("#")]
        if not keys:
            raise self._error("the file of keys holds none", "write a key a line: openssl rand -hex 32")
        for n, key in keys:
            if len(key) < SHORTEST_KEY:  # the key itself is not shown
                raise self._error(
                    f"the key in line {n} has fewer than {SHORTEST_KEY} characters",
                    "openssl rand -hex 32 makes one",
                )
        return tuple(_digest(key) for _, key in keys)

    def _error(self, problem: str, remedy: str) -> UsageError:
        return UsageError(problem, file=self._path, remedy=remedy)


def _digest(key: str) -> bytes:
    # All the same length, so that the comparison does not tell a key's.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
