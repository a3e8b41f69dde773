"""A stand-in for a model provider on this machine: it knows one list of models, who may see it, and one answer."""

import http.server
import json
import threading
import time
from contextlib import contextmanager


@contextmanager
def provider(key=None, answer=(), pause=0):
    """The base address of an OpenAI-compatible API that takes this key, or any; and what it was asked, as paths and keys. What it
    answers comes in these pieces, with a pause of so many seconds before each."""
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

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for piece in answer:
                time.sleep(pause)
                self.say({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
            self.say({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")

        def say(self, event):
            event |= {"object": "chat.completion.chunk", "model": "model-of-the-test"}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
