"""serve: the service."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gongbao.cli.common import Backend
from gongbao.process import needing
from gongbao.schema import GongbaoError

if TYPE_CHECKING:
    from gongbao.serving.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on; 127.0.0.1 if left out. Any other needs --keys.")] = None,
    port: Annotated[int | None, typer.Option(help="8000 if left out; 0: a free one.")] = None,
    model: Annotated[Path | None, typer.Option("--model", help="A model's folder; else the default model.")] = None,
    backend: Annotated[Backend | None, typer.Option(help="What runs the model.")] = None,
    keys: Annotated[Path | None, typer.Option(help="A file with an API key a line; it may change while the service runs.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes, each with a model of its own; 1 if left out.")] = None,
) -> None:  # fmt: skip
    """Answer requests over HTTP, and show a page for people.

    What is left out here is taken from the environment, as are the limits: GONGBAO_PORT, GONGBAO_TIMEOUT and so on
    (serve/README.md). SIGTERM lets what was accepted be answered, then ends.
    """
    with needing("serve"):
        import uvicorn

        from gongbao.serving.app import create_app, load
        from gongbao.serving.settings import Settings

    settings = Settings.from_environment(
        host=host, port=port, model=model, backend=backend.value if backend else None, keys=keys,
        workers=workers,
    )  # fmt: skip
    settings.open_keys()  # refused here, before anything is started
    _log_to_standard_error()
    options = _options(settings)
    if settings.workers == 1:
        _run(uvicorn.Server(uvicorn.Config(create_app(settings, load(settings)), **options)))
        return
    with ExitStack() as stack:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            folder = stack.enter_context(TemporaryDirectory(prefix="gongbao-metrics-"))
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ.update(settings.to_environment())
        uvicorn.run("gongbao.cli.serving:worker_app", factory=True, workers=settings.workers, **options)


def worker_app() -> Any:
    """The application in one of several worker processes, which have their settings by the environment."""
    from gongbao.serving.app import create_app

    _log_to_standard_error()
    return create_app()


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        # The service has a log of its own, without queries and paths of others.
        "access_log": False,
        "log_config": None,
        "server_header": False,
        # No request takes longer than `timeout`: whatever was accepted is answered.
        "timeout_graceful_shutdown": int(settings.timeout) + 5,
    }


def _run(server: Any) -> None:
    try:
        server.run()
    except SystemExit:
        # uvicorn raises the signal again that ended it: to be stopped is what a service is for.
        if not server.started:
            raise
    if not server.started:
        raise GongbaoError("the service could not be started", remedy="see the lines above")


def _log_to_standard_error() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it would quote bytes of broken forms
