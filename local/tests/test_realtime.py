"""Events by push over a real WebSocket: ticket, gateway, function, queue, and what comes after a drop."""

import json
import random
import threading
import time
import uuid

import pytest
import websocket

from local import deploy, ministack, postgres

TOPICS = ["orders"]
# A push takes some hundred milliseconds here; one that has to look again, some seconds.
PATIENCE = 30


class Socket:
    """A client as the README describes it: it keeps the last cursor, and drops what it has had."""

    def __init__(self, client):
        self.client = client
        self.cursor, self.events, self.connection = None, [], None

    def open(self):
        issued = self.client.post("/v1/realtime/tickets", json={}).json()
        self.connection = websocket.create_connection(f"{issued['url']}?ticket={issued['ticket']}", timeout=PATIENCE)
        return self

    def say(self, **message):
        self.connection.send(json.dumps(message))

    def subscribe(self, topics=TOPICS, after=None):
        self.say(type="subscribe", topics=topics, after=after or self.cursor or "now")
        return self.take(until=lambda message: message["type"] in ("subscribed", "error"))

    def take(self, until, seconds=PATIENCE):
        """Reads messages up to one that is waited for."""
        self.connection.settimeout(seconds)
        while True:
            text = self.connection.recv()
            if not text:
                raise websocket.WebSocketConnectionClosedException("the server has closed it")
            message = json.loads(text)
            if message["type"] == "events":
                self.events += [event for event in message["data"] if event["cursor"] not in self.cursors()]
                self.cursor = message["next_cursor"]
            elif message["type"] == "subscribed":
                self.cursor = self.cursor or message["cursor"]
            if until(message):
                return message

    def take_events(self, count):
        if len(self.events) < count:
            self.take(until=lambda _: len(self.events) >= count)

    def cursors(self):
        return {event["cursor"] for event in self.events}

    def orders(self):
        return [event["subject_id"] for event in self.events if event["type"] == "order.created"]

    def hears_nothing(self, seconds=1.5):
        with pytest.raises(websocket.WebSocketTimeoutException):
            self.take(until=lambda message: message["type"] == "events", seconds=seconds)

    def drop(self):
        """As a train does that goes into a tunnel: nobody says goodbye."""
        if self.connection:
            self.connection.shutdown()
        self.connection = None


@pytest.fixture
def sockets(client):
    """`sockets("owner")`: a socket of a demo user, or of `client`; closed at the end."""
    made = []

    def make(user):
        made.append(Socket(client(user) if isinstance(user, str) else user).open())
        return made[-1]

    yield make
    for socket in made:
        socket.drop()


@pytest.fixture(scope="module")
def customer(client, demo):
    return client("dispatch").get("/v1/customers?limit=1").json()["data"][0]["id"]


def create_order(client, customer):
    stop = {"city": "Lexington", "state": "KY", "time_zone": "America/New_York"}
    body = {
        "customer_id": customer, "transport_type": "open", "reference": uuid.uuid4().hex[:12],
        "pickup": stop | {"from": "2030-03-09T09:00:00-05:00", "to": "2030-03-09T17:00:00-05:00"},
        "delivery": stop | {"from": "2030-03-12T09:00:00-05:00", "to": "2030-03-12T17:00:00-05:00"},
    }
    answer = client.post("/v1/orders", json=body, headers={"Idempotency-Key": body["reference"]})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_an_order_arrives_at_those_who_may_see_it_and_at_nobody_else(client, sockets, customer):
    dispatcher, accountant, driver, rival = map(sockets, ("dispatch", "accountant", "driver", "rival"))
    for socket in (dispatcher, accountant, driver, rival):
        assert socket.subscribe()["type"] == "subscribed"
    order = create_order(client("owner"), customer)
    begun = time.monotonic()
    for socket in (dispatcher, accountant):
        socket.take_events(1)
        assert socket.orders() == [order]
    print(f"pushed after {time.monotonic() - begun:.2f} s")
    # Nobody's driver, and another carrier.
    driver.hears_nothing()
    rival.hears_nothing()
    assert rival.subscribe(topics=[f"orders/{order}"], after=dispatcher.cursor)["type"] == "subscribed"
    rival.hears_nothing()


def test_the_handshake_needs_a_ticket_that_was_not_used(client, stack):
    issued = client("dispatch").post("/v1/realtime/tickets", json={}).json()
    assert issued["url"] == stack.realtime_url
    for ticket in ("", "guessed"):
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(f"{issued['url']}?ticket={ticket}", timeout=PATIENCE)
    websocket.create_connection(f"{issued['url']}?ticket={issued['ticket']}", timeout=PATIENCE).close()
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(f"{issued['url']}?ticket={issued['ticket']}", timeout=PATIENCE)


def test_what_is_wrong_is_said_in_the_words_of_the_api(sockets):
    socket = sockets("dispatch")
    socket.say(type="ping")
    assert socket.take(until=lambda _: True) == {"type": "pong"}
    problem = socket.subscribe(topics=["orders", "secrets"])["problem"]
    assert problem["type"] == "urn:carhaul:problem:invalid"
    assert problem["errors"][0]["pointer"] == "/topics/1"
    assert socket.subscribe(topics=["api_keys"])["problem"]["type"] == "urn:carhaul:problem:forbidden"


# Where a client is when the line goes: what it was about to do is done again, and nothing is missing or twice.
DROPS = ["connected", "subscribe sent", "subscribed", "half of the events", "all of the events"]


@pytest.mark.parametrize("point", DROPS)
def test_after_a_drop_at_any_point_everything_comes_once_and_in_order(client, sockets, customer, point):
    owner, socket = client("owner"), sockets("dispatch")
    socket.subscribe()
    expected = [create_order(owner, customer)]
    socket.take_events(1)
    socket.drop()
    expected.append(create_order(owner, customer))

    socket.open()
    if point != "connected":
        socket.say(type="subscribe", topics=TOPICS, after=socket.cursor)
    if point in DROPS[2:]:
        socket.take(until=lambda message: message["type"] == "subscribed")
    if point in DROPS[3:]:
        expected += [create_order(owner, customer) for _ in range(2)]
        socket.take_events(len(expected) - (1 if point == "half of the events" else 0))
    socket.drop()
    expected += [create_order(owner, customer) for _ in range(2)]

    socket.open()
    socket.subscribe()
    expected.append(create_order(owner, customer))
    socket.take_events(len(expected))
    assert socket.orders() == expected
    socket.hears_nothing()


# Where the line goes while everybody writes: before there is a connection, before anything is heard, in the midst of it.
PLACES = ["ticket taken", "connected", "subscribe sent", "subscribed", "an event", "some time"]
DROPS_UNDER_FIRE = 20


def test_whoever_drops_again_and_again_while_many_write_hears_everything_once_and_in_order(stack, client, sockets, customer):
    """Orders come over the API; tags in transactions that stay open and end out of order, of which nobody tells."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, over, written, failed = random.Random(seed), threading.Event(), [], []
    tenant = client("dispatch").get("/v1/me").json()["memberships"][0]["tenant_id"]
    start = client("dispatch").get("/v1/events?after=now").json()["next_cursor"]

    def orders(_):
        owner = client("owner")
        while not over.wait(0.1):
            written.append(create_order(owner, customer))

    def tags(chance):
        with postgres.connect(stack) as connection, connection.cursor() as cursor:
            while not over.is_set():
                made = [str(uuid.uuid4()) for _ in range(chance.randint(1, 3))]
                for tag in made:
                    insert = "INSERT INTO tags (tenant_id, id, name, color) VALUES (%s, %s, %s, '#000000')"
                    cursor.execute(insert, [tenant, tag, tag])
                    time.sleep(chance.uniform(0, 0.3))
                connection.commit()
                written.extend(made)

    def writer(write, chance):
        try:
            write(chance)
        except Exception as failure:
            failed.append(failure)

    kinds = [orders] * 2 + [tags] * 3
    writers = [threading.Thread(target=writer, args=(kind, random.Random(seed + n))) for n, kind in enumerate(kinds)]
    socket = Socket(client("dispatch"))
    socket.cursor = start
    try:
        for thread in writers:
            thread.start()
        for drop in range(DROPS_UNDER_FIRE):
            # The first few before anything was ever heard.
            place = PLACES[drop] if drop < 3 else chance.choice(PLACES)
            go_as_far_as(socket, place, chance)
            socket.drop()
    finally:
        over.set()
        for thread in writers:
            thread.join()
    assert failed == []
    written.append(create_order(client("owner"), customer))
    socket.open()
    socket.subscribe(topics=["orders", "tags"])
    socket.take(until=lambda _: any(event["subject_id"] == written[-1] for event in socket.events))
    socket.drop()

    print(f"{len(written)} events, {DROPS_UNDER_FIRE} drops")
    heard = [event["subject_id"] for event in socket.events]
    assert sorted(heard) == sorted(written)
    listed, cursor = [], start
    while page := client("dispatch").get("/v1/events", params={"after": cursor, "limit": 200}).json():
        listed += [event for event in page["data"] if event["topic"] in ("orders", "tags")]
        if not page["data"]:
            break
        cursor = page["next_cursor"]
    assert socket.events == listed, "in the order of the log"
    by_commit = [subject for subject in written if subject in set(heard)]
    assert heard != by_commit, "transactions have ended out of order"


def go_as_far_as(socket, place, chance):
    if place == "ticket taken":
        socket.client.post("/v1/realtime/tickets", json={})
        return
    socket.open()
    if place == "connected":
        return
    socket.say(type="subscribe", topics=["orders", "tags"], after=socket.cursor)
    if place == "subscribe sent":
        return
    try:
        socket.take(until=lambda message: message["type"] == "subscribed")
        if place == "an event":
            socket.take(until=lambda message: message["type"] == "events")
        elif place == "some time":
            seconds = chance.uniform(0.1, 1)
            end = time.monotonic() + seconds
            socket.take(until=lambda _: time.monotonic() > end, seconds=seconds)
    except websocket.WebSocketTimeoutException:
        assert place == "some time"


def test_the_socket_and_the_list_tell_the_same(client, sockets, customer):
    socket = sockets("dispatch")
    begin = socket.subscribe()["cursor"]
    for _ in range(3):
        create_order(client("owner"), customer)
    socket.take_events(3)
    listed = client("dispatch").get("/v1/events", params={"after": begin, "topic": "orders"}).json()["data"]
    assert listed[:3] == socket.events


def test_a_member_who_is_removed_loses_the_socket(client, sockets, database, customer):
    """The accountant leaves the carrier, and is back when this is over."""
    socket, owner = sockets("accountant"), client("owner")
    socket.subscribe()
    me = client("accountant").get("/v1/me").json()
    user, tenant = me["id"], me["memberships"][0]["tenant_id"]
    try:
        answer = owner.delete(f"/v1/members/{user}", headers={"If-Match": "*"})
        assert answer.status_code == 204, answer.text
        create_order(owner, customer)
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            socket.take(until=lambda _: False)
        assert socket.orders() == []
        assert client("accountant").post("/v1/realtime/tickets", json={}).status_code == 403
    finally:
        database.execute(
            "INSERT INTO memberships (tenant_id, user_id, role, name) VALUES (%s, %s, 'accountant', 'Accountant') "
            "ON CONFLICT DO NOTHING", [tenant, user],
        )


def test_what_was_never_nudged_for_is_pushed_by_housekeeping(stack, client, sockets, database):
    socket = sockets("dispatch")
    socket.subscribe(topics=["tags"])
    tenant = client("dispatch").get("/v1/me").json()["memberships"][0]["tenant_id"]
    database.execute(
        "INSERT INTO tags (tenant_id, id, name, color) VALUES (%s, gen_random_uuid(), %s, '#000000')",
        [tenant, uuid.uuid4().hex[:12]],
    )
    name = deploy.outputs(stack)["HousekeepingFunctionName"]
    answer = ministack.client(stack, "lambda").invoke(FunctionName=name, Payload=b'{"task": "push"}')
    # The schedule may have been quicker.
    assert json.loads(answer["Payload"].read())["nudged"] >= 0
    socket.take_events(1)
    assert [event["type"] for event in socket.events] == ["tag.created"]
