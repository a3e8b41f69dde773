"""A stand-in for a model provider on this machine: it knows one list of models, and who may see it."""

import http.server
import json
import threading
from contextlib import contextmanager


@contextmanager
def provider(key=None):
    """The base address of an OpenAI-compatible API that takes this key, or any; and what it was asked, as paths and keys."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            asked.append((self.path, given))
            taken = key is None or given == key
            body = {"object": "list", "data": []} if taken else {"error": {"code": "invalid_api_key", "message": "no"}}
            self.send_response(200 if taken else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
