"""From spans to facts: values of amounts and periods, links between spans, and what they say together.

A fact is a link with the period it holds for and the subject it speaks of. Both are looked for where a reader
would look:

- **period**: the last TIME in front of the amount in its sentence. A point of comparison is none (比上年, 较年初,
  2005年的2.1倍, 去年同期), nor is what names a plan (全年任务, 2023年预算的), and a TIME tied to one amount (从2020年的82.4岁) holds for that one only.
- **subject**: the PROJECT or ORG that the amount leads on to (总投资5.6亿元的云岭物流园), else the nearest in front
  of the metric in its sentence. An ORG counts where a clause begins with it, a TIME at most in front of it:
  elsewhere it is acted on, or reports. Beyond its clause it counts only where the sentence begins with it. A PROJECT
  counts for what projects have (投资, 面积, 产能 and the like; not 居民收入), not past a ；, and not in a list, for the
  amount may be of all in it. Of ORGs in a row, 分别 and as many amounts each amount has its own.
- What the sentence does not say is *inherited*: from the nearest earlier sentence of the paragraph that says it; else
  from the first sentence of one of the REACH paragraphs before, the nearest first, headings among them; else from
  the document's first sentence, its title. Of a period it is the last TIME of that sentence, but not a single day,
  which dates an event and no figure. Of a subject it is the ORG that the sentence begins with, but what is said of
  全县 goes to no ORG without 县 in its name, and no ORG reaches past a heading (一、工业; a block that its file calls one),
  since another section speaks of others. A PROJECT is inherited only from the sentence just before, if it is the only
  one there.

The labels come from the scheme: a TIME is a label read as a period; an ORG is one that has no value and no role; a
PROJECT is a head that a role names behind its first one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise
from math import inf
from typing import Final, Literal

from gongbao.amounts import parse_amount
from gongbao.articles.parts import iso_day
from gongbao.linking import Linker, RuleLinker
from gongbao.periods import parse_period
from gongbao.schema import UNREAD, Document, Fact, LabelScheme, Link, Period, Span
from gongbao.sentences import sentences

__all__ = [
    "REACH", "Linker", "RuleLinker", "complete", "make_facts", "normalise", "prepare_gold", "publication_date",
]  # fmt: skip

REACH: Final = 5
"""How many paragraphs down the first sentence of a paragraph gives its period and subject."""


def complete(document: Document, scheme: LabelScheme, linker: Linker) -> Document:
    """The document with values, links and facts, all three made anew from its spans."""
    valued = normalise(document, scheme)
    linked = valued.replace(links=tuple(linker(valued)), facts=(), scheme=scheme)
    return linked.replace(facts=make_facts(linked, scheme))


def prepare_gold(document: Document, scheme: LabelScheme) -> Document:
    """The document with values, and with facts from its own links: what predictions are compared with."""
    valued = normalise(document, scheme)
    return valued.replace(facts=make_facts(valued, scheme))


# ---------------------------------------------------------------------------------------- values


def normalise(document: Document, scheme: LabelScheme) -> Document:
    """Give each span whose label has values its Amount or Period, None where there is none to be had.

    Relative periods are counted from the publication date. But what comes out from January to April and names in its
    title (`meta["title"]`, else its first sentence) the year before and no other, looks back on that year: there 全年,
    全年度, 年末, 年底, 年初 and 当年 are counted from its last day.
    """
    published = publication_date(document)
    closed = _year_looked_back_on(document, published)

    def counted_from(span: Span) -> date | None:
        return closed if closed is not None and span.text.strip() in _OF_THE_YEAR else published

    return document.replace(
        spans=tuple(_valued(s, scheme.values.get(s.label), counted_from(s)) for s in document.spans)
    )


_OF_THE_YEAR = frozenset({"全年", "全年度", "年末", "年底", "年初", "当年"})
_YEAR = re.compile(r"(?:[12][0-9]{3}|[１２][０-９]{3}|[一二][〇○零一二三四五六七八九]{3})\s*年")


def _year_looked_back_on(document: Document, published: date | None) -> date | None:
    """The last day of the year before, if the document is an early report on it."""
    if published is None or published.month > 4:
        return None
    title = document.meta.get("title")
    if not isinstance(title, str) or not title.strip():
        title = next((document.text[a:b] for a, b in sentences(document.text)), "")
    named = {_period(year, None) for year in _YEAR.findall(title)}
    before = published.year - 1
    return date(before, 12, 31) if named == {Period(date(before, 1, 1), date(before, 12, 31))} else None


def _valued(span: Span, kind: str | None, published: date | None) -> Span:
    if kind is None:
        return replace(span, value=UNREAD)
    return replace(span, value=_amount(span.text) if kind == "amount" else _period(span.text, published))


# Reports say the same thing over and over; both parsers depend on their arguments alone.
_amount = lru_cache(maxsize=1 << 16)(parse_amount)
_period = lru_cache(maxsize=1 << 16)(parse_period)


def is_undated(document: Document, scheme: LabelScheme) -> bool:
    """Whether times of it have no dates because it says no publication date to count them from."""
    return "published" not in document.meta and any(
        scheme.values.get(span.label) == "period" and span.value is None for span in document.spans
    )


def publication_date(document: Document) -> date | None:
    """The day in `meta["published"]`: an ISO date with or without an hour, or as reports write it (2023年11月2日).

    None where there is none; `corpus check` reports what cannot be read.
    """
    said = document.meta.get("published")
    if isinstance(said, datetime):
        return said.date()
    if isinstance(said, date):
        return said
    try:
        return datetime.fromisoformat(str(said).strip()).date()
    except ValueError:
        day = iso_day(said) if isinstance(said, str) else None
        return date.fromisoformat(day) if day else None


# ----------------------------------------------------------------------------------------- facts


def make_facts(document: Document, scheme: LabelScheme) -> tuple[Fact, ...]:
    """One fact for each link, in the order of the links; the module says what its period and subject are.

    A CHANGE has a direction where the words around its amount, or its sign, tell one: 下降3.1% is down, 增速为-3% too.
    Of a pace it is that of the pace (降幅收窄2个百分点 is down). A multiple of an earlier value (是2015年的2倍) has none.

    The score is that of the link times those of metric and amount, as far as they have any, to four decimals; None
    where none has.
    """
    if not document.links:
        return ()
    context = _Context(document, scheme)
    return tuple(_fact(document, link, context) for link in document.links)


def _fact(document: Document, link: Link, context: _Context) -> Fact:
    metric, amount = document.span(link.head), document.span(link.tail)
    at = context.sentence_of(min(metric.start, amount.start))
    period, subject = context.period(at, amount), context.subject(at, metric, amount)
    inherited = []
    if period is None and (period := context.period_above[at]) is not None:
        inherited.append("period")
    if subject is None and (subject := context.inherited_subject(at, metric)) is not None:
        inherited.append("subject")
    return Fact(
        metric.id,
        amount.id,
        link.role,
        period=period.id if period else None,
        subject=subject.id if subject else None,
        inherited=tuple(inherited),
        direction=context.direction(at, metric, amount) if link.role == "CHANGE" else None,
        score=_product(link.score, metric.score, amount.score),
    )


def _product(*scores: float | None) -> float | None:
    known = [s for s in scores if s is not None]
    out = 1.0
    for score in known:
        out *= score
    return round(out, 4) if known else None


# ------------------------------------------------------------------------------------ directions

Direction = Literal["up", "down"]

_MOVES = re.compile(
    r"(?P<down>负增长|下降|减少|减产|减收|降低|拉低|下跌|下滑|下行|下调|回落|缩小|缩短|缩减|收窄|压减|压缩|压降|调减|递减|萎缩|低于|节省|节约|能省"
    r"|[减降跌少低](?=(?:了|收|产|办|约|近|\s){0,2}$))"
    r"|(?P<up>增长(?!率)|增加(?!值)|增多|增收|增产|净增|新增|递增|上升|上涨|上调|上浮|回升|攀升|跃升|提高|提升|提速|扩大|扩张|超出|高于|高出"
    r"|[增升涨翻多高](?=(?:了|收|产|办|约|近|\s){0,2}$))"
)
"""Words of rise and fall; the short ones count only directly before an amount (少办, 翻了)."""
_PACES = re.compile(
    "(?P<down>[降跌减]幅|降低率|下降率|减少额|减少量)|(?P<up>[增涨升]幅|增速|增长率|增长速度|增加额|增加量)"
)
"""They tell the direction where no word of rise and fall does: 增速为5%, but 增速回落2个百分点."""
_MINUS = re.compile(r"[-－−﹣–—负]\s*")
_BEHIND_MINUS = re.compile(r"[^\d%％][-－−﹣负]\s*$")
_LAST_CLAUSE = re.compile(r"(?:[^，,；;。：:]|(?<=\d),(?=\d))*$")
_LIST = re.compile(r"[\s、/和与及]+(?:以及)?\s*")
_SAID = 60  # characters in front of an amount that may tell its direction


def _last_of(pattern: re.Pattern[str], text: str) -> Direction | None:
    """The direction that the last match of the pattern tells."""
    said = [match.lastgroup for match in pattern.finditer(text)]
    return None if not said else "down" if said[-1] == "down" else "up"


# --------------------------------------------------------------------------- periods and subjects

_BASE_BEFORE = re.compile(r"(?:比|较|高于|低于|超过|快于|多于|少于|相当于)\s*$")
_BASE_BEHIND = re.compile(r"\s*(?:同期|底|末|全年)?\s*(?:相比|比较|持平|的基础上)")
_PLANNED = re.compile(
    r"的?(?:目标|工作)?(?:(?:任务|目标)|(?:计划|预算)(?=数?(?:的|\s*[0-9０-９，,。；;）)])))"
)
"""Behind a period: 全年任务, 2023年预算的; but 今年计划新建 and 2023年预算草案 speak of that year."""
_REPORTS = re.compile(r"[^，,。；;]{0,8}(?:[电讯](?![\u4e00-\u9fff])|记者|消息|报道|获悉|了解到|发布会)")
_OF_PROJECTS = re.compile(
    "投资|投入|资金|面积|占地|造价|工期|规模|容量|产能|产值|收入|税|利润|长|年产|吞吐|岗位|就业"
)
_OF_PEOPLE = re.compile("人均|居民|可支配|纯收入|工资")
_WHOLE = re.compile("全(国|省|市|州|县|区|旗|镇|乡|街道|村)")
_CLAUSE_START = re.compile(r"(?:^|[，,、。；;：:！？!?）)\s])\s*$")
_CLAUSE_END = re.compile("[，,；;：:]")
_CLAUSES_APART = re.compile("[；;]")
_NUMBERED = re.compile(r"[一二三四五六七八九十]{1,3}[、.．]|[（(][一二三四五六七八九十]{1,3}[)）]")
_ENDED = re.compile(r"[。！？!?；;]")
_LEAD_IN = 6  # characters
_BACK = 16  # spans; bounds the time of a sentence without an end
_LINE_END = re.compile(r"[\r\n\x85\u2028\u2029]")


@dataclass(frozen=True)
class _Labels:
    """What the labels of a scheme are to a fact."""

    periods: frozenset[str]
    amounts: frozenset[str]
    projects: frozenset[str]
    actors: frozenset[str]

    @classmethod
    def of(cls, scheme: LabelScheme) -> _Labels:
        tails = {n for role in scheme.roles for n in role.tails}
        heads = {n for role in scheme.roles for n in role.heads}
        projects = heads - tails - {n for role in scheme.roles for n in role.heads[:1]}
        return cls(
            periods=frozenset(n for n, kind in scheme.values.items() if kind == "period"),
            amounts=frozenset(n for n, kind in scheme.values.items() if kind == "amount"),
            projects=frozenset(projects),
            actors=frozenset(n for n in scheme.labels if n not in tails | heads and n not in scheme.values),
        )


def _before(span: Span, others: Sequence[Span]) -> list[Span]:
    """Those of the others, given in order, that start before the span, the nearest first; of very many not all."""
    n = bisect_left(others, span.start, key=lambda s: s.start)
    return list(reversed(others[max(0, n - _BACK) : n]))


class _Context:
    """The periods and subjects of a document by sentence.

    `period_above[n]` is what sentence n inherits as its period, None if nothing.
    """

    def __init__(self, document: Document, scheme: LabelScheme) -> None:
        self._text, self._labels, self._spans = document.text, _Labels.of(scheme), document.spans
        self._starts = [s.start for s in document.spans]
        self._bounds = sentences(document.text) or [(0, len(document.text))]
        self._periods: list[list[Span]] = [[] for _ in self._bounds]
        self._actors: list[list[Span]] = [[] for _ in self._bounds]
        self._projects: list[list[Span]] = [[] for _ in self._bounds]
        for n in range(len(document.spans)):
            self._sort_in(n)
        breaks = [_LINE_END.search(self._text, a[1], b[0]) is not None for a, b in pairwise(self._bounds)]
        self._openings = [True, *breaks]  # whether a sentence is the first one of its paragraph
        self.period_above = self._above([self._to_inherit(n) for n in range(len(self._bounds))])
        headings = [self._is_heading(document, n) for n in range(len(self._bounds))]
        self._actor_above = self._above([self._leader(n) for n in range(len(self._bounds))], headings)

    def sentence_of(self, offset: int) -> int:
        """The number of the sentence that holds the character."""
        return max(0, bisect_right(self._bounds, (offset, inf)) - 1)

    def period(self, at: int, amount: Span) -> Span | None:
        """The period that sentence `at` itself gives for the amount."""
        before = _before(amount, self._periods[at])
        return next((period for period in before if self._owner(period) in (None, amount)), None)

    def subject(self, at: int, metric: Span, amount: Span) -> Span | None:
        """The subject that sentence `at` itself gives."""
        n = bisect_left(self._starts, amount.end)
        behind = self._spans[n] if n < len(self._spans) else None
        if (
            behind is not None
            and behind is not metric
            and behind.label in self._labels.projects | self._labels.actors
            and not self._is_listed(n)
            and self._text[amount.end : behind.start] in ("", "的")
        ):
            return behind
        if (respective := self._respective(amount)) is not None:
            return respective
        actors = [a for a in _before(metric, self._actors[at]) if self._in_one_clause(a, metric)]
        leader = self._leader(at)
        projects = _before(metric, self._projects[at]) if self._has_projects(metric) else []
        projects = [p for p in projects if not _CLAUSES_APART.search(self._text, p.end, metric.start)]
        found = [s for s in (*actors[:1], leader, *projects[:1]) if s is not None and s.start < metric.start]
        return max(found, key=lambda s: s.start, default=None)

    def inherited_subject(self, at: int, metric: Span) -> Span | None:
        """The subject that sentence `at` takes from further up."""
        if self._has_projects(metric) and not self._openings[at] and len(self._projects[at - 1]) == 1:
            return self._projects[at - 1][0]
        actor = self._actor_above[at]
        whole = _WHOLE.search(self._text, self._bounds[at][0], metric.start)
        return actor if actor is None or whole is None or whole[1] in actor.text else None

    def direction(self, at: int, metric: Span, amount: Span) -> Direction | None:
        """Whether the change is a rise or a fall, by the clause in front of the amount, or of the list it stands in."""
        first = self._spans[self._row(bisect_left(self._starts, amount.start))[0]]
        start = max(self._bounds[at][0], first.start - _SAID)
        clause = _LAST_CLAUSE.search(self._text, start, first.start)
        said = clause[0] if clause else ""
        if _MINUS.match(amount.text) or _BEHIND_MINUS.search(
            self._text, max(0, amount.start - 4), amount.start
        ):
            return "down"
        return _last_of(_MOVES, said) or _last_of(_PACES, said) or _last_of(_PACES, metric.text)

    def _respective(self, amount: Span) -> Span | None:
        """Of actors in a row, 分别 and as many amounts of one thing: the actor in the amount's place."""
        at = bisect_left(self._starts, amount.start)
        first, end = self._row(at)
        between = 0  # spans between actors and amounts: a metric and a period
        while between < 2 and between < first and not self._acts_at(first - 1 - between):
            between += 1
        last = first - 1 - between
        if end - first < 2 or last < 0 or not self._acts_at(last):
            return None
        actors, _ = self._row(last)
        said = self._text[self._spans[last].end : self._spans[first].start]
        paired = "分别" in said and _CLAUSES_APART.search(said) is None and last + 1 - actors == end - first
        return self._spans[actors + at - first] if paired else None

    def _acts_at(self, n: int) -> bool:
        return self._spans[n].label in self._labels.actors

    def _row(self, n: int) -> tuple[int, int]:
        """From where to where (exclusive) spans of the label of span n stand in one list with it; of very many not all."""
        first, end = n, n + 1
        while first and n - first < _BACK and self._is_next_to(first - 1, first):
            first -= 1
        while end < len(self._spans) and end - n < _BACK and self._is_next_to(end - 1, end):
            end += 1
        return first, end

    def _is_next_to(self, a: int, b: int) -> bool:
        one, other = self._spans[a], self._spans[b]
        return one.label == other.label and _LIST.fullmatch(self._text, one.end, other.start) is not None

    # ------------------------------------------------------------------------------ what is passed on

    def _to_inherit(self, at: int) -> Span | None:
        """The last period of the sentence that may hold for the next ones."""
        for period in reversed(self._periods[at]):
            value = period.value
            a_day = isinstance(value, Period) and value.start is not None and value.start == value.end
            if not a_day and self._owner(period) is None:
                return period
        return None

    def _leader(self, at: int) -> Span | None:
        """The actor that the sentence begins with: no more than a word (近日,) and a period stand before it."""
        if not self._actors[at]:
            return None
        first, start = self._actors[at][0], self._bounds[at][0]
        n = bisect_left(self._starts, first.start)
        before = self._spans[n - 1] if n else None
        period = before is not None and before.label in self._labels.periods and before.start >= start
        lead = first.start - start - (len(before.text) if before is not None and period else 0)
        return first if lead <= _LEAD_IN else None

    def _above(self, own: Sequence[Span | None], ends: Sequence[bool] | None = None) -> list[Span | None]:
        """What each sentence inherits where they say `own` themselves; nothing said before an `ends` goes past it."""
        above: list[Span | None] = []
        here: Span | None = None  # the last one said in this paragraph
        opening: Span | None = None  # the last one said in a paragraph's first sentence
        age = 0  # paragraphs since then
        for n, (said, opens) in enumerate(zip(own, self._openings, strict=True)):
            if ends is not None and ends[n]:
                opening = None
            if opens:
                here, age = None, age + 1
            above.append(here or (opening if age <= REACH else None) or (own[0] if above else None))
            here = said or here
            if opens and said is not None:
                opening, age = said, 0
        return above

    # ------------------------------------------------------------------------------------ questions

    def _sort_in(self, n: int) -> None:
        span = self._spans[n]
        at = self.sentence_of(span.start)
        if span.label in self._labels.periods:
            if not self._is_base(n) and not _PLANNED.match(self._text, span.end, span.end + 12):
                self._periods[at].append(span)
        elif span.label in self._labels.actors:
            if self._acts(n, at):
                self._actors[at].append(span)
        elif span.label in self._labels.projects and not self._is_listed(n):
            self._projects[at].append(span)

    def _is_heading(self, document: Document, at: int) -> bool:
        start, end = self._bounds[at]
        block = document.block_at(start)
        numbered = _NUMBERED.match(self._text, start, end) is not None and not _ENDED.search(
            self._text[start:end]
        )
        return self._openings[at] and ((block is not None and block.kind == "heading") or numbered)

    def _in_one_clause(self, actor: Span, metric: Span) -> bool:
        return _CLAUSE_END.search(self._text, actor.end, metric.start) is None

    def _has_projects(self, metric: Span) -> bool:
        """Whether the metric is one of those that projects have."""
        return (
            metric.label not in self._labels.projects
            and _OF_PROJECTS.search(metric.text) is not None
            and _OF_PEOPLE.search(metric.text) is None
        )

    def _is_base(self, n: int) -> bool:
        """Whether a period is what something is compared with."""
        span = self._spans[n]
        owner = self._owner(span)
        return (
            (owner is not None and "倍" in owner.text)
            or "同期" in span.text
            or _BASE_BEFORE.search(self._text[max(0, span.start - 4) : span.start]) is not None
            or _BASE_BEHIND.match(self._text[span.end : span.end + 8]) is not None
        )

    def _owner(self, period: Span) -> Span | None:
        """The one amount that the period is tied to: 2020年的82.4岁."""
        n = bisect_left(self._starts, period.end)
        after = self._spans[n] if n < len(self._spans) else None
        if after is None or after.label not in self._labels.amounts:
            return None
        return after if self._text[period.end : after.start].strip() == "的" else None

    def _acts(self, n: int, at: int) -> bool:
        """Whether a clause begins with the span, a period at most in front of it, and it does not only report."""
        span, start = self._spans[n], self._bounds[at][0]
        before = self._spans[n - 1] if n else None
        behind_period = (
            before is not None and before.label in self._labels.periods and before.end >= span.start - 1
        )
        return (
            behind_period
            or _CLAUSE_START.search(self._text[max(start, span.start - 4) : span.start]) is not None
        ) and _REPORTS.match(self._text, span.end, span.end + 12) is None

    def _is_listed(self, n: int) -> bool:
        span = self._spans[n]
        around = self._spans[max(0, n - 1) : n + 2]
        return self._text.startswith("等", span.end) or any(
            a.label == b.label and self._text[a.end : b.start].strip() in ("、", "和", "与", "及")
            for a, b in pairwise(around)
        )
