"""A carrier subscribes, changes, does not pay, pays and cancels, over the API and the stand-in's pages; what it may do follows
with the next request, for the token that its owner has had all the time."""

import json
from decimal import Decimal

import pytest
from billing import Carrier, Stripe, eventually, everything_told

from local import deploy, ministack


@pytest.fixture
def account(stack):
    return Stripe(stack)


HOME = "http://localhost:3000"


def checkout(carrier, price):
    return carrier.page("checkout", price=price, success_url=f"{HOME}/paid?session={{CHECKOUT_SESSION_ID}}", cancel_url=HOME)


def subscription_of(carrier, database):
    return database_value(
        database, "SELECT stripe_id FROM subscriptions WHERE tenant_id = %s AND status <> 'canceled'", carrier.id
    )


def test_a_carrier_subscribes_upgrades_does_not_pay_pays_and_cancels(stack, account, database):
    carrier, other = Carrier(stack), Carrier(stack)
    before = other.limits()
    carrier.add_truck(expect=201)
    assert carrier.add_truck(expect=402)["max"] == 1

    # A payment that fails buys nothing.
    page = checkout(carrier, "STARTER_MONTHLY")
    account.act(page, "fail", expect=402)
    assert carrier.plan() == "free"
    session = page.rpartition("/")[2]
    assert account.act(page, "pay").headers["location"] == f"{HOME}/paid?session={session}"
    eventually(carrier.plan, "starter")
    assert carrier.limits()["trucks"] == 10
    carrier.add_truck(expect=201)
    carrier.send(
        "POST", "/v1/billing/checkout-sessions", expect=409,
        json={"price": "PRO_MONTHLY", "success_url": HOME, "cancel_url": HOME},
    )

    portal, subscription = carrier.page("portal", return_url=HOME), subscription_of(carrier, database)
    account.act(portal, "change-price", subscription=subscription, price="price_local_pro_monthly")
    eventually(carrier.plan, "pro")
    assert carrier.limits()["trucks"] is None

    # Who does not pay keeps the plan for some days, then has what everybody has; nothing is taken away.
    account.act(portal, "fail-payment", subscription=subscription)
    status = lambda: carrier.send("GET", "/v1/billing")["subscription"]["status"]
    eventually(status, "past_due")
    assert carrier.plan() == "pro"
    carrier.add_truck(expect=201)
    database.execute("UPDATE tenants SET plan_ends_at = now() WHERE id = %s", [carrier.id])
    assert carrier.plan() == "free"
    carrier.add_truck(expect=402)
    assert len(carrier.send("GET", "/v1/trucks")["data"]) == 3
    account.act(portal, "pay", subscription=subscription)
    eventually(carrier.plan, "pro")
    carrier.add_truck(expect=201)

    account.act(portal, "cancel-at-period-end", subscription=subscription)
    ends = lambda: carrier.send("GET", "/v1/billing")["subscription"]["cancel_at_period_end"]
    eventually(ends, True)
    assert carrier.plan() == "pro"
    # The period ends.
    account.act(portal, "pay", subscription=subscription)
    eventually(carrier.plan, "free")
    carrier.add_truck(expect=402)
    assert len(carrier.send("GET", "/v1/trucks")["data"]) == 4

    # Every invoice that we keep is one of Stripe's, to the cent.
    customer = account.client.v1.subscriptions.retrieve(subscription).customer
    eventually(lambda: invoices(carrier), at_stripe(account, customer))
    # Nothing of this was the other's, and the portal of one ends nothing of another.
    assert other.limits() == before
    account.act(checkout(other, "STARTER_MONTHLY"), "pay")
    eventually(other.plan, "starter")
    account.act(portal, "cancel", subscription=subscription_of(other, database), expect=404)
    assert (other.plan(), carrier.plan()) == ("starter", "free")
    assert not set(invoices(other)) & set(invoices(carrier))


def test_who_has_cancelled_can_subscribe_again(stack, account, database):
    carrier = Carrier(stack)
    account.act(checkout(carrier, "PRO_YEARLY"), "pay")
    eventually(carrier.plan, "pro")
    account.act(carrier.page("portal", return_url=HOME), "cancel", subscription=subscription_of(carrier, database))
    eventually(carrier.plan, "free")
    account.act(checkout(carrier, "STARTER_YEARLY"), "pay")
    eventually(carrier.plan, "starter")


def test_of_two_pages_of_a_carrier_only_the_last_can_be_paid_on(stack, account):
    carrier = Carrier(stack)
    first, last = checkout(carrier, "PRO_MONTHLY"), checkout(carrier, "STARTER_MONTHLY")
    account.act(first, "pay", expect=400)
    account.act(last, "pay")
    eventually(carrier.plan, "starter")


def test_a_subscription_that_nobody_told_us_of_is_found_by_housekeeping(stack, account, database):
    carrier, other = Carrier(stack), Carrier(stack)
    account.act(checkout(carrier, "STARTER_MONTHLY"), "pay")
    eventually(carrier.plan, "starter")
    subscription = subscription_of(carrier, database)
    # The plan came with the first of several events; a later one would mend what is spoiled here.
    everything_told(account, database, account.client.v1.subscriptions.retrieve(subscription).customer)
    database.execute("DELETE FROM subscriptions WHERE tenant_id = %s", [carrier.id])
    database.execute("UPDATE tenants SET plan = 'free' WHERE id = %s", [carrier.id])
    assert carrier.plan() == "free"

    name = deploy.outputs(stack)["HousekeepingFunctionName"]
    answer = ministack.client(stack, "lambda").invoke(FunctionName=name, Payload=b'{"task": "reconcile"}')
    found = json.loads(answer["Payload"].read())
    assert found["complete"] and found["subscriptions_drifting"] >= 1, found
    # An event that may be on its way gets half a minute.
    eventually(carrier.plan, "starter", seconds=90)
    told = carrier.send("GET", "/v1/billing/events")["data"]
    assert [event["stripe_object_id"] for event in told if event["outcome"] == "repaired"] == [subscription]
    audited = "SELECT count(*) FROM audit_log WHERE tenant_id = %s AND changes ->> 'outcome' = 'repaired'"
    assert (database_value(database, audited, carrier.id), database_value(database, audited, other.id)) == (1, 0)
    assert other.plan() == "free"


def database_value(database, query, *arguments):
    database.execute(query, arguments)
    row = database.fetchone()
    return row and row[0]


def invoices(carrier):
    listed = carrier.send("GET", "/v1/billing/invoices?limit=200")["data"]
    cents = lambda invoice, name: int(Decimal(invoice[name]) * 100)
    return sorted(
        (i["number"], i["status"], cents(i, "total_amount"), cents(i, "paid_amount"), cents(i, "remaining_amount"))
        for i in listed
    )


def at_stripe(account, customer):
    found = account.client.v1.invoices.list(params={"customer": customer, "limit": 100}).data
    return sorted((i.number, i.status, i.total, i.amount_paid, i.amount_remaining) for i in found)
