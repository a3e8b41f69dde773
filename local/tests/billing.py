"""What the tests of billing share: carriers, the stand-in of Stripe, and events that are signed by Stripe's own library."""

import json
import time
import uuid

import requests
import sessions
import stripe

from local import stripe as stand_in


class Carrier:
    """A carrier with an owner of its own, who signs in once and keeps the token."""

    def __init__(self, stack):
        self.session, self.url = sessions.newcomer(stack), stack.url
        made = self.send("POST", "/v1/tenants", json={"name": "Carrier", "time_zone": "UTC"}, expect=201)
        self.id = made["id"]

    def send(self, method, path, expect=200, **options):
        answer = self.session.request(method, self.url + path, **options)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def plan(self):
        return self.send("GET", "/v1/usage")["plan"]

    def page(self, kind, **body):
        """The address of a page of Stripe's: `checkout` or `portal`."""
        return self.send("POST", f"/v1/billing/{kind}-sessions", json=body, expect=201)["url"]

    def limits(self):
        return {limit["limit"]: limit["max"] for limit in self.send("GET", "/v1/usage")["limits"]}

    def add_truck(self, expect):
        return self.send("POST", "/v1/trucks", json={"unit_number": uuid.uuid4().hex[:8], "capacity": 1}, expect=expect)


class Stripe:
    """The account of this stack's stand-in, through Stripe's own library and through its pages."""

    def __init__(self, stack):
        self.stack = stack
        self.client = stripe.StripeClient(
            stand_in.settings(stack)["api_key"], base_addresses={"api": stand_in.url(stack)}, max_network_retries=0
        )

    @property
    def secrets(self):
        return stand_in.settings(self.stack)["signing_secrets"]

    def act(self, page, action, expect=303, **form):
        answer = requests.post(f"{page}/{action}", data=form, timeout=30, allow_redirects=False)
        assert answer.status_code == expect, answer.text
        return answer

    def deliver(self, event, *secrets, header=None):
        """An event as Stripe's library signs it, with each of these secrets (by default with those that count)."""
        body = event if isinstance(event, str) else json.dumps(event)
        header = sign(body, *(secrets or self.secrets)) if header is None else header
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header}
        return requests.post(f"{self.stack.url}/webhooks/stripe", data=body.encode(), headers=headers, timeout=30)


def sign(body, *secrets, at=None):
    at = at or int(time.time())
    headers = [stripe.WebhookSignature.generate_signature_header(body, secret, at) for secret in secrets]
    # One time, and a code for each secret.
    return ",".join([headers[0], *(header.partition(",")[2] for header in headers[1:])])


def an_event(customer, **changes):
    """A subscription that somebody bought, of which the stand-in knows nothing."""
    now = int(time.time())
    subscription = {
        "id": f"sub_{uuid.uuid4().hex}", "object": "subscription", "customer": customer, "status": "active",
        "start_date": now, "cancel_at_period_end": False,
        "items": {"data": [{
            "price": {"id": "price_local_pro_monthly"}, "quantity": 1,
            "current_period_start": now, "current_period_end": now + 2_592_000,
        }]},
    }
    event = {
        "id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "customer.subscription.created", "created": now,
        "livemode": False, "api_version": "2025-09-30.clover", "data": {"object": subscription},
    }
    return event | changes


def everything_told(account, database, customer):
    """Waits until each event that Stripe has made about this customer has been applied: then nothing is on its way that could
    still change something."""
    about = lambda event: getattr(event.data.object, "customer", None) == customer
    made = sorted(event.id for event in account.client.v1.events.list(params={"limit": 100}).auto_paging_iter() if about(event))
    assert made
    applied = "SELECT id FROM stripe_events WHERE id = ANY (%s) AND processed_at IS NOT NULL ORDER BY id"

    def done():
        database.execute(applied, [made])
        return [event_id for (event_id,) in database.fetchall()]

    eventually(done, made)


def eventually(ask, expected, seconds=30):
    until = time.monotonic() + seconds
    while (answer := ask()) != expected and time.monotonic() < until:
        time.sleep(0.1)
    assert answer == expected
