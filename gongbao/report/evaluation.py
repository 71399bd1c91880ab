"""The report of an evaluation: to be read (.html), to be computed with (.json), to be pasted (.md)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

from gongbao import __version__
from gongbao.analysis import Analysis, Bucket, Cost, analyse
from gongbao.comparison import Apart, ApartLink, Comparison, compare
from gongbao.files import replacing
from gongbao.metrics import (
    Counts,
    DocumentCounts,
    Evaluation,
    Interval,
    LinkMistake,
    Mistake,
    evaluate,
    total,
)
from gongbao.mistakes import VALUE_KINDS
from gongbao.report import words
from gongbao.report.marked import Example, apart_example, apart_link_example, article, example, link_example
from gongbao.report.pages import SURROGATE, environment, meta_text, number_labels, page, printable, rate_text
from gongbao.report.plots import calibration_axes, curve_axes
from gongbao.schema import Document, UsageError
from gongbao.sentences import sentences
from gongbao.suspects import Suspect

SHOWN_MISTAKES: Final = 30
"""Mistakes of a kind that a report shows; all are counted, and all are in the .json."""
FEW_DOCUMENTS: Final = 10
"""Intervals from fewer say little, and a report says so: of two perfect ones they have no width."""
SHOWN_DOCUMENTS: Final = 500
"""Rows of the list of documents."""
SHOWN_SUSPECTS: Final = 10
"""Suspected mistakes of the gold annotation of each kind that a report shows, so that no kind drowns the others; all are in the
.json."""
SHOWN_APART: Final = 15
"""Spans, and links, that only one of two systems has, for each of the two, right and wrong; all are in the .json."""
SHOWN_ARTICLES: Final = 5
"""Articles that a report shows."""
SHOWN_CHARACTERS: Final = 20_000
"""Characters of each of them; these bounds keep a report of any corpus to a few megabytes."""


@dataclass(frozen=True)
class Against:
    """Another system to set beside the one that is reported: its name and its predictions for the same documents."""

    name: str
    predicted: Sequence[Document]


def write_report(
    path: Path,
    evaluation: Evaluation,
    gold: Sequence[Document],
    predicted: Sequence[Document],
    *,
    model: str,
    data: str,
    labels: Sequence[str] = (),
    training: Iterable[Document] | None = None,
    suspects: Sequence[Suspect] | None = None,
    against: Against | None = None,
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
        training: the documents that the model was trained on, to tell seen spans from unseen ones.
        suspects: likely mistakes of the gold annotation, the surest first; None: they were not looked for.
        against: another system, to compare with.

    Raises:
        UsageError: another suffix.
        DataError: the other system's documents are not the gold ones.
    """
    forms = {".html": _report_html, ".json": _report_json, ".md": _report_markdown}
    form = forms.get(path.suffix.lower())
    if form is None:
        raise UsageError("a report is .html, .json or .md", file=path, remedy="name it report.html")
    compared = _Compared(evaluation, gold, predicted, labels, training, suspects, against)
    content = form(compared, model, data)
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
        training: Iterable[Document] | None,
        suspects: Sequence[Suspect] | None,
        against: Against | None,
    ) -> None:
        self.evaluation = evaluation
        self.intervals = evaluation.intervals()
        self.gold = {document.id: document for document in gold}
        self.predicted = {document.id: document for document in predicted}
        self.analysis: Analysis = analyse(evaluation, gold, predicted, training=training)
        self.suspects = suspects
        self.against = against
        self.comparison: Comparison | None = None
        if against is not None:
            theirs = evaluate(gold, against.predicted), against.predicted
            self.comparison = compare(gold, (evaluation, predicted), theirs)
        self.numbers = number_labels(labels, self._labels())
        self.mistakes: dict[str, list[Mistake]] = defaultdict(list)
        for mistake in evaluation.mistakes:
            self.mistakes[mistake.document].append(mistake)
        self.link_mistakes = self.analysis.link_mistakes
        self.counted = Counter(
            [m.document for m in evaluation.mistakes] + [m.document for m in self.link_mistakes]
        )

    def _labels(self) -> set[str]:
        theirs = self.comparison.other.spans if self.comparison else {}
        return {*self.evaluation.spans, *theirs}

    @property
    def span_rows(self) -> list[Row]:
        spans, intervals = self.evaluation.spans, self.intervals.labels
        return [
            Row(label, spans[label], intervals[label], number)
            for label, number in self.numbers.items()
            if label in spans
        ]

    @property
    def kinds(self) -> dict[str, Cost]:
        """The kinds of mistakes in spans, those without any too; none at all where there are no spans."""
        return {cost.kind: cost for cost in self.analysis.costs.get("spans", ())}

    @property
    def link_kinds(self) -> dict[str, Cost]:
        """The kinds of mistakes in links and in the values of facts; none at all where nobody linked anything."""
        if self.evaluation.links == Counts():
            return {}
        *links, explained = self.analysis.costs["links"]
        return {cost.kind: cost for cost in (*links, *self.analysis.costs.get("facts", ()), explained)}

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
        "definitions": {
            what: {name: scheme.en_says for name, scheme in schemes.items()}
            for what, schemes in words.SCHEMES.items()
        },
        **compared.analysis.to_json(),
        "mistakes": [mistake.to_json() for mistake in evaluation.mistakes],
        "link_mistakes": [mistake.to_json() for mistake in compared.link_mistakes],
        "suspects": None if compared.suspects is None else [s.to_json() for s in compared.suspects],
        "comparison": _comparison_json(compared),
    }
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text) + "\n"


def _comparison_json(compared: _Compared) -> dict[str, Any] | None:
    if compared.comparison is None or compared.against is None:
        return None
    return {"against": compared.against.name, **compared.comparison.to_json()}


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


def _examples(compared: _Compared) -> dict[str, Any]:
    """Mistakes of spans and of links by kind, and what only one of two systems has, in their sentences."""

    @cache
    def bounds(name: str) -> list[tuple[int, int]]:
        return sentences(compared.gold[name].text)

    def shown(mistake: Mistake | LinkMistake) -> Example:
        text, around = compared.gold[mistake.document].text, bounds(mistake.document)
        if isinstance(mistake, LinkMistake):
            return link_example(text, mistake, around, compared.numbers)
        return example(text, mistake, around, compared.numbers)

    def of_one(apart: Apart | ApartLink) -> Example:
        gold, around = compared.gold[apart.document], bounds(apart.document)
        if isinstance(apart, ApartLink):
            return apart_link_example(gold.text, apart, gold.spans, around, compared.numbers)
        return apart_example(gold.text, apart, around, compared.numbers)

    groups: dict[tuple[str, str, bool], list[Apart | ApartLink]] = defaultdict(list)
    if compared.comparison:
        found: Sequence[Apart | ApartLink] = (*compared.comparison.apart, *compared.comparison.apart_links)
        for apart in found:
            what = apart.what if isinstance(apart, ApartLink) else "spans"
            groups[what, apart.by, apart.right].append(apart)
    return {
        "worst": {kind: [*map(shown, those)] for kind, those in compared.worst_mistakes().items()},
        "worst_links": {kind: [*map(shown, those)] for kind, those in compared.worst_link_mistakes().items()},
        "apart": {
            (what, by, right): (len(those := groups[what, by, right]), [*map(of_one, those[:SHOWN_APART])])
            for what in words.MEASURES
            for by in ("one", "other")
            for right in (True, False)
        },
    }


def _report_html(compared: _Compared, model: str, data: str) -> str:
    shown = compared.most_mistaken()
    places = {document.id: at for at, document in enumerate(shown, 1)}
    return page(
        "report.html",
        compared.numbers,
        **_scores(compared, model, data),
        **_examples(compared),
        curve_axes=curve_axes(compared.analysis.curves.values()),
        small_axes=curve_axes(compared.analysis.label_curves.values(), width=200, height=130),
        calibration_axes=calibration_axes(compared.analysis.calibration),
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
    evaluation, intervals, analysis = compared.evaluation, compared.intervals, compared.analysis
    return {
        "model": model, "data": data, "today": date.today().isoformat(), "documents": len(evaluation.documents),
        "spans": compared.span_rows,
        "micro": Row("micro", evaluation.micro, intervals.micro),
        "macro": (rate_text(evaluation.macro_f1, len(evaluation.spans)), intervals.macro),
        "roles": [
            Row(role, counts, analysis.links["strict"].intervals.each[role])
            for role, counts in evaluation.roles.items()
        ],
        "links": Row("links", evaluation.links, intervals.links),
        "facts": Row("facts", evaluation.facts, intervals.facts),
        "schemes": [
            (words.SCHEMES[what][name], scheme)
            for what, schemes in (("spans", analysis.spans), ("links", analysis.links), ("facts", analysis.facts))
            for name, scheme in schemes.items()
        ],
        "analysis": analysis, "calibration_error": evaluation.calibration_error,
        "confusion": _confusion(compared), "words": words,
        "dimensions": [_dimension(name, buckets) for name, buckets in analysis.buckets.items()],
        "value_kinds": VALUE_KINDS, "kinds": compared.kinds, "link_kinds": compared.link_kinds,
        "suspects": compared.suspects, "shown_suspects": _surest(compared.suspects or ()),
        "comparison": compared.comparison, "against": compared.against.name if compared.against else "",
        "few": len(evaluation.documents) < FEW_DOCUMENTS, "few_documents": FEW_DOCUMENTS,
    }  # fmt: skip


def _surest(suspects: Sequence[Suspect]) -> list[Suspect]:
    """The surest of each kind, in the order given."""
    seen: Counter[str] = Counter()
    shown = []
    for suspect in suspects:
        seen[suspect.kind] += 1
        if seen[suspect.kind] <= SHOWN_SUSPECTS:
            shown.append(suspect)
    return shown


def _dimension(name: str, buckets: Sequence[Bucket]) -> tuple[str, words.Words, Sequence[Bucket]]:
    return name, words.words_of(words.DIMENSIONS, name), buckets


def _confusion(compared: _Compared) -> dict[str, Any]:
    """The matrix: labels, and rows of counts with shades from 0 to 8 by their share of the row; None is no span."""
    counts = compared.analysis.confusion
    labels = [label for label in compared.numbers if any(label in pair for pair in counts)]
    columns: list[str | None] = [*labels, None]
    rows = []
    for gold in columns:
        row = [counts.get((gold, predicted), 0) for predicted in columns]
        whole = sum(row) or 1
        rows.append(
            (
                gold,
                [
                    (n, round(8 * n / whole), gold is not None and gold == p)
                    for n, p in zip(row, columns, strict=True)
                ],
            )
        )
    return {"labels": labels, "rows": rows if labels else []}


def _listing(compared: _Compared, document: DocumentCounts) -> dict[str, Any]:
    counts = total(document.spans.values())
    gold = compared.gold[document.id]
    return {
        "id": document.id, "title": meta_text(gold, "title"), "characters": len(gold.text), "counts": counts,
        "mistakes": compared.counted[document.id], "links": total(document.links.values()),
    }  # fmt: skip
