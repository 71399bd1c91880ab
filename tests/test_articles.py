"""Articles out of files. Every text here is made up, and so are its places."""

from __future__ import annotations

import codecs
import io
import os
import zipfile
from collections.abc import Callable
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from gongbao.articles import SUFFIXES, Limits, _unreadable, find_articles, read_article, read_article_bytes
from gongbao.articles.parts import iso_day, looks_like_title, stated_day
from gongbao.schema import DataError, Document

pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
WIDTH, HEIGHT = A4

FIRST = "今年前三季度，青禾县完成地区生产总值86.4亿元，同比增长6.1%，三次产业协同发力。"
SECOND = "全县新开工项目27个，总投资41.5亿元，其中亿元以上项目9个。"
THIRD = "下一步，青禾县将继续抓好秋收秋种，确保粮食总产量稳定在3.2亿斤以上。"
BODY = (FIRST, SECOND, THIRD)


def pieces(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def lines(document: Document) -> list[str]:
    return [text for _, text in pieces(document)]


def check_blocks(document: Document) -> None:
    """Every character is in one block or in the white space between two; paragraphs count up."""
    at = 0
    for block in document.blocks:
        assert not document.text[at : block.start].strip()
        assert block.end > block.start
        at = block.end
    assert not document.text[at:].strip()
    numbers = [block.paragraph for block in document.blocks]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    assert numbers == sorted(numbers)


def html(page: str, name: str = "a.html") -> Document:
    return read_article_bytes(page.encode(), name)


# ------------------------------------------------------------------------------------------ plain text

TEXT = "青禾县工作报告\n\n　　一、经济平稳增长，GDP 达到86.4亿元。\n　　二、民生持续改善𠮷。\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (codecs.BOM_UTF8 + TEXT.encode(), "utf-8"),
        (TEXT.encode("gb18030"), "gb18030"),
        (b"\x84\x31\x95\x33" + TEXT.encode("gb18030"), "gb18030"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "utf-16-le"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16-be"),
        (TEXT.replace("\n", "\r\n").encode(), "utf-8"),
        (TEXT.replace("\n", "\r").encode("gb18030"), "gb18030"),
    ],
)
def test_text_in_every_encoding_is_kept_to_the_character(data: bytes, encoding: str) -> None:
    document = read_article_bytes(data, "报告.txt")
    assert document.text == TEXT
    assert document.meta == {
        "title": "青禾县工作报告", "source": "报告.txt", "format": "txt", "encoding": encoding,
    }  # fmt: skip
    assert lines(document) == [line for line in TEXT.split("\n") if line]
    assert document.block_at(TEXT.index("二")).paragraph == 3
    check_blocks(document)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t　"), max_size=200))
@example("联通")
def test_any_text_comes_back_from_utf8(text: str) -> None:
    data = codecs.BOM_UTF8 + text.encode()
    try:
        document = read_article_bytes(data, "a.txt")
    except DataError:
        assert not text.strip() or "<" in text
    else:
        assert document.text == text
        check_blocks(document)


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=5, max_size=80))
def test_chinese_comes_back_from_gb18030(text: str) -> None:
    # Behind a sentence: two or three characters alone may be valid UTF-8 (联通 is).
    assert read_article_bytes((SECOND + text).encode("gb18030"), "a.txt").text == SECOND + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (FIRST.encode()[:-1], "ends at byte"),
        (FIRST.encode()[:30] + b"\xff" + FIRST.encode()[30:], "at byte 30 the text is not utf-8"),
        (FIRST.encode("gb18030")[:20] + b"\xff\xff" + b"abc", "at byte 20 the text is not utf-8 or gb18030"),
        (codecs.BOM_UTF16_LE + "公报".encode("utf-16-le") + b"\x4e", "ends at byte 6 inside"),
        (b"\x01\x02\x03\x04 binary \x05\x06", "binary data"),
        (b"\xff\xfe\x00\x00a\x00\x00\x00", "binary data"),
        (b"abc\0def", "binary data"),
        (b"\xc8\xc8\x00\xff\xff\xff", "binary data"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_place(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_article_bytes(data, "town/a.txt")
    assert str(caught.value).startswith("town/a.txt: ")


@pytest.mark.parametrize(
    ("line", "day"),
    [
        ("发布时间：2023-11-02", "2023-11-02"),
        ("发布日期: 2023年11月2日 来源：县政府办", "2023-11-02"),
        ("2023年11月02日", "2023-11-02"),
        ("（2024年1月15日）", "2024-01-15"),
        ("2023/11/02 08:30", "2023-11-02"),
        ("来源：青禾日报 2023-11-02", "2023-11-02"),
        ("2023-11-02 08:15 来源：青禾融媒", "2023-11-02"),
        ("青禾日报 2023年11月02日 星期四 第03版", "2023-11-02"),
        ("2023年11月2日10:21青禾网", "2023-11-02"),
        ("2024年1月15日在县第十五届人民代表大会上", None),
        ("截至2023年11月2日，全县完成投资3亿元。", None),
        ("发布时间：2023-13-02", None),
        ("2023年", None),
        ("发布日期 [2023-03-20]", "2023-03-20"),
        ("青禾县统计局 2023年3月20日", "2023-03-20"),
        ("青禾县统计局2023年3月20日", "2023-03-20"),
        ("青禾县统计局 国家统计局青禾调查队 （2023年3月20日）", "2023-03-20"),
        ("青禾县人民政府办公室 二〇二三年三月二十日", "2023-03-20"),
        ("二○二三年十月三十一日", "2023-10-31"),
        ("二O二三年十二月十日", "2023-12-10"),
        ("青禾县人民政府办公室 2023年3月20日印发", "2023-03-20"),
        ("青禾日报 记者 张三 2023-03-20", "2023-03-20"),
        ("2023-03-20 青禾网 字号：大 中 小", "2023-03-20"),
        ("发布单位：青禾县统计局 | 2023-03-20", "2023-03-20"),
        ("——2024年1月18日在青禾县第十六届人民代表大会第三次会议上", None),
        ("青禾县第十六届人民代表大会 2024年1月18日", None),
        ("县政府党组会议 2024年1月18日", None),
        ("县长 张三 2024年1月18日", None),
        ("2024年1月18日在县政府", None),
        ("2024年1月18日走访青禾县统计局", None),
        ("截至2024年1月18日 青禾县统计局", None),
        ("时间：2024年1月18日 地点：县政府", None),
        ("主持：县政府 2024年1月18日", None),
        ("2024年1月18日至20日 青禾县统计局", None),
        ("2024年13月18日 青禾县统计局", None),
        ("青禾县经济技术开发区管委会青禾县工业园区综合服务中心青禾县统计局 2024年1月18日", None),
    ],
)
def test_day_of_publication(line: str, day: str | None) -> None:
    assert stated_day(["青禾县工作报告", line]) == day
    assert (
        read_article_bytes(f"青禾县工作报告\n{line}\n{FIRST}".encode(), "a.txt").meta.get("published") == day
    )


def test_day_below_the_top_of_a_text_is_not_its_publication() -> None:
    document = read_article_bytes(
        "\n".join([FIRST] * 20 + ["2023年11月02日"] + [FIRST] * 3).encode(), "a.txt"
    )
    assert "published" not in document.meta
    assert "title" not in document.meta


@pytest.mark.parametrize(
    ("last", "day"),
    [
        (["青禾县统计局", "2023年3月20日"], "2023-03-20"),
        (["青禾县统计局 二〇二三年三月二十日"], "2023-03-20"),
        (["2023年3月20日", "（此件公开发布）", "抄送：县委办"], "2023-03-20"),
        (["来源：青禾日报 2023-03-20"], "2023-03-20"),
        (["2023年3月20日", "青禾县人民政府办公室 2023年3月22日印发"], "2023-03-22"),
        (["2023年3月20日", "青禾县统计局 2023年3月22日"], None),
        (["报名截止2023年3月20日 9:00"], None),
        (["2023年3月20日", FIRST, FIRST, FIRST], None),
    ],
)
def test_day_that_closes_a_document(last: list[str], day: str | None) -> None:
    text = "\n\n".join(["青禾县统计公报", *[FIRST] * 15, *last])
    assert read_article_bytes(text.encode(), "a.txt").meta.get("published") == day


@pytest.mark.parametrize(
    ("top", "bottom", "day"),
    [
        (["成文日期：2023-03-18", "发布日期：2023-03-20", "2023年3月19日"], ["2023年3月17日"], "2023-03-20"),
        (["（2023年3月18日）", "2023-03-20 08:15 来源：青禾融媒"], [], "2023-03-20"),
        (["青禾县统计局 2023年3月20日"], ["2023年3月18日"], "2023-03-20"),
        (["（2023年3月18日）"], ["发布时间：2023年3月20日"], "2023-03-20"),
        (["青禾县统计局 2023年3月20日", "（2023年3月20日）"], [], "2023-03-20"),
        (["青禾县统计局 2023年3月20日", "（2023年3月18日）"], ["2023年3月20日"], None),
        (["发布时间：2023-13-20", "2023-03-20"], [], "2023-03-20"),
    ],
)
def test_surest_day_counts_and_two_of_a_kind_are_none(
    top: list[str], bottom: list[str], day: str | None
) -> None:
    assert stated_day(top, bottom) == day


def test_day_that_closes_a_page_a_word_document_and_a_pdf() -> None:
    texts = ["青禾县统计公报", *(f"{n}、{FIRST}" for n in range(15)), "青禾县统计局", "2023年3月20日"]
    sheet = Sheet()
    for text in texts:
        sheet.paragraph(text)
    files = {
        "a.html": f"<html><body><div>{paragraphs(tuple(texts))}</div></body></html>".encode(),
        "a.docx": word(*(f"<w:p>{run(text)}</w:p>" for text in texts), parts=STYLED_AND_NOTED),
        "a.pdf": sheet.bytes(),
    }
    for name, data in files.items():
        assert read_article_bytes(data, name).meta.get("published") == "2023-03-20", name


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("20231102", "2023-11-02"),
        ("2023-11-02T23:30:00+08:00", "2023-11-02"),
        ("20231302", None),
        ("soon", None),
    ],
)
def test_days_in_metadata(value: str, day: str | None) -> None:
    assert iso_day(value) == day


@pytest.mark.parametrize(
    ("line", "title"), [("政府工作报告", True), ("各位代表：", False), ("啊", False), (FIRST, False)]
)
def test_what_looks_like_a_title(line: str, title: bool) -> None:
    assert looks_like_title(line) is title


# --------------------------------------------------------------------------------------------- web pages


def paragraphs(texts: tuple[str, ...] = BODY, tag: str = "p") -> str:
    return "".join(f"<{tag}>　　{text}</{tag}>\n" for text in texts)


MENU = (
    '<div class="nav"><ul><li><a href="/">首页菜单</a></li><li><a href="/1">政务公开栏目</a></li>'
    '<li><a href="/2">办事服务栏目</a></li></ul></div>'
)
FOOT = '<div class="footer"><p>主办单位：青禾县人民政府办公室</p><p>备案号：00000号</p></div>'
SHARE = '<div class="share">分享到：<a href="#">微信</a><a href="#">微博</a></div>'
RELATED = (
    '<div><h3>相关链接</h3><ul><li><a href="1">青禾县召开秋粮收购工作会议</a></li>'
    '<li><a href="2">青禾县举办农民丰收节活动</a></li></ul></div>'
)
FURNITURE = (
    "首页菜单",
    "政务公开",
    "办事服务",
    "主办单位",
    "备案号",
    "分享到",
    "微博",
    "秋粮收购",
    "丰收节",
    "相关链接",
)

# Page, title, day, and the pieces of its article: all of them and no others.
PAGES: dict[str, tuple[str, str | None, str | None, list[tuple[str, str]]]] = {
    "central government": (
        f"""<!DOCTYPE html><html><head><meta charset="utf-8"><title>前三季度经济平稳_要闻_青禾县政府网</title>
        <meta name="firstpublishedtime" content="2023-11-02-08:15:00"><script>var a = "脚本，内容。";</script></head>
        <body>{MENU}<div class="BreadcrumbNav">首页 &gt; <a href="#">要闻</a></div><div class="article">
        <h1>前三季度经济平稳</h1><div class="pages-date">2023-11-02 08:15<span> 来源： 青禾融媒</span><span>字体：<a>大</a>
        <a>小</a></span></div><div class="pages_content" id="UCAP-CONTENT">{paragraphs((FIRST,))}
        <p style="text-align:center"><img src="a.jpg"></p><p style="text-align:center">图为合作社社员晾晒稻谷。</p>
        {paragraphs((SECOND, THIRD))}<p style="text-align:right">（责任编辑：林小满）</p></div>{SHARE}{RELATED}</div>{FOOT}""",
        "前三季度经济平稳", "2023-11-02",
        [("heading", "前三季度经济平稳"), ("paragraph", FIRST), ("paragraph", "图为合作社社员晾晒稻谷。"),
         ("paragraph", SECOND), ("paragraph", THIRD), ("paragraph", "（责任编辑：林小满）")],
    ),
    "county, laid out in tables": (
        f"""<html><head><title>青禾县统计公报</title><meta name="PubDate" content="2024-03-18 09:00"></head><body>
        <table width="1000"><tr><td colspan=2>{MENU}</td></tr><tr><td width="200"><ul><li><a href=1>人事任免两则</a></li>
        </ul></td><td><table><tr><td align="center"><b>青禾县2023年统计公报</b></td></tr><tr><td>信息来源：县统计局</td></tr>
        <tr><td><div class="TRS_Editor"><div>{paragraphs()}<p align="center">表1 主要产品产量</p>
        <table border="1"><caption>产量</caption><tbody><tr><td rowspan="2"><p>产品</p></td><td><p>产<b>量</b>（万吨）</p></td></tr>
        <tr><td>全年<br>累计</td></tr><tr><td>水泥</td><td>1<b>20</b>.5</td></tr><tr><td>&nbsp;</td><td></td></tr></tbody></table>
        <p>注：表中数据均为初步统计数。</p></div></div></td></tr></table></td></tr><tr><td colspan=2>{FOOT}</td></tr></table>""",
        "青禾县2023年统计公报", "2024-03-18",
        [("heading", "青禾县2023年统计公报"), *(("paragraph", text) for text in BODY),
         ("paragraph", "表1 主要产品产量"), ("caption", "产量"),
         ("table", "产品\t产量（万吨）\n全年 累计\n水泥\t120.5"), ("paragraph", "注：表中数据均为初步统计数。")],
    ),
    "line breaks": (
        f"""<html><head><title>云栖镇半年工作总结-青禾县人民政府</title></head><body><div id="top">{MENU}</div>
        <div class="main"><a name="top"><div class="tit">云栖镇半年工作总结</div><div>时间：2023年07月15日　来源：云栖镇</div>
        <div id="zoom">{"<br><br>".join(BODY)}<br><b>一、</b>工业<font color=red>经</font>济稳&nbsp;步回<span>升</span>。
        <br>规上工业增加值增长7.&#8203;5%，全县一盘
        棋。</div><div>上一篇：<a href=1>防汛演练</a> 下一篇：没有了</div></div><div>今天是2024年1月1日</div>{FOOT}""",
        "云栖镇半年工作总结", "2023-07-15",
        [("heading", "云栖镇半年工作总结"), *(("paragraph", text) for text in BODY),
         ("paragraph", "一、工业经济稳 步回升。"), ("paragraph", "规上工业增加值增长7.5%，全县一盘棋。")],
    ),
    "newspaper": (
        f"""<html><head><meta charset="utf-8"><title>青禾日报数字报-桥头村的新产业</title></head><body>
        <!--<founder-date>2023-09-28</founder-date>--><table><tr><td><map name="m"><area coords="1,2" href="c1.htm"></map>
        <div><a href="1">第01版：要闻</a><a href="2">第02版：综合</a></div><ul><li><a href="c1">桥头村的新产业</a></li>
        <li><a href="c2">城南老街换新颜</a></li></ul></td><td><table><tr><td><strong>桥头村的新产业</strong></td></tr>
        <tr><td>——云栖镇发展食用菌纪实</td></tr><tr><td>青禾日报 2023年09月28日 星期四</td></tr><tr><td><table><tr><td>
        <img src="p.jpg"></td></tr><tr><td align=center>村民在大棚里采摘香菇。 周禾 摄</td></tr></table></td></tr>
        <tr><td><div id="ozoom"><founder-content>{paragraphs()}</founder-content></div></td></tr></table></td></tr></table>
        <div>放大 缩小 默认</div>{FOOT}""",
        "桥头村的新产业", "2023-09-28",
        [("heading", "桥头村的新产业"), ("heading", "——云栖镇发展食用菌纪实"),
         ("caption", "村民在大棚里采摘香菇。 周禾 摄"), *(("paragraph", text) for text in BODY)],
    ),
    "WeChat": (
        f"""<html><head><meta charset="utf-8"><meta property="og:title" content="青禾三季报来了"></head><body>
        <h1 id="activity-name"> 青禾三季报来了 </h1><div><span>原创</span><a id="js_name">青禾发布</a></div>
        <div class="rich_media_content" id="js_content" style="visibility: hidden"><section><section><p><span>{FIRST[:8]}</span>
        <span>{FIRST[8:12]}<strong>{FIRST[12:20]}</strong></span><strong>{FIRST[20:]}</strong></p></section></section>
        <section style="text-align:center"><span>数据来源：青禾县统计局</span></section><section><p>{SECOND}</p></section>
        <p><br></p><p>往期推荐</p><p><a href=1>石门镇春耕忙</a></p><p><a href=2>石门镇茶叶上市</a></p></div>
        <div class="qr_code"><p>微信扫一扫关注，精彩不错过。</p></div><script>var ct = "1698314400";</script>""",
        "青禾三季报来了", "2023-10-26",
        [("heading", "青禾三季报来了"), ("paragraph", "".join((FIRST[:8], FIRST[8:]))),
         ("paragraph", "数据来源：青禾县统计局"), ("paragraph", SECOND)],
    ),
    "modern": (
        f"""<html lang="zh"><head><script type="application/ld+json">{{"datePublished": "2023-05-06T23:30:00+08:00"}}</script>
        <title>石桥街道补短板 | 青禾网</title></head><body><header><nav><a href="/">首页菜单</a></nav></header><main><article>
        <h1>石桥街道补短板</h1>{paragraphs((FIRST,))}<h2>一、改造老旧小区</h2>{paragraphs((SECOND,))}
        <figure><img src=x><figcaption>改造后的向阳小区。</figcaption></figure><ul><li>新增车位320个；</li><li>加装电梯14部。</li>
        </ul><blockquote><p>居民们都说，日子越过越舒心。</p></blockquote><p hidden>隐藏的话。</p>{paragraphs((THIRD,))}</article>
        <aside><h3>热门文章</h3><p><a href=1>石桥街道举办运动会</a></p></aside></main><footer>主办单位：青禾网</footer>""",
        "石桥街道补短板", "2023-05-06",
        [("heading", "石桥街道补短板"), ("paragraph", FIRST), ("heading", "一、改造老旧小区"), ("paragraph", SECOND),
         ("caption", "改造后的向阳小区。"), ("paragraph", "新增车位320个；"), ("paragraph", "加装电梯14部。"),
         ("paragraph", "居民们都说，日子越过越舒心。"), ("paragraph", THIRD)],
    ),
    "no names at all": (
        f"""<html><head><title>马坡乡政府网站</title></head><body><table><tr><td><a href=1>首页菜单</a> | <a href=2>政务公开</a></td>
        </tr></table><table><tr><td><b>马坡乡半年再上新台阶</b></td></tr><tr><td>作者：李稻　发布时间：2023-7-9</td></tr>
        <tr><td><font size=3>&nbsp;&nbsp;{"<br>&nbsp;&nbsp;".join(BODY)}</font></td></tr><tr><td>【<a href=3>关闭窗口</a>】</td></tr>
        </table><table><tr><td>版权所有：马坡乡政府<br>地址：建设路8号</td></tr></table>""",
        "马坡乡半年再上新台阶", "2023-07-09",
        [("heading", "马坡乡半年再上新台阶"), *(("paragraph", text) for text in BODY)],
    ),
    "teasers beside": (
        f"""<html><head><title>石门镇农业</title></head><body><form><div><div>石门镇农业</div><div>{paragraphs(BODY * 3)}</div></div>
        <div><div><a href=1>社保新规发布</a><p>社保缴费基数有变化，请及时核对，详情请看下文。<a href=1>详细</a></p></div>
        <div><a href=2>广场舞大赛</a><p>广场舞大赛下周开幕，三十支队伍参加，欢迎观看。<a href=2>详细</a></p></div></div></form>""",
        "石门镇农业", None,
        [("heading", "石门镇农业"), *(("paragraph", text) for text in BODY * 3)],
    ),
    "a body in two parts, a lead above it, comments and a slogan": (
        f"""<html><head><title>石门镇农业</title></head><body><div>您好，欢迎访问本站！</div><div class="a"><div>{SECOND}</div>
        <div class="TRS_Editor">{paragraphs((FIRST,) * 3)}</div><p>（续）</p><div class="TRS_Editor">{paragraphs((THIRD,))}</div></div>
        <div class="comment-list"><p>柑橘真甜，今年还要买。</p></div><div>免责声明：本文仅代表作者观点，与本站无关。</div>""",
        "石门镇农业", None,
        [("paragraph", SECOND), *(("paragraph", text) for text in (FIRST,) * 3), ("paragraph", "（续）"), ("paragraph", THIRD)],
    ),
    "every paragraph in the one before": (
        f"<html><body>{MENU}<div>{''.join(f'<div><p>{text}</p>' for text in BODY * 20)}",
        None, None,
        [("paragraph", text) for text in BODY * 20],
    ),
    "headline twice": (
        f"<title>石门镇农业</title><div class=t>石门镇农业</div><div id=zoom><h1>石门镇农业</h1>{paragraphs()}</div>",
        "石门镇农业", None,
        [("heading", "石门镇农业"), *(("paragraph", text) for text in BODY)],
    ),
    "preformatted": (
        f"<html><body><div class=menu><a href=1>首页菜单</a></div><pre>\n　　{FIRST}\n\n　　{SECOND}\n</pre>",
        None, None,
        [("paragraph", FIRST), ("paragraph", SECOND)],
    ),
    "a table beside two cells of menus": (
        f"""<table><tr><td><a href=1>首页</a></td><td>{paragraphs()}</td></tr><tr><td>左下</td><td>右下</td></tr></table>""",
        None, None,
        [("paragraph", text) for text in BODY],
    ),
    "day below the headline": (
        f"""<div class="article"><h1>县长作报告</h1><p>（2024年1月15日）</p><p>来源：县政府办</p>{paragraphs()}</div>""",
        "县长作报告", "2024-01-15",
        [("heading", "县长作报告"), ("paragraph", "（2024年1月15日）"), *(("paragraph", text) for text in BODY)],
    ),
    "print area that is the page, open tags": (
        f"""<title>石门镇农业</title><div class="print"><p>{FIRST}{"<font>" * 400}<p>{SECOND}<p>放大改革效应，壮大集体经济。""",
        "石门镇农业", None,
        [("paragraph", FIRST), ("paragraph", SECOND), ("paragraph", "放大改革效应，壮大集体经济。")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_page_gives_its_article_and_nothing_else(name: str) -> None:
    page, title, day, expected = PAGES[name]
    document = html(page)
    found = [(kind, "".join(text.split()) if name == "WeChat" else text) for kind, text in pieces(document)]
    assert found == expected
    assert document.meta.get("title") == title
    assert document.meta.get("published") == day
    assert not [words for words in FURNITURE if words in document.text]
    check_blocks(document)


PAGE = f"<html><head><title>公报</title></head><body>{MENU}<div>{paragraphs()}</div></body></html>"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (PAGE.encode("gb18030"), "gb18030"),
        (PAGE.replace("<head>", "<head><meta charset=gb2312>").encode("gb18030"), "gb18030"),
        (PAGE.replace("<head>", "<head><meta charset=gb2312>").encode(), "utf-8"),
        (PAGE.replace("<head>", '<head><meta charset="utf-8">').encode("gb18030"), "gb18030"),
        (codecs.BOM_UTF8 + PAGE.encode(), "utf-8"),
        (codecs.BOM_UTF16_LE + PAGE.encode("utf-16-le"), "utf-16-le"),
        (b'<?xml version="1.0" encoding="gbk"?>' + PAGE.encode(), "utf-8"),
    ],
)
def test_page_in_every_encoding_whatever_it_declares(data: bytes, encoding: str) -> None:
    document = read_article_bytes(data, "a.htm")
    assert lines(document) == list(BODY)
    assert document.meta["encoding"] == encoding


def test_page_in_big5_needs_its_declaration() -> None:
    text = "今年前三季度，全縣完成生產總值八十六億元，增長百分之六。"
    page = f"<meta charset=big5><body><p>{text}</p><p>{text}</p></body>"
    assert lines(read_article_bytes(page.encode("big5"), "a.html")) == [text, text]


def test_page_with_a_description_cut_inside_a_character() -> None:
    cut = b'<meta name="description" content="' + "青禾县".encode("gb18030")[:-1] + b'">'
    page = PAGE.encode("gb18030")
    assert lines(read_article_bytes(cut + page, "a.html")) == list(BODY)
    with pytest.raises(DataError, match="the article holds bytes that are not gb18030"):
        read_article_bytes(page.replace("秋收".encode("gb18030"), b"\xff\xff"), "a.html")
    with pytest.raises(DataError, match="at byte"):
        read_article_bytes(b"<html>" + b"\xff\xff " * 100 + page, "a.html")


def test_page_saved_with_its_pictures() -> None:
    message = MIMEMultipart("related")
    message["Subject"] = "saved"
    message.attach(MIMEText(PAGE, "html", "gb2312"))
    data = message.as_bytes()
    for name in ("a.mhtml", "a.mht", "a.doc"):
        assert lines(read_article_bytes(data, name)) == list(BODY)
    with pytest.raises(DataError, match="no saved web page"):
        read_article_bytes(b"plain words", "a.mhtml")


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (f"<html><body>{MENU}{RELATED}{FOOT}</body></html>", "no article, only links"),
        ("<html><body></body></html>", "no article"),
        ("<!-- <html> -->", "the page is empty"),
        ("<html><script>document.write('公报，公报。')</script></html>", "no article"),
        ("<html>" + "<div>" * 5000 + FIRST, "Excessive depth"),
    ],
)
def test_page_without_an_article_is_refused(page: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        html(page)


def test_page_does_not_expand_entities() -> None:
    bomb = "<!DOCTYPE html [<!ENTITY a '大'><!ENTITY b '&a;&a;&a;'>]>"
    assert "大大" not in html(f"{bomb}<html><body><p>{FIRST}&b;</p><p>{SECOND}</p></body></html>").text


# --------------------------------------------------------------------------------------------------- docx

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def word(*xml: str, parts: dict[str, str] | None = None) -> bytes:
    """A Word document with paragraphs given as XML, and some parts of the archive replaced or added."""
    document = docx.Document()
    for piece in xml:
        document.element.body.insert(-1, parse_xml(piece.replace("<w:p>", f"<w:p {W}>", 1)))
    return repacked(saved(document), parts or {})


def repacked(data: bytes, parts: dict[str, str | None]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in parts:
                new.writestr(name, old.read(name))
        for name, text in parts.items():
            if text is not None:
                new.writestr(name, text)
    return buffer.getvalue()


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


SHOWN = '<w:vanish w:val="0"/>'


def test_word_document_in_its_order() -> None:
    document = docx.Document()
    document.add_heading("青禾县2023年公报", 0)
    document.add_paragraph("发布日期：2024年3月18日")
    document.add_heading("一、综合", 1)
    document.add_paragraph(FIRST)
    table = document.add_table(3, 3)
    for i, row in enumerate(table.rows):
        for j, cell in enumerate(row.cells):
            cell.text = f"{i}{j}"
    table.cell(0, 1).merge(table.cell(0, 2)).text = "合计"
    table.cell(1, 0).merge(table.cell(2, 0)).text = "粮食"
    document.add_paragraph("新增车位\u200b320个；", style="List Bullet")
    document.add_table(1, 1).cell(0, 0).text = f"{SECOND}\n注：初步数。"
    document.sections[0].header.paragraphs[0].text = "页眉"
    found = read_article_bytes(saved(document), "县/a.docx")
    assert pieces(found) == [
        ("heading", "青禾县2023年公报"), ("paragraph", "发布日期：2024年3月18日"), ("heading", "一、综合"),
        ("paragraph", FIRST), ("table", "00\t合计\n粮食\t11\t12\n21\t22"), ("paragraph", "新增车位320个；"),
        ("paragraph", SECOND), ("paragraph", "注：初步数。"),
    ]  # fmt: skip
    assert found.id == "县/a.docx"
    assert found.meta == {
        "title": "青禾县2023年公报", "published": "2024-03-18", "source": "a.docx", "format": "docx",
    }  # fmt: skip
    check_blocks(found)


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            f"<w:p>{run('财政')}<w:ins>{run('收入')}</w:ins><w:del><w:r><w:delText>支出</w:delText></w:r></w:del></w:p>",
            ["财政收入"],
        ),
        (f"<w:p><w:moveFrom>{run('前')}</w:moveFrom><w:moveTo>{run('后')}</w:moveTo></w:p>", ["后"]),
        (f"<w:p><w:hyperlink>{run('网站')}</w:hyperlink>{run('载')}</w:p>", ["网站载"]),
        (
            f"<w:p>{run('看得见')}{run('看不见', '<w:vanish/>')}{run('仍见', SHOWN)}</w:p>",
            ["看得见仍见"],
        ),
        (
            "<w:p><w:r><w:t>甲</w:t><w:tab/><w:t>乙</w:t><w:br/><w:t>丙</w:t><w:noBreakHyphen/></w:r></w:p>",
            ["甲\t乙", "丙-"],
        ),
        (
            "<w:p><w:r><w:fldChar w:fldCharType='begin'/><w:instrText>DATE</w:instrText></w:r>"
            + run("2023年")
            + "</w:p>",
            ["2023年"],
        ),
        (
            "<w:p><w:r><w:ruby><w:rt><w:r><w:t>hé</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>禾</w:t></w:r></w:rubyBase></w:ruby></w:r></w:p>",
            ["禾"],
        ),
        (
            "<w:p><w:r><mc:AlternateContent xmlns:mc='m'><mc:Choice><w:txbxContent><w:p>"
            + run("框中")
            + "</w:p></w:txbxContent>"
            "</mc:Choice><mc:Fallback><w:txbxContent><w:p>"
            + run("框中")
            + "</w:p></w:txbxContent></mc:Fallback>"
            "</mc:AlternateContent></w:r>" + run("框外") + "</w:p>",
            ["框外", "框中"],
        ),
        ("<w:p><w:pPr><w:pStyle w:val='TOC1'/></w:pPr>" + run("一、综合 3") + "</w:p>", ["一、综合 3"]),
    ],
)
def test_what_word_keeps_inside_a_paragraph(xml: str, expected: list[str]) -> None:
    assert lines(read_article_bytes(word(xml), "a.docx")) == expected


def test_word_paragraph_whose_end_was_deleted_goes_on() -> None:
    first = f"<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr>{run('前三季度')}</w:p>"
    assert lines(read_article_bytes(word(first, f"<w:p>{run('财政收入')}</w:p>"), "a.docx")) == [
        "前三季度财政收入"
    ]


def test_word_paragraph_whose_end_was_deleted_goes_no_further_than_its_cell_or_text() -> None:
    first = f"<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr>{run('前三季度')}</w:p>"
    cell = f"<w:tbl {W}><w:tr><w:tc>{first}</w:tc></w:tr></w:tbl>"
    last = first.replace("<w:p>", f"<w:p {W}>")
    assert lines(read_article_bytes(word(cell, f"<w:p>{run('财政收入')}</w:p>", last), "a.docx")) == [
        "前三季度",
        "财政收入",
        "前三季度",
    ]


def test_word_tables_in_tables_in_tables_are_read_once_each() -> None:
    xml = f"<w:p>{run('前三季度')}</w:p>"
    for _ in range(50):
        xml = f"<w:tbl {W}><w:tr><w:tc>{xml}</w:tc></w:tr></w:tbl>"
    assert lines(read_article_bytes(word(xml), "a.docx")) == ["前三季度"]


def test_word_table_with_tracked_rows_and_content_controls() -> None:
    def row(text: str, properties: str = "") -> str:
        cells = "".join(f"<w:tc><w:p>{run(text + side)}</w:p></w:tc>" for side in "左右")
        return f"<w:tr>{properties}{cells}</w:tr>"

    xml = (
        f"<w:tbl {W}>{row('一')}<w:sdt><w:sdtContent>{row('二')}</w:sdtContent></w:sdt>"
        f"{row('三', '<w:trPr><w:del/></w:trPr>')}</w:tbl>"
    )
    assert pieces(read_article_bytes(word(xml), "a.docx")) == [("table", "一左\t一右\n二左\t二右")]


RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STYLES = f"""<w:styles {W}>
<w:style w:styleId="a"><w:name w:val="公文标题"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
<w:style w:styleId="b"><w:name w:val="子标题"/><w:basedOn w:val="a"/></w:style>
<w:style w:styleId="c"><w:name w:val="loop"/><w:basedOn w:val="c"/></w:style>
<w:style w:styleId="d"><w:name w:val="toc 1"/></w:style></w:styles>"""
NOTES = f"""<w:footnotes {W}><w:footnote w:type="separator"><w:p>{run("线")}</w:p></w:footnote>
<w:footnote><w:p><w:r><w:footnoteRef/></w:r>{run("按可比价计算。")}</w:p></w:footnote></w:footnotes>"""

STYLED_AND_NOTED = {
    "word/styles.xml": STYLES,
    "word/footnotes.xml": NOTES,
    "word/_rels/document.xml.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="1" Type="{RELS}/styles" Target="styles.xml"/>'
        f'<Relationship Id="2" Type="{RELS}/footnotes" Target="/word/footnotes.xml"/>'
        f'<Relationship Id="3" Type="{RELS}/image" Target="../NULL"/></Relationships>'
    ),
}


def styled(style: str, text: str, more: str = "") -> str:
    return f"<w:p><w:pPr><w:pStyle w:val='{style}'/>{more}</w:pPr>{run(text)}</w:p>"


def test_word_headings_by_outline_and_notes_last() -> None:
    data = word(
        styled("d", "一、综合 1"), styled("a", "一、综合"), styled("c", FIRST), styled("b", "（一）工业"),
        styled("b", SECOND, "<w:outlineLvl w:val='9'/>"),
        parts=STYLED_AND_NOTED,
    )  # fmt: skip
    document = read_article_bytes(data, "a.docx")
    assert pieces(document) == [
        ("heading", "一、综合"), ("paragraph", FIRST), ("heading", "（一）工业"), ("paragraph", SECOND),
        ("note", "按可比价计算。"),
    ]  # fmt: skip
    assert document.meta["title"] == "一、综合"


@pytest.mark.parametrize(
    ("core", "texts", "title"),
    [
        ("青禾县公报", ["发布：", "青禾县公报", FIRST], "青禾县公报"),
        ("旧模板", ["青禾县公报", FIRST], "青禾县公报"),
        ("青禾县公报", [FIRST, SECOND], "青禾县公报"),
        ("", [FIRST, SECOND], None),
    ],
)
def test_word_title_is_what_the_document_shows(core: str, texts: list[str], title: str | None) -> None:
    document = docx.Document()
    document.core_properties.title = core
    for text in texts:
        document.add_paragraph(text)
    assert read_article_bytes(saved(document), "a.docx").meta.get("title") == title


def test_word_document_without_the_parts_it_may_do_without() -> None:
    data = repacked(
        word(f"<w:p>{run(FIRST)}</w:p>"),
        {"_rels/.rels": None, "word/_rels/document.xml.rels": None, "docProps/core.xml": None},
    )
    assert lines(read_article_bytes(data, "a.docx")) == [FIRST]


def test_word_document_in_the_strict_namespace() -> None:
    strict = "http://purl.oclc.org/ooxml/wordprocessingml/main"
    xml = f'<d:document xmlns:d="{strict}"><d:body><d:p><d:r><d:t>{FIRST}</d:t></d:r></d:p></d:body></d:document>'
    assert lines(read_article_bytes(word(parts={"word/document.xml": xml}), "a.docx")) == [FIRST]


# -------------------------------------------------------------------------------------------------- pdf


def wrapped(text: str, width: float, size: float, indent: float = 2) -> list[str]:
    """Lines as a Chinese typesetter breaks them: at any character, but none begins with a stop."""
    out, line, used = [], "", indent * size
    for char in text:
        wide = pdfmetrics.stringWidth(char, "STSong-Light", size)
        if used + wide > width and char not in "，。；、：）":
            out.append(line)
            line, used = "", 0.0
        line, used = line + char, used + wide
    return [*out, line]


class Sheet:
    """A PDF in the making."""

    def __init__(self, **options: Any) -> None:
        self.buffer = io.BytesIO()
        self.canvas = Canvas(self.buffer, pagesize=A4, invariant=True, **options)
        self.y = HEIGHT - 90

    def at(self, x: float, y: float, text: str, size: float = 12) -> None:
        self.canvas.setFont("STSong-Light", size)
        self.canvas.drawString(x, y, text)

    def paragraph(
        self, text: str, x: float = 72, width: float = WIDTH - 144, size: float = 12, indent: float = 2
    ) -> None:
        for n, line in enumerate(wrapped(text, width, size, indent)):
            self.at(x + (indent * size if n == 0 else 0), self.y, line, size)
            self.y -= 1.6 * size

    def turn_over(self) -> None:
        self.canvas.showPage()
        self.y = HEIGHT - 90

    def bytes(self) -> bytes:
        self.canvas.save()
        return self.buffer.getvalue()


LONG = "".join(BODY)


def test_pdf_lines_are_joined_to_paragraphs() -> None:
    sheet = Sheet()
    sheet.at(200, sheet.y, "青禾县经济运行报告", 20)
    sheet.y -= 40
    sheet.at(250, sheet.y, "2023年11月02日")
    sheet.y -= 30
    texts = [f"一、{LONG}", f"{FIRST}（二）{THIRD}", f"三是总投资41.5亿元。{LONG}"]
    for text in texts:
        sheet.paragraph(text)
    document = read_article_bytes(sheet.bytes(), "a.pdf")
    assert pieces(document) == [
        ("heading", "青禾县经济运行报告"), ("paragraph", "2023年11月02日"), *(("paragraph", text) for text in texts),
    ]  # fmt: skip
    assert document.meta == {
        "title": "青禾县经济运行报告", "published": "2023-11-02", "source": "a.pdf", "format": "pdf",
    }  # fmt: skip
    check_blocks(document)


def test_pdf_pages_lose_their_heads_and_numbers_and_keep_their_paragraphs() -> None:
    sheet = Sheet()
    for page in range(1, 4):
        sheet.at(72, HEIGHT - 40, f"青禾县统计局 第{page}期", 9)
        sheet.at(WIDTH / 2, 40, f"— {page} —", 9)
        for n in range(3):
            sheet.paragraph(f"第{page}页第{n}段，{LONG}")
        sheet.at(72 + 24, sheet.y, "财政收入达到12.")
        sheet.turn_over()
        sheet.paragraph("3亿元，增长5.8%。", indent=0)
    document = read_article_bytes(sheet.bytes(), "a.pdf")
    assert "统计局" not in document.text
    assert "—" not in document.text
    assert [block.page for block in document.blocks if block.start > 0][:5] == [1, 1, 1, 2, 2]
    assert lines(document)[0] == f"第1页第0段，{LONG}"
    check_blocks(document)


@pytest.mark.parametrize(
    ("pages", "headed", "stays"),
    [(2, {1, 2}, 0), (3, {2, 3}, 0), (3, {1, 3}, 0), (3, {1, 2, 3}, 0), (2, {2}, 1), (3, {3}, 1)],
)
def test_pdf_head_is_known_by_the_second_page_that_has_it(pages: int, headed: set[int], stays: int) -> None:
    sheet = Sheet()
    for page in range(1, pages + 1):
        if page in headed:
            sheet.at(72, HEIGHT - 40, "青禾县统计局", 9)
        sheet.paragraph(f"第{page}页，{LONG}")
        if page < pages:
            sheet.turn_over()
    document = read_article_bytes(sheet.bytes(), "a.pdf")
    assert document.text.count("统计局") == stays
    assert len(document.blocks) == pages + stays


def test_pdf_page_of_nothing_but_its_head_is_empty() -> None:
    sheet = Sheet()
    for page in range(1, 4):
        sheet.at(72, HEIGHT - 40, "青禾县统计局", 9)
        sheet.at(WIDTH / 2, 40, f"— {page} —", 9)
        if page < 3:
            sheet.paragraph(f"第{page}页，{LONG}")
            sheet.turn_over()
    document = read_article_bytes(sheet.bytes(), "a.pdf")
    assert lines(document) == [f"第1页，{LONG}", f"第2页，{LONG}"]


def test_pdf_of_nothing_but_recurring_rows_keeps_them() -> None:
    sheet = Sheet()
    sheet.at(72, HEIGHT - 40, "青禾县统计局")
    sheet.turn_over()
    sheet.at(72, HEIGHT - 40, "青禾县统计局")
    assert lines(read_article_bytes(sheet.bytes(), "a.pdf")) == ["青禾县统计局"] * 2


def test_pdf_paragraph_over_two_pages_is_two_blocks_of_one_paragraph() -> None:
    sheet = Sheet()
    text = LONG * 3
    rows = wrapped(text, WIDTH - 144, 12)
    for n, row in enumerate(rows):
        if n == 4:
            sheet.at(WIDTH / 2, 40, "1")
            sheet.turn_over()
        sheet.at(72 + (24 if n == 0 else 0), sheet.y, row)
        sheet.y -= 20
    document = read_article_bytes(sheet.bytes(), "a.pdf")
    assert document.text == text
    assert [(block.paragraph, block.page) for block in document.blocks] == [(1, 1), (1, 2)]
    assert document.blocks[0].end == document.blocks[1].start == len("".join(rows[:4]))


def test_pdf_columns_are_read_one_after_the_other() -> None:
    sheet = Sheet()
    width = (WIDTH - 168) / 2
    sheet.at(180, HEIGHT - 60, "桥头村的新产业", 18)
    texts = [f"左一{LONG}", f"左二{LONG}", f"右一{LONG}", f"右二{LONG}"]
    for column in (0, 1):
        sheet.y = HEIGHT - 100 - 3 * column
        for text in texts[2 * column : 2 * column + 2]:
            sheet.paragraph(text, 72 + column * (width + 24), width, 10)
    assert lines(read_article_bytes(sheet.bytes(), "a.pdf")) == ["桥头村的新产业", *texts]


def test_pdf_long_table_of_two_cells_is_not_two_columns() -> None:
    sheet = Sheet()
    rows = [(f"第{n}个项目", f"{n}.5亿元") for n in range(12)]
    for row in rows:
        sheet.at(72, sheet.y, row[0])
        sheet.at(300, sheet.y, row[1])
        sheet.y -= 20
    assert read_article_bytes(sheet.bytes(), "a.pdf").text == "\n".join("\t".join(row) for row in rows)


def test_pdf_columns_between_lines_of_the_whole_page() -> None:
    sheet = Sheet()
    width = (WIDTH - 168) / 2
    sheet.paragraph(f"题记，{LONG}", size=10)
    sheet.at(72, sheet.y, "本报记者", 10)
    top = sheet.y - 30
    for column, side in enumerate("左右"):
        sheet.y = top
        sheet.paragraph(f"{side}一，{LONG}{LONG}", 72 + column * (width + 24), width, 10)
    sheet.paragraph(f"尾声，{LONG}", size=10)
    texts = [f"题记，{LONG}", "本报记者", f"左一，{LONG}{LONG}", f"右一，{LONG}{LONG}", f"尾声，{LONG}"]
    assert lines(read_article_bytes(sheet.bytes(), "a.pdf")) == texts


def test_pdf_headings_and_paragraphs_that_only_space_sets_apart() -> None:
    sheet = Sheet()
    for row in ("青禾县人民政府关于2023年", "经济运行情况的报告"):
        sheet.at(120, sheet.y, row, 20)
        sheet.y -= 32
    for _ in range(3):
        sheet.paragraph(LONG, indent=0)
        sheet.y -= 20
    sheet.turn_over()
    sheet.at(120, sheet.y, "附件标题", 20)
    document = read_article_bytes(sheet.bytes(), "a.pdf")
    title = "青禾县人民政府关于2023年经济运行情况的报告"
    assert pieces(document) == [("heading", title), *[("paragraph", LONG)] * 3, ("heading", "附件标题")]
    assert document.meta["title"] == title


def test_pdf_table_rows_are_lines() -> None:
    sheet = Sheet()
    sheet.paragraph(LONG)
    rows = [("指标", "单位", "绝对数"), ("水泥", "万吨", "120.5"), ("发电量", "亿千瓦时", "18.0")]
    for row in rows:
        for n, cell in enumerate(row):
            sheet.at(72 + 110 * n, sheet.y, cell)
        sheet.y -= 20
    sheet.paragraph(LONG)
    sheet.at(72, sheet.y, "注：")
    sheet.at(200, sheet.y, "初步数")
    document = read_article_bytes(sheet.bytes(), "a.pdf")
    assert pieces(document) == [
        ("paragraph", LONG), ("table", "\n".join("\t".join(row) for row in rows)), ("paragraph", LONG),
        ("paragraph", "注： 初步数"),
    ]  # fmt: skip


def test_pdf_table_over_two_pages_is_one_a_page() -> None:
    sheet = Sheet()
    for page in "甲乙":
        sheet.paragraph(LONG)
        for n in range(3):
            sheet.at(72, sheet.y, f"{page}{n}号项目")
            sheet.at(300, sheet.y, "18.0亿元")
            sheet.y -= 20
        sheet.turn_over()
    kinds = [(block.kind, block.page) for block in read_article_bytes(sheet.bytes(), "a.pdf").blocks]
    assert kinds == [("paragraph", 1), ("table", 1), ("paragraph", 2), ("table", 2)]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            [
                "The county reported a gross product of 8.64 billion in the first three quar-",
                "ters of 2023, up 6.1",
            ],
            "quarters of 2023",
        ),
        (
            ["The county reported a gross product of 8.64 billion yuan in all quarters of", "2023, up"],
            "quarters of 2023, up",
        ),
        (
            [
                "青禾县与The Green Valley Energy Storage Company and its Partners in the",
                "Technology Park签约",
            ],
            "the Technology",
        ),
        (
            ["前三季度全县规模以上工业企业实现营业收入和利润总额双增长其中利润总额达到12.", "3亿元"],
            "12.3亿元",
        ),
    ],
)
def test_pdf_line_ends_inside_words_and_numbers(rows: list[str], text: str) -> None:
    sheet = Sheet()
    for row in rows:
        sheet.at(72, sheet.y, row)
        sheet.y -= 20
    assert text in read_article_bytes(sheet.bytes(), "a.pdf").text


def test_pdf_blanks_between_latin_words_alone() -> None:
    sheet = Sheet()
    sheet.at(72, 700, "Green  Energy 项目 收入 达到")
    sheet.at(72, 400, "PM", 20)
    sheet.at(72 + 36, 400, "index", 20)
    document = read_article_bytes(sheet.bytes(), "a.pdf")
    assert lines(document) == ["Green Energy 项目 收入 达到", "PM index"]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_pdf_page_that_is_turned_is_read_as_it_is_seen(turn: int) -> None:
    sheet = Sheet()
    canvas = sheet.canvas
    canvas.setPageRotation(turn)
    canvas.translate(*{0: (0, 0), 90: (WIDTH, 0), 180: (WIDTH, HEIGHT), 270: (0, HEIGHT)}[turn])
    canvas.rotate(turn)
    sheet.at(72, 400, FIRST[:20])
    sheet.at(72, 360, SECOND[:20])
    assert read_article_bytes(sheet.bytes(), "a.pdf").text == FIRST[:20] + SECOND[:20]


def picture() -> ImageReader:
    return ImageReader(Image.new("L", (20, 28), 200))


def test_scanned_pdf_is_refused_and_a_scanned_page_is_named() -> None:
    sheet = Sheet()
    for page in range(1, 3):
        sheet.canvas.drawImage(picture(), 0, 0, WIDTH, HEIGHT)
        sheet.at(300, 40, f"第 {page} 页")
        sheet.turn_over()
    scan = sheet.bytes()
    with pytest.raises(DataError, match=r"pictures of pages but no text(?s:.*)OCR"):
        read_article_bytes(scan, "a.pdf")
    sheet = Sheet()
    sheet.paragraph(LONG)
    sheet.turn_over()
    sheet.canvas.drawImage(picture(), 0, 0, WIDTH, HEIGHT)
    assert read_article_bytes(sheet.bytes(), "a.pdf").meta["unread_pages"] == [2]


def pdf_with_font(mapping: str, codes: str) -> bytes:
    """A page that shows some codes in a font that maps them to characters in its own way."""
    cmap = (
        "begincmap 1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"{mapping.count('> <')} beginbfchar\n{mapping}\nendbfchar endcmap"
    )
    show = f"BT /F 12 Tf 72 700 Td ({codes}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(show)}>>stream\n{show}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        f"<</Length {len(cmap)}>>stream\n{cmap}\nendstream",
    ]  # fmt: skip
    out = "%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return (
        f"{out}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF"
    ).encode("latin-1")


def test_pdf_characters_beyond_the_first_plane_and_unseen_ones() -> None:
    data = pdf_with_font("<41> <d842dfb7>\n<42> <200b>\n<43> <0009>\n<44> <f06c>", "DxABxCx")
    assert read_article_bytes(data, "a.pdf").text == "x𠮷x x"


@pytest.mark.parametrize("code", ["e000", "0001", "fffd", "d842"])
def test_pdf_whose_font_does_not_say_its_characters_is_refused(code: str) -> None:
    with pytest.raises(DataError, match=r"do not say which characters 3 of 5 glyphs are(?s:.*)OCR"):
        read_article_bytes(pdf_with_font(f"<41> <{code}>", "xAAAx"), "a.pdf")


def text_pdf(**options: Any) -> bytes:
    sheet = Sheet(**options)
    sheet.paragraph(LONG)
    return sheet.bytes()


# ------------------------------------------------------------------------------------------- bad input

OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def zipped(**entries: str) -> bytes:
    return repacked_from({name.replace("__", "/") + ".xml": text for name, text in entries.items()})


def repacked_from(entries: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def encrypted_zip() -> bytes:
    data = bytearray(zipped(word__document="<a/>"))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


LAUGHS = "<!DOCTYPE d [<!ENTITY a '哈'>" + "".join(
    f"<!ENTITY {y} '{f'&{x};' * 10}'>" for x, y in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "empty": (lambda: b"", "a.txt", "the file is empty"),
    "empty pdf": (lambda: b"", "a.pdf", "the file is empty"),
    "blanks": (lambda: b" \r\n\t\n", "a.html", "nothing but blanks"),
    "full-width blanks": (lambda: "　\n　".encode(), "a.txt", "holds no text"),
    "zeros": (lambda: b"\0" * 100, "a.txt", "nothing but blanks"),
    "only a mark": (lambda: codecs.BOM_UTF8, "a.txt", "holds no text"),
    "old word": (lambda: OLE + b"\0" * 600, "a.doc", r"old kind \(.doc\)(?s:.*)save it as .docx"),
    "old word renamed": (lambda: OLE + b"\0" * 600, "a.docx", "save it as .docx"),
    "word with a password": (lambda: OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx", "with a password"),
    "rich text": (lambda: b"{\\rtf1 abc}", "a.doc", "rich text"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "a.pdf", "a picture(?s:.*)OCR"),
    "gzip": (lambda: b"\x1f\x8b\x08" + b"\0" * 50, "a.txt", "unpack it"),
    "unknown suffix": (lambda: b"a,b", "a.csv", ".csv files are not read"),
    "text called docx": (lambda: FIRST.encode(), "a.docx", "does not begin like one"),
    "text called pdf": (lambda: FIRST.encode(), "a.pdf", "does not begin like one"),
    "pdf head only": (lambda: b"%PDF-1.7\n", "a.pdf", "cut short"),
    "pdf without pages": (lambda: b"%PDF-1.7\n%%EOF", "a.pdf", "no PDF or a damaged one"),
    "pdf cut": (lambda: text_pdf()[:-600], "a.pdf", "cut short"),
    "pdf with its middle gone": (lambda: text_pdf()[:300] + b"\n%%EOF", "a.pdf", "PDF"),
    "pdf with a password": (lambda: text_pdf(encrypt=StandardEncryption("secret")), "a.pdf", "encrypted"),
    "pdf of no page": (lambda: Sheet().bytes(), "a.pdf", "damaged"),
    "pdf of a line": (lambda: drawing(), "a.pdf", "the PDF has no text"),
    "docx cut": (lambda: word(f"<w:p>{run(FIRST)}</w:p>")[:-100], "a.docx", "damaged"),
    "docx head only": (lambda: b"PK\x03\x04", "a.docx", "damaged"),
    "docx empty": (lambda: saved(docx.Document()), "a.docx", "holds no text"),
    "no parts": (lambda: repacked_from({}), "a.docx", "it has no word/document.xml"),
    "another archive": (lambda: repacked_from({"readme.txt": "a"}), "a.docx", "it has no word/document.xml"),
    "a workbook": (lambda: zipped(word__document="<workbook/>"), "a.docx", "its main part is a workbook"),
    "broken xml": (lambda: zipped(word__document="<document><body>"), "a.docx", "damaged"),
    "empty xml": (lambda: zipped(word__document=""), "a.docx", "damaged"),
    "a billion laughs": (lambda: zipped(word__document=f"{LAUGHS}]><d>&i;</d>"), "a.docx", "damaged|document type"),
    "a document type": (lambda: zipped(word__document="<!DOCTYPE d [<!ENTITY a 'b'>]><document/>"), "a.docx", "document type"),
    "deep xml": (lambda: zipped(word__document="<document>" * 9000 + "</document>" * 9000), "a.docx", "damaged"),
    "zip with a password": (encrypted_zip, "a.docx", "encrypted"),
    "zip bomb": (lambda: zipped(word__document="<document/>", bomb="0" * 20_000_000), "a.docx", "unpacks to 20 MB"),
    "zip that lies": (lambda: lying_zip(), "a.docx", "damaged"),
    "zip of a kind": (lambda: strange_zip(), "a.docx", "damaged"),
}  # fmt: skip


def drawing() -> bytes:
    sheet = Sheet()
    sheet.canvas.line(0, 0, 99, 99)
    return sheet.bytes()


def lying_zip() -> bytes:
    """An entry that unpacks to more than the directory declares."""
    data = bytearray(zipped(word__document=f"<document>{'字' * 5000}</document>"))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (40).to_bytes(4, "little")
    return bytes(data)


def strange_zip() -> bytes:
    """An entry packed by a method that nobody has."""
    data = bytearray(zipped(word__document="<document/>"))
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + at] = 77
    return bytes(data)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_words(name: str) -> None:
    make, file, message = BAD[name]
    with pytest.raises(DataError, match=message) as caught:
        read_article_bytes(make(), f"镇/{file}")
    assert str(caught.value).startswith(f"镇/{file}: ")


@pytest.mark.parametrize(
    ("limits", "name", "message"),
    [
        (Limits(bytes=100), "a.txt", "the limit is 0.0 MB"),
        (Limits(characters=50), "a.txt", "characters, the limit is 50"),
        (Limits(characters=50), "a.pdf", "more text than the limit|characters, the limit is 50"),
        (Limits(pages=1), "a.pdf", "has 2 pages, the limit is 1"),
        (Limits(expanded=1000), "a.docx", "unpacks to"),
    ],
)
def test_limits(limits: Limits, name: str, message: str) -> None:
    sheet = Sheet()
    for _ in range(2):
        sheet.paragraph(LONG * 10)
        sheet.turn_over()
    files = {"a.txt": LONG.encode(), "a.pdf": sheet.bytes(), "a.docx": word(f"<w:p>{run(FIRST)}</w:p>")}
    assert read_article_bytes(files[name], name).text
    with pytest.raises(DataError, match=message):
        read_article_bytes(files[name], name, limits=limits)


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (PAGE.encode(), "a.txt", "html"),
        (PAGE.encode("gb18030"), "a.doc", "html"),
        (codecs.BOM_UTF16_LE + PAGE.encode("utf-16-le"), "a.docx", "html"),
        (LONG.encode(), "-", "txt"),
        (LONG.encode(), "公报", "txt"),
        (f"<p>{LONG}</p>".encode(), "A.HTM", "html"),
        (word(f"<w:p>{run(LONG)}</w:p>"), "a.txt", "docx"),
        (text_pdf(), "a.docx", "pdf"),
        (b"\n\n" + text_pdf(), "a.pdf", "pdf"),
    ],
)
def test_content_decides_the_format_before_the_suffix(data: bytes, name: str, kind: str) -> None:
    document = read_article_bytes(data, name)
    assert document.meta["format"] == kind
    assert "".join(document.text.split()).endswith(THIRD)


# --------------------------------------------------------------------------------------------------- files


def test_file_is_known_by_its_path_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "云栖镇" / "2023.txt"
    path.parent.mkdir()
    path.write_text(TEXT, encoding="utf-8")
    assert read_article(path).id == path.as_posix()
    assert read_article(str(path), id="t1").id == "t1"
    assert read_article(path).meta["source"] == "2023.txt"
    assert "published" not in read_article(path).meta


def test_file_name_that_is_not_utf8_can_still_be_written(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + "/公报.txt".encode("gb18030")
    Path(os.fsdecode(path)).write_text(TEXT, encoding="utf-8")
    document = read_article(os.fsdecode(path))
    assert "\ufffd" in document.id
    document.to_line().encode("utf-8")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.txt", "no such file"),
        ("folder", "this is a folder"),
        ("pipe.txt", "no ordinary file"),
        ("good.txt/below.txt", "cannot be read"),
        ("n" * 300 + ".txt", "cannot be read"),
        ("nul\0.txt", "cannot be read"),
        ("big.txt", "the limit is"),
    ],
)
def test_what_is_no_readable_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "good.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "big.txt").write_bytes(b"a" * 2000)
    with pytest.raises(DataError, match=message):
        read_article(tmp_path / name, limits=Limits(bytes=1000))


def test_file_that_may_not_be_read_is_named() -> None:
    assert "may not be read" in str(_unreadable(PermissionError(13, "Permission denied")))


def test_articles_are_found_in_order(tmp_path: Path) -> None:
    for name in (
        "b.txt",
        "a.PDF",
        "notes.csv",
        ".hidden.txt",
        "~$a.docx",
        "sub/c.htm",
        ".git/d.txt",
        "extra/e.docx",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TEXT, encoding="utf-8")
    named = tmp_path / ".hidden.txt"
    found = [path.relative_to(tmp_path).as_posix() for path in find_articles([named, str(tmp_path)])]
    assert found == [".hidden.txt", "a.PDF", "b.txt", "extra/e.docx", "sub/c.htm"]
    assert set(SUFFIXES) == {".txt", ".html", ".htm", ".mhtml", ".mht", ".docx", ".pdf"}


def test_files_of_other_kinds_in_folders_are_told(tmp_path: Path) -> None:
    for name in ("a.txt", "notes.csv", "sub/b.XLSX", "sub/README", ".hidden.csv", ".git/c.csv", "~$a.docx", "Thumbs.db", "sub/desktop.ini"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TEXT, encoding="utf-8")
    skipped: list[Path] = []
    assert list(find_articles([tmp_path, tmp_path / "sub"], skipped=skipped.append)) == [tmp_path / "a.txt"]
    assert skipped == [tmp_path / "notes.csv", tmp_path / "sub/README", tmp_path / "sub/b.XLSX"]


def test_files_named_twice_come_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "sub/b.txt", "sub/page.doc"):
        (tmp_path / name).write_text(PAGE, encoding="utf-8")
    (tmp_path / "link.txt").symlink_to("a.txt")
    monkeypatch.chdir(tmp_path)
    skipped: list[Path] = []
    inputs = ["sub/b.txt", tmp_path, "./sub/../a.txt", "sub", "sub/page.doc", "sub/page.doc"]
    found = list(find_articles(inputs, skipped=skipped.append))
    assert found == [Path("sub/b.txt"), tmp_path / "a.txt", Path("sub/page.doc")]
    assert skipped == [tmp_path / "sub/page.doc"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("notes.csv", "not read"), ("no.txt", "no such file"), ("old.doc", "save it as .docx")],
)
def test_named_file_that_cannot_be_an_article_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "notes.csv").write_text("a,b", encoding="utf-8")
    (tmp_path / "old.doc").write_bytes(OLE + b"\0" * 600)
    with pytest.raises(DataError, match=message) as caught:
        list(find_articles([tmp_path / name]))
    assert (tmp_path / name).as_posix() in str(caught.value)


def test_page_called_doc_and_a_pipe_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "page.doc").write_text(PAGE, encoding="utf-8")
    os.mkfifo(tmp_path / "pipe.txt")
    named = [tmp_path / "page.doc", tmp_path / "pipe.txt"]
    assert list(find_articles(named)) == named


# ---------------------------------------------------------------------------------------------------- fuzz

SEEDS = {
    "a.docx": word(f"<w:p>{run(FIRST)}</w:p>", parts={"word/footnotes.xml": NOTES}),
    "a.pdf": text_pdf(),
    "a.html": PAGES["newspaper"][0].encode("gb18030"),
    "a.txt": TEXT.encode("gb18030"),
    "a.mhtml": b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n\n"
    + PAGE.encode(),
}
FUZZ = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def read_or_refuse(data: bytes, name: str) -> None:
    try:
        document = read_article_bytes(data, name)
    except DataError:
        return
    check_blocks(document)
    document.to_line().encode("utf-8")


@FUZZ
@given(
    st.binary(max_size=300),
    st.sampled_from([f"a{suffix}" for suffix in SUFFIXES] + ["-", "a.doc"]),
    st.sampled_from([b"", b"%PDF-1.4\n", b"PK\x03\x04", b"<html>", codecs.BOM_UTF16_LE]),
)
def test_random_bytes_are_read_or_refused(data: bytes, name: str, head: bytes) -> None:
    read_or_refuse(head + data + (b"%%EOF" if b"PDF" in head else b""), name)


@FUZZ
@given(
    st.sampled_from(sorted(SEEDS)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 40)), min_size=1, max_size=6),
)
def test_mutated_files_are_read_or_refused(name: str, changes: list[tuple[float, bytes, int]]) -> None:
    data = SEEDS[name]
    for place, new, cut in changes:
        at = int(place * len(data))
        data = data[:at] + new + data[at + cut :]
    read_or_refuse(data, name)
