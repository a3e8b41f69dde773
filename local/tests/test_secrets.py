"""No secret reaches a log or the repository. Runs last (conftest.py), over what all other tests have made the functions log."""

import json
import re
import subprocess
import time
import uuid

import pytest
import requests
from billing import Carrier, Stripe, an_event

from local import ministack, users
from local.settings import ROOT
from local.tests import models

# What a credential of ours, or of those we deal with, looks like, also if no test here has seen it (the fuzzer has keys of its own).
FORMS = {
    "an API key": re.compile(r"chk_[\w-]{20,}"),
    "a token": re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
    "a key of Stripe": re.compile(r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}"),
    "a signing secret of Stripe": re.compile(r"\bwhsec_[0-9A-Za-z+/]{24,}"),
    "a key of Anthropic": re.compile(r"sk-ant-[\w-]{60,}"),
    "a key of OpenAI": re.compile(r"sk-(?:proj-)?[0-9A-Za-z]{32,}"),
    "a key of Google": re.compile(r"AIza[\w-]{35}"),
    "a key of AWS": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a signed URL": re.compile(r"X-Amz-Signature=[0-9a-f]{64}"),
    "a private key": re.compile(r"-----BEGIN (?:\w+ )?PRIVATE KEY-----\s+[\w+/]{16}"),
}
# An example of each form, put together here so that this file has none.
EXAMPLES = {
    "an API key": "chk" + "_" + "a" * 30, "a token": ".".join(["eyJ" + "a" * 12, "eyJ" + "b" * 12, "c" * 30]),
    "a key of Stripe": "sk" + "_live_" + "4" * 24, "a signing secret of Stripe": "whsec" + "_" + "5" * 32,
    "a key of Anthropic": "sk" + "-ant-" + "d" * 80, "a key of OpenAI": "sk" + "-" + "e" * 40,
    "a key of Google": "AI" + "za" + "f" * 35, "a key of AWS": "AK" + "IA" + "G" * 16,
    "a signed URL": "X-Amz-" + "Signature=" + "0" * 64,
    "a private key": "-----BEGIN " + "PRIVATE KEY-----\n" + "h" * 32,
}


def found(text, secrets):
    """The names of the secrets, known by their content or their form, that are in a text."""
    by_content = {name for name, secret in secrets if secret in text}
    return by_content | {name for name, form in FORMS.items() if form.search(text)}


def signed_upload(carrier):
    customer = carrier.send("POST", "/v1/customers", json={"type": "broker", "name": "Lakeside"}, expect=201)["id"]
    stop = {"city": "Lexington", "state": "KY", "time_zone": "America/New_York", "from": "2030-03-09T09:00:00-05:00",
            "to": "2030-03-09T17:00:00-05:00"}
    body = {"customer_id": customer, "transport_type": "open", "pickup": stop, "delivery": stop, "vehicles": [{"make": "Ford"}]}
    order = carrier.send("POST", "/v1/orders", json=body, expect=201)["id"]
    body = {"kind": "pod", "file_name": "pod.pdf", "content_type": "application/pdf", "size": 1, "sha256": "0" * 64}
    return carrier.send("POST", f"/v1/orders/{order}/documents", json=body, expect=201)["upload"]["url"]


@pytest.fixture(scope="module")
def issued(stack, token, tokens_issued):
    """Pairs of a name and a secret: one of every kind that the API gives out or takes, each of them used, and all of the stack."""
    secrets = []
    carrier, email = Carrier(stack), f"{uuid.uuid4().hex}@example.com"
    key = carrier.send("POST", "/v1/api-keys", json={"name": "Scan", "scopes": ["orders:read"]}, expect=201)["key"]
    asked = requests.get(f"{stack.url}/v1/orders", headers={"Authorization": f"Bearer {key}"}, timeout=30)
    assert asked.status_code in (200, 429), asked.text
    secrets.append(("the API key", key))
    users.upgrade(stack, carrier.id)
    invitation = carrier.send("POST", "/v1/invitations", json={"email": email, "role": "dispatcher"}, expect=201)["token"]
    invited = {"Authorization": f"Bearer {users.newcomer(stack, email)}"}
    accepted = requests.post(f"{stack.url}/v1/invitations/accept", headers=invited, json={"token": invitation}, timeout=30)
    assert accepted.status_code in (200, 201), accepted.text
    secrets.append(("the invitation", invitation))
    secrets.append(("the signature of an upload", signed_upload(carrier).rpartition("X-Amz-Signature=")[2]))
    secrets.append(("the ticket", carrier.send("POST", "/v1/realtime/tickets", json={}, expect=201)["ticket"]))
    provider_key = f"sk-{uuid.uuid4().hex}-scan"
    with models.provider(provider_key) as provider:
        body = {"provider": "openai_compatible", "key": provider_key, "base_url": provider.url}
        carrier.send("POST", "/v1/provider-keys", json=body, expect=201)
    secrets.append(("the provider key", provider_key))

    account = Stripe(stack)
    assert account.deliver(an_event("cus_of_nobody")).status_code == 200
    secrets += [("the signing secret", secret) for secret in account.secrets]
    manager = ministack.client(stack, "secretsmanager")
    for secret in manager.list_secrets(MaxResults=100)["SecretList"]:
        content = json.loads(manager.get_secret_value(SecretId=secret["ARN"])["SecretString"])
        secrets += [(f"{secret['Name']}: {name}", value) for name, value in content.items()
                    if name in ("password", "api_key") and value]
    token("dispatch")
    return secrets + [("a bearer token", issued) for issued in tokens_issued]


@pytest.fixture(scope="module")
def logged(stack, issued):
    """What all functions and the gateway have logged since the stack was started."""
    return ministack.function_logs(stack, 24 * 60, groups="/aws/")


def test_no_log_holds_a_secret(logged, issued):
    assert len([name for name, _ in issued if name.endswith("password")]) > 5
    assert any(name.endswith("api_key") for name, _ in issued)
    assert all(len(secret) > 15 for _, secret in issued), [name for name, secret in issued if len(secret) <= 15]
    functions = {line.partition(": ")[0] for line in logged}
    assert len(functions) >= 5, functions
    assert {str(found(line, issued)): line[:200] for line in logged if found(line, issued)} == {}


def test_the_scan_finds_what_it_looks_for(logged, issued):
    for name, secret in issued:
        assert name in found(f"{logged[0].rstrip()} {secret}\n", issued)
    # What was asked for is in the log, so that its absence says something: the routes of the credentials above.
    for route in ("/v1/api-keys", "/v1/invitations/accept", "/v1/realtime/tickets", "/v1/provider-keys", "/webhooks/stripe"):
        assert any(f'"{route}"' in line for line in logged), route


def test_a_log_longer_than_one_answer_is_read_to_its_end(stack):
    logs, group = ministack.client(stack, "logs"), f"/long/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=group)
    try:
        logs.create_log_stream(logGroupName=group, logStreamName="one")
        now = int(time.time() * 1000)
        lines = [{"timestamp": now + place // 3, "message": f"line {place}"} for place in range(20_050)]
        for begin in range(0, len(lines), 5_000):
            logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=lines[begin:begin + 5_000])
        read = ministack.function_logs(stack, 60, groups=group)
        assert sorted(read) == sorted(f"{group.rpartition('/')[2]}: {line['message']}\n" for line in lines)
    finally:
        logs.delete_log_group(logGroupName=group)


@pytest.mark.parametrize("kind", FORMS)
def test_a_secret_is_known_by_its_form(kind):
    assert kind in found(f"before {EXAMPLES[kind]} after", [])


def test_the_repository_holds_no_secret():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert len(files) > 100
    held = {str(file.relative_to(ROOT)): found(file.read_text(errors="replace"), []) for file in files if file.is_file()}
    assert {name: kinds for name, kinds in held.items() if kinds} == {}
