"""The gongbao command. Each command imports what it needs when it runs, so that --help is quick.

Results go to standard output, progress and messages to standard error. Exit codes: 0 done, 1 failed on the work,
2 wrong usage, 130 stopped by the user.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

from gongbao.process import guarded, needing, say, writing_to
from gongbao.schema import UNREAD, DataError, GongbaoError, UsageError

if TYPE_CHECKING:
    from gongbao.extractor import Extractor
    from gongbao.model_folder import ModelFolder
    from gongbao.schema import Document, LabelScheme

app = typer.Typer(
    name="gongbao",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
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
Check = Annotated[
    Path | None,
    typer.Option("--config", help="Check labels and links against this labelling configuration."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _scheme(config: Path | None) -> LabelScheme:
    from gongbao.files import bundled
    from gongbao.label_studio import read_config

    return read_config(config or bundled("annotations/label_config.xml")).scheme


@contextmanager
def _naming_the_option(config: Path | None) -> Iterator[None]:
    """Where the bundled scheme does not have a label or link, tell how to bring another."""
    try:
        yield
    except DataError as error:
        if config is None and "the scheme" in error.problem:
            other = "another scheme is read with --config label_config.xml"
            error.remedy = f"{error.remedy}; {other}" if error.remedy else other
        raise


def _version(wanted: bool) -> None:
    if wanted:
        from gongbao import __version__

        print(f"gongbao {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """Checked records out of Chinese government reports: annotate, train, extract, evaluate."""


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


@app.command()
def evaluate(
    data: Annotated[
        str, typer.Option("--data", help="A bundled split (train, dev, test) or a file with gold annotation.")
    ],
    model: Annotated[
        Path | None, typer.Option("--model", help="A model's folder; else the default model.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Predicted documents, of any system.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the report here (.html, .json or .md).")
    ] = None,
    backend: Annotated[Backend, typer.Option(help="What runs the model.")] = Backend.auto,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Score a model's or any system's predictions against gold annotation."""
    from gongbao.corpus import read, resolve
    from gongbao.facts import prepare_gold
    from gongbao.metrics import evaluate as score
    from gongbao.report import score_table, write_report

    if predictions is not None and model is not None:
        raise UsageError("--model and --predictions exclude each other")
    if predictions is None and config is not None:
        raise UsageError("--config goes with --predictions: a model brings its own labels")
    if output is not None and output.suffix.lower() not in (".html", ".json", ".md"):
        raise UsageError(f"a report is .html, .json or .md, not {output.name!r}", remedy="-o report.html")
    if predictions is not None:
        name = predictions.name
        scheme = _scheme(config)
        with _naming_the_option(config):
            gold = [prepare_gold(d, scheme) for d in resolve(data, scheme)]
            predicted = [_valued(d, scheme) for d in read(predictions, scheme)]
    else:
        extractor = _extractor(model, backend)
        name = f"{extractor.folder.name} ({extractor.folder.path})"
        scheme = extractor.folder.scheme
        gold = [prepare_gold(d, scheme) for d in resolve(data, scheme)]
        predicted = list(_progress(extractor.stream(gold), len(gold)))
    if not gold:
        raise DataError("there are no documents to evaluate on", file=data)
    try:
        evaluation = score(gold, predicted)
    except DataError as error:
        raise error.within(file=f"{name} against {data}") from None
    if output is not None:
        with writing_to(output):
            write_report(output, evaluation, gold, predicted, model=name, data=data, labels=scheme.labels)
        say(f"report: {output}")
    if as_json:
        _print_json(evaluation.to_json())
    else:
        print(score_table(evaluation))


def _valued(document: Document, scheme: LabelScheme) -> Document:
    """A system's document with values, and with facts if it brings none of its own."""
    from gongbao.facts import normalise, prepare_gold

    if not document.facts:
        return prepare_gold(document, scheme)
    return document if any(s.value is not UNREAD for s in document.spans) else normalise(document, scheme)


def _extractor(model: Path | None, backend: Backend) -> Extractor:
    """The model named, or the default one, once its files are known to be whole. Either form of the weights is enough."""
    from gongbao.extractor import Extractor
    from gongbao.model_folder import CONFIG, ONNX, VOCABULARY, WEIGHTS, ModelFolder, default_model

    folder = ModelFolder.load(model if model is not None else default_model())
    weights = [name for name in (ONNX, WEIGHTS) if (folder.path / name).exists()]
    if not weights:
        raise UsageError(
            f"{folder.path} holds neither {ONNX} nor {WEIGHTS}", remedy="copy the model folder again, whole"
        )
    _check_files(folder, CONFIG, VOCABULARY, *weights)
    return Extractor.load(folder.path, backend=backend.value)


def _check_files(folder: ModelFolder, *names: str) -> None:
    replace(folder, hashes={name: folder.hashes[name] for name in names if name in folder.hashes}).check()


@app.command()
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

    day = _day(published) if published is not None else None
    page = form == "html" or (form is None and output is not None and output.suffix.lower() == ".html")
    form = "html" if page else tables.format_of(output, form)
    extractor = _extractor(model, backend)
    failed: list[GongbaoError] = []
    documents = _some(_articles(inputs, failed.append, day))
    count = facts = undated = 0
    periods = [label for label, kind in extractor.folder.scheme.values.items() if kind == "period"]
    written = _page(output, extractor.folder.scheme) if page else tables.writing(output, form)
    with writing_to(output), written as add:
        for document in _progress(extractor.stream(documents)):
            add(document)
            count += 1
            facts += len(document.facts)
            undated += "published" not in document.meta and any(
                s.label in periods and s.value is None for s in document.spans
            )
    if undated:
        say(
            f"{_many(undated, 'document')} with times that have no dates, such as 今年, and no publication date to count "
            "them from; --published gives one"
        )
    say(f"{_many(count, 'document')}, {_many(facts, 'fact')}" + (f": {output}" if output else ""))
    _report_failed(failed)


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


def _day(published: str) -> str:
    try:
        return date.fromisoformat(published).isoformat()
    except ValueError:
        raise UsageError(f"--published {published!r} is no date", remedy="write it as 2023-11-02") from None


def _articles(
    inputs: Iterable[str], fail: Callable[[GongbaoError], None], published: str | None = None
) -> Iterator[Document]:
    """Documents of files, folders, JSONL and standard input. What fails is said and handed to `fail`; the rest goes on."""
    from gongbao.articles import SUFFIXES, find_articles, read_article, read_article_bytes
    from gongbao.corpus import read

    seen: set[Path] = set()

    def of(item: str) -> Iterator[Document]:
        if item == "-":
            yield read_article_bytes(sys.stdin.buffer.read(), "-")
        elif item.lower().endswith((".jsonl", ".jsonl.gz")):
            yield from read(item)
        else:
            passed_over: list[Path] = []
            paths = list(find_articles([item], skipped=passed_over.append))
            if passed_over:
                say(
                    f"{item}: {_many(len(passed_over), 'file')} of other kinds passed over: {_first(passed_over)}"
                )
            if not paths:
                raise DataError(
                    "there is no article in the folder",
                    file=item,
                    remedy=f"articles end in {' '.join(SUFFIXES)}",
                )
            for path in paths:
                if path.resolve() in seen:
                    continue
                seen.add(path.resolve())
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


def _first(paths: Sequence[Path], count: int = 5) -> str:
    names = ", ".join(path.name for path in paths[:count])
    return names if len(paths) <= count else f"{names}, …"


def _some(documents: Iterator[Document]) -> Iterator[Document]:
    """The documents if there are any: an output from before is not replaced by one with nothing in it."""
    first = next(documents, None)
    if first is None:
        raise GongbaoError("no report could be read; nothing was written")
    return chain((first,), documents)


def _report_failed(failed: Sequence[GongbaoError]) -> None:
    if failed:
        say(f"{_many(len(failed), 'input')} could not be read, see above")
        raise typer.Exit(1)


def _progress(documents: Iterable[Document], total: int | None = None) -> Iterator[Document]:
    for n, document in enumerate(documents, 1):
        if n % 50 == 0 or n == total:
            say(f"  {n} of {total} documents" if total else f"  {n} documents")
        yield document


# -------------------------------------------------------------------------- articles, annotations


@articles_app.command("import")
def articles_import(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT", help="Files or folders: txt html docx pdf.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The JSONL file of documents to write.")],
) -> None:
    """Read articles into documents, with page and paragraph of every character."""
    from gongbao.corpus import write

    if not output.name.lower().endswith((".jsonl", ".jsonl.gz")):
        raise UsageError(f"documents are written as .jsonl or .jsonl.gz, not {output.name!r}")
    failed: list[GongbaoError] = []
    documents = list(_some(_articles(inputs, failed.append)))
    with writing_to(output):
        write(documents, output)
    say(f"{_many(len(documents), 'article')}: {output}")
    _report_failed(failed)


@annotations_app.command("import")
def annotations_import(
    export: Annotated[Path, typer.Argument(metavar="EXPORT.json", help="A Label Studio export (JSON or JSON_MIN).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The corpus to write (.jsonl).")],
    config: Annotated[Path | None, typer.Option("--config", help="The export's labelling configuration; else its labels are taken from its regions.")] = None,
    choose: Annotated[Choose, typer.Option(help="Of each task the best annotation (ground truth, else the last), all of them, or the prediction.")] = Choose.best,
    list_dropped: Annotated[bool, typer.Option("--list-dropped", help="List everything that was left out or noted.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Turn a Label Studio export into a corpus; what is left out is counted by reason."""
    from collections import Counter

    from gongbao.corpus import write
    from gongbao.label_studio import read_config, read_export

    found = read_export(export, read_config(config) if config else None, choose=choose.value)
    noted = Counter(str(finding.reason) for finding in found.notes)
    for what, counts in (("left out", found.counts), ("noted", noted)):
        for reason, count in counts.items():
            say(f"{what}: {count} × {reason}")
    if list_dropped:
        for finding in (*found.dropped, *found.notes):
            say(f"  {finding}")
    if not found.documents:
        raise DataError("no annotated task is left; nothing was written", file=export,
                        remedy="annotate tasks and submit them, or take predictions with --choose predictions")  # fmt: skip
    with writing_to(output):
        write(found.documents, output)
    say(f"{_many(len(found.documents), 'document')}: {output}")
    if as_json:
        _print_json({"documents": len(found.documents), "dropped": found.counts, "noted": dict(noted)})


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

    if output.suffix.lower() != ".json":
        raise UsageError(f"Label Studio imports .json, not {output.name!r}", remedy="-o tasks.json")
    layout = read_config(config or bundled("annotations/label_config.xml"))
    with _naming_the_option(config):
        documents = resolve(corpus, layout.scheme)
    tasks = to_tasks(documents, layout, as_="annotations" if as_annotations else "predictions")
    with writing_to(output), replacing(output) as file:
        json.dump(tasks, file, ensure_ascii=False, indent=1)
    say(f"{_many(len(tasks), 'task')}: {output}")


# ---------------------------------------------------------------------------------------- corpus


def _read_all(files: Sequence[str], config: Path | None) -> list[Document]:
    """The documents of all files; labels and links are checked where a configuration is given."""
    from gongbao.corpus import resolve

    scheme = _scheme(config) if config else None
    return [document for name in files for document in resolve(name, scheme)]


Files = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Bundled splits (train dev test all) or files.")
]


@corpus_app.command("check")
def corpus_check(files: Files, config: Config = None, as_json: Json = False) -> None:
    """List every problem with its place; exit code 1 if there is one that is more than a notice."""
    from gongbao.checks import check
    from gongbao.corpus import resolve
    from gongbao.splitting import duplicates

    scheme = _scheme(config)
    documents: list[Document] = []
    broken: list[str] = []
    for name in files:
        try:
            # Read without the scheme: what breaks it is to be listed, not to stop the reading.
            documents += resolve(name)
        except DataError as error:
            broken.append(str(error))
    findings = check(documents, scheme)
    twins = duplicates(documents)
    if as_json:
        _print_json({
            "documents": len(documents), "unreadable": broken, "findings": [f.to_json() for f in findings],
            "duplicates": [t.to_json() for t in twins],
        })  # fmt: skip
    else:
        for item in (*broken, *findings, *twins):
            print(item)
    counts = [_many(len(documents), "document"), _many(len(findings), "finding"),
              f"{_many(len(twins), 'pair')} of near duplicates"]  # fmt: skip
    if broken:
        counts.append(f"{_many(len(broken), 'file')} that cannot be read")
    say(", ".join(counts))
    if broken or any(f.severity != "notice" for f in findings):
        raise typer.Exit(1)


@corpus_app.command("stats")
def corpus_stats(files: Files, config: Check = None, as_json: Json = False) -> None:
    """Count documents, characters, spans and links."""
    from gongbao.statistics import statistics

    found = statistics(_read_all(files, config))
    if as_json:
        _print_json(found.to_json())
    else:
        print(found)


@corpus_app.command("split")
def corpus_split(
    files: Files,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder for train.jsonl, dev.jsonl and test.jsonl.")
    ],
    ratios: Annotated[str, typer.Option(help="Shares of train, dev and test.")] = "0.7,0.1,0.2",
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 1,
    config: Check = None,
    as_json: Json = False,
) -> None:
    """Split by place and year, so that no family of articles stands on both sides.

    Sentences that stand on both sides all the same, or nearly so, are listed.
    """
    from gongbao.splitting import split

    try:
        train, dev, test = (float(r) for r in ratios.split(","))
    except ValueError:
        raise UsageError(f"--ratios {ratios!r} is not three numbers", remedy="e.g. 0.7,0.1,0.2") from None
    parts = split(_read_all(files, config), ratios=(train, dev, test), seed=seed)
    with writing_to(output):
        _write_together({f"{name}.jsonl": part for name, part in parts.parts.items()}, output)
    say(f"train.jsonl, dev.jsonl, test.jsonl: {output}")
    if as_json:
        _print_json({**parts.to_json(), "shared": [s.to_json() for s in parts.shared]})
    else:
        print(parts)


def _write_together(files: dict[str, Sequence[Document]], folder: Path) -> None:
    """Write the files to the folder, none of them before all of them are whole."""
    from gongbao.corpus import write

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".split.") as beside:
        for name, documents in files.items():
            write(documents, Path(beside, name))
        for name in files:
            Path(beside, name).replace(folder / name)


@corpus_app.command("agreement")
def corpus_agreement(
    one: Annotated[str, typer.Argument(metavar="ONE", help="One annotator's documents, or all annotators' (import --choose all).")],
    other: Annotated[str | None, typer.Argument(metavar="[OTHER]", help="The other's, of the same texts.")] = None,
    config: Check = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Compare annotators two by two: span F1 for each label, link F1, and every place where they differ."""
    from gongbao.statistics import agreement, agreements

    try:
        if other is None:
            found = agreements(_read_all([one], config))
        else:
            found = {(one, other): agreement(_read_all([one], config), _read_all([other], config))}
    except DataError as error:
        raise error.within(file=one if other is None else f"{one} and {other}") from None
    if as_json:
        _print_json([{"annotators": list(pair), **result.to_json()} for pair, result in found.items()])
    else:
        for pair, result in found.items():
            print(f"{pair[0]} and {pair[1]}\n{result}")


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
    if as_json:
        _print_json(found)
        return
    for key, value in found.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, part in value.items():
                print(f"  {name}: {part:,}" if isinstance(part, int) else f"  {name}: {part}")
        else:
            print(f"{key}: {' '.join(value) if isinstance(value, list) else value}")


@model_app.command("export")
def model_export(
    model: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model's folder.")],
) -> None:
    """Write model.onnx from the weights, for inference without torch."""
    from gongbao.model_folder import CONFIG, VOCABULARY, WEIGHTS, ModelFolder

    folder = ModelFolder.load(model)
    _check_files(folder, CONFIG, WEIGHTS, VOCABULARY)
    with needing("train"):
        from gongbao.model import export_onnx
    with writing_to(folder.path):
        written = export_onnx(folder.path)
        folder.hashed().save()
    print(written)


# ------------------------------------------------------------------------------------------ main


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    return guarded(lambda: _run(sys.argv[1:] if argv is None else list(argv)))


def _run(arguments: list[str]) -> int:
    command = get_command(app)
    try:
        with command.make_context("gongbao", arguments) as context:
            command.invoke(context)
    except typer.Exit as error:
        return error.exit_code
    except typer.TyperException as error:
        message = error.format_message().replace("Value error, ", "")
        if not message.startswith("Usage: "):
            at = getattr(error, "ctx", None)
            message = (
                f"gongbao: {message}\n  → {at.command_path if at else 'gongbao'} --help tells what there is"
            )
        say(message)
        return error.exit_code
    return 0


def run() -> None:
    """The entry point of the `gongbao` command."""
    sys.exit(main())
