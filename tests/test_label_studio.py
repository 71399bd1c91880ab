"""Label Studio's JSON, real and broken, to documents and back."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongbao.files import bundled
from gongbao.label_studio import (
    LabelConfig,
    Reason,
    read_config,
    read_export,
    to_export,
    to_tasks,
)
from gongbao.schema import DataError, Document, LabelScheme, Link, Role, Span, UsageError
from gongbao.statistics import agreements

RECORDED = Path(__file__).parent / "data" / "label_studio"
CONFIG = read_config(bundled("annotations/label_config.xml"))
TEXT = "上半年财政收入2.3亿元,同比增长11.2%"  # 0-3 TIME, 3-7 METRIC, 7-12 AMOUNT, 17-22 AMOUNT


def region(start, end, *labels, id="a", said=None, **other):
    value = {"start": start, "end": end, "labels": list(labels)} | ({} if said is None else {"text": said})
    return {"id": id, "from_name": "label", "to_name": "text", "type": "labels", "value": value} | other


def relation(head, tail, *labels, direction="right", **other):
    ends = {"type": "relation", "from_id": head, "to_id": tail, "direction": direction}
    return ends | ({"labels": list(labels)} if labels else {}) | other


METRIC, AMOUNT = region(3, 7, "METRIC", id="m"), region(7, 12, "AMOUNT", id="v")
VALUE = relation("m", "v", "VALUE")


def annotation(*result, id=1, **other):
    return {"id": id, "completed_by": 1, "result": list(result), "was_cancelled": False} | other


def task(*annotations, id=1, text=TEXT, data=None, **other):
    return {
        "id": id,
        "data": {"text": text} if data is None else data,
        "annotations": list(annotations),
    } | other


def read(*result, config=CONFIG, text=TEXT):
    """The import of one task with one annotation that holds these regions and relations."""
    return read_export([task(annotation(*result), text=text)], config)


def shape(document):
    links = sorted((k.head, k.tail, k.role) for k in document.links)
    return document.id, document.text, [(s.id, *s.key) for s in document.spans], links


def reasons(findings):
    return [finding.reason for finding in findings]


def documents():
    lines = (RECORDED / "documents.jsonl").read_text(encoding="utf-8").split("\n")
    return [Document.from_json(json.loads(line), CONFIG.scheme) for line in lines if line]


def drawn(export):
    """What an export says: the regions of each annotation, and the arrows that its relations stand for."""
    said = {}
    for item in export:
        for source in (*item["annotations"], *item["predictions"]):
            for r in source["result"]:
                key = item["id"], source["id"]
                if r["type"] == "relation":
                    right, left = (r["from_id"], r["to_id"]), (r["to_id"], r["from_id"])
                    ways = {"right": [right], "left": [left], "bi": [right, left]}[r["direction"]]
                    arrows = {(*way, label) for way in ways for label in r.get("labels", [None])}
                    said.setdefault(key, set()).update(arrows)
                else:
                    value, where = r["value"], (r["from_name"], r["to_name"], r["type"])
                    place = value.get("start"), value.get("end"), *value.get("labels", [])
                    said.setdefault(key, set()).add((r["id"], *where, *place))
    return said


# ------------------------------------------------------------------------------------ configuration


def test_the_bundled_configuration_carries_the_whole_scheme():
    heads, tails = ("METRIC", "PROJECT"), ("AMOUNT",)
    assert CONFIG.scheme == LabelScheme(
        labels=("METRIC", "AMOUNT", "PROJECT", "ORG", "TIME"),
        roles=tuple(Role(name, heads, tails) for name in ("VALUE", "CHANGE", "COMPLETION")),
        values={"AMOUNT": "amount", "TIME": "period"},
    )
    assert (CONFIG.to_name, CONFIG.data_key, CONFIG.text_is_url) == ("text", "text", False)
    assert set(CONFIG.controls.values()) == {"label"}


def test_any_labels_names_and_several_controls():
    config = read_config(RECORDED / "mixed.xml")
    assert config.scheme == LabelScheme(
        ("人物", "PLACE", "DATE", "SEASON"), (Role("lives"), Role("works"))
    )  # an alias is what regions carry
    assert dict(config.controls) == {"人物": "ner", "PLACE": "ner", "DATE": "when", "SEASON": "when"}
    assert (config.to_name, config.data_key) == ("body", "article.body")


def xml(labels='<Label value="A"/>', text='<Text name="t" value="$text"/>', more=""):
    return f'<View>\n<Labels name="n" toName="t">\n{labels}\n</Labels>\n{text}\n{more}\n</View>'


def test_plain_configurations_are_fine():
    config = read_config(xml())
    assert config.scheme == LabelScheme(("A",))
    assert not config.scheme.allows("A", "A", "any")
    with_roles = read_config(xml(more='<Relations><Relation value="r"/></Relations>'))
    assert with_roles.scheme.allows("A", "A", "r")
    assert not with_roles.scheme.values


@pytest.mark.parametrize(
    "source",
    [
        "\ufeff  " + xml(),
        '<?xml version="1.0" encoding="gbk"?>' + xml('<Label value="A" hint="指标"/>'),
        xml("<View><Header value='x'/><label value='A'/></View>"),
        xml(more='<Labels name="i" toName="p"><Label value="B"/></Labels><Image name="p" value="$p"/>'),
    ],
)
def test_a_configuration_however_it_is_written(source):
    assert read_config(source).scheme.labels == ("A",)


def test_a_configuration_in_a_file_keeps_its_own_encoding(tmp_path):
    path = tmp_path / "config.xml"
    path.write_bytes(('<?xml version="1.0" encoding="gbk"?>' + xml('<Label value="指标"/>')).encode("gbk"))
    assert read_config(path).scheme.labels == ("指标",)
    assert read_config(str(path)).scheme.labels == ("指标",)


def test_a_text_under_an_address_is_told():
    assert read_config(xml(text='<Text name="t" value="$u" valueType="url"/>')).text_is_url


@pytest.mark.parametrize(
    ("source", "line", "problem"),
    [
        (xml(more="<Broken>"), 7, "no well-formed XML"),
        ("<", 1, "no well-formed XML"),
        (xml(labels=""), 2, "holds no <Label>"),
        (xml('<Label value="A"/>\n<Label value="A"/>'), 4, "'A' occurs twice"),
        (xml("<Label/>"), 3, "has no value"),
        (xml('<Label value="A" normalise="money"/>'), 3, "'money'"),
        (xml(more='<Relations><Relation value="r" heads="A, B"/></Relations>'), 6, "'B'"),
        (xml(more='<Relations>\n<Relation value="r"/>\n<Relation value="r"/></Relations>'), 8, "'r' twice"),
        (xml(more="<Relations><Relation/></Relations>"), 6, "has no value"),
        (xml(text='<HyperText name="t" value="$text"/>'), 2, "<labels> label <hypertext>"),
        (xml().replace("Labels", "HyperTextLabels"), 2, "<hypertextlabels> label <text>"),
        (xml(text='<Text name="other" value="$text"/>'), 2, "there is no <Labels> on a <Text>"),
        ("<View/>", 1, "there is no <Labels> on a <Text>"),
        (xml(text='<Text name="t" value="$text" encoding="base64"/>'), 5, "base64"),
        (xml(text='<Text name="t" value="$a und $b"/>'), 5, "not one field"),
        (xml().replace('name="n" ', ""), 2, "needs a name"),
        (xml().replace('toName="t"', 'toName="t" value="$labels"'), 2, "come from the tasks' data"),
        (
            xml(more='<Text name="u" value="$u"/><Labels name="m" toName="u"><Label value="B"/></Labels>'),
            6,
            "several texts",
        ),
    ],
)
def test_a_configuration_that_cannot_be_used(source, line, problem):
    with pytest.raises(DataError) as error:
        read_config(source)
    assert problem in str(error.value)
    assert error.value.record == f"line {line}"


def test_the_file_of_a_configuration_is_named(tmp_path):
    path = tmp_path / "config.xml"
    with pytest.raises(DataError, match=r"config\.xml: the file cannot be read"):
        read_config(path)
    path.write_text(xml(labels=""), encoding="utf-8")
    with pytest.raises(DataError, match=r"config\.xml, line 2"):
        read_config(path)


def test_entities_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hidden", encoding="utf-8")
    head = f'<!DOCTYPE View [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    config = read_config(head + xml('<Label value="A"/>&x;'))
    assert config.scheme.labels == ("A",)


def test_controls_and_scheme_must_agree():
    with pytest.raises(DataError, match="controls"):
        LabelConfig(LabelScheme(("A", "B")), {"A": "n"})


# ---------------------------------------------------------------------------------- recorded exports


@pytest.mark.parametrize("name", ["annotations", "browser"])
def test_a_real_server_gives_back_what_it_got(name):
    """`browser` was loaded and saved again by Label Studio's own front end."""
    result = read_export(RECORDED / f"{name}.json", CONFIG)
    assert [shape(d) for d in result.documents] == [shape(d) for d in documents()]
    assert not result.dropped
    assert not result.notes
    for before, after in zip(documents(), result.documents, strict=True):
        assert {**before.meta} == {k: v for k, v in after.meta.items() if k != "label_studio"}
        assert all(span.score is None for span in after.spans)


def test_predictions_come_back_with_scores():
    result = read_export(RECORDED / "predictions.json", CONFIG, choose="predictions")
    assert [shape(d) for d in result.documents] == [shape(d) for d in documents()]
    for before, after in zip(documents(), result.documents, strict=True):
        assert [s.score for s in before.spans] == [s.score for s in after.spans]
        assert after.model == {"version": "m-1"}
    unread = read_export(RECORDED / "predictions.json", CONFIG)
    assert not unread.documents
    assert unread.counts == {str(Reason.ONLY_PREDICTED): len(documents())}


def test_json_min_has_no_links_and_says_so():
    result = read_export(RECORDED / "json_min.json", CONFIG)
    assert [(d.text, [s.key for s in d.spans]) for d in result.documents] == [
        (d.text, [s.key for s in d.spans]) for d in documents()
    ]
    assert [d.id for d in result.documents] == [f"task-{n}" for n in range(1, len(documents()) + 1)]
    assert not any(d.links for d in result.documents)
    assert reasons(result.notes) == [Reason.JSON_MIN]
    assert result.documents[0].meta["title"] == documents()[0].meta["title"]


@pytest.mark.parametrize("name", ["annotations", "browser", "json_min"])
def test_the_configuration_can_be_inferred(name):
    result = read_export(RECORDED / f"{name}.json")
    given = read_export(RECORDED / f"{name}.json", CONFIG)
    assert [shape(d) for d in result.documents] == [shape(d) for d in given.documents]
    assert set(result.config.scheme.labels) == {"METRIC", "AMOUNT", "PROJECT", "ORG", "TIME"}
    assert result.config.to_name == "text"


def test_a_real_project_of_another_kind():
    result = read_export(RECORDED / "mixed.json", read_config(RECORDED / "mixed.xml"))
    first, second, third, empty = result.documents
    assert [d.id for d in result.documents] == ["101", "102", "103", "104"]
    assert sorted((k.head, k.tail, k.role) for k in first.links) == [
        ("l1", "l2", "lives"), ("l1", "l2", "works"), ("l2", "l1", "lives"), ("l2", "l1", "works"),
        ("p1", "l1", "lives"), ("p1", "l2", "works"),
    ]  # fmt: skip
    assert first.meta["article"] == {"title": "一"}
    assert second.meta["label_studio"]["annotator"] == "2"
    assert [(s.id, s.text) for s in third.spans] == [
        ("x1", "生活,\r\n3")
    ]  # value.text has a literal \n there
    assert not empty.spans
    assert sorted(reasons(result.dropped)) == sorted(
        [
            Reason.OTHER_TYPE, Reason.OTHER_TYPE, Reason.NO_ROLE, Reason.NOT_CHOSEN, Reason.CANCELLED,
            Reason.OVERLAP, Reason.BAD_OFFSETS, Reason.END_GONE, Reason.DRAFT,
        ]
    )  # fmt: skip
    assert not result.notes
    assert result.counts[str(Reason.OTHER_TYPE)] == 2


def test_the_same_project_as_json_min_and_without_its_configuration():
    given = read_export(RECORDED / "mixed_json_min.json", read_config(RECORDED / "mixed.xml"))
    assert [d.id for d in given.documents] == ["task-7", "task-8", "task-9", "task-10"]
    assert given.documents[0].meta["kind"] == "news"  # JSON_MIN mixes other controls with the data
    inferred = read_export(RECORDED / "mixed_json_min.json")
    assert inferred.config.data_key == "article.body"
    assert [shape(d) for d in inferred.documents] == [shape(d) for d in given.documents]


@pytest.mark.parametrize(
    ("name", "choose"), [("annotations", "best"), ("browser", "all"), ("predictions", "predictions")]
)
def test_an_export_comes_back_whole(name, choose):
    export = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    back = to_export(read_export(export, CONFIG, choose=choose).documents, CONFIG)
    assert drawn(back) == drawn(export)
    for before, after in zip(export, back, strict=True):
        for key in ("id", "data", "meta"):
            assert after[key] == before[key]
        for a, b in zip(before["annotations"], after["annotations"], strict=True):
            assert {k: a[k] for k in b if k != "result"} == {k: b[k] for k in b if k != "result"}


def test_several_annotators_come_back_into_one_task():
    config = read_config(RECORDED / "mixed.xml")
    export = json.loads((RECORDED / "mixed.json").read_text(encoding="utf-8"))
    result = read_export(export, config, choose="all")
    assert [d.id for d in result.documents] == ["101@1", "102@1", "102@2", "103@1", "104@1"]
    back = to_export(result.documents, config)
    assert [(t["id"], [a["completed_by"] for a in t["annotations"]]) for t in back] == [
        (7, [1]), (8, [1, 2]), (9, [1]), (10, [1]),
    ]  # fmt: skip
    assert back[0]["data"] == export[0]["data"] | {"id": "101"}
    lost = {r for key, said in drawn(export).items() for r in said - drawn(back).get(key, set())}
    # The choice, the note, a relation without a label, two labels, the slip, offsets behind the end and its
    # relation, and the cancelled annotation.
    assert len(lost) == 8
    assert not {r for key, said in drawn(back).items() for r in said - drawn(export)[key]}


# ------------------------------------------------------------------------------------------- policy


def test_ground_truth_comes_first_then_the_last_update():
    old = annotation(METRIC, id=1, updated_at="2024-01-01T00:00:00Z")
    new = annotation(AMOUNT, id=2, updated_at="2024-01-02T00:00:00.5+00:00")
    local = annotation(id=3, updated_at="2024-01-01T23:59:00")
    broken = annotation(id=4, updated_at="yesterday")
    truth = annotation(METRIC, AMOUNT, id=5, ground_truth=True)
    refused = annotation(id=6, ground_truth=True, was_cancelled=True, updated_at="2025-01-01T00:00:00Z")

    def best(*annotations):
        result = read_export([task(*annotations)], CONFIG)
        return result.documents[0].meta["label_studio"]["annotation"], sorted(reasons(result.dropped))

    others = [Reason.NOT_CHOSEN] * 3
    assert best(new, old, local, broken) == (2, others)
    assert best(broken, old, new, truth) == (5, others)
    assert best(new, refused) == (2, [Reason.CANCELLED])
    assert best(broken, annotation(id=7)) == (7, [Reason.NOT_CHOSEN])  # no times: the later in the file


def test_all_annotations_for_agreement():
    one = annotation(METRIC, id=1, completed_by={"id": 7, "email": "a@example.org"}, lead_time=3.5)
    two = annotation(METRIC, AMOUNT, id=2, completed_by="b")
    three = annotation(id=3, completed_by=None)
    again = annotation(id=4, completed_by={"email": "c"})
    result = read_export(
        [task(one, two, three, again, two, data={"text": TEXT, "id": "x"})], CONFIG, choose="all"
    )
    assert [d.id for d in result.documents] == ["x@7", "x@b", "x@unknown", "x@c", "x@b~2"]
    assert result.documents[0].meta["label_studio"] == {
        "task": 1, "annotation": 1, "annotator": "7", "lead_time": 3.5, "document": "x",
    }  # fmt: skip
    assert not result.dropped
    assert reasons(result.notes) == [Reason.TASK_ID]


def test_the_best_annotation_of_each_annotator():
    early = annotation(
        METRIC, id=1, completed_by={"email": "li@example.org"}, updated_at="2025-03-01T08:00:00Z"
    )
    late = annotation(
        METRIC, AMOUNT, id=2, completed_by={"email": "li@example.org"}, updated_at="2025-03-02T08:00:00Z"
    )
    other = annotation(AMOUNT, id=3, completed_by=7)
    skipped = annotation(id=4, completed_by=8, was_cancelled=True)
    given = [task(late, other, early, skipped, drafts=[annotation(METRIC)], data={"text": TEXT, "id": "x"})]
    result = read_export(given, CONFIG, choose="annotators")
    assert [(d.id, len(d.spans)) for d in result.documents] == [("x@li", 2), ("x@7", 1)]
    assert reasons(result.dropped) == [Reason.DRAFT, Reason.CANCELLED, Reason.NOT_CHOSEN]


def test_tasks_with_one_id_are_told_apart_and_their_annotators_are_not():
    data = {"text": TEXT, "id": "x"}
    given = [
        task(*(annotation(METRIC, id=10 * n + by, completed_by=by) for by in (3, 4)), data=data)
        for n in (1, 2)
    ]
    result = read_export(given, CONFIG, choose="annotators")
    assert [d.id for d in result.documents] == ["x@3", "x@4", "x~2@3", "x~2@4"]
    assert reasons(result.notes) == [Reason.TASK_ID]
    assert list(agreements(result.documents)) == [("3", "4")]


@pytest.mark.parametrize(
    ("tasks", "dropped"),
    [
        ([task(annotation())], []),
        ([task(annotation(METRIC, was_cancelled=True))], [Reason.CANCELLED]),
        ([task(drafts=[annotation(METRIC), 5])], [Reason.DRAFT, Reason.DRAFT]),
        ([task()], [Reason.NOT_ANNOTATED]),
        ([task(predictions=[4])], [Reason.ONLY_PREDICTED]),
        ([task(17)], [Reason.ONLY_ID]),
        ([task({"id": 3, "result": None})], [Reason.NO_RESULT]),
        ([task(annotation(), data={"title": TEXT})], [Reason.NO_TEXT]),
        ([task(annotation(), text="")], [Reason.NO_TEXT]),
        ([task(annotation(), text=None)], [Reason.NO_TEXT]),
        ([task(annotation(), text=["a"])], [Reason.NOT_TEXT]),
        ([task(annotation(), text="https://example.org/a.txt")], [Reason.URL]),
        ([task(annotation(), text="https://example.org/ 是网址")], []),
    ],
)
def test_tasks_that_give_no_document(tasks, dropped):
    result = read_export(tasks, CONFIG)
    assert reasons(result.dropped) == dropped
    assert len(result.documents) == (not dropped)
    assert all(finding.task == "1" for finding in result.dropped)


def test_texts_under_addresses_are_not_followed():
    config = read_config(xml(text='<Text name="t" value="$text" valueType="url"/>'))
    result = read_export([task(annotation(), text="/data/upload/1/a.txt")], config)
    assert reasons(result.dropped) == [Reason.URL]


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([METRIC, METRIC | {"id": "n"}], Reason.DUPLICATE),
        ([region(5, 7, "METRIC"), METRIC], Reason.OVERLAP),
        ([METRIC, region(3, 7, "ORG")], Reason.OVERLAP),
        ([METRIC, region(0, 4, "TIME")], Reason.OVERLAP),
        ([METRIC, region(6, 8, "AMOUNT")], Reason.OVERLAP),
        ([METRIC, region(7, len(TEXT) + 1, "AMOUNT")], Reason.BAD_OFFSETS),
        ([METRIC, region(-1, 2, "TIME")], Reason.BAD_OFFSETS),
        ([METRIC, region(2, 2, "TIME")], Reason.BAD_OFFSETS),
        ([METRIC, region(2, 1, "TIME")], Reason.BAD_OFFSETS),
        ([METRIC, region(0, 10**30, "TIME")], Reason.BAD_OFFSETS),
        ([METRIC, region(0.5, 2, "TIME")], Reason.BAD_OFFSETS),
        ([METRIC, region("/p[1]/text()[1]", "3", "TIME")], Reason.BAD_OFFSETS),
        ([METRIC, region(False, True, "TIME")], Reason.BAD_OFFSETS),
        ([METRIC, region(0, 3)], Reason.NO_LABEL),
        ([METRIC, region(0, 3, "TIME", "ORG")], Reason.SEVERAL_LABELS),
        ([METRIC, region(0, 3, "DATE")], Reason.UNKNOWN_LABEL),
        ([METRIC, region(0, 3, "TIME", from_name="other")], Reason.OTHER_CONTROL),
        ([METRIC, region(0, 3, "TIME", to_name="other")], Reason.OTHER_TEXT),
        ([METRIC, region(0, 3, "TIME", type="choices")], Reason.OTHER_TYPE),
        ([METRIC, region(0, 3, "TIME", value=None)], Reason.OTHER_TYPE),
        ([METRIC, "m"], Reason.OTHER_TYPE),
    ],
)
def test_regions_that_give_no_span(items, reason):
    result = read(*items)
    assert reasons(result.dropped) == [reason]
    assert [s.key for s in result.documents[0].spans] == [(3, 7, "METRIC")]


def test_whole_numbers_may_be_written_as_floats():
    assert read(region(3.0, 7.0, "METRIC")).documents[0].spans[0].key == (3, 7, "METRIC")


def test_edges_stay_as_they_were_drawn():
    text = " 财政收入,\n"
    assert read(region(0, 7, "METRIC"), text=text).documents[0].spans[0].text == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("收入\r\n很高", "收入\\n很高"),
        ("收入\n很高", "收入\\n很高"),
        ("收入\r很高", "收入\r\n很高"),
        ("收\u2028入\u3000很\ufeff高", "收 入 很高"),
        ("\\new", "\\new"),
        ("🇨🇳👨‍👩‍👧𠮷", "🇨🇳👨‍👩‍👧𠮷"),
    ],
)
def test_a_region_s_own_text_is_never_used(text, said):
    whole = f"😀{text}尾"
    result = read(region(1, 1 + len(text), "ORG", said=said), text=whole)
    assert result.documents[0].spans[0].text == text
    assert not result.notes


def test_offsets_that_have_shifted_are_noticed():
    result = read(region(2, 6, "METRIC", said="财政收入"))
    assert result.documents[0].spans[0].text == "年财政收"
    assert reasons(result.notes) == [Reason.TEXT_DIFFERS]
    assert not result.dropped
    assert "'财政收入' is '年财政收' at 2-6" in str(result.notes[0])


def test_ids_of_regions_are_made_unique():
    items = [
        METRIC | {"id": ""},
        region(0, 3, "TIME", id=5),
        region(7, 12, "AMOUNT", id="5"),
        region(17, 22, "AMOUNT", id="s1"),
    ]
    result = read(*items)
    assert [s.id for s in result.documents[0].spans] == ["5", "s1~2", "5~2", "s1"]
    assert reasons(result.notes) == [Reason.REGION_ID]


def test_ids_of_documents_are_made_unique():
    tasks = [
        task(annotation(), data={"text": "一", "id": 5}),
        task(annotation(), data={"text": "二", "id": "5"}),
        task(annotation(), data={"text": "三"}, meta={"id": "m"}),
        task(annotation(), data={"text": "四", "id": ""}, id=9),
        task(annotation(), data={"text": "五"}) | {"id": None},
    ]
    result = read_export(tasks, CONFIG)
    assert [d.id for d in result.documents] == ["5", "5~2", "m", "task-9", "record-5"]
    assert reasons(result.notes) == [Reason.TASK_ID]
    assert [t["data"]["id"] for t in to_export(result.documents, CONFIG)] == [
        "5",
        "5",
        "m",
        "task-9",
        "record-5",
    ]


def test_a_field_named_like_ours_is_noted():
    result = read_export([task(annotation(), data={"text": "一", "label_studio": 1})], CONFIG)
    assert reasons(result.notes) == [Reason.RESERVED]


def test_a_duplicate_hands_over_its_relations():
    result = read(METRIC, METRIC | {"id": "n"}, AMOUNT, relation("n", "v", "VALUE"))
    assert result.documents[0].links == (Link("m", "v", "VALUE"),)


PAIR = LabelConfig(
    LabelScheme(
        ("METRIC", "AMOUNT"), (Role("OF", ("METRIC",), ("AMOUNT",)), Role("SAME", ("AMOUNT",), ("AMOUNT",)))
    ),
    {"METRIC": "label", "AMOUNT": "label"},
)
FREE = LabelConfig(LabelScheme(("METRIC", "AMOUNT"), (Role("R"),)), PAIR.controls)
NONE = LabelConfig(LabelScheme(("METRIC", "AMOUNT")), PAIR.controls)


@pytest.mark.parametrize(
    ("config", "item", "links", "dropped"),
    [
        (CONFIG, VALUE, ["m>v:VALUE"], []),
        (CONFIG, relation("m", "v", "VALUE", direction=None), ["m>v:VALUE"], []),
        (CONFIG, relation("v", "m", "VALUE", direction="left"), ["m>v:VALUE"], []),
        (CONFIG, relation("v", "m", "VALUE", direction="bi"), ["m>v:VALUE"], []),
        (FREE, relation("v", "m", "R", direction="bi"), ["m>v:R", "v>m:R"], []),
        (CONFIG, relation("m", "v", "VALUE", "CHANGE", "VALUE"), ["m>v:CHANGE", "m>v:VALUE"], []),
        (CONFIG, relation("m", "v", "VALUE", "OTHER"), ["m>v:VALUE"], [Reason.UNKNOWN_ROLE]),
        (CONFIG, relation("v", "m", "VALUE"), [], [Reason.NOT_ALLOWED]),
        (CONFIG, relation("m", "v"), [], [Reason.NO_ROLE]),
        (PAIR, relation("m", "v"), ["m>v:OF"], []),
        (PAIR, relation("v", "m", direction="left"), ["m>v:OF"], []),
        (PAIR, relation("v", "m"), [], [Reason.NO_ROLE]),
        (NONE, relation("m", "v"), [], [Reason.NO_ROLE]),
        (NONE, VALUE, [], [Reason.UNKNOWN_ROLE]),
        (CONFIG, relation("m", "gone", "VALUE"), [], [Reason.END_GONE]),
        (CONFIG, relation(None, "v", "VALUE"), [], [Reason.END_GONE]),
        (CONFIG, relation("m", "m", "VALUE"), [], [Reason.TO_ITSELF]),
        (CONFIG, relation("m", "v", "VALUE", direction="up"), [], [Reason.BAD_DIRECTION]),
        (CONFIG, relation("m", "v", "VALUE", direction=["right"]), [], [Reason.BAD_DIRECTION]),
    ],
)
def test_relations(config, item, links, dropped):
    result = read(METRIC, AMOUNT, item, config=config)
    assert sorted(f"{k.head}>{k.tail}:{k.role}" for k in result.documents[0].links) == links
    assert reasons(result.dropped) == dropped


def test_a_relation_goes_with_its_region_and_is_there_once():
    slip = region(4, 5, "METRIC", id="slip")
    result = read(METRIC, slip, AMOUNT, relation("slip", "v", "VALUE"), VALUE, VALUE)
    assert result.documents[0].links == (Link("m", "v", "VALUE"),)
    assert reasons(result.dropped) == [Reason.OVERLAP, Reason.END_GONE, Reason.DUPLICATE_LINK]
    assert str(result.dropped[1]) == f"task 1, annotation 1, region slip→v: {Reason.END_GONE}"


def test_predictions_are_read_when_asked_for():
    def prediction(*result, id, version=None, created=None):
        return {
            "id": id,
            "result": list(result),
            "model_version": version,
            "created_at": created,
            "score": 0.5,
        }

    early = prediction(id=1, version="old", created="2024-01-01T00:00:00Z")
    scores = [METRIC | {"score": 0.5}, AMOUNT | {"score": True}, region(0, 3, "TIME", id="t", score=10**400)]
    late = prediction(*scores, VALUE | {"score": 0.25}, id=2, version="new", created="2024-02-01T00:00:00Z")
    tasks = [
        task(annotation(METRIC), predictions=[late, early]),
        task(annotation(), id=2),
        task(id=3, predictions=[8]),
    ]
    result = read_export(tasks, CONFIG, choose="predictions")
    assert reasons(result.dropped) == [Reason.NOT_CHOSEN, Reason.NOT_PREDICTED, Reason.ONLY_ID]
    document = result.documents[0]
    assert [s.score for s in document.spans] == [None, 0.5, None]
    assert document.links[0].score == 0.25
    assert document.model == {"version": "new"}
    assert to_export([document], CONFIG)[0]["predictions"][0]["model_version"] == "new"
    assert to_tasks([document], CONFIG)[0]["predictions"][0] == {
        "result": [
            {**region(0, 3, "TIME", id="t", said="上半年")},
            {**region(3, 7, "METRIC", id="m", said="财政收入"), "score": 0.5},
            {**region(7, 12, "AMOUNT", id="v", said="2.3亿元")},
            {**VALUE, "score": 0.25},
        ],
        "model_version": "new", "score": 0.5,
    }  # fmt: skip


def test_no_other_way_to_choose():
    with pytest.raises(UsageError, match="worst"):
        read_export([], CONFIG, choose="worst")


# ------------------------------------------------------------------------------- without configuration


def test_the_field_of_the_text_is_found_by_what_the_regions_say():
    data = {
        "title": "x" * 99,
        "page": {"body": TEXT, "n": 3},
        "note": "财政收入很长很长很长很长很长很长很长很长",
    }
    body = region(3, 7, "METRIC", said="财政收入", to_name="b", from_name="f")
    other = region(7, 12, "AMOUNT", said="2.3亿元", to_name="b", from_name="g", id="b")
    elsewhere = region(0, 1, "TITLE", to_name="headline", id="c")
    result = read_export([task(annotation(body, other, elsewhere, relation("a", "b", "OF")), data=data)])
    assert result.config == LabelConfig(
        LabelScheme(("AMOUNT", "METRIC"), (Role("OF"),)), {"METRIC": "f", "AMOUNT": "g"}, "b", "page.body"
    )
    assert [s.text for s in result.documents[0].spans] == ["财政收入", "2.3亿元"]
    assert result.documents[0].meta["page"] == {"n": 3}
    assert reasons(result.dropped) == [Reason.OTHER_CONTROL]


def test_the_field_named_text_wins_when_regions_say_nothing():
    data = {"title": "很长的标题" * 9, "text": TEXT}
    assert read_export([task(annotation(METRIC), data=data)]).config.data_key == "text"


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ([], "no region tells the labels"),
        ([task(annotation()), task(5), task({"result": 5})], "no region tells the labels"),
        ([task(annotation(METRIC), data={"n": 5})], "no task holds a text"),
    ],
)
def test_what_cannot_be_inferred(tasks, problem):
    with pytest.raises(DataError, match=problem) as error:
        read_export(tasks)
    assert "labelling configuration" in error.value.remedy


# ------------------------------------------------------------------------------------------ bad files

GOOD = json.dumps([task(annotation(METRIC, AMOUNT, VALUE))], ensure_ascii=False).encode()


def test_a_mark_at_the_start_is_no_error(tmp_path):
    path = tmp_path / "export.json"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD)
    assert len(read_export(path, CONFIG).documents) == 1
    assert len(read_export(str(path), CONFIG).documents) == 1


@pytest.mark.parametrize(
    ("content", "record", "problem"),
    [
        (b"", "line 1", "breaks off"),
        (GOOD[:-9], "line 1", "breaks off"),
        (GOOD[: GOOD.index("亿".encode())], "line 1", "breaks off"),
        (b"<html></html>", "line 1", "is a JSON list of tasks"),
        (b"[\n{},\n]", "line 3", "no JSON"),
        (GOOD.decode().encode("gbk"), None, "not UTF-8"),
        (GOOD.decode().encode("utf-16"), None, "not UTF-8"),
        (b"[" * 200_000, None, "JSON"),
        (b'[{"id": ' + b"9" * 5000 + b"}]", None, "digits"),
        (b'{"id": 1}', None, "a list of tasks, this is dict"),
        (b'"text"', None, "a list of tasks, this is str"),
        (b"[5]", "record 1", "a JSON object, this is 5"),
        (b'[{"text": "a"}]', "record 1", "has no data"),
        (b'[{"id": 7, "data": []}]', "task 7", "the task's data is"),
        (b'[{"id": 7, "data": {}, "annotations": {}}]', "task 7", "the task's annotations is"),
        (b'[{"id": 7, "data": {"n": NaN}}]', "task 7", "number nan"),
        (b'[{"id": 7, "data": {"n": [1e999]}}]', "task 7", "number inf"),
        (b'[{"id": 7, "data": {"text": "ab\\ud83d"}}]', "task 7", "half a character"),
        (b'[{"data": {"\\udc00": 1}}]', "record 1", "half a character"),
    ],
)
def test_files_that_are_no_export(tmp_path, content, record, problem):
    path = tmp_path / "export.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_export(path, CONFIG)
    assert problem in str(error.value)
    assert error.value.record == record
    assert error.value.file == path


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"export\.json: the file cannot be read"):
        read_export(tmp_path / "export.json", CONFIG)


# -------------------------------------------------------------------------------------------- writing


def document(**changes):
    spans = (Span(3, 7, "METRIC", "财政收入", "m", 0.5), Span(7, 12, "AMOUNT", "2.3亿元", "v", 1.0))
    return Document("d", TEXT, {"title": "题"}, spans, (Link("m", "v", "VALUE"),)).replace(**changes)


def test_tasks_for_import():
    [predicted] = to_tasks([document()], CONFIG, model_version="v2")
    assert predicted["data"] == {"id": "d", "title": "题", "text": TEXT}
    assert {k: v for k, v in predicted["predictions"][0].items() if k != "result"} == {
        "model_version": "v2", "score": 0.75,
    }  # fmt: skip
    [annotated] = to_tasks([document(spans=(), links=())], CONFIG, as_="annotations")
    assert annotated["annotations"] == [{"result": [], "ground_truth": False}]
    assert "score" not in to_tasks([document(spans=(), links=())], CONFIG)[0]["predictions"][0]


def test_what_a_task_had_goes_back_to_it():
    tasks = [task(annotation(METRIC, ground_truth=True, lead_time=2.5), meta={"k": 1})]
    [back] = to_tasks(read_export(tasks, CONFIG).documents, CONFIG, as_="annotations")
    assert back["meta"] == {"k": 1}
    assert back["annotations"][0]["ground_truth"] is True
    assert back["annotations"][0]["lead_time"] == 2.5


def test_numbers_are_given_where_there_are_none():
    known = read_export([task(annotation(id=2), id=1)], CONFIG).documents[0]
    odd = document(id="odd", meta={"label_studio": "not ours"})
    back = to_export([document(), known, odd], CONFIG)
    assert [(t["id"], t["annotations"][0]["id"]) for t in back] == [(2, 1), (1, 2), (3, 3)]
    assert back[0]["annotations"][0]["completed_by"] is None


def test_nested_and_odd_fields_of_the_text():
    nested = LabelConfig(CONFIG.scheme, CONFIG.controls, "body", "page.body")
    [made] = to_tasks([document(meta={"page": {"n": 1}})], nested)
    assert made["data"] == {"id": "d", "page": {"n": 1, "body": TEXT}}
    assert read_export([made], nested, choose="predictions").documents[0].meta["page"] == {"n": 1}
    alone = read_export([task(annotation(), data={"page": {"body": TEXT}})], nested).documents[0]
    assert "page" not in alone.meta
    flat = read_export([task(annotation(), data={"page.body": TEXT, "page": 3})], nested).documents[0]
    assert (flat.text, flat.meta["page"]) == (TEXT, 3)
    in_id = LabelConfig(CONFIG.scheme, CONFIG.controls, "text", "id")
    assert to_tasks([document()], in_id)[0]["data"]["id"] == TEXT
    assert read_export([task(annotation(), data={"id": TEXT})], in_id).documents[0].id == "task-1"


def test_links_between_the_same_spans_are_one_relation():
    spans = tuple(Span(n, n + 1, "METRIC", TEXT[n], "abc"[n]) for n in range(3))
    arrows = ["abR", "abS", "baS", "baR", "acR", "caS"]
    links = tuple(Link(*arrow) for arrow in arrows)
    both = LabelConfig(LabelScheme(("METRIC",), (Role("R"), Role("S"))), {"METRIC": "label"})
    [made] = to_export([document(spans=spans, links=links)], both)
    assert made["annotations"][0]["result"][3:] == [
        relation("a", "b", "R", "S", direction="bi"), relation("a", "c", "R"), relation("c", "a", "S"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "config", "problem"),
    [
        ({"meta": {"text": "x"}}, CONFIG, "'text' stands where"),
        ({"meta": {"id": "x"}}, CONFIG, "'id' stands where"),
        ({"meta": {"page": 5}}, LabelConfig(CONFIG.scheme, CONFIG.controls, "t", "page.body"), "no place"),
        ({}, LabelConfig(LabelScheme(("METRIC",)), {"METRIC": "n"}), "'AMOUNT' is not in the scheme"),
        ({}, NONE, "no 'VALUE' link"),
    ],
)
def test_what_cannot_be_written(changes, config, problem):
    for write in (to_tasks, to_export):
        with pytest.raises(DataError, match=problem) as error:
            write([document(**changes)], config)
        assert error.value.record == "d"


def test_no_other_way_to_import():
    with pytest.raises(UsageError, match="drafts"):
        to_tasks([], CONFIG, as_="drafts")


# ----------------------------------------------------------------------------------------- properties

ODD = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n\u2028\ufeff\t😀𠮷🇨‍️财2３。\\\x00")
SCHEME = LabelScheme(
    ("A", "B", "C"), (Role("r", ("A", "B"), ("B", "C")), Role("s"), Role("t", ("A",), ("C",)))
)
THREE = LabelConfig(SCHEME, {"A": "x", "B": "x", "C": "y"}, "t", "body")


@st.composite
def marked(draw):
    text = draw(st.text(ODD, min_size=1, max_size=30)) + "尾"
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    score = st.none() | st.floats(0, 1)
    spans = tuple(
        Span(a, b, draw(st.sampled_from(SCHEME.labels)), text[a:b], f"i{a}", draw(score))
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
    )
    arrows = [
        (h.id, t.id, r.name)
        for h in spans for t in spans for r in SCHEME.roles
        if h is not t and SCHEME.allows(h.label, t.label, r.name)
    ]  # fmt: skip
    links = (
        tuple(Link(*arrow, draw(score)) for arrow in draw(st.sets(st.sampled_from(arrows)))) if arrows else ()
    )
    names = st.text("abc", min_size=1).filter(lambda n: n not in ("id", "body", "label_studio"))
    meta = draw(st.dictionaries(names, st.none() | st.integers() | st.text(ODD)))
    return Document("d", text, meta, spans, links, scheme=SCHEME)


def whole(document, scored):
    spans = [(s.id, *s.key, s.text, s.score if scored else None) for s in document.spans]
    links = sorted((k.head, k.tail, k.role, repr(k.score if scored else None)) for k in document.links)
    meta = {k: v for k, v in document.meta.items() if k != "label_studio"}
    return document.id, document.text, meta, spans, links


@given(marked())
def test_nothing_is_lost_on_the_way_there_and_back(document):
    ways = {
        "predictions": to_tasks([document], THREE),
        "best": to_tasks([document], THREE, as_="annotations"),
        "all": to_export([document], THREE),
    }
    for choose, tasks in ways.items():
        again = read_export(json.loads(json.dumps(tasks)), THREE, choose=choose)
        scored = choose == "predictions"
        [back] = again.documents
        assert not again.dropped
        assert not again.notes
        if choose == "all":
            back = back.replace(id="d")
        assert whole(back, scored) == whole(document, scored)
        assert drawn(to_export(again.documents, THREE)).keys() <= {(1, 1)}


@given(marked())
def test_an_export_is_the_same_the_second_time(document):
    export = to_export([document], THREE)
    unscored = to_export(read_export(export, THREE).documents, THREE)
    assert drawn(unscored) == drawn(export)
    assert to_export(read_export(unscored, THREE).documents, THREE) == unscored


SCRAP = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["a", "label", "text", "labels", "relation", "METRIC", "AMOUNT", "VALUE", "left", "bi", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "type", "value", "labels", "start", "end", "text", "from_name", "to_name", "from_id",
                         "to_id", "direction", "data", "annotations", "predictions", "drafts", "result", "meta",
                         "annotation_id", "annotator", "label", "completed_by", "score"]), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip
REGIONS = st.builds(
    region,
    st.integers(-2, 25),
    st.integers(-2, 25),
    st.sampled_from(["METRIC", "AMOUNT", "odd"]),
    id=st.sampled_from("abc"),
)
RELATIONS = st.builds(
    relation, st.sampled_from("abc"), st.sampled_from("abc"), st.sampled_from(["VALUE", "odd"]),
    direction=st.sampled_from(["right", "left", "odd"]),
)  # fmt: skip


@given(st.lists(REGIONS | RELATIONS | SCRAP, max_size=8))
def test_every_region_and_relation_is_kept_or_accounted_for(items):
    result = read(*items)
    [document] = result.documents
    assert len(document.spans) + len(document.links) + len(result.dropped) >= len(items)
    if all(isinstance(i, dict) and "id" in i for i in items) and not any(
        i.get("type") == "relation" for i in items
    ):
        assert len(document.spans) + len(result.dropped) == len(items)


@given(
    st.lists(
        SCRAP | st.fixed_dictionaries({"data": SCRAP, "annotations": SCRAP, "predictions": SCRAP}), max_size=4
    )
)
@settings(max_examples=200)
def test_scrap_is_refused_or_accounted_for(records):
    for config in (CONFIG, None):
        for choose in ("best", "all", "predictions"):
            try:
                result = read_export(records, config, choose=choose)
            except DataError:
                continue
            assert result.documents or result.dropped or not records
