"""Score the normalisers on a file of cases.

usage: python benchmarks/values.py CASES.jsonl

A line is {"type": "AMOUNT", "text", "kind", "value" or "low" and "high", "unit", "approx", perhaps "si_value" or "si_low",
"si_high", "si_unit"} or {"type": "TIME", "text", "reference" (the publication date), "start", "end"}; an expected value that is null
says that there is none. Prints every case that is not wholly right and ends with exit code 1 if there is any.
"""

import json
import math
import sys
from pathlib import Path

from gongbao import parse_amount, parse_period


def expected(case: dict) -> dict | None:
    """The `value` object that a case asks for, as far as it asks."""
    if case["type"] == "TIME":
        wanted = {key: case[key] for key in ("start", "end")}
        return wanted if any(wanted.values()) else None
    if case.get("kind") is None:
        return None
    wanted = {
        key: case[key]
        for key in ("kind", "unit", "approx", "low", "high", "si_low", "si_high", "si_unit")
        if key in case
    }
    for key, both in (("value", ("low", "high")), ("si_value", ("si_low", "si_high"))):
        if key in case:
            wanted |= dict.fromkeys(both, case[key])
    return wanted


def same(wanted: dict | None, found: dict | None) -> bool:
    """Whether all that is asked for was found; numbers to seven digits, as the cases have them."""
    if wanted is None or found is None:
        return wanted is found
    return all(
        math.isclose(value, found.get(key) or math.nan, rel_tol=1e-7)
        if isinstance(value, int | float) and value
        else value == found.get(key)
        for key, value in wanted.items()
    )


def main(path: Path) -> int:
    """Score one file."""
    right = wrong = missing = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        read = (
            parse_amount(case["text"])
            if case["type"] == "AMOUNT"
            else parse_period(case["text"], case["reference"])
        )
        found, wanted = read.to_json() if read else None, expected(case)
        if same(wanted, found):
            right += 1
            continue
        missing += found is None
        wrong += found is not None
        print(f"{case['type']} {case['text']}: {found}, not {wanted}")
    total = right + wrong + missing
    print(
        f"{right} of {total} wholly right ({right / total:.1%}); {missing} without a value, {wrong} with a wrong one"
    )
    return right != total


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
