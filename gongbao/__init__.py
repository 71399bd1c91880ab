"""gongbao (公报): checked records out of Chinese government reports.

    import gongbao
    extractor = gongbao.Extractor.load()
    document = extractor("2023年前三季度,全镇完成财政收入2.3亿元,占年度任务的88.6%")

Names are imported when they are first used, so that `import gongbao` is quick and needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gongbao.amounts import parse_amount
    from gongbao.config import TrainConfig
    from gongbao.corpus import read, write
    from gongbao.extractor import Extractor
    from gongbao.metrics import evaluate
    from gongbao.periods import parse_period
    from gongbao.schema import Amount, Document, GongbaoError, LabelScheme, Link, Period, Span
    from gongbao.training import train

__version__ = "0.1.0"

_HOME = {
    "Amount": "schema",
    "Document": "schema",
    "Extractor": "extractor",
    "GongbaoError": "schema",
    "LabelScheme": "schema",
    "Link": "schema",
    "Period": "schema",
    "Span": "schema",
    "TrainConfig": "config",
    "evaluate": "metrics",
    "parse_amount": "amounts",
    "parse_period": "periods",
    "read": "corpus",
    "train": "training",
    "write": "corpus",
}

__all__ = [
    "Amount", "Document", "Extractor", "GongbaoError", "LabelScheme", "Link", "Period", "Span", "TrainConfig",
    "evaluate", "parse_amount", "parse_period", "read", "train", "write",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"gongbao.{_HOME[name]}"), name)
    raise AttributeError(f"module 'gongbao' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
