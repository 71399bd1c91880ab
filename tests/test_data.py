"""What is bundled: the articles, their annotation, the splits, the labelling configuration."""

import json
from collections import Counter
from pathlib import Path

import pytest
from label_studio_sdk.label_interface import LabelInterface

from gongbao.articles import read_article
from gongbao.checks import check
from gongbao.corpus import SPLITS, read, resolve, split_hash
from gongbao.files import bundled
from gongbao.label_studio import read_config, read_export, to_tasks
from gongbao.splitting import duplicates, place_and_year, shared_sentences

ROOT = Path(__file__).parents[1]
CONFIG = bundled("annotations/label_config.xml")


@pytest.fixture(scope="module")
def gold(scheme):
    return resolve("all", scheme)


def test_the_corpus_is_large_enough_to_learn_from(gold):
    assert len(gold) >= 40
    assert all(400 <= len(d.text) <= 1200 for d in gold)
    labels = Counter(s.label for d in gold for s in d.spans)
    assert labels.keys() == {"METRIC", "AMOUNT", "PROJECT", "ORG", "TIME"}
    assert min(labels.values()) > 300
    assert sum(len(d.links) for d in gold) > 900


def test_the_export_loses_nothing_on_the_way_in():
    found = read_export(bundled("annotations/gold.json"), read_config(CONFIG))
    assert found.dropped == ()
    assert found.notes == ()


def test_articles_and_annotations_are_the_same_texts(gold):
    articles = read(bundled("data/articles.jsonl"))
    assert {d.id: d.text for d in articles} == {d.id: d.text for d in gold}
    for document in articles:
        assert {
            "title",
            "genre",
            "level",
            "place",
            "region",
            "year",
            "published",
            "untidy",
        } == document.meta.keys()


def test_the_splits_are_frozen_disjoint_and_whole(gold, scheme):
    frozen = json.loads(bundled("data/splits.json").read_text(encoding="utf-8"))
    parts = {name: resolve(name, scheme) for name in SPLITS}
    for name, documents in parts.items():
        assert [d.id for d in documents] == frozen[name]
        assert split_hash(documents) == frozen["sha256"][name]
    ids = [d.id for documents in parts.values() for d in documents]
    assert sorted(ids) == sorted(d.id for d in gold)


def test_no_family_of_articles_stands_in_two_splits(scheme):
    train, dev, test = (resolve(name, scheme) for name in ("train", "dev", "test"))
    families = [{place_and_year(d) for d in part} for part in (train, dev, test)]
    assert not families[0] & families[1] | families[0] & families[2] | families[1] & families[2]
    assert duplicates([*train, *dev, *test]) == []
    assert shared_sentences(train, [*dev, *test]) == []


def test_the_annotation_has_no_errors(gold, scheme):
    assert [str(f) for f in check(gold, scheme) if f.severity == "error"] == []
    # What does not read as a value is either no calendar time (当天, 今年春季) or names its unit oddly.
    unread = [f for f in check(gold, scheme) if f.rule == "value"]
    valued = sum(s.label in scheme.values for d in gold for s in d.spans)
    assert len(unread) < 0.02 * valued


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
