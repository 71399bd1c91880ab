"""train and predict, with evaluate beside them: the main job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gongbao.cli.common import (
    Backend,
    load_extractor,
    many,
    progress,
    read_articles,
    report_failed,
    some,
)
from gongbao.cli.evaluation import evaluate
from gongbao.process import needing, say, writing_to
from gongbao.schema import GongbaoError, UsageError

if TYPE_CHECKING:
    from gongbao.schema import Document, LabelScheme


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (train, evaluate, predict):
        app.command()(command)


def train(
    config: Annotated[
        Path | None, typer.Option("--config", help="A TOML file; configs/default.toml shows all keys.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder; else runs/NAME-DATE-TIME.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Fine-tune an encoder on annotated documents and print the run's folder."""
    from gongbao.config import TrainConfig

    wanted = TrainConfig.load(config, changes or ())
    with needing("train"):
        from gongbao.training import train as fine_tune
    try:
        with writing_to(output or Path("runs")):
            print(fine_tune(wanted, output, resume=resume, report=say))
    except KeyboardInterrupt:
        say("the same command with --resume goes on from the last epoch that was saved, if one was")
        raise


def predict(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Files or folders (txt html docx pdf), documents (jsonl), or - for one report on standard input.")],
    model: Annotated[Path | None, typer.Option("--model", help="A model's folder; else the default model.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to; else standard output.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="jsonl (documents), facts (a JSON line each), csv, xlsx, parquet, html (a page to read); else by the output's name.")] = None,
    backend: Annotated[Backend, typer.Option(help="What runs the model.")] = Backend.auto,
    published: Annotated[str | None, typer.Option(help="The publication date of texts that do not say theirs, e.g. 2023-11-02.")] = None,
) -> None:  # fmt: skip
    """Extract spans, values and facts from reports.

    What cannot be read is reported and the rest goes on; the exit code is 1 then.
    """
    from gongbao import tables
    from gongbao.facts import is_undated

    day = day_of(published) if published is not None else None
    page = form == "html" or (form is None and output is not None and output.suffix.lower() == ".html")
    form = "html" if page else tables.format_of(output, form)
    extractor = load_extractor(model, backend)
    failed: list[GongbaoError] = []
    documents = some(read_articles(inputs, failed.append, day))
    count = facts = undated = 0
    written = _page(output, extractor.folder.scheme) if page else tables.writing(output, form)
    with writing_to(output), written as add:
        for document in progress(extractor.stream(documents)):
            add(document)
            count += 1
            facts += len(document.facts)
            undated += is_undated(document, extractor.folder.scheme)
    if undated:
        say(
            f"{many(undated, 'document')} with times that have no dates, such as 今年, and no publication date to count "
            "them from; --published gives one"
        )
    say(f"{many(count, 'document')}, {many(facts, 'fact')}" + (f": {output}" if output else ""))
    report_failed(failed)


@contextmanager
def _page(output: Path | None, scheme: LabelScheme) -> Iterator[Callable[[Document], None]]:
    """Documents to read: one HTML page with their spans in colour and their facts."""
    from gongbao.files import replacing
    from gongbao.report import extraction_view

    documents: list[Document] = []
    yield documents.append
    page = extraction_view(documents, labels=scheme.labels)
    if output is None:
        print(page)
        return
    with replacing(output) as file:
        file.write(page)


def day_of(published: str) -> str:
    """The date that --published gives."""
    try:
        return date.fromisoformat(published).isoformat()
    except ValueError:
        raise UsageError(f"--published {published!r} is no date", remedy="write it as 2023-11-02") from None
