"""A Label Studio server on this machine, for one person: started, waited for, and stopped with what started it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from gongbao.files import replacing
from gongbao.schema import GongbaoError, UsageError

VERSION: Final = "1.23.2"
EXECUTABLE: Final = "GONGBAO_LABEL_STUDIO"
EMAIL: Final = "annotator@gongbao.local"
_SIGN_IN: Final = "sign-in.json"
_LOG: Final = "label-studio.log"
_DATABASE: Final = "label_studio.sqlite3"
_PATIENCE: Final = 300.0  # seconds; the first start makes the database, which takes a minute
_GENTLE: Final = 20.0  # seconds to end by itself
_INSTALL: Final = (
    f"pipx install label-studio=={VERSION}, or in an environment of its own (its pins do not go with others): "
    f"python -m venv label-studio && label-studio/bin/pip install label-studio=={VERSION}, then {EXECUTABLE}=label-studio"
)


@dataclass(frozen=True)
class SignIn:
    """How to sign in to a local server; kept in its folder, readable by the user alone."""

    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    url: str = ""


def default_folder() -> Path:
    """Where the data of the local server lies if nothing else is said."""
    if own := os.environ.get("GONGBAO_STUDIO"):
        return Path(own)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "gongbao" / "studio"


def signed_in(folder: Path | None = None) -> SignIn | None:
    """The sign-in of the local server, with the address it last had; None if there never was one."""
    try:
        return SignIn(**json.loads(((folder or default_folder()) / _SIGN_IN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def settings(url: str, folder: Path, sign_in: SignIn | None) -> dict[str, str]:
    """The environment of a server that calls nobody: no telemetry, no look for newer versions.

    A model's back end may run on this machine. Legacy tokens act only when the organisation is created, which is at the
    first start.
    """
    made = {} if sign_in is None else {
        "LABEL_STUDIO_USERNAME": sign_in.email, "LABEL_STUDIO_PASSWORD": sign_in.password,
        "LABEL_STUDIO_USER_TOKEN": sign_in.token, "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    }  # fmt: skip
    return made | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder), "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false", "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "false", "LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "false",
        "XDG_CONFIG_HOME": str(folder / "xdg"), "XDG_DATA_HOME": str(folder / "xdg"),
    }  # fmt: skip


class LocalStudio:
    """A server in a process of its own: `with LocalStudio(folder) as studio: studio.url`.

    It listens on this machine only. It is in no process group with its starter, so that ctrl-C reaches the starter,
    which ends it in good order.

    Args:
        folder: its data; made if missing. One that another program made is used as it is.
        port: 0: a free one.
        executable: the program; None: found by `find_executable`.

    Raises:
        UsageError: there is no Label Studio, the port is taken, or a server runs in the folder already.
        GongbaoError: it ends, or does not answer in time; the last lines of its log are in the message.
    """

    def __init__(self, folder: Path, port: int = 0, executable: Path | None = None) -> None:
        self.folder = folder.absolute()
        self.log = self.folder / _LOG
        self._executable = executable or find_executable()
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.sign_in: SignIn | None = None

    def __enter__(self) -> LocalStudio:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = signed_in(self.folder)
        if before is not None and before.url and _is_up(before.url):
            raise UsageError(f"the Label Studio of this folder runs already: {before.url}", file=self.folder,
                             remedy="use it, or stop it first")  # fmt: skip
        self.url = f"http://127.0.0.1:{_free_port(self._port)}"
        is_new = not (self.folder / _DATABASE).exists()
        if before is None and is_new:
            before = SignIn(EMAIL, secrets.token_urlsafe(9), secrets.token_hex(20))
        if before is not None:
            self.sign_in = SignIn(before.email, before.password, before.token, self.url)
            _keep(self.sign_in, self.folder / _SIGN_IN)
        try:
            self._start()
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        command = [str(self._executable), "start", "--no-browser", "--internal-host", "127.0.0.1",
                   "--port", self.url.rpartition(":")[2]]  # fmt: skip
        environment = _without_ours(os.environ) | settings(self.url, self.folder, self.sign_in)
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip

    def _wait(self) -> None:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            if not self.is_running():
                raise GongbaoError(
                    "Label Studio ended at its start",
                    file=self.log,
                    remedy=f"its last words:\n{self._last_words()}",
                )
            if _is_up(self.url):
                return
            time.sleep(0.2)
        raise GongbaoError(f"Label Studio did not answer within {_PATIENCE:.0f} s", file=self.log,
                           remedy=f"its last words:\n{self._last_words()}")  # fmt: skip

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def wait_for_its_end(self) -> int:
        """Wait until the process ends by itself, and give its exit code."""
        assert self._process is not None
        return self._process.wait()

    def stop(self) -> None:
        """End the server, gently first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_GENTLE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self.sign_in is not None:
            _keep(
                SignIn(self.sign_in.email, self.sign_in.password, self.sign_in.token), self.folder / _SIGN_IN
            )

    def kill(self) -> None:
        """End it as a power cut would; the tests do."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _last_words(self, lines: int = 12) -> str:
        with suppress(OSError):
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return ""


def find_executable(environment: Mapping[str, str] = os.environ) -> Path:
    """Label Studio's program: what GONGBAO_LABEL_STUDIO names (it or its environment), beside this Python, or on the path.

    Raises:
        UsageError: there is none.
    """
    if named := environment.get(EXECUTABLE):
        place = Path(named).expanduser().absolute()
        for path in (place, place / "bin" / "label-studio", place / "Scripts" / "label-studio.exe"):
            if path.is_file():
                return path
        raise UsageError(f"there is no Label Studio at {place}, which {EXECUTABLE} names", remedy=_INSTALL)
    beside = Path(sys.executable).with_name("label-studio")
    found = str(beside) if beside.is_file() else shutil.which("label-studio", path=environment.get("PATH"))
    if found is None:
        raise UsageError("Label Studio is not installed", remedy=_INSTALL)
    return Path(found)


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what is about another server or another Python."""
    ours = ("GONGBAO_", "LABEL_STUDIO_", "DJANGO_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}


def _free_port(wanted: int) -> int:
    """The port, if it is free: Label Studio would silently take the next one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise UsageError(
                f"port {wanted} cannot be had: {error.strerror}", remedy="name another, or 0 for a free one"
            ) from None
        port: int = probe.getsockname()[1]
        return port


def _is_up(url: str) -> bool:
    opener: Callable[..., Any] = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    try:
        with opener(f"{url}/health", timeout=2) as answer:
            return b"UP" in answer.read(200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _keep(sign_in: SignIn, path: Path) -> None:
    path.touch(mode=0o600)
    with replacing(path) as file:  # which keeps the mode
        json.dump(asdict(sign_in), file)
