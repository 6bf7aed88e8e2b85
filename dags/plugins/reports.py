"""Serves the reports of nights at `/reports`, to those who may see the nightly DAG in Airflow.

Every process of Airflow loads this file, so it imports what only the API server needs at the first request.
"""

import re
from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PAGE = re.compile(r"(\d{4}-\d{2}-\d{2}|index|dictionary)\.html")
# A page has no script, and needs nothing from elsewhere.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@cache
def reports() -> Any:
    """Return the application that answers requests below `/reports`."""
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.responses import HTMLResponse

    from pipeline.settings import load_settings

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/{page}", dependencies=[Depends(requires_access_dag("GET", param_dag_id="interest_nightly"))])
    def page_of(page: str) -> HTMLResponse:
        file = load_settings().reports_folder / page
        if not PAGE.fullmatch(page) or not file.is_file():
            raise HTTPException(404, f"no page {page}: the log of the task `publish` says why a night has none")
        return HTMLResponse(file.read_bytes(), headers=HEADERS)

    return app


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request, as ASGI has it."""
    await reports()(scope, receive, send)


class Reports(AirflowPlugin):
    """Mounts the application."""

    name = "throughline_reports"
    fastapi_apps = [{"app": answer, "url_prefix": "/reports", "name": "reports"}]  # noqa: RUF012
