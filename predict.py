"""Extract spans, values and facts from reports.

usage: python predict.py INPUT… [--model FOLDER] [-o facts.xlsx] [--format jsonl|facts|csv|xlsx|parquet]

The same as `gongbao predict`; `--help` says everything.
"""

import sys

from gongbao.cli import main as gongbao


def main(argv: list[str]) -> int:
    """Run `gongbao predict` with these arguments and return the exit code."""
    return gongbao(["predict", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
