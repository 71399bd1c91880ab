"""Word documents (.docx): body, tables, text boxes and notes as a reader of the printed page sees them.

Read from the document's own XML: what python-docx offers leaves out text boxes, notes, tracked changes and
hyperlinks, and it unpacks every picture. Elements are told by their local names, since Word writes them in
two namespaces (transitional and strict).
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Final

from gongbao.articles.parts import (
    INVISIBLE,
    Article,
    Limits,
    Part,
    assemble,
    damaged,
    looks_like_title,
    published_day,
)
from gongbao.schema import DataError

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_WHAT: Final = "Word document (.docx)"
_RATIO_FROM: Final = 10_000_000  # bytes unpacked, below which no ratio is suspicious
_TOP_PARTS: Final = 10  # that may hold the title
_HEADING = re.compile(r"(?:heading|标题)\s*\d*|(?:sub)?title|(?:副)?标题", re.I)
_TITLE = re.compile(r"title|标题", re.I)
_CONTENTS = re.compile(r"(?:toc|目录)\s*\d*", re.I)
# Not shown, or shown elsewhere: deleted and moved text, field codes, ruby, the marks that refer to notes.
_SKIPPED: Final = frozenset((
    "del", "moveFrom", "delText", "instrText", "delInstrText", "rt", "pPr", "rPr", "tblPr", "trPr",
    "tcPr", "sectPr", "footnoteRef", "endnoteRef", "annotationRef",
))  # fmt: skip
_SIGNS: Final = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def read(data: bytes, limits: Limits) -> Article:
    """The document's paragraphs, headings and tables in order, text boxes behind the paragraph that holds them, notes last.

    Deleted and hidden text, tables of contents, headers, footers and comments are not read, nor are the numbers
    that Word counts itself.

    Raises:
        DataError: damaged, protected with a password, over the limits, no Word document.
    """
    with _open(data, limits) as archive:
        main, related = _main_part(archive)
        styles = _styles(_xml(archive, related["styles"])) if "styles" in related else {}
        body = _Body(styles)
        document = _xml(archive, main)
        if _local(document) != "document":
            raise damaged(_WHAT, f"its main part is a {_local(document)}")
        parts = list(body.story(document))
        for notes in ("footnotes", "endnotes"):
            if notes in related:
                parts += _notes(_xml(archive, related[notes]), body)
        core = _core_title(archive)
    lines = [line for part in parts if part.kind != "note" for line in part.text.split("\n")]
    return assemble(parts, title=body.title or _title(parts, core), published=published_day(lines))


def _title(parts: list[Part], core: str) -> str | None:
    """What the document shows as its title; its properties often keep that of the document it was made from."""
    if core and any(core in part.text for part in parts[:_TOP_PARTS]):
        return core
    first = parts[0] if parts else Part("")
    if first.kind == "heading" or looks_like_title(first.text):
        return first.text
    return next((part.text for part in parts if part.kind == "heading"), core)


# ----------------------------------------------------------------------------------------- the archive


def _open(data: bytes, limits: Limits) -> zipfile.ZipFile:
    """The archive, its declared sizes within the limits; `zipfile` never unpacks more of an entry than it declares."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise damaged(_WHAT, f"cut short? {error}") from None
    size = sum(entry.file_size for entry in archive.infolist())
    if size > limits.expanded or size > max(_RATIO_FROM, limits.ratio * len(data)):
        raise DataError(
            f"the archive unpacks to {size / 1e6:,.0f} MB from {len(data) / 1e6:,.1f} MB",
            remedy="if it is no attack on the program, save the text alone",
        )
    return archive


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError:
        raise damaged(_WHAT, f"it has no {name}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise damaged(_WHAT, f"{name}: {error}") from None
    except RuntimeError:
        raise DataError("the archive is encrypted", remedy="save it without a password") from None


def _xml(archive: zipfile.ZipFile, name: str) -> Element:
    from lxml import etree

    # No entity is resolved and none is needed: a document type in an office file is an attack or a mistake.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(_member(archive, name), parser)
    except etree.LxmlError as error:
        raise damaged(_WHAT, f"{name}: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise damaged(_WHAT, f"{name} declares a document type")
    return root


def _main_part(archive: zipfile.ZipFile) -> tuple[str, dict[str, str]]:
    """The name of the part with the body, and those of the parts it refers to by kind (styles, footnotes …)."""
    main = _relations(archive, "").get("officeDocument", "word/document.xml")
    return main, _relations(archive, main)


def _relations(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    folder, name = posixpath.split(part)
    rels = posixpath.join(folder, "_rels", f"{name}.rels")
    names = set(archive.namelist())
    if rels not in names:
        return {}
    found = {}
    for relation in _xml(archive, rels):
        target = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", ""))).lstrip("/")
        if target in names and relation.get("TargetMode") != "External":
            found[relation.get("Type", "").rsplit("/", 1)[-1]] = target
    return found


def _core_title(archive: zipfile.ZipFile) -> str:
    name = _relations(archive, "").get("core-properties")
    if name is None:
        return ""
    return next((_clean(e.text or "") for e in _xml(archive, name) if _local(e) == "title"), "")


# ----------------------------------------------------------------------------------------- elements


def _local(element: Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _child(element: Element | None, *path: str) -> Element | None:
    """The first descendant on a path of local names."""
    for name in path:
        element = next((e for e in element if _local(e) == name), None) if element is not None else None
    return element


def _value(element: Element | None, name: str = "val") -> str | None:
    """An attribute by its local name."""
    if element is None:
        return None
    return next(
        (str(value) for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), None
    )


def _on(element: Element | None) -> bool:
    """Whether a switch such as <w:vanish/> is there and not turned off."""
    return element is not None and _value(element) not in ("0", "false", "off")


def _clean(text: str) -> str:
    return text.translate(INVISIBLE).replace("\xa0", " ").strip()


def _styles(root: Element) -> dict[str, tuple[str, bool]]:
    """Style id to its name and whether it has an outline level, its own or inherited."""
    styles = {_value(e, "styleId"): e for e in root if _local(e) == "style"}

    def outlined(style: Element | None, depth: int = 0) -> bool:
        level = _value(_child(style, "pPr", "outlineLvl"))
        if style is None or level is not None or depth > 10:
            return level is not None and level != "9"
        return outlined(styles.get(_value(_child(style, "basedOn"))), depth + 1)

    return {key: (_value(_child(e, "name")) or "", outlined(e)) for key, e in styles.items() if key}


def _notes(root: Element, body: _Body) -> Iterator[Part]:
    for note in root:
        if _local(note) in ("footnote", "endnote") and _value(note, "type") in (None, "normal"):
            yield from (Part(part.text, "note") for part in body.story(note))


# ---------------------------------------------------------------------------------------------- the body


class _Body:
    """Parts out of the elements that hold paragraphs. `title` is the first paragraph in the style Title."""

    def __init__(self, styles: Mapping[str, tuple[str, bool]]) -> None:
        self.styles = styles
        self.title: str | None = None
        self._carried = ""  # of a paragraph whose end was deleted: the next one goes on with it

    def story(self, container: Element) -> Iterator[Part]:
        """The parts of a text of its own (body, note, cell): no paragraph goes on behind its end."""
        yield from self.parts(container)
        carried, self._carried = self._carried, ""
        yield from (Part(line) for line in map(_clean, carried.split("\n")) if line)

    def parts(self, container: Element) -> Iterator[Part]:
        for element in container:
            name = _local(element)
            if name == "p":
                yield from self._paragraph(element)
            elif name == "tbl":
                yield from self._table(element)
            elif name not in _SKIPPED:
                yield from self.parts(element)

    def _paragraph(self, paragraph: Element) -> Iterator[Part]:
        boxes: list[Element] = []
        text = self._carried + "".join(_inline(paragraph, boxes))
        properties = _child(paragraph, "pPr")
        self._carried = text if _child(properties, "rPr", "del") is not None else ""
        name, outlined = self.styles.get(_value(_child(properties, "pStyle")) or "", ("", False))
        if not self._carried and not _CONTENTS.fullmatch(name):
            own = _value(_child(properties, "outlineLvl"))
            heading = _HEADING.fullmatch(name) or (outlined if own is None else own != "9")
            lines = [line for line in map(_clean, text.split("\n")) if line]
            if lines and self.title is None and _TITLE.fullmatch(name):
                self.title = "".join(lines)
            yield from (Part(line, "heading" if heading else "paragraph") for line in lines)
        for box in boxes:
            yield from self.parts(box)

    def _table(self, table: Element) -> Iterator[Part]:
        """One part with a row a line, or the paragraphs of a table that is but a frame around them."""
        rows = [
            [list(self.story(cell)) for cell in _inner(row, "tc") if not _continues(cell)]
            for row in _inner(table, "tr")
            if _child(row, "trPr", "del") is None
        ]
        texts = [[" ".join(part.text.replace("\n", " ") for part in cell) for cell in row] for row in rows]
        if any(sum(map(bool, row)) > 1 for row in texts):
            yield Part("\n".join("\t".join(row) for row in texts if any(row)), "table")
        else:
            yield from chain.from_iterable(cell for row in rows for cell in row)


def _inner(element: Element, name: str) -> Iterator[Element]:
    """The rows of a table or the cells of a row, through content controls and tracked changes."""
    for child in element:
        if _local(child) == name:
            yield child
        elif _local(child) in ("sdt", "sdtContent", "customXml", "ins", "moveTo"):
            yield from _inner(child, name)


def _continues(cell: Element) -> bool:
    """Whether a cell only goes on with the one above (vertically merged)."""
    merge = _child(cell, "tcPr", "vMerge")
    return merge is not None and _value(merge) != "restart"


def _inline(element: Element, boxes: list[Element]) -> Iterator[str]:
    """The text of a paragraph; the text boxes found on the way are put into `boxes`."""
    for child in element:
        name = _local(child)
        if name == "t":
            yield child.text or ""
        elif name in _SIGNS:
            yield _SIGNS[name]
        elif name == "txbxContent":
            boxes.append(child)
        elif name == "AlternateContent":
            # The same text box for newer and for older programs.
            chosen = next((e for e in child if _local(e) in ("Choice", "Fallback")), None)
            if chosen is not None:
                yield from _inline(chosen, boxes)
        elif name not in _SKIPPED and not (name == "r" and _on(_child(child, "rPr", "vanish"))):
            yield from _inline(child, boxes)
