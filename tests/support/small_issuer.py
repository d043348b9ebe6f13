"""An issuer over HTTP that publishes its documents and counts who asks: its tokens are made by whoever has its keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hosted.issuing import SigningPair, pair


class SmallIssuer:
    """Documents at a port of this machine; `/moved` redirects, `/other` is another. `asked` is each path that was."""

    def __init__(self, port: int = 0) -> None:
        self.signing: SigningPair = pair()
        self.asked: list[str] = []
        issuer = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                found = issuer.documents().get(self.path)
                body = json.dumps(found or {}).encode()
                moved = "/moved" in self.path
                self.send_response(200 if found else 302 if moved else 404)
                if moved:
                    self.send_header("Location", "/.well-known/oauth-authorization-server")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what was asked is counted."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def documents(self) -> dict[str, dict[str, Any]]:
        return {
            "/.well-known/oauth-authorization-server": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/.well-known/oauth-authorization-server/other": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [self.signing.jwk]},
        }

    def token(self, audience: str, subject: str, scope: str = "storage:destroy", **more: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": audience, "sub": subject, "scope": scope, "iat": now, "exp": now + 3600}
        return self.signing.token({**claims, **more})


@contextmanager
def small_issuer(port: int = 0) -> Generator[SmallIssuer]:
    issuer = SmallIssuer(port)
    thread = threading.Thread(target=issuer.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()
        thread.join()
