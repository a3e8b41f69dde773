"""A stand-in for a model provider on this machine: it knows one list of models, who may see it, and one answer."""

import http.server
import json
import threading
from contextlib import contextmanager

ANSWER = {"answer": "42"}


class Provider:
    """An OpenAI-compatible API that takes this key, or any."""

    def __init__(self, key):
        self.key = key
        self.url = None
        # What it was asked, as paths and keys.
        self.asked = []
        # While there is one, it is the status of every question. The body then says the key again, as a careless provider does.
        self.refuses_with = None

    def answer(self, path, given):
        """Status and body."""
        self.asked.append((path, given))
        if self.key not in (None, given):
            return 401, {"error": {"code": "invalid_api_key", "message": f"Incorrect API key provided: {given}."}}
        if path.endswith("/models"):
            return 200, {"object": "list", "data": []}
        if self.refuses_with:
            return self.refuses_with, {"error": {"message": f"the request of {given} (Bearer {given}) went wrong"}}
        message = {"role": "assistant", "content": json.dumps(ANSWER), "refusal": None}
        return 200, {
            "object": "chat.completion", "model": "model-of-the-test",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 25, "completion_tokens": 15, "total_tokens": 40},
        }

    def questions(self):
        """The keys of those that asked for an answer."""
        return [given for path, given in self.asked if path.endswith("/chat/completions")]


@contextmanager
def provider(key=None):
    stand_in = Provider(key)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = stand_in.answer(self.path, self.headers.get("Authorization", "").removeprefix("Bearer "))
            body = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
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
        "name": "Words", "instructions": "Sum up {{input.text}}", "provider": "openai_compatible", "model": "model-of-the-test",
        "input_schema": {"type": "object", "required": ["text"], "properties": {"text": text}},
        "output_schema": {
            "type": "object", "required": ["answer"], "additionalProperties": False, "properties": {"answer": text},
        },
    })
    assert skill.status_code == 201, skill.text
    return skill.json()["id"]
