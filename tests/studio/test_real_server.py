"""The client against a real Label Studio: `make test-studio`.

The scenarios are recorded anew and compared with tests/data/studio; GONGBAO_RECORD=1 writes them there.
"""

import difflib
import json
import os
import time

import httpx
import pytest
import studio_exchange as exchange

from gongbao.corpus import resolve
from gongbao.files import bundled
from gongbao.label_studio import read_config, read_export
from gongbao.schema import GongbaoError
from gongbao.studio import Access, Server, open_project, pull, push
from gongbao.studio.local import VERSION, find_executable, signed_in


@pytest.mark.parametrize("name", exchange.SCENARIOS)
def test_a_scenario_goes_as_recorded(name, bench, studio, documents, tmp_path):
    way = exchange.Proxy(studio.url)

    def plan(wanted):
        way.plan = wanted

    way.kill = studio.kill
    folder = tmp_path / "work"
    folder.mkdir()
    clock = time.time()
    world = exchange.World(way, folder, documents, 5.0, clock, studio.sign_in.token, plan, bench.start)
    try:
        exchange.SCENARIOS[name](world)
    finally:
        way.down()
    notes = json.loads(json.dumps(way.notes, ensure_ascii=False).replace(studio.url, "http://127.0.0.1:8080"))
    recorded = {"label_studio": VERSION, "clock": clock, "exchanges": notes}
    assert studio.sign_in.token not in json.dumps(recorded)
    path = exchange.RECORDINGS / f"{name}.json"
    if os.environ.get("GONGBAO_RECORD"):
        exchange.keep(path, recorded)
    kept = json.loads(path.read_text(encoding="utf-8"))
    difference = list(
        difflib.unified_diff(exchange.lasting(kept["exchanges"]), exchange.lasting(notes), lineterm="", n=2)
    )
    assert not difference, "\n".join(difference[:60])


def test_the_whole_corpus_comes_back_as_it_went(server, tmp_path, record_property):
    xml = bundled("annotations/label_config.xml")
    config = read_config(xml)
    corpus = resolve("all", config.scheme)
    project = open_project(server, "corpus", xml.read_text(encoding="utf-8"), None)
    start = time.perf_counter()
    done = push(server, project.id, corpus, config)
    pushed = time.perf_counter()
    assert (done.added, done.skipped, done.notes) == (len(corpus), [], [])
    # As suggestions they are accepted, which makes annotations of them.
    server.sdk.actions.create(
        id="predictions_to_annotations", project=project.id, selected_items={"all": True, "excluded": []}
    )
    before = time.perf_counter()
    pulled = pull(server, project.id, tmp_path / "corpus.json", config)
    after = time.perf_counter()
    assert (pulled.tasks, pulled.annotations, pulled.findings, dict(pulled.dropped)) == (
        len(corpus),
        len(corpus),
        [],
        {},
    )
    home = read_export(tmp_path / "corpus.json", config)
    assert home.dropped == ()
    assert exchange.shape(home.documents) == exchange.shape(corpus)
    spans, links = (sum(len(getattr(d, what)) for d in home.documents) for what in ("spans", "links"))
    print(
        f"\n{len(corpus)} articles, {spans} spans, {links} links equal; push {(pushed - start) / len(corpus) * 1000:.1f} ms, "
        f"pull {(after - before) / len(corpus) * 1000:.1f} ms an article"
    )


ODD = "第一行\r\n第二行：２０２３年，全镇👨‍👩‍👧𠮷野完成财政收入2.3亿元\u2028\tA\ufeffB。"


def test_odd_characters_keep_their_offsets(server, documents, tmp_path):
    from gongbao.schema import Document, Span

    start = ODD.index("财政收入")
    odd = Document("odd", ODD, {}, (Span(start, start + 4, "METRIC", "财政收入", "s1"),))
    xml = bundled("annotations/label_config.xml")
    config = read_config(xml)
    project = open_project(server, "odd characters", xml.read_text(encoding="utf-8"), None)
    push(server, project.id, [odd], config, as_="annotations")
    pull(server, project.id, tmp_path / "odd.json", config)
    assert exchange.shape(read_export(tmp_path / "odd.json", config).documents) == exchange.shape([odd])


@pytest.mark.filterwarnings("ignore:The `parse_obj` method")  # the SDK uses it
def test_personal_access_tokens_are_exchanged_and_wrong_ones_refused(studio, server, documents, tmp_path):
    token = server.sdk.tokens.create().token
    xml = bundled("annotations/label_config.xml").read_text(encoding="utf-8")
    with Server(Access(studio.url, token)) as personal:
        assert open_project(personal, "by personal token", xml, None).title == "by personal token"
    for wrong in ("0" * 40, token[:-3] + "abc"):
        with Server(Access(studio.url, wrong)) as stranger:
            with pytest.raises(GongbaoError, match="does not accept the token") as refused:
                open_project(stranger, "by nobody", xml, None)
            assert wrong not in str(refused.value)


def test_another_configuration_is_refused_and_the_layout_of_it_is_not(server):
    xml = bundled("annotations/label_config.xml").read_text(encoding="utf-8")
    project = open_project(server, "configured", xml, bundled("annotations/guidelines.zh.md"))
    assert (
        "<table>" in server.sdk.projects.get(project.id).expert_instruction
        or "<h1>" in project.expert_instruction
    )
    assert (
        open_project(server, "configured", "<!-- moved -->\n" + xml.replace("  <Label", "\t<Label"), None).id
        == project.id
    )
    with pytest.raises(GongbaoError, match=r"(?s)-.*METRIC.*\+.*PLACE"):
        open_project(server, "configured", xml.replace('value="METRIC"', 'value="PLACE"'), None)


def test_a_started_server_calls_nobody_and_is_found_again(studio, monkeypatch):
    found = signed_in(studio.folder)
    assert found.url == studio.url
    assert (studio.folder / "sign-in.json").stat().st_mode & 0o77 == 0
    page = httpx.get(f"{studio.url}/user/login/", trust_env=False)
    assert page.status_code == 200
    assert found.token not in studio.log.read_text(encoding="utf-8")
    assert find_executable().is_file()
