"""tests/data/amounts.tsv is the specification of parse_amount; the properties below hold for any text."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongbao.amounts import LARGEST, MAX_LENGTH, parse_amount
from gongbao.schema import Amount

TABLE = Path(__file__).parent / "data" / "amounts.tsv"
DIGITS = "零一二三四五六七八九"
# What amounts are written with, so that arbitrary text often comes close to one.
ALPHABET = "0123456789１２.,，:/-—~%‰ \n一二两三五十百千万亿半几数余多来个点成倍番分之每约近超过不以上下至到第年月日元块家亩人次吨里度米瓦时·()（）$¥"


def rows() -> list[tuple[str, Amount | None]]:
    out: list[tuple[str, Amount | None]] = []
    for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]:
        if line.startswith("# "):
            continue
        text, *cells = line.split("\t")
        text = text.replace("\\n", "\n")
        if not cells:
            out.append((text, None))
            continue
        kind, low, high, unit, approx, *si = cells
        si_low, si_high, si_unit = (float(si[0]), float(si[1]), si[2]) if si else (None, None, None)
        out.append((text, Amount(kind, float(low), float(high), unit, approx, si_low, si_high, si_unit)))  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize(
    ("text", "expected"), rows(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_spelling(text: str, expected: Amount | None) -> None:
    assert parse_amount(text) == expected


def test_each_spelling_is_listed_once() -> None:
    texts = [text for text, _ in rows()]
    assert sorted(texts) == sorted(set(texts))


def test_si_follows_the_value() -> None:
    amount = parse_amount("1600余亩")
    assert amount is not None
    assert amount.si_low == amount.si_high == pytest.approx(1600 * 2000 / 3)
    assert amount.si_unit == "m2"


@pytest.mark.parametrize(
    ("text", "value"), [("6.2亿元", 620_000_000), ("0.07万亿元", 70_000_000_000), ("8元", 8)]
)
def test_whole_values_are_ints(text: str, value: int) -> None:
    amount = parse_amount(text)
    assert amount is not None
    assert type(amount.low) is int
    assert amount.low == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n",
        "\x00",
        "3\x00家",
        "\ud800",
        "9" * 10_000,
        "千" * 64,
        "每" * 64,
        "半" * 64,
        "1-" * 32,
        "3家" * 32,
        "（" * 64,
    ],
)
def test_no_amount(text: str) -> None:
    assert parse_amount(text) is None


def test_too_long_and_too_large() -> None:
    assert parse_amount("3家".rjust(MAX_LENGTH)) is not None
    assert parse_amount("3家".rjust(MAX_LENGTH + 1)) is None
    assert parse_amount(f"{LARGEST}元") is not None
    assert parse_amount(f"{LARGEST}0元") is None


# -------------------------------------------------------------------------------------- properties


def spelled(number: int) -> str:
    """A whole number below 10**16 in Chinese numerals, the way a primary school teaches it."""
    for scale, sign in ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十")):
        if number >= scale:
            head, rest = divmod(number, scale)
            zero = "零" if 0 < rest < scale // 10 else ""
            return spelled(head) + sign + (zero + spelled(rest) if rest else "")
    return DIGITS[number]


@settings(deadline=None)
@given(st.integers(0, 10**15))
def test_a_spelled_number_reads_back(number: int) -> None:
    amount = parse_amount(spelled(number) + "户")
    assert amount is not None
    assert (amount.low, amount.high, amount.approx) == (number, number, "exact")


@settings(deadline=None)
@given(st.decimals("0.01", "9999.99", places=2))
def test_decimals_are_exact(number: Decimal) -> None:
    for unit, scale in (("%", "0.01"), ("万元", "1e4"), ("亿元", "1e8"), ("个百分点", "1"), ("成", "0.1")):
        amount = parse_amount(f"{number}{unit}")
        if unit == "成" and number > 10:
            assert amount is None
            continue
        assert amount is not None
        assert amount.low == amount.high == float(number * Decimal(scale))


@settings(deadline=None)
@given(st.integers(1, 10**9), st.sampled_from(["元", "亩", "人次", "公里", "吨", "千瓦时", "倍", "㎡"]))
def test_however_it_is_written(number: int, unit: str) -> None:
    plain = parse_amount(f"{number}{unit}")
    full_width = str(number).translate({48 + i: 0xFF10 + i for i in range(10)})
    assert plain is not None
    assert plain.low == number
    for other in (f"{number:,}{unit}", f"{number} {unit}", f"{number}\n{unit}", f"　{full_width}{unit} "):
        assert parse_amount(other) == plain
    more = parse_amount(f"{number}万{unit}")
    assert more == parse_amount(f"{number * 10_000}{unit}")


@settings(deadline=None)
@given(
    st.integers(1, 500),
    st.integers(1, 500),
    st.sampled_from(["-", "—", "～", "至", "到"]),
    st.sampled_from(["万元", "家", "%"]),
)
def test_a_range_shares_what_stands_behind_it(low: int, high: int, dash: str, unit: str) -> None:
    low, high = sorted((low, high))
    amount, one, other = (
        parse_amount(f"{low}{dash}{high}{unit}"),
        parse_amount(f"{low}{unit}"),
        parse_amount(f"{high}{unit}"),
    )
    assert amount is not None
    assert one is not None
    assert other is not None
    assert (amount.low, amount.high, amount.unit) == (one.low, other.high, one.unit)


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.text(), st.text(ALPHABET, max_size=12)))
def test_any_text_gives_an_ordered_amount_or_nothing(text: str) -> None:
    amount = parse_amount(text)
    if amount is None:
        return
    assert amount.low is not None
    assert amount.high is not None
    assert amount.low <= amount.high
    assert re.search(r"[0-9０-９一二两三四五六七八九十百千万亿半几数番]", text)
    assert amount.si_unit is None or amount.si_low is not None
