"""Stripe's events through gateway, webhook, queue and worker, signed as Stripe signs."""

import hashlib
import hmac
import json
import time
import uuid

import psycopg2
import pytest
import requests

from local import deploy, ministack, postgres

SECRET = "whsec_of_the_test"


@pytest.fixture(scope="module")
def signing(stack):
    """The endpoint has a signing secret from now on, though its function has already read that there is none."""
    deliver(stack, {"id": "evt_too_early"}, expect=403)
    manager = ministack.client(stack, "secretsmanager")
    secret = deploy.outputs(stack)["StripeWebhookSecretArn"]
    manager.put_secret_value(SecretId=secret, SecretString=json.dumps({"signing_secrets": ["whsec_former", SECRET]}))
    return SECRET


@pytest.fixture
def database(stack):
    connection = psycopg2.connect(postgres.direct_url(stack))
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


@pytest.fixture
def carrier(database):
    """A carrier that has been to the checkout: its name at Stripe, and here."""
    tenant, customer = str(uuid.uuid4()), f"cus_{uuid.uuid4().hex}"
    database.execute("INSERT INTO tenants (id, name, time_zone) VALUES (%s, 'Carrier', 'UTC')", [tenant])
    database.execute("INSERT INTO stripe_customers (tenant_id, id) VALUES (%s, %s)", [tenant, customer])
    database.execute(
        "INSERT INTO prices (stripe_price_id, name, plan, interval, currency, amount) "
        "VALUES ('price_of_the_test', 'PRO_MONTHLY', 'pro', 'month', 'USD', 149) ON CONFLICT DO NOTHING"
    )
    return tenant, customer


def deliver(stack, event, secret=SECRET, expect=None):
    body, now = json.dumps(event).encode(), int(time.time())
    code = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={now},v1={code}", "Content-Type": "application/json; charset=utf-8"}
    answer = requests.post(f"{stack.url}/webhooks/stripe", data=body, headers=headers, timeout=30)
    if expect:
        assert answer.status_code == expect, answer.text
    return answer


def bought(customer, **changes):
    now = int(time.time())
    subscription = {
        "id": f"sub_{uuid.uuid4().hex}", "object": "subscription", "customer": customer, "status": "active",
        "start_date": now, "cancel_at_period_end": False,
        "items": {"data": [{
            "price": {"id": "price_of_the_test"}, "quantity": 1,
            "current_period_start": now, "current_period_end": now + 2_592_000,
        }]},
    }
    event = {
        "id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "customer.subscription.created", "created": now,
        "livemode": False, "api_version": "2025-09-30.clover", "data": {"object": subscription},
    }
    return event | changes


def eventually(ask, expected, seconds=30):
    until = time.monotonic() + seconds
    while (answer := ask()) != expected and time.monotonic() < until:
        time.sleep(0.1)
    assert answer == expected


def test_an_event_changes_the_plan_of_its_carrier_and_of_no_other(stack, signing, database, carrier):
    tenant, customer = carrier

    def plan():
        database.execute("SELECT plan FROM tenants WHERE id = %s", [tenant])
        return database.fetchone()[0]

    database.execute("SELECT md5(string_agg(id::text || plan, ' ' ORDER BY id)) FROM tenants WHERE id <> %s", [tenant])
    others = database.fetchone()
    event = bought(customer)
    # The function reads its secret anew no more often than every 30 seconds.
    eventually(lambda: deliver(stack, event).status_code, 200, seconds=45)
    eventually(plan, "pro")
    assert deliver(stack, event, expect=200).json()["duplicate"]
    deliver(stack, event, secret="whsec_former", expect=200)
    deliver(stack, bought(customer), secret="whsec_guessed", expect=400)
    database.execute("SELECT type, outcome FROM billing_events WHERE tenant_id = %s", [tenant])
    assert database.fetchall() == [("customer.subscription.created", "applied")]
    database.execute("SELECT md5(string_agg(id::text || plan, ' ' ORDER BY id)) FROM tenants WHERE id <> %s", [tenant])
    assert database.fetchone() == others


def test_what_never_reached_the_queue_is_found_by_housekeeping(stack, signing, database, carrier):
    tenant, customer = carrier
    event = bought(customer)
    database.execute(
        "INSERT INTO stripe_events (id, type, livemode, created_at, object_id, customer_id, payload, received_at) "
        "VALUES (%s, %s, false, now(), %s, %s, %s, now() - interval '1 hour')",
        [event["id"], event["type"], event["data"]["object"]["id"], customer, json.dumps(event)],
    )
    name = deploy.outputs(stack)["HousekeepingFunctionName"]
    answer = ministack.client(stack, "lambda").invoke(FunctionName=name, Payload=b'{"task": "requeue"}')
    assert json.loads(answer["Payload"].read())["requeued"] >= 1

    def plan():
        database.execute("SELECT plan FROM tenants WHERE id = %s", [tenant])
        return database.fetchone()[0]

    eventually(plan, "pro")
