"""Creates the demo carriers through the HTTP API, as their users would: sign up, invite, enter the fleet, take orders.

Every request carries an Idempotency-Key of its own, so that a seeding which was interrupted goes on where it stopped. The
rival carrier comes last: once it is there, everything is.
"""

from datetime import date
from decimal import Decimal

import requests

from local import demo, users
from local.console import Problem, Ticker, note

# How many orders end in which state, oldest first; the moves in between are made one after the other.
ROUTE = ["assign", "pickup", "depart", "deliver"]
TRIPS = ["complete", "start", "ready", None]
ORDERS = [("deliver", 9), ("depart", 5), ("pickup", 5), ("assign", 8), ("cancel", 2), ("hold", 1), (None, 12)]


def run(stack):
    progress = Progress()
    rival = Api(stack, "rival", progress)
    if rival.get("/v1/me")["memberships"]:
        note("The demo carriers are there already")
        return
    try:
        _bluegrass(stack, Api(stack, "owner", progress))
        _sunbelt(stack, rival)
    finally:
        progress.close()
    note(f"{demo.CARRIER['name']} and {demo.RIVAL['name']}, with {progress.sent} requests")


class Progress(Ticker):
    def __init__(self):
        super().__init__("Seeding")
        self.sent = 0

    def one_more(self):
        self.sent += 1
        self.tick(f"{self.sent} requests")


class Api:
    """A demo user at work."""

    def __init__(self, stack, user, progress):
        self.stack, self.user, self.progress = stack, user, progress
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {users.token(stack, user)}"

    def as_user(self, user):
        return Api(self.stack, user, self.progress)

    def get(self, path):
        return self._send("GET", path)

    def post(self, path, body, key):
        return self._send("POST", path, json=body, headers={"Idempotency-Key": f"demo-{self.user}-{key}"})

    def create(self, path, bodies):
        """Creates one after the other; returns their ids."""
        return [self.post(path, body, f"{path}-{number}")["id"] for number, body in enumerate(bodies)]

    def _send(self, method, path, **options):
        answer = self.session.request(method, self.stack.url + path, timeout=60, **options)
        self.progress.one_more()
        if not answer.ok:
            raise Problem(f"{method} {path} as {self.user} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json()


def _bluegrass(stack, owner):
    carrier = owner.post("/v1/tenants", demo.CARRIER, "carrier")
    users.upgrade(stack, carrier["id"])
    roles = {"admin": "admin", "dispatch": "dispatcher", "accountant": "accountant", "driver": "driver"}
    members = {user: _join(owner, user, role) for user, role in roles.items()}
    today = _first_day(carrier)
    fleet = {
        "customers": owner.create("/v1/customers", _customers()),
        "locations": owner.create("/v1/locations", _locations()),
        "trucks": owner.create("/v1/trucks", _trucks()),
        "trailers": owner.create("/v1/trailers", _trailers()),
        "drivers": owner.create("/v1/drivers", _drivers(today, members["driver"])),
    }
    _orders(owner.as_user("dispatch"), fleet, today, ORDERS)
    _trips(owner.as_user("dispatch"), fleet, today, TRIPS)


def _sunbelt(stack, owner):
    carrier = owner.post("/v1/tenants", demo.RIVAL, "carrier")
    users.upgrade(stack, carrier["id"])
    today = _first_day(carrier)
    fleet = {
        "customers": owner.create("/v1/customers", _customers()[:2]),
        "locations": owner.create("/v1/locations", _locations()[:4]),
        "trucks": owner.create("/v1/trucks", _trucks()[:1]),
        "trailers": owner.create("/v1/trailers", _trailers()[:1]),
        "drivers": owner.create("/v1/drivers", _drivers(today)[:1]),
    }
    _orders(owner, fleet, today, [("assign", 2), (None, 3)])
    _trips(owner, fleet, today, ["ready"])


def _first_day(carrier):
    """The day that all windows count from; a repeated seeding must not say another."""
    return date.fromisoformat(carrier["created_at"][:10])


def _join(owner, user, role):
    """Invites a demo user and accepts for them; returns their user id."""
    member = owner.as_user(user)
    me = member.get("/v1/me")
    if not me["memberships"]:
        invited = {"email": users.EMAILS[user], "role": role}
        # A repeated invitation does not show its token again: then another one is needed.
        token = (owner.post("/v1/invitations", invited, f"invite-{user}")["token"]
                 or owner.post("/v1/invitations", invited, f"invite-{user}-again")["token"])
        member.post("/v1/invitations/accept", {"token": token}, "accept")
    return me["id"]


def _customers():
    return [
        {"type": kind, "name": name, "city": city, "state": state, "zip": postcode, "phone": f"(555) 010-{1000 + n}"}
        for n, (kind, name, city, state, postcode) in enumerate(demo.CUSTOMERS)
    ]


def _locations():
    keys = ("type", "name", "address", "city", "state", "zip", "time_zone")
    return [dict(zip(keys, row)) | {"twic_required": row[0] == "port"} for row in demo.LOCATIONS]


def _trucks():
    keys = ("unit_number", "make", "model", "year", "capacity")
    return [dict(zip(keys, row)) for row in demo.TRUCKS]


def _trailers():
    keys = ("unit_number", "make", "model", "year", "capacity", "enclosed")
    return [dict(zip(keys, row)) for row in demo.TRAILERS]


def _drivers(today, user=None):
    drivers = [
        {"name": name, "pay_rule": rule, "pay_rate": rate, "phone": f"(555) 010-{2000 + n}", "licence_state": "KY",
         "licence_number": f"D{10_000_000 + n}", "licence_expires_on": str(today.replace(day=1, year=today.year + 2)),
         "medical_card_expires_on": str(today.replace(day=1, year=today.year + 1))}
        for n, (name, rule, rate) in enumerate(demo.DRIVERS)
    ]
    if user:
        drivers[demo.SIGNED_IN_DRIVER]["user_id"] = user
    return drivers


def _orders(api, fleet, today, plan):
    reason = api.get("/v1/cancel-reasons")["data"][0]["id"]
    states = [state for state, count in plan for _ in range(count)]
    for number, state in enumerate(states, 1):
        dice = demo.dice(number)
        body = _order(dice, number, fleet, today, state)
        order = api.post("/v1/orders", body, f"order-{number}")["id"]
        for action in _actions(state):
            details = _details(dice, action, fleet, body, reason)
            api.post(f"/v1/orders/{order}/{action}", details, f"order-{number}-{action}")


def _trips(api, fleet, today, plan):
    """Each with two orders of its own, as far as the plan says."""
    for number, state in enumerate(plan, 1):
        orders = []
        for serial in (100 + 10 * number + 1, 100 + 10 * number + 2):
            body = _order(demo.dice(serial), serial, fleet, today, {"complete": "deliver", "start": "depart"}.get(state))
            orders.append(api.post("/v1/orders", body, f"order-{serial}")["id"])
        # The enclosed trailer stays at home; the second trip is the one of the driver who signs in.
        unit = (number - 1) % min(2, len(fleet["trucks"]))
        trip = api.post("/v1/trips", {
            "driver_id": fleet["drivers"][number % len(fleet["drivers"])], "truck_id": fleet["trucks"][unit],
            "trailer_id": fleet["trailers"][unit], "order_ids": orders, "loaded_miles": 400 + 70 * number,
            "empty_miles": 30 + number,
        }, f"trip-{number}")
        _drive(api, trip, number, state)


def _drive(api, trip, number, state):
    def record(path, key, body):
        api.post(path, body, f"trip-{number}-{key}")

    at = f"/v1/trips/{trip['id']}"
    if state is None:
        return
    record(f"{at}/ready", "ready", {})
    if state == "ready":
        return
    record(f"{at}/start", "start", {"at": trip["stops"][0]["from"]})
    for stop in trip["stops"]:
        if state == "start" and stop["kind"] == "delivery":
            continue
        key = f"stop-{stop['id']}"
        record(f"{at}/stops/{stop['id']}/arrive", f"{key}-arrive", {"at": stop["from"]})
        move = "pickup" if stop["kind"] == "pickup" else "deliver"
        record(f"/v1/orders/{stop['order_id']}/{move}", f"{key}-{move}", {"at": stop["from"]})
        record(f"{at}/stops/{stop['id']}/depart", f"{key}-depart", {"at": stop["to"]})
    if state == "complete":
        record(f"{at}/deliver", "deliver", {"at": trip["stops"][-1]["to"]})
        record(f"{at}/complete", "complete", {})


def _actions(state):
    return ROUTE[: ROUTE.index(state) + 1] if state in ROUTE else [state] if state else []


def _details(dice, action, fleet, body, reason):
    if action == "assign":
        unit = dice.randrange(len(fleet["trucks"]))
        if body["transport_type"] == "enclosed":
            unit = next(n for n, trailer in enumerate(_trailers()) if trailer["enclosed"])
        return {"driver_id": dice.choice(fleet["drivers"]), "truck_id": fleet["trucks"][unit],
                "trailer_id": fleet["trailers"][unit]}
    if action == "cancel":
        return {"reason_id": reason}
    if action == "hold":
        return {"note": "Waiting for the gate pass"}
    return {"at": body["delivery" if action == "deliver" else "pickup"]["from"]}


def _order(dice, number, fleet, today, state):
    """What has been done lies in the past, what is new in the days to come."""
    begin = {"deliver": -dice.randrange(6, 12), "depart": -2, "pickup": -1}.get(state, dice.randrange(1, 8))
    days = dice.randrange(1, 4) if state != "deliver" else dice.randrange(1, 5)
    origin, destination = dice.sample(range(len(fleet["locations"])), 2)
    vehicles = demo.vehicles(dice, number * 10)
    total = sum(Decimal(vehicle["price"]) for vehicle in vehicles)
    method, term = dice.choice(demo.TERMS)
    order = {
        "customer_id": dice.choice(fleet["customers"]),
        "reference": f"LB-{48000 + number}",
        "transport_type": "enclosed" if number % 9 == 0 else "open",
        "pickup": _stop(fleet, origin, today, begin, 8),
        "delivery": _stop(fleet, destination, today, begin + days, 9),
        "price": str(total),
        "payment_method": method,
        "payment_term": term,
        "vehicles": vehicles,
    }
    if method in ("cash", "certified_funds"):
        order["cod_amount"] = order["price"]
    return order


def _stop(fleet, place, today, offset, hour):
    return {"location_id": fleet["locations"][place], **demo.window(today, offset, demo.LOCATIONS[place][6], hour)}
