"""What the JSON files of a board hold: test sets and entries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeVar

from gongbao.files import replacing
from gongbao.schema import DataError, LabelScheme, UsageError

FORMAT: Final = 1
_NAME: Final = re.compile(r"\w[\w.-]{0,59}")
Kept = TypeVar("Kept")


class Strict:
    """What pydantic is to know when it reads one of these from JSON."""

    __slots__ = ()
    __pydantic_config__: ClassVar = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Score(Strict):
    """Mean F1, precision and recall over the runs, each 0 to 1.

    `interval` is the F1's 95% interval (`ranking.interval`), None where there is nothing to count; `deviation` the standard
    deviation of the runs' F1s (n - 1), None for a single run; `gold` how many there are to find.
    """

    f1: float
    interval: tuple[float, float] | None
    deviation: float | None
    precision: float
    recall: float
    gold: int


@dataclass(frozen=True, slots=True)
class Scores(Strict):
    """Strict scores: all spans, the spans of each label, links, facts."""

    spans: Score
    labels: Mapping[str, Score]
    links: Score
    facts: Score


@dataclass(frozen=True, slots=True)
class RunScore(Strict):
    """One run of an entry: its seed, the SHA-256 of its model's weights, its three F1s."""

    seed: int | None
    model: str | None
    spans: float
    links: float
    facts: float


@dataclass(frozen=True, slots=True)
class Cost(Strict):
    """What a run takes: characters a second, peak memory and size of the model's files in bytes, on which machine.

    `measured`: by gongbao, in a process of the model's own; otherwise it is what the predictions came with.
    """

    characters_per_second: float | None = None
    memory: int | None = None
    size: int | None = None
    machine: str | None = None
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Training(Strict):
    """What was trained and chosen on, and how far it was compared with the test set.

    `checked` is "all" where every document was compared and the model's own record proves that these are all; "given"
    where `documents` were compared of which nothing proves that they are all; "none".
    """

    checked: Literal["all", "given", "none"] = "none"
    documents: int = 0
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence(Strict):
    """The file of the predictions, beside the entry, and the SHA-256 of its bytes."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry(Strict):
    """A row: one system on one test set (its name and hash), in one run or several."""

    name: str
    test: str
    test_sha256: str
    runs: tuple[RunScore, ...]
    scores: Scores
    training: Training
    cost: Cost
    configuration: Mapping[str, Any]
    gongbao: str
    commit: str | None
    date: str
    command: str
    predictions: Evidence
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class TestSet(Strict):
    """A frozen test set: its hash (`corpus.split_hash`), its size and the label scheme that everything is scored with.

    `bundled` ones come with gongbao, under their name; of others whoever checks the board needs the corpus.
    """

    __test__ = False  # no test for pytest to collect

    name: str
    sha256: str
    documents: int
    characters: int
    spans: int
    links: int
    bundled: bool
    public: bool
    labels: Mapping[str, Any] = field(repr=False)
    format: int = FORMAT

    @property
    def scheme(self) -> LabelScheme:
        """The label scheme."""
        return LabelScheme.from_json(self.labels)


def check_name(name: str, what: str) -> str:
    """The name, which is to be a file's too.

    Raises:
        UsageError: it cannot be.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for {what}",
            remedy="use up to 60 letters, digits, _ . and -, the first no mark",
        )
    return name


def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def save(kept: Entry | TestSet, path: Path) -> None:
    """Write one to its file, whole or not at all."""
    with replacing(path) as file:
        file.write(json.dumps(to_json(kept), ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def to_json(kept: Entry | TestSet | Scores) -> dict[str, Any]:
    """Plain JSON."""
    made: dict[str, Any] = _adapter(type(kept)).dump_python(kept, mode="json")
    return made


def load(kind: type[Kept], path: Path) -> Kept:
    """Read an entry, a test set, or what a system told of itself.

    Raises:
        DataError: no JSON, an unknown or missing field, a value of the wrong type, another format.
    """
    from pydantic import ValidationError

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(data, dict) and data.get("format", FORMAT) != FORMAT:
            raise DataError(
                f"format {data['format']!r} is not known here", file=path, remedy="update gongbao"
            )
        made: Kept = _adapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{where or 'the file'}: {first['msg']}", file=path, remedy="restore the file"
        ) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"not JSON: {error}", file=path, remedy="restore the file") from None
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", file=path) from None
    return made
