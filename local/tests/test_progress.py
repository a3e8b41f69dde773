"""What a model says arrives while it says it, over a real WebSocket, also at a client whose line goes in the midst of it."""

import json
import time
import uuid

import pytest
import sessions

from local import users
from local.tests import models
from local.tests.test_realtime import Socket

WORDS = [f"word {n}, " for n in range(24)]


def owner_of(stack, name):
    """As `client` of conftest, for a carrier of its own."""
    session = sessions.newcomer(stack, stack.url)
    carrier = session.post("/v1/tenants", json={"name": name, "time_zone": "America/New_York"}).json()
    session.headers["Tenant-Id"] = carrier["id"]
    users.upgrade(stack, carrier["id"])
    return session


@pytest.fixture
def socket_of():
    made = []

    def open_socket(client):
        made.append(Socket(client).open())
        return made[-1]

    yield open_socket
    for socket in made:
        socket.drop()


def pieces(socket):
    return [event["data"] for event in socket.events if event["type"] == "execution.progress"]


def test_the_text_of_a_slow_answer_arrives_in_pieces_also_after_a_drop(stack, socket_of):
    owner, rival = owner_of(stack, "Progress"), owner_of(stack, "Rival")
    answer = json.dumps({"answer": "".join(WORDS)})
    chunks = [answer[n:n + 10] for n in range(0, len(answer), 10)]
    with models.provider(pieces=chunks, pause=0.25) as provider:
        skill = models.skill_with_key(owner, "", provider.url, "sk-of-the-test-0123456789")
        socket, foreign = socket_of(owner), socket_of(rival)
        for one in (socket, foreign):
            assert one.subscribe(topics=["executions"])["type"] == "subscribed"
        asked = owner.post("/v1/executions", json={"skill": skill, "input": {"text": "cars"}})
        assert asked.status_code == 202, asked.text
        execution = asked.json()["id"]
        begun = time.monotonic()
        socket.take(until=lambda _: len(pieces(socket)) >= 3)
        print(f"three pieces after {time.monotonic() - begun:.2f} s")
        first = "".join(piece["text"]["answer"] for piece in pieces(socket))
        assert first and "".join(WORDS).startswith(first)
        running = owner.get(f"/v1/executions/{execution}").json()
        assert running["status"] == "running" and running["progress"]["text"]["answer"].startswith(first), running

        socket.drop()
        time.sleep(1.5)
        socket.open()
        socket.subscribe(topics=[f"executions/{execution}"])
        socket.take(until=lambda _: any(event["type"] == "execution.succeeded" for event in socket.events))
    told = pieces(socket)
    assert [piece["part"] for piece in told] == list(range(1, len(told) + 1)), "all of them, once and in order"
    assert "".join(WORDS).startswith("".join(piece["text"]["answer"] for piece in told))
    assert socket.events[-1]["type"] == "execution.succeeded"
    assert [event["type"] for event in socket.events[:2]] == ["execution.created", "execution.running"]
    done = owner.get(f"/v1/executions/{execution}").json()
    assert done["output"]["answer"] == "".join(WORDS) and "progress" not in done
    # Another carrier heard nothing, and afterwards nobody reads the pieces any more.
    foreign.hears_nothing()
    log = owner.get("/v1/events", params={"topic": "executions"}).json()["data"]
    assert "execution.progress" not in {event["type"] for event in log}
