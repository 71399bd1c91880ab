"""The loop with Label Studio at full size: the bundled corpus there and back, then hundreds of tasks.

usage: python benchmarks/studio.py [--data FOLDER] [--tasks 1 100 500]

A Label Studio is started (found as `gongbao studio start` finds it) in a folder of its own, or in a copy of `--data`, where one has
been before, which saves a minute. First the corpus is pushed as suggestions, accepted, pulled and compared. Then, for each
number of tasks, `gongbao studio push` and `pull` run as a user runs them, each in a process of its own: its seconds and its peak of
resident memory (RSS, as Linux tells it), most of which is the modules it imports; and once more in this process, for the peak of what Python allocates for it. The tasks are the first hundred articles, over and over with another last line, so that more tasks are not longer ones.
Printed: a Markdown table. Exit code 1 if a document came back other than it went.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

from gongbao.corpus import resolve, stream, write
from gongbao.files import bundled
from gongbao.label_studio import read_config, read_export
from gongbao.schema import Document
from gongbao.studio import Access, LocalStudio, Server, find_project, open_project, pull, push

XML = bundled("annotations/label_config.xml")
CONFIG = read_config(XML)
DISTINCT = 100  # articles of which the tasks are made


def accept(server: Server, project: int) -> None:
    """Turn every suggestion into an annotation, as the button in the browser does."""
    server.sdk.actions.create(
        id="predictions_to_annotations", project=project, selected_items={"all": True, "excluded": []}
    )


def marked(document: Document) -> object:
    """What must come back: text, spans, links."""
    return (
        document.text,
        sorted((s.id, *s.key) for s in document.spans),
        sorted((k.head, k.tail, k.role) for k in document.links),
    )


def round_trip(server: Server, folder: Path) -> list[str]:
    """Push the corpus, accept, pull; print what came back, and give the ids of those that are not as they were."""
    corpus = resolve("all", CONFIG.scheme)
    project = open_project(server, "corpus", XML.read_text(encoding="utf-8"), None).id
    push(server, project, corpus, CONFIG)
    accept(server, project)
    pull(server, project, folder / "corpus.json", CONFIG)
    home = {d.id: marked(d) for d in read_export(folder / "corpus.json", CONFIG).documents}
    other = [d.id for d in corpus if home.get(d.id) != marked(d)]
    spans, links = (sum(len(getattr(d, what)) for d in corpus) for what in ("spans", "links"))
    print(f"{len(corpus)} articles, {spans:,} spans, {links:,} links pushed, accepted and pulled: "
          f"{len(corpus) - len(other)} equal{'; not: ' + ', '.join(other) if other else ''}\n")  # fmt: skip
    return other


# The system's own account of a child's peak would begin with what this process holds.
COMMAND = """
import sys
from gongbao.cli import main
code = main(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
sys.exit(code)
"""


def run(arguments: Sequence[str], studio: Access) -> tuple[float, float]:
    """Seconds and peak MB of a `gongbao studio` command."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "studio", *arguments],
        env=os.environ | {"GONGBAO_STUDIO_URL": studio.url, "GONGBAO_STUDIO_TOKEN": studio.token},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, int(done.stdout) / 1024


def many(server: Server, access: Access, count: int, folder: Path) -> str:
    """Push and pull so many tasks; a row of the table."""
    articles = islice(cycle(resolve("all", CONFIG.scheme)[:DISTINCT]), count)
    documents = [d.replace(id=f"{d.id}-{n}", text=f"{d.text}\n第{n}号") for n, d in enumerate(articles)]
    name = f"{count} tasks"
    write(documents, folder / "tasks.jsonl")
    there, there_peak = run(["push", str(folder / "tasks.jsonl"), "--project", name], access)
    project = find_project(server, name).id
    accept(server, project)
    home, home_peak = run(["pull", "-o", str(folder / f"{count}.json"), "--project", name], access)
    # Slower by what is counted: not timed.
    there_own = allocated(
        lambda: push(
            server,
            open_project(server, f"{name} again", XML.read_text(encoding="utf-8"), None).id,
            stream(folder / "tasks.jsonl"),
            CONFIG,
        )
    )
    home_own = allocated(lambda: pull(server, project, folder / f"{count} again.json", CONFIG))
    came = {d.id: marked(d) for d in read_export(folder / f"{count}.json", CONFIG).documents}
    if came != {d.id: marked(d) for d in documents}:
        raise SystemExit(f"{name}: what came back is not what went")
    cells = (
        there,
        there / count * 1000,
        there_peak,
        there_own,
        home,
        home / count * 1000,
        home_peak,
        home_own,
    )
    return f"| {count:,} | " + " | ".join(f"{c:.1f}" if c < 100 else f"{c:,.0f}" for c in cells) + " |"


def allocated(work: Callable[[], object]) -> float:
    """The peak of what Python allocates for it, in MB."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def main() -> int:
    """Start a server, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 100, 500])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if options.data:
            shutil.copytree(options.data, folder / "data")
        with LocalStudio(folder / "data") as studio:
            assert studio.sign_in is not None
            access = Access(studio.url, studio.sign_in.token)
            with Server(access) as server:
                other = round_trip(server, folder)
                print(
                    "| tasks | push s | ms an article | RSS MB | own MB | pull s | ms an article | RSS MB | own MB |"
                )
                print("|---|---|---|---|---|---|---|---|---|")
                for count in options.tasks:
                    print(many(server, access, count, folder), flush=True)
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
