"""The page for people, in a real browser: headless Chromium, which talks to a real service."""

import io
import json
import re
from pathlib import Path

import openpyxl
import pytest
from selenium.webdriver.common.by import By

TEXT = "2023年前三季度,青石镇完成财政收入2.3亿元,占年度任务的88.6%。"


class Page:
    """The service's page in a browser."""

    def __init__(self, browser, service, downloads):
        self.browser = browser
        self.downloads = downloads
        self.eventually = service.eventually
        browser.get(service.url)

    def __getitem__(self, id):
        return self.browser.find_element(By.ID, id)

    def write(self, text):
        # WebDriver types no characters beyond the first plane.
        self.browser.execute_script("arguments[0].value = arguments[1]", self["text"], text)

    def extract(self):
        """Press the button and wait for what it brings."""
        self["extract"].click()
        self.eventually(lambda: self["extract"].is_enabled())

    def seen(self, css):
        """The texts that are to be seen at a selector."""
        return [e.text for e in self.browser.find_elements(By.CSS_SELECTOR, css) if e.is_displayed()]

    def download(self, form, name):
        self.browser.find_element(By.CSS_SELECTOR, f"[data-format={form}]").click()
        file = self.downloads / name
        self.eventually(lambda: file.exists() and file.stat().st_size)
        return file.read_bytes()


@pytest.fixture
def open_page(start_service, start_browser, tmp_path):
    def start(*arguments, language="zh-CN", width=1200, environment=None):
        service = start_service(*arguments, environment=environment or {})
        downloads = tmp_path / "downloads"
        return Page(start_browser(language, width=width, downloads=downloads), service, downloads)

    return start


def requested(browser):
    """The addresses that the page asked for."""
    events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def test_a_text_is_pasted_read_and_downloaded(open_page):
    page = open_page()
    assert page.seen("h1") == ["从政府公报中抽取事实"]
    page["extract"].click()
    assert page["status"].text == "请先粘贴文字或选择文件。"
    page.write(TEXT + "<img src=x onerror=alert(1)>")
    page.extract()
    assert page["status"].text == ""
    assert "2.3亿元" in page.seen("#found mark")
    assert page.seen("#found .text")[0].endswith("<img src=x onerror=alert(1)>")
    assert not page.browser.find_elements(By.CSS_SELECTOR, "#found img")
    facts = page.browser.find_elements(By.CSS_SELECTOR, "#found tbody tr")
    assert len(facts) >= 2
    assert "230,000,000 CNY" in page["found"].text

    # Each label has its colour: the page's policy lets the style in.
    colours = {
        mark.text: mark.value_of_css_property("background-color")
        for mark in page.browser.find_elements(By.CSS_SELECTOR, ".legend mark")
    }
    assert len(set(colours.values())) == len(colours) == 5

    page.browser.find_element(By.CSS_SELECTOR, "th.number button").click()
    assert page.seen("#found tbody tr")[0].split()[-1] == facts[0].text.split()[-1]
    assert page.browser.find_element(By.CSS_SELECTOR, "th[aria-sort=descending]")

    page.write("what is typed afterwards does not change what is downloaded")
    book = openpyxl.load_workbook(io.BytesIO(page.download("xlsx", "facts.xlsx")))
    assert book.active.max_row == len(facts) + 1
    (document,) = map(json.loads, page.download("jsonl", "documents.jsonl").splitlines())
    assert len(document["facts"]) == len(facts)

    page.browser.find_element(By.CSS_SELECTOR, "[for=language-en], label:has(#language-en)").click()
    assert page.seen("h1") == ["Facts out of government reports"]
    assert page.browser.execute_script("return document.documentElement.lang") == "en"
    assert page.seen("#downloads button") == ["Download XLSX", "Download JSONL"]

    assert page.browser.get_log("browser") == []  # nothing was refused by the policy, nothing failed
    asked = [url for url in requested(page.browser) if url.startswith("http")]
    assert {re.match(r"http://[\d.:]+/", url)[0] for url in asked} == {f"{page.browser.current_url}"}


def test_a_file_is_dropped_and_taken_away_again(open_page, tmp_path):
    page = open_page(language="en-GB", width=420)
    file = tmp_path / "报告.txt"
    file.write_text(TEXT, encoding="utf-8")
    assert page.seen("h1") == ["Facts out of government reports"]
    page["file"].send_keys(str(file))
    assert page.seen("#file-name") == ["报告.txt"]
    page.extract()
    assert "2.3亿元" in page.seen("#found mark")
    assert page.browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    page["remove"].click()
    page.browser.execute_script(
        """const files = new DataTransfer();
        files.items.add(new File([arguments[0]], "dropped.exe"));
        document.getElementById("drop").dispatchEvent(
          new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));""",
        TEXT,
    )
    assert page.seen("#file-name") == ["dropped.exe"]
    page.extract()
    assert page["status"].text.startswith("The file cannot be read.")
    assert ".exe files are not read" in page["status"].text
    assert not page["result"].is_displayed()


def test_keys_and_limits_are_told_in_the_readers_language(open_page, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("a-key-of-the-tests\n")
    page = open_page("--keys", str(keys), environment={"GONGBAO_MAX_CHARACTERS": "50"})
    page.write(TEXT)
    page["key"].send_keys("not-one-of-the-keys")
    page.extract()
    assert page["status"].text.startswith("密钥不对。")
    page["key"].clear()
    page["key"].send_keys("a-key-of-the-tests")
    page.write(TEXT * 2)
    page.extract()
    assert page["status"].text.startswith("文字太长，上限为 50 个字符。")
    page.write(TEXT)
    page.extract()
    assert "2.3亿元" in page.seen("#found mark")
    assert "key" not in Path(page.browser.current_url).name
