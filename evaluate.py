"""Score a model or a file of predictions against gold annotation.

usage: python evaluate.py (--model FOLDER | --predictions FILE) --data NAME|FILE [-o report.html]

The same as `gongbao evaluate`; `--help` says everything.
"""

import sys

from gongbao.cli import main as gongbao


def main(argv: list[str]) -> int:
    """Run `gongbao evaluate` with these arguments and return the exit code."""
    return gongbao(["evaluate", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
