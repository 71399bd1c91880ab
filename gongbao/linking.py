"""Links by rule: which metric or project an amount belongs to, and as what.

A sentence is read from left to right. A metric takes the amounts behind it up to the next metric, or until a new
statement begins. The first rule that fits an amount decides:

    pair            A、B分别达到x、y: as many metrics as amounts, in order
    behind          1.2亿元技术合同成交额: the metric directly behind, if nothing else is said of it there
    project behind  投资1.2亿元的云岭物流园, 100万千瓦青石抽水蓄能电站
    near            the first amount behind a metric
    far             a further one: the text between says what it is to the metric (同比增长, 占, 完成任务的, 达到, 其中),
                    or its unit is that of the one before
    project before  云岭物流园投资1.2亿元, 云岭物流园占地200亩

What stands in brackets is read by itself; behind them the metric before them goes on. Durations belong to metrics of
time, or stand behind a word of change (压缩到3天). An amount that a new verb brings in (建成30个站点, 处罚1.1亿元) stays
unlinked, and so do those behind it up to the next metric. Of projects in a list none owns the amount behind the list.

Words next to the amount tell its role: 同比增长, 下降 and the like make a CHANGE, unless 到, 至 or 达 stands between;
占, 完成任务的 and metrics like 占比 make a part (percent) a COMPLETION; the rest is VALUE.

The labels come from the scheme: the first head that a role names is a metric here, its further heads are projects.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Protocol

from gongbao.schema import Document, LabelScheme, Link, Span
from gongbao.sentences import sentences

PRECISION: Final = {
    "pair": 0.98,  # 40 of 40
    "behind": 0.89,  # 15 of 16
    "project behind": 0.92,  # 11 of 11
    "near": 0.99,  # 811 of 821
    "far": 0.97,  # 116 of 119
    "project before": 0.71,  # 4 of 5
}
"""The score of a link: how many of the links that its rule makes are right in head and role, (right + 1) / (made + 2).
Counted on the gold spans of 141 excerpts of reports and news (1,025 links), on which the rules were developed. On 127
others, which were not looked at, the rules find 0.95 of the links, and 0.96 of theirs are right."""


class Linker(Protocol):
    """Links between the spans of a document, each with a score."""

    def __call__(self, document: Document) -> Sequence[Link]:
        """The links; the document's own are not looked at."""
        ...


# ------------------------------------------------------------------------------------ the words

_UP_DOWN = (
    "增长|增加|增多|新增|净增|增|上升|上涨|攀升|跃升|提高|提升|扩大|上调|递增|涨|超出|高出|翻"
    "|下降|减少|减产|降低|下跌|下滑|回落|缩小|缩短|缩减|压减|压缩|收窄|下调|递减|降"
)
_CHANGE = re.compile(rf"(?:(?:{_UP_DOWN})(?:了|约|近|分别|均|幅度|\s)*|比[^，,；;。]*[多少])$")
_PACE = re.compile(r"(?:增长率|增速|增幅|降幅|涨幅|跌幅)(?:分别|均|约|近|为|达|达到|\s)*$")
_LESS = re.compile(r"(?:减少|降低|压减)\s*$")
"""In front of a metric: what its amount is then."""
_LEVEL = re.compile(r"(?:到|至|为|达|达到了?)\s*$")
"""Directly before an amount it says a level, even behind a word of change: 增长到, 下降至."""
_TIMES_OF_YEAR = re.compile(r"年[^，,；;。]{0,4}的\s*$")
_SHARE = re.compile(
    r"占(?!地)[^，,；;。、]*$|(?:任务|目标|计划|指标|预算)[^，,；;。、]{0,4}的?\s*$|(?:占比|比重|完成率)[^，,；;。]{0,5}$"
)
_MEETS = re.compile(
    r"\s*(?:已|均|共|约|就|提前|顺利|圆满|预计|累计|超额|分别)*(?:完成率|(?:完成|实现|达|超|占|为)[^，,；;。]{0,16}(?:任务|目标|计划|预算|指标))"
    r"[^，,；;。]{0,4}$"
)
"""A clause that holds the metric against what was planned: 完成年度任务的."""
_SHARES = re.compile(r"(?:占比|比重|比例|份额|占有率|完成率|办结率)$")
"""The end of a metric that names itself a share of something."""
_BARE_SHARE = re.compile("(?:占比|比重|完成率|完成比例)")
"""A metric that is only a share of the one before: a later 同比增长5% is of that one, 提高2个百分点 of the share."""
_PART = re.compile(r"[%％‰]|百分|分之|成(?:以上|左右|多)?$")
_COMPARED = re.compile(r"(?:高于|低于|快于|好于)(?![^，,；;。]*(?:目标|任务|计划))[^，,；;。]*$")
"""A comparison with another place is neither change nor share."""

_RELATES = re.compile(
    r"\s*(?:同比|同口径|环比|比|较|年均|年平均|累计|平均|分别|均|都|已|共|合计|总计|其中|占|为|是)"
)
"""How a clause begins that says more of the same metric."""
_STATES = re.compile(rf"\s*(?:预计|将|约|近)*(?:{_UP_DOWN}|达|完成|实现|突破|超)(?:到|至|了|约|近|过|\s)*")
"""A clause that is no more than a verb."""
_SHARED = re.compile("双双|均|都")
_CLAUSE_END = re.compile(r"[，,；;。：:（）()、\n]")
_STOP = re.compile(r"[，,；;。：:]")
_LIST = re.compile(r"[\s、/和与及]*(?:以及)?[\s、]*")
_NO_NOUN = re.compile(r"[^\u4e00-\u9fffA-Za-z“《]|$|以上|以下|以内|左右|同比|比|较|增|提|下降|降|占|用于")
"""What may follow an amount that counts no noun behind it."""

_DURATION = re.compile(r"(?:年|个月|天|小时|日|周|分钟)(?:多|左右|以上|以内)?$")
_OF_TIME = re.compile("[时期龄天寿限间]")
_BOUND = re.compile("以上|以下|以内|超|过|逾")
"""An amount that narrows the noun behind it: 亿元以上项目."""
_COUNTER = re.compile(r"[个项条家处座大批]$")
_INVEST = re.compile(r"(?:投资|斥资|耗资|投入|造价)(?:共|约|达|为|超)?\s*$")
_EXTENT = re.compile(r"^[，,]?(?:计划)?投资[^，,；;。]{0,3}$|^[^；;。]*(?:占地|造价|全长)[^，,；;。]{0,3}$")
_GROUND = re.compile(r"占地[^，,；;。]{0,3}$")
_LEADS_ON = re.compile(r"的|[，,](?:实施了?|启动|建设|新建|完成)?")
_NUMERAL = re.compile("[0-9０-９零〇一二两三四五六七八九十百千万亿几数半]")
_NUMBER = re.compile(
    r"[\d.,，．０-９\s零〇一二三四五六七八九十百千万亿多余几近约超过逾不足以上左右下内%％—\-~～至到突破达两半数]+"
)


def _unit(amount: str) -> str:
    return _NUMBER.sub("", amount)


# ------------------------------------------------------------------------------------ the linker


@dataclass(frozen=True)
class LinkLabels:
    """What the labels of a scheme are to a linker. `heads` are metrics and projects, `tails` are amounts."""

    heads: frozenset[str]
    metrics: frozenset[str]
    tails: frozenset[str]

    @classmethod
    def of(cls, scheme: LabelScheme) -> LinkLabels:
        """The first head that a role names is a metric. What a role leaves open is told by the labels' values."""
        heads: set[str] = set()
        metrics: set[str] = set()
        tails: set[str] = set()
        valued = [n for n in scheme.labels if scheme.values.get(n) == "amount"]
        for role in scheme.roles:
            to = role.tails or valued or [n for n in scheme.labels if n not in role.heads]
            of = role.heads or [n for n in scheme.labels if n not in to and n not in scheme.values]
            tails.update(to)
            heads.update(of)
            metrics.update(role.heads[:1] or of)
        return cls(frozenset(heads), frozenset(metrics), frozenset(tails))


class RuleLinker:
    """The rules above for the labels of a scheme. A scheme without roles has no links."""

    def __init__(self, scheme: LabelScheme) -> None:
        self._scheme = scheme
        self._labels = LinkLabels.of(scheme)

    def __call__(self, document: Document) -> Sequence[Link]:
        """The links of one document, at most one to an amount."""
        labels = self._labels
        spans = [s for s in document.spans if s.label in labels.heads or s.label in labels.tails]
        starts = [s.start for s in spans]
        links: list[Link] = []
        for start, end in sentences(document.text) if spans else ():
            items = spans[bisect_left(starts, start) : bisect_left(starts, end)]
            if len(items) < 2:
                continue
            for head, tail, role, rule in _Reading(document.text, start, end, items, labels).links():
                named = self._named(head, tail, role)
                if named is not None:
                    links.append(Link(head.id, tail.id, named, PRECISION[rule]))
        return links

    def _named(self, head: Span, tail: Span, role: str) -> str | None:
        """The role if the scheme has it for these two, else the first that it has."""
        names = [r.name for r in self._scheme.roles if self._scheme.allows(head.label, tail.label, r.name)]
        return role if role in names else names[0] if names else None


Found = tuple[Span, Span, str, str]
"""Head, tail, role, rule."""

_LEAD = 160  # characters in front of an amount that the rules look at
_MANY = 16  # metrics that one list of amounts may be said of


@dataclass
class _Open:
    """What the next amount may belong to."""

    metric: Span | None = None
    amount: Span | None = None  # the last one of the metric
    waiting: list[Span] = field(default_factory=list)  # the metrics since the last amount
    project: Span | None = None
    whole: Span | None = None  # what a metric that is a bare share is a share of


class _Reading:
    """One sentence, read from left to right."""

    def __init__(self, text: str, start: int, end: int, items: Sequence[Span], labels: LinkLabels) -> None:
        self._text, self._items, self._labels = text, items, labels
        ends = [start, *(s.end for s in items)]
        starts = [*(s.start for s in items), end]
        self._gaps = list(zip(ends, starts, strict=True))
        self._open = _Open()
        self._outside: list[_Open] = []
        # Metrics with one amount each, for lists behind them: A 2亿元,B 3亿元,分别增长3%、4%.
        self._single: list[Span] = []

    def links(self) -> Iterator[Found]:
        """What the rules find."""
        at = 0
        while at < len(self._items):
            self._brackets(*self._gaps[at])
            count = self._run(at)
            if count:
                yield from self._amounts(at, count)
            for n in range(at, at + max(count, 1)):
                self._meet(n)
            at += max(count, 1)

    def _meet(self, at: int) -> None:
        """Take note of a metric or a project."""
        item = self._items[at]
        if item.label in self._labels.metrics:
            bare = _BARE_SHARE.fullmatch(item.text) and self._open.amount is not None
            self._open.whole = self._open.metric if bare else None
            self._open.metric, self._open.amount = item, None
            self._open.waiting = [*self._open.waiting[1 - _MANY :], item]
        elif item.label in self._labels.heads:
            self._open = _Open(project=None if self._listed(at) else item)

    def _brackets(self, start: int, end: int) -> None:
        for mark in re.findall("[（()）]", self._text[start:end]):
            if mark in "（(":
                self._outside.append(self._open)
                self._open = _Open(self._open.metric, self._open.amount, [], self._open.project)
            elif self._outside:
                self._open = self._outside.pop()

    def _lead(self, at: int) -> str:
        """The text between the item before and this one, the near end of it."""
        start, end = self._gaps[at]
        return self._text[max(start, end - _LEAD) : end]

    def _follow(self, at: int) -> str:
        """The text between this item and the next."""
        start, end = self._gaps[at + 1]
        return self._text[start : min(end, start + _LEAD)]

    def _next(self, at: int) -> Span | None:
        return self._items[at + 1] if at + 1 < len(self._items) else None

    def _run(self, at: int) -> int:
        """How many amounts stand here in one list."""
        end = at
        while end < len(self._items) and self._items[end].label in self._labels.tails:
            if end > at and not _LIST.fullmatch(self._lead(end)):
                break
            end += 1
        return end - at

    def _is_list(self, spans: Sequence[Span]) -> bool:
        return all(_LIST.fullmatch(self._text, a.end, b.start) for a, b in pairwise(spans))

    def _listed(self, at: int) -> bool:
        """Whether the item is one of several of its label: A、B and C等."""
        around = self._items[max(0, at - 1) : at + 2]
        item = self._items[at]
        return self._text.startswith("等", item.end) or any(
            a.label == b.label and self._is_list((a, b)) for a, b in pairwise(around)
        )

    # ---------------------------------------------------------------------------------- the rules

    def _amounts(self, at: int, count: int) -> Iterator[Found]:
        run = self._items[at : at + count]
        lead = self._lead(at)
        heads = self._pair(run, lead)
        if heads:
            role = self._role(heads[0], run[0], lead)
            for head, amount in zip(heads, run, strict=True):
                yield head, amount, role, "pair"
            self._open.metric, self._open.amount, self._open.waiting = heads[-1], run[-1], []
            return
        before: str | None = None
        for n in range(at, at + count):
            found = self._one(n, before)
            if found is not None:
                yield found
                before = found[2]
            self._open.waiting = []
        metric = self._open.metric
        if metric is not None and self._open.amount is run[-1]:
            others = [m for m in self._single if m is not metric][1 - _MANY :]
            self._single = [*others, metric] if count == 1 else others

    def _pair(self, run: Sequence[Span], lead: str) -> list[Span]:
        """The metrics of a list of amounts, one for each; none where they do not pair."""
        waiting, count = self._open.waiting, len(run)
        if count < 2:
            return []
        if len(waiting) >= count and ("分别" in lead or (len(waiting) == count and self._is_list(waiting))):
            return waiting[-count:]
        single = self._single
        if (
            not waiting
            and len(single) >= count
            and self._open.metric is single[-1]
            and _STOP.match(lead.lstrip())
        ):
            return single[-count:]
        return []

    def _one(self, at: int, role_before: str | None) -> Found | None:
        """The link of one amount; `role_before` is that of the amount before it in a list."""
        return (
            self._behind(at)
            or self._project_behind(at)
            or self._near(at, role_before)
            or self._project_before(at)
        )

    def _behind(self, at: int) -> Found | None:
        amount, metric = self._items[at], self._next(at)
        if metric is None or metric.label not in self._labels.metrics or self._follow(at) not in ("", "的"):
            return None
        if at + 2 < len(self._items) and not _STOP.search(self._follow(at + 1)):
            return None  # the metric has something of its own: 1亿元以上项目14个
        return metric, amount, "COMPLETION" if _PART.search(amount.text) else "VALUE", "behind"

    def _project_behind(self, at: int) -> Found | None:
        amount, project, between = self._items[at], self._next(at), self._follow(at)
        if project is None or project.label in self._labels.metrics or project.label in self._labels.tails:
            return None
        invested = (
            _INVEST.search(self._lead(at)) and _LEADS_ON.fullmatch(between) and not self._listed(at + 1)
        )
        if invested or (not between and not _COUNTER.search(amount.text)):
            return project, amount, "VALUE", "project behind"
        return None

    def _near(self, at: int, role_before: str | None) -> Found | None:
        amount, lead, metric, last = self._items[at], self._lead(at), self._open.metric, self._open.amount
        if metric is None or self._narrows(at) or self._is_shared(at) or _COMPARED.search(lead):
            return None
        if _DURATION.search(amount.text) and not (
            _OF_TIME.search(metric.text) or _LEVEL.search(lead) or _CHANGE.search(lead)
        ):
            return None
        if not (role_before and last is self._items[at - 1]) and not self._reaches(at):
            self._open.metric = None
            return None
        if last is not None and self._open.whole is not None and self._grows(amount, lead):
            metric = self._open.metric = self._open.whole
            self._open.whole = None
        self._open.amount = amount
        role = (role_before if _LIST.fullmatch(lead) else None) or self._role(metric, amount, lead)
        return metric, amount, role, "near" if last is None else "far"

    def _project_before(self, at: int) -> Found | None:
        amount, lead, project = self._items[at], self._lead(at), self._open.project
        if project is None or _DURATION.search(amount.text):
            return None
        beside = at > 0 and self._items[at - 1] is project and len(lead) <= 8 and not _STOP.search(lead)
        if (beside and not self._counts_noun(at)) or (
            _EXTENT.search(lead) and not re.search("[；;。]", lead)
        ):
            return project, amount, self._role(project, amount, lead), "project before"
        return None

    # -------------------------------------------------------------------------------- the questions

    def _narrows(self, at: int) -> bool:
        """Whether it narrows the amount behind it, as 亿元以上 in 亿元以上的14个."""
        after = self._next(at)
        return (
            after is not None
            and after.label in self._labels.tails
            and self._follow(at) in ("", "的")
            and _BOUND.search(self._items[at].text) is not None
        )

    def _is_shared(self, at: int) -> bool:
        """Whether it is of both metrics, as in A和B均超过1亿元."""
        waiting = self._open.waiting
        return len(waiting) > 1 and self._is_list(waiting[-2:]) and _SHARED.search(self._lead(at)) is not None

    def _reaches(self, at: int) -> bool:
        """Whether the metric's statement still goes on at this amount."""
        lead, last = self._lead(at), self._open.amount
        clause = _CLAUSE_END.split(lead)[-1]
        if (last is None and clause == lead) or _LEVEL.search(lead):
            return True
        if not _NUMERAL.search(self._items[at].text):
            return True  # of a scheme whose tails are no amounts: the nearest head has it
        if _PART.search(self._items[at].text) and _MEETS.fullmatch(clause):
            return True
        if _GROUND.search(clause):
            return False
        counts_noun = self._counts_noun(at)
        if _RELATES.match(clause) or _STATES.fullmatch(clause):
            return last is None or not counts_noun or _PART.search(self._items[at].text) is not None
        if counts_noun:
            return False
        unit = _unit(self._items[at].text)
        return last is None or not clause.strip() or ("元" not in unit and unit == _unit(last.text))

    def _grows(self, amount: Span, lead: str) -> bool:
        """Whether the amount is a change that a share cannot have: in percent, not in points."""
        changes = _CHANGE.search(lead) or _PACE.search(lead)
        return changes is not None and re.search("[%％]$", amount.text) is not None

    def _counts_noun(self, at: int) -> bool:
        """Whether a noun follows that the amount counts."""
        follow, after = self._follow(at).lstrip(), self._next(at)
        if after is not None and _LIST.fullmatch(follow):
            return not follow and after.label not in self._labels.tails
        return _NO_NOUN.match(follow) is None

    def _role(self, head: Span, amount: Span, lead: str) -> str:
        part = _PART.search(amount.text) is not None
        changes = _CHANGE.search(lead) or _PACE.search(lead)
        if part and (_SHARE.search(lead) or (_SHARES.search(head.text) and not changes)):
            return "COMPLETION"
        if "倍" in amount.text and _TIMES_OF_YEAR.search(lead):
            return "CHANGE"
        if _LEVEL.search(lead) and not _PACE.search(lead):
            return "VALUE"
        if changes or (not lead and _LESS.search(self._text, max(0, head.start - 3), head.start)):
            return "CHANGE"
        return "VALUE"
