"""The page for people: a form, its style and its script, none of them from elsewhere."""

from __future__ import annotations

import hashlib
from typing import Final

from fastapi.responses import Response

from gongbao import __version__
from gongbao.articles import SUFFIXES
from gongbao.report.pages import environment, number_labels, source, stylesheet
from gongbao.schema import LabelScheme
from gongbao.serving.settings import Settings

_FOR_EVER: Final = {"cache-control": "public, max-age=31536000, immutable"}
_LANGUAGES: Final = {"zh": "zh-Hans", "en": "en"}


class Page:
    """The page of one service. Its text is made once for each language, its assets once."""

    def __init__(self, settings: Settings, scheme: LabelScheme, *, needs_key: bool) -> None:
        self._settings = settings
        self._needs_key = needs_key
        self._assets: dict[str, tuple[bytes, str]] = {}
        style = self._keep("css", stylesheet(number_labels(scheme.labels, ())) + source("service.css"))
        # One file: the tables of the result are sorted by what sorts those of the reports.
        script = self._keep("js", source("script.js") + source("service.js"))
        self._pages = {
            language: self._made(language, style, script).encode() for language in _LANGUAGES.values()
        }

    def answer(self, accepted: str) -> Response:
        """The page in the language that the browser asks for (Accept-Language)."""
        return Response(
            self._pages[language_of(accepted)],
            headers={"vary": "Accept-Language", "cache-control": "no-cache"},
            media_type="text/html; charset=utf-8",
        )

    def asset(self, name: str) -> Response | None:
        """A style or a script by its name; None if there is none of that name."""
        if name not in self._assets:
            return None
        content, kind = self._assets[name]
        return Response(content, headers=_FOR_EVER, media_type=kind)

    def _keep(self, kind: str, text: str) -> str:
        """Keep an asset and give its name, which changes with its content."""
        content = text.encode()
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
        types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
        self._assets[name] = content, types[kind]
        return name

    def _made(self, language: str, style: str, script: str) -> str:
        settings = self._settings
        return (
            environment()
            .get_template("service.html")
            .render(
                language=language,
                style=style,
                script=script,
                version=__version__,
                needs_key=self._needs_key,
                suffixes=",".join(SUFFIXES),
                characters=settings.max_characters,
                megabytes=settings.max_body / 1e6,
            )
        )


def language_of(accepted: str) -> str:
    """The page's language for an Accept-Language: the wanted one of the two, Chinese if none of them is."""
    best, language = 0.0, "zh-Hans"
    for part in accepted.split(","):
        tag, _, weight = part.partition(";")
        found = _LANGUAGES.get(tag.strip().lower().partition("-")[0])
        try:
            quality = float(weight.partition("=")[2] or 1)
        except ValueError:
            continue
        if found and quality > best:
            best, language = quality, found
    return language
