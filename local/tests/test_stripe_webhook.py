"""Stripe's events through gateway, webhook, queue and worker, signed by Stripe's own library: what is taken, what is refused, and
that nothing is lost or done twice when secrets are rolled or a worker dies."""

import base64
import json
import os
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
import requests
import stripe
from billing import Carrier, Stripe, an_event, eventually, sign

from local import deploy, ministack, postgres
from local import stripe as stand_in
from local.settings import ROOT, STACK_NAME


@pytest.fixture(scope="module")
def account(stack):
    return Stripe(stack)


@pytest.fixture
def carrier(stack, database):
    """A carrier that has been to a checkout, of which the stand-in knows nothing."""
    carrier = Carrier(stack)
    carrier.customer = f"cus_{uuid.uuid4().hex}"
    database.execute("INSERT INTO stripe_customers (tenant_id, id) VALUES (%s, %s)", [carrier.id, carrier.customer])
    return carrier


def others(database, carrier):
    database.execute("SELECT md5(string_agg(id::text || plan, ' ' ORDER BY id)) FROM tenants WHERE id <> %s", [carrier.id])
    return database.fetchone()


def told(database, carrier):
    database.execute("SELECT type, outcome FROM billing_events WHERE tenant_id = %s", [carrier.id])
    return database.fetchall()


def stored(database, event_id):
    database.execute("SELECT count(*) FROM stripe_events WHERE id = %s", [event_id])
    return database.fetchone()[0]


def invoke_in_base64(stack, body, header):
    """The function's answer to a delivery whose body the gateway took for binary."""
    event = json.loads((ROOT / "events" / "api-mistyped-key.json").read_text())
    event["headers"] = {"stripe-signature": header, "content-type": "application/json"}
    event["requestContext"]["http"] |= {"method": "POST", "path": "/webhooks/stripe"}
    event |= {"rawPath": "/webhooks/stripe", "isBase64Encoded": True, "body": base64.b64encode(body).decode()}
    name = f"{STACK_NAME}-stripe-webhook"
    answer = ministack.client(stack, "lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def test_an_event_changes_the_plan_of_its_carrier_and_of_no_other(account, database, carrier):
    before, event = others(database, carrier), an_event(carrier.customer)
    assert account.deliver(event).json() == {"received": True, "id": event["id"], "duplicate": False}
    eventually(carrier.plan, "pro")
    assert account.deliver(event).json()["duplicate"]
    assert told(database, carrier) == [("customer.subscription.created", "applied")]
    assert others(database, carrier) == before


def test_the_bytes_count_also_when_the_gateway_sends_them_in_base64(stack, account, database, carrier):
    event = an_event(carrier.customer)
    # As nobody would write it who writes JSON anew, and with a character of several bytes.
    body = json.dumps(event | {"note": "\u00e9t\u00e9"}, indent=3, ensure_ascii=False)
    header = sign(body, account.secrets[0])
    for sent, expected in ((body, 200), (body.replace("active", "trialing"), 400), (json.dumps(json.loads(body)), 400)):
        assert invoke_in_base64(stack, sent.encode(), header)["statusCode"] == expected
    eventually(carrier.plan, "pro")
    assert told(database, carrier) == [("customer.subscription.created", "applied")]


def test_a_refused_delivery_is_counted_and_a_strangers_request_is_not(stack, account):
    refused = lambda: sum('"StripeEventsRefused":1' in line for line in ministack.function_logs(stack, 60))
    before, body = refused(), json.dumps(an_event("cus_of_nobody"))
    assert requests.post(f"{stack.url}/webhooks/stripe", data=body, timeout=30).status_code == 400
    assert account.deliver(body, header=sign(body, "whsec_of_another_endpoint")).status_code == 400
    eventually(refused, before + 1)
    assert account.deliver(body).status_code == 200
    assert refused() == before + 1


def test_what_stripe_has_not_signed_now_is_refused_and_changes_nothing(account, database, carrier):
    event, now = an_event(carrier.customer), int(time.time())
    body, secret = json.dumps(event), account.secrets[0]
    good = sign(body, secret, at=now)
    code = good.partition("v1=")[2]
    hostile = {
        "nothing": "", "another secret": sign(body, "whsec_guessed"), "no secret": sign(body, ""),
        "another body": sign(body.replace("active", "trialing"), secret), "a replay": sign(body, secret, at=now - 310),
        "the future": sign(body, secret, at=now + 360), "another time": f"t={now + 1},v1={code}",
        "another scheme": f"t={now},v0={code}", "no time": f"v1={code}", "two times": f"t=1,{good}",
        "no code": f"t={now},v1=", "half a code": good[:-2], "capital scheme": good.replace("v1", "V1"),
    }
    # The official library would refuse them as well, all but what it does not look at.
    for name, header in hostile.items():
        if name not in ("the future", "two times"):
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.WebhookSignature.verify_header(body, header, secret, tolerance=300)
        answer = account.deliver(body, header=header)
        assert answer.status_code == 400, f"{name}: {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert secret not in answer.text and code not in answer.text
    assert stored(database, event["id"]) == 0
    assert carrier.plan() == "free"
    assert account.deliver(body, header=good).status_code == 200


def test_what_never_reached_the_queue_is_found_by_housekeeping(stack, database, carrier):
    event = an_event(carrier.customer)
    database.execute(
        "INSERT INTO stripe_events (id, type, livemode, created_at, object_id, customer_id, payload, received_at) "
        "VALUES (%s, %s, false, now(), %s, %s, %s, now() - interval '1 hour')",
        [event["id"], event["type"], event["data"]["object"]["id"], carrier.customer, json.dumps(event)],
    )
    assert requeue(stack) >= 1
    eventually(carrier.plan, "pro")


@pytest.mark.skipif(sys.platform != "linux", reason="a function's process is found in /proc")
def test_an_event_whose_worker_is_killed_is_applied_once(stack, account, database, carrier):
    before = others(database, carrier)
    event = an_event(carrier.customer)
    with postgres.connect(stack) as holder, holder.cursor() as lock:
        # The worker waits for this in the middle of its work.
        lock.execute("SELECT FROM tenants WHERE id = %s FOR UPDATE", [carrier.id])
        assert account.deliver(event).status_code == 200
        eventually(lambda: waiting_for(database, "carhaul_billing"), 1)
        killed = [os.kill(pid, signal.SIGKILL) for pid in processes(stack, "carhaul-billing-worker")]
        assert killed, "there was a worker to kill"
        holder.rollback()
    assert (carrier.plan(), told(database, carrier)) == ("free", [])
    # The queue gives the message again after twelve minutes, housekeeping after two.
    database.execute("UPDATE stripe_events SET received_at = now() - interval '3 minutes' WHERE id = %s", [event["id"]])
    requeue(stack)
    eventually(carrier.plan, "pro")
    requeue(stack)
    account.deliver(event)
    time.sleep(1)
    assert told(database, carrier) == [("customer.subscription.created", "applied")]
    assert others(database, carrier) == before


def test_a_signing_secret_is_rolled_under_load(stack, account, database, carrier):
    old, new = account.secrets, [f"whsec_{uuid.uuid4().hex}"]
    load = Load(account, carrier.customer, old)
    load.start()
    time.sleep(3)
    # Ours first: who is still signed with the old one is taken on.
    put_secrets(stack, [*new, *old])
    load.secrets = [*new, *old]
    stand_in.sign_with(stack, [*new, *old])
    # Instances that have read the old list read it anew when nothing matches, and no more often than every 30 seconds.
    time.sleep(32)
    load.secrets = new
    stand_in.sign_with(stack, new)
    time.sleep(4)
    put_secrets(stack, new)
    time.sleep(2)
    load.enough.set()
    load.join(30)
    assert set(load.statuses) == {200}, load.statuses
    assert len(load.sent) > 40, "there was load"
    database.execute("SELECT count(*) FROM stripe_events WHERE id = ANY (%s)", [load.sent])
    assert database.fetchone()[0] == len(load.sent)
    # What the stand-in makes is signed with the new one from now on, and taken.
    customer = account.client.v1.customers.create(params={"name": "Carrier"}).id
    made = account.client.v1.events.list(params={"type": "customer.created", "limit": 1}).data[0]
    assert made.data.object["id"] == customer
    eventually(lambda: stored(database, made.id), 1)


def test_no_log_holds_a_secret_of_stripes(stack, account):
    logs = "".join(ministack.function_logs(stack, minutes=60))
    assert "StripeWebhook" in logs or "stripe-webhook" in logs
    for secret in [*account.secrets, stand_in.settings(stack)["api_key"]]:
        assert secret not in logs


class Load(threading.Thread):
    """Delivers one event after another, signed with the secrets of the moment."""

    def __init__(self, account, customer, secrets):
        super().__init__(daemon=True)
        self.account, self.customer, self.secrets = account, customer, secrets
        self.statuses, self.sent, self.enough = Counter(), [], threading.Event()

    def run(self):
        while not self.enough.is_set():
            event = an_event(self.customer, type="customer.subscription.trial_will_end")
            self.statuses[self.account.deliver(event, *self.secrets).status_code] += 1
            self.sent.append(event["id"])
            time.sleep(0.2)


def requeue(stack):
    name = deploy.outputs(stack)["HousekeepingFunctionName"]
    answer = ministack.client(stack, "lambda").invoke(FunctionName=name, Payload=b'{"task": "requeue"}')
    return json.loads(answer["Payload"].read())["requeued"]


def put_secrets(stack, secrets):
    manager = ministack.client(stack, "secretsmanager")
    secret = deploy.outputs(stack)["StripeWebhookSecretArn"]
    manager.put_secret_value(SecretId=secret, SecretString=json.dumps({"signing_secrets": secrets}))


def waiting_for(database, role):
    database.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'", [role])
    return database.fetchone()[0]


def processes(stack, function):
    """The processes in which this stack's MiniStack runs a function."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            program = os.readlink(folder / "exe")
        except OSError:
            continue
        if f"AWS_LAMBDA_FUNCTION_NAME={function}".encode() in environment and f"AWS_ENDPOINT_URL={stack.endpoint}".encode() in environment:
            found.append((int(folder.name), program))
    return [pid for pid, program in found if Path(program).name.startswith("bootstrap")]
