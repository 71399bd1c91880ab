"""What is put on a board: a model that is run here and measured, or the predictions of any system."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from gongbao.corpus import read
from gongbao.extractor import Extractor
from gongbao.files import PACKAGE
from gongbao.leaderboard.entries import Cost, Strict, load
from gongbao.leaderboard.training_data import config_of
from gongbao.model_folder import CONFIG, DESCRIPTION, LINKER, ONNX, VOCABULARY, WEIGHTS, ModelFolder
from gongbao.schema import Document, GongbaoError, LabelScheme

ABOUT: Final = ".about.json"


@dataclass(frozen=True)
class Run:
    """One run of a system over a test set: its documents, and what is known of what made them."""

    documents: Sequence[Document]
    seed: int | None = None
    model: str | None = None
    cost: Cost = field(default_factory=Cost)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    command: str | None = None


@dataclass(frozen=True, slots=True)
class About(Strict):
    """What predictions may bring along, in FILE.about.json beside FILE.jsonl; nothing of it is needed.

    `size` in bytes, `memory` the process's peak in bytes, `model` a hash or a version, `command` what made the predictions.
    """

    seed: int | None = None
    model: str | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    characters_per_second: float | None = None
    memory: int | None = None
    size: int | None = None
    machine: str | None = None
    command: str | None = None


# --------------------------------------------------------------------------------------- running


def run_model(path: Path, test: Sequence[Document]) -> Run:
    """Read the test set's texts with a model, in a process of its own that knows nothing else, and measure it.

    Characters a second are those of one reading of the whole test set, without the loading; memory is the process's peak.

    Raises:
        UsageError, DataError: there is no such model, or it is damaged.
        GongbaoError: the process ended, for want of memory for example.
    """
    folder = ModelFolder.load(path)
    bare = [Document(d.id, d.text, d.meta) for d in test]
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            documents, seconds, memory = pool.submit(timed_reading, str(path), bare).result()
    except BrokenProcessPool:
        raise GongbaoError(
            f"the process that ran {path} ended", remedy="look whether the memory sufficed"
        ) from None
    files = [CONFIG, VOCABULARY, LINKER, DESCRIPTION, ONNX if folder.onnx else WEIGHTS]
    cost = Cost(
        characters_per_second=round(sum(len(d.text) for d in bare) / seconds, 1),
        memory=memory,
        size=sum((path / name).stat().st_size for name in files if (path / name).exists()),
        machine=machine(),
        measured=True,
    )
    config = config_of(path)
    return Run(
        documents,
        seed=config.training.seed if config else None,
        model=folder.hashes.get(WEIGHTS) or folder.hashes.get(ONNX),
        cost=cost,
        configuration={"name": folder.name, "version": folder.version}
        | (config.model_dump(mode="json", exclude={"name"}) if config else {}),
    )


def timed_reading(path: str, documents: Sequence[Document]) -> tuple[list[Document], float, int | None]:
    """The documents as the model reads them, the seconds it took, and the peak of this process's memory in bytes."""
    extractor = Extractor.load(path)
    begun = time.perf_counter()
    found = extractor(documents)
    return found, time.perf_counter() - begun, peak_memory()


def peak_memory() -> int | None:
    """The largest resident size this process had, in bytes; None where the system does not tell."""
    try:
        # ru_maxrss would count, on Linux, what the process had been before it became this program.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)


def machine() -> str:
    """The processor and the cores that may be used."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{name}, {cores} core{'' if cores == 1 else 's'}"


def told_run(path: Path, scheme: LabelScheme) -> Run:
    """The predictions in a file, with what FILE.about.json tells of them if it is there.

    Raises:
        UsageError, DataError: no such file; documents that break their own rules or the scheme; an unknown field.
    """
    about_file = path.with_name(path.name.removesuffix(".gz").removesuffix(".jsonl") + ABOUT)
    about = load(About, about_file) if about_file.exists() else About()
    return Run(
        read(path, scheme), about.seed, about.model,
        Cost(about.characters_per_second, about.memory, about.size, about.machine),
        about.configuration, about.command,
    )  # fmt: skip


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """Of several runs the mean speed and size, and the largest memory."""
    speeds = [c.characters_per_second for c in costs if c.characters_per_second is not None]
    sizes = [c.size for c in costs if c.size is not None]
    return Cost(
        characters_per_second=round(sum(speeds) / len(speeds), 1) if speeds else None,
        memory=max((c.memory for c in costs if c.memory is not None), default=None),
        size=round(sum(sizes) / len(sizes)) if sizes else None,
        machine=" / ".join(dict.fromkeys(c.machine for c in costs if c.machine)) or None,
        measured=all(c.measured for c in costs),
    )


def commit() -> str | None:
    """The commit of the checkout that gongbao runs from, with -dirty behind it where files differ; None outside of one."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None
