"""The service for an ASGI server: `uvicorn serve.app:app`, with the settings of the environment (serve/README.md)."""

from gongbao.serving.app import create_app

app = create_app()
