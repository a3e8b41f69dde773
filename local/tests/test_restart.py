"""Postgres restarts in the middle of load: functions recover by themselves, nothing is lost and nothing done twice."""

import threading
import time
import uuid
from collections import Counter

import pytest
import requests

from local import postgres
from local.processes import Daemons

WORKERS = 6
# Between the restarts, before the first and after the last.
SECONDS = 3
PATIENCE = 60


class Worker(threading.Thread):
    """Creates customers one after another, repeats with the same key what was not answered, and reads what it has."""

    def __init__(self, session, run):
        super().__init__(daemon=True)
        self.session, self.run_id = session, run
        self.done, self.statuses, self.faults = [], Counter(), []
        self.enough = threading.Event()

    def run(self):
        try:
            while not self.enough.is_set():
                name = f"{self.run_id} {uuid.uuid4()}"
                made = self._until(201, "POST", "/v1/customers", name, json={"type": "dealer", "name": name})
                self.done.append(name)
                self._until(200, "GET", f"/v1/customers/{made['id']}", name)
        except Exception as fault:
            self.faults.append(repr(fault))

    def _until(self, wanted, method, path, name, **options):
        """The answer once it is the wanted one; before, only 503 is right, and 429 as the plan allows 50 requests a second."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self.session.request(method, path, headers={"Idempotency-Key": name}, **options)
            self.statuses[answer.status_code] += 1
            if answer.status_code == wanted:
                assert answer.json()["name"] == name
                return answer.json()
            assert answer.status_code in (429, 503), f"{method} {path}: {answer.status_code} {answer.text}"
            time.sleep(int(answer.headers["retry-after"]) / 4)
        raise AssertionError(f"{method} {path} was not answered within {PATIENCE} s")


@pytest.fixture
def load(client, demo):
    run = f"Restart {uuid.uuid4().hex[:8]}"
    workers = [Worker(client("owner"), run) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    yield workers
    for worker in workers:
        worker.enough.set()


def test_a_restart_of_postgres_under_load_loses_nothing_and_doubles_nothing(stack, client, load):
    daemons = Daemons(stack)
    for _ in range(2):
        time.sleep(SECONDS)
        postgres.stop(daemons)
        # Long enough that requests meet a database that is not there.
        time.sleep(1)
        postgres.start(stack, daemons)
    time.sleep(SECONDS)
    before = sum(len(worker.done) for worker in load)
    time.sleep(SECONDS)
    for worker in load:
        worker.enough.set()
    for worker in load:
        worker.join(PATIENCE)
    assert not [fault for worker in load for fault in worker.faults]
    assert not [worker for worker in load if worker.is_alive()], "a request was never answered"

    done = [name for worker in load for name in worker.done]
    assert len(done) > before, "writes go on after the restarts"
    statuses = sum((worker.statuses for worker in load), Counter())
    print(f"{len(done)} customers over two restarts, answers by status: {dict(statuses)}")
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM customers WHERE name LIKE %s", [f"{load[0].run_id} %"])
        assert sorted(name for (name,) in cursor.fetchall()) == sorted(done)
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state LIKE 'idle in transaction%%'", [stack.database]
        )
        assert cursor.fetchone() == (0,)
        cursor.execute("DELETE FROM customers WHERE name LIKE %s", [f"{load[0].run_id} %"])
    assert client("owner").get("/v1/customers").status_code == requests.codes.ok
