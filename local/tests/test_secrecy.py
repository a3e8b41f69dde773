"""A carrier's key has been used, by a provider that says it in its errors: after that it stands in no log, message or row."""

import base64
import json
import urllib.request
import uuid

import pytest
import requests

from local import deploy, ministack, users
from local.tests import models
from local.tests.test_executions import ended, fail_for_good


@pytest.fixture(scope="module")
def owner(stack, base_url):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {users.newcomer(stack, f'secrecy-{uuid.uuid4().hex[:8]}@carhaul.example')}"
    carrier = session.post(base_url + "/v1/tenants", json={"name": "Secrecy", "time_zone": "UTC"}).json()
    session.headers["Tenant-Id"] = carrier["id"]
    users.upgrade(stack, carrier["id"])
    return session


@pytest.fixture(scope="module")
def used(stack, owner, base_url):
    """A key that the deployed worker has asked a model with, and the executions: answered, refused, failed and put aside."""
    key = f"sk-{uuid.uuid4().hex}-wxyz"
    with models.provider(key) as provider:
        skill = models.skill_with_key(owner, base_url, provider.url, key)

        def run():
            body = {"skill": skill, "input": {"text": "much"}}
            return ended(owner, base_url, owner.post(base_url + "/v1/executions", json=body).json()["id"])

        answered = run()
        assert (answered["status"], answered["output"]) == ("succeeded", models.ANSWER), answered
        provider.refuses_with = 401
        refused = run()
        provider.refuses_with = 400
        malformed = run()
        assert {refused["status"], malformed["status"]} == {"failed"}, (refused, malformed)
        exhausted = fail_for_good(stack, owner, base_url, provider, skill)
        assert provider.questions() and set(provider.questions()) == {key}, "all were asked with it"
    return key, [answered, refused, malformed, exhausted]


def forms(key):
    """How a key may stand in a text: itself, in hex, and in base64, which looks otherwise behind one or two more bytes."""
    encoded = set()
    for before in range(3):
        # Without the ends, into which other bytes go.
        whole = base64.b64encode(b"x" * before + key.encode()).decode()
        encoded.add(whole[4 if before else 0:-4])
    return [key, key.encode().hex(), *sorted(encoded)]


def tables_with(cursor, texts):
    """Tables of all schemas with a row that says one of these, as a full dump would."""
    cursor.execute(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'm') ORDER BY 1"
    )
    found, tables = [], [table for table, in cursor.fetchall()]
    for table in tables:
        # Postgres breaks the lines of base64.
        question = f"SELECT EXISTS (SELECT FROM {table} t WHERE replace(t::text, E'\\n', '') LIKE ANY (%s))"
        cursor.execute(question, [[f"%{text}%" for text in texts]])
        found += [table] * cursor.fetchone()[0]
    return found, tables


def test_no_row_of_any_schema_has_the_key(used, database):
    key, executions = used
    found, tables = tables_with(database, forms(key))
    assert found == []
    assert {"public.provider_keys", "public.audit_log", "public.tenant_events"} <= set(tables)
    # It would be found in whichever form, and what is there is.
    planted = (
        f"'{key}'::text", f"'{key}'::bytea", f"encode('Bearer {key}'::bytea, 'base64')",
        f"jsonb_build_object('headers', jsonb_build_array('{key}'))",
    )
    for n, column in enumerate(planted):
        database.execute(f"CREATE TABLE app.dump_{n} AS SELECT {column}")
        assert tables_with(database, forms(key))[0] == [f"app.dump_{n}"], column
        database.execute(f"DROP TABLE app.dump_{n}")
    assert "public.executions" in tables_with(database, [executions[0]["id"]])[0]
    assert "public.provider_keys" in tables_with(database, [key[-4:]])[0]


def test_no_log_has_the_key(stack, used):
    key, executions = used
    logs = ministack.client(stack, "logs")
    lines = {}
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
            lines.setdefault(name, []).extend(event["message"] for event in page["events"])
    for name, messages in lines.items():
        for form in forms(key):
            assert not any(form in message for message in messages), name
    found = deploy.outputs(stack)
    for function in ("ApiFunctionName", "AiDispatchFunctionName", "AiWorkerFunctionName"):
        assert lines.get(f"/aws/lambda/{found[function]}"), f"{function} has logged"
    worker = lines[f"/aws/lambda/{found['AiWorkerFunctionName']}"]
    for execution in executions:
        assert any(execution["id"] in line for line in worker), execution


def test_no_message_of_a_queue_has_the_key(stack, used):
    key, executions = used
    with urllib.request.urlopen(f"{stack.endpoint}/_ministack/sqs/messages", timeout=10) as answer:
        messages = answer.read().decode()
    assert executions[-1]["id"] in messages, "what was put aside is among them"
    assert not [form for form in forms(key) if form in messages]


def test_no_answer_has_the_key(owner, base_url, used):
    key, executions = used
    told = [owner.get(f"{base_url}{path}").text for path in ("/v1/provider-keys", "/v1/executions", "/v1/events")]
    told += [json.dumps(execution) for execution in executions]
    assert executions[0]["id"] in told[1]
    assert not [form for form in forms(key) for text in told if form in text]
