"""The gongbao command. Each command imports what it needs when it runs, so that --help is quick.

Results go to standard output, progress and messages to standard error. Exit codes: 0 done, 1 failed on the work,
2 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from gongbao.schema import DataError, GongbaoError, UsageError

if TYPE_CHECKING:
    from gongbao.schema import Document, LabelScheme

app = typer.Typer(
    name="gongbao",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Checked records out of Chinese government reports: annotate, train, extract, evaluate.",
)
articles_app = typer.Typer(no_args_is_help=True, help="Articles: from txt, html, docx and pdf to documents.")
annotations_app = typer.Typer(no_args_is_help=True, help="Annotations: from and to Label Studio files.")
corpus_app = typer.Typer(no_args_is_help=True, help="Corpora: check, count, split, compare annotators.")
model_app = typer.Typer(no_args_is_help=True, help="Models: describe, export for inference without torch.")
app.add_typer(articles_app, name="articles")
app.add_typer(annotations_app, name="annotations")
app.add_typer(corpus_app, name="corpus")
app.add_typer(model_app, name="model")

Config = Annotated[
    Path | None,
    typer.Option("--config", help="The labelling configuration (label_config.xml); else the bundled one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Backend(StrEnum):
    """What runs the model."""

    auto = "auto"
    onnx = "onnx"
    torch = "torch"


class Choose(StrEnum):
    """Which annotations of a task to take."""

    best = "best"
    all = "all"
    predictions = "predictions"


def say(line: str) -> None:
    """A message or a line of progress."""
    print(line, file=sys.stderr, flush=True)


def _scheme(config: Path | None) -> LabelScheme:
    from gongbao.files import bundled
    from gongbao.label_studio import read_config

    return read_config(config or bundled("annotations/label_config.xml")).scheme


# ------------------------------------------------------------------------ train, evaluate, predict


@app.command()
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
    with needing("train"):
        from gongbao.training import TrainConfig
        from gongbao.training import train as fine_tune
    print(fine_tune(TrainConfig.load(config, changes or ()), output, resume=resume, report=say))


@app.command()
def evaluate(
    data: Annotated[
        str, typer.Option("--data", help="A bundled split (train, dev, test) or a file with gold annotation.")
    ],
    model: Annotated[
        Path | None, typer.Option("--model", help="A model's folder; else the default model.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Predicted documents (JSONL), of any system.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the report here (.html or .json).")
    ] = None,
    backend: Annotated[Backend, typer.Option(help="What runs the model.")] = Backend.auto,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Score a model's or any system's predictions against gold annotation."""
    from gongbao.corpus import read, resolve
    from gongbao.facts import prepare_gold
    from gongbao.metrics import evaluate as score

    if model is not None and predictions is not None:
        raise UsageError("--model and --predictions exclude each other")
    if output is not None and output.suffix.lower() not in (".html", ".json"):
        raise UsageError(f"a report is .html or .json, not {output.name!r}")
    if predictions is not None:
        scheme = _scheme(config)
        gold = [prepare_gold(d, scheme) for d in resolve(data, scheme)]
        predicted = [d if d.facts else prepare_gold(d, scheme) for d in read(predictions, scheme)]
        name = predictions.name
    else:
        from gongbao.extractor import Extractor

        extractor = Extractor.load(model, backend=backend.value)
        scheme = extractor.folder.scheme
        gold = [prepare_gold(d, scheme) for d in resolve(data, scheme)]
        predicted = list(_progress(extractor.stream(gold), len(gold)))
        name = f"{extractor.folder.name} ({extractor.folder.path})"
    evaluation = score(gold, predicted)
    if output is not None:
        from gongbao.report import write_report

        write_report(output, evaluation, gold, predicted, model=name, data=data)
        say(f"report: {output}")
    if as_json:
        print(json.dumps(evaluation.to_json(), ensure_ascii=False, indent=1))
    else:
        from gongbao.report import score_table

        print(score_table(evaluation))


@app.command()
def predict(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT…", help="Files or folders (txt html docx pdf jsonl); - is standard input.")],
    model: Annotated[Path | None, typer.Option("--model", help="A model's folder; else the default model.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to; else standard output.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="jsonl (documents), facts (a JSON line each), csv, xlsx, parquet; else by the output's name.")] = None,
    backend: Annotated[Backend, typer.Option(help="What runs the model.")] = Backend.auto,
    published: Annotated[str | None, typer.Option(help="The publication date of texts that do not say theirs, e.g. 2023-11-02.")] = None,
) -> None:  # fmt: skip
    """Extract spans, values and facts from reports.

    A file that cannot be read is reported and the rest goes on; the exit code is 1 then.
    """
    from gongbao import tables

    if published is not None:
        try:
            date.fromisoformat(published)
        except ValueError:
            raise UsageError(
                f"--published {published!r} is no date", remedy="write it as 2023-11-02"
            ) from None
    if output is None and form is None:
        form = "jsonl"
    chosen = tables.format_of(output, form)
    failed: list[GongbaoError] = []
    documents = _articles(inputs, failed.append, published)
    from gongbao.extractor import Extractor

    extractor = Extractor.load(model, backend=backend.value)
    count = facts = 0
    with tables.writing(output, chosen) as add:
        for document in extractor.stream(documents):
            add(document)
            count += 1
            facts += len(document.facts)
    say(f"{count} documents, {facts} facts" + (f": {output}" if output else ""))
    if failed:
        raise typer.Exit(1)


def _articles(
    inputs: Iterable[str], fail: Callable[[GongbaoError], None], published: str | None = None
) -> Iterator[Document]:
    """Documents of files, folders, JSONL and standard input. What fails is said and handed to `fail`; the rest goes on."""
    from gongbao.articles import find_articles, read_article, read_article_bytes
    from gongbao.corpus import read

    def of(item: str) -> Iterator[Document]:
        if item == "-":
            yield read_article_bytes(sys.stdin.buffer.read(), "-")
        elif item.lower().endswith((".jsonl", ".jsonl.gz")):
            yield from read(item)
        else:
            for path in find_articles([item]):
                try:
                    yield read_article(path)
                except GongbaoError as error:
                    problem(error)

    def problem(error: GongbaoError) -> None:
        say(str(error))
        fail(error)

    for item in inputs:
        try:
            for document in of(item):
                if published and "published" not in document.meta:
                    document = document.replace(meta={**document.meta, "published": published})
                yield document
        except GongbaoError as error:
            problem(error)


def _progress(documents: Iterable[Document], total: int) -> Iterator[Document]:
    for n, document in enumerate(documents, 1):
        if n % 50 == 0 or n == total:
            say(f"  {n} of {total} documents")
        yield document


# -------------------------------------------------------------------------- articles, annotations


@articles_app.command("import")
def articles_import(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT…", help="Files or folders: txt html docx pdf.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The JSONL file of documents to write.")],
) -> None:
    """Read articles into documents, with page and paragraph of every character."""
    from gongbao.corpus import write

    failed: list[GongbaoError] = []
    documents = list(_articles(inputs, failed.append))
    if documents:
        write(documents, output)
    say(
        f"{len(documents)} articles: {output}"
        if documents
        else "no article could be read; nothing was written"
    )
    if failed or not documents:
        raise typer.Exit(1)


@annotations_app.command("import")
def annotations_import(
    export: Annotated[Path, typer.Argument(metavar="EXPORT.json", help="A Label Studio export (JSON or JSON_MIN).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The JSONL corpus to write.")],
    config: Config = None,
    choose: Annotated[Choose, typer.Option(help="Of several annotations of a task: best (ground truth, else the last) or all.")] = Choose.best,
    list_dropped: Annotated[bool, typer.Option("--list-dropped", help="List everything that was left out.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Turn a Label Studio export into a corpus; what is left out is counted by reason."""
    from gongbao.corpus import write
    from gongbao.label_studio import read_config, read_export

    found = read_export(export, read_config(config) if config else None, choose=choose.value)
    if not found.documents:
        raise DataError("no annotated task is left; nothing was written", file=export,
                        remedy=f"left out: {dict(found.counts) or 'nothing: the export is empty'}")  # fmt: skip
    write(found.documents, output)
    if as_json:
        print(
            json.dumps({"documents": len(found.documents), "dropped": dict(found.counts)}, ensure_ascii=False)
        )
    for reason, count in found.counts.items():
        say(f"left out: {count} × {reason}")
    if list_dropped:
        for dropped in found.dropped:
            say(f"  {dropped}")
    say(f"{len(found.documents)} documents: {output}")


@annotations_app.command("export")
def annotations_export(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="Documents (any format gongbao reads).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The tasks to import into Label Studio (.json).")],
    config: Config = None,
    as_annotations: Annotated[bool, typer.Option("--as-annotations", help="As finished annotations instead of predictions.")] = False,
) -> None:  # fmt: skip
    """Turn documents into Label Studio tasks with pre-annotations."""
    from gongbao.corpus import resolve
    from gongbao.files import bundled, replacing
    from gongbao.label_studio import read_config, to_tasks

    layout = read_config(config or bundled("annotations/label_config.xml"))
    tasks = to_tasks(
        resolve(corpus, layout.scheme), layout, as_="annotations" if as_annotations else "predictions"
    )
    with replacing(output) as file:
        json.dump(tasks, file, ensure_ascii=False, indent=1)
    say(f"{len(tasks)} tasks: {output}")


# ---------------------------------------------------------------------------------------- corpus


def _read_all(files: Sequence[str], scheme: LabelScheme | None) -> list[Document]:
    from gongbao.corpus import resolve

    return [document for name in files for document in resolve(name, scheme)]


Files = Annotated[
    list[str], typer.Argument(metavar="FILE…", help="Bundled splits (train dev test all) or files.")
]


@corpus_app.command("check")
def corpus_check(files: Files, config: Config = None, as_json: Json = False) -> None:
    """List every problem with its place; exit code 1 if there is one that is more than a notice."""
    from gongbao.checks import check
    from gongbao.splitting import duplicates

    scheme = _scheme(config)
    # Read without the scheme: what breaks it is to be listed, not to stop the reading.
    documents = _read_all(files, None)
    findings = check(documents, scheme)
    twins = duplicates(documents)
    if as_json:
        print(json.dumps(
            {"documents": len(documents), "findings": [f.to_json() for f in findings], "duplicates": [t.to_json() for t in twins]},
            ensure_ascii=False, indent=1,
        ))  # fmt: skip
    else:
        for item in (*findings, *twins):
            print(item)
        say(f"{len(documents)} documents, {len(findings)} findings, {len(twins)} pairs of near duplicates")
    if any(f.severity != "notice" for f in findings):
        raise typer.Exit(1)


@corpus_app.command("stats")
def corpus_stats(files: Files, config: Config = None, as_json: Json = False) -> None:
    """Count documents, characters, spans and links."""
    from gongbao.statistics import statistics

    found = statistics(_read_all(files, _scheme(config)))
    print(json.dumps(found.to_json(), ensure_ascii=False, indent=1) if as_json else found)


@corpus_app.command("split")
def corpus_split(
    files: Files,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder for train.jsonl, dev.jsonl and test.jsonl.")
    ],
    ratios: Annotated[str, typer.Option(help="Shares of train, dev and test.")] = "0.7,0.1,0.2",
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 1,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Split by place and year, so that no family of articles stands on both sides."""
    from gongbao.corpus import write
    from gongbao.splitting import split

    try:
        train, dev, test = (float(r) for r in ratios.split(","))
    except ValueError:
        raise UsageError(f"--ratios {ratios!r} is not three numbers", remedy="e.g. 0.7,0.1,0.2") from None
    parts = split(_read_all(files, _scheme(config)), ratios=(train, dev, test), seed=seed)
    for name in ("train", "dev", "test"):
        write(getattr(parts, name), output / f"{name}.jsonl")
    print(json.dumps(parts.to_json(), ensure_ascii=False, indent=1) if as_json else parts)


@corpus_app.command("agreement")
def corpus_agreement(
    one: Annotated[str, typer.Argument(metavar="ONE", help="One annotator's documents.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The other's, of the same texts.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Compare two annotators: span F1 for each label, link F1, and every place where they differ."""
    from gongbao.statistics import agreement

    scheme = _scheme(config)
    found = agreement(_read_all([one], scheme), _read_all([other], scheme))
    print(json.dumps(found.to_json(), ensure_ascii=False, indent=1) if as_json else found)


# ----------------------------------------------------------------------------------------- model


@model_app.command("info")
def model_info(
    model: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A model's folder; else the default model.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Describe a model and check that its files are whole."""
    from gongbao.model_folder import ModelFolder, default_model, summary

    folder = ModelFolder.load(model or default_model())
    folder.check()
    found = summary(folder)
    print(
        json.dumps(found, ensure_ascii=False, indent=1)
        if as_json
        else "\n".join(f"{k}: {v}" for k, v in found.items())
    )


@model_app.command("export")
def model_export(
    model: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model's folder.")],
) -> None:
    """Write model.onnx from the weights, for inference without torch."""
    from gongbao.model_folder import ModelFolder

    folder = ModelFolder.load(model)
    with needing("train"):
        from gongbao.model import export_onnx
    print(export_onnx(folder.path))
    folder.save()


# ------------------------------------------------------------------------------------------ main


class needing:  # noqa: N801
    """Turn a missing module in the block into a message that names the extra to install."""

    def __init__(self, extra: str) -> None:
        self._extra = extra

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("gongbao"):
            raise UsageError(
                f"this command needs {error.name}, which is not installed",
                remedy=f"pip install 'gongbao[{self._extra}]'",
            ) from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    try:
        result = app(args=None if argv is None else list(argv), prog_name="gongbao", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("stopped")
        return 130
    except UsageError as error:
        say(f"gongbao: {error}")
        return 2
    except GongbaoError as error:
        say(f"gongbao: {error}")
        return 1
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is wrong with the work. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        say(f"gongbao: {error.filename or 'a file'}: {error.strerror or error}; nothing was half written")
        return 1
    except Exception:
        say(traceback.format_exc())
        say("gongbao: this is a mistake in gongbao itself; please report it with the lines above")
        return 1


def run() -> None:
    """The entry point of the `gongbao` command."""
    sys.exit(main())
