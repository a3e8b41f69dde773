"""A stand-in for a model provider on this machine: it knows one list of models, who may see it, and one answer."""

import http.server
import json
import threading
import time
from contextlib import contextmanager

ANSWER = {"answer": "42"}
USAGE = {"prompt_tokens": 25, "completion_tokens": 15, "total_tokens": 40}


class Provider:
    """An OpenAI-compatible API that takes this key, or any, and answers in these pieces, with a pause of so many seconds before
    each."""

    def __init__(self, key=None, pieces=(json.dumps(ANSWER),), pause=0):
        self.key, self.pieces, self.pause = key, pieces, pause
        self.url = None
        # What it was asked, as paths and keys.
        self.asked = []
        # While there is one, it is the status of every question. The body then says the key again, as a careless provider does.
        self.refuses_with = None

    def refusal(self, path, given):
        """Status and body of an error, if it is one."""
        if self.key not in (None, given):
            return 401, {"error": {"code": "invalid_api_key", "message": f"Incorrect API key provided: {given}."}}
        if self.refuses_with and not path.endswith("/models"):
            return self.refuses_with, {"error": {"message": f"the request of {given} (Bearer {given}) went wrong"}}
        return None

    def completion(self):
        message = {"role": "assistant", "content": "".join(self.pieces), "refusal": None}
        return {
            "object": "chat.completion", "model": "model-of-the-test", "usage": USAGE,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }

    def chunks(self):
        """The completion as it comes while it is written."""
        chunk = {"object": "chat.completion.chunk", "model": "model-of-the-test"}
        for piece in self.pieces:
            time.sleep(self.pause)
            yield chunk | {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        yield chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        yield chunk | {"choices": [], "usage": USAGE}

    def questions(self):
        """The keys of those that asked for an answer."""
        return [given for path, given in self.asked if path.endswith("/chat/completions")]


@contextmanager
def provider(*arguments, **options):
    stand_in = Provider(*arguments, **options)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if not self.refused():
                self.send(200, {"object": "list", "data": []})

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            if self.refused():
                return
            if not asked.get("stream"):
                self.send(200, stand_in.completion())
                return
            self.begin(200, "text/event-stream")
            for chunk in stand_in.chunks():
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")

        def refused(self):
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            stand_in.asked.append((self.path, given))
            refusal = stand_in.refusal(self.path, given)
            if refusal:
                self.send(*refusal)
            return refusal is not None

        def send(self, status, body):
            self.begin(status, "application/json")
            self.wfile.write(json.dumps(body).encode())

        def begin(self, status, content_type):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stand_in.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()


def skill_with_key(owner, base_url, url, key):
    """Gives the carrier this key, and a skill that asks with it; the skill's id."""
    body = {"provider": "openai_compatible", "key": key, "base_url": url}
    kept = owner.post(base_url + "/v1/provider-keys", json=body)
    assert kept.status_code == 201, kept.text
    text = {"type": "string"}
    skill = owner.post(base_url + "/v1/skills", json={
        "name": f"Words {key[-8:]}", "instructions": "Sum up {{input.text}}", "provider": "openai_compatible", "model": "model-of-the-test",
        "input_schema": {"type": "object", "required": ["text"], "properties": {"text": text}},
        "output_schema": {
            "type": "object", "required": ["answer"], "additionalProperties": False, "properties": {"answer": text},
        },
    })
    assert skill.status_code == 201, skill.text
    return skill.json()["id"]
