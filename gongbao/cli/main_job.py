"""train and predict, with evaluate beside them: the main job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run of the same command that was stopped.")] = False,
) -> None:  # fmt: skip
    """Extract spans, values and facts from reports.

    What cannot be read is reported and the rest goes on; the exit code is 1 then.
    """
    from gongbao import tables
    from gongbao.cli.journal import journal

    day = day_of(published) if published is not None else None
    page = form == "html" or (form is None and output is not None and output.suffix.lower() == ".html")
    form = "html" if page else tables.format_of(output, form)
    if resume and output is None:
        raise UsageError("--resume needs a file to go on with", remedy="name it with -o")
    extractor = load_extractor(model, backend)
    scheme = extractor.folder.scheme
    failed: list[GongbaoError] = []
    seen = _Seen(scheme)

    def written() -> AbstractContextManager[Callable[[Document], None]]:
        return _page(output, scheme) if page else tables.writing(output, form)

    with writing_to(output):
        if output is None or (output.exists() and not output.is_file()):
            documents = some(read_articles(inputs, failed.append, day, parts=True))
            with written() as add:
                for document in progress(extractor.stream(documents)):
                    add(seen(document))
        else:
            about = {"inputs": inputs, "published": day, "model": dict(extractor.folder.hashes)}
            with journal(output, about, resume=resume) as kept:
                documents = read_articles(inputs, failed.append, day, kept.has, parts=True)
                for document in progress(extractor.stream(documents if len(kept) else some(documents))):
                    kept.add(document)
                with written() as add:
                    for document in kept.documents():
                        add(seen(document))
    seen.tell(output)
    report_failed(failed)


class _Seen:
    """Counts of what goes by."""

    def __init__(self, scheme: LabelScheme) -> None:
        self._scheme = scheme
        self._documents = self._facts = self._undated = 0

    def __call__(self, document: Document) -> Document:
        from gongbao.facts import is_undated

        self._documents += 1
        self._facts += len(document.facts)
        self._undated += is_undated(document, self._scheme)
        return document

    def tell(self, output: Path | None) -> None:
        """The last lines of a run."""
        if self._undated:
            say(
                f"{many(self._undated, 'document')} with times that have no dates, such as 今年, and no publication date to "
                "count them from; --published gives one"
            )
        say(
            f"{many(self._documents, 'document')}, {many(self._facts, 'fact')}"
            + (f": {output}" if output else "")
        )


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
