"""Every request of a push and of a pull goes wrong once, in every way, between the client and a real Label Studio: nothing is
lost or doubled, and the next run completes the work.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from itertools import count
from threading import Timer

import pytest
import studio_exchange as exchange

from gongbao.corpus import resolve, write
from gongbao.schema import GongbaoError

# The server comes to itself: the same command goes on and succeeds.
PASSING = ["429", "500", "500-after", "cut", "gone-after", "slow-after"]
# A person has to look at it: the command stops, unless it can see for itself what was done.
LASTING = ["401", "html-after"]


class Faulty(exchange.Proxy):
    """A proxy that does harm at one request, whichever that is, and calls `strike` then."""

    def __init__(self, target, at, fault):
        self._at = at
        self._wanted = fault
        self._passed = 0
        self.struck = None  # the request
        self.strike = lambda: None
        super().__init__(target)

    def disarm(self):
        """Do no more harm."""
        self._at = 0

    def _fault(self, request):
        self._passed += 1
        if self._passed != self._at:
            return ""
        self.struck = f"{request['method']} {request['path']}"
        self.strike()
        return self._wanted


@pytest.fixture
def worlds(studio, documents, tmp_path):
    """Makes worlds whose way to the server fails at one request."""
    ways = []

    def make(at, fault):
        ways.append(Faulty(studio.url, at, fault))
        timeout = 1.0 if fault == "slow-after" else 20.0
        return exchange.World(ways[-1], tmp_path, documents, timeout, time.time(), token=studio.sign_in.token)

    yield make
    for way in ways:
        way.down()


def succeeds(action, fault, world):
    """Whether the action does; if not, the message says what to do, and the fault is one that lasts."""
    error = None
    try:
        action()
    except GongbaoError as raised:
        error = str(raised)
    world.way.disarm()
    if error is not None:
        assert fault in LASTING, (world.way.struck, error)
        assert "→" in error
        assert world.token not in error
    return error is None


@pytest.mark.parametrize("fault", [*PASSING, *LASTING])
def test_a_push_survives_it_at_every_request(fault, worlds):
    for at in count(1):
        world, title = worlds(at, fault), f"{fault} at {at}"
        succeeds(partial(world.push, 3, title), fault, world)
        done = world.push(3, title)
        assert world.texts(done.project) == exchange.hashes(world.documents[:3]), world.way.struck
        if world.way.struck is None:
            break
    assert at > 5


@pytest.fixture
def pulled(worlds):
    """A project that has more than an export of it: its title, the export, and what it would be."""
    world, title = worlds(0, ""), "pulled"
    project = world.push(2, title).project
    world.accept_all(project)
    world.pull(title)
    before = world.export.read_bytes()
    world.push(4, title)
    world.accept_all(project)
    world.pull(title)
    after = world.export.read_bytes()
    assert before != after
    return title, before, after


@pytest.mark.parametrize("fault", [*PASSING, *LASTING])
def test_a_pull_survives_it_at_every_request(fault, worlds, pulled):
    title, before, after = pulled
    for at in count(1):
        world = worlds(at, fault)
        world.export.write_bytes(before)
        if not succeeds(partial(world.pull, title), fault, world):
            assert world.export.read_bytes() == before, world.way.struck
            world.pull(title)
        assert world.export.read_bytes() == after, world.way.struck
        if world.way.struck is None:
            break
    assert at > 4


def run_and_die(world, *arguments):
    """A `gongbao studio` command that is killed at the request of this world, if it comes so far."""
    command = [sys.executable, "-c", "from gongbao.cli import run; run()", "studio", *arguments]
    client = subprocess.Popen(
        [*command, "--url", world.way.url],
        env=os.environ | {"GONGBAO_STUDIO_TOKEN": world.token},
        stderr=subprocess.PIPE,
        text=True,
    )
    world.way.strike = client.kill
    _, said = client.communicate(timeout=60)
    assert client.returncode == (-signal.SIGKILL if world.way.struck else 0), said
    world.way.disarm()


def test_a_push_whose_client_is_killed_is_completed_by_the_next(worlds, tmp_path):
    file = tmp_path / "documents.jsonl"
    for at in count(1):
        world, title = worlds(at, "gone-after"), f"killed at {at}"
        write(world.documents[:3], file)
        run_and_die(world, "push", str(file), "--project", title, "--batch", "2")
        done = world.push(3, title)
        assert world.texts(done.project) == exchange.hashes(world.documents[:3]), world.way.struck
        if world.way.struck is None:
            break
    assert at > 5


def test_a_pull_whose_client_is_killed_leaves_the_file_whole(worlds, pulled):
    title, before, after = pulled
    for at in count(1):
        world = worlds(at, "gone-after")
        world.export.write_bytes(before)
        run_and_die(world, "pull", "-o", str(world.export), "--project", title)
        assert world.export.read_bytes() in (before, after), world.way.struck
        world.pull(title)
        assert world.export.read_bytes() == after
        if world.way.struck is None:
            break
    assert at > 4


@pytest.mark.parametrize("seconds", [0.05, 0.15])
def test_a_server_that_is_killed_while_it_imports_keeps_whole_tasks(seconds, worlds, bench, studio, scheme):
    """All of an import or nothing of it is there then; no task is without its suggestions."""
    world = worlds(4, "")
    world.documents = resolve("test", scheme)
    count = len(world.documents)
    killing = Timer(seconds, studio.kill)
    world.way.strike = killing.start
    with suppress(GongbaoError):
        world.push(count, "killed", batch=count)
    assert "/import" in world.way.struck
    killing.join()
    bench.start()
    done = world.push(count, "killed")
    listed = world.ask("GET", f"/api/tasks?project={done.project}&page_size={count + 1}")["tasks"]
    assert sorted(t["data"]["text_sha256"] for t in listed) == exchange.hashes(world.documents)
    assert {t["total_predictions"] for t in listed} == {1}


def test_a_server_that_is_away_is_waited_for(worlds, pulled):
    title, before, after = pulled
    world = worlds(0, "")
    world.export.write_bytes(before)
    world.way.down()
    exchange.refused(lambda: world.pull(title), "cannot be reached")
    assert world.export.read_bytes() == before
    world.on_wait = lambda: (world.way.up(), setattr(world, "on_wait", None))
    world.pull(title)
    assert world.export.read_bytes() == after
