"""The labelling configuration of Label Studio (XML), which carries the whole label scheme."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gongbao.schema import DataError, LabelScheme, Role


@dataclass(frozen=True)
class LabelConfig:
    """What a labelling configuration says of spans and links.

    Args:
        scheme: the labels, the roles of links, and how labels are normalised.
        controls: the `name` of the <Labels> that each label stands in.
        to_name: the `name` of the <Text>.
        data_key: the field of a task's data that holds the text; dots lead into nested fields.
        text_is_url: the field holds an address of the text (`valueType="url"`), which is not followed.
    """

    scheme: LabelScheme
    controls: Mapping[str, str]
    to_name: str = "text"
    data_key: str = "text"
    text_is_url: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "controls", MappingProxyType(dict(self.controls)))
        if set(self.controls) != set(self.scheme.labels):
            raise DataError("the labels of the controls are not those of the scheme")


def read_config(source: Path | str) -> LabelConfig:
    """Read a labelling configuration: a path, or the XML itself.

    Any configuration with <Labels> on one <Text> will do. Label Studio passes over attributes that it does not
    know, so the rest of the scheme stands in ours: `normalise="amount|period"` on a <Label>, `heads` and
    `tails` (labels, parted by commas) on a <Relation>. Without them nothing is normalised and links of a
    role may join any labels.

    Raises:
        DataError: malformed XML, labels on something that is not a <Text>, a label or name that is missing or
            occurs twice. The error names the line.
    """
    from lxml import etree

    xml = str(source).lstrip("\ufeff \t\r\n")
    is_xml = isinstance(source, str) and xml.startswith("<")
    file = None if is_xml else source
    content = xml.encode("utf-8", "replace") if is_xml else _bytes_of(Path(source))
    # A string is already decoded, whatever encoding its first line declares.
    parser = etree.XMLParser(encoding="utf-8" if is_xml else None, resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise DataError(
            f"the labelling configuration is no well-formed XML: {error.msg}",
            file=file,
            record=f"line {error.lineno or 1}",
        ) from None
    try:
        return _config_of([_Tag(element) for element in root.iter("*")])
    except DataError as error:
        raise error.within(file=file) from None


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", file=path) from None


class _Tag:
    """An element of the configuration; names in lower case, for Label Studio does not mind case."""

    def __init__(self, element: Any) -> None:
        self.kind = str(element.tag).lower()
        self.attributes = {str(k).lower(): str(v) for k, v in element.attrib.items()}
        self.line = element.sourceline or 1
        self._element = element

    def inside(self, kind: str) -> list[_Tag]:
        return [t for t in map(_Tag, self._element.iterdescendants("*")) if t.kind == kind]

    def get(self, name: str) -> str:
        return self.attributes.get(name, "").strip()

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(n.strip() for n in self.get(name).split(",") if n.strip())

    def error(self, problem: str, remedy: str | None = None) -> DataError:
        return DataError(problem, record=f"line {self.line}", remedy=remedy)


def _config_of(tags: Sequence[_Tag]) -> LabelConfig:
    objects = {t.get("name"): t for t in tags if t.get("value").startswith("$") and not t.get("toname")}
    controls = [t for t in tags if t.kind == "labels" and _on_text(t, objects)]
    if not controls:
        others = [t for t in tags if t.kind.endswith("labels")]
        where = others[0] if others else tags[0]
        on = objects.get(where.get("toname"))
        problem = f"<{where.kind}> label <{on.kind}>" if on else "there is no <Labels> on a <Text>"
        raise where.error(problem, "gongbao reads text: <Labels name=… toName=…> with <Text name=… value=…>")
    to_names = {c.get("toname") for c in controls}
    if len(to_names) > 1:
        raise controls[-1].error(
            f"labels stand on several texts: {', '.join(sorted(to_names))}", "label one <Text>"
        )
    text = objects[to_names.pop()]
    labels, values = _labels_of(controls)
    return LabelConfig(
        scheme=LabelScheme(tuple(labels), _roles_of(tags, tuple(labels)), values),
        controls=labels,
        to_name=text.get("name"),
        data_key=_data_key_of(text),
        text_is_url=text.get("valuetype").lower() == "url",
    )


def _on_text(control: _Tag, objects: Mapping[str, _Tag]) -> bool:
    if not control.get("name") or not control.get("toname"):
        raise control.error("<Labels> needs a name and a toName")
    target = objects.get(control.get("toname"))
    return target is not None and target.kind == "text"


def _labels_of(controls: Sequence[_Tag]) -> tuple[dict[str, str], dict[str, str]]:
    """Each label with its control, and what it is normalised as. An alias is what regions carry."""
    labels: dict[str, str] = {}
    values: dict[str, str] = {}
    for control in controls:
        if control.get("value"):
            raise control.error("the labels come from the tasks' data", "write them into the configuration")
        for tag in control.inside("label"):
            name = tag.attributes.get("alias") or tag.attributes.get("value", "")
            if not name or name in labels:
                raise tag.error(f"the label {name!r} occurs twice" if name else "a <Label> has no value")
            labels[name] = control.get("name")
            if kind := tag.get("normalise"):
                values[name] = kind
                _check(tag, (name,), (), {name: kind})
    if not labels:
        raise controls[0].error("<Labels> holds no <Label>")
    return labels, values


def _roles_of(tags: Iterable[_Tag], labels: tuple[str, ...]) -> tuple[Role, ...]:
    roles: list[Role] = []
    for tag in (t for t in tags if t.kind == "relation"):
        if not tag.get("value"):
            raise tag.error("a <Relation> has no value")
        roles.append(Role(tag.get("value"), tag.names("heads"), tag.names("tails")))
        _check(tag, labels, tuple(roles))
    return tuple(roles)


def _check(tag: _Tag, *parts: Any) -> None:
    """Build a scheme of these parts for its checks alone, so that the error can name the tag's line."""
    try:
        LabelScheme(*parts)
    except DataError as error:
        raise error.within(record=f"line {tag.line}") from None


def _data_key_of(text: _Tag) -> str:
    if text.get("encoding") not in ("", "none"):
        raise text.error(
            f"the text is encoded as {text.get('encoding')}", "import plain text into Label Studio"
        )
    if re.fullmatch(r"\$[^\s$]+", text.get("value")) is None:
        raise text.error(
            f"the value {text.get('value')!r} is not one field of the data", 'write value="$text"'
        )
    return text.get("value")[1:]
