"""periods.py: tests/data/periods.tsv is the specification; here is what holds for every expression."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gongbao.periods import LONGEST, parse_period
from gongbao.schema import DataError, Period

TABLE = Path(__file__).parent / "data" / "periods.tsv"


def _rows() -> list[tuple[str, str, str, str]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines()[1:] if not line.startswith("#")]
    rows = []
    for line in lines:
        text, published, start, end = line.split("\t")
        rows.append((text.replace("\\n", "\n"), published, start, end))
    return rows


@pytest.mark.parametrize(("text", "published", "start", "end"), _rows())
def test_the_table_of_spellings(text: str, published: str, start: str, end: str) -> None:
    period = parse_period(text, published or None)
    found = ("", "") if period is None else (str(period.start or ""), str(period.end or ""))
    assert found == (start, end)


def test_the_table_has_every_text_once_a_date() -> None:
    keys = [row[:2] for row in _rows()]
    assert len(set(keys)) == len(keys) > 250


# ------------------------------------------------------------------------------- the publication date


def test_dates_datetimes_and_iso_text_publish_alike() -> None:
    expected = Period(date(2021, 3, 1), date(2021, 3, 31))
    for published in ("2021-11-08", date(2021, 11, 8), datetime(2021, 11, 8, 9, 30)):
        assert parse_period("3月份", published) == expected


@pytest.mark.parametrize("published", ["", "2021年11月8日", "2021-02-30", 20211108])
def test_what_is_no_date_is_refused_with_the_remedy(published: object) -> None:
    with pytest.raises(DataError, match="is no date") as caught:
        parse_period("2021年", published)  # type: ignore[arg-type]
    assert "write dates as" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "published"), [("去年", date.min), ("昨天", date.min), ("明年", date.max), ("明天", date.max)]
)
def test_the_ends_of_the_calendar_are_no_error(text: str, published: date) -> None:
    assert parse_period(text, published) is None


# ----------------------------------------------------------------------------------------- properties

DAYS = st.dates(date(1901, 1, 1), date(2099, 12, 31))
CHINESE = "〇一二三四五六七八九"
FRAGMENTS = (
    "截至 截止 到 至 自 从 今年 去年 上年 2021年 二〇二一年 21年 2021 12月 3月份 三月 元月 本月 16日 十六日 31号 一季度 第三 季度 "
    "前 三 8 个月 上半年 下半年 年 月 日 年底 年初 月底 末 初 中 旬 上旬 中下旬 全年 内 前三季度 “十四五” 十五 时期 期间 第二个五年计划 "
    "以来 来 起 止 以前 以后 近 过去的 五年 今后 学年 年代 八九十 上世纪 同期 党的十八大 改革开放 - — ～ 、 和 . / : 09:30 上午 (周一) T Q3 0 00 13 次年"
)
EXPRESSIONS = st.lists(st.sampled_from(FRAGMENTS.split()), min_size=1, max_size=7).map("".join)


def _spellings(day: date) -> list[str]:
    digits = "".join(CHINESE[int(c)] for c in f"{day.year}")
    tens = ["", "十", "二十", "三十"]
    month, number = (tens[n // 10] + (CHINESE[n % 10] if n % 10 else "") for n in (day.month, day.day))
    return [
        day.isoformat(),
        f"{day.year}年{day.month}月{day.day}日",
        f"{day.year} 年 {day.month:02} 月\n{day.day:02} 日",
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}.{day.month}.{day.day}",
        f"{day:%Y%m%d}",
        f"{day.isoformat()} 08:05",
        f"{digits}年{month}月{number}日",
        f"{day.year}年{day.month}月{day.day}日".translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)}),
    ]


@given(DAYS)
@example(date(2000, 2, 29))
def test_a_day_reads_back_in_every_spelling(day: date) -> None:
    for text in _spellings(day):
        assert parse_period(text) == Period(day, day), text


@given(DAYS, DAYS, st.sampled_from(["至", "到", "-", "—", "——", "～", "~", "－", " – "]))
def test_a_range_reads_back_and_never_runs_backwards(one: date, other: date, mark: str) -> None:
    text = f"{one.year}年{one.month}月{one.day}日{mark}{other.year}年{other.month}月{other.day}日"
    assert parse_period(text) == (Period(one, other) if one <= other else None)


@given(st.integers(1, 12), st.integers(1, 31), DAYS)
def test_a_day_without_a_year_is_the_last_one_before_publication(
    month: int, number: int, published: date
) -> None:
    period = parse_period(f"{month}月{number}日", published)
    if period is None:
        with pytest.raises(ValueError, match="day"):
            date(2000, month, number)
    else:
        assert period.start == period.end
        assert period.start is not None
        assert (period.start.month, period.start.day) == (month, number)
        assert (
            timedelta(0)
            <= published - period.start
            < timedelta(days=366 if (month, number) != (2, 29) else 8 * 366)
        )


@given(EXPRESSIONS, DAYS)
@example("近0年", date(2021, 1, 1))
def test_whatever_is_read_is_a_period(text: str, published: date) -> None:
    period = parse_period(text, published)
    if period and period.start and period.end:
        assert period.start <= period.end
    # What can be read without the publication date does not change with it.
    bare = parse_period(text)
    assert bare is None or bare == period


@given(st.text() | EXPRESSIONS, st.none() | st.dates())
@example("\ud800", None)
@example("2021年" * 40, None)
@example("ﷺ" * 190, date(2021, 1, 1))
def test_nothing_raises(text: str, published: date | None) -> None:
    parse_period(text, published)


@given(EXPRESSIONS, st.sampled_from(["", " ", "\n", "　"]), DAYS)
def test_quotation_marks_and_blanks_around_it_do_not_matter(text: str, blank: str, published: date) -> None:
    quoted = parse_period(f"“{text}”", published)
    assert quoted == parse_period(f"{blank}「{text}」{blank}", published)


PARTS = [
    "",
    "3月",
    "3月16日",
    "1至8月份",
    "前三季度",
    "前11个月",
    "四季度",
    "上半年",
    "下半年",
    "10月中旬",
    "年底",
    "年初",
    "12月底",
]
RELATIVE = [word + part for word in ("今年", "去年", "上年", "明年") for part in PARTS]
RELATIVE += [
    *PARTS[1:],
    "今年以来",
    "近三年",
    "五年来",
    "今后五年",
    "年底前",
    "去年同期",
    "去年9月以来",
    "截至11月底",
    "8月1日起",
    "上月底",
]


@given(st.sampled_from(RELATIVE), st.dates(date(2005, 1, 1), date(2025, 12, 31)))
def test_published_a_year_later_is_the_same_a_year_later(text: str, published: date) -> None:
    assume(published.month != 2)
    assume(published.month != 3 or text != "上月底")
    period = parse_period(text, published)
    assert period is not None
    shifted = [end and end.replace(year=end.year + 1) for end in (period.start, period.end)]
    assert parse_period(text, published.replace(year=published.year + 1)) == Period(*shifted)


@given(DAYS)
def test_the_months_of_a_year_follow_one_another(published: date) -> None:
    year = published.year
    months = [parse_period(f"{year}年{m}月") for m in range(1, 13)]
    for one, other in pairwise(months):
        assert one is not None
        assert other is not None
        assert one.end is not None
        assert other.start == one.end + timedelta(days=1)
    quarters = [parse_period(f"{year}年{q}季度") for q in "一二三四"]
    halves = [parse_period(f"{year}年{h}半年") for h in "上下"]
    for parts in (months, quarters, halves):
        first, last = parts[0], parts[-1]
        assert first is not None
        assert last is not None
        assert Period(first.start, last.end) == parse_period(f"{year}年")


def test_a_text_too_long_to_be_a_period_is_none() -> None:
    assert parse_period("2021年" + " " * 3 * LONGEST) == Period(date(2021, 1, 1), date(2021, 12, 31))
    assert parse_period("2021年" + " " * 4 * LONGEST) is None
    assert parse_period("截至" * LONGEST + "2021年") is None


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("下年", date(2024, 1, 1), date(2024, 12, 31)),
        ("下年度", date(2024, 1, 1), date(2024, 12, 31)),
        ("今晚", date(2023, 11, 2), date(2023, 11, 2)),
    ],
)
def test_words_for_the_coming_year_and_this_evening(text, start, end):
    assert parse_period(text, "2023-11-02") == Period(start, end)
