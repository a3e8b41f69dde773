"""Executions on their way through the deployed bundle: accepted, queued, run by the worker, applied by a person."""

import json
import time
import uuid

import pytest
import sessions

from local import deploy, ministack, users

TENDER = """Load ID: {reference}
Pickup: Richmond, VA 23230 on 03/09/2030
Delivery: Columbus, OH 43215 on 03/12/2030
Transport: open
Rate: $900
2005 Buick LeSabre VIN 1G4AH59H45G118341"""


@pytest.fixture(scope="module")
def owner(stack, base_url):
    session = sessions.newcomer(stack)
    carrier = session.post(base_url + "/v1/tenants", json={"name": "AI", "time_zone": "America/New_York"}).json()
    session.headers["Tenant-Id"] = carrier["id"]
    users.upgrade(stack, carrier["id"])
    return session


def ended(owner, base_url, execution):
    for _ in range(100):
        now = owner.get(f"{base_url}/v1/executions/{execution}").json()
        if now["status"] not in ("queued", "running"):
            return now
        time.sleep(0.1)
    raise AssertionError(f"it was not run: {now}")


def ask(owner, base_url, reference):
    body = {"skill": "extract_order", "input": {"text": TENDER.format(reference=reference)}}
    answer = owner.post(base_url + "/v1/executions", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/executions/{answer.json()['id']}"
    return answer.json()["id"]


def test_a_tender_becomes_an_order(owner, base_url):
    done = ended(owner, base_url, ask(owner, base_url, "LB-77120"))
    assert (done["status"], done["review"]) == ("succeeded", "pending"), done
    assert done["output"]["order"]["vehicles"][0]["vin"]["value"] == "1G4AH59H45G118341"
    customer = owner.post(base_url + "/v1/customers", json={"type": "broker", "name": "Lakeside"}).json()["id"]
    path = f"{base_url}/v1/executions/{done['id']}/apply"
    applied = owner.post(path, json={"changes": {"customer_id": customer}})
    assert applied.status_code == 200, applied.text
    order = owner.get(f"{base_url}/v1/orders/{applied.json()['applied_order_ids'][0]}").json()
    assert (order["reference"], order["status"], order["pickup"]["time_zone"]) == ("LB-77120", "new", "America/New_York")


def test_a_batch_is_run_by_the_workers(owner, base_url):
    body = {"executions": [{"skill": "extract_order", "input": {"text": TENDER.format(reference=n)}} for n in range(30)]}
    batch = owner.post(base_url + "/v1/executions/batch", json=body).json()
    assert {ended(owner, base_url, execution["id"])["status"] for execution in batch["data"]} == {"succeeded"}


def test_what_lost_its_message_is_queued_by_housekeeping(stack, owner, base_url, database):
    execution = ask(owner, base_url, "LB-1")
    ended(owner, base_url, execution)
    with database.cursor() as cursor:
        cursor.execute("UPDATE executions SET status = 'queued', review = NULL, due_at = now() - interval '1 hour' WHERE id = %s",
                       [execution])
    database.commit()
    invoke = ministack.client(stack, "lambda").invoke
    answer = invoke(FunctionName=deploy.outputs(stack)["HousekeepingFunctionName"], Payload=b'{"task": "executions"}')
    assert json.loads(answer["Payload"].read())["requeued"] > 0
    assert ended(owner, base_url, execution)["status"] == "succeeded"
