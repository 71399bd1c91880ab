"""Make docs/reference/ from the code: commands, Python names, configuration keys, modules in their layers.

usage: python docs/generate.py [FOLDER]    (else docs/reference beside this file)

tests/test_docs.py fails where a page is not what this gives.
"""

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

import gongbao
from gongbao.cli import app
from gongbao.config import TrainConfig
from gongbao.files import bundled, replacing
from gongbao.serving.settings import Settings, variable_of

WIDTH = 100  # characters of a line of help
MADE = "Made from the code by `python docs/generate.py`; do not edit it.\n"


def pages() -> dict[str, str]:
    """The pages by name."""
    return {
        "commands.md": commands(),
        "configuration.md": configuration(),
        "modules.md": modules(),
        "python.md": python(),
    }


# --------------------------------------------------------------------------------------- commands


def commands() -> str:
    """What every command's --help says."""
    helps = list(_helps(typer.main.get_command(app), "gongbao"))
    parts = [
        "# Commands\n",
        MADE,
        "Exit codes: 0 done, 1 failed on the work, 2 wrong usage, 130 stopped by the user.\n",
    ]
    parts += [f"- [{name}](#{name.replace(' ', '-')})" for name, _ in helps]
    parts += [f"\n## {name}\n\n```text\n{text}\n```" for name, text in helps]
    return "\n".join(parts) + "\n"


def _helps(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    """A command's name and help, then those of the commands in it."""
    context = command.context_class(command, info_name=name.split()[-1], parent=parent, terminal_width=WIDTH)
    context.max_content_width = WIDTH
    lines = [line.rstrip() for line in command.get_help(context).strip().splitlines()]
    yield name, "\n".join(lines)
    for inner, own in getattr(command, "commands", {}).items():
        yield from _helps(own, f"{name} {inner}", context)


# ----------------------------------------------------------------------------------------- Python


def python() -> str:
    """The names of gongbao.__all__ with their signatures and docstrings."""
    parts = [
        "# Python\n",
        MADE,
        "`import gongbao` has these names; whatever else is in the package may change.\n",
    ]
    parts += [f"- [{name}](#{name.lower()})" for name in gongbao.__all__]
    for name in gongbao.__all__:
        parts += [f"\n## {name}\n", *_described(name, getattr(gongbao, name))]
    return "\n".join(parts) + "\n"


def _described(name: str, value: Any) -> Iterator[str]:
    own_signature = not (inspect.isclass(value) and issubclass(value, BaseModel | Exception))
    yield _code(f"{name}{inspect.signature(value)}" if own_signature else f"class {name}")
    yield _text(value)
    for inner, member in vars(value).items() if inspect.isclass(value) else ():
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if (inner.startswith("_") and inner != "__call__") or not (
            inspect.isfunction(plain) or isinstance(plain, property)
        ):
            continue
        said = name if inner == "__call__" else f"{name}.{inner}"
        yield f"\n### {said.removeprefix(name + '.') if said != name else 'call'}\n"
        yield _code(said if isinstance(plain, property) else f"{said}{_own(plain)}")
        yield _text(plain)


def _own(function: Any) -> str:
    """The signature of a method without self or cls."""
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    return str(signature.replace(parameters=parameters))


def _code(text: str) -> str:
    # Annotations are texts: without their quotes they read as they stand in the code.
    return "```python\n" + re.sub(r"(?<=[:>] )'([^']*)'", r"\1", text) + "\n```\n"


def _text(value: Any) -> str:
    """A docstring as it stands; as text, for what is indented in it is not meant as Markdown."""
    said = inspect.cleandoc(value.__doc__ or "")
    return f"```text\n{said}\n```" if said else ""


# ---------------------------------------------------------------------------------- configuration


def configuration() -> str:
    """The keys of a training run, and the settings of the service."""
    parts = [
        "# Configuration\n", MADE, "## Training\n",
        "The keys of `--config FILE` (TOML) and `--set KEY=VALUE`, with what configs/default.toml says of them.\n",
    ]  # fmt: skip
    said = _said(bundled("configs/default.toml").read_text(encoding="utf-8"))
    parts += ["| key | type | default | |", "|---|---|---|---|"]
    parts += [
        f"| `{key}` | {_type(field)} | `{field.default!r}` | {said.get(key, '')} |"
        for key, field in _keys(TrainConfig, "")
    ]
    parts += [
        "\n## Service\n",
        "Environment variables of `gongbao serve`.\n",
        "| variable | type | default | |",
        "|---|---|---|---|",
    ]
    parts += [
        f"| `{variable_of(key)}` | {_type(field)} | `{field.default}` | {field.description or ''} |"
        for key, field in _keys(Settings, "")
    ]
    return "\n".join(parts) + "\n"


def _said(toml: str) -> dict[str, str]:
    """The comments behind the keys of a TOML file."""
    out, table = {}, ""
    for line in toml.splitlines():
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif found := re.match(r"(\w+) = .*?  # (.*)$", line):
            out[table + found[1]] = found[2]
    return out


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if inspect.isclass(inner) and issubclass(inner, BaseModel):
            yield from _keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _type(field: Any) -> str:
    """The type, with what bounds it."""
    name = (
        field.annotation.__name__
        if inspect.isclass(field.annotation) and not str(field.annotation).startswith("list")
        else str(field.annotation)
    )
    name = re.sub(r"\b(?:typing|pathlib(?:\._local)?)\.", "", name)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{signs[key]} {bound}"
        for rule in field.metadata
        for key in signs
        if (bound := getattr(rule, key, None)) is not None
    ]
    return ", ".join([f"`{name}`".replace("|", "\\|"), *bounds])


# ---------------------------------------------------------------------------------------- modules


def modules() -> str:
    """The modules in the order of the import contract, with the first sentence of each docstring."""
    root = Path(gongbao.__file__).parent
    contract = tomllib.loads((root.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]
    layers = next(c["layers"] for c in contract["contracts"] if c["type"] == "layers")
    parts = [
        "# Modules\n", MADE,
        "A layer imports from those below it only, and the modules of one layer not from each other (`[tool.importlinter]` in pyproject.toml).\n",
        "| | |", "|---|---|",
    ]  # fmt: skip
    for layer in layers:
        for name in re.findall(r"gongbao\.(\w+)", layer):
            path = root / f"{name}.py" if (root / f"{name}.py").exists() else root / name / "__init__.py"
            parts.append(f"| `{name}` | {_first_sentence(path)} |")
        parts.append("| | |")
    return "\n".join(parts[:-1]) + "\n"


def _first_sentence(path: Path) -> str:
    said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]
    return re.split(r"(?<=[.])\s", " ".join(said.split()))[0].replace("|", "\\|")


def main(arguments: list[str]) -> None:
    """Write the pages."""
    folder = Path(arguments[0]) if arguments else Path(__file__).parent / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        with replacing(folder / name) as file:
            file.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
