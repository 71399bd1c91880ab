"""Which server, and the token that opens it: said, in the environment, in the keyring, or left by `studio start`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from gongbao.schema import UsageError
from gongbao.studio.local import signed_in

URL: Final = ("GONGBAO_STUDIO_URL", "LABEL_STUDIO_URL")
TOKEN: Final = ("GONGBAO_STUDIO_TOKEN", "LABEL_STUDIO_API_KEY")
KEYRING: Final = "gongbao"
NEW_TOKEN: Final = (
    "make a token in Label Studio (the menu of your account: Personal Access Token, or Legacy Token where the "
    f"organisation allows those) and hand it over in {TOKEN[0]}"
)


@dataclass(frozen=True)
class Access:
    """Address and token of a server. The token is in no message and in no repr.

    Args:
        url: http or https, without a slash at its end.
        token: a personal access token (a JWT, exchanged for short ones as needed) or a legacy token.
    """

    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"{self.url!r} is no address of a server", remedy="write it like http://127.0.0.1:8080"
            )
        if parts.username or parts.password:
            raise UsageError("the address holds a user and password", remedy=f"leave them out; {NEW_TOKEN}")
        if not self.token.isascii() or not self.token or any(c.isspace() for c in self.token):
            # What a header cannot carry: the SDK would fail on it with the token in its message.
            raise UsageError(
                "the token is no token: it is empty or holds blanks or other letters", remedy=NEW_TOKEN
            )
        object.__setattr__(self, "url", self.url.rstrip("/"))


def find_access(
    url: str | None = None, token: str | None = None, environment: Mapping[str, str] = os.environ
) -> Access:
    """What is given, else what the environment says, else the keyring or the server that runs on this machine.

    The keyring's entry has the service `gongbao` and the address as its user (`keyring set gongbao ADDRESS`). The token of the local
    server is used for that server alone.

    Raises:
        UsageError: no address or no token is to be found, or one of them is none.
    """
    url = url or _first(URL, environment)
    token = token or _first(TOKEN, environment)
    local = signed_in()
    if url is None:
        if local is None:
            raise UsageError(
                "no Label Studio is named and none of gongbao's runs here",
                remedy=f"gongbao studio start, or name yours with --url or {URL[0]}",
            )
        url = local.url
    url = url.rstrip("/")
    if token is None and local is not None and url == local.url:
        token = local.token
    token = token or _from_keyring(url)
    if token is None:
        raise UsageError(f"there is no token for {url}", remedy=NEW_TOKEN)
    return Access(url, token.strip())


def _first(names: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)


def _from_keyring(url: str) -> str | None:
    try:
        import keyring
    except ModuleNotFoundError:
        return None
    try:
        token: str | None = keyring.get_password(KEYRING, url)
    except Exception:  # a machine without a keyring of its own: each back end has errors of its own
        return None
    return token
