"""The project on the server: found by its title or number, made with our configuration, never changed behind anyone's back."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from gongbao.schema import DataError, GongbaoError, UsageError
from gongbao.studio.server import PAUSES, Server, Unsure


def find_project(server: Server, name: str) -> Any:
    """The project with that title, or that number; None if there is none.

    Raises:
        UsageError: the title is none, or several projects have it.
    """
    if name.isdecimal():
        return server.call(f"looking up project {name}", lambda sdk: sdk.projects.get(int(name)))
    if not 3 <= len(name) <= 50:
        raise UsageError(f"a project's title has 3 to 50 characters, {name!r} has {len(name)}")
    # The server's filter is a help; what it lets through is looked at again.
    found = server.call(
        "looking up the project",
        lambda sdk: [(p.id, p.title) for p in sdk.projects.list(title=name, page_size=100).items],
    )
    ids = [number for number, title in found if title == name]
    if len(ids) > 1:
        raise UsageError(
            f"{len(ids)} projects have the title {name!r}: {', '.join(map(str, ids))}", file=server.url,
            remedy=f"name one by its number: --project {ids[0]}",
        )  # fmt: skip
    return server.call(f"looking up project {ids[0]}", lambda sdk: sdk.projects.get(ids[0])) if ids else None


def open_project(
    server: Server, name: str, config: str, instructions: Path | None, *, replace: bool = False
) -> Any:
    """The project of that title or number, made if there is none.

    Args:
        config: the labelling configuration (XML).
        instructions: the guidelines (Markdown or HTML) to show annotators. A project that has some keeps them, unless `replace` says
            that these are to take their place.

    Raises:
        DataError: the project has another configuration; the difference is in the message.
        UsageError: as `find_project`, or a number that no project has.
    """
    shown = None if instructions is None else to_html(instructions)
    for pause in (*PAUSES, None):
        project = find_project(server, name)
        if project is not None:
            break
        try:
            made = server.call("making the project", lambda sdk: sdk.projects.create(
                title=name, label_config=config, expert_instruction=shown or "", show_instruction=bool(shown)),
                writes=True)  # fmt: skip
            server.report(f"made project {made.id}, {name}")
            return made
        except Unsure as error:
            if pause is None:
                raise
            server.wait(pause, f"{error.problem}; looking whether it is there")
    _refuse_another(server, project, config)
    if shown and (replace or not project.expert_instruction):
        server.call(
            "setting the instructions",
            lambda sdk: sdk.projects.update(id=project.id, expert_instruction=shown, show_instruction=True),
        )
    return project


def _refuse_another(server: Server, project: Any, config: str) -> None:
    theirs = project.label_config or ""
    ours_lines, their_lines = _canonical(config), _canonical(theirs)
    if ours_lines == their_lines:
        return
    difference = "\n".join(
        list(difflib.unified_diff(their_lines, ours_lines, "the project's", "ours", lineterm="", n=1))[:40]
    )
    raise DataError(
        f"its labelling configuration is not the one to be pushed; nothing was sent\n{difference}",
        file=server.url, record=f"project {project.id}, {project.title}",
        remedy="push to a new project (--project TITLE), give the project's own configuration with --config, or change "
        "the project's in Label Studio",
    )  # fmt: skip


def _canonical(config: str) -> list[str]:
    """The lines of a configuration without comments and layout, attributes in order: what is alike means the same."""
    from lxml import etree

    parser = etree.XMLParser(
        remove_comments=True, remove_blank_text=True, resolve_entities=False, no_network=True
    )
    try:
        root = etree.fromstring(config.strip().encode(), parser)
    except etree.XMLSyntaxError:
        return config.split("\n")
    lines = []
    for element in root.iter("*"):
        depth = sum(1 for _ in element.iterancestors())
        given = "".join(f' {k}="{element.get(k)}"' for k in sorted(element.keys()))
        text = (element.text or "").strip()
        lines.append(f"{'  ' * depth}<{element.tag}{given}>{text}")
    return lines


def to_html(guidelines: Path) -> str:
    """Guidelines as Label Studio shows instructions: Markdown becomes HTML, links to files beside it lose their target."""
    try:
        text = guidelines.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"the instructions cannot be read: {error.strerror}", file=guidelines) from None
    except UnicodeDecodeError:
        raise DataError(
            "the instructions are not UTF-8", file=guidelines, remedy="save them as UTF-8"
        ) from None
    if guidelines.suffix.lower() in (".html", ".htm"):
        return text
    try:
        from markdown_it import MarkdownIt
    except ModuleNotFoundError:
        raise UsageError("Markdown is turned into HTML by markdown-it-py, which is not installed",
                         remedy="pip install 'gongbao[studio]', or give instructions in HTML") from None  # fmt: skip
    html: str = MarkdownIt("commonmark").enable("table").render(text)
    return re.sub(r'<a href="(?!https?://)[^"]*">(.*?)</a>', r"\1", html)


def the_project(server: Server, name: str) -> Any:
    """The project of that title or number.

    Raises:
        GongbaoError: there is none.
    """
    project = find_project(server, name)
    if project is None:
        raise GongbaoError(
            f"there is no project {name!r}", file=server.url,
            remedy="name another with --project; `gongbao studio push` makes one",
        )  # fmt: skip
    return project


def people(server: Server) -> dict[int, str]:
    """What the users of the server are called, by number; those the token may not see are missing."""
    try:
        return server.call("looking up the annotators", lambda sdk: {
            int(user.id): " ".join(filter(None, (user.first_name, user.last_name))) or user.username or user.email
            for user in sdk.users.list()
        }, pauses=())  # fmt: skip
    except GongbaoError:
        return {}
