"""Whether everything in a board's folder is what its predictions give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, TypeVar

import gongbao
from gongbao.corpus import resolve, split_hash
from gongbao.leaderboard import evidence, pages, ranking
from gongbao.leaderboard.board import Board, size_of, tallies
from gongbao.leaderboard.entries import Entry, TestSet
from gongbao.schema import DataError, Document, GongbaoError, UsageError

Made = TypeVar("Made")
Gold = Sequence[Document]
_TOLERANCE: Final = 2e-6  # scores are kept to six decimals


@dataclass
class Findings:
    """What `check` found: problems, and the names of test sets whose corpus was not at hand."""

    problems: list[GongbaoError] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def told(self, work: Callable[..., Made], *arguments: Any) -> Made | None:
        """What the work gives; where it fails its error is a problem, and nothing is given."""
        try:
            return work(*arguments)
        except GongbaoError as error:
            self.problems.append(error)
            return None


def check(board: Board, corpora: Mapping[str, Gold] | None = None) -> Findings:
    """Score every entry again from its predictions and compare every figure, then the pages.

    Args:
        corpora: documents of test sets that do not come with gongbao, by whatever name: they are known by their hash.
            Without its corpus an entry is held to the counts that are stored with its predictions.

    Raises:
        UsageError: there is no such folder, or a corpus is none of the board's test sets.
    """
    if not board.folder.is_dir():
        raise UsageError(f"there is no leaderboard {board.folder}", remedy="name its folder with --board")
    found = Findings()
    tests = found.told(board.test_sets)
    if tests is None:
        return found
    own = {split_hash(documents): (name, documents) for name, documents in (corpora or {}).items()}
    if strange := [name for digest, (name, _) in own.items() if digest not in {t.sha256 for t in tests}]:
        raise UsageError(
            f"{strange[0]} is none of the test sets of {board.folder}, or was changed",
            remedy=f"they are {', '.join(t.name for t in tests) or 'none'}",
        )
    for test in tests:
        gold = own[test.sha256][1] if test.sha256 in own else None
        if gold is None and test.bundled:
            gold = found.told(_bundled, board, test)
        elif gold is None:
            found.unchecked.append(test.name)
        if gold is not None:
            found.told(_check_size, board, test, gold)
        for entry in found.told(board.entries, test) or ():
            found.told(_check_entry, board, test, entry, gold)
    _check_files(board, tests, found)
    if not found.problems:  # else what the pages are made from is not in order
        _check_pages(board, found)
    return found


def _bundled(board: Board, test: TestSet) -> Gold:
    gold = resolve(test.name, test.scheme)
    if split_hash(gold) != test.sha256:
        raise DataError(
            f"the {test.name} split that comes with gongbao is another version", file=board.folder / f"{test.name}.json",
            remedy="remove the file and the folder of that name, and add the entries anew (make leaderboard)",
        )  # fmt: skip
    return gold


def _check_size(board: Board, test: TestSet, gold: Gold) -> None:
    if (test.documents, test.characters, test.spans, test.links) != size_of(gold):
        raise DataError(
            "the size of the test set is not what is written here", file=board.folder / f"{test.name}.json",
            remedy="restore the file",
        )  # fmt: skip


def _check_entry(board: Board, test: TestSet, entry: Entry, gold: Gold | None) -> None:
    """Raises a DataError for the first figure that is not what the predictions give."""
    path = board.folder / test.name / f"{entry.name}.json"
    runs = board.predictions(test, entry)
    for run in runs if gold is not None else ():
        try:
            _check_counts(run, gold or (), test)
        except DataError as error:
            raise error.within(file=path.with_name(entry.predictions.file)) from None
    counted = tallies(runs)
    wanted = replace(
        entry,
        runs=tuple(
            ranking.run_score(own, r.seed, r.model) for own, r in zip(counted, entry.runs, strict=True)
        ),
        scores=ranking.scores(entry.name, counted),
    )
    if (difference := _difference(entry, wanted)) is not None:
        where, stored, given = difference
        raise DataError(
            f"{where} is {stored}, but the entry's predictions give {given}", file=path,
            remedy="a score is never written by hand: restore the file, or add the entry anew",
        )  # fmt: skip


def _check_counts(run: Sequence[evidence.Stored], gold: Gold, test: TestSet) -> None:
    """Whether the stored counts are those of the stored spans and links against the corpus."""
    by_id = {d.id: d for d in gold}
    if [s.counts.id for s in run] != sorted(by_id):
        raise DataError("the predictions are not of the test set's documents", remedy="add the entry anew")
    predicted = [s.document(by_id[s.counts.id], test.scheme) for s in run]
    for stored, counted in zip(run, evidence.score(gold, predicted, test.scheme), strict=True):
        if stored.counts != counted:
            raise DataError(
                f"the stored counts are not what the spans and links give with gongbao {gongbao.__version__}",
                record=stored.counts.id, remedy="if the normalisers or the scoring changed, add the entry anew",
            )  # fmt: skip


def _check_files(board: Board, tests: Sequence[TestSet], found: Findings) -> None:
    """Nothing strange lies in the folder."""
    named = {test.name: test for test in tests}
    for folder in sorted(p for p in board.folder.glob("*") if p.is_dir()):
        if folder.name not in named:
            found.problems.append(
                DataError("the folder is of no test set of this board", file=folder, remedy="remove it")
            )
            continue
        entries = (
            Findings().told(board.entries, named[folder.name]) or []
        )  # what fails there was told already
        known = {path.name for path in folder.glob("*.json")} | {e.predictions.file for e in entries}
        found.problems += [
            DataError(
                "the file belongs to no entry",
                file=path,
                remedy="an add that was stopped leaves one: remove it",
            )
            for path in sorted(folder.iterdir())
            if path.name not in known
        ]


def _check_pages(board: Board, found: Findings) -> None:
    for name, text in (found.told(board.pages) or {}).items():
        path = board.folder / name
        if not path.exists() or not pages.same(path.read_text(encoding="utf-8", errors="replace"), text):
            found.problems.append(
                DataError(
                    "the page is not what the entries give",
                    file=path,
                    remedy="gongbao leaderboard show --write",
                )
            )


def _difference(one: Any, other: Any, where: str = "") -> tuple[str, Any, Any] | None:
    """The first place where two values of one form differ by more than rounding, and both values."""
    if is_dataclass(one) and is_dataclass(other):
        pairs = [(f.name, getattr(one, f.name), getattr(other, f.name)) for f in fields(one)]
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        pairs = [(key, one.get(key), other.get(key)) for key in dict.fromkeys([*one, *other])]
    elif isinstance(one, tuple | list) and isinstance(other, tuple | list) and len(one) == len(other):
        pairs = [(str(n), a, b) for n, (a, b) in enumerate(zip(one, other, strict=True))]
    elif isinstance(one, float) and isinstance(other, float):
        return None if abs(one - other) <= _TOLERANCE else (where, one, other)
    else:
        return None if one == other else (where, one, other)
    told = (_difference(a, b, f"{where}.{name}" if where else str(name)) for name, a, b in pairs)
    return next((difference for difference in told if difference is not None), None)
