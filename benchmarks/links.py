"""Score the link rules alone, on gold spans.

usage: python benchmarks/links.py CORPUS …    (bundled splits or any format that gongbao reads)

The rules were developed on real excerpts whose meta id has an even SHA-256; the others of a corpus with such ids are
scored by themselves too.
"""

import hashlib
import sys

from gongbao.corpus import resolve
from gongbao.files import bundled
from gongbao.label_studio import read_config
from gongbao.linking import RuleLinker
from gongbao.metrics import evaluate


def main(names: list[str]) -> None:
    """Print F1 by role for all documents together, and for the half that was not developed on."""
    scheme = read_config(bundled("annotations/label_config.xml")).scheme
    link = RuleLinker(scheme)
    documents = [d for name in names for d in resolve(name, scheme)]
    unseen = [
        d
        for d in documents
        if "id" in d.meta and int(hashlib.sha256(str(d.meta["id"]).encode()).hexdigest(), 16) % 2
    ]
    for what, chosen in (("all", documents), ("not developed on", unseen)):
        if chosen:
            found = evaluate(chosen, [d.replace(links=tuple(link(d))) for d in chosen])
            rates = {role: round(c.f1, 3) for role, c in found.roles.items()}
            print(f"{what}: {len(chosen)} documents, link F1 {found.links.f1:.3f} {rates}")


if __name__ == "__main__":
    main(sys.argv[1:])
