"""Documents with their spans in colour and their facts as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gongbao.report.marked import Article, article
from gongbao.report.pages import exact_text, fragment, number_labels, page, value_text
from gongbao.schema import Amount, Document, Period, Value

SHOWN_DOCUMENTS: Final = 500
SHOWN_TEXT: Final = 1_000_000
"""Characters of a view, all its documents together."""
_ARROWS: Final = {"up": "↑ ", "down": "↓ ", None: ""}


def extraction_view(documents: Sequence[Document], *, labels: Sequence[str] = ()) -> str:
    """An HTML page of documents with their spans in colour, values on hover and focus, and facts as tables.

    The first SHOWN_DOCUMENTS of them or SHOWN_TEXT characters, and the page says how much more there is.
    `labels` as in `write_report`.
    """
    numbers = _numbers(documents, labels)
    return page(
        "view.html", numbers, shown=_shown(documents, numbers), count=len(documents),
        facts=sum(len(document.facts) for document in documents), linked=_linked(documents),
    )  # fmt: skip


def extraction_fragment(
    documents: Sequence[Document], *, labels: Sequence[str] = (), undated: bool = False
) -> str:
    """The same without the page around it, for a page that has the style and the script already.

    `undated`: say that there are times without dates for want of a publication date. A single text that no file or
    title names is headed as the result.
    """
    numbers = _numbers(documents, labels)
    return fragment(
        "fragment.html", numbers, shown=_shown(documents, numbers), linked=_linked(documents), undated=undated,
        nameless=len(documents) == 1 and "source" not in documents[0].meta,
    )  # fmt: skip


def _numbers(documents: Sequence[Document], labels: Sequence[str]) -> dict[str, int]:
    return number_labels(labels, (span.label for document in documents for span in document.spans))


def _linked(documents: Sequence[Document]) -> bool:
    return any(document.links for document in documents)


def _shown(
    documents: Sequence[Document], numbers: Mapping[str, int]
) -> list[tuple[Article, list[dict[str, Any]]]]:
    """Documents and their facts, as many as a page can show."""
    shown = []
    left = SHOWN_TEXT
    for place, document in enumerate(documents[:SHOWN_DOCUMENTS], 1):
        if left > 0:
            shown.append((article(document, document, (), numbers, place, left), _fact_rows(document)))
            left -= len(document.text)
    return shown


def _fact_rows(document: Document) -> list[dict[str, Any]]:
    """A document's facts in the order of their amounts."""
    rows = []
    for fact in sorted(document.facts, key=lambda fact: document.span(fact.amount).start):
        amount = document.span(fact.amount)
        period = document.span(fact.period) if fact.period else None
        rows.append(
            {
                "subject": document.span(fact.subject).text if fact.subject else "",
                "metric": document.span(fact.metric).text, "role": fact.role,
                "amount": amount.text, "value": _ARROWS[fact.direction] + value_text(amount.value),
                "exact": exact_text(amount.value), "size": _size(amount.value),
                "period": period.text if period else "",
                "days": value_text(period.value) if period and isinstance(period.value, Period) else "",
                "inherited": fact.inherited, "direction": fact.direction, "score": fact.score,
            }
        )  # fmt: skip
    return rows


def _size(value: Value) -> float:
    """What the rows are sorted by: the number, or -1 where there is none."""
    if not isinstance(value, Amount):
        return -1.0
    return next(side for side in (value.low, value.high) if side is not None)
