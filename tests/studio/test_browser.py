"""The loop as an annotator sees it: Label Studio's own pages in headless Chromium, with a real mouse.

GONGBAO_SCREENSHOTS=FOLDER keeps pictures of the steps, those of docs/images.
"""

import io
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from gongbao.cli import main
from gongbao.corpus import resolve, write
from gongbao.inline import parse
from gongbao.label_studio import read_export

# What of a text is to be seen where: each code point with its box, and the regions that it is highlighted for. A line break
# is an element, one for CR and one for LF.
CHARACTERS = """
const box = document.querySelector(".lsf-richtext__container"), found = [];
if (!box) return found;
const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
for (let node = walk.nextNode(); node; node = walk.nextNode()) {
  if (node.nodeName === "BR") found.push(["\\n", null, []]);
  if (node.nodeType !== Node.TEXT_NODE) continue;
  const regions = [];
  for (let up = node.parentElement; up !== box; up = up.parentElement)
    for (const name of up.classList)
      if (/^htx-highlight-.+-\\d+$/.test(name)) regions.push(name.replace(/^htx-highlight-|-\\d+$/g, ""));
  let at = 0;
  for (const character of node.data) {
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at += character.length);
    const {left, top, right, bottom} = range.getBoundingClientRect();
    found.push([character, {left, right, middle: (top + bottom) / 2}, regions]);
  }
}
return found;
"""

CHOSEN = (By.CSS_SELECTOR, ".lsf-label_selected")
RELATION = (By.CSS_SELECTOR, ".lsf-relations__item")
REDRAWN = (StaleElementReferenceException, ElementClickInterceptedException, ElementNotInteractableException)


class Desk:
    """An annotator before a browser."""

    def __init__(self, browser, url, pictures):
        self.browser = browser
        self.url = url
        self._pictures = pictures

    def picture(self, name, css="body"):
        """Keep what is to be seen, in 256 colours, of which octrees find the right ones."""
        if self._pictures:
            png = io.BytesIO(self.browser.find_element(By.CSS_SELECTOR, css).screenshot_as_png)
            few = Image.open(png).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
            few.save(self._pictures / f"studio-{name}.png", optimize=True)

    def eventually(self, happened):
        """What `happened` gives once it gives something; the page may be drawn anew meanwhile."""
        try:
            return WebDriverWait(self.browser, 20, 0.05, REDRAWN).until(lambda _: happened())
        except TimeoutException:
            self.picture("failed")
            raise

    def _shown(self, css, text):
        found = self.browser.find_elements(By.CSS_SELECTOR, css)
        return next((e for e in found if e.is_displayed() and text in (None, e.text)), None)

    def seen(self, css, text=None):
        """An element that is to be seen, with this text."""
        return self.eventually(lambda: self._shown(css, text))

    def press(self, css, text=None):
        """Click an element, once it is to be seen."""
        self.eventually(lambda: (shown := self._shown(css, text)) and (shown.click() or shown))

    def type(self, key):
        ActionChains(self.browser).send_keys(key).perform()

    def sign_in(self, sign_in):
        self.browser.get(f"{self.url}/user/login/")
        self.seen("[name=email]").send_keys(sign_in.email)
        self.seen("[name=password]").send_keys(sign_in.password)
        self.picture("sign-in", ".form-wrapper")
        self.press("button[type=submit]")
        self.eventually(lambda: not self.browser.find_elements(By.NAME, "password"))

    def open_first_task(self, project, regions):
        """Open the first task of the project's list, and wait for as many regions."""
        self.browser.get(f"{self.url}/projects/{project}/data")
        self.press("[data-testid=table-row]")
        self.eventually(lambda: len(self.regions()) == regions)
        self.seen(".lsf-outliner-item")

    def text(self):
        """The text that is shown, with LF for every line break."""
        return "".join(character for character, *_ in self.browser.execute_script(CHARACTERS))

    def regions(self):
        """What is highlighted: the characters of each region by its id, (offset, character), without line breaks."""
        found = {}
        for at, (character, _, ids) in enumerate(self.browser.execute_script(CHARACTERS)):
            for id in ids:
                found.setdefault(id, []).append((at, character))
        return found

    def _pointer(self, *places, drag=False):
        """Move to the places; press at the first and let go at the last, or click there."""
        actions = ActionChains(self.browser, duration=30)
        mouse = actions.w3c_actions.pointer_action
        for n, (x, y) in enumerate(places):
            mouse.move_to_location(round(x), round(y))
            if drag and n == 0:
                mouse.pointer_down()
        mouse.pointer_up() if drag else mouse.click()
        actions.perform()

    def click(self, span):
        """Click into a region."""
        place = self.browser.execute_script(CHARACTERS)[span.start][1]
        self._pointer(((place["left"] + place["right"]) / 2, place["middle"]))

    def drag(self, start, end):
        """Draw the mouse over the characters, from the left edge of the first to the right edge of the last."""
        characters = self.browser.execute_script(CHARACTERS)
        first, last = characters[start][1], characters[end - 1][1]
        begin, stop = (first["left"] + 1, first["middle"]), (last["right"] - 1, last["middle"])
        self._pointer(begin, ((begin[0] + stop[0]) / 2, stop[1]), stop, drag=True)

    def remove(self, span):
        """Click the region, and press the backspace key."""
        before = len(self.regions())
        self.click(span)
        self.seen('[aria-label="Delete selected region"]')
        self.type(Keys.BACKSPACE)
        self.eventually(lambda: len(self.regions()) == before - 1)

    def mark(self, span, hotkey=None):
        """Choose the label, by its key or with the mouse, and draw over the text."""
        before = self.regions().keys()
        self.eventually(lambda: not self.browser.find_elements(*CHOSEN))
        if hotkey:
            self.type(hotkey)
        else:
            self.press(".lsf-label__text", span.label)
        self.eventually(lambda: self.browser.find_elements(*CHOSEN))
        self.drag(span.start, span.end)
        self.eventually(lambda: self.regions().keys() - before)

    def link(self, head, tail, role):
        """Draw a relation from one region to another and choose its role."""
        self.click(head)
        self.press('[aria-label="Create Relation"]')
        self.click(tail)
        self.press("#Relations-draggable")
        last = self.eventually(lambda: self.browser.find_elements(*RELATION))[-1]
        ActionChains(self.browser).move_to_element(last).perform()
        last.find_element(By.CSS_SELECTOR, '[aria-label="Show Relation Labels"]').click()
        self.press(".lsf-relation-meta button", "Select labels")
        self.press("[data-testid=select-option-label]", role)
        self.seen(".lsf-relation-meta button", role)

    def submit(self):
        self.type(Keys.ESCAPE)  # closes the list of roles
        self.press('[aria-label="Submit current annotation"]')
        self.seen(".lsf-bottombar button", "Update")


@dataclass(frozen=True)
class Case:
    """A text as it is to be marked in the end, and what its suggestions lack."""

    gold: str  # in the inline notation, or the id of an article of the corpus
    wrong: str  # the span that is suggested without its first characters and without its links,
    cut: int  # as many
    missing: str  # the span that is not suggested


CASES = {
    "article": Case("gb-143", "枸杞种植面积", 2, "去年"),
    "emoji": Case(
        "{👨‍👩‍👧‍👦家园|ORG}今年🇨🇳{财政收入|METRIC#1}👍🏽{2.3亿元|AMOUNT>1:VALUE}😀,增长{8%|AMOUNT>1:CHANGE}。", "财政收入", 1, "👨‍👩‍👧‍👦家园",
    ),
    "line-ends": Case(
        "一、财政\r\n{去年|TIME}全镇完成{固定资产\r\n投资|METRIC#1}\r\n{2.3亿元|AMOUNT>1:VALUE};\n\n其中\r{企业|ORG}\u2028{1亿元|AMOUNT}。\r\n",
        "固定资产\r\n投资", 1, "去年",
    ),
    "full-width": Case("{２０２３年|TIME}，全镇　{财政收入|METRIC#1}　{２．３亿元|AMOUNT>1:VALUE}。", "财政收入", 2, "２０２３年"),
    "other-planes": Case("\ufeff{𠮷野镇|ORG}\t{𪚥山产值|METRIC#1}{5.6亿元|AMOUNT>1:VALUE}。", "𪚥山产值", 1, "𠮷野镇"),
}  # fmt: skip
KEYS = {"METRIC": "1", "AMOUNT": "2", "PROJECT": "3", "ORG": "4", "TIME": "5"}


def document_of(case, scheme):
    if case.gold.startswith("gb-"):
        return next(d for d in resolve("all", scheme) if d.id == case.gold)
    return parse(case.gold, id="odd", scheme=scheme)


def suggested(gold, wrong, cut, missing):
    """What is pushed: the document as a model might have marked it."""
    late = replace(wrong, start=wrong.start + cut, text=wrong.text[cut:])
    spans = tuple(late if s == wrong else s for s in gold.spans if s != missing)
    links = tuple(k for k in gold.links if wrong.id not in (k.head, k.tail))
    return replace(gold, spans=spans, links=links, facts=()), late


def shape(document):
    """Spans and links by their places."""
    places = {s.id: s.key for s in document.spans}
    return sorted(places.values()), sorted((places[k.head], places[k.tail], k.role) for k in document.links)


def highlighted(document):
    """What must be seen highlighted, as `Desk.regions` tells it."""
    return {s.id: [(n, c) for n, c in enumerate(s.text, s.start) if c not in "\r\n"] for s in document.spans}


@pytest.fixture
def desk(start_browser, studio):
    folder = os.environ.get("GONGBAO_SCREENSHOTS")
    desk = Desk(start_browser("en-GB", width=1400), studio.url, folder and Path(folder))
    yield desk
    desk.browser.quit()  # a page that stays open goes on asking the server of the next test


@pytest.mark.parametrize("name", CASES)
def test_suggestions_are_corrected_with_the_mouse_and_come_home(
    name, desk, studio, scheme, tmp_path, monkeypatch, capsys
):
    case = CASES[name]
    gold = document_of(case, scheme)
    wrong, missing = (next(s for s in gold.spans if s.text == text) for text in (case.wrong, case.missing))
    pushed, late = suggested(gold, wrong, case.cut, missing)
    write([pushed], tmp_path / "documents.jsonl")
    monkeypatch.setenv("GONGBAO_STUDIO_URL", studio.url)
    monkeypatch.setenv("GONGBAO_STUDIO_TOKEN", studio.sign_in.token)
    picture = desk.picture if name == "article" else lambda step: None

    assert main(["studio", "push", str(tmp_path / "documents.jsonl"), "--json"]) == 0
    desk.sign_in(studio.sign_in)
    desk.open_first_task(json.loads(capsys.readouterr().out)["project"], len(pushed.spans))
    assert desk.text() == gold.text.replace("\r", "\n")
    assert desk.regions() == highlighted(pushed)
    picture("suggestions")

    desk.remove(late)
    desk.mark(wrong)
    desk.mark(missing, KEYS[missing.label])
    picture("corrected")
    spans = {s.id: s for s in gold.spans}
    for link in (k for k in gold.links if k.head == wrong.id):
        desk.link(wrong, spans[link.tail], link.role)
    picture("linked")
    desk.submit()
    picture("submitted")

    assert main(["studio", "pull", "-o", str(tmp_path / "export.json"), "--json"]) == 0
    pulled = json.loads(capsys.readouterr().out)
    assert (pulled["tasks"], pulled["annotations"], pulled["dropped"]) == (1, 1, {})
    (home,) = read_export(tmp_path / "export.json").documents
    assert home.text == gold.text
    assert shape(home) == shape(gold)
