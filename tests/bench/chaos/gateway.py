"""A gateway before an Iceberg REST catalog, on loopback, whose outages answer 503."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

UNAVAILABLE = b'{"error": {"message": "the catalog is down", "type": "ServiceUnavailableException", "code": 503}}'
NOT_FORWARDED = {"connection", "transfer-encoding", "content-length", "keep-alive"}
MANY = 1_000_000


@dataclass
class Outage:
    """Which requests are answered by 503.

    commit: the first one, counted from 1 among the commits; 0: none. requests: how many requests from then on, commits
    or not. is_late: whether each of them is carried out all the same, as by a gateway that waited too short for it.
    """

    commit: int = 0
    requests: int = MANY
    is_late: bool = False
    commits: int = 0
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refuses(self, is_commit: bool) -> bool:
        """Count a request; return whether it is answered by 503."""
        with self.lock:
            self.commits += is_commit
            is_refused = 0 < self.commit <= self.commits and self.refused < self.requests
            self.refused += is_refused
            return is_refused


@dataclass
class Gateway:
    """A running gateway. outage: of the requests from now on."""

    port: int
    outage: Outage = field(default_factory=Outage)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: ClassVar[Gateway]
    catalog: ClassVar[tuple[str, int]]

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        outage = self.gateway.outage
        folder = self.path.partition("?")[0].rpartition("/")[0]
        is_refused = outage.refuses(is_commit=self.command == "POST" and folder.endswith("/tables"))
        if not is_refused or outage.is_late:
            status, headers, content = self._ask(body)
        if is_refused:
            status, headers, content = 503, {"Content-Type": "application/json"}, UNAVAILABLE
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = _forward

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.catalog, timeout=60)
        try:
            headers = {name: text for name, text in self.headers.items() if name.lower() not in NOT_FORWARDED}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            found = {name: text for name, text in answer.getheaders() if name.lower() not in NOT_FORWARDED}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def gateway_before(port: int) -> Iterator[Gateway]:
    """Serve a gateway before the catalog at a port of this machine, for the block."""
    made = Gateway(0)
    handler = type("Handler", (_Handler,), {"gateway": made, "catalog": ("127.0.0.1", port)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
