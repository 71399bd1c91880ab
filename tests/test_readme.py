"""What the Markdown files say holds: commands and Python run, examples are annotated rightly, links lead somewhere.

The README's commands run in their order, in a folder that looks like a checkout after `make demo` and holds a tiny
model and tiny files under the names that the README uses.
"""

import io
import json
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import docx
import pytest
import typer

import gongbao.report  # noqa: F401 - it finds its templates before the fixture below moves what is bundled
from gongbao.checks import check
from gongbao.cli import app, main
from gongbao.corpus import freeze, read, write
from gongbao.facts import prepare_gold
from gongbao.inline import parse
from gongbao.label_studio import read_config, to_export
from gongbao.report.words import DIMENSIONS, SCHEMES
from gongbao.schema import Document
from gongbao.splitting import split
from gongbao.tables import COLUMNS, rows

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh.md")
GUIDELINES = ("annotations/guidelines.md", "annotations/guidelines.zh.md")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("", "annotations", "data", "docs", "serve")
    for path in (ROOT / folder).glob("*.md")
)
# What makes a training of minutes one of seconds.
TINY = ("encoder.name=tiny-bert", "window.size=96", "window.overlap=24", "training.epochs=1")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, language):
    """The fenced blocks of a language; those in lists without their indent."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text_of(page), re.M | re.S)
    return [re.sub(rf"^{indent}", "", block, flags=re.M) for indent, block in found]


def demo_model():
    """Where `make demo` puts the model."""
    return re.search(r"^MODEL := (\S+)$", text_of("Makefile"), re.M)[1]


def command_lines(page):
    """Each command as the list of its words, comments left out."""
    for block in blocks(page, "sh"):
        yield from (words for line in block.splitlines() if (words := shlex.split(line, comments=True)))


def arguments_of(words):
    """The arguments of a call of gongbao and its redirections, {"<": file, ">": file}; None for other programs."""
    redirections = {}
    while len(words) > 2 and words[-2] in ("<", ">"):
        *words, sign, file = words
        redirections[sign] = file
    if words[:1] == ["python"] and (ROOT / words[1]).is_file():
        words = ["gongbao", words[1].removesuffix(".py"), *words[2:]]
    return (words[1:], redirections) if words[0] == "gongbao" else None


COMMANDS = list(command_lines("README.md"))
OURS = [ours for words in COMMANDS if (ours := arguments_of(words))]


@pytest.mark.parametrize("language", ["sh", "python"])
def test_both_readmes_hold_the_same_commands_and_the_same_python(language):
    one, other = ([re.sub(r" *#.*", "", block) for block in blocks(page, language)] for page in READMES)
    assert one == other
    assert len(one) >= 2


def test_both_readmes_hold_the_same_figures():
    tables = [
        re.search(r"^## (?:Figures|数字)\n(.*?)^## ", text_of(page), re.M | re.S)[1] for page in READMES
    ]
    one, other = (re.findall(r"[\d.,]*\d", "".join(re.findall(r"^\|.*", t, re.M))) for t in tables)
    assert one == other
    assert len(one) > 5
    assert "{{" not in "".join(tables)


def test_the_readme_shows_every_group_of_commands():
    assert {arguments[0] for arguments, _ in OURS} == set(typer.main.get_command(app).commands)


@pytest.mark.parametrize("arguments", [arguments for arguments, _ in OURS], ids=" ".join)
def test_the_command_lines_of_the_readme_parse(arguments):
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    assert command.make_context("gongbao", list(arguments)).params


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_other_programs_are_told_is_there(page):
    makefile = text_of("Makefile")
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    for program, *arguments in (words for words in command_lines(page) if not arguments_of(words)):
        if program == "make":
            for name, is_variable, _ in (word.partition("=") for word in arguments):
                assert re.search(rf"^{name} \?=" if is_variable else rf"^{name}:", makefile, re.M), name
        elif program == "pip":
            assert arguments[0] == "install"
            assert set(re.findall(r"\[(\w+)\]", arguments[1])) <= set(extras)
        else:
            assert program in ("export", "source")


@pytest.mark.parametrize("page", READMES)
def test_the_model_of_the_demo_is_where_the_readme_says(page):
    named = [words[words.index("--model") + 1] for words in command_lines(page) if "--model" in words]
    assert demo_model() in named
    assert f'Extractor.load("{demo_model()}")' in text_of(page)
    assert demo_model().startswith("runs/")  # where `predict` without --model looks


# ------------------------------------------------------------------------------------ running them


@pytest.fixture
def checkout(monkeypatch, tmp_path, tiny_bert, tiny_model, documents):
    """The working folder for the README's commands, and where bundled files are found."""
    for name in ("annotations", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(tiny_bert, tmp_path / "tiny-bert")
    shutil.copytree(tiny_model, tmp_path / demo_model())
    for folder in ("data/demo", "reports"):
        (tmp_path / folder).mkdir(parents=True)

    config = tmp_path / "annotations" / "label_config.xml"
    shutil.copy(config, tmp_path / "my_labels.xml")
    # Articles that are imported from files have the files' names as their ids.
    annotated = [d.replace(id=f"reports/{d.id}.txt") for d in documents]
    for name in ("annotations/gold.json", "export.json"):
        (tmp_path / name).write_text(json.dumps(to_export(annotated, read_config(config))), encoding="utf-8")
    freeze(split(annotated).parts, tmp_path / "data")
    for name in ("one.jsonl", "other.jsonl"):
        write(documents, tmp_path / name)

    for name in ("texts.jsonl", "local.jsonl"):
        lines = (json.dumps({"text": d.text * 10}) for d in documents)
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    for document in annotated:
        (tmp_path / document.id).write_text(document.text, encoding="utf-8", newline="")
    (tmp_path / "report.txt").write_text(documents[0].text, encoding="utf-8")
    report = docx.Document()
    report.add_paragraph(documents[0].text)
    for name in ("report.docx", "data/demo/report.docx"):
        report.save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gongbao.files.PACKAGE", tmp_path / "gongbao")
    monkeypatch.setenv("GONGBAO_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_commands_and_the_python_of_the_readme_run(checkout, monkeypatch, capsys, documents):
    for given, redirections in OURS:
        arguments = [*given]
        if arguments[0] in ("serve", "studio"):
            continue  # these need a server or are one: tests/test_serving.py and tests/test_studio.py have them running
        if arguments[0] == "train" or "--folds" in arguments:
            arguments += [part for change in TINY for part in ("--set", change)]
        if arguments[1] == "adapt":
            arguments += ["--encoder", "tiny-bert", "--steps", "2"]
        if "<" in redirections:
            monkeypatch.setattr(
                sys, "stdin", io.TextIOWrapper(io.BytesIO((checkout / redirections["<"]).read_bytes()))
            )
        code = main(arguments)
        out, err = capsys.readouterr()
        assert code == 0, f"{' '.join(arguments)}\n{err}"
        if ">" in redirections:
            (checkout / redirections[">"]).write_text(out, encoding="utf-8", newline="")
        if "-o" in arguments:
            assert (checkout / arguments[arguments.index("-o") + 1]).exists(), err
        else:
            assert out, arguments
    assert len(read("documents.jsonl")) == len(read("corpus.jsonl")) == len(documents)
    assert (checkout / "rows.facts.jsonl").read_text(encoding="utf-8").startswith('{"document":')

    for block in blocks("README.md", "python"):
        exec(compile(block, "README.md", "exec"), {})
    assert len(read("predicted.jsonl")) == len(documents)
    assert "at_most" in capsys.readouterr().out


def test_the_example_at_the_top_is_what_its_annotation_gives(scheme):
    example = parse(
        "{2023年前三季度|TIME},全镇完成{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE},占年度任务的{88.6%|AMOUNT>1:COMPLETION}",
        id="example", scheme=scheme,
    )  # fmt: skip
    for page in READMES:
        text = text_of(page)
        assert f"> {example.text}\n" in text
        for row in rows(prepare_gold(example, scheme)):
            to = "to" if page == "README.md" else "至"
            cells = (
                row.metric, row.role, f"{row.low}", row.unit, f"{row.period_start} {to} {row.period_end}", f"{row.start}–{row.end}",
            )  # fmt: skip
            assert f"| {' | '.join(cells)} |" in text


# ------------------------------------------------------------------------------ the other pages


EVALUATION = ("docs/evaluation.md", "docs/evaluation.zh.md")


@pytest.mark.parametrize("language", ["sh", "python"])
def test_both_pages_on_evaluation_hold_the_same_commands_and_the_same_python(language):
    one, other = (blocks(page, language) for page in EVALUATION)
    assert one == other != []


def test_the_python_and_the_commands_on_evaluation_run(monkeypatch, tmp_path, documents, capsys):
    monkeypatch.chdir(tmp_path)
    write(documents, "corpus.jsonl")
    for name, spans in (("one", 3), ("other", 1)):
        write([d.replace(spans=d.spans[:spans], links=(), facts=()) for d in documents], f"{name}.jsonl")
    (block,) = blocks(EVALUATION[0], "python")
    exec(compile(block, EVALUATION[0], "exec"), {})
    assert "Difference(difference=" in capsys.readouterr().out
    for line in command_lines(EVALUATION[0]):
        command = typer.main.get_command(app).commands["evaluate"]
        assert command.make_context("gongbao", line[2:]).params["output"]


@pytest.mark.parametrize(("page", "column"), [(EVALUATION[0], 1), (EVALUATION[1], 0)])
def test_the_pages_on_evaluation_name_what_the_report_names(page, column):
    text = text_of(page).lower()
    tables = (
        *SCHEMES.values(),
        {k: w for k, w in DIMENSIONS.items() if k in ("seen", "number", "kind", "distance")},
    )
    for table in tables:
        for name in table.values():
            assert name[column].lower() in text, name[column]


@pytest.mark.parametrize("page", [*GUIDELINES, "docs/formats.md"])
def test_the_annotated_examples_keep_the_rules(page, scheme):
    lines = [line for block in blocks(page, "ann") for line in block.splitlines()]
    examples = [parse(line, id=line, scheme=scheme, meta={"published": "2024-11-02"}) for line in lines]
    assert examples
    assert [str(f) for f in check(examples, scheme)] == []
    valued = [s for e in examples for s in prepare_gold(e, scheme).spans if s.label in scheme.values]
    assert [s.text for s in valued if s.value is None] == []


def test_both_guidelines_hold_the_same_examples():
    one, other = (blocks(page, "ann") for page in GUIDELINES)
    assert one == other


def test_the_files_shown_in_the_formats_are_read(scheme):
    (document,) = blocks("docs/formats.md", "json")
    (config,) = blocks("docs/formats.md", "xml")
    found = Document.from_json(json.loads(document), scheme)
    assert found.spans[1].value == prepare_gold(found, scheme).spans[1].value
    assert read_config(config).scheme.allows("CROP", "YIELD", "HAS")


def anchors(page):
    """What a Markdown page's headings are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_what_is_there(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.relative_to(ROOT)), target


@pytest.mark.parametrize("column", ["document", "formats"])
def test_the_formats_page_names_every_field(column):
    page = text_of("docs/formats.md")
    document = ("id", "text", "meta", "spans", "links", "facts", "blocks", "model")
    for name in document if column == "document" else COLUMNS:
        assert f"`{name}`" in page, name
