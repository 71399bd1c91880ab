"""Chinese calendar expressions of reports → days: "2023年前三季度" → 2023-01-01..2023-09-30.

A text is a frame around one piece of calendar or a range of two: 截至 [2021年12月底], [去年9月] 以来,
[3月16日] 至 [20日]. `_part` reads a piece as far as the text says it (a year may be missing), `_Reader`
fills in the rest from the publication date, and the frame opens or moves an end. Names of longer
times (five-year plans, 近三年, 党的十八大以来, decades) are whole items of their own.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, NamedTuple

from gongbao.schema import DataError, Period

LONGEST: Final = 48  # characters: room for two dates with their hours


def parse_period(text: str, published: date | str | None = None) -> Period | None:
    """The days that the text of one TIME span means, None where that is not certain.

    Args:
        text: the span's text. Blanks, quotation marks, full-width forms and Chinese numerals are all fine.
        published: when the report came out, a date or its ISO form. Without it whatever depends on it
            (今年, 3月份, 近三年) is None.

    What has no year is the last one begun by `published`: 3月16日 or 下半年 in a report of January is of the year before.
    Of 1至8月份 and 前三季度 it is the last month or quarter that must have begun, of 3月16日至20日 the first day. 年底, 年初, 全年 and 当年 are of
    the year of publication. 近五年 and 五年来 are the last full years, and a report of December counts its own;
    今后五年 begins with the year of publication up to March and with the next one from April. 去年同期 runs from
    1 January to the day of publication, a year earlier. 2030年前 ends before 2030 begins, 3月16日前 and 年底前 with
    the day they name. 月初 is 1–10 and 月中 is 11–20, as 上旬 and 中旬 are.

    What is only vague (目前, 年中, 2005年左右), points back in its text (当天, 同期), is a festival, or needs local
    knowledge (本届政府, 建市以来) is None, and so is a day that does not exist.

    Raises:
        DataError: `published` is not a date.
    """
    reader = _Reader(_publication_date(published), quoted=any(mark in text for mark in _QUOTES))
    folded = _fold(text)
    # A blank between digits parts a day from its hour (11-1 12:30), or a page break fell into a number.
    for spelling in dict.fromkeys((folded, folded.replace(" ", ""))):
        try:
            period = reader.read(spelling)
        except (ValueError, OverflowError):  # 30 February, month 13, no publication date, ends in wrong order
            return None
        if period is not None:
            return period
    return None


def _publication_date(published: date | str | None) -> date | None:
    if published is None:
        return None
    if isinstance(published, date):
        # A datetime is a date too, but does not compare with one.
        return date(published.year, published.month, published.day)
    try:
        return date.fromisoformat(published)
    except (ValueError, TypeError):
        raise DataError(
            f"the publication date {published!r:.60} is no date", remedy="write dates as 2023-01-31"
        ) from None


# ------------------------------------------------------------------------------------ spelling

_QUOTES: Final = "“”‘’\"'「」『』〝〞"
_DASHES: Final = "-‐‑‒–—―─━﹣~∼〜"
_FOLD: Final = str.maketrans(
    dict.fromkeys(_QUOTES) | dict.fromkeys(_DASHES, "-") | dict.fromkeys("零○◯Oo", "〇")
)


def _fold(text: str) -> str:
    """One spelling for all: NFKC, no quotes, `-` for every dash, 〇 for every zero, blanks only between digits.

    A text too long to be a period comes back empty.
    """
    if len(text) > 4 * LONGEST:
        return ""
    folded = unicodedata.normalize("NFKC", text).translate(_FOLD)
    folded = re.sub(r"(?<![0-9])\s+|\s+(?![0-9])", "", folded)
    folded = re.sub(r"-+", "-", re.sub(r"\s+", " ", folded))
    return folded if len(folded) <= LONGEST else ""


_DIGITS: Final = (
    {c: n for n, c in enumerate("〇一二三四五六七八九")} | {"两": 2} | {str(n): n for n in range(10)}
)
_DIGIT: Final = r"[0-9〇一二三四五六七八九]"
_NUMBER: Final = r"(?:[0-9]{1,3}|[一二两三四五六七八九十]{1,3})"


def _number(text: str) -> int:
    """12, 〇8, 十二, 二十, 二十一; ValueError for what is no single number (两三, 十二十)."""
    if match := re.fullmatch(r"([一二三四五六七八九]?)十([一二三四五六七八九]?)", text):
        return 10 * _DIGITS.get(match[1], 1) + _DIGITS.get(match[2], 0)
    if len(text) > 1 and not text.isascii():
        raise ValueError(text)
    return _digits(text)


def _digits(text: str) -> int:
    """Digits one by one: 2021, 二〇二一, 二0二一."""
    return int("".join(str(_DIGITS[c]) for c in text))


# ------------------------------------------------------------------------- one piece of calendar


class _Days(NamedTuple):
    """First and last day, both of them known."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of calendar as far as the text says it; `months` and `days` are first and last, inclusive.

    Where there is a year there are months. A last day of 0 is the last of the month. `edge` is 初, 中, 末 or
    nothing. `numbered`: the year is written as a number.
    """

    year: int | None = None
    months: tuple[int, int] | None = None
    days: tuple[int, int] | None = None
    edge: str = ""
    numbered: bool = False

    def within(self, year: int, month: int = 0) -> _Days:
        """Its days in that year, and in that month where it names none. ValueError where there are none such."""
        first_month, last_month = self.months or (month, month)
        first_day, last_day = self.days or _EDGES.get(self.edge, (1, 0))
        if self.edge == "末":
            first_month, first_day = last_month, monthrange(year, last_month)[1]
        elif self.edge == "初" and (first_month, last_month) == (1, 12):
            last_month, last_day = 1, 31
        elif self.edge and first_month != last_month:
            raise ValueError("only a month has a middle, only a month and a year have a beginning")
        last_day = last_day or monthrange(year, last_month)[1]
        return _Days(date(year, first_month, first_day), date(year, last_month, last_day))

    @property
    def is_point(self) -> bool:
        """It names days, and "before" counts them in: 3月16日, 上旬, 年底."""
        return self.days is not None or self.edge == "末"


_EDGES: Final = {"初": (1, 10), "中": (11, 20)}
_THIRDS: Final = {"上": (1, 10), "中": (11, 20), "下": (21, 0), "上中": (1, 20), "中下": (11, 0)}
_YEAR_WORDS: Final = {
    "今年": 0, "本年": 0, "当年": 0, "去年": -1, "上年": -1, "上一年": -1, "前年": -2, "明年": 1, "来年": 1, "下年": 1, "下一年": 1,
    "后年": 2,
}  # fmt: skip
_NEARBY: Final = {"本": 0, "当": 0, "上": -1, "上个": -1, "上一": -1, "下": 1, "下个": 1, "下一": 1}
_DAY_WORDS: Final = {
    "今天": 0,
    "今日": 0,
    "今晚": 0,
    "昨天": -1,
    "昨日": -1,
    "前天": -2,
    "明天": 1,
    "明日": 1,
}

_HOUR: Final = (
    rf"(?:[0-9]{{1,2}}(?::[0-9]{{2}}){{1,2}}|{_NUMBER}[时点](?:{_NUMBER}分|半|整)?(?:{_NUMBER}秒)?)"
)
_CLOCK: Final = (
    r"(?:\(?(?:周|星期)[一二三四五六日天]\)?)?"
    r"(?:上午|中午|下午|凌晨|清晨|早上|早晨|晚上|晚间|傍晚|夜间|深夜|晚)?"
    rf"(?:[ T]?{_HOUR}(?:[-至到]{_HOUR})?)?"
)
_CALENDAR: Final = re.compile(
    rf"""(?:(?P<year>{_DIGIT}{{4}}|{_DIGIT}{{2}})年度?|(?P<word>{"|".join(_YEAR_WORDS)})度?)?
    (?:(?P<month>{_NUMBER}|元)月份?
      |(?P<near_month>{"|".join(_NEARBY)})月|(?P<this_month>月(?=[初中底末尾]))
      |第?(?P<quarter>{_NUMBER}|首)季度|Q(?P<quarter_digit>[1-4])
      |(?P<near_quarter>{"|".join(_NEARBY)})季度
      |(?P<half>[上下])半年
      |(?P<whole>全年度?|当年|年?内|年(?=[初底末终尾])))?
    (?:(?P<day>{_NUMBER})[日号]{_CLOCK}|(?P<third>上中|中下|[上中下])旬)?
    (?P<edge>[初中底末终尾])?""",
    re.VERBOSE,
)
_STAMP: Final = re.compile(
    rf"(?P<year>[0-9]{{4}})(?:(?P<mark>[-./])(?P<month>[0-9]{{1,2}})(?:(?P=mark)(?P<day>[0-9]{{1,2}}){_CLOCK})?)?"
)
_SOLID_STAMP: Final = re.compile(r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})")
_DAY_WORD: Final = re.compile(rf"({'|'.join(_DAY_WORDS)}){_CLOCK}")


def _stamp(text: str) -> _Part | None:
    """2021, 2021.3, 2021-03-16 09:30, 20210316."""
    match = _STAMP.fullmatch(text) or _SOLID_STAMP.fullmatch(text)
    if match is None or not _is_modern(int(match["year"])):
        return None
    month, day = match["month"], match["day"]
    months = (int(month), int(month)) if month else (1, 12)
    return _Part(int(match["year"]), months, (int(day), int(day)) if day else None, numbered=True)


def _is_modern(year: int) -> bool:
    """Four digits that can be a year without 年 behind them."""
    return 1900 <= year < 2100


# --------------------------------------------------------------------------------- longer times

_CONGRESSES: Final = {
    "十一届三中全会": date(1978, 12, 18), "十二大": date(1982, 9, 1), "十三大": date(1987, 10, 25),
    "十四大": date(1992, 10, 12), "十五大": date(1997, 9, 12), "十六大": date(2002, 11, 8),
    "十七大": date(2007, 10, 15), "十八大": date(2012, 11, 8), "十九大": date(2017, 10, 18),
    "二十大": date(2022, 10, 16),
}  # fmt: skip
_ERAS: Final = {
    "改革开放": date(1978, 12, 18), "建国": date(1949, 10, 1), "新中国成立": date(1949, 10, 1),
    "中华人民共和国成立": date(1949, 10, 1), "建党": date(1921, 7, 1), "中国共产党成立": date(1921, 7, 1),
    "新世纪": date(2001, 1, 1), "本世纪": date(2001, 1, 1), "21世纪": date(2001, 1, 1), "二十一世纪": date(2001, 1, 1),
}  # fmt: skip
_EVENT: Final = re.compile(
    rf"(?:党的|中共)?(?P<congress>{'|'.join(_CONGRESSES)})(?:(?:胜利)?召开)?|(?:进入)?(?P<era>{'|'.join(_ERAS)})"
)
_PLAN: Final = re.compile(
    rf"""(?:(?P<short>十[一二三四五六七八九]?|[一二三四五六七八九])五|第(?P<long>{_NUMBER})个五年(?=规划|计划))
    (?P<rest>(?:规划|计划)?(?:实施)?(?:期间|时期|期)?的?
      (?:(?P<side>[前头后])(?P<years>{_NUMBER})年|五年|第(?P<nth>{_NUMBER})年
        |(?P<opening>首年|开局之?年)|(?P<closing>末年|最后一年|收官之?年)|(?P<end>末))?)""",
    re.VERBOSE,
)
_YEARS_BACK: Final = re.compile(
    rf"(?P<lead>最近|近|过去|这)?(?(lead)的?)(?P<years>{_NUMBER})年(?P<tail>以来|来|(?(lead)[间里中]))?"
)
_YEARS_AHEAD: Final = re.compile(rf"(?:今后|未来)的?(?P<years>{_NUMBER})年[内间里]?|新的一年[内间里]?")
_YEAR_PAIRS: Final = {"去今两年": (-1, 0), "今明两年": (0, 1), "明后两年": (1, 2)}
_RECENTLY: Final = re.compile(r"近(?:几|些)?年来?")
_UNTIL_NOW: Final = re.compile(
    r"(?:截至到?|截止[到至]?|到|至)(?:目前|现在|当前|发稿时?)(?:为?止)?|(?:目前|迄今)为止|迄今|至今"
)
_SAME_PART: Final = re.compile(rf"(?:(?P<year>{_DIGIT}{{4}})年|(?P<word>{'|'.join(_YEAR_WORDS)}))的?同期")
_DECADE: Final = re.compile(
    r"(?P<century>上世纪|(?:20|二十)世纪|本世纪|(?:21|二十一)世纪)?"
    r"(?:(?P<digit>[1-9])0|(?P<first>[一二三四五六七八九])?(?P<last>[一二三四五六七八九])十)年代"
)
_SCHOOL_YEAR: Final = re.compile(r"(?P<year>[0-9]{4})(?:年?[-/至](?P<next>[0-9]{4}|[0-9]{2}))?年?学年度?")

# What stands around a piece of calendar, and what it does to it.
_LEADS: Final = dict.fromkeys(
    ("截至到", "截至", "截止到", "截止至", "截止", "到", "至"), "until"
) | dict.fromkeys(("自从", "自", "从"), "since")
_TAILS: Final = (
    dict.fromkeys(("起至今", "以来至今", "至今", "到现在", "到目前", "以来", "来"), "to now")
    | dict.fromkeys(("起", "开始"), "on")
    | dict.fromkeys(("以后", "之后", "后"), "after")
    | dict.fromkeys(("以前", "之前", "前"), "before")
    | dict.fromkeys(("为止", "止"), "close")
    | dict.fromkeys(("期间", "间"), "during")
)
_FRAME: Final = re.compile(rf"(?P<lead>{'|'.join(_LEADS)})?(?P<core>.+?)(?P<tail>{'|'.join(_TAILS)})?")
_JOINT: Final = re.compile(r"[-至到、和与及]")
_LISTING: Final = "、和与及"
_SHARED_UNIT: Final = re.compile(rf"{_DIGIT}{{4}}(年)|第?{_NUMBER}(年|月|日|号|季度)")
_FOLLOWING_YEAR: Final = re.compile(r"(?:次年|翌年)(?P<rest>.+)")
_FIRST_N: Final = re.compile(rf"(?P<year>.*?)[前头](?P<count>{_NUMBER})个?(?:(?P<month>月)份?|季度?)")

_ONE_DAY: Final = timedelta(days=1)


class _Reader:
    """Reads folded text against a publication date.

    Every method gives None for text that is not its business and ValueError for what can have no value.
    """

    def __init__(self, published: date | None, *, quoted: bool) -> None:
        self._published = published
        self._quoted = quoted

    @property
    def today(self) -> date:
        """The publication date; ValueError where it is not known and the text needs it."""
        if self._published is None:
            raise ValueError("needs the publication date")
        return self._published

    # ---- the frame

    def read(self, text: str) -> Period | None:
        if _RECENTLY.fullmatch(text) or _UNTIL_NOW.fullmatch(text):
            return Period(None, self.today)
        if days := self._item(text) or self._range(text):
            return Period(*days)
        match = _FRAME.fullmatch(text)
        return self._framed(match["lead"], match["core"], match["tail"]) if match else None

    def _framed(self, lead: str | None, core: str, tail: str | None) -> Period | None:
        frame = (_LEADS[lead] if lead else "", _TAILS[tail] if tail else "")
        match frame:
            case ("" | "until", "before"):
                return self._before(core)
            case ("" | "since", "after"):
                # Whether 2020年后 counts 2020 in, nobody can say; a day is counted in.
                part = self._part(core)
                return Period(self._place(part).first, None) if part and part.days else None
            case ("" | "since", "to now") if event := self._event(core):
                return Period(event, self.today)
            case ("since", "" | "close") if days := self._range(core):
                return Period(*days)  # 自2019年3月起至2021年6月止
            case ("", "during") if days := self._range(core):
                return Period(*days)
        days = self._item(core)
        if days is None:
            return None
        match frame:
            case ("until", "" | "close") | ("", "close"):
                return Period(None, days.last)
            case ("" | "since", "to now"):
                return Period(days.first, self.today)
            case ("" | "since", "on") | ("since", ""):
                return Period(days.first, None)
            case ("", "during"):
                return Period(*days)
        return None

    def _before(self, core: str) -> Period | None:
        part = self._part(core)
        # 20日前 may be twenty days ago, and 2500年前 so many years.
        if part is None or part.months is None or (part.numbered and not _is_modern(part.year or 0)):
            return None
        # A deadline without a year is in the year of publication, not the last one past.
        days = part.within(self.today.year if part.year is None else part.year)
        end = days.last if part.is_point else days.first - _ONE_DAY
        return Period(None if part.numbered or end < self.today else self.today, end)

    # ---- ranges

    def _range(self, text: str) -> _Days | None:
        if match := _FIRST_N.fullmatch(text):
            unit = "月" if match["month"] else "季度"
            text = f"{match['year']}1{unit}-{match['count']}{unit}"
        for joint in _JOINT.finditer(text):
            ends = self._ends(text[: joint.start()].removesuffix("起"), text[joint.end() :])
            if ends is None:
                continue
            first, last = ends
            if first.last > last.last:
                raise ValueError("ends before it starts, or inside its start")
            if joint[0] in _LISTING and last.first != first.last + _ONE_DAY:
                raise ValueError("a list of two is one period only where they touch")
            return _Days(first.first, last.last)
        return None

    def _ends(self, left: str, right: str) -> tuple[_Days, _Days] | None:
        """Both ends, each with what one leaves to the other: 1至8月, 3月16日至20日, 2016—20年, 11月至次年3月."""
        if (unit := _SHARED_UNIT.match(right)) and re.search(rf"(?:{_DIGIT}|十)$", left):
            left += unit[1] or unit[2]
        first = self._part(left)
        if first is None:
            return None
        if first.numbered and re.match(rf"{_DIGIT}{{2}}年", right):
            right = f"{first.year}"[:2] + right
        following = _FOLLOWING_YEAR.fullmatch(right)
        last = self._part(following["rest"] if following else right)
        if last is None:
            return None
        if following:
            begin = self._place(first)
            return begin, last.within(begin.first.year + 1)
        return self._placed(first, last)

    def _placed(self, first: _Part, last: _Part) -> tuple[_Days, _Days]:
        if last.year is None and last.days:
            # What lasts some days may be going on at publication: the start is what must have begun.
            begin = self._place(first)
            end = last.within(begin.first.year, begin.first.month)
            if end.last < begin.first and last.months:
                end = last.within(begin.first.year + 1)
            return begin, end
        if last.year is None and first.year is not None:
            last = replace(last, year=first.year)
        end = self._place(last)
        return self._place(first, end.first), end

    # ---- one piece

    def _item(self, text: str) -> _Days | None:
        for read in (self._plan, self._years, self._same_part, self._school_year, self._decade):
            if days := read(text):
                return days
        part = self._part(text)
        return self._place(part) if part else None

    def _place(self, part: _Part, by: date | None = None) -> _Days:
        """Its days; where it has no year (or month), those of the last one begun by that day or by publication."""
        if part.year is not None:
            return part.within(part.year)
        by = by or self.today
        begins = replace(part, edge="")  # 8月底 is of this year as soon as August has begun
        for back in range(9 * 12):  # 29 February may be eight years back
            year, month = divmod(by.year * 12 + by.month - 1 - back, 12)
            if part.months is None or month + 1 == by.month:
                with suppress(ValueError):
                    if begins.within(year, month + 1).first <= by:
                        return part.within(year, month + 1)
        raise ValueError("there is no such day")

    def _part(self, text: str) -> _Part | None:
        if match := _DAY_WORD.fullmatch(text):
            day = self.today + timedelta(days=_DAY_WORDS[match[1]])
            return _Part(day.year, (day.month, day.month), (day.day, day.day))
        match = _CALENDAR.fullmatch(text)
        if match is None:
            return _stamp(text)
        year, months = self._year_and_months(match)
        days = None
        if match["day"]:
            days = (_number(match["day"]), _number(match["day"]))
        elif match["third"]:
            days = _THIRDS[match["third"]]
        edge = match["edge"] or ""
        if days and (edge or (months and months[0] != months[1])):
            raise ValueError("days are of a month")
        if months is None and days is None:
            return None
        edge = "末" if edge and edge in "底末终尾" else edge
        return _Part(year, months, days, edge, numbered=match["year"] is not None)

    def _year_and_months(self, match: re.Match[str]) -> tuple[int | None, tuple[int, int] | None]:
        year = self._year(match)
        if month := match["month"]:
            number = 1 if month == "元" else _number(month)
            return year, (number, number)
        if quarter := match["quarter"] or match["quarter_digit"]:
            number = 1 if quarter == "首" else _number(quarter)
            return year, (3 * number - 2, 3 * number)
        if half := match["half"]:
            return year, (1, 6) if half == "上" else (7, 12)
        if year is not None and (match["near_month"] or match["this_month"] or match["near_quarter"]):
            raise ValueError("this month is of this year")
        if match["near_month"] or match["this_month"]:
            return self._nearby(match["near_month"] or "本", 1)
        if match["near_quarter"]:
            return self._nearby(match["near_quarter"], 3)
        if match["whole"] and year is None:
            if match["whole"] == "内":
                raise ValueError("inside of what?")
            year = self.today.year
        return year, (1, 12) if year is not None else None

    def _nearby(self, word: str, months: int) -> tuple[int, tuple[int, int]]:
        count = (self.today.year * 12 + self.today.month - 1) // months + _NEARBY[word]
        year, before = divmod(count * months, 12)
        return year, (before + 1, before + months)

    def _year(self, match: re.Match[str]) -> int | None:
        if word := match["word"]:
            return self.today.year + _YEAR_WORDS[word]
        if match["year"] is None:
            return None
        year = _digits(match["year"])
        if len(match["year"]) == 4:
            if year < 1000:
                raise ValueError("no report speaks of that")
            return year
        more = any(match[part] for part in ("month", "quarter", "quarter_digit", "half", "edge"))
        if not more and match["year"][0] not in "0〇":
            raise ValueError("21年 may as well be twenty-one years")
        year += 100 * (self.today.year // 100)
        return year if year <= self.today.year + 10 else year - 100

    # ---- longer times

    def _event(self, text: str) -> date | None:
        match = _EVENT.fullmatch(text)
        if match is None:
            return None
        return _CONGRESSES[match["congress"]] if match["congress"] else _ERAS[match["era"]]

    def _plan(self, text: str) -> _Days | None:
        match = _PLAN.fullmatch(text)
        if match is None:
            return None
        ordinal = _number(match["short"] or match["long"])
        if ordinal < 11 and not (match["rest"] or self._quoted):
            return None  # 三五 and 十五 are plans in quotation marks only; 十二五 is nothing else
        # The third plan began in 1966, after three years without one.
        first = 1966 + 5 * (ordinal - 3) if ordinal > 2 else 1948 + 5 * ordinal
        last = first + 4
        if match["end"]:
            return _Days(date(last, 12, 31), date(last, 12, 31))
        count = _number(match["years"] or match["nth"] or "5")
        if not 1 <= count <= 5:
            raise ValueError("a plan has five years")
        if match["nth"]:
            return _years(first + count - 1, first + count - 1)
        if match["opening"]:
            return _years(first, first)
        if match["closing"]:
            return _years(last, last)
        return _years(last - count + 1, last) if match["side"] == "后" else _years(first, first + count - 1)

    def _years(self, text: str) -> _Days | None:
        """So many whole years back or ahead."""
        if text in _YEAR_PAIRS:
            first, last = _YEAR_PAIRS[text]
            return _years(self.today.year + first, self.today.year + last)
        if match := _YEARS_AHEAD.fullmatch(text):
            next_year = self.today.year + (self.today.month > 3)
            return _years(next_year, next_year + _number(match["years"] or "1") - 1)
        match = _YEARS_BACK.fullmatch(text)
        if match is None or not (match["lead"] or match["tail"]):
            return None
        last_full = self.today.year - (self.today.month < 12)
        return _years(last_full - _number(match["years"]) + 1, last_full)

    def _same_part(self, text: str) -> _Days | None:
        match = _SAME_PART.fullmatch(text)
        if match is None:
            return None
        year = _digits(match["year"]) if match["year"] else self.today.year + _YEAR_WORDS[match["word"]]
        day = min(self.today.day, monthrange(year, self.today.month)[1])
        return _Days(date(year, 1, 1), date(year, self.today.month, day))

    def _school_year(self, text: str) -> _Days | None:
        match = _SCHOOL_YEAR.fullmatch(text)
        if match is None:
            return None
        year = int(match["year"])
        if match["next"] and not f"{year + 1}".endswith(match["next"]):
            raise ValueError("a school year ends in the next year")
        return _Days(date(year, 9, 1), date(year + 1, 8, 31))

    def _decade(self, text: str) -> _Days | None:
        match = _DECADE.fullmatch(text)
        if match is None:
            return None
        last = _number(match["digit"] or match["last"])
        first = _number(match["first"]) if match["first"] else last
        if match["first"] and last != first + 1:
            raise ValueError("not two decades in a row")
        if match["century"]:
            century = 2000 if match["century"].startswith(("本", "21", "二十一")) else 1900
        else:
            century, now = 100 * (self.today.year // 100), self.today.year % 100
            if now < 10 * first <= now + 10:
                raise ValueError("the decade to come, or the one a century back")
            century -= 100 if 10 * first > now else 0
        return _years(century + 10 * first, century + 10 * last + 9)


def _years(first: int, last: int) -> _Days:
    if first > last:
        raise ValueError("no year at all")
    return _Days(date(first, 1, 1), date(last, 12, 31))
