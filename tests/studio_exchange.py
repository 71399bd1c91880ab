"""What the tests of the Label Studio client share: a proxy that does harm and takes notes, a server that repeats the
notes, and the scenarios that are run through either.

`make test-studio` runs the scenarios through `Proxy` against a real server and compares what passed with
tests/data/studio/*.json; `make test` runs the same scenarios through `Replay`, which answers from those files and minds the order.
"""

import http.client
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gongbao.files import bundled
from gongbao.label_studio import read_config, read_export
from gongbao.schema import GongbaoError
from gongbao.studio import Access, Server, open_project, pull, push
from gongbao.studio.projects import the_project
from gongbao.studio.pushing import text_hash

RECORDINGS = Path(__file__).parent / "data" / "studio"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
PAGE = b"<html><body>Please sign in to the network.</body></html>"

# What a fault answers instead of the server: status, content type, further headers, body.
CANNED = {
    "500": (500, "application/json", {}, b'{"detail": "database is locked"}'),
    "502": (502, "text/html", {}, PAGE),
    "401": (401, "application/json", {}, b'{"detail": "Invalid token."}'),
    "429": (429, "application/json", {"Retry-After": "7"}, b'{"detail": "Request was throttled."}'),
    "html": (200, "text/html", {}, PAGE),
}
IMPORT = ("POST", "/import")
SNAPSHOT = ("POST", "/exports/")
DOWNLOAD = ("GET", "/download")


class Handler(BaseHTTPRequestHandler):
    """Gives each request as a dict to `answer` of its server, and sends what that returns."""

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        request = {"method": self.command, "path": self.path}
        if body:
            request["body"] = json.loads(body)
        self.send(self.server.answer(request, dict(self.headers), body))

    do_GET = do_POST = do_PATCH = do_DELETE = handle_one  # noqa: N815 - as http.server has it

    def send(self, answer):
        fault = answer.get("fault")
        if fault == "slow":
            # Longer than the client waits; a client that is gone is no one's loss.
            self.server.held.wait(self.server.hold)
        if fault in ("slow", "gone"):
            self.close_connection = True
            return
        body = as_bytes(answer["body"])
        self.send_response(answer["status"])
        self.send_header("Content-Type", answer["type"])
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
        self.close_connection = True

    def log_message(self, *_):
        pass


class Listening:
    """A server on a port of its own that can go away and come back on the same port."""

    def __init__(self, hold):
        self._hold = hold
        self._port = 0
        self._server = None
        self.up()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def up(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.answer = self.answer
        self._server.hold = self._hold
        self._server.held = threading.Event()
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self):
        if self._server is not None:
            self._server.held.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Proxy(Listening):
    """Passes requests on to a real server, does harm where the plan says so, and takes notes of all that passes.

    A plan is a list of (method, end of the path, which one of those, fault). Faults: a name of CANNED (the server never sees the
    request), the same with `-after` (it carries the request out), `cut`, `slow`, `gone` likewise, `late` (the
    server carries it out after the next such request), `kill` (the server dies of it).
    """

    def __init__(self, target, hold=6.0):
        self.target = target
        self.plan = []
        self.notes = []
        self.kill = None
        self._counts = {}
        self._late = None
        super().__init__(hold)

    def answer(self, request, headers, body):
        answer = self._answer(request, headers, body)
        self.notes.append({"request": seen(request), "answer": answer})
        return answer

    def _answer(self, request, headers, body):
        fault = self._fault(request)
        kind, _, after = fault.partition("-")
        if kind == "kill":
            self.kill()
            return {"fault": "gone"}
        if kind == "late":
            self._late = (request, headers, body)
            return {"fault": "slow"}
        answer = None if kind and not after and kind != "cut" else self._forward(request, headers, body)
        if (
            self._late
            and request["method"] == self._late[0]["method"]
            and request["path"] == self._late[0]["path"]
        ):
            late, self._late = self._late, None
            self._forward(*late)
        if kind in CANNED:
            status, content, extra, page = CANNED[kind]
            return {"status": status, "type": content, "headers": extra, "body": as_json(page)}
        if kind in ("slow", "gone"):
            return {"fault": kind}
        return {**answer, "fault": "cut"} if kind == "cut" else answer

    def _fault(self, request):
        for method, end, which, fault in self.plan:
            if request["method"] == method and urlsplit(request["path"]).path.endswith(end):
                key = (method, end, which)
                self._counts[key] = self._counts.get(key, 0) + 1
                if self._counts[key] == which:
                    return fault
        return ""

    def _forward(self, request, headers, body):
        to = http.client.HTTPConnection(urlsplit(self.target).netloc, timeout=120)
        kept = {k: v for k, v in headers.items() if k.lower() in ("authorization", "content-type", "accept")}
        try:
            to.request(request["method"], request["path"], body or None, kept)
            answer = to.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            return {"fault": "gone"}
        finally:
            to.close()
        kind = answer.headers.get("Content-Type", "")
        return {"status": answer.status, "type": kind, "body": as_json(content)}


class Replay(Listening):
    """Answers from notes, one request after another; what does not come in their order is kept in `wrong`."""

    def __init__(self, notes, hold=10.0):
        self.notes = list(notes)
        self.wrong = []
        super().__init__(hold)

    def answer(self, request, headers, body):
        if headers.get("Authorization") != f"Token {TOKEN}":
            self.wrong.append(f"not signed in: {request['method']} {request['path']}")
        if not self.notes:
            self.wrong.append(f"nothing more was expected: {request['method']} {request['path']}")
        elif seen(request) != self.notes[0]["request"]:
            self.wrong.append(f"{seen(request)} came, {self.notes[0]['request']} was expected")
        else:
            return self.notes.pop(0)["answer"]
        return {
            "status": 418,
            "type": "application/json",
            "headers": {},
            "body": {"tight": {"detail": "not in the notes"}},
        }


def seen(request):
    """What of a request must be the same: its way, and which texts an import carries."""
    body = request.get("body")
    texts = {"texts": [t["data"]["text_sha256"][:12] for t in body]} if isinstance(body, list) else {}
    return {"method": request["method"], "path": request["path"], **texts}


def as_json(body):
    """A body as JSON, with how it was spaced, where that gives the same bytes again; else as text."""
    try:
        value = json.loads(body)
    except ValueError:
        return body.decode()
    for spacing in ("tight", "loose"):
        if as_bytes({spacing: value}) == body:
            return {spacing: value}
    return body.decode()


def as_bytes(body):
    if isinstance(body, str):
        return body.encode()
    ((spacing, value),) = body.items()
    separators = (",", ":") if spacing == "tight" else (", ", ": ")
    return json.dumps(value, ensure_ascii=False, separators=separators).encode()


_VOLATILE = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(Z|\+\d\d:\d\d)?"), "TIME"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r'("(?:md5|file)": )"[^"]*"'), r"\1HASH"),
    (re.compile(r'("(?:duration|created_ago)": )("[^"]*"|[\d.]+)'), r"\1TIME"),
]


def keep(path, recorded):
    """Write a recording, an exchange a line."""
    *_, last = lines = [json.dumps(note, ensure_ascii=False) for note in recorded["exchanges"]]
    body = "".join(f"{line}{'' if line is last else ','}\n" for line in lines)
    head = json.dumps({k: v for k, v in recorded.items() if k != "exchanges"})[:-1]
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{head}, "exchanges": [\n{body}]}}\n', encoding="utf-8")


def lasting(notes):
    """Notes as text, without times, random ids and what depends on them: two recordings of one scenario are equal."""
    text = json.dumps(notes, ensure_ascii=False, indent=1).replace('\\"', '"')
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text.splitlines()


# ----------------------------------------------------------------------------------- the scenarios


@dataclass
class World:
    """Where a scenario plays: a way to a server, and a hand on both.

    `plan`, `kill` and `up` act on the real server; in a replay the notes have their effects already.
    """

    way: Listening
    folder: Path
    documents: list
    timeout: float
    clock: float
    token: str = TOKEN
    plan: object = lambda plan: None
    start_server: object = lambda: None
    said: list = field(default_factory=list)
    waits: list = field(default_factory=list)
    on_wait: object = None

    def sleep(self, seconds):
        self.waits.append(seconds)
        if self.on_wait:
            self.on_wait()

    @contextmanager
    def server(self):
        with Server(
            Access(self.way.url, self.token), timeout=self.timeout, report=self.said.append, sleep=self.sleep, clock=lambda: self.clock,
        ) as server:  # fmt: skip
            yield server

    def push(self, count, title, **options):
        """Push the first documents, two in a request."""
        xml = bundled("annotations/label_config.xml")
        guide = self.folder / "guide.md"
        guide.write_text("# 标注\n\n见[规范](guidelines.md)。\n", encoding="utf-8")
        with self.server() as server:
            project = open_project(server, title, xml.read_text(encoding="utf-8"), guide)
            documents = self.documents[:count]
            return push(server, project.id, documents, read_config(xml), **{"batch": 2} | options)

    def pull(self, title, **options):
        with self.server() as server:
            project = the_project(server, title)
            return pull(server, project.id, self.export, read_config(project.label_config), **options)

    @property
    def export(self):
        return self.folder / "export.json"

    def ask(self, method, path, body=None):
        """What somebody does in the browser meanwhile."""
        to = http.client.HTTPConnection(urlsplit(self.way.url).netloc, timeout=60)
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        to.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = to.getresponse()
        content = answer.read()
        to.close()
        assert answer.status < 300, (method, path, answer.status, content[:300])
        return json.loads(content) if content else None

    def accept_all(self, project):
        """Turn every suggestion into an annotation."""
        every = {"selectedItems": {"all": True, "excluded": []}}
        self.ask("POST", f"/api/dm/actions?id=predictions_to_annotations&project={project}", every)

    def texts(self, project):
        """The hashes of the project's texts, as often as they are there."""
        answer = self.ask(
            "GET", f"/api/tasks?project={project}&fields=task_only&include=id,data&page_size=100"
        )
        return sorted(task["data"]["text_sha256"] for task in answer["tasks"])


def hashes(documents):
    return sorted(text_hash(d.text) for d in documents)


def shape(documents):
    """Text, spans and links of documents."""
    return {
        d.id: (d.text, sorted((s.id, *s.key) for s in d.spans), sorted((k.head, k.tail, k.role) for k in d.links))
        for d in documents
    }  # fmt: skip


def the_loop(world):
    """Push, push more, annotate, pull, pull again, withdraw, change."""
    first = world.push(5, "the loop")
    assert (first.added, first.skipped) == (5, [])
    more = world.push(7, "the loop")
    assert more.added == 2
    assert [d for d, _ in more.skipped] == [d.id for d in world.documents[:5]]
    assert world.texts(more.project) == hashes(world.documents[:7])

    refused(lambda: world.pull("the loop"), "nothing is annotated yet")
    assert not world.export.exists()
    world.accept_all(more.project)
    pulled = world.pull("the loop")
    assert (pulled.tasks, pulled.annotations, pulled.waiting, pulled.findings) == (7, 7, 0, [])
    assert {c.kind for c in pulled.changes} == {"new"}
    assert shape(read_export(world.export).documents) == shape(world.documents[:7])

    before = world.export.read_bytes()
    same = world.pull("the loop")
    assert (same.written, same.kept, same.changes) == (False, None, [])

    annotations = {t["id"]: t["annotations"][0] for t in json.loads(before)}
    gone, changed = (annotations[number] for number in sorted(annotations)[:2])
    world.ask("PATCH", f"/api/annotations/{changed['id']}/", {"result": changed["result"][:1]})
    world.ask("DELETE", f"/api/annotations/{gone['id']}/")
    world.ask("POST", f"/api/tasks/{gone['task']}/drafts", {"lead_time": 1.0, "result": gone["result"]})
    refused(
        lambda: world.pull("the loop"),
        "1 annotations that the file has are no longer on the server",
    )
    assert world.export.read_bytes() == before
    last = world.pull("the loop", allow_withdrawn=True)
    assert {(c.kind, c.annotation) for c in last.changes} == {
        ("withdrawn", gone["id"]),
        ("changed", changed["id"]),
    }
    assert last.kept.read_bytes() == before
    assert (last.tasks, last.annotations, last.waiting) == (7, 6, 0)
    text = world.export.read_text(encoding="utf-8")
    assert "@" not in text
    drafts = [draft for task in json.loads(text) for draft in task["drafts"]]
    assert [draft["user"] for draft in drafts] == [1], drafts


def refused(action, problem):
    """The action fails with a message that says this, and what to do."""
    with pytest.raises(GongbaoError) as raised:
        action()
    assert problem in str(raised.value)
    assert "→" in str(raised.value)


def push_through(fault, problem=None, wait=0):
    """A push of five with a fault at its second import; with `problem`, that push fails with it and the next completes."""

    def scenario(world):
        world.plan([(*IMPORT, 2, fault)])
        title = f"push {fault}"
        if problem:
            refused(lambda: world.push(5, title), problem)
        done = world.push(5, title)
        assert problem or done.added == 5
        assert world.texts(done.project) == hashes(world.documents[:5])
        assert problem or world.waits[0] >= wait

    return scenario


def push_late(world):
    """The first import is carried out only after it was sent again: the double is removed."""
    world.plan([(*IMPORT, 1, "late")])
    done = world.push(5, "push late")
    assert len([note for note in done.notes if "came twice and was removed" in note]) == 2
    assert done.added == 5
    assert world.texts(done.project) == hashes(world.documents[:5])


def push_killed(world):
    """The server dies of the second import; the next push, with the server back, completes the work."""
    world.plan([(*IMPORT, 2, "kill")])
    refused(lambda: world.push(5, "push killed"), "the connection broke off")
    world.start_server()
    done = world.push(5, "push killed")
    assert done.added == 3
    assert world.texts(done.project) == hashes(world.documents[:5])


def push_refused(world):
    """Nobody listens; while the client waits, the server comes back."""
    world.way.down()
    world.on_wait = lambda: (world.way.up(), setattr(world, "on_wait", None))
    done = world.push(3, "push refused")
    assert done.added == 3
    assert any("cannot be reached" in line for line in world.said)
    assert world.texts(done.project) == hashes(world.documents[:3])


def pull_through(fault, at=DOWNLOAD, problem=None):
    """A pull with a fault; with `problem` it fails, leaves the file as it was, and the next one completes."""

    def scenario(world):
        title = f"pull {fault}"
        done = world.push(2, title)
        world.accept_all(done.project)
        world.pull(title)
        before = world.export.read_bytes()
        world.push(4, title)
        world.accept_all(done.project)
        world.plan([(*at, 1, fault)])
        if problem:
            refused(lambda: world.pull(title), problem)
            assert world.export.read_bytes() == before
            assert sorted(p.name for p in world.folder.iterdir()) == ["export.json", "guide.md"]
            world.start_server()
        pulled = world.pull(title)
        assert {c.kind for c in pulled.changes} == {"new"}
        assert pulled.kept.read_bytes() == before

    return scenario


SCENARIOS = {
    "loop": the_loop,
    "push-500": push_through("500"),
    "push-500-after": push_through("500-after"),
    "push-502": push_through("502"),
    "push-cut-after": push_through("cut"),
    "push-gone": push_through("gone"),
    "push-gone-after": push_through("gone-after"),
    "push-slow-after": push_through("slow-after"),
    "push-429": push_through("429", wait=7),
    "push-401": push_through("401", "does not accept the token"),
    "push-html": push_through("html"),
    "push-html-after": push_through("html-after"),
    "push-late": push_late,
    "push-killed": push_killed,
    "push-refused": push_refused,
    "pull-500": pull_through("500"),
    "pull-cut": pull_through("cut"),
    "pull-slow": pull_through("slow"),
    "pull-429": pull_through("429", SNAPSHOT),
    "pull-500-after": pull_through("500-after", SNAPSHOT),
    "pull-401": pull_through("401", SNAPSHOT, "does not accept the token"),
    "pull-html": pull_through("html", DOWNLOAD, "is not the snapshot"),
    "pull-killed": pull_through("kill", DOWNLOAD, "the connection broke off"),
}
