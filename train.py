"""Fine-tune the encoder on annotated documents.

usage: python train.py --config configs/default.toml [--set training.epochs=3 …] [--resume] [-o FOLDER]

The same as `gongbao train`; `--help` says everything.
"""

import sys

from gongbao.cli import main as gongbao


def main(argv: list[str]) -> int:
    """Run `gongbao train` with these arguments and return the exit code."""
    return gongbao(["train", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
