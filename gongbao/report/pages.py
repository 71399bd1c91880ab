"""How the pages are made: templates, colours, the policy that lets no script run but the page's own, and short forms."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from gongbao import __version__
from gongbao.files import PACKAGE
from gongbao.metrics import Counts, Interval
from gongbao.schema import UNREAD, Amount, Document, Period, Value

if TYPE_CHECKING:
    from jinja2 import Environment


def page(template: str, numbers: Mapping[str, int], **content: Any) -> str:
    """The page that a template makes; `numbers` are the labels and their numbers, in order."""
    from markupsafe import Markup

    style = stylesheet(numbers)
    script = source("script.js")
    html = environment().get_template(template).render(
        content, labels=numbers, version=__version__,
        # Both are the page's own and hold nothing of the data; all else is escaped.
        style=Markup(style), script=Markup(script), style_hash=_csp_hash(style), script_hash=_csp_hash(script),  # noqa: S704
    )  # fmt: skip
    return printable(html)


def fragment(template: str, numbers: Mapping[str, int], **content: Any) -> str:
    """A part of a page, without style and script; `numbers` as for `page`."""
    return printable(environment().get_template(template).render(content, labels=numbers))


def stylesheet(numbers: Mapping[str, int]) -> str:
    """The pages' style, with the labels' colours."""
    return source("style.css") + "".join(_colour(number) for number in numbers.values())


@cache
def environment() -> Environment:
    """The templates: autoescaped, and strict about what they are given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(PACKAGE / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "rate": rate_text, "rates": rates, "interval": interval_text, "short": short, "value": value_text,
        "md": markdown,
    }  # fmt: skip
    return made


@cache
def source(name: str) -> str:
    """A style or a script as it stands among the templates."""
    return (PACKAGE / "templates" / name).read_text(encoding="utf-8")


def _csp_hash(source: str) -> str:
    """What a Content-Security-Policy calls an inline script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


_HUES: Final = (212, 24, 152, 282, 48, 332, 186, 92)
_LINES: Final = ("solid", "double", "dashed", "dotted", "wavy")


def _colour(number: int) -> str:
    """The rules that give a label its colour and, for those who see no colours, the style of its underline."""
    # Behind the chosen hues the golden angle goes on: no two labels get the same.
    hue = _HUES[number] if number < len(_HUES) else round(number * 137.508 % 360, 1)
    line = _LINES[number % len(_LINES)]
    return f".g{number}{{--g:{hue}}}.p{number}{{--p:{hue};text-decoration-style:{line}}}\n"


def number_labels(labels: Iterable[str], found: Iterable[str]) -> dict[str, int]:
    """Labels and their numbers, the scheme's in its order, then the others that were found."""
    return {label: n for n, label in enumerate(dict.fromkeys([*labels, *sorted(set(found))]))}


def rates(counts: Counts) -> tuple[tuple[float, int], ...]:
    """Precision, recall and F1, each with the count that it is a rate of (0: it is none)."""
    tp, fp, fn = counts.tp, counts.fp, counts.fn
    return (counts.precision, tp + fp), (counts.recall, tp + fn), (counts.f1, tp + fp + fn)


def rate_text(rate: float, of: int = 1) -> str:
    """A rate in three digits; nothing where it is a rate of nothing."""
    return f"{rate:.3f}" if of else ""


def interval_text(interval: Interval) -> str:
    """Both ends, or a dash."""
    return f"{interval[0]:.3f}–{interval[1]:.3f}" if interval else "—"


def meta_text(document: Document, key: str) -> str:
    """What the document says of itself, if it is a plain word."""
    value = document.meta.get(key)
    return str(value) if isinstance(value, str | int | float) else ""


def short(text: str, most: int = 16) -> str:
    """The text on one line, cut behind `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


_SIGNS: Final = {
    "exact": "", "about": "≈ ", "at_least": "≥ ", "at_most": "≤ ", "more_than": "> ", "less_than": "< ",
}  # fmt: skip


def value_text(value: Value) -> str:
    """A value as people write it: `50.7%`, `10,000–30,000 CNY`, `≥ 3,000 m²`, `2023-01-01 … 2023-09-30`; — for none,
    nothing where none was looked for.
    """
    if isinstance(value, Amount) and (value.kind, value.unit) == ("percent", "ratio"):
        return f"{_SIGNS[value.approx]}{_sides(value, 100, '.12g')}%"
    return _in_typeset_units(exact_text(value)) if isinstance(value, Amount) else exact_text(value)


def exact_text(value: Value) -> str:
    """A value as `value_text` has it, but with its number and unit as they stand in the data: `0.507 ratio`."""
    if isinstance(value, Amount):
        return f"{_SIGNS[value.approx]}{_sides(value, 1, ',.15g')} {value.unit}".rstrip()
    if isinstance(value, Period):
        days = [day.isoformat() if day else "" for day in (value.start, value.end)]
        return days[0] if days[0] == days[1] else " … ".join(days).strip()
    return "" if value is UNREAD else "—"


def _sides(amount: Amount, scale: int, form: str) -> str:
    sides = dict.fromkeys(side for side in (amount.low, amount.high) if side is not None)
    return "–".join(f"{side * scale:{form}}" for side in sides)


def _in_typeset_units(text: str) -> str:
    """m² for m2, µg for ug."""
    return re.sub(r"\bug\b", "µg", re.sub(r"(?<=m)[23](?!\w)", lambda found: "  ²³"[int(found[0])], text))


def markdown(text: str) -> Any:
    """The text on one line, with every mark of Markdown and of HTML escaped."""
    from markupsafe import Markup

    return Markup(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split())))  # noqa: S704


SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """The text with pictures for control characters, as no HTML may hold them, and no half of a surrogate pair."""
    return _UNPRINTABLE.sub(lambda found: _picture(ord(found[0])), text)


def _picture(code: int) -> str:
    return chr(0x2400 + code) if code < 0x20 else "␤" if code == 0x85 else "\N{REPLACEMENT CHARACTER}"
