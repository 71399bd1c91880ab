"""The evaluation report in a real browser: sorting, languages, no script but its own, no sideways scrolling, the keyboard."""

from dataclasses import replace

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from gongbao.facts import prepare_gold
from gongbao.inline import parse
from gongbao.metrics import evaluate
from gongbao.report import write_report
from gongbao.report.evaluation import Against
from gongbao.schema import Document, Span
from gongbao.suspects import Suspect

ATTACK = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"


@pytest.fixture(scope="module")
def report(tmp_path_factory, documents, scheme):
    """A report with every section in it, of texts one of which attacks the page."""
    gold = [prepare_gold(d, scheme) for d in documents]
    hostile = parse(
        f"{ATTACK}{{税收|METRIC}}", id=f"x{ATTACK}", scheme=scheme, meta={"genre": ATTACK, "title": ATTACK}
    )
    gold = [
        d.replace(meta={**d.meta, "genre": f"体裁{n % 3}", "level": "county", "untidy": n % 2 == 0})
        for n, d in enumerate(gold)
    ]
    gold.append(hostile)
    predicted = [
        d.replace(
            spans=tuple(replace(s, score=round(0.99 - n / 10, 3)) for n, s in enumerate(d.spans[1:])),
            links=(),
            facts=(),
        )
        for d in gold
    ]
    wrong = Span(0, len(ATTACK), "ORG", ATTACK, id="w", score=0.4)
    predicted[-1] = predicted[-1].replace(spans=(wrong,))
    path = tmp_path_factory.mktemp("报告") / "report.html"
    write_report(
        path, evaluate(gold, predicted), gold, predicted, model=ATTACK, data="test", labels=scheme.labels, training=documents[:4],
        suspects=[Suspect(gold[0].id, 0, 3, "edge", 0.5, ATTACK, ATTACK, ATTACK)],
        against=Against("另一个", [Document(d.id, d.text) for d in gold]),
    )  # fmt: skip
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(start_browser):
    return start_browser("en-US")


def width(browser, pixels):
    size = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def turned_to(browser, report, pixels, language):
    width(browser, pixels)
    browser.get(report)
    browser.find_element(By.ID, f"language-{language}").click()


def column(browser, caption, number):
    cells = browser.find_elements(By.CSS_SELECTOR, f"table:has(#{caption}) tbody tr > :nth-child({number})")
    return [cell.get_attribute("data-sort") or cell.text for cell in cells]


def sort_button(browser, caption, number):
    return browser.find_element(By.CSS_SELECTOR, f"table:has(#{caption}) thead th:nth-child({number}) button")


def test_no_script_of_the_texts_runs_and_nothing_is_loaded(browser, report):
    width(browser, 1280)
    browser.get(report)
    assert browser.title.startswith("<script>")
    assert "ran" not in browser.title.split("<")[0]
    assert not browser.find_elements(By.TAG_NAME, "img")
    assert browser.execute_script("return document.scripts.length") == 1
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert ATTACK in browser.find_element(By.TAG_NAME, "main").get_attribute("textContent")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_tables_are_sorted_by_mouse_and_by_keyboard(browser, report):
    browser.get(report)
    scores = [float(value) for value in column(browser, "span-scores", 4)]
    button = sort_button(browser, "span-scores", 4)
    browser.execute_script("arguments[0].click()", button)
    assert [float(value) for value in column(browser, "span-scores", 4)] == sorted(scores, reverse=True)
    button.send_keys(Keys.ENTER)
    assert [float(value) for value in column(browser, "span-scores", 4)] == sorted(scores)
    head = browser.find_element(By.CSS_SELECTOR, "table:has(#span-scores) th[aria-sort]")
    assert head.get_attribute("aria-sort") == "ascending"
    costs = [float(value) for value in column(browser, "mistake-kinds", 4)]
    sort_button(browser, "mistake-kinds", 4).send_keys(Keys.ENTER)
    assert [float(value) for value in column(browser, "mistake-kinds", 4)] == sorted(costs, reverse=True)


def shown(browser, language):
    return [e for e in browser.find_elements(By.CSS_SELECTOR, f"h2 .{language}") if e.is_displayed()]


@pytest.mark.parametrize(("language", "other"), [("en", "zh"), ("zh", "en")])
def test_the_languages_change_places(browser, report, language, other):
    browser.get(report)
    for wanted, unwanted in ((language, other), (other, language)):
        browser.find_element(By.ID, f"language-{wanted}").click()
        assert len(shown(browser, wanted)) >= 7
        assert shown(browser, unwanted) == []
        assert browser.find_element(By.CSS_SELECTOR, f".plot .{wanted}").is_displayed()
        assert browser.execute_script("return document.documentElement.lang")[:2] == wanted


def test_the_browsers_language_is_the_first(start_browser, browser, report):
    browser.get(report)
    assert shown(browser, "zh") == []
    chinese = start_browser("zh-CN")
    chinese.get(report)
    assert shown(chinese, "en") == []
    assert len(shown(chinese, "zh")) >= 7


def test_the_interval_looks_as_in_its_key(browser, report):
    width(browser, 1280)
    browser.get(report)
    drawn, key = (
        browser.execute_script(
            "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", *what
        )
        for what in (("#scores svg path.whisker", "stroke"), ("#scores .swatch.whisker", "borderTopColor"))
    )
    assert drawn == key


@pytest.mark.parametrize("pixels", [390, 1280])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_written_in_drawings_is_neither_tiny_nor_huge(browser, report, pixels, language):
    turned_to(browser, report, pixels, language)
    sizes = browser.execute_script(
        """return [...document.querySelectorAll("figure svg[role=img]")].map(
           e => parseFloat(getComputedStyle(e).fontSize) * e.getBoundingClientRect().width / e.viewBox.baseVal.width)"""
    )
    assert len(sizes) > 3
    assert 7 < min(sizes) <= max(sizes) < 15


@pytest.mark.parametrize("pixels", [390, 1280])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_reaches_out_of_the_page(browser, report, pixels, language):
    turned_to(browser, report, pixels, language)
    wide = browser.execute_script(
        """return [...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll, svg") &&
           e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    browser.execute_script("scrollTo(500, 0)")
    assert browser.execute_script("return scrollX") == 0


def test_all_that_scrolls_or_acts_is_reached_by_the_keyboard(browser, report):
    width(browser, 390)
    browser.get(report)
    unreachable = browser.execute_script(
        """return [...document.querySelectorAll(".scroll")].filter(e => e.tabIndex < 0 || !e.getAttribute("aria-labelledby"))
           .length"""
    )
    assert unreachable == 0
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    first = browser.switch_to.active_element
    assert first.tag_name == "a"
    outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    for image in browser.find_elements(By.CSS_SELECTOR, 'svg[role="img"]'):
        caption = browser.find_element(By.ID, image.get_attribute("aria-labelledby"))
        assert caption.text


def test_on_paper_no_table_is_cut_and_labels_are_there(browser, report):
    browser.get(report)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        overflow = browser.execute_script(
            "return getComputedStyle(document.querySelector('.scroll')).overflowX"
        )
        assert overflow == "visible"
        text = browser.find_element(By.CSS_SELECTOR, ".plot text")
        assert text.is_displayed()
        assert "CJK" in browser.execute_script("return getComputedStyle(arguments[0]).fontFamily", text)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
