"""Load on the service from this process, the service in another one, on the loopback interface alone.

usage: python benchmarks/service.py [--model FOLDER] [--seconds 10] [--soak 600] [--batch-characters 8192]

Short paragraphs and whole reports of data/test.jsonl, 1, 8 and 64 callers who each send the next text when they have their
answer, for `--seconds` each (what is under way then is waited for). Printed: latencies, characters a second, their
share of what the batch command's extractor reaches in this process before and after, and answers by status. Then twice as
many callers as the service has places for: nothing but 200 and 429 may come. Then, with `--soak`, eight callers with
both kinds, and the service's memory along the way. Exit code 1 if an answer is missing or not as it should be.
"""

import argparse
import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gongbao import Extractor, read

PLACES = 64  # of the service under test: as many requests at a time
CALLERS = (1, 8, PLACES)
ROUNDS = 1_000_000  # texts that a caller sends at most


@dataclass
class Load:
    """What callers saw: seconds of each good answer, characters answered, answers by status."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    characters: int = 0
    answers: Counter = field(default_factory=Counter)

    @property
    def speed(self) -> float:
        """Characters a second."""
        return self.characters / self.seconds

    def quantile(self, q: float) -> float:
        """A latency in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


class Service:
    """`gongbao serve` in a process of its own."""

    def __init__(self, model: Path | None, batch_characters: int) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="gongbao-service-", suffix=".log")  # noqa: SIM115
        options = ["--model", str(model)] if model else []
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from gongbao.cli import run; run()", "serve", "--port", "0", *options],
            stderr=self._log,
            env=os.environ
            | {
                "GONGBAO_MAX_REQUESTS": str(PLACES),
                "GONGBAO_BATCH_CHARACTERS": str(batch_characters),
                "GONGBAO_TIMEOUT": "120",
            },
        )
        for _ in range(600):
            found = re.search(r"running on (http://[\d.:]+)", Path(self._log.name).read_text())
            if found:
                self.address = urlsplit(found[1]).netloc
                return
            time.sleep(0.1)
        raise SystemExit(Path(self._log.name).read_text())

    def memory(self) -> float:
        """Resident megabytes."""
        (pages,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text())
        return int(pages) / 1000

    def stop(self) -> int:
        """End it with SIGTERM and give its exit code."""
        self._process.terminate()
        return self._process.wait(150)


def call(service: Service, texts: Iterator[str], callers: int, seconds: float) -> Load:
    """Have so many callers send texts, each the next one after its answer, for so long."""
    load, lock = Load(), threading.Lock()
    begun = time.perf_counter()

    def caller() -> None:
        connection = http.client.HTTPConnection(service.address, timeout=150)
        for _ in range(ROUNDS):
            if time.perf_counter() - begun >= seconds:
                break
            with lock:
                text = next(texts)
            body = json.dumps({"text": text}, ensure_ascii=False).encode()
            at = time.perf_counter()
            try:
                connection.request("POST", "/v1/extract", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                status: int | str = answer.status
                content = answer.read()
            except OSError as error:
                status, content = type(error).__name__, b""
                connection.close()
            took = time.perf_counter() - at
            if status == 200 and json.loads(content)["documents"][0]["text"] != text:
                status = "another's text"
            with lock:
                load.answers[status] += 1
                if status == 200:
                    load.latencies.append(took)
                    load.characters += len(text)
            if status == 429:
                time.sleep(0.1)  # less than Retry-After says: the load is to stay too much
        connection.close()

    threads = [threading.Thread(target=caller) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - begun
    return load


def batch_speed(extractor: Extractor, texts: Sequence[str], seconds: float) -> float:
    """Characters a second of the batch command's extractor over the same texts, given together."""
    speed = 0.0
    for wanted in (4_000.0, 0.0):  # the first tells how many characters take about so long
        wanted = wanted or speed * seconds
        given, size = [], 0
        for text in itertools.cycle(texts):
            if size >= wanted:
                break
            given.append(text)
            size += len(text)
        begun = time.perf_counter()
        extractor(given)
        speed = size / (time.perf_counter() - begun)
    return speed


def line(name: str, load: Load, speed: float | None = None) -> str:
    """A row of the table."""
    ms = "  ".join(f"{1000 * load.quantile(q):8.0f}" for q in (0.5, 0.95, 0.99))
    share = f"{load.speed / speed:7.0%}" if speed else " " * 7
    answers = " ".join(f"{status}:{n}" for status, n in sorted(load.answers.items(), key=str))
    return f"{name:24}{ms}  {load.speed:9.0f}  {share}   {answers}"


def soak(service: Service, texts: Sequence[str], seconds: float) -> Load:
    """Eight callers for long; memory is read ten times, first when a tenth is over and the arenas have grown."""
    mixed, total, memory = itertools.cycle(texts), Load(), []
    for _ in range(10):
        load = call(service, mixed, 8, seconds / 10)
        memory.append(service.memory())
        total.seconds += load.seconds
        total.characters += load.characters
        total.latencies += load.latencies
        total.answers += load.answers
    print(line(f"soak {total.seconds:.0f} s, 8 callers", total))
    print(
        f"memory {memory[0]:.0f} MB to {memory[-1]:.0f} MB ({memory[-1] / memory[0] - 1:+.1%}), most {max(memory):.0f} MB"
    )
    return total


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--soak", type=float, default=0.0, help="seconds")
    parser.add_argument("--batch-characters", type=int, default=8192)
    asked = parser.parse_args()

    reports = [d.text for d in read("data/test.jsonl")]
    paragraphs = [line for text in reports for line in text.splitlines() if 40 <= len(line) <= 300]
    kinds = {"paragraphs": paragraphs, "reports": reports}
    extractor = Extractor.load(asked.model)
    before = {kind: batch_speed(extractor, texts, asked.seconds) for kind, texts in kinds.items()}
    service = Service(asked.model, asked.batch_characters)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; latencies in ms, speed in characters a second"
    )
    print(f"{'':24}{'p50':>8}  {'p95':>8}  {'p99':>8}  {'speed':>9}  {'batch':>7}   answers")
    wrong: Counter = Counter()
    loads = {}
    for kind, texts in kinds.items():
        for callers in CALLERS:
            loads[kind, callers] = call(service, itertools.cycle(texts), callers, asked.seconds)
            wrong.update({s: n for s, n in loads[kind, callers].answers.items() if s != 200})
    after = {kind: batch_speed(extractor, texts, asked.seconds) for kind, texts in kinds.items()}
    for (kind, callers), load in loads.items():
        print(line(f"{kind}, {callers}", load, (before[kind] + after[kind]) / 2))
    for kind, texts in kinds.items():
        lengths = sum(map(len, texts)) / len(texts)
        print(f"batch, {kind} of {lengths:.0f}: {before[kind]:.0f} before, {after[kind]:.0f} after")
    over = call(service, itertools.cycle(paragraphs), 2 * PLACES, asked.seconds)
    print(line(f"overload, {2 * PLACES}", over))
    wrong.update({s: n for s, n in over.answers.items() if s not in (200, 429)})
    if asked.soak:
        lasting = soak(
            service, [t for pair in zip(paragraphs, reports * 99, strict=False) for t in pair], asked.soak
        )
        wrong.update({s: n for s, n in lasting.answers.items() if s != 200})
    ended = service.stop()
    print(f"wrong: {dict(wrong) or 'none'}; exit code after SIGTERM {ended}")
    return 1 if wrong or ended else 0


if __name__ == "__main__":
    sys.exit(main())
