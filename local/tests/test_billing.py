"""A carrier subscribes, changes, does not pay, pays and cancels, over the API and the stand-in's pages; what it may do follows
with the next request, for the token that its owner has had all the time."""

import pytest
from billing import Carrier, Stripe, connect, eventually


@pytest.fixture
def database(stack):
    connection = connect(stack)
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


@pytest.fixture
def account(stack):
    return Stripe(stack)


@pytest.fixture
def customer(account, database):
    """`customer(carrier)`: the carrier's name at Stripe."""

    def make(carrier):
        customer = account.client.v1.customers.create(params={"name": "Carrier"}).id
        database.execute("INSERT INTO stripe_customers (tenant_id, id) VALUES (%s, %s)", [carrier.id, customer])
        return customer

    return make


def checkout(account, customer, price):
    params = {
        "mode": "subscription", "customer": customer, "line_items": [{"price": price, "quantity": 1}],
        "success_url": "http://localhost:3000/paid?session={CHECKOUT_SESSION_ID}", "cancel_url": "http://localhost:3000",
    }
    return account.client.v1.checkout.sessions.create(params=params)


def test_a_carrier_subscribes_upgrades_does_not_pay_pays_and_cancels(stack, account, database, customer):
    carrier, other = Carrier(stack), Carrier(stack)
    name = customer(carrier)
    other_customer = customer(other)
    before = other.limits()
    carrier.add_truck(expect=201)
    assert carrier.add_truck(expect=402)["max"] == 1

    # A payment that fails buys nothing.
    page = checkout(account, name, "price_local_starter_monthly")
    account.act(page.url, "fail", expect=402)
    assert carrier.plan() == "free"
    assert account.act(page.url, "pay").headers["location"] == f"http://localhost:3000/paid?session={page.id}"
    eventually(carrier.plan, "starter")
    assert carrier.limits()["trucks"] == 10
    carrier.add_truck(expect=201)

    portal = account.client.v1.billing_portal.sessions.create(params={"customer": name}).url
    subscription = account.client.v1.subscriptions.list(params={"customer": name}).data[0].id
    account.act(portal, "change-price", subscription=subscription, price="price_local_pro_monthly")
    eventually(carrier.plan, "pro")
    assert carrier.limits()["trucks"] is None

    # Who does not pay keeps the plan for some days, then has what everybody has; nothing is taken away.
    account.act(portal, "fail-payment", subscription=subscription)
    owes = lambda: database_value(database, "SELECT plan_ends_at > now() FROM tenants WHERE id = %s", carrier.id)
    eventually(owes, True)
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
    ends = lambda: database_value(
        database, "SELECT cancel_at_period_end FROM subscriptions WHERE tenant_id = %s", carrier.id
    )
    eventually(ends, True)
    assert carrier.plan() == "pro"
    # The period ends.
    account.act(portal, "pay", subscription=subscription)
    eventually(carrier.plan, "free")
    carrier.add_truck(expect=402)
    assert len(carrier.send("GET", "/v1/trucks")["data"]) == 4

    # Every invoice that we keep is one of Stripe's, to the cent.
    eventually(lambda: invoices(database, carrier), at_stripe(account, name))
    # Nothing of this was the other's, and the portal of one opens nothing of another.
    theirs = checkout(account, other_customer, "price_local_starter_monthly")
    assert other.limits() == before
    account.act(theirs.url, "pay")
    eventually(other.plan, "starter")
    their_subscription = account.client.v1.subscriptions.list(params={"customer": other_customer}).data[0].id
    account.act(portal, "cancel", subscription=their_subscription, expect=404)
    assert (other.plan(), carrier.plan()) == ("starter", "free")


def test_who_has_cancelled_can_subscribe_again(stack, account, database, customer):
    carrier = Carrier(stack)
    name = customer(carrier)
    account.act(checkout(account, name, "price_local_pro_yearly").url, "pay")
    eventually(carrier.plan, "pro")
    portal = account.client.v1.billing_portal.sessions.create(params={"customer": name}).url
    subscription = account.client.v1.subscriptions.list(params={"customer": name}).data[0].id
    account.act(portal, "cancel", subscription=subscription)
    eventually(carrier.plan, "free")
    account.act(checkout(account, name, "price_local_starter_yearly").url, "pay")
    eventually(carrier.plan, "starter")


def database_value(database, query, *arguments):
    database.execute(query, arguments)
    row = database.fetchone()
    return row and row[0]


def invoices(database, carrier):
    database.execute(
        "SELECT stripe_id, status, (total_amount * 100)::int, (paid_amount * 100)::int, (remaining_amount * 100)::int "
        "FROM billing_invoices WHERE tenant_id = %s ORDER BY stripe_id",
        [carrier.id],
    )
    return database.fetchall()


def at_stripe(account, customer):
    found = account.client.v1.invoices.list(params={"customer": customer, "limit": 100}).data
    return sorted((i.id, i.status, i.total, i.amount_paid, i.amount_remaining) for i in found)
