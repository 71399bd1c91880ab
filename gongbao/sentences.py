"""Where the sentences of a report are: the one rule that windows, facts and checks share.

A sentence ends

1. behind a run of 。！？!?, with the quotes and brackets that close behind it, unless a comma or another clause
   mark follows; within 《…》 nothing ends, and an ASCII `!` or `?` inside a web address does not;
2. at a blank line;
3. at a line break, unless the sentence visibly goes on over it. It does where the line stops at a comma
   or an opening mark, where the next line starts with a closing mark, or where a number is cut from its unit. It
   does too where the line is as long as a wrapped line (WRAPPED characters or more), for no title is; but
   not where the next line is indented or numbered like an item, or where either is a table's row (tabs or `|` between its cells).

；is a clause mark and `.` may stand in a number: neither ends a sentence.
"""

from __future__ import annotations

import re
from typing import Final

WRAPPED: Final = 20
"""From how many characters on a line without an end mark is taken to be cut by its page's width."""

_QUOTED = 300  # characters; bounds the look back for an opening straight quote
_CLOSERS = "”’」』）)】》〉〕］\"'"
_MARK = re.compile(
    rf"""
      《[^《》。\r\n\x85\u2028\u2029]{{1,60}}》       # a title, whatever it shouts
    | (?P<end> (?:[。！？｡]|[!?](?![0-9A-Za-z]))+ [{_CLOSERS}]* )
    | (?P<blank> \s+ )
    """,
    re.VERBOSE,
)
_LINE_END = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_CELL = re.compile(r"[\t|]")
_CLAUSE = tuple("，、,；;：:")
_OPEN = tuple("，、,（(《“‘「『【〔")
_SHUT = tuple("，、,。；;：:！？!?）)》”’」』】〕%％‰")
_UNIT = tuple("%％‰十百千万亿元")
_ITEM = re.compile(
    r"[一二三四五六七八九十]+[、.．]|[（(](?:[一二三四五六七八九十]+|\d+)[)）]|\d{1,2}[、.．](?!\d)|[①-⑳]"
    r"|第[一二三四五六七八九十百]+[章节条]|[图表]\s*\d|[—―]{2}"
)


def sentences(text: str) -> list[tuple[int, int]]:
    """The sentences of a text as (start, end), in order and without overlap, in linear time.

    They begin and end in characters that are not blank, and together hold every such character.
    """
    found: list[tuple[int, int]] = []
    start = line = 0
    for mark in _MARK.finditer(text):
        if mark["end"]:
            end = _without_opening_quote(text, start, mark)
            if not text.startswith(_CLAUSE, end):
                _add(found, text, start, end)
                start = end
        elif mark["blank"] and (breaks := list(_LINE_END.finditer(mark["blank"]))):
            goes_on = (
                len(breaks) == 1
                and mark.end() < len(text)
                and _goes_on(text[line : mark.start()], mark["blank"][breaks[0].end() :], text, mark.end())
            )
            if not goes_on:
                _add(found, text, start, mark.start())
                start = mark.end()
            line = mark.end()
    _add(found, text, start, len(text))
    return found


def _add(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start < end:
        found.append((start, end))


def _without_opening_quote(text: str, start: int, mark: re.Match[str]) -> int:
    """The end of the mark, without a straight quote that opens the next sentence.

    Such a quote looks the same on both sides; it closes only where one was opened within the last few lines.
    """
    for at in range(mark.start(), mark.end()):
        if text[at] in "\"'" and text.count(text[at], max(start, at - _QUOTED), at) % 2 == 0:
            return at
    return mark.end()


def _goes_on(before: str, indent: str, text: str, after: int) -> bool:
    """Whether a sentence goes on from the line `before` to the line at `after`, which is indented so."""
    if before.endswith(_OPEN) or text.startswith(_SHUT, after):
        return bool(before)
    if before[-1:].isdigit() and text.startswith(_UNIT, after):
        return True
    return (
        len(before) >= WRAPPED
        and before[-1] not in "；;：:"
        and "\u3000" not in indent
        and len(indent) <= 1
        and not _ITEM.match(text, after)
        and not _CELL.search(before)
        and not _CELL.search(_line(text, after))
    )


def _line(text: str, start: int) -> str:
    end = _LINE_END.search(text, start)
    return text[start : end.start() if end else len(text)]
