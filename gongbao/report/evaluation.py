"""The report of an evaluation: to be read (.html), to be computed with (.json), to be pasted (.md)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

from gongbao import __version__
from gongbao.files import replacing
from gongbao.metrics import (
    Counts,
    DocumentCounts,
    Evaluation,
    Interval,
    Kind,
    LinkKind,
    LinkMistake,
    Mistake,
    find_link_mistakes,
    total,
)
from gongbao.report.marked import Example, article, example, link_example
from gongbao.report.pages import SURROGATE, environment, meta_text, number_labels, page, printable, rate_text
from gongbao.schema import Document, UsageError
from gongbao.sentences import sentences

SHOWN_MISTAKES: Final = 30
"""Mistakes of a kind that a report shows; all are counted, and all are in the .json."""
FEW_DOCUMENTS: Final = 10
"""Intervals from fewer say little, and a report says so: of two perfect ones they have no width."""
SHOWN_DOCUMENTS: Final = 500
"""Rows of the list of documents."""
SHOWN_ARTICLES: Final = 5
"""Articles that a report shows."""
SHOWN_CHARACTERS: Final = 20_000
"""Characters of each of them; these bounds keep a report of any corpus to a few megabytes."""


def write_report(
    path: Path,
    evaluation: Evaluation,
    gold: Sequence[Document],
    predicted: Sequence[Document],
    *,
    model: str,
    data: str,
    labels: Sequence[str] = (),
) -> None:
    """Write the report of an evaluation, whole or not at all.

    Args:
        path: .html (to be read), .json (every figure and every mistake) or .md (the tables).
        evaluation: what `evaluate` said of these documents.
        gold: the documents as annotated, in any order.
        predicted: the same documents as predicted.
        model: the name of what was evaluated.
        data: the name of what it was evaluated on.
        labels: the scheme's labels in its order, for the order of rows and colours; any others follow.

    Raises:
        UsageError: another suffix.
    """
    forms = {".html": _report_html, ".json": _report_json, ".md": _report_markdown}
    form = forms.get(path.suffix.lower())
    if form is None:
        raise UsageError("a report is .html, .json or .md", file=path, remedy="name it report.html")
    content = form(_Compared(evaluation, gold, predicted, labels), model, data)
    with replacing(path) as file:
        file.write(content)


@dataclass(frozen=True)
class Row:
    """A line of a table of scores. `number` is the label's, which gives its colour; None where it has none."""

    name: str
    counts: Counts
    interval: Interval
    number: int | None = None


class _Compared:
    """An evaluation with the documents that it is about."""

    def __init__(
        self,
        evaluation: Evaluation,
        gold: Sequence[Document],
        predicted: Sequence[Document],
        labels: Sequence[str],
    ) -> None:
        self.evaluation = evaluation
        self.intervals = evaluation.intervals()
        self.gold = {document.id: document for document in gold}
        self.predicted = {document.id: document for document in predicted}
        self.numbers = number_labels(labels, evaluation.spans)
        self.mistakes: dict[str, list[Mistake]] = defaultdict(list)
        for mistake in evaluation.mistakes:
            self.mistakes[mistake.document].append(mistake)
        self.link_mistakes = [
            mistake
            for document in evaluation.documents
            for mistake in find_link_mistakes(self.gold[document.id], self.predicted[document.id])
        ]
        self.counted = Counter(
            [m.document for m in evaluation.mistakes] + [m.document for m in self.link_mistakes]
        )

    @property
    def span_rows(self) -> list[Row]:
        spans, intervals = self.evaluation.spans, self.intervals.labels
        return [
            Row(label, spans[label], intervals[label], number)
            for label, number in self.numbers.items()
            if label in spans
        ]

    @property
    def kinds(self) -> dict[str, int]:
        """How many mistakes there are of each kind, those without any too."""
        counted = Counter(mistake.kind for mistake in self.evaluation.mistakes)
        return {kind: counted[kind] for kind in get_args(Kind)}

    @property
    def link_kinds(self) -> dict[str, int]:
        """How many mistakes in links there are of each kind; none at all where nobody linked anything."""
        if self.evaluation.links == Counts():
            return {}
        counted = Counter(mistake.kind for mistake in self.link_mistakes)
        return {kind: counted[kind] for kind in get_args(LinkKind)}

    @property
    def explained_links(self) -> int:
        """Wrong links that are no mistakes of their own, as a span of theirs is wrong."""
        counts = self.evaluation.links
        own = [m for m in self.link_mistakes if m.kind != "wrong value"]
        return counts.fp + counts.fn - sum((m.gold is not None) + (m.predicted is not None) for m in own)

    def worst_link_mistakes(self) -> dict[str, list[LinkMistake]]:
        """By kind, those the model was surest of first."""

        def sureness(mistake: LinkMistake) -> float:
            predicted = mistake.predicted
            return predicted.score if predicted and predicted.score is not None else 0.0

        ordered = sorted(self.link_mistakes, key=sureness, reverse=True)
        return {kind: [m for m in ordered if m.kind == kind][:SHOWN_MISTAKES] for kind in self.link_kinds}

    def worst_mistakes(self) -> dict[str, list[Mistake]]:
        """By kind, those that touch most links first, then those the model was surest of, then the longest."""
        degrees = {
            name: (_degrees(self.gold[name]), _degrees(self.predicted[name])) for name in self.mistakes
        }

        def badness(mistake: Mistake) -> tuple[int, float, int]:
            gold, predicted = mistake.gold, mistake.predicted
            of_gold, of_predicted = degrees[mistake.document]
            links = (of_gold[gold.id] if gold else 0) + (of_predicted[predicted.id] if predicted else 0)
            sure = predicted.score if predicted and predicted.score is not None else 0.0
            return links, sure, max(span.end - span.start for span in (gold, predicted) if span)

        ordered = sorted(self.evaluation.mistakes, key=badness, reverse=True)
        return {kind: [m for m in ordered if m.kind == kind][:SHOWN_MISTAKES] for kind in self.kinds}

    def worst_documents(self) -> list[DocumentCounts]:
        """By F1, the lowest first; those without any span, which have none, last."""

        def place(document: DocumentCounts) -> tuple[bool, float, int]:
            counts = total(document.spans.values())
            return counts == Counts(), counts.f1, -self.counted[document.id]

        return sorted(self.evaluation.documents, key=place)

    def most_mistaken(self) -> list[Document]:
        """The articles to show: those with most mistakes first."""
        names = sorted(self.gold, key=lambda name: -self.counted[name])
        return [self.gold[name] for name in names[:SHOWN_ARTICLES]]


def _degrees(document: Document) -> Counter[str]:
    """How many links each span has, by its id."""
    return Counter(end for link in document.links for end in (link.head, link.tail))


def _report_json(compared: _Compared, model: str, data: str) -> str:
    evaluation = compared.evaluation
    content = {
        "gongbao": __version__,
        "date": date.today().isoformat(),
        "model": model,
        "data": data,
        "scores": evaluation.to_json(),
        "intervals": compared.intervals.to_json(),
        "documents": [_document_json(document) for document in evaluation.documents],
        "mistakes": [mistake.to_json() for mistake in evaluation.mistakes],
        "link_mistakes": [mistake.to_json() for mistake in compared.link_mistakes],
    }
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text) + "\n"


def _document_json(document: DocumentCounts) -> dict[str, Any]:
    return {
        "id": document.id,
        "micro": total(document.spans.values()).to_json(),
        "spans": {label: counts.to_json() for label, counts in document.spans.items()},
        "links": {role: counts.to_json() for role, counts in document.links.items()},
        "facts": document.facts.to_json(),
    }


def _report_markdown(compared: _Compared, model: str, data: str) -> str:
    text = environment().get_template("report.md").render(_scores(compared, model, data))
    return printable(text).rstrip() + "\n"


def _worst_examples(compared: _Compared) -> dict[str, dict[str, list[Example]]]:
    """Of spans and of links, by kind."""

    @cache
    def bounds(name: str) -> list[tuple[int, int]]:
        return sentences(compared.gold[name].text)

    def shown(mistake: Mistake | LinkMistake) -> Example:
        text, around = compared.gold[mistake.document].text, bounds(mistake.document)
        if isinstance(mistake, LinkMistake):
            return link_example(text, mistake, around, compared.numbers)
        return example(text, mistake, around, compared.numbers)

    return {
        "worst": {kind: [*map(shown, those)] for kind, those in compared.worst_mistakes().items()},
        "worst_links": {kind: [*map(shown, those)] for kind, those in compared.worst_link_mistakes().items()},
    }


def _report_html(compared: _Compared, model: str, data: str) -> str:
    shown = compared.most_mistaken()
    places = {document.id: at for at, document in enumerate(shown, 1)}
    return page(
        "report.html",
        compared.numbers,
        **_scores(compared, model, data),
        **_worst_examples(compared),
        explained=compared.explained_links,
        counted=compared.counted,
        role=_first_role(compared, shown),
        listed=[_listing(compared, d) for d in compared.worst_documents()[:SHOWN_DOCUMENTS]],
        places=places,
        articles=[
            article(
                gold, compared.predicted[gold.id], compared.mistakes.get(gold.id, ()), compared.numbers,
                places[gold.id], SHOWN_CHARACTERS,
            )
            for gold in shown
        ],
        characters=sum(len(document.text) for document in compared.gold.values()),
    )  # fmt: skip


def _first_role(compared: _Compared, shown: Sequence[Document]) -> str | None:
    """A role to explain links by: the first in the articles shown."""
    both = (document for gold in shown for document in (gold, compared.predicted[gold.id]))
    return next((link.role for document in both for link in document.links), None)


def _scores(compared: _Compared, model: str, data: str) -> dict[str, Any]:
    """What the templates know of the figures."""
    evaluation, intervals = compared.evaluation, compared.intervals
    return {
        "model": model, "data": data, "today": date.today().isoformat(), "documents": len(evaluation.documents),
        "spans": compared.span_rows,
        "micro": Row("micro", evaluation.micro, intervals.micro),
        "macro": (rate_text(evaluation.macro_f1, len(evaluation.spans)), intervals.macro),
        "roles": [Row(role, counts, None) for role, counts in evaluation.roles.items()],
        "links": Row("links", evaluation.links, intervals.links),
        "facts": Row("facts", evaluation.facts, intervals.facts),
        "kinds": compared.kinds, "link_kinds": compared.link_kinds,
        "few": len(evaluation.documents) < FEW_DOCUMENTS,
    }  # fmt: skip


def _listing(compared: _Compared, document: DocumentCounts) -> dict[str, Any]:
    counts = total(document.spans.values())
    gold = compared.gold[document.id]
    return {
        "id": document.id, "title": meta_text(gold, "title"), "characters": len(gold.text), "counts": counts,
        "mistakes": compared.counted[document.id], "links": total(document.links.values()),
    }  # fmt: skip
