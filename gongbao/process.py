"""What every command owes to those who run it, whatever it does: messages, exit codes, and outputs whole or untouched."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EEXIST, ENOSPC, ENOTDIR
from pathlib import Path
from typing import Final, NoReturn, TextIO

from gongbao.files import PACKAGE
from gongbao.schema import GongbaoError, UsageError

_RUST_ERROR: Final = re.compile(r"\(os error (\d+)\)")
_NO_ROOM: Final = 1 << 20  # bytes


def say(line: str) -> None:
    """A message or a line of progress."""
    print(line, file=sys.stderr, flush=True)


def guarded(work: Callable[[], int]) -> int:
    """The exit code of `work`, which gives its own unless it fails; what it fails with becomes a message.

    1 for what failed, 2 for wrong usage, 130 for an interrupt. A termination (SIGTERM) raises SystemExit, which
    lets files be cleared away.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal of another encoding than UTF-8 shows what it cannot as \\uXXXX.
            stream.reconfigure(errors="backslashreplace")
    with _messages(), _termination():
        try:
            code = work()
            sys.stdout.flush()  # here its errors are still ours to report
            return code
        except KeyboardInterrupt:
            say("stopped")
            return 130
        except GongbaoError as error:
            say(f"gongbao: {error}")
            return 2 if isinstance(error, UsageError) else 1
        except BrokenPipeError:
            # The reader of our output has gone (`| head`): nothing is wrong with the work.
            _give_up_output()
            return 1
        except OSError as error:
            # One of the system without a file is about standard output; those of libraries are no such errors.
            place = error.filename or ("standard output" if error.errno else None)
            say(f"gongbao: {place}: {error.strerror}" if place else f"gongbao: {error}")
            _give_up_output()
            return 1
        except Exception:
            say(traceback.format_exc())
            say("gongbao: this is a mistake in gongbao itself; please report it with the lines above")
            return 1


@contextmanager
def _messages() -> Iterator[None]:
    """Show the warnings of gongbao (what a reader left out or noted) as messages like any other."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int,
            file: TextIO | None = None, line: str | None = None,
        ) -> None:  # fmt: skip
            if Path(filename).is_relative_to(PACKAGE):
                say(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.filterwarnings("always", category=UserWarning, module="gongbao")
        warnings.showwarning = show
        yield


@contextmanager
def _termination() -> Iterator[None]:
    """End on SIGTERM as on an error, so that nothing half written is left beside the output."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _give_up_output() -> None:
    """Let standard output lead nowhere: Python writes what is left at its end, and would complain."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turn a missing module in the block into a message that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).startswith("gongbao"):
            raise
        raise UsageError(
            f"this command needs {error.name}, which is not installed",
            remedy=f"pip install 'gongbao[{extra}]'",
        ) from None


@contextmanager
def writing_to(output: Path | None) -> Iterator[None]:
    """Name the output (None: standard output) where the system refuses it in the block.

    The error of a full disk names no file, others a temporary one.
    """
    try:
        yield
    except (BrokenPipeError, GongbaoError):
        raise
    except Exception as error:
        number = _refusal(error, output)
        if number is None:
            raise
        if number in (EEXIST, ENOTDIR):
            why, what_to_do = "a part of its path is a file, not a folder", "name another place"
        else:
            why, what_to_do = os.strerror(number), "make room or name another place"
        raise GongbaoError(
            f"it cannot be written: {why}",
            file=output or "standard output",
            remedy=f"{what_to_do}; what was there before is untouched",
        ) from error


def _refusal(error: Exception, output: Path | None) -> int | None:
    """The system's number for an error that says that the output cannot be written; None if it says something else."""
    if isinstance(error, OSError):
        named = error.filename if isinstance(error.filename, str) else None
        return error.errno if named is None or (output and _is_part_of(named, output)) else None
    if told := _RUST_ERROR.search(str(error)):  # safetensors
        return int(told[1])
    # torch tells of nothing but a broken stream.
    return ENOSPC if output and output.exists() and shutil.disk_usage(output).free < _NO_ROOM else None


def _is_part_of(name: str, output: Path) -> bool:
    """Whether a path leads to the output, lies in it, or is the temporary file beside it."""
    path, target = Path(name).resolve(), output.resolve()
    beside = path.parent == target.parent and path.suffix == ".part"
    return beside or path in target.parents or path.is_relative_to(target)
