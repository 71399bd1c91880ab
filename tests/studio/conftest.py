"""A real Label Studio for these tests.

It is found as `gongbao studio start` finds it (GONGBAO_LABEL_STUDIO). Its data directory is made once, which takes a minute,
kept in .cache, and copied.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gongbao.studio import Access, LocalStudio, Server
from gongbao.studio.local import VERSION

ROOT = Path(__file__).parents[2]
DATABASE = "label_studio.sqlite3"
PREPARED = ROOT / ".cache" / f"label-studio-data-{VERSION}"


@pytest.fixture(scope="session")
def prepared():
    """A data directory in which a first start has made the database."""
    if not (PREPARED / "sign-in.json").exists():
        shutil.rmtree(PREPARED, ignore_errors=True)
        making = PREPARED.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        with LocalStudio(making):
            pass
        making.rename(PREPARED)
    return PREPARED


class Bench:
    """One running server for all tests; each begins with the prepared database."""

    def __init__(self, folder):
        self.folder = folder
        self.studio = LocalStudio(folder)
        self.studio.__enter__()

    def reset(self):
        with (
            closing(sqlite3.connect(PREPARED / DATABASE)) as fresh,
            closing(sqlite3.connect(self.folder / DATABASE)) as live,
        ):
            fresh.backup(live)

    def start(self):
        """Start it again where it was, if it is dead."""
        if not self.studio.is_running():
            self.studio = LocalStudio(self.folder, int(self.studio.url.rpartition(":")[2]))
            self.studio.__enter__()


@pytest.fixture(scope="session")
def bench(prepared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio") / "data"
    shutil.copytree(prepared, folder)
    bench = Bench(folder)
    yield bench
    bench.studio.stop()


@pytest.fixture
def studio(bench):
    """A server with nothing in it."""
    bench.start()
    bench.reset()
    return bench.studio


@pytest.fixture
def server(studio):
    with Server(Access(studio.url, studio.sign_in.token)) as opened:
        yield opened
