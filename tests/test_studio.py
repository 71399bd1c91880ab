"""The Label Studio client without Label Studio: what a real server answered is answered again, with the same faults."""

import io
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import types
from email.utils import formatdate
from pathlib import Path

import pytest
import studio_exchange as exchange
import typer
from hypothesis import given
from hypothesis import strategies as st

from gongbao.cli import app, main
from gongbao.corpus import write
from gongbao.files import bundled
from gongbao.label_studio import read_config, to_export
from gongbao.schema import DataError, Document, GongbaoError, UsageError
from gongbao.studio import Access, LocalStudio, Server, exports, find_access, pulling, pushing
from gongbao.studio.local import VERSION, SignIn, find_executable, settings, signed_in
from gongbao.studio.projects import find_project, open_project, people, to_html

XML = bundled("annotations/label_config.xml").read_text(encoding="utf-8")
CONFIG = read_config(XML)


@pytest.fixture(autouse=True)
def nothing_of_the_users(monkeypatch, tmp_path):
    """No server, token or keyring of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("GONGBAO_STUDIO", "GONGBAO_LABEL", "LABEL_STUDIO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GONGBAO_STUDIO", str(tmp_path / "no-studio"))
    monkeypatch.setitem(sys.modules, "keyring", None)


# ------------------------------------------------------------------------- what was recorded


@pytest.fixture
def replay():
    """Starts a server that answers from a recording; all of it must be asked for, in order."""
    started = []

    def start(name):
        recorded = json.loads((exchange.RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
        started.append(exchange.Replay(recorded["exchanges"]))
        started[-1].clock = recorded["clock"]
        return started[-1]

    yield start
    for way in started:
        way.down()
        assert way.wrong == []
        assert way.notes == []


@pytest.mark.parametrize("name", exchange.SCENARIOS)
def test_a_scenario_goes_with_the_recorded_answers(name, replay, documents, tmp_path):
    way = replay(name)
    # Only a recorded silence is waited out.
    timeout = 1.5 if '"slow"' in json.dumps(way.notes) else 20
    world = exchange.World(way, tmp_path, documents, timeout, way.clock)
    exchange.SCENARIOS[name](world)
    assert exchange.TOKEN not in "\n".join(world.said)


def test_every_recording_has_its_scenario_and_holds_no_secret():
    paths = sorted(exchange.RECORDINGS.glob("*.json"))
    assert {p.stem for p in paths} == set(exchange.SCENARIOS)
    for path in paths:
        text = path.read_text(encoding="utf-8").lower()
        assert "authorization" not in text
        assert "/home/" not in text


# --------------------------------------------------------------------------------- answers


class Answering(exchange.Listening):
    """A server that gives each request to a function."""

    def __init__(self, reply):
        self.reply = reply
        self.asked = []
        super().__init__(2.0)

    def answer(self, request, headers, body):
        self.asked.append(request)
        status, body, extra = (*self.reply(request), {})[:3]
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if text.startswith("<") else "application/json"
        return {"status": status, "type": kind, "headers": extra, "body": text}


@pytest.fixture
def answering():
    started = []

    def start(reply, **options):
        started.append(
            (way := Answering(reply), server := Server(Access(way.url, exchange.TOKEN), **options))
        )
        return way, server

    yield start
    for way, server in started:
        server.__exit__()
        way.down()


def ask(server, **options):
    return server.call("asking", lambda sdk: sdk.projects.get(1).title, **options)


@pytest.mark.parametrize(
    ("status", "body", "headers", "told"),
    [
        (401, {"detail": "Invalid token."}, {}, "does not accept the token: Invalid token"),
        (403, {"detail": "No."}, {}, "may not do that"),
        (404, {"detail": "Not found."}, {}, "there is no such thing: Not found"),
        (404, "<html>nothing here</html>", {}, "there is no such thing\n"),
        (400, {"validation_errors": {"title": ["too long"]}}, {}, "refuses (400): {'title': ['too long']}"),
        (413, "<html>too large</html>", {}, "no request of this size"),
        (302, "", {"Location": "https://studio.example.org/api"}, "sends on to https://studio.example.org/api"),
        (200, "<html>sign in</html>", {}, "not JSON"),
        (200, "[]", {}, "not in Label Studio's form"),
        (429, {}, {"Retry-After": "4000"}, "asks for 4000 s"),
    ],
)  # fmt: skip
def test_what_will_not_change_is_told_at_once(status, body, headers, told, answering):
    way, server = answering(lambda request: (status, body, headers), sleep=pytest.fail)
    with pytest.raises(GongbaoError) as raised:
        ask(server)
    assert told in str(raised.value)
    assert "→" in str(raised.value)
    assert exchange.TOKEN not in str(raised.value)
    assert len(way.asked) == 1


@pytest.mark.parametrize("given", ["7", formatdate(1_000_007, usegmt=True)])
def test_it_waits_as_long_as_the_server_asks(given, answering):
    waits, answers = (
        [],
        iter([(429, {}, {"Retry-After": given}), (503, "<html>"), (200, {"id": 1, "title": "t"})]),
    )
    _, server = answering(lambda request: next(answers), sleep=waits.append, clock=lambda: 1_000_000.0)
    assert ask(server) == "t"
    assert 7 <= waits[0] <= 8.4
    assert 2 <= waits[1] <= 2.4


def test_a_retry_after_that_says_nothing_is_passed_over(answering):
    answers = iter([(503, {}, {"Retry-After": "soon"}), (200, {"id": 1, "title": "t"})])
    assert ask(answering(lambda request: next(answers), sleep=lambda seconds: None)[1]) == "t"


def test_it_gives_up_after_all_pauses(answering):
    waits = []
    way, server = answering(lambda request: (500, {"detail": "locked"}), sleep=waits.append)
    with pytest.raises(GongbaoError, match=r"the server failed \(500\): locked"):
        ask(server)
    assert len(way.asked) == len(waits) + 1 == 6


def test_a_server_that_is_not_there_is_named():
    server = Server(Access("http://127.0.0.1:9", exchange.TOKEN), sleep=lambda seconds: None)
    with server, pytest.raises(GongbaoError, match="cannot be reached") as raised:
        ask(server)
    assert "http://127.0.0.1:9" in str(raised.value)


def test_what_is_wrong_with_us_stays_a_mistake_of_ours(answering):
    _, server = answering(lambda request: (200, {}))
    with pytest.raises(ZeroDivisionError):
        server.call("dividing", lambda sdk: 1 / 0)
    with pytest.raises(UsageError, match="our own"):
        server.call("refusing", lambda sdk: (_ for _ in ()).throw(UsageError("our own")))


def jwt_of(**claims):
    import jwt

    return jwt.encode(claims, "a key of thirty-two bytes or more, as they want", algorithm="HS256")


@pytest.mark.filterwarnings("ignore:The `parse_obj` method")  # the SDK uses it
def test_a_personal_token_is_exchanged(answering, monkeypatch):
    token, access = jwt_of(exp=4e9, token_type="refresh"), jwt_of(exp=4e9, token_type="access")
    bearers = []

    class Exchanging(Answering):
        def answer(self, request, headers, body):
            bearers.append(headers.get("Authorization"))
            return super().answer(request, headers, body)

    way = Exchanging(
        lambda r: (200, {"access": access} if r["path"].endswith("refresh/") else {"title": "t"})
    )
    try:
        with Server(Access(f"{way.url}/studio", token)) as server:
            assert ask(server) == "t"
    finally:
        way.down()
    assert [r["path"] for r in way.asked] == ["/studio/api/token/refresh/", "/studio/api/projects/1/"]
    assert bearers == [None, f"Bearer {access}"]


@pytest.mark.parametrize("reply", [(500, "<html>"), (401, {"detail": "Token is blacklisted"})])
def test_an_exchange_that_fails_is_told(reply, answering):
    way = Answering(lambda request: reply)
    try:
        server = Server(Access(way.url, jwt_of(exp=4e9)), sleep=lambda seconds: None)
        told = "form" if reply[0] == 500 else "blacklisted"
        with server, pytest.raises(GongbaoError, match=told):
            ask(server)
    finally:
        way.down()


def test_an_expired_token_is_told_before_anything_is_sent():
    with pytest.raises(GongbaoError, match="expired") as raised:
        Server(Access("http://127.0.0.1:9", jwt_of(exp=1)))
    assert "make a token" in str(raised.value)


# ---------------------------------------------------------------------------------- access


@pytest.mark.parametrize("url", ["studio", "ftp://studio", "http://", "http://li:secret@studio"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(UsageError) as raised:
        Access(url, "t")
    assert "→" in str(raised.value)


@pytest.mark.parametrize("token", ["", "a b", "令牌", "t\n"])
def test_what_is_no_token_is_refused_and_not_shown(token):
    with pytest.raises(UsageError) as raised:
        Access("http://studio", token)
    assert not token.strip() or token not in str(raised.value)


def test_no_repr_shows_the_token():
    assert "tok" not in repr(Access("http://studio", "tok"))
    assert "word" not in repr(SignIn("a@b.c", "word", "tok"))
    assert "tok" not in repr(SignIn("a@b.c", "word", "tok"))


def test_option_then_environment_then_keyring(monkeypatch):
    environment = {"LABEL_STUDIO_URL": "http://one/", "GONGBAO_STUDIO_TOKEN": "of-environment"}
    assert find_access(None, None, environment).url == "http://one"
    assert find_access("http://two", "given", environment) == Access("http://two", "given")
    assert find_access("http://two", None, environment).token == "of-environment"
    asked = []
    ring = types.SimpleNamespace(
        get_password=lambda service, user: asked.append((service, user)) or "of-ring"
    )
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert find_access("http://two/", None, {}).token == "of-ring"
    assert asked == [("gongbao", "http://two")]
    ring.get_password = lambda service, user: 1 / 0
    with pytest.raises(UsageError, match="no token for http://two"):
        find_access("http://two", None, {})


def test_the_local_servers_token_is_for_it_alone(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match="no Label Studio is named"):
        find_access(None, None, {})
    monkeypatch.setenv("GONGBAO_STUDIO", str(tmp_path))
    (tmp_path / "sign-in.json").write_text(
        json.dumps({"email": "a@b.c", "password": "p", "token": "local", "url": "http://127.0.0.1:1"})
    )
    assert find_access(None, None, {}) == Access("http://127.0.0.1:1", "local")
    with pytest.raises(UsageError, match="no token for http://elsewhere"):
        find_access("http://elsewhere", None, {})
    (tmp_path / "sign-in.json").write_text("[]")
    assert signed_in() is None


# -------------------------------------------------------------------------------- projects


def projects(*titles):
    """Replies as of a server with these projects; it takes all that is sent."""
    items = [
        {"id": n, "title": t, "label_config": XML, "expert_instruction": ""} for n, t in enumerate(titles, 1)
    ]

    def reply(request):
        if request["method"] != "GET":
            return 200, {"id": 9, **request.get("body", {})}
        tail = request["path"].split("?")[0].rstrip("/").rpartition("/")[2]
        if tail == "projects":
            return 200, {"count": len(items), "results": items}
        return (200, items[int(tail) - 1]) if int(tail) <= len(items) else (404, {"detail": "none"})

    return reply


def test_a_project_is_found_by_title_or_number(answering):
    _, server = answering(projects("one", "two", "two"))
    assert find_project(server, "one").id == 1
    assert find_project(server, "3").title == "two"
    assert find_project(server, "three") is None
    with pytest.raises(UsageError, match=r"(?s)2 projects.*2, 3.*--project 2"):
        find_project(server, "two")
    with pytest.raises(UsageError, match="3 to 50"):
        find_project(server, "ab")
    with pytest.raises(GongbaoError, match="looking up project 12"):
        find_project(server, "12")


def test_instructions_are_set_where_there_are_none_and_replaced_only_if_asked(answering, tmp_path):
    guide = tmp_path / "guide.html"
    guide.write_text("<p>so</p>")
    way, server = answering(projects("one"))
    open_project(server, "one", XML, guide)
    assert [r["body"]["expert_instruction"] for r in way.asked if r["method"] == "PATCH"] == ["<p>so</p>"]
    reply = projects("one")
    way, server = answering(
        lambda r: (
            (200, {**reply(r)[1], "expert_instruction": "own"}) if r["path"].endswith("/1/") else reply(r)
        )
    )
    open_project(server, "one", XML, guide)
    assert {r["method"] for r in way.asked} == {"GET"}
    open_project(server, "one", XML, guide, replace=True)
    assert [r["method"] for r in way.asked].count("PATCH") == 1


def test_a_project_whose_making_broke_off_is_looked_for(answering):
    made = []

    def reply(request):
        if request["method"] == "POST":
            made.append(request)
            return 502, "<html>"
        return projects(*["one"] * bool(made))(request)

    _, server = answering(reply, sleep=lambda seconds: None)
    assert open_project(server, "one", XML, None).id == 1
    assert len(made) == 1


def test_a_project_that_cannot_be_made_is_told(answering):
    reply = projects()
    _, server = answering(
        lambda r: (502, "<html>") if r["method"] == "POST" else reply(r), sleep=lambda seconds: None
    )
    with pytest.raises(GongbaoError, match="making the project"):
        open_project(server, "one", XML, None)


def test_another_configuration_is_refused_with_the_difference(answering):
    way, server = answering(projects("one"))
    other = XML.replace('value="METRIC"', 'value="PLACE"')
    with pytest.raises(DataError, match=r'(?s)-.*value="METRIC".*\+.*value="PLACE"') as raised:
        open_project(server, "one", other, None)
    assert "--config" in str(raised.value)
    open_project(server, "one", XML.replace("\n  <", "\n\n <").replace("<View>", "<View><!-- so -->"), None)
    with pytest.raises(DataError):
        open_project(server, "one", "<View", None)
    assert {r["method"] for r in way.asked} == {"GET"}


def test_guidelines_become_html_without_links_to_files(tmp_path):
    page = tmp_path / "guide.md"
    page.write_text("# 标注\n\n| a | b |\n|---|---|\n| [here](x.md#y) | [there](https://e.org) |\n", "utf-8")
    html = to_html(page)
    assert "<h1>标注</h1>" in html
    assert "<td>here</td>" in html
    assert '<a href="https://e.org">there</a>' in html
    page.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        to_html(page)
    with pytest.raises(UsageError, match="cannot be read"):
        to_html(tmp_path / "none.md")


def test_people_are_called_by_what_there_is(answering):
    users = [
        {"id": 1, "first_name": "立", "last_name": "", "username": "li", "email": "li@e.org"},
        {"id": 2, "first_name": "", "last_name": "", "username": "", "email": "wu@e.org"},
    ]
    assert people(answering(lambda r: (200, users))[1]) == {1: "立", 2: "wu@e.org"}
    assert people(answering(lambda r: (403, {}))[1]) == {}


# ------------------------------------------------------------------------------------ push


class Studio:
    """A little Label Studio: what the client needs of one, in memory, with the silences of the real one."""

    def __init__(self):
        self.tasks = []
        self.shown = None
        self.swallow = 0  # tasks that an import loses without a word
        self.count = None  # what an import says in place of its counts

    def __call__(self, request):
        path, _, query = request["path"].partition("?")
        if path.endswith("/import"):
            return self._import(request["body"])
        if path == "/api/tasks/":
            size, page = (int(query.split(f"{n}=")[1].split("&")[0]) for n in ("page_size", "page"))
            return 200, {"tasks": self.tasks[size * (page - 1) : size * page], "total": len(self.tasks)}
        if path.startswith("/api/tasks/"):
            number = int(path.split("/")[3])
            if request["method"] == "DELETE":
                self.tasks = [t for t in self.tasks if t["id"] != number]
                return 204, ""
            return 200, next(t for t in self.tasks if t["id"] == number)
        self.shown = request["body"]["model_version"]
        return 200, {}

    def _import(self, body):
        for task in body[self.swallow :]:
            self.add(task["data"], task)
        counts = {
            f"{what}_count": sum(len(t.get(f"{what}s", ())) for t in body)
            for what in ("annotation", "prediction")
        }
        return 201, self.count or {"task_count": len(body), **counts}

    def add(self, data, sent=None, **more):
        self.tasks.append({"id": len(self.tasks) + 1, "data": data, "sent": sent, **more})


@pytest.fixture
def studio(answering):
    """The little server, and a client of it."""
    little = Studio()
    return little, answering(little, sleep=lambda seconds: None)[1]


def text_document(n, text=None, **more):
    return Document(f"d{n}", text or f"第{n}号", **more)


def test_tasks_that_came_another_way_are_known_by_their_text(studio):
    little, server = studio
    little.add({"text": "第1号"})
    little.add({"text": "mended on the server", pushing.HASH: pushing.text_hash("第2号")})
    little.add({"other": 3})
    done = pushing.push(server, 1, map(text_document, range(1, 4)), CONFIG)
    assert done.skipped == [("d1", "task 1 has its text"), ("d2", "task 2 has its text")]
    assert done.to_json()["added"] == 1
    assert little.shown is None


def test_suggestions_that_no_model_made_have_a_name_all_the_same(studio, documents):
    little, server = studio
    pushing.push(server, 1, documents[:1], CONFIG)
    assert little.tasks[0]["sent"]["predictions"][0]["model_version"] == "from the file"
    assert little.shown is None  # nor do they take the place of a model's


def test_what_cannot_be_a_task_is_skipped_with_its_reason(studio):
    given = [text_document(1), text_document(2, "第1号"), text_document(3, " \n"), text_document(4, "a\0b")]
    done = pushing.push(studio[1], 1, given, CONFIG)
    assert [why for _, why in done.skipped] == [
        "d1 has the same text", "it has no text", "it holds a NUL character, which the server's database cannot",
    ]  # fmt: skip
    assert done.added == 1


def test_more_than_a_page_is_listed(studio):
    little, server = studio
    for n in range(250):
        little.add({"text": f"第{n}号"})
    done = pushing.push(server, 1, map(text_document, range(251)), CONFIG)
    assert (done.added, len(done.skipped)) == (1, 250)


def test_batches_are_bounded_by_number_and_size():
    tasks = [{"data": {"text": "字" * n}} for n in (1, 1, 1_000_000, 1_000_000, 2_000_000, 1)]
    sizes = [[len(t["data"]["text"]) for t in batch] for batch in pushing._batches(iter(tasks), 2)]
    assert sizes == [[1, 1], [1_000_000], [1_000_000], [2_000_000], [1]]


def test_nothing_is_read_ahead_of_a_batch(studio):
    """So much is held as one batch, however many there are."""
    little, server = studio
    ahead = []

    def given():
        for n in range(100):
            ahead.append(n - len(little.tasks))
            yield text_document(n)

    pushing.push(server, 1, given(), CONFIG, batch=10)
    assert max(ahead) <= 10


def test_a_models_suggestions_come_along_and_are_the_ones_that_are_shown(studio, tiny_model):
    from gongbao.extractor import Extractor

    little, server = studio
    extractor = Extractor.load(tiny_model)
    pushing.push(
        server,
        1,
        [text_document(1, "今年以来,全区固定资产投资达到46.8亿元。"), text_document(2, "无")],
        CONFIG,
        extractor=extractor,
    )
    one, other = (task["sent"]["predictions"][0] for task in little.tasks)
    assert {"METRIC", "AMOUNT"} <= {r["value"]["labels"][0] for r in one["result"] if "value" in r}
    assert 0 < one["score"] <= 1
    assert all(0 < r["score"] <= 1 for r in one["result"] if "value" in r)
    # A model that found nothing says so.
    assert (other["result"], other["model_version"]) == ([], one["model_version"])
    assert little.shown == one["model_version"]
    assert little.shown.startswith("tiny")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("swallow", 1, "1 of 2 tasks are not there"),
        ("count", {"task_count": 1, "annotation_count": 0, "prediction_count": 0}, "2 tasks were sent and the server counts 1"),
        ("count", {"task_count": 2, "annotation_count": 0, "prediction_count": 1}, "0 predictions were sent and the server counts 1"),
        ("count", {"import": 3}, "imports in the background"),
    ],
)  # fmt: skip
def test_what_the_server_does_silently_is_found_out(setting, value, told, studio):
    little, server = studio
    setattr(little, setting, value)
    with pytest.raises(GongbaoError, match=told) as raised:
        pushing.push(server, 1, map(text_document, range(2)), CONFIG)
    assert "→" in str(raised.value)


@pytest.mark.parametrize("touched", [False, True])
def test_a_double_of_another_push_goes_unless_somebody_worked_on_it(touched, studio):
    little, server = studio

    def given():
        yield text_document(1)
        # Somebody pushes the same at this moment.
        little.add({"text": "第1号"})
        little.add({"text": "第1号"}, total_annotations=int(touched))

    done = pushing.push(server, 1, given(), CONFIG)
    # The oldest stays; ours was the last.
    assert [t["id"] for t in little.tasks] == ([1, 2] if touched else [1])
    assert [("both were left" in n, "removed" in n) for n in done.notes] == [
        (touched, not touched),
        (False, True),
    ]


def test_an_import_that_never_succeeds_is_told_with_what_to_do(studio, monkeypatch):
    little, server = studio
    monkeypatch.setattr(little, "_import", lambda body: (500, {"detail": "disk full"}))
    with pytest.raises(GongbaoError, match="disk full") as raised:
        pushing.push(server, 1, [text_document(1)], CONFIG)
    assert "sends what is missing and nothing twice" in str(raised.value)


def test_a_push_that_is_killed_is_completed_by_the_next(given, answering):
    """The worst moment: the server has carried the import out, and the client dies before it hears of it."""
    little = Studio()

    def deadly(request):
        answer = little(request)
        if request["path"].endswith("/import") and len(little.tasks) == 4:
            process.kill()
        return answer

    def reply(request):
        is_project = re.match(r"/api/projects/(1/)?(\?|$)", request["path"])
        return projects("gongbao")(request) if is_project else deadly(request)

    way, _ = answering(reply)
    environment = os.environ | {"GONGBAO_STUDIO_URL": way.url, "GONGBAO_STUDIO_TOKEN": exchange.TOKEN}
    command = [
        sys.executable,
        "-c",
        "from gongbao.cli import run; run()",
        "studio",
        "push",
        str(given),
        "--batch",
        "2",
    ]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert "1 task added to project 1, gongbao, 4 skipped" in again.stderr
    assert len({t["data"][pushing.HASH] for t in little.tasks}) == len(little.tasks) == 5


# ---------------------------------------------------------------------------- exports


def read(text, size=1 << 18):
    class Slow(io.BytesIO):
        def read(self, wanted=-1):
            return super().read(min(wanted, size))

    return list(exports.tasks_in(Slow(text if isinstance(text, bytes) else text.encode()), "e.json"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("键ab]},", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(st.builds(lambda x: {"data": {"x": x}, "annotations": []}, JSON), max_size=4), st.sampled_from([1, 2, 7, 100]), st.sampled_from([None, 1]))  # fmt: skip
def test_an_export_is_read_in_pieces_as_at_once(tasks, size, indent):
    assert read(json.dumps(tasks, ensure_ascii=False, indent=indent), size) == tasks


@given(st.integers(0, 10_000), st.sampled_from([1, 9, 1000]))
def test_no_beginning_of_an_export_is_taken_for_the_whole(cut, size):
    whole = json.dumps(
        [{"data": {"t": "报告"}, "annotations": [{"result": []}]}] * 2, ensure_ascii=False
    ).encode()
    with pytest.raises(DataError, match=r"e\.json"):
        read(whole[: cut % len(whole)], size)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "stands where '\\['"), ("", "breaks off"), ("[1]", "no task"), ('[{"data": {}}]', "no task"),
        ('[{"data": {}, "annotations": []} {}]', "belongs"), ("[] []", "follows its end"), (b"\xff[", "utf-8"),
        ("[" * 100_000, "no whole export"), ("[" + "1" * 5000 + "]", "no whole export"),
    ],
)  # fmt: skip
def test_what_is_no_export_is_told(text, told):
    with pytest.raises(DataError, match=f"(?s){told}.*→"):
        read(text)


def test_nobody_is_left_in_an_export():
    user = {"id": 4, "email": "wu@example.org", "first_name": "吴"}
    task = {
        "id": 1, "data": {"text": "联系 office@example.org"}, "updated_by": [user], "reviews": [{"by": "wu@example.org"}],
        "annotations": [{"id": 2, "completed_by": user, "result": [{"meta": {"text": ["a@example.org"]}}]}],
        "drafts": [{"user": "li@example.org", "created_username": "立 li@example.org, 7", "created_ago": "1 minute", "result": []}, 5],
    }  # fmt: skip
    assert exports.without_people(task) == {
        "id": 1, "data": {"text": "联系 office@example.org"}, "updated_by": [4], "reviews": [{"by": None}],
        "annotations": [{"id": 2, "completed_by": 4, "result": [{"meta": {"text": ["a@example.org"]}}]}],
        "drafts": [{"result": [], "user": 7}, 5],
    }  # fmt: skip


# ------------------------------------------------------------------------------------ pull


class Exporting:
    """A little server that exports the tasks it is given."""

    def __init__(self, tasks):
        self.tasks = tasks
        self.number = len(tasks)
        self.states = ["completed"]
        self.md5 = None
        self.left = []
        self.deleted = []

    def __call__(self, request):
        path = request["path"].partition("?")[0]
        if path.endswith("/download"):
            return 200, json.dumps(self.tasks)
        if request["method"] == "DELETE":
            self.deleted.append(int(path.rstrip("/").rpartition("/")[2]))
            return 204, ""
        if request["method"] == "GET" and path.endswith("/exports/"):
            return 200, self.left
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return 200, {"id": 3, "status": state, "md5": self.md5, "counters": {"task_number": self.number}}


@pytest.fixture
def exporting(answering, documents):
    """A server with annotated tasks, a client of it, and its tasks."""
    tasks = to_export(documents[:3], CONFIG)
    for task in tasks:
        task["project"] = 1
    little = Exporting(tasks)
    return little, answering(little, sleep=lambda seconds: None, clock=lambda: 1_700_000_000.0)[1]


def pull(exporting, output, **options):
    return pulling.pull(exporting[1], 1, output, CONFIG, **options)


def test_the_file_is_in_the_order_of_the_tasks_whatever_the_servers_is(exporting, tmp_path):
    pull(exporting, tmp_path / "a.json")
    exporting[0].tasks.reverse()
    pulled = pull(exporting, tmp_path / "a.json")
    assert (pulled.written, list(tmp_path.iterdir())) == (False, [tmp_path / "a.json"])
    assert [t["id"] for t in json.loads((tmp_path / "a.json").read_text("utf-8"))] == [1, 2, 3]
    assert exporting[0].deleted == [3, 3]


def test_a_snapshot_is_waited_for_and_old_ones_are_cleared_away(exporting, tmp_path):
    little, _ = exporting
    little.states = ["created", "in_progress", "completed"]
    little.left = [
        {"id": 7, "title": pulling.TITLE, "created_at": "2023-11-14T20:00:00Z"},
        {"id": 8, "title": pulling.TITLE, "created_at": "2023-11-14T22:10:00Z"},  # somebody pulls right now
        {"id": 9, "title": "another's", "created_at": "2022-11-14T20:00:00Z"},
    ]
    assert pull(exporting, tmp_path / "a.json").written
    assert little.deleted == [7, 3]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: setattr(s, "states", ["failed"]), "could not make the snapshot"),
        (lambda s: setattr(s, "states", ["in_progress"]), "not done after"),
        (lambda s: setattr(s, "number", 4), "3 tasks came and the server counted 4"),
        (lambda s: setattr(s, "md5", "0" * 32), "not the snapshot"),
        (lambda s: s.tasks[0].pop("data"), "no task with data"),
        (lambda s: s.tasks[0].pop("id"), "has no number"),
        (lambda s: s.tasks[0]["data"].update(text="\ud800"), "half a character"),
        (lambda s: s.tasks[1].update(annotations=[]), "no longer on the server"),
        (lambda s: s.tasks[1]["annotations"][0].update(was_cancelled=True), "no longer on the server"),
        (lambda s: s.tasks[1]["data"].update(text="另一篇"), "no longer on the server"),
        (lambda s: s.tasks.clear() or setattr(s, "number", 0), "3 annotations that the file has"),
    ],
)  # fmt: skip
def test_what_is_broken_or_smaller_replaces_nothing(change, told, exporting, tmp_path):
    path = tmp_path / "a.json"
    pull(exporting, path)
    before = path.read_bytes()
    change(exporting[0])
    with pytest.raises(GongbaoError, match=told) as raised:
        pull(exporting, path)
    assert "→" in str(raised.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_export_or_anothers_is_left_alone(exporting, tmp_path):
    path = tmp_path / "a.json"
    for content, told in (("[{", "breaks off"), ('{"my": "notes"}', "no whole export")):
        path.write_text(content)
        with pytest.raises(DataError, match=told):
            pull(exporting, path)
        assert path.read_text() == content
    path.write_text(json.dumps([{**exporting[0].tasks[0], "project": 8}]))
    with pytest.raises(UsageError, match="an export of project 8, not of 1"):
        pull(exporting, path)


def test_versions_are_kept_under_their_dates(exporting, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    annotation = exporting[0].tasks[0]["annotations"][0]
    kept = []
    for n in range(4):
        annotation["result"] = annotation["result"][:-1]
        if n == 2:
            monkeypatch.setattr(
                os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("no links here"))
            )
        pulled = pull(exporting, path)
        kept.append(pulled.kept)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert kept[0] is None
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len(names) == 4
    assert all(name == "a.json" or name.startswith("a.2023-11-1") for name in names)
    assert len({p.read_bytes() for p in tmp_path.iterdir()}) == 4
    # A pull that was killed between the two names left the same content under both.
    assert pulling._keep(path) == pulling._keep(path)


def test_annotations_that_break_rules_are_listed_and_refused_if_asked(exporting, tmp_path):
    annotation = exporting[0].tasks[0]["annotations"][0]
    value = next(r["value"] for r in annotation["result"] if r.get("value", {}).get("labels") == ["METRIC"])
    value["end"] += 1  # into the amount behind it: an overlap
    exporting[0].tasks[1]["data"][pushing.HASH] = "of another text"
    exporting[0].tasks[2]["data"]["id"] = exporting[0].tasks[1]["data"]["id"]
    with pytest.raises(DataError, match="broken rules"):
        broken = exporting[0].tasks[1]["annotations"][0]["result"][0]["value"]
        broken["end"] = len(exporting[0].tasks[1]["data"]["text"])
        pull(exporting, tmp_path / "a.json", strict=True)
    assert not list(tmp_path.iterdir())
    pulled = pull(exporting, tmp_path / "a.json")
    assert pulled.written
    assert any("edge-mark" in str(f) for f in pulled.findings)
    assert pulled.dropped["the region overlaps a longer or earlier one"] >= 1
    assert sum("changed on the server" in n or "same id" in n for n in pulled.notes) == 2
    assert json.loads(json.dumps(pulled.to_json()))["findings"]


def test_two_annotators_of_a_task_are_both_kept(exporting, tmp_path):
    task = exporting[0].tasks[0]
    task["annotations"].append({**task["annotations"][0], "id": 99, "completed_by": 2})
    pulled = pull(exporting, tmp_path / "a.json")
    assert pulled.annotations == 4
    assert pulled.findings == []
    assert [c.by for c in pulled.changes if c.task == 1] == [None, 2]


# ------------------------------------------------------------------------------------- local

# What `label-studio start` does as far as LocalStudio can see it.
PROGRAM = """#!{python}
import http.server, json, os, signal, sys
folder = os.environ["LABEL_STUDIO_BASE_DATA_DIR"]
open(os.path.join(folder, "label_studio.sqlite3"), "w").close()
json.dump(dict(os.environ), open(os.path.join(folder, "environment.json"), "w"))
print("started with", sys.argv[1:], flush=True)
{extra}
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{{"status": "UP"}}')
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])), Health).serve_forever()
"""


@pytest.fixture
def program(tmp_path):
    """Makes a program that stands in for Label Studio's."""

    def make(extra=""):
        path = tmp_path / "label-studio"
        path.write_text(PROGRAM.format(python=sys.executable, extra=extra))
        path.chmod(0o755)
        return path

    return make


def test_a_local_server_is_started_found_and_stopped(program, tmp_path, monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_HOST", "http://of-another-server")
    folder = tmp_path / "a" / "data"
    with LocalStudio(folder, executable=program()) as studio:
        first = signed_in(folder)
        assert (first.url, first.email) == (studio.url, studio.sign_in.email)
        for path, mode in ((folder, 0o700), (folder / "sign-in.json", 0o600), (studio.log, 0o600)):
            assert stat.S_IMODE(path.stat().st_mode) == mode
        with pytest.raises(UsageError, match="runs already"), LocalStudio(folder, executable=program()):
            pass
        assert studio.is_running()
    assert not studio.is_running()
    assert signed_in(folder).url == ""
    seen = json.loads((folder / "environment.json").read_text())
    assert seen.items() >= settings(studio.url, folder, first).items()
    assert seen["LABEL_STUDIO_COLLECT_ANALYTICS"] == "false"
    with LocalStudio(folder, executable=program()) as again:
        assert (again.sign_in.password, again.sign_in.token) == (first.password, first.token)


def test_a_folder_of_another_program_keeps_its_accounts(program, tmp_path):
    (tmp_path / "label_studio.sqlite3").touch()
    with LocalStudio(tmp_path, executable=program()) as studio:
        assert studio.sign_in is None
    assert not (tmp_path / "sign-in.json").exists()
    assert "LABEL_STUDIO_PASSWORD" not in json.loads((tmp_path / "environment.json").read_text())


def test_a_server_that_dies_at_its_start_is_told_with_its_last_words(program, tmp_path):
    path = program('sys.exit("no such table: organisation")')
    with pytest.raises(GongbaoError, match=r"(?s)ended at its start.*no such table"):
        LocalStudio(tmp_path / "data", executable=path).__enter__()


def test_a_server_that_never_answers_is_given_up(program, tmp_path, monkeypatch):
    monkeypatch.setattr("gongbao.studio.local._PATIENCE", 0.3)
    studio = LocalStudio(tmp_path / "data", executable=program("import time; time.sleep(60)"))
    with pytest.raises(GongbaoError, match="did not answer within"):
        studio.__enter__()
    assert not studio.is_running()


def test_a_taken_port_is_not_silently_another(program, tmp_path):
    way = Answering(lambda request: (200, {}))
    try:
        with pytest.raises(UsageError, match="cannot be had"):
            LocalStudio(tmp_path / "data", int(way.url.rpartition(":")[2]), program()).__enter__()
    finally:
        way.down()


def test_a_server_that_does_not_listen_to_reason_is_killed(program, tmp_path, monkeypatch):
    monkeypatch.setattr("gongbao.studio.local._GENTLE", 0.2)
    with LocalStudio(
        tmp_path / "data", executable=program("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    ) as studio:
        pass
    assert not studio.is_running()


def test_label_studio_is_found_where_it_may_be(program, tmp_path, monkeypatch):
    path = program()
    assert find_executable({"GONGBAO_LABEL_STUDIO": str(path)}) == path
    (tmp_path / "env" / "bin").mkdir(parents=True)
    inside = tmp_path / "env" / "bin" / "label-studio"
    inside.symlink_to(path)
    assert find_executable({"GONGBAO_LABEL_STUDIO": str(tmp_path / "env")}) == inside
    assert find_executable({"PATH": str(tmp_path)}) == path
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_executable({"PATH": ""}) == path
    path.unlink()
    for environment in ({"PATH": ""}, {"GONGBAO_LABEL_STUDIO": str(tmp_path / "none")}):
        with pytest.raises(UsageError, match="pipx install label-studio"):
            find_executable(environment)


# --------------------------------------------------------------------------------------- command


def test_start_prints_the_address_and_ctrl_c_stops_it(program, tmp_path):
    environment = os.environ | {
        "GONGBAO_LABEL_STUDIO": str(program()),
        "GONGBAO_STUDIO": str(tmp_path / "data"),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", "from gongbao.cli import run; run()", "studio", "start"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    url = process.stdout.readline().strip()
    found = signed_in(tmp_path / "data")
    assert found.url == url
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert found.email in said
    assert str(tmp_path / "data" / "sign-in.json") in said
    assert found.password not in said  # it went to no terminal
    assert found.token not in said
    assert signed_in(tmp_path / "data").url == ""


def test_a_server_that_ends_by_itself_is_told(program, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(
        "GONGBAO_LABEL_STUDIO", str(program("import threading; threading.Timer(1.5, os._exit, [3]).start()"))
    )
    assert main(["studio", "start", "--data", str(tmp_path / "data")]) == 1
    assert "ended by itself (3)" in capsys.readouterr().err


PAGES = [Path(__file__).parents[1] / "docs" / name for name in ("studio.md", "studio.zh.md")]


def test_the_commands_on_both_pages_are_the_same_and_parse():
    one, other = (re.findall(r"^(gongbao studio .*)", page.read_text("utf-8"), re.M) for page in PAGES)
    assert [line.split("#")[0] for line in one] == [line.split("#")[0] for line in other]
    assert len(one) == 6
    for line in one:
        _, group, name, *arguments = shlex.split(line, comments=True)
        command = typer.main.get_command(app).commands[group].commands[name]
        assert command.make_context(name, arguments).params


def test_the_servers_of_a_team_are_as_quiet_as_the_local_one():
    text = (PAGES[0].parents[1] / "serve" / "studio" / "compose.yaml").read_text("utf-8")
    assert f"heartexlabs/label-studio:{VERSION}" in text
    for name in (
        "LABEL_STUDIO_COLLECT_ANALYTICS",
        "LABEL_STUDIO_LATEST_VERSION_CHECK",
        "SENTRY_DSN",
        "FRONTEND_SENTRY_DSN",
    ):
        assert f'{name}: "{settings("", Path(), None)[name]}"' in text
    assert VERSION in PAGES[0].read_text("utf-8")
    # A port without an address would be open to the network.
    assert re.findall(r'- "([^"]*:8080)"', text) == ["127.0.0.1:8080:8080"]


@pytest.fixture
def given(documents, tmp_path):
    path = tmp_path / "documents.jsonl"
    write(documents[:5], path)
    return path


def test_push_and_pull_from_the_command_line(replay, documents, given, tmp_path, monkeypatch, capsys):
    """The beginning of the recorded loop, with the guidelines and labels that come with gongbao."""
    way = replay("loop")
    loop, way.notes = way.notes, []
    studio = Studio()
    pushing_way = Answering(lambda r: (201, {"id": 1, "title": "gongbao"}) if r["path"] == "/api/projects/" else
                            (200, {"results": []}) if r["path"].startswith("/api/projects/?") else studio(r))  # fmt: skip
    monkeypatch.setenv("GONGBAO_STUDIO_TOKEN", exchange.TOKEN)
    try:
        assert main(["studio", "push", str(given), "--url", pushing_way.url, "--json"]) == 0
    finally:
        pushing_way.down()
    out, err = capsys.readouterr()
    assert json.loads(out)["added"] == len(studio.tasks) == 5
    assert "made project 1" in err
    assert "5 tasks added to project 1, gongbao, 0 skipped" in err
    sent = next(r["body"] for r in pushing_way.asked if r["method"] == "POST")
    assert sent["label_config"].strip() == XML.strip()
    assert "<h2>" in sent["expert_instruction"]

    # The pull that follows once everything is accepted.
    first = next(n for n, note in enumerate(loop) if "actions" in note["request"]["path"]) + 1
    way.notes = loop[
        first : next(n for n in range(first, len(loop)) if loop[n]["request"]["method"] == "DELETE") + 1
    ]
    way.notes.append(
        {
            "request": {"method": "GET", "path": "/api/users/"},
            "answer": {"status": 403, "type": "application/json", "body": {"tight": {}}},
        }
    )
    export = tmp_path / "export.json"
    assert (
        main(["studio", "pull", "-o", str(export), "--project", "the loop", "--url", way.url, "--json"]) == 0
    )
    out, err = capsys.readouterr()
    assert json.loads(out)["annotations"] == 7
    assert "7 annotations of 7 tasks: 7 new, 0 changed, 0 withdrawn; 0 tasks not annotated; 0 findings" in err
    assert "new: article-0 (task 1), by user 1" in err
    assert exchange.TOKEN not in out + err


def test_what_is_wrong_on_the_command_line_is_told(given, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GONGBAO_STUDIO_TOKEN", exchange.TOKEN)
    for arguments, told in (
        (["push", str(given)], "no Label Studio is named"),
        (["push", str(given), "--url", "nowhere"], "no address"),
        (["push", str(given), "--as-annotations", "--model", "default"], "no finished annotation"),
        (["push", str(given), "--published", "yesterday"], "no date"),
        (["pull", "-o", str(tmp_path / "a.csv")], ".json file"),
    ):
        assert main(["studio", *arguments]) == 2
        assert told in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "label_studio_sdk", None)
    assert main(["studio", "pull", "-o", str(tmp_path / "a.json"), "--url", "http://127.0.0.1:9"]) == 2
    assert "pip install 'gongbao[studio]'" in capsys.readouterr().err


def test_long_reports_are_cut_and_name_people_and_changes(capsys, tmp_path):
    from gongbao.cli.studio import _tell_pulled

    changes = [pulling.Change("new", f"d{n}", n, n, 1, 2) for n in range(20)]
    changes[0] = pulling.Change("changed", "d0", 1, 1, 2, 1, 3)
    changes[1] = pulling.Change("withdrawn", "d1", 1, 1, None, 0, 4)
    pulled = pulling.Pulled(tmp_path / "a.json", written=True, kept=tmp_path / "b.json", changes=changes)
    pulled.dropped["the region has no label"] = 2
    _tell_pulled(pulled, {1: "立"})
    err = capsys.readouterr().err
    assert "changed: d0 (task 1), by user 2, 3 → 1 region\n" in err
    assert "withdrawn: d1 (task 1), by an unknown user, 4 regions" in err
    assert "new: d2 (task 2), by 立, 2 regions" in err
    assert "… and 10 more" in err
    assert "18 new by 立; 1 changed by user 2; 1 withdrawn by an unknown user" in err
    assert "18 new, 1 changed, 1 withdrawn" in err
    assert "2 × the region has no label" in err
    assert "b.json" in err
