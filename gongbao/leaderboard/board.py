"""The board's folder: its test sets, its entries, and how one is added."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import gongbao
from gongbao.corpus import SPLITS, split_hash
from gongbao.files import replacing, sha256
from gongbao.leaderboard import evidence, pages, ranking
from gongbao.leaderboard.entries import Entry, Evidence, TestSet, Training, check_name, load, save
from gongbao.leaderboard.systems import Run, commit, mean_cost
from gongbao.metrics import DocumentCounts
from gongbao.schema import DataError, Document, LabelScheme, UsageError


class Board:
    """A leaderboard in a folder. One that is not there yet is empty."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{folder} is no folder", remedy="name the folder of a leaderboard")

    def test_sets(self) -> list[TestSet]:
        """The test sets, the public ones first, then by name.

        Raises:
            DataError: a file that is none of a test set.
        """
        found = []
        for path in sorted(self.folder.glob("*.json")):
            found.append(load(TestSet, path))
            if found[-1].name != path.stem:
                raise DataError(
                    f"the file is of the test set {found[-1].name!r}", file=path, remedy="restore its name"
                )
        return sorted(found, key=_place)

    def entries(self, test: TestSet) -> list[Entry]:
        """The entries of a test set, by name.

        Raises:
            DataError: a file that is no entry of this test set.
        """
        found = []
        for path in sorted((self.folder / test.name).glob("*.json")):
            entry = load(Entry, path)
            if entry.name != path.stem:
                raise DataError(
                    f"the file is of the entry {entry.name!r}", file=path, remedy="restore its name"
                )
            if (entry.test, entry.test_sha256) != (test.name, test.sha256):
                raise DataError(
                    f"the entry was scored on another version of {test.name}", file=path, remedy="add it anew"
                )
            found.append(entry)
        return found

    def rows(self, test: TestSet) -> list[ranking.Row]:
        """The rows of a test set's table."""
        entries = self.entries(test)
        return ranking.rank([(e, tallies(self.predictions(test, e))) for e in entries])

    def predictions(self, test: TestSet, entry: Entry) -> list[list[evidence.Stored]]:
        """The stored predictions of an entry, run by run.

        Raises:
            DataError: they are missing, broken, or not those that were added.
        """
        path = self.folder / test.name / Path(entry.predictions.file).name
        if path.exists() and sha256(path) != entry.predictions.sha256:
            raise DataError(
                "the predictions are not those that were added",
                file=path,
                remedy="restore them, or add the entry anew",
            )
        runs = evidence.read(path)
        if len(runs) != len(entry.runs):
            raise DataError(f"{len(runs)} runs are stored, the entry has {len(entry.runs)}", file=path)
        return runs

    # ------------------------------------------------------------------------------------ adding

    def test_set(
        self, name: str, gold: Sequence[Document], scheme: LabelScheme, *, bundled: bool, public: bool = True
    ) -> TestSet:
        """The board's test set of that name, which has to be this corpus; a new one if there is none yet.

        Raises:
            UsageError: no name for a file; no documents.
            DataError: the corpus or its scheme is not what the board's other entries were scored on.
        """
        if not gold:
            raise UsageError(f"the test set {name} holds no documents")
        made = TestSet(
            check_name(name, "a test set"), split_hash(gold), *size_of(gold), bundled=bundled, public=public,
            labels=scheme.to_json(),
        )  # fmt: skip
        path = self.folder / f"{name}.json"
        if not path.exists():
            return made
        known = load(TestSet, path)
        for what, differs in (
            ("texts or annotation are", known.sha256 != made.sha256),
            ("label scheme is", known.scheme != made.scheme),
        ):
            if differs:
                raise DataError(
                    f"the {what} not what the entries of {name} were scored on", file=path,
                    remedy="restore it, or give the new test set another name (--set); figures on a changed test set "
                    "compare with no others",
                )  # fmt: skip
        return known

    def add(
        self, test: TestSet, gold: Sequence[Document], name: str, runs: Sequence[Run], training: Training, command: str,
        *, overwrite: bool = False,
    ) -> Entry:  # fmt: skip
        """Score runs of one system, keep them as an entry, and make the pages anew.

        The entry is written after its predictions, so that one that can be read is whole.

        Raises:
            UsageError: there is an entry of that name, or none can have it.
            DataError: a run whose documents are not those of the test set.
        """
        path = self.folder / test.name / f"{check_name(name, 'an entry')}.json"
        if path.exists() and not overwrite:
            raise UsageError(
                f"there is an entry {name} already", remedy="give another --name, or --replace it"
            )
        scored = []
        for number, run in enumerate(runs, 1):
            try:
                scored.append((run.documents, evidence.score(gold, run.documents, test.scheme)))
            except DataError as error:
                raise error.within(file=f"{name}, run {number}") from None
        packed = evidence.pack(scored)
        digest = hashlib.sha256(packed).hexdigest()
        counted = [own for _, own in scored]
        entry = Entry(
            name=name,
            test=test.name,
            test_sha256=test.sha256,
            runs=tuple(ranking.run_score(e, r.seed, r.model) for e, r in zip(counted, runs, strict=True)),
            scores=ranking.scores(name, counted),
            training=training,
            cost=mean_cost([run.cost for run in runs]),
            configuration=_common([run.configuration for run in runs]),
            gongbao=gongbao.__version__,
            commit=commit(),
            date=date.today().isoformat(),
            command="\n".join([*dict.fromkeys(run.command for run in runs if run.command), command]),
            predictions=Evidence(f"{name}.{digest[:12]}.jsonl.gz", digest),
        )
        evidence.write(packed, path.with_name(entry.predictions.file))
        if not (self.folder / f"{test.name}.json").exists():
            save(test, self.folder / f"{test.name}.json")
        save(entry, path)
        for old in _packed_of(path):
            if old.name != entry.predictions.file:
                old.unlink()
        self.write_pages()
        return entry

    def pages(self) -> dict[str, str]:
        """The generated files by name: README.md, README.zh.md and index.html."""
        return pages.render([(test, self.rows(test)) for test in self.test_sets()])

    def write_pages(self) -> None:
        """Make the generated files anew from the entries."""
        for name, text in self.pages().items():
            with replacing(self.folder / name) as file:
                file.write(text)


def _place(test: TestSet) -> tuple[bool, int, str]:
    """Public test sets first, the bundled ones in their order, then by name."""
    return not test.public, SPLITS.index(test.name) if test.name in SPLITS else len(SPLITS), test.name


def size_of(gold: Sequence[Document]) -> tuple[int, int, int, int]:
    """Documents, characters, spans, links."""
    return (
        len(gold),
        sum(len(d.text) for d in gold),
        sum(len(d.spans) for d in gold),
        sum(len(d.links) for d in gold),
    )


def tallies(runs: Sequence[Sequence[evidence.Stored]]) -> list[list[DocumentCounts]]:
    """The stored counts alone, run by run."""
    return [[stored.counts for stored in run] for run in runs]


def _packed_of(entry: Path) -> list[Path]:
    """The predictions of an entry that lie beside it, those of earlier versions too."""
    beginning, length = f"{entry.stem}.", len(f"{entry.stem}.") + 12
    return [
        path
        for path in entry.parent.iterdir()
        if path.name.startswith(beginning) and path.name[length:] == ".jsonl.gz"
    ]


def _common(configurations: Sequence[Any]) -> dict[str, Any]:
    """One configuration for all runs: where they differ, the list of what each has."""
    first, *others = configurations
    if not others or all(other == first for other in others):
        return dict(first)
    keys = dict.fromkeys(key for c in configurations for key in c)
    out: dict[str, Any] = {}
    for key in keys:
        values = [c.get(key) for c in configurations]
        if all(value == values[0] for value in values):
            out[key] = values[0]
        elif all(isinstance(value, Mapping) for value in values):
            out[key] = _common(values)
        else:
            out[key] = values
    return out
