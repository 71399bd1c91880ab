"""What is bundled: the articles, their annotation, the splits, the labelling configuration."""

import json
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest
from datasets import load_dataset
from label_studio_sdk.label_interface import LabelInterface

from gongbao.articles import read_article
from gongbao.checks import check
from gongbao.corpus import SPLITS, resolve, split_hash
from gongbao.facts import prepare_gold
from gongbao.files import bundled
from gongbao.label_studio import read_config, read_export, to_tasks
from gongbao.splitting import duplicates, folded, place_and_year, shared_sentences
from gongbao.statistics import agreements

ROOT = Path(__file__).parents[1]
CONFIG = bundled("annotations/label_config.xml")


@pytest.fixture(scope="module")
def gold(scheme):
    return resolve("all", scheme)


def test_the_corpus_is_large_and_varied(gold):
    assert len(gold) >= 400
    assert sum(len(d.text) for d in gold) >= 280_000
    assert all(400 <= len(d.text) <= 1600 for d in gold)
    assert len({d.meta["genre"] for d in gold}) >= 14
    assert min(Counter(d.meta["genre"] for d in gold).values()) >= 5
    assert {d.meta["year"] for d in gold} >= set(range(2005, 2027))
    assert len({d.meta["region"] for d in gold}) >= 31
    assert 0.3 < sum(d.meta["untidy"] for d in gold) / len(gold) < 0.45
    assert all(bool(d.meta["untidiness"]) == d.meta["untidy"] for d in gold)


@pytest.mark.parametrize("label", ["PROJECT", "ORG"])
def test_names_are_many(gold, label):
    assert len({s.text for d in gold for s in d.spans if s.label == label}) >= 2500


def test_look_alikes_stand_in_the_text_and_are_not_marked(gold):
    lines = bundled("data/lookalikes.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {d.id: d for d in gold}
    found = [json.loads(line) for line in lines]
    assert len({item["text"] for item in found}) >= 2500
    for item in found:
        document, start, end = texts[item["document"]], item["start"], item["end"]
        assert document.text[start:end] == item["text"]
        assert not any(s.start < end and start < s.end for s in document.spans), item


def test_no_two_articles_share_their_wording(gold):
    def shingles(text):
        plain = folded(text)
        return {plain[n : n + 12] for n in range(len(plain) - 11)}

    own = [shingles(d.text) for d in gold]
    holders = defaultdict(list)
    for n, one in enumerate(own):
        for shingle in one:
            holders[shingle].append(n)
    shared = Counter(pair for those in holders.values() if len(those) > 1 for pair in combinations(those, 2))
    for (a, b), count in shared.items():
        assert count <= 0.05 * min(len(own[a]), len(own[b])), (gold[a].id, gold[b].id)


def test_the_export_loses_nothing_on_the_way_in_and_is_what_the_splits_hold(gold):
    found = read_export(bundled("annotations/gold.json"), read_config(CONFIG))
    assert found.dropped == ()
    assert found.notes == ()
    assert split_hash(found.documents) == split_hash(gold)


def test_every_article_says_where_it_is_from(gold):
    keys = {"title", "genre", "level", "place", "region", "year", "published", "untidy", "untidiness"}
    assert all(d.meta.keys() == keys for d in gold)
    assert len({d.id for d in gold}) == len(gold)


def test_the_splits_are_frozen_and_large_enough(scheme):
    frozen = json.loads(bundled("data/splits.json").read_text(encoding="utf-8"))
    assert tuple(frozen) == SPLITS
    for name in SPLITS:
        documents = resolve(name, scheme)
        assert [d.id for d in documents] == frozen[name]["documents"]
        assert split_hash(documents) == frozen[name]["sha256"]
    assert len(frozen["test"]["documents"]) >= 80
    assert len(frozen["shift"]["documents"]) >= 40


def test_no_family_of_articles_stands_in_two_splits(scheme):
    parts = [resolve(name, scheme) for name in SPLITS]
    assert duplicates([d for part in parts for d in part]) == []
    for one, other in combinations(parts, 2):
        assert not {place_and_year(d) for d in one} & {place_and_year(d) for d in other}
        assert shared_sentences(one, other) == []


def test_the_shift_set_has_genres_that_nothing_is_trained_on(scheme):
    genres = {name: {d.meta["genre"] for d in resolve(name, scheme)} for name in SPLITS}
    held_out = {"press conference", "village notice"}
    assert held_out <= genres["shift"]
    assert not held_out & (genres["train"] | genres["dev"] | genres["test"])


def test_nothing_is_wrong_with_the_annotation(gold, scheme):
    assert [str(f) for f in check(gold, scheme)] == []
    # What does not read as a value is either no calendar time (当天, 今年春季) or names its unit oddly.
    valued = [s for d in gold for s in prepare_gold(d, scheme).spans if s.label in scheme.values]
    assert sum(s.value is None for s in valued) < 0.02 * len(valued)


def test_load_dataset_reads_it_from_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    found = load_dataset(str(ROOT / "data"), cache_dir=str(tmp_path))
    assert {name: len(part) for name, part in found.items()} == {name: len(resolve(name)) for name in SPLITS}
    row = found["test"][0]
    assert all(row["text"][s["start"] : s["end"]] == s["text"] for s in row["spans"])


def test_label_studios_own_validator_accepts_the_configuration_and_our_predictions(gold):
    interface = LabelInterface(CONFIG.read_text(encoding="utf-8"))
    interface.validate()
    for task in to_tasks(gold[:5], read_config(CONFIG), model_version="test"):
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction, return_errors=True) == []


def test_the_demonstration_report_reads():
    document = read_article(bundled("data/demo/report.docx"))
    assert document.meta["published"] == "2024-07-18"
    assert {b.kind for b in document.blocks} == {"heading", "paragraph", "table"}


def test_the_readme_says_how_large_the_corpus_is(gold):
    characters, spans, links = (sum(len(part) for part in parts) for parts in (
        [d.text for d in gold], [d.spans for d in gold], [d.links for d in gold],
    ))  # fmt: skip
    said = f"{len(gold)} articles, {characters:,} characters, {spans:,} spans, {links:,} links"
    assert said in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", ["English", "中文"])
def test_the_datasheet_says_what_the_splits_hold(scheme, number):
    english, chinese = (ROOT / "data" / "README.md").read_text(encoding="utf-8").split("\n# gongbao 语料")
    page = english if number == "English" else chinese
    for name in SPLITS:
        documents = resolve(name, scheme)
        counts = [len(documents), *(sum(map(len, part)) for part in (
            [d.text for d in documents], [d.spans for d in documents], [d.links for d in documents],
        ))]  # fmt: skip
        assert f"| {name} | {' | '.join(f'{n:,}' for n in counts)} |" in page
    gold = resolve("all", scheme)
    for label in ("PROJECT", "ORG", "METRIC"):
        assert f"{len({s.text for d in gold for s in d.spans if s.label == label}):,}" in page
    assert f"{sum(d.meta['untidy'] for d in gold)} " in page


def test_the_datasheet_says_how_far_two_annotators_agree():
    found = read_export(bundled("annotations/double.json"), read_config(CONFIG), choose="all")
    ((_, both),) = agreements(found.documents).items()
    rates = [
        both.all_spans.f1,
        *(both.spans[k].f1 for k in ("AMOUNT", "TIME", "ORG", "PROJECT", "METRIC")),
        both.all_links.f1,
    ]
    row = f"{len(found.documents) // 2} articles | {' | '.join(f'{100 * rate:.1f}' for rate in rates)} |"
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert f"| {row}" in page
    assert f"| {row.replace('articles', '篇')}" in page
