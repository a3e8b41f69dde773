"""The dispatch list in FastAPI: the same token check, the same statement, the same answer as `GET /v1/orders`."""

import os
import uuid
from datetime import date, datetime
from decimal import Decimal

import jwt
import psycopg
from fastapi import Depends, FastAPI, Header, HTTPException
from mangum import Mangum
from psycopg.rows import dict_row
from pydantic import BaseModel

ISSUER, AUDIENCE = os.environ["OIDC_ISSUER"], os.environ["OIDC_AUDIENCE"]
KEYS = jwt.PyJWKClient(os.environ["JWKS_URL"])
# The statement as the function sends it, which asks for one row more than the page has.
SQL = os.environ["SQL"]
LIMIT = 50
connection = psycopg.connect(os.environ["DSN"], autocommit=True, prepare_threshold=0, cursor_factory=psycopg.RawCursor)


class Stop(BaseModel):
    location_id: uuid.UUID | None
    name: str | None
    address: str | None
    city: str
    state: str
    zip: str | None
    contact_name: str | None
    phone: str | None
    time_zone: str
    from_: datetime
    to: datetime
    date: date
    notes: str | None


class VehicleCounts(BaseModel):
    total: int
    picked_up: int
    delivered: int
    on_hold: int


class Order(BaseModel):
    id: uuid.UUID
    number: int
    reference: str | None
    status: str
    billing_status: str
    on_hold: bool
    hold_reason: str | None
    archived_at: datetime | None
    cancel_reason_id: uuid.UUID | None
    custom_status_id: uuid.UUID | None
    transport_type: str
    customer_id: uuid.UUID
    dispatcher_id: uuid.UUID | None
    driver_id: uuid.UUID | None
    truck_id: uuid.UUID | None
    trailer_id: uuid.UUID | None
    trip_id: uuid.UUID | None
    split_from: uuid.UUID | None
    pickup: Stop
    delivery: Stop
    price: Decimal | None
    broker_fee: Decimal | None
    cod_amount: Decimal | None
    currency: str
    payment_method: str | None
    payment_term: str | None
    notes: str | None
    has_pod: bool
    is_late: bool
    is_inoperable: bool
    vehicle_counts: VehicleCounts
    created_by: uuid.UUID | None
    version: int
    created_at: datetime
    updated_at: datetime


class Page(BaseModel):
    data: list[Order]
    next_cursor: str | None


def subject(authorization: str = Header()):
    token = authorization.removeprefix("Bearer ")
    try:
        key = KEYS.get_signing_key_from_jwt(token).key
        return jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)["sub"]
    except jwt.PyJWTError as refused:
        raise HTTPException(401, str(refused)) from refused


def stop(row, kind):
    fields = {name: row[f"{kind}_{name.rstrip('_')}"] for name in Stop.model_fields}
    return Stop.model_construct(**fields)


def order(row):
    fields = {name: row[name] for name in Order.model_fields if name in row}
    counts = VehicleCounts.model_construct(
        total=row["vehicle_count"],
        picked_up=row["picked_up_count"],
        delivered=row["delivered_count"],
        on_hold=row["held_count"],
    )
    return Order.model_construct(**fields, pickup=stop(row, "pickup"), delivery=stop(row, "delivery"), vehicle_counts=counts)


app = FastAPI()


@app.get("/v1/orders")
async def list_orders(subject: str = Depends(subject), tenant_id: uuid.UUID | None = Header(None)) -> Page:
    # The last one says which of the plan's limits on calls hold.
    arguments = ["user", ISSUER, subject, tenant_id, uuid.uuid4(), "full"]
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL, arguments).fetchall()
    orders = [order(row) for row in rows if row["id"]]
    next_cursor = str(orders[LIMIT - 1].id) if len(orders) > LIMIT else None
    return Page.model_construct(data=orders[:LIMIT], next_cursor=next_cursor)


handler = Mangum(app, lifespan="off")
