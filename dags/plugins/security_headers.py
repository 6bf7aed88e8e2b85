"""Adds headers to every answer of Airflow's web server, since Airflow has no settings for them.

No other site may show it in a frame, guess the type of a file, or learn an address of it from a link.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from airflow.plugins_manager import AirflowPlugin

HEADERS = {
    b"x-frame-options": b"SAMEORIGIN",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
}
Send = Callable[[Any], Awaitable[None]]


class SecurityHeaders:
    """An ASGI application around another one. A header that an answer has already stays as it is."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Answer a request, as ASGI has it."""

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                found = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in HEADERS.items() if name not in found]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Headers(AirflowPlugin):
    """Puts the headers around the whole server."""

    name = "throughline_security_headers"
    fastapi_root_middlewares = [  # noqa: RUF012
        {"middleware": SecurityHeaders, "name": "security headers"}
    ]
