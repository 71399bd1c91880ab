"""What /openapi.json shows of requests and answers."""

from __future__ import annotations

from typing import Any, Final

REQUEST: Final = {
    "text": "2023年前三季度,全镇完成财政收入2.3亿元,占年度任务的88.6%",
    "published": "2023-11-02",
}
_MONEY: Final = {
    "kind": "money", "low": 230_000_000, "high": 230_000_000, "unit": "CNY", "approx": "exact",
}  # fmt: skip
_RATE: Final = {"kind": "percent", "low": 0.886, "high": 0.886, "unit": "ratio", "approx": "exact"}
_NINE_MONTHS: Final = {"start": "2023-01-01", "end": "2023-09-30"}
DOCUMENT: Final = {
    "id": "text-1",
    "text": REQUEST["text"],
    "meta": {"published": "2023-11-02"},
    "spans": [
        {"id": "s1", "start": 0, "end": 9, "label": "TIME", "text": "2023年前三季度", "score": 0.99, "value": _NINE_MONTHS},
        {"id": "s2", "start": 14, "end": 18, "label": "METRIC", "text": "财政收入", "score": 0.98},
        {"id": "s3", "start": 18, "end": 23, "label": "AMOUNT", "text": "2.3亿元", "score": 0.99, "value": _MONEY},
        {"id": "s4", "start": 30, "end": 35, "label": "AMOUNT", "text": "88.6%", "score": 0.99, "value": _RATE},
    ],
    "links": [
        {"head": "s2", "tail": "s3", "role": "VALUE"},
        {"head": "s2", "tail": "s4", "role": "COMPLETION"},
    ],
    "facts": [
        {"metric": "s2", "amount": "s3", "role": "VALUE", "period": "s1", "subject": None, "inherited": []},
        {"metric": "s2", "amount": "s4", "role": "COMPLETION", "period": "s1", "subject": None, "inherited": []},
    ],
    "model": {"name": "default", "version": "2026-11-25", "sha256": ""},
}  # fmt: skip

_ANSWERS: Final[dict[str, Any]] = {
    "/v1/schema": {
        "labels": ["METRIC", "AMOUNT", "PROJECT", "ORG", "TIME"],
        "roles": [{"name": "VALUE", "heads": ["METRIC", "PROJECT"], "tails": ["AMOUNT"]}],
        "values": {"AMOUNT": "amount", "TIME": "period"},
        "kinds": ["money", "percent"],
        "approx": ["exact", "about"],
        "columns": ["document", "metric", "role", "low", "high", "unit"],
    },
    "/v1/models": {"models": [{"name": "default", "version": "2026-11-25", "labels": ["METRIC", "AMOUNT"]}]},
}  # fmt: skip

_ERRORS: Final = {
    401: ("unauthorized", "there is no such API key"),
    403: ("forbidden", "without API keys this service answers this machine alone"),
    413: ("text_too_long", "there are 120,000 characters, the limit is 100,000"),
    415: ("unsupported_media_type", "a request is application/json or multipart/form-data"),
    422: ("unreadable_file", "report.pdf: the pdf file holds no text"),
    429: ("overloaded", "there is too much to do at the moment"),
    503: ("timeout", "it took longer than 60 s"),
}


def request_body(extraction: dict[str, Any]) -> dict[str, Any]:
    """The two ways to ask: JSON, whose schema is given, and a form with a file."""
    upload = {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "txt, html, mhtml, docx or pdf"},
            "published": {
                "type": "string",
                "format": "date",
                "description": "if the file does not say its own",
            },
        },
    }
    texts = {"texts": ["全区固定资产投资46.8亿元。", "新建污水管网7.4公里。"]}
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": extraction,
                "examples": {"text": {"value": REQUEST}, "texts": {"value": texts}},
            },
            "multipart/form-data": {"schema": upload},
        },
    }


def answer(path: str) -> dict[str, Any]:
    """A good answer's description."""
    return {"content": {"application/json": {"example": _ANSWERS[path]}}}


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Documents in the order of the texts, or a table of their facts.",
        "content": {
            "application/json": {"example": {"documents": [DOCUMENT]}},
            "application/x-ndjson": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
                "schema": {"type": "string", "format": "binary"}
            },
            "text/html": {"schema": {"type": "string"}},
        },
    },
    **{
        status: {
            "description": message,
            "content": {"application/json": {"example": {"error": {"code": code, "message": message}}}},
        }
        for status, (code, message) in _ERRORS.items()
    },
}
