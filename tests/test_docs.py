"""The pages in docs/: the reference is what the code gives, links lead somewhere, Chinese pages are there and hold the same code."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from gongbao.cli import app
from gongbao.label_studio import read_config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("README*.md"), *DOCS.rglob("*.md")))
# What users read has a Chinese page. These are for those who change gongbao, or made from English docstrings.
ENGLISH_ONLY = (
    "design", "encoder", "experiments", "formats", "hardening", "scale", "reference/commands",
    "reference/configuration", "reference/modules", "reference/python",
)  # fmt: skip
TRANSLATED = [
    path.relative_to(DOCS).as_posix().removesuffix(".md")
    for path in sorted(DOCS.rglob("*.md"))
    if not path.name.endswith(".zh.md")
    and path.relative_to(DOCS).as_posix().removesuffix(".md") not in ENGLISH_ONLY
]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text_of(page), re.M | re.S)
    return [re.sub(rf"^{indent}", "", block, flags=re.M) for indent, block in found]


def anchors(page):
    """What a Markdown page's headings are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_gives(generate):
    made = generate.pages()
    assert {path.name for path in (DOCS / "reference").iterdir()} == set(made)
    for name, text in made.items():
        assert text_of(f"docs/reference/{name}") == text, "python docs/generate.py makes it anew"


def test_the_reference_is_written_where_one_says(generate, tmp_path):
    generate.main([str(tmp_path / "there")])
    assert {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "there").iterdir()} == generate.pages()


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_what_is_there(page):
    text = re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.relative_to(ROOT)), target


@pytest.mark.parametrize("page", TRANSLATED)
def test_every_page_that_users_read_is_there_in_chinese(page):
    english, chinese = f"docs/{page}.md", f"docs/{page}.zh.md"
    assert (ROOT / chinese).exists()
    assert f"[中文]({Path(chinese).name})" in text_of(english)
    assert f"[English]({Path(english).name})" in text_of(chinese)
    assert len(re.findall(r"^## ", text_of(english), re.M)) == len(
        re.findall(r"^## ", text_of(chinese), re.M)
    )


@pytest.mark.parametrize("index", ["docs/README.md", "docs/README.zh.md"])
def test_the_index_has_every_page(index):
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)\s#]+)\)", text_of(index))}
    chinese = {path.with_name(path.name.replace(".zh.md", ".md")) for path in DOCS.rglob("*.zh.md")}
    english = {path for path in DOCS.rglob("*.md") if not path.name.endswith(".zh.md")}
    if index.endswith(".zh.md"):
        english = english - chinese | {path.with_name(f"{path.stem}.zh.md") for path in chinese}
    missing = [
        path for path in english if path.resolve() not in linked and not path.name.startswith("README")
    ]
    assert missing == []


def test_the_chinese_how_to_holds_the_same_code():
    for language in ("sh", "python", "toml", "xml"):
        one, other = (
            [re.sub(r" *#.*", "", block) for block in blocks(page, language)]
            for page in ("docs/how-to.md", "docs/how-to.zh.md")
        )
        assert one == other


def test_the_commands_of_the_how_to_parse_and_its_python_runs(capsys):
    for block in blocks("docs/how-to.md", "sh"):
        for words in map(shlex.split, block.splitlines()):
            if words[0] == "gongbao":
                command, arguments = typer.main.get_command(app), words[1:]
                while hasattr(command, "commands"):
                    command, arguments = command.commands[arguments[0]], arguments[1:]
                assert command.make_context("gongbao", arguments).params
    for block in blocks("docs/how-to.md", "python"):
        exec(compile(block, "how-to.md", "exec"), {})
    assert "财政收入 Amount(" in capsys.readouterr().out


def test_the_labels_of_the_how_to_are_read(tmp_path):
    (block,) = blocks("docs/how-to.md", "xml")
    (tmp_path / "my_labels.xml").write_text(block, encoding="utf-8")
    assert read_config(tmp_path / "my_labels.xml").scheme.allows("CROP", "YIELD", "HAS")


def test_both_pages_on_figures_have_the_same_rows_and_the_same_notes():
    one, other = (
        re.findall(r"^(?:\||\*\*|#)", text_of(page), re.M)
        for page in ("docs/figures.md", "docs/figures.zh.md")
    )
    assert one == other
