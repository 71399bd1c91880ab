"""What an amount says: `近3000亩` → 3000 mu, at most, 2 000 000 m2.

The text of one AMOUNT span is read in four steps, each driven by a table below:

1. It is folded: full-width forms to ASCII, the many dashes to two, blanks and line breaks taken out.
2. The words around and inside the number that bound or blur it (近 超 余 以上 左右 …) become marks.
3. What is left is `number unit`, `number unit/per`, or two of these with a dash or 至 between them. The unit is
   the longest spelling at the end whose rest reads as a number: 120万千瓦 is kilowatts, 上千米 is metres.
4. The number, a Fraction so that nothing is rounded, is scaled into the unit's symbol.

Whatever does not fit as a whole is None. Half an understanding (the number without its unit, a unit
nobody listed) would be a guess, and a wrong value costs more than a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from gongbao.schema import Amount, Approx

MAX_LENGTH: Final = 64
"""Longer texts are no amount. The longest of 2,892 annotated ones has 13 characters."""

LARGEST: Final = 10**24
"""Larger numbers are no amount of a report, and no float or spreadsheet would hold them."""


# ------------------------------------------------------------------------------------------- units


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit: `scale` turns the number of the text into `symbol`, `si_scale` turns that into `si_unit`."""

    kind: str
    symbol: str
    name: str
    scale: Fraction = Fraction(1)
    si_scale: Fraction | None = None
    si_unit: str | None = None

    def per(self, name: str) -> _Unit:
        """The unit for each of another: CNY → CNY/亩. Rates are not converted."""
        return replace(self, symbol=f"{self.symbol}/{name}", si_scale=None, si_unit=None)


# kind, symbol, scale, SI scale and SI unit (- where there is none), spellings. The first spelling is
# how the unit is called behind a slash: 元/㎡ and 元/平方米 are both CNY/平方米.
_UNITS_TABLE: Final = """
money    CNY    1      -          -   元 块钱 圆 元人民币 圆人民币 人民币 RMB CNY
money    CNY    1/10   -          -   角 毛钱
money    CNY    1/100  -          -   分钱
money    USD    1      -          -   美元 美金 USD
money    EUR    1      -          -   欧元 EUR
money    HKD    1      -          -   港元 港币 港币元 HKD
money    MOP    1      -          -   澳门元 澳门币 MOP
money    TWD    1      -          -   新台币 新台币元 台币 TWD
money    JPY    1      -          -   日元 日圆 JPY
money    GBP    1      -          -   英镑 GBP
money    KRW    1      -          -   韩元 韩币 KRW
money    AUD    1      -          -   澳元 澳大利亚元 AUD
money    CAD    1      -          -   加元 加拿大元 CAD
money    SGD    1      -          -   新加坡元 新元 SGD
money    CHF    1      -          -   瑞士法郎 CHF
money    RUB    1      -          -   卢布 RUB
money    THB    1      -          -   泰铢 THB
percent  ratio  1/100   -         -   %
percent  ratio  1/1000  -         -   ‰
percent  ratio  1/10000 -         -   ‱
percentage_point pp 1   1/100  ratio  个百分点 百分点
percentage_point pp 1/100 1/100 ratio 个基点 基点 BP bp
percentage_point pp 1   1/100  ratio  个点
fraction ratio  1/10   -          -   成
multiple 倍     1      -          -   倍
area     mu     1      2000/3     m2  亩 市亩
area     ha     1      10000      m2  公顷 ha hm2
area     m2     1      1          m2  平方米 平米 平方 ㎡ m2 M2
area     km2    1      1000000    m2  平方公里 平方千米 km2
area     cm2    1      1/10000    m2  平方厘米 cm2
length   m      1      1          m   米 延米 延长米 m
length   km     1      1000       m   公里 千米 km KM Km ㎞
length   li     1      500        m   里 华里 市里
length   cm     1      1/100      m   厘米 公分 cm CM ㎝
length   mm     1      1/1000     m   毫米 mm ㎜
length   um     1      1/1000000  m   微米 um
length   nm     1      1/1000000000 m 纳米 nm
length   nmi    1      1852       m   海里
length   in     1      127/5000   m   英寸
weight   t      1      1000       kg  吨 公吨 t
weight   kg     1      1          kg  公斤 千克 kg KG Kg ㎏
weight   g      1      1/1000     kg  克 g
weight   mg     1      1/1000000  kg  毫克 mg ㎎
weight   ug     1      1/1000000000 kg 微克 ug
weight   jin    1      1/2        kg  斤 市斤
weight   dan    1      50         kg  担 市担
volume   m3     1      1          m3  立方米 立方 方 m3 ㎥
volume   km3    1      1000000000 m3  立方公里 立方千米 km3
volume   L      1      1/1000     m3  升 公升 L l
volume   mL     1      1/1000000  m3  毫升 mL ml
volume   cm3    1      1/1000000  m3  立方厘米 cm3
energy   kWh    1      3600000    J   千瓦时 度 度电 千瓦小时 kWh KWh kwh KWH
energy   Wh     1      3600       J   瓦时 Wh
energy   MWh    1      3600000000 J   兆瓦时 MWh
energy   GWh    1      3600000000000 J 吉瓦时 GWh
energy   TWh    1      3600000000000000 J 太瓦时 TWh
energy   J      1      1          J   焦耳 焦 J
energy   kJ     1      1000       J   千焦 kJ
energy   MJ     1      1000000    J   兆焦 MJ
energy   GJ     1      1000000000 J   吉焦 GJ
energy   tce    1      -          -   吨标准煤 吨标煤 tce
energy   kgce   1      -          -   千克标准煤 公斤标准煤 kgce
energy   gce    1      -          -   克标准煤 gce
power    W      1      1          W   瓦 W
power    kW     1      1000       W   千瓦 kW KW kw
power    MW     1      1000000    W   兆瓦 MW
power    mW     1      1/1000     W   毫瓦 mW
power    GW     1      1000000000 W   吉瓦 GW
power    kVA    1      -          -   千伏安 kVA KVA
power    MVA    1      -          -   兆伏安 MVA
power    hp     1      -          -   马力
concentration ug/m3 1  -          -   微克/立方米 ug/m3
concentration mg/m3 1  -          -   毫克/立方米 mg/m3
concentration g/m3  1  -          -   克/立方米 g/m3
concentration mg/L  1  -          -   毫克/升 mg/L mg/l
concentration ug/L  1  -          -   微克/升 ug/L
concentration mg/kg 1  -          -   毫克/千克 毫克/公斤 mg/kg
concentration ppm   1  -          -   ppm
duration ms     1      -          -   毫秒 ms
duration second 1      -          -   秒 秒钟 s
duration minute 1      -          -   分钟 min
duration hour   1      -          -   小时 个小时 钟头 个钟头 h
duration day    1      -          -   天 日 昼夜
duration workday 1     -          -   工作日 个工作日
duration week   1      -          -   周 星期 个星期
duration month  1      -          -   个月
duration quarter 1     -          -   个季度
duration year   1      -          -   年 周年 个年头
age      year   1      -          -   岁 周岁
number   ℃      1      -          -   ℃ 摄氏度 °C 度C
number   dB     1      -          -   分贝 dB
number   Hz     1      -          -   赫兹 Hz
number   kHz    1      -          -   千赫 kHz
number   MHz    1      -          -   兆赫 兆赫兹 MHz
number   GHz    1      -          -   吉赫 GHz
number   V      1      -          -   伏 伏特 V
number   kV     1      -          -   千伏 kV KV
number   MPa    1      -          -   兆帕 MPa
number   MB     1      -          -   兆字节 MB
number   GB     1      -          -   GB
number   TB     1      -          -   TB
number   PB     1      -          -   PB
number   Mbps   1      -          -   Mbps 兆比特每秒
number   Gbps   1      -          -   Gbps
number   分     1      -          -   分
"""

# Measure words are their own symbol. 块 alone is missing on purpose: 100多块 is boards or yuan.
_MEASURES_TABLE: Final = """
个 家 户 人 口 名 位 项 件 处 场 次 套 栋 幢 座 台 辆 头 只 株 棵 羽 尾 匹 峰 剂 例 份 篇 门 条 所 间 床 张 期 批 部 枚 支 队
宗 起 轮 款 种 类 本 册 卷 幅 面 盏 架 艘 列 节 根 片 段 道 眼 孔 袋 箱 桶 瓶 盒 包 罐 筐 捆 棒 穴 窝 巢 对 双 副 组 班 团 群 棚
笔 单 票 封 通 句 首 出 曲 集 档 桌 席 顶 粒 颗 朵 串 层 跨 代 季 盘 盆 堆 具 杆 扇 樘 榀 站次 样 方面 页 枝 茬 则 股 台阵
大类 小类 大项 小项 大件 门类 品种
学时 课时 学分 学期 人天 人日 人年 工时 工日 台班 亩次 头次 只次 车次 架次 班次 航次 列次 标次 批次 轮次 频次 人份 剂次 针次 针剂
遍 任 稿 趟 回 圈 排 声 步 站 讲 管 碗 兜 车 基 头只 重量箱 羊单位 标台 笼次 条段
户数 人数 台套 套件 座处 处点 个次 标箱 标准箱 TEU 只鸡 羽份 锭 纱锭 蒸吨 载重吨 总吨 吨公里 人公里 车公里 名次
"""
# Counted nouns that take 个 or stand without it: 3000个学位, 百万学位.
_NOUNS_TABLE: Final = "位次 床位 学位 座位 车位 泊位 席位 岗位 机架 标准机架"
_SYMBOLS: Final = {"标箱": "TEU", "标准箱": "TEU"}

# What may stand behind 每 or a slash though no amount ends in it.
_PER_ONLY: Final = ("月", "季度", "学年", "生", "村", "镇", "县", "人口", "块")


def _units() -> dict[str, _Unit]:
    measures = _MEASURES_TABLE.split()
    units = {word: _Unit("count", _SYMBOLS.get(word, word), word) for word in measures}
    # 户次, 件次: how often a measure was met with. Only what nothing above spells.
    units |= {f"{word}次": _Unit("count", f"{word}次", f"{word}次") for word in measures if len(word) == 1}
    for noun in _NOUNS_TABLE.split():
        units |= dict.fromkeys((noun, f"个{noun}", f"张{noun}"), _Unit("count", noun, noun))
    for row in _UNITS_TABLE.strip().splitlines():
        kind, symbol, scale, si_scale, si_unit, *spellings = row.split()
        si = None if si_scale == "-" else Fraction(si_scale)
        unit = _Unit(kind, symbol, spellings[0], Fraction(scale), si, None if si is None else si_unit)
        units |= dict.fromkeys(spellings, unit)
    return units


_UNITS: Final = _units()
_LONGEST_UNIT: Final = max(map(len, _UNITS))
_NO_UNIT: Final = _Unit("number", "", "")
_YUAN: Final = _UNITS["元"]
_TIMES: Final = _UNITS["倍"]
_RATIO: Final = _Unit("ratio", "ratio", "")
_FRACTION: Final = _Unit("fraction", "ratio", "")

# Signs and names of money that stand before the number, and the unit they stand for.
_CURRENCY_BEFORE: Final = {
    "人民币": "元", "RMB": "元", "CNY": "元", "¥": "元", "US$": "美元", "USD": "美元", "$": "美元", "HK$": "港元",
    "港币": "港元", "€": "欧元", "£": "英镑", "新台币": "新台币",
}  # fmt: skip


# ------------------------------------------------------------------------------- bounds and blurs

# Regular expressions, by what they say. A verb that should have stayed outside the span says nothing.
_BEFORE: Final = {
    "at_least": "不低于 不少于 不小于 不下于 不下 至少 最少 最低 起码 ≥ 上(?=[十百千万亿])",
    "at_most": "不超过 未超过 不超 不高于 不多于 不大于 至多 最多 最高 将近 接近 近 ≤",
    "more_than": "超过 超出 超 逾 突破 大于 高于 多于 > 过(?=[十百千万亿半0-9])",
    "less_than": "不足 不到 不满 未满 未达 低于 少于 小于 <",
    "about": "大约为? 约为? 大概 ≈",
    "verb": "高达 多达 已达 达到 达 完成 实现 新增 净增 增长 增加 增幅 增至 增 下降 减少 降低 降幅 降至 降 提高 提升 上升 "
    "缩小 扩大 投资 投入 总计 共计 合计 累计 共 为 是 到 至",
}
_AFTER: Final = {
    "at_least": "及其以上 及以上 以上 有余 余 多",
    "at_most": "及其以下 及以下 以下 之下 以内 之内 内 (?<=元)封顶",
    "about": "左右 上下 (?<=[万亿元吨])级",
    "verb": "(?<=[元圆])整",
}
_WITHIN: Final = {"余": "at_least", "多": "at_least", "来": "about"}


def _one_of(table: dict[str, str]) -> str:
    return "|".join(f"(?P<{mark}>{'|'.join(words.split())})" for mark, words in table.items())


_BEFORE_WORD: Final = re.compile(_one_of(_BEFORE))
_AFTER_WORD: Final = re.compile(f"(?:{_one_of(_AFTER)})$")


def _peel(text: str) -> tuple[str, list[str]]:
    """The text without the words that bound or blur it, and what they say."""
    marks: list[str] = []
    while found := _BEFORE_WORD.match(text):
        marks.append(str(found.lastgroup))
        text = text[found.end() :]
    while found := _AFTER_WORD.search(text):
        marks.append(str(found.lastgroup))
        text = text[: found.start()]
    return text, [mark for mark in marks if mark != "verb"]


def _approx(marks: list[str]) -> Approx:
    """What several marks say together: a bound beats 约, and bounds on both sides are no more than 约."""
    lower, upper = {"at_least", "more_than"} & set(marks), {"at_most", "less_than"} & set(marks)
    if lower and upper:
        return "about"
    if lower:
        return "more_than" if "more_than" in lower else "at_least"
    if upper:
        return "less_than" if "less_than" in upper else "at_most"
    return "about" if marks else "exact"


# ----------------------------------------------------------------------------------------- numbers

_DIGITS: Final = {
    c: i for i, cs in enumerate(["零〇", "一", "二两", "三", "四", "五", "六", "七", "八", "九"]) for c in cs
}
_MAGNITUDES: Final = {"亿": 10**8, "万": 10**4, "千": 1000, "百": 100, "十": 10}
_ARABIC: Final = re.compile(r"(?:0|[1-9]\d*|[1-9]\d{0,2}(?:,\d{3})+)(?:\.\d+)?", re.ASCII)
_BEYOND_NINE: Final = re.compile(r"\d[\d,]*\d(?:\.\d+)?[十百千]", re.ASCII)
_PAIR: Final = re.compile(
    r"(|.*[十百千万亿])(一[二两]|[二两]三|三四|三五|四五|五六|六七|七八|八九)([十百千万亿]*)"
)
_SEVERAL: Final = re.compile(r"[几数]([十百千万亿]*)")
_TEENS: Final = re.compile(r"(.*十|[1-9]\d*0)几([万亿]*)", re.ASCII)
_WITHIN_NUMBER: Final = re.compile(r"(.+)([余多来])([千百万亿]*)")


def _plain(text: str) -> Fraction | None:
    """A numeral without 十百千万亿: 1,234.5, 六, 三点五, and digits in a row as in 二〇二五."""
    if _ARABIC.fullmatch(text):
        return Fraction(text.replace(",", ""))
    whole, point, decimals = text.partition("点")
    digits = whole + decimals
    if not whole or (point and not decimals) or any(c not in _DIGITS for c in digits) or "两" in digits[1:]:
        return None
    return Fraction(int("".join(str(_DIGITS[c]) for c in digits)), 10 ** len(decimals))


def _numeral(text: str) -> Fraction | None:
    """An exact numeral, Arabic, Chinese or mixed: 2.35万亿, 三百二十五万, 3万5千, 一百二十点五.

    Split at the largest magnitude: what stands before it is multiplied, what stands behind it is added
    and must be smaller. 一百五 and 3万5 are refused: the 5 may be fifty or five. Only Arabic digits go beyond
    nine before 千, 百 and 十, and then nothing is added: 320.5千, 12.5百万.
    """
    for sign, scale in _MAGNITUDES.items():
        head, found, tail = text.rpartition(sign)
        if not found:
            continue
        if not head and tail and sign != "十":  # 百五十 lacks its 一, 千万 was split at 万
            return None
        times = _numeral(head) if head else Fraction(1)
        rest = _tail(tail, scale)
        if times is None or rest is None:
            return None
        if scale < 10**4 and times >= 10 and not (_ARABIC.fullmatch(head) and not tail):
            return None
        return None if tail and times.denominator > 1 else times * scale + rest
    return _plain(text)


def _tail(text: str, scale: int) -> Fraction | None:
    if not text:
        return Fraction(0)
    if text[0] == "点":
        return _plain(f"零{text}")
    if (len(text) == 1 and scale > 10) or "." in text or _BEYOND_NINE.match(text):
        return None
    rest = _numeral(text[1:] if text[0] in "零〇" else text)
    return rest if rest is not None and rest < scale else None


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as read. `digits` is its text without sign and 余 or 多: what a range shares its magnitude from."""

    low: Fraction
    high: Fraction
    digits: str
    marks: tuple[str, ...] = ()
    vague: bool = False


def _number(text: str) -> _Number | None:
    """Any number of a report, also the vague ones: 700余万, 三四十, 十几, 数百万."""
    if text[:1] in ("-", "负"):
        size = _number(text[1:]) if text[1:2] not in ("-", "负") else None
        return size and replace(size, low=-size.high, high=-size.low)
    if text == "半":
        return _Number(Fraction(1, 2), Fraction(1, 2), text)
    marks: tuple[str, ...] = ()
    if found := _WITHIN_NUMBER.fullmatch(text):
        text, marks = found[1] + found[3], (_WITHIN[found[2]],)
    ends = _vague(text)
    low, high = ends or (_numeral(text), _numeral(text))
    if low is None or high is None:
        return None
    return _Number(low, high, text, marks, vague=ends is not None)


def _vague(text: str) -> tuple[Fraction | None, Fraction | None] | None:
    """The ends of a number that is only roughly given, None where it is not of that kind."""
    if found := _SEVERAL.fullmatch(text):
        one = _numeral("一" + found[1])
        return one, one and one * 10
    if found := _TEENS.fullmatch(text):
        tens, scale = _numeral(found[1]), _numeral("一" + found[2])
        return (None, None) if tens is None or scale is None else ((tens + 1) * scale, (tens + 9) * scale)
    if found := _PAIR.fullmatch(text):
        before, pair, magnitude = found.groups()
        return _numeral(before + pair[0] + magnitude), _numeral(before + pair[1] + magnitude)
    return None


# ----------------------------------------------------------------------------------------- folding

_FOLD: Final[dict[int, int | str | None]] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **str.maketrans("−﹣‐‑—–―─〜∼～", "----~~~~~~~"),
    **str.maketrans("∶﹪￥￡μµ○", ":%¥£uu〇"),
    **str.maketrans("壹贰貳叁參肆伍陆陸柒捌玖拾佰仟萬億兩", "一二二三三四五六六七八九十百千万亿两"),
    ord("廿"): "二十",
    ord("卅"): "三十",
    **str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff\xad"),
}
_THOUSANDS: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:[^\S\r\n]\d{3})+(?!\d)", re.ASCII)
_REWRITTEN: Final = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"\(含\)", ""),
        (r"(?<=[\u4e00-\u9fff])\(([\u4e00-\u9fff])\)", r"\1"),  # 台(套)
        (r"([mM])([²³])", lambda m: "m" + "23"["²³".index(m[2])]),
        (r"(?<=[一二三四五六七八九零〇])[·•](?=[一二三四五六七八九零〇])", "点"),
        (r"(?<=[一二三四五六七八])、(?=[二三四五六七八九])", ""),  # 三、四个
        (r"^([一二两三四五六七八九])成([一二三四五六七八九])", r"\1点\2成"),
        (r"(?<=.)个(?=亿)", ""),  # 两个亿
        (r"[-~]{2,}", "~"),
        (r"(?<=.)每(?!.*[0-9一二两三四五六七八九十百千万亿半])", "/"),  # 公里每小时, but 每人每月300元
        (r"(?<=[户件人家场车])/(?=次$)|(?<=[台件])/(?=套$)", ""),
    )
)


def _fold(text: str) -> str | None:
    """The text in one spelling, or None where blanks leave open where its numbers end."""
    if len(text) > MAX_LENGTH:
        return None
    text = text.translate(_FOLD).strip()
    text = _THOUSANDS.sub(lambda m: re.sub(r"\s", "", m[0]), text)
    if re.search(r"\d\s+\d", text):
        return None
    text = re.sub(r"\s+", "", text)
    if text.startswith("-") and "--" in text:  # -3%--1%: a dash and a sign, or a long dash?
        return None
    for pattern, by in _REWRITTEN:
        text = pattern.sub(by, text)
    return text


# ------------------------------------------------------------------------------------ composition


_BETWEEN: Final = re.compile(r"(?<=.)[-~至到](?=.)")
_SHARED: Final = re.compile(r"^(.*?)([十百千]*)([万亿]*)$")
_WITHIN_UNIT: Final = re.compile(r"(.+个)([多余来])(.+)")
_AND_A_HALF: Final = re.compile(r"(.+)个半(.*)|(.+)半")
_DOUBLED: Final = re.compile(r"(?:再?(翻)了?)?(.*)番")
_PART_OF: Final = re.compile(r"(?P<under>.+)分之(?P<over>.+)")
_SLASHED: Final = re.compile(r"(?P<over>\d{1,3})/(?P<under>\d{1,3})", re.ASCII)
_TO_ONE: Final = re.compile(
    r"(?P<over>[\d.]+|[一二两三四五六七八九十]+)[:比](?P<under>[\d.]+|[一二两三四五六七八九十]+)", re.ASCII
)
_MONEY_FIRST: Final = re.compile(rf"({'|'.join(map(re.escape, _CURRENCY_BEFORE))})(.+?)((?:/.+)?)")
_PARTS: Final = {"百分之": "%", "千分之": "‰", "万分之": "‱"}
_PART_FIRST: Final = re.compile(rf"({'|'.join(_PARTS)})(.+)")
_PER: Final = re.compile(r"(\d*[十百千万亿]*)(.+)", re.ASCII)
_ORDINAL_MEASURES: Final = "期批次轮代层季周场组部"


@dataclass(frozen=True, slots=True)
class _Term:
    """A number with its unit; `low` and `high` count the `word` the unit was spelled with."""

    low: Fraction
    high: Fraction
    unit: _Unit
    word: str = ""
    digits: str = ""
    marks: tuple[str, ...] = ()
    vague: bool = False


def parse_amount(text: str) -> Amount | None:
    """The normal form of an amount's text, None where it has none.

    `low` and `high` are equal unless the text gives a range (20—30家, 数百家, 六七个); for 近3000亩 both are
    3000 and `approx` says at_most. A magnitude without a number is one of it: 百万亩, 亿元以上, and so 亿元 alone,
    also where it only names the unit of a table. A unit without either (元) is None. Any text may be given;
    nothing is raised.
    """
    folded = _fold(text)
    if not folded:
        return None
    body, outer = _peel(folded)
    body, inner = _peel(_unit_last(body))
    term = _special(body) or _single(body) or _range(body)
    if term is None:
        return None
    marks = [*outer, *inner, *term.marks]
    if _refused(term, marked=bool(marks)):
        return None
    if term.unit is _NO_UNIT and term.digits.endswith("亿"):  # 授信30亿: only money is counted so
        term = replace(term, unit=_YUAN)
    return _amount(term, "about" if term.vague else _approx(marks))


def _unit_last(text: str) -> str:
    """What stands before the number is put behind it: 每亩1200元, ¥500万, 百分之八 → 1200元/亩, 500万元, 八%."""
    per = ""
    while text.startswith("每"):
        length = next((n for n in range(len(text) - 1, 0, -1) if _per_name(text[1 : 1 + n])), 0)
        if not length:
            return text
        per, text = f"{per}/{text[1 : 1 + length]}", text[1 + length :]
    if found := _MONEY_FIRST.fullmatch(text):
        text = found[2].removesuffix("元") + _CURRENCY_BEFORE[found[1]] + found[3]
    elif found := _PART_FIRST.fullmatch(text):
        text = found[2].replace(found[1], "") + _PARTS[found[1]]
    return text + per


def _per_name(text: str) -> str | None:
    """The name of what a rate is for: 亩, 10万人, 人/月 for 人·月."""
    if "·" in text:
        names = [_per_name(part) for part in text.split("·")]
        return None if None in names else "/".join(map(str, names))
    found = _PER.fullmatch(text)
    amount, word = ("", text) if text in _UNITS or not found else found.groups()
    if word in _PER_ONLY:
        return amount + word
    unit = _UNITS.get(word)
    if unit is None or (amount[:1].isdigit() and unit.kind != "count"):  # 100兆瓦/400兆瓦时 is no rate
        return None
    return amount + unit.name


def _special(text: str) -> _Term | None:
    """The forms that are no number with a unit: 三分之二, 1/3, 3:1, 翻两番, 一半."""
    if text in ("半", "一半", "半数"):
        return _Term(Fraction(1, 2), Fraction(1, 2), _FRACTION)
    if found := _DOUBLED.fullmatch(text):
        middle, marks = _peel(found[2])
        times = _numeral(middle or ("一" if found[1] else ""))
        if times is None or times.denominator > 1 or not 1 <= times <= 10:
            return None
        return _Term(Fraction(2**times.numerator), Fraction(2**times.numerator), _TIMES, marks=tuple(marks))
    for pattern, unit in ((_PART_OF, _FRACTION), (_SLASHED, _FRACTION), (_TO_ONE, _RATIO)):
        if found := pattern.fullmatch(text):
            over, under = _numeral(found["over"]), _numeral(found["under"])
            if not over or not under or (unit is _FRACTION and over >= under):
                return None
            if unit is _RATIO and 1 not in (over, under) and max(over, under) >= 10:  # 8:30 is a time of day
                return None
            return _Term(over / under, over / under, unit)
    return None


def _single(text: str) -> _Term | None:
    """One number with its unit and the marks around it. The longest unit whose rest is a number wins."""
    text, marks = _peel(text)
    if found := _WITHIN_UNIT.fullmatch(text):  # 一个多月
        text, marks = found[1] + found[3], [*marks, _WITHIN[found[2]]]
    half = Fraction(0)
    if found := _AND_A_HALF.fullmatch(text):  # 两个半小时, 一年半
        text, half = f"{found[1]}个{found[2]}" if found[1] else found[3], Fraction(1, 2)
    for digits, word, unit in _splits(text):
        number = _number(digits)
        if number is None or (half and (number.vague or number.low < 0 or not word)):
            continue
        return _Term(
            number.low + half, number.high + half, unit, word, number.digits,
            (*marks, *number.marks), number.vague,
        )  # fmt: skip
    return None


def _splits(text: str) -> Iterator[tuple[str, str, _Unit]]:
    """Every way to cut the text into a number, the spelling of its unit, and the unit."""
    for length in range(min(_LONGEST_UNIT, len(text) - 1), 0, -1):
        word = text[-length:]
        if word in _UNITS:
            yield text[:-length], word, _UNITS[word]
    head, slash, tail = text.rpartition("/")
    if slash and (name := _per_name(tail)):
        for digits, word, unit in _splits(head):
            if unit is not _NO_UNIT and word != "分":  # 0.1分/千瓦时 is money, 97.4分 is a score
                yield digits, word, unit.per(name)
    yield text, "", _NO_UNIT


def _range(text: str) -> _Term | None:
    """Two numbers with a dash, 至 or 到 between them. What only the second one says, both share."""
    for cut in _BETWEEN.finditer(text):
        left, right = _single(text[: cut.start()]), _single(text[cut.end() :])
        if left is None or right is None:
            continue
        if right.unit is _NO_UNIT and right.digits.isascii():  # 400-8888888
            continue
        left = _sharing(left, right)
        if (
            left is None
            or left.low > right.high
            or any(_refused(t, marked=bool(t.marks)) for t in (left, right))
        ):
            continue
        return replace(
            right, low=left.low, vague=left.vague or right.vague, marks=(*left.marks, *right.marks)
        )
    return None


def _sharing(left: _Term, right: _Term) -> _Term | None:
    """The left end of a range in the right end's unit, and in its magnitude where it has none of its own.

    10~20亿元 is ten to twenty 亿, but 5000-1万元 starts at 5000: the shared magnitude would put the
    left end above the right one. In 三到五十 nobody knows.
    """
    if left.unit is not _NO_UNIT:
        factor = _conversion(left.unit, right.unit)
        if factor is None:
            return None
        return replace(left, low=left.low * factor, high=left.high * factor, unit=right.unit)
    lead, small, big = _SHARED.findall(right.digits)[0]
    if len(lead) > 1 and not lead.isascii():  # the 十 of 三百二十万 is no magnitude to share
        small = ""
    if any(sign in left.digits for sign in "亿万"):
        shares = [""]
    elif any(sign in left.digits for sign in "千百十"):
        shares = [big, ""]
    else:
        shares = [small + big, big, ""]
    for share in shares:
        scale = _numeral("一" + share) or Fraction(1)
        if left.high * scale <= right.low:
            if share == small + big and small in ("百", "十") and not lead.isascii():
                return None
            return replace(
                left, low=left.low * scale, high=left.high * scale, unit=right.unit, word=right.word
            )
    return None


def _conversion(unit: _Unit, into: _Unit) -> Fraction | None:
    """By how much to multiply numbers of one unit for another: 500米至2公里, 1200元-1500元/亩."""
    if unit.kind != into.kind:
        return None
    if unit.symbol in (into.symbol, into.symbol.split("/")[0]):
        return unit.scale / into.scale
    if unit.si_scale and into.si_scale and unit.si_unit == into.si_unit:
        return unit.scale * unit.si_scale / (into.scale * into.si_scale)
    return None


def _refused(term: _Term, *, marked: bool) -> bool:
    """Whether the text reads as an amount but is more likely a date, an ordinal, a name or an identifier."""
    whole = term.low.denominator == term.high.denominator == 1
    match term.word:
        case "年":  # 2021年, but 近2000年
            round_number = marked and term.low % 100 == 0
            return whole and not round_number and (1900 <= term.low <= 2100 or 1900 <= term.high <= 2100)
        case "日":  # 15日
            return whole and not marked and term.high <= 31
        case "个点":  # three places, or three percentage points?
            return whole
        case "度":  # 360度 is an angle, 百度 a firm
            return term.high in (180, 360) or term.digits == "百"
        case "成":
            return not 0 < term.high <= 10
        case "":
            return term.unit is _NO_UNIT and not _stands_alone(term.digits, marked=marked)
    return term.digits in ("一", "二") and term.word in _ORDINAL_MEASURES  # 二期


def _stands_alone(digits: str, *, marked: bool) -> bool:
    """Whether a number is one without a unit: 百万 and 2150 are; 十四五, 五, 万, 12百 and 05371234567 are not."""
    if re.match(r"\d", digits):
        return not re.fullmatch(r"\d{8,}", digits) and not _BEYOND_NINE.match(digits)
    return any(sign in digits for sign in "百千万亿") and (marked or len(digits) > 1)


def _amount(term: _Term, approx: Approx) -> Amount | None:
    low, high = term.low * term.unit.scale, term.high * term.unit.scale
    if max(abs(low), abs(high)) > LARGEST:
        return None
    si = term.unit.si_scale
    return Amount(
        kind=term.unit.kind, low=_as_number(low), high=_as_number(high), unit=term.unit.symbol, approx=approx,
        si_low=None if si is None else _as_number(low * si),
        si_high=None if si is None else _as_number(high * si),
        si_unit=term.unit.si_unit,
    )  # fmt: skip


def _as_number(value: Fraction) -> float:
    """The int, or the float nearest to the exact value."""
    return value.numerator if value.denominator == 1 else float(value)
