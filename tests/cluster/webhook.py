"""A validating webhook over HTTPS on loopback, as a policy engine is one; used by requests_guards.py.

It refuses objects whose name starts with ``denied`` (``-409`` picks the code), updates that set ``data.denied``, and deletions.
"""

import base64
import contextlib
import http.server
import json
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def refusing() -> Iterator[tuple[str, str]]:
    """Serve until the context ends; yields its address and its certificate in base64."""
    with tempfile.TemporaryDirectory() as folder:
        cert, key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]  # fmt: skip
        subprocess.run(made, check=True, capture_output=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}/", base64.b64encode(cert.read_bytes()).decode()
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        answer: dict[str, Any] = {"uid": request["uid"], "allowed": not _refused(request)}
        if not answer["allowed"]:
            answer["status"] = {"message": "not here", "code": 409 if request["name"].endswith("-409") else 403}
        body = json.dumps(review | {"request": None, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _refused(request: dict[str, Any]) -> bool:
    data = (request.get("object") or {}).get("data") or {}
    name = str(request["name"] or (request.get("object") or {}).get("metadata", {}).get("name", ""))
    return (
        request["operation"] == "DELETE" or "denied" in data or (request["operation"] == "CREATE" and "denied" in name)
    )
