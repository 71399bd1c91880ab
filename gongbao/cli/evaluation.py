"""evaluate: score a model or any system, write the report, set another system beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gongbao.cli.common import (
    Backend,
    Config,
    Json,
    load_extractor,
    naming_the_option,
    print_json,
    progress,
    scheme_of,
)
from gongbao.process import say, writing_to
from gongbao.schema import UNREAD, DataError, UsageError

if TYPE_CHECKING:
    from gongbao.extractor import Extractor
    from gongbao.metrics import Evaluation
    from gongbao.report.evaluation import Against
    from gongbao.schema import Document, LabelScheme
    from gongbao.suspects import Judged


def evaluate(
    data: Annotated[
        str,
        typer.Option(
            "--data", help="A bundled split (train, dev, test, shift) or a file with gold annotation."
        ),
    ],
    model: Annotated[
        Path | None, typer.Option("--model", help="A model's folder; else the default model.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Predicted documents, of any system.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Compare with another model's folder or with predicted documents."),
    ] = None,
    trained_on: Annotated[
        list[str] | None,
        typer.Option(
            "--train",
            help="What it was trained on, to tell seen spans from unseen; else what the model says.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the report here (.html, .json or .md).")
    ] = None,
    backend: Annotated[Backend, typer.Option(help="What runs the model.")] = Backend.auto,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Score a model's or any system's predictions against gold annotation."""
    from gongbao.corpus import resolve
    from gongbao.facts import prepare_gold
    from gongbao.report import score_table, write_report
    from gongbao.suspects import suspects

    if predictions is not None and model is not None:
        raise UsageError("--model and --predictions exclude each other")
    if predictions is None and config is not None:
        raise UsageError("--config goes with --predictions: a model brings its own labels")
    if output is not None and output.suffix.lower() not in (".html", ".json", ".md"):
        raise UsageError(f"a report is .html, .json or .md, not {output.name!r}", remedy="-o report.html")
    if trained_on and output is None:
        raise UsageError("--train is for the report", remedy="name one with -o report.html")
    extractor = None if predictions is not None else load_extractor(model, backend)
    scheme = extractor.folder.scheme if extractor else scheme_of(config)
    with naming_the_option(config):
        gold = [prepare_gold(d, scheme) for d in resolve(data, scheme)]
    if not gold:
        raise DataError("there are no documents to evaluate on", file=data)
    judged: dict[str, Judged] = {}
    name, predicted = _predicted(extractor, predictions, gold, scheme, config, judged if output else None)
    evaluation = _scored(gold, predicted, name, data)
    other, theirs = (
        (None, None) if against is None else _against(against, gold, scheme, backend, config, data)
    )
    if output is not None:
        training = _training(extractor, trained_on, scheme)
        doubts = suspects(gold, scheme, judged or None)
        with writing_to(output):
            write_report(
                output, evaluation, gold, predicted, model=name, data=data, labels=scheme.labels, training=training,
                suspects=doubts, against=other,
            )  # fmt: skip
        say(f"report: {output}")
    differences = _differences(evaluation, theirs)
    if as_json:
        print_json({**evaluation.to_json(), **({"against": differences} if differences else {})})
    else:
        print(score_table(evaluation))
        for line in _told(differences):
            print(line)


def _predicted(
    extractor: Extractor | None,
    predictions: Path | None,
    gold: Sequence[Document],
    scheme: LabelScheme,
    config: Path | None,
    judged: dict[str, Judged] | None = None,
) -> tuple[str, list[Document]]:
    """The name of what is evaluated, and what it predicts; what a model makes of the annotation goes into `judged`."""
    from gongbao.corpus import read

    if extractor is not None:
        name = f"{extractor.folder.name} ({extractor.folder.path})"
        return name, list(progress(_reading(extractor, gold, judged), len(gold)))
    assert predictions is not None
    with naming_the_option(config):
        return predictions.name, [_valued(d, scheme) for d in read(predictions, scheme)]


def _reading(
    extractor: Extractor, gold: Sequence[Document], judged: dict[str, Judged] | None
) -> Iterator[Document]:
    if judged is None:
        yield from extractor.stream(gold)
        return
    for document, said in extractor.read_and_judge(gold):
        judged[document.id] = said
        yield document


def _scored(gold: Sequence[Document], predicted: Sequence[Document], name: str, data: str) -> Evaluation:
    from gongbao.metrics import evaluate as score

    try:
        return score(gold, predicted)
    except DataError as error:
        raise error.within(file=f"{name} against {data}") from None


def _against(
    path: Path,
    gold: Sequence[Document],
    scheme: LabelScheme,
    backend: Backend,
    config: Path | None,
    data: str,
) -> tuple[Against, Evaluation]:
    """The other system, a model's folder or predictions in whatever holds documents, and its scores."""
    from gongbao.model_folder import DESCRIPTION
    from gongbao.report.evaluation import Against

    is_model = (path / DESCRIPTION).is_file()
    extractor = load_extractor(path, backend) if is_model else None
    name, predicted = _predicted(extractor, None if is_model else path, gold, scheme, config)
    return Against(name, predicted), _scored(gold, predicted, name, data)


def _training(
    extractor: Extractor | None, named: Sequence[str] | None, scheme: LabelScheme
) -> list[Document] | None:
    """The documents that the system was trained on: those named, else those that the model's own configuration names."""
    from gongbao.corpus import resolve
    from gongbao.leaderboard import at_hand, config_of

    if named:
        return [document for name in named for document in resolve(name, scheme)]
    config = config_of(extractor.folder.path) if extractor else None
    if config is None:
        return None
    found, missing = at_hand(config.data.train, scheme)
    if missing:
        say(
            f"training data that is not here: {', '.join(missing)}; its spans count as unseen (--train names others)"
        )
    return [document for part in found.values() for document in part] or None


def _differences(evaluation: Evaluation, other: Evaluation | None) -> dict[str, dict[str, object] | None]:
    """By what is counted, the difference to the other system; empty without one."""
    from gongbao.metrics import significance

    if other is None:
        return {}
    found = significance(evaluation, other)
    return {what: difference.to_json() if difference else None for what, difference in found.items()}


def _told(differences: dict[str, dict[str, object] | None]) -> list[str]:
    lines = []
    for what, found in differences.items():
        if found is not None:
            word = "significant" if found["significant"] else "not significant"
            lines.append(
                f"{what} F1, difference to the other: {found['difference']:+.3f}, p {found['p']:.4f}, {word}"
            )
    return lines


def _valued(document: Document, scheme: LabelScheme) -> Document:
    """A system's document with values, and with facts if it brings none of its own."""
    from gongbao.facts import normalise, prepare_gold

    if not document.facts:
        return prepare_gold(document, scheme)
    return document if any(s.value is not UNREAD for s in document.spans) else normalise(document, scheme)
