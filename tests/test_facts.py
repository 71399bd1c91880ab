"""Values, links by rule, and facts. The inline notation of a sentence says what the rules should find in it."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao import inline
from gongbao.facts import RuleLinker, complete, make_facts, normalise, prepare_gold
from gongbao.linking import PRECISION
from gongbao.schema import UNREAD, Amount, Block, Document, LabelScheme, Link, Period, Role, Span


def parse(notation: str, **known: object) -> Document:
    return inline.parse(notation, id="d", **known)  # type: ignore[arg-type]


# A METRIC, PROJECT or AMOUNT without a link in the notation must get none.
LINKED = [
    # near: the first amount behind a metric
    "完成{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE}。",
    "{工业产值|METRIC#1}在各方努力下突破{60亿元|AMOUNT>1:VALUE}。",
    "{税收|METRIC#1}增速逐月回升,达{9亿元|AMOUNT>1:VALUE}。",
    "新建{污水管网|METRIC#1}{7.4公里|AMOUNT>1:VALUE}、整治{河道|METRIC#2}{4处|AMOUNT>2:VALUE}。",
    # far: further amounts, and their roles
    "{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE},占年度任务的{88.6%|AMOUNT>1:COMPLETION}。",
    "{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE},同比增长{11.2%|AMOUNT>1:CHANGE},其中县级{1亿元|AMOUNT>1:VALUE}。",
    "{脱贫人口|METRIC#1}{90户|AMOUNT>1:VALUE}、{210人|AMOUNT>1:VALUE}。",
    "{安置住房|METRIC#1}{800套|AMOUNT>1:VALUE},竣工{300套|AMOUNT>1:VALUE},完工{近一半|AMOUNT}。",
    "{储能规模|METRIC#1}{10兆瓦|AMOUNT>1:VALUE}/{20兆瓦时|AMOUNT>1:VALUE}。",
    "{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE},完成率{88.6%|AMOUNT>1:COMPLETION},增长{5%|AMOUNT>1:CHANGE}。",
    "{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE}(完成年度任务的{88%|AMOUNT>1:COMPLETION}),增长{5%|AMOUNT>1:CHANGE}。",
    "{新增就业|METRIC#1}{2150人|AMOUNT>1:VALUE},完成{全年|TIME}任务的{58.1%|AMOUNT>1:COMPLETION}。",
    # of a bare share a change in percent is of what it is a share of
    "{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE},{完成率|METRIC#2}达{88.6%|AMOUNT>2:COMPLETION},同比增长{5%|AMOUNT>1:CHANGE}。",
    "{税收|METRIC#1}{2亿元|AMOUNT>1:VALUE},{占比|METRIC#2}{68%|AMOUNT>2:COMPLETION},较{去年|TIME}提高{1.5个百分点|AMOUNT>2:CHANGE}。",
    # levels, changes, shares
    "{失业率|METRIC#1}从{2019年|TIME}的{4.1%|AMOUNT>1:VALUE}下降至{3.5%|AMOUNT>1:VALUE}。",
    "{平均水耗|METRIC#1}由{5吨|AMOUNT>1:VALUE}降低到{3吨|AMOUNT>1:VALUE}、年均下降{12%|AMOUNT>1:CHANGE}。",
    "{覆盖率|METRIC#1}提高{三个百分点|AMOUNT>1:CHANGE}。",
    "{出口额|METRIC#1}{3亿美元|AMOUNT>1:VALUE},增速为{5%|AMOUNT>1:CHANGE}。",
    "{总产值|METRIC#1}是{2015年|TIME}的{2.1倍|AMOUNT>1:CHANGE}。",
    "{总产值|METRIC#1}是全省平均的{2倍|AMOUNT>1:VALUE}。",
    "{优良天数|METRIC#1}比{上年|TIME}多{9天|AMOUNT>1:CHANGE}。",
    "减少{碳排放|METRIC#1}{6万吨|AMOUNT>1:CHANGE}。",
    "{第三产业占比|METRIC#1}达到{36%|AMOUNT>1:COMPLETION}。",
    "{第三产业占比|METRIC#1}提高{2%|AMOUNT>1:CHANGE}。",
    "{企业|METRIC#1}{9家|AMOUNT>1:VALUE},占比{36%|AMOUNT>1:COMPLETION}。",
    "{林木覆盖率|METRIC#1}{25%|AMOUNT>1:VALUE},高于全省{2个百分点|AMOUNT},增长{1%|AMOUNT>1:CHANGE}。",
    # lists that pair
    "{蔬菜|METRIC#1}、{水果产量|METRIC#2}分别达到{5万吨|AMOUNT>1:VALUE}和{3万吨|AMOUNT>2:VALUE}。",
    "{蔬菜|METRIC#1}和{水果产量|METRIC#2}分别增长{5%|AMOUNT>1:CHANGE}、{3%|AMOUNT>2:CHANGE}。",
    "立{案|METRIC#1},处理{人员|METRIC#2}分别为{5件|AMOUNT>1:VALUE}、{3人|AMOUNT>2:VALUE}。",
    "{城乡居民收入|METRIC#1}分别增长{5%|AMOUNT>1:CHANGE}、{6%|AMOUNT>1:CHANGE}。",
    "{税收|METRIC#1}{2亿元|AMOUNT>1:VALUE},其中{个税|METRIC#2}{1亿元|AMOUNT>2:VALUE},增长{5%|AMOUNT>1:CHANGE}、{6%|AMOUNT>2:CHANGE}。",
    "{进口|METRIC}和{出口|METRIC}均超过{1亿元|AMOUNT}。",
    # behind
    "实现{1.2亿元|AMOUNT>1:VALUE}{技术合同成交额|METRIC#1}。",
    "把{75%|AMOUNT>1:COMPLETION}的{财力|METRIC#1}用于民生。",
    "新签约{1亿元以上|AMOUNT}{招商项目|METRIC#1}{14个|AMOUNT>1:VALUE}。",
    "{产业集群|METRIC#1}{3个|AMOUNT>1:VALUE}、{50亿元以上|AMOUNT}的{4个|AMOUNT>1:VALUE}。",
    # projects
    "投资{1.2亿元|AMOUNT>1:VALUE}的{云岭物流园|PROJECT#1}开工。",
    "投资{900万元|AMOUNT>1:VALUE},实施了{东街改造|PROJECT#1}。",
    "投资{900万元|AMOUNT},实施了{东街改造|PROJECT}、{西街改造|PROJECT}。",
    "{云岭物流园|PROJECT#1}投资{1.2亿元|AMOUNT>1:VALUE},占地{200亩|AMOUNT>1:VALUE}。",
    "{云岭物流园|PROJECT}、{东街改造|PROJECT}投资{1.2亿元|AMOUNT}。",
    "{东街改造|PROJECT}等{8个|AMOUNT}民生工程完工。",
    "{60万千瓦|AMOUNT>1:VALUE}{青石风电场|PROJECT#1}并网。",
    "{33个|AMOUNT}{“两新”工程|PROJECT}开工。",
    "{总投资|METRIC#1}{5.6亿元|AMOUNT>1:VALUE}的{云岭物流园|PROJECT}开工。",
    "{云岭物流园|PROJECT#2}{总投资|METRIC#1}{5.6亿元|AMOUNT>1:VALUE},占地{200亩|AMOUNT>2:VALUE}。",
    "{云岭物流园|PROJECT}建成后引来{30家|AMOUNT}商户。",
    "{云岭物流园|PROJECT}连续{4年|AMOUNT}盈利。",
    # new statements cut the reach
    "{网络用户|METRIC#1}达到{250万户|AMOUNT>1:VALUE},新开放{30处|AMOUNT}公园,完成{14个|AMOUNT}村的改造,处罚{3人|AMOUNT}。",
    "{违法案件|METRIC#1}{36件|AMOUNT>1:VALUE}、处罚{1.1亿元|AMOUNT}。",
    "{总产值|METRIC#1}{9亿元|AMOUNT>1:VALUE},同比增加{3个|AMOUNT}厂区。",
    "{总产值|METRIC#1}{9亿元|AMOUNT>1:VALUE},两年增加{3亿元|AMOUNT}、{2亿元|AMOUNT}。",
    "{总产值|METRIC#1}{9亿元|AMOUNT>1:VALUE},同比增加{3亿元|AMOUNT>1:CHANGE}、{2亿元|AMOUNT>1:CHANGE}。",
    "{交付率|METRIC#1}连续{五年|AMOUNT}达到{100%|AMOUNT>1:VALUE}。",
    "{审批时限|METRIC#1}{3天|AMOUNT>1:VALUE},{项目审批|METRIC#2}压缩到{5天|AMOUNT>2:VALUE}。",
    "{税收|METRIC}增加。建成站点{9个|AMOUNT}。",
    # brackets
    "{一等奖|METRIC#1}{26项|AMOUNT>1:VALUE}({论文|METRIC#2}{20项|AMOUNT>2:VALUE}),占全省的{52%|AMOUNT>1:COMPLETION}。",
    "{税收|METRIC#1}){9亿元|AMOUNT>1:VALUE}。",
]  # fmt: skip


@pytest.mark.parametrize("notation", LINKED)
def test_rules_link_as_annotated(notation, scheme):
    document = parse(notation, scheme=scheme)
    wanted = {(link.head, link.tail, link.role) for link in document.links}
    found = RuleLinker(scheme)(document)
    assert {(link.head, link.tail, link.role) for link in found} == wanted
    assert all(link.score in PRECISION.values() for link in found)


@pytest.mark.parametrize(
    "words",
    [
        "完成年度任务的", "完成全年任务的", "完成年度目标任务的", "提前完成全年目标任务的", "超额完成年度任务的", "完成任务数的",
        "完成预算的", "完成年初预算的", "占年初预算的", "完成计划的", "为年度计划的", "达年度目标的", "达到年度目标的", "超年度目标",
        "完成率", "完成率达", "完成年度任务",
    ],
)  # fmt: skip
def test_a_part_of_what_was_planned_is_a_completion_and_hides_nothing_behind_it(words, scheme):
    document = parse(
        f"{{财政收入|METRIC}}{{2.3亿元|AMOUNT}},{words}{{88.6%|AMOUNT}},同比增长{{5.2%|AMOUNT}}。",
        scheme=scheme,
    )
    roles = [(document.span(k.tail).text, k.role) for k in RuleLinker(scheme)(document)]
    assert roles == [("2.3亿元", "VALUE"), ("88.6%", "COMPLETION"), ("5.2%", "CHANGE")]


PARTS = st.sampled_from(
    [
        "METRIC",
        "AMOUNT",
        "PROJECT",
        "ORG",
        "TIME",
        "",
        "、",
        ",",
        "。",
        "(",
        ")",
        "的",
        "分别",
        "同比增长",
        "占",
        "\n",
    ]
)
WORDS = {"METRIC": "产值", "AMOUNT": "2015年的2倍", "PROJECT": "云岭园", "ORG": "县局", "TIME": "今年"}


def build(parts: list[str]) -> Document:
    """A document of those pieces; a label stands for a span of its word."""
    text, spans = "", []
    for n, part in enumerate(parts):
        word = WORDS.get(part, part)
        if part in WORDS:
            spans.append(Span(len(text), len(text) + len(word), part, word, f"s{n}"))
        text += word
    return Document("d", text, {"published": "2023-11-02"}, tuple(spans))


@given(st.lists(PARTS, max_size=30))
def test_whatever_the_spans_an_amount_has_one_link_and_each_link_one_fact(scheme, parts):
    document = complete(
        build(parts), scheme, RuleLinker(scheme)
    )  # Document itself checks links against the scheme
    tails = [link.tail for link in document.links]
    assert len(set(tails)) == len(tails)
    assert [(f.metric, f.amount, f.role) for f in document.facts] == [
        (k.head, k.tail, k.role) for k in document.links
    ]
    for fact in document.facts:
        assert fact.subject not in (fact.metric, fact.amount)
        assert ("period" in fact.inherited) <= (fact.period is not None)
        assert ("subject" in fact.inherited) <= (fact.subject is not None)


@pytest.mark.parametrize(
    "roles",
    [
        (Role("OWNS", ("METRIC",), ("AMOUNT",)),),
        (Role("OWNS", ("METRIC",)), Role("SHARE", ("METRIC",))),
        (Role("OWNS", (), ("AMOUNT",)),),
        (Role("OWNS"),),
    ],
)
def test_roles_of_other_names_fall_back_on_the_first(roles):
    scheme = LabelScheme(("METRIC", "AMOUNT"), roles, {"AMOUNT": "amount"})
    document = parse("{税收|METRIC}{9亿元|AMOUNT},增长{5%|AMOUNT}。")
    assert [link.role for link in complete(document, scheme, RuleLinker(scheme)).links] == ["OWNS", "OWNS"]


def test_a_scheme_without_roles_has_no_links():
    scheme = LabelScheme(("METRIC", "AMOUNT"), values={"AMOUNT": "amount"})
    document = parse("{税收|METRIC}{9亿元|AMOUNT}。", scheme=scheme)
    assert complete(document, scheme, RuleLinker(scheme)).facts == ()


def test_labels_that_are_no_amounts_go_to_the_nearest_head_before():
    scheme = LabelScheme(
        ("PERSON", "POST", "PLACE"),
        (Role("HOLDS", ("PERSON",), ("POST",)), Role("IN", ("POST",), ("PLACE",))),
    )
    document = parse(
        "{王安|PERSON}曾任教师,后任{书记|POST}于{青石镇|PLACE},{李明|PERSON}是{镇长|POST}。", scheme=scheme
    )
    found = complete(document, scheme, RuleLinker(scheme))
    texts = {(found.span(k.head).text, k.role, found.span(k.tail).text) for k in found.links}
    assert texts == {("王安", "HOLDS", "书记"), ("书记", "IN", "青石镇"), ("李明", "HOLDS", "镇长")}


def test_a_role_that_the_scheme_forbids_is_not_given():
    scheme = LabelScheme(
        ("METRIC", "PROJECT", "AMOUNT"),
        (Role("CHANGE", ("METRIC",), ("AMOUNT",)), Role("VALUE", ("PROJECT",), ("AMOUNT",))),
        {"AMOUNT": "amount"},
    )
    document = parse("{税收|METRIC}{9亿元|AMOUNT}。{东街|PROJECT}投资{1元|AMOUNT}。", scheme=scheme)
    assert [link.role for link in complete(document, scheme, RuleLinker(scheme)).links] == ["CHANGE", "VALUE"]
    only = LabelScheme(
        ("METRIC", "PROJECT", "ORG", "AMOUNT"),
        (Role("A", ("METRIC",), ("AMOUNT",)), Role("B", ("ORG", "PROJECT"), ("METRIC",))),
    )
    assert RuleLinker(only)(parse("{东街|PROJECT}投资{1元|AMOUNT}。", scheme=only)) == []


# ---------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("published", "start"),
    [
        ("2023-11-02", date(2023, 1, 1)),
        ("2023-11-02T08:00:00", date(2023, 1, 1)),
        (" 2023-11-02 08:00 ", date(2023, 1, 1)),
        (date(2023, 11, 2), date(2023, 1, 1)),
        (datetime(2023, 11, 2, 8), date(2023, 1, 1)),
        ("2023年11月2日", date(2023, 1, 1)),
        ("2023/11/02", date(2023, 1, 1)),
        ("2023-13-45", None),
        ("发布时间:昨天", None),
        (20231102.5, None),
        (None, None),
    ],
)
def test_periods_are_counted_from_the_publication_date_if_it_is_one(published, start, scheme):
    document = parse(
        "{今年|TIME}{柳河镇|ORG}{税收|METRIC#1}{9家|AMOUNT>1:VALUE}。",
        scheme=scheme,
        meta={"published": published},
    )
    when, place, metric, amount = normalise(document, scheme).spans
    assert when.value == (Period(start, date(2023, 12, 31)) if start else None)
    assert place.value is metric.value is UNREAD
    assert amount.value == Amount("count", 9, 9, "家")


@pytest.mark.parametrize(
    ("published", "title", "text", "year"),
    [
        ("2023-03-20", "青石县2022年统计公报", "", 2022),
        ("2023-03-20", "青石县２０２２年统计公报", "", 2022),
        ("2023-03-20", "青石县二〇二二年统计公报", "", 2022),
        ("2023-03-20", "2022年回顾:2022年的青石县", "", 2022),
        ("2023-03-20", None, "青石县2022年统计公报\n", 2022),
        ("2023-03-20", " ", "青石县2022年统计公报\n", 2022),
        ("2023-05-01", "青石县2022年统计公报", "", 2023),
        ("2023-03-20", "青石县2021年统计公报", "", 2023),
        ("2023-03-20", "2022年预算执行和2023年预算草案", "", 2023),
        ("2023-03-20", "2022年工作总结", "2023年工作要点\n", 2022),
        ("2023-03-20", "工作报告", "青石县2022年统计公报\n", 2023),
        (None, "青石县2022年统计公报", "", None),
    ],
)
def test_an_early_report_on_the_year_before_counts_from_its_end(published, title, text, year, scheme):
    meta = {"published": published, "title": title}
    words = ("全年", "年末", "年底", "年初", "当年")
    notation = text + "、".join(f"{{{w}|TIME}}" for w in words) + "。{今年|TIME}{3月份|TIME}。"
    found = [s.value for s in normalise(parse(notation, scheme=scheme, meta=meta), scheme).spans]
    years = [v.start.year if isinstance(v, Period) and v.start else None for v in found]
    assert years == [year] * len(words) + ([2023, 2023] if published else [None, None])


def test_values_are_made_anew(scheme):
    document = parse("{若干|AMOUNT}。", scheme=scheme)
    stale = document.replace(spans=(Span(0, 2, "AMOUNT", "若干", "s", 0.5, Amount("count", 9, 9, "家")),))
    (span,) = normalise(stale, scheme).spans
    assert (span.value, span.score) == (None, 0.5)
    (span,) = normalise(stale, LabelScheme(("AMOUNT",))).spans
    assert span.value is UNREAD


# ----------------------------------------------------------------------------------------- facts


def facts_of(notation: str, scheme: LabelScheme) -> list[tuple[str, str | None, str | None, tuple[str, ...]]]:
    """Amount, period, subject and what is inherited, of each fact."""
    document = prepare_gold(parse(notation, scheme=scheme, meta={"published": "2023-11-02"}), scheme)

    def text(name: str | None) -> str | None:
        return document.span(name).text if name else None

    return [
        (document.span(f.amount).text, text(f.period), text(f.subject), f.inherited) for f in document.facts
    ]


def tax(amount: str, name: str = "1") -> str:
    """税收 and its amount."""
    return f"{{税收|METRIC#{name}}}{{{amount}|AMOUNT>{name}:VALUE}}"


PERIODS = [
    ("{今年以来|TIME}," + tax("9亿元") + "。", "今年以来", False),
    ("{2021年|TIME}开局,{2022年|TIME}" + tax("9亿元") + ",{2023年|TIME}再战。", "2022年", False),
    ("{税收|METRIC#1}到{2025年|TIME}达{9亿元|AMOUNT>1:VALUE}。", "2025年", False),
    # points of comparison
    ("{今年|TIME}{税收|METRIC#1}比{上年|TIME}增长{9%|AMOUNT>1:CHANGE}。", "今年", False),
    ("{今年|TIME}{税收|METRIC#1}是{2005年|TIME}的{3倍|AMOUNT>1:CHANGE}。", "今年", False),
    ("{今年|TIME},与{上年末|TIME}相比,{税收|METRIC#1}增长{9%|AMOUNT>1:CHANGE}。", "今年", False),
    ("{税收|METRIC#1}较{年初|TIME}增长{9%|AMOUNT>1:CHANGE},好于{去年同期|TIME}。", None, False),
    # tied to another amount
    ("{今年|TIME}{税收|METRIC#1}由{2020年|TIME}的{3亿元|AMOUNT}增至{9亿元|AMOUNT>1:VALUE}。", "今年", False),
    ("{今年|TIME}{税收|METRIC#1}由{2020年|TIME}的{3亿元|AMOUNT>1:VALUE}增加。", "2020年", False),
    # part of a plan's name
    ("{今年|TIME}" + tax("9亿元") + ",完成{全年|TIME}任务的{80%|AMOUNT>1:COMPLETION}。", "今年", False),
    ("{今年|TIME}{税收|METRIC#1}完成{2023年|TIME}预算的{80%|AMOUNT>1:COMPLETION}。", "今年", False),
    ("{今年|TIME}开局。完成{全年|TIME}目标任务。" + tax("9亿元") + "。", "今年", True),
    ("{明年|TIME}计划新增{企业|METRIC#1}{9家|AMOUNT>1:VALUE}。", "明年", False),
    ("{2024年|TIME}预算草案\n" + tax("9亿元") + "。", "2024年", True),
    # inherited
    ("{今年|TIME}开局良好。稳中有进。" + tax("9亿元") + "。", "今年", True),
    ("{去年|TIME}收官,{今年|TIME}开局。" + tax("9亿元") + "。", "今年", True),
    ("{今年|TIME}开局。{3月16日|TIME}开会。" + tax("9亿元") + "。", "今年", True),
    ("{今年|TIME}开局。由{2020年|TIME}的{3家|AMOUNT}起步。" + tax("9亿元") + "。", "今年", True),
    ("题目\n\n{今年|TIME}开局。\n\n稳中有进。\n\n" + tax("9亿元") + "。", "今年", True),
    ("题目\n\n稳中有进。{今年|TIME}开局。\n\n" + tax("9亿元") + "。", None, False),
    ("题目\n\n{今年|TIME}开局。" + "\n\n稳中有进。" * 5 + "\n\n" + tax("9亿元") + "。", None, False),
    ("{2023年|TIME}公报" + "\n\n稳中有进。" * 9 + "\n\n" + tax("9亿元") + "。", "2023年", True),
    (tax("9亿元") + "。{今年|TIME}开局。", None, False),
]  # fmt: skip


@pytest.mark.parametrize(("notation", "period", "inherited"), PERIODS)
def test_the_period_is_the_one_a_reader_takes(notation, period, inherited, scheme):
    fact = facts_of(notation, scheme)[-1]
    assert (fact[1], fact[3]) == (period, ("period",) if inherited else ())


AREA = "{总投资|METRIC#1}{5亿元|AMOUNT>1:VALUE}"
SUBJECTS = [
    ("{青石镇|ORG}" + tax("9亿元") + "。", "青石镇", False),
    ("近日,{青石镇|ORG}召开会议,通报" + tax("9亿元") + "。", "青石镇", False),
    ("{今年前三季度|TIME},{青石镇|ORG}攻坚克难,完成" + tax("9亿元") + "。", "青石镇", False),
    ("全面动员群众,{青石镇|ORG}{税收|METRIC#1}完成{9亿元|AMOUNT>1:VALUE}。", "青石镇", False),
    ("全面动员群众力量,{县气象局|ORG}获表彰,完成" + tax("9亿元") + "。", None, False),
    ("大力支持{青石公司|ORG},完成" + tax("9亿元") + "。", None, False),
    ("{青石日报|ORG}讯,全镇" + tax("9亿元") + "。", None, False),
    ("{今年|TIME}{县统计局|ORG}发布会通报,完成" + tax("9亿元") + "。", None, False),
    # projects
    (AREA + "的{云岭物流园|PROJECT}开工。", "云岭物流园", False),
    (AREA + "的{云岭物流园|PROJECT}和{东街改造|PROJECT}开工。", None, False),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT}," + AREA + "。", "云岭物流园", False),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT}、{东街改造|PROJECT}," + AREA + "。", "青石镇", False),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT}等," + AREA + "。", "青石镇", False),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT},新增{群众|METRIC#1}{9户|AMOUNT>1:VALUE}。", "青石镇", False),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT}。" + AREA + "。", "云岭物流园", True),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT}和路边的{东街改造|PROJECT}。" + AREA + "。", "青石镇", True),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT#1},投资{5亿元|AMOUNT>1:VALUE}。", "青石镇", False),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT};" + AREA + "。", "青石镇", False),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT},{居民收入|METRIC#1}{9元|AMOUNT>1:VALUE}。", "青石镇", False),
    ("{青石镇|ORG}引进{云岭物流园|PROJECT}。{人均收入|METRIC#1}{9元|AMOUNT>1:VALUE}。", "青石镇", True),
    # in a row
    ("{柳河镇|ORG}、{青石镇|ORG}分别发展{茶园|METRIC#1}{9亩|AMOUNT>1:VALUE}和{5亩|AMOUNT>1:VALUE}。", "青石镇", False),
    ("{柳河镇|ORG}和{青石镇|ORG}{今年|TIME}{茶园|METRIC#1}分别达{9亩|AMOUNT}、{5亩|AMOUNT>1:VALUE}。", "青石镇", False),
    ("{柳河镇|ORG}、{青石镇|ORG}{茶园|METRIC#1}{9亩|AMOUNT>1:VALUE}、{5亩|AMOUNT}。", "青石镇", False),
    ("{柳河镇|ORG}、{青石镇|ORG}在行动;分别发展{茶园|METRIC#1}{9亩|AMOUNT}、{5亩|AMOUNT>1:VALUE}。", "柳河镇", False),
    ("{柳河镇|ORG}、{青石镇|ORG}、{白岩镇|ORG}分别发展{茶园|METRIC#1}{9亩|AMOUNT>1:VALUE}、{5亩|AMOUNT}。", "白岩镇", False),
    ("{青石镇|ORG}{水稻|METRIC#1}、{茶园|METRIC#2}分别{9亩|AMOUNT>1:VALUE}、{5亩|AMOUNT>2:VALUE}。", "青石镇", False),
    # inherited
    ("{青石镇|ORG}在行动。稳中有进。全镇" + tax("9亿元") + "。", "青石镇", True),
    ("{县公安局|ORG}在行动。全镇" + tax("9亿元") + "。", None, False),
    ("{青石镇|ORG}公报\n\n稳中有进。\n\n" + tax("9亿元") + "。", "青石镇", True),
    ("公报\n{县税务局|ORG}走访企业。\n稳中有进。" + tax("9亿元") + "。", "县税务局", True),
    ("公报\n{县税务局|ORG}走访企业。\n二、农业\n稳中有进。" + tax("9亿元") + "。", None, False),
    ("公报\n{县税务局|ORG}走访企业。\n（二）农业\n" + tax("9亿元") + "。", None, False),
    ("{青石镇|ORG}公报\n一、工业\n" + tax("9亿元") + "。", "青石镇", True),
]  # fmt: skip


@pytest.mark.parametrize(("notation", "subject", "inherited"), SUBJECTS)
def test_the_subject_is_the_one_a_reader_takes(notation, subject, inherited, scheme):
    fact = facts_of(notation, scheme)[-1]
    assert (fact[2], "subject" in fact[3]) == (subject, inherited)


def test_a_subject_does_not_reach_past_what_its_file_calls_a_heading(scheme):
    document = parse("公报\n{县税务局|ORG}走访企业。\n农业\n" + tax("9亿元") + "。", scheme=scheme)
    (fact,) = make_facts(document, scheme)
    assert document.span(fact.subject).text == "县税务局"
    at = document.text.index("农业")
    headed = document.replace(blocks=(Block(0, 2, 1), Block(at, at + 2, 3, kind="heading")))
    (fact,) = make_facts(headed, scheme)
    assert fact.subject is None


def test_facts_of_a_whole_paragraph(scheme):
    notation = (
        "{2023年前三季度|TIME},{青石镇|ORG}完成{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE},占年度任务的{88.6%|AMOUNT>1:COMPLETION}。"
        "{出口额|METRIC#2}增长{5%|AMOUNT>2:CHANGE}。{10月份|TIME}新增{企业|METRIC#3}{9家|AMOUNT>3:VALUE}。共有{企业|METRIC#4}{90家|AMOUNT>4:VALUE}。"
    )
    assert facts_of(notation, scheme) == [
        ("2.3亿元", "2023年前三季度", "青石镇", ()),
        ("88.6%", "2023年前三季度", "青石镇", ()),
        ("5%", "2023年前三季度", "青石镇", ("period", "subject")),
        ("9家", "10月份", "青石镇", ("subject",)),
        ("90家", "10月份", "青石镇", ("period", "subject")),
    ]


DIRECTIONS = [
    # the word nearest to the amount, and nothing of the clause before
    ("{投资|METRIC#1}下降{3.1%|AMOUNT>1:CHANGE}", "down"),
    ("{投资|METRIC#1}增长{3.1%|AMOUNT>1:CHANGE}", "up"),
    ("{工业增加值|METRIC#1}下滑{3.1%|AMOUNT>1:CHANGE}", "down"),
    ("{投资|METRIC#1}扭转了下降局面,同比增长{3.1%|AMOUNT>1:CHANGE}", "up"),
    ("{出口|METRIC#1}受进口减少拖累,微增{3.1%|AMOUNT>1:CHANGE}", "up"),
    ("{投资|METRIC#1}不降反升{3.1%|AMOUNT>1:CHANGE}", "up"),
    ("{投资|METRIC#1}负增长{3.1%|AMOUNT>1:CHANGE}", "down"),
    ("{来访|METRIC#1}比{去年|TIME}少了{9批|AMOUNT>1:CHANGE}", "down"),
    ("{结案|METRIC#1}比{去年|TIME}多办{9件|AMOUNT>1:CHANGE}", "up"),
    ("{产值|METRIC#1}翻了{一番|AMOUNT>1:CHANGE}", "up"),
    ("减少{碳排放|METRIC#1}{6万吨|AMOUNT>1:CHANGE}", "down"),
    ("{覆盖率|METRIC#1}高于全省{2个百分点|AMOUNT>1:CHANGE}", "up"),
    ("{产值|METRIC#1}增加{1,200万元|AMOUNT>1:CHANGE}", "up"),
    # a list
    ("{税收|METRIC#1}、{投资|METRIC#2}分别下降{3%|AMOUNT>1:CHANGE}和{5%|AMOUNT>2:CHANGE}", "down"),
    ("{税收|METRIC#1}、{投资|METRIC#2}一降一升,变动{-3%|AMOUNT>1:CHANGE}、{5%|AMOUNT>2:CHANGE}", None),
    # of a pace
    ("{投资|METRIC#1}{9亿元|AMOUNT>1:VALUE},增速为{5%|AMOUNT>1:CHANGE}", "up"),
    ("{投资|METRIC#1}{9亿元|AMOUNT>1:VALUE},降幅{5%|AMOUNT>1:CHANGE}", "down"),
    ("{投资|METRIC#1}增速回落{3.3个百分点|AMOUNT>1:CHANGE}", "down"),
    ("{投资|METRIC#1}降幅收窄{2.1个百分点|AMOUNT>1:CHANGE}", "down"),
    ("{增速|METRIC#1}达{5%|AMOUNT>1:CHANGE}", "up"),
    ("{降幅|METRIC#1},据初步统计,为{5%|AMOUNT>1:CHANGE}", "down"),
    # a sign
    ("{投资|METRIC#1}增速为{-3%|AMOUNT>1:CHANGE}", "down"),
    ("{投资|METRIC#1}增长-{3%|AMOUNT>1:CHANGE}", "down"),
    ("{投资|METRIC#1}增长{负3.2%|AMOUNT>1:CHANGE}", "down"),
    # none
    ("{投资|METRIC#1}是{2015年|TIME}的{2.1倍|AMOUNT>1:CHANGE}", None),
    ("{投资|METRIC#1}增长到{9亿元|AMOUNT>1:VALUE}", None),
]  # fmt: skip


@pytest.mark.parametrize(("notation", "direction"), DIRECTIONS)
def test_a_change_goes_where_its_words_say(notation, direction, scheme):
    document = prepare_gold(parse(notation + "。", scheme=scheme), scheme)
    assert document.facts[-1].direction == direction


@pytest.mark.parametrize(
    ("link", "metric", "amount", "score"),
    [
        (None, None, None, None),
        (0.9, None, None, 0.9),
        (0.9, 0.5, None, 0.45),
        (0.5, 0.5, 0.5, 0.125),
        (None, None, 0.0, 0.0),
        (0.99, 0.98765, 0.97654, 0.9548),
    ],
)
def test_the_score_is_the_product_of_those_there_are(link, metric, amount, score, scheme):
    spans = (Span(0, 2, "METRIC", "税收", "m", metric), Span(2, 4, "AMOUNT", "9家", "a", amount))
    document = Document("d", "税收9家", spans=spans, links=(Link("m", "a", "VALUE", link),))
    (fact,) = make_facts(document, scheme)
    assert fact.score == score


def test_facts_need_no_sentence_and_no_roles(scheme):
    spans = (Span(0, 1, "METRIC", " ", "m"), Span(1, 2, "AMOUNT", " ", "a"))
    document = Document("d", "  ", spans=spans, links=(Link("m", "a", "VALUE"),))
    (fact,) = make_facts(document, LabelScheme(("METRIC", "AMOUNT")))
    assert (fact.period, fact.subject) == (None, None)
    assert make_facts(document.replace(links=()), scheme) == ()
