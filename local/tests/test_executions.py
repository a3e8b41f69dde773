"""Executions on their way through the deployed bundle: accepted, queued, run by the worker, applied by a person."""

import json
import time
import uuid

import pytest
import sessions

from local import deploy, ministack, postgres, users
from local.tests import models

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
    # A second attempt comes after at most five seconds.
    for _ in range(200):
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
    database.execute("UPDATE executions SET status = 'queued', review = NULL, due_at = now() - interval '1 hour' WHERE id = %s",
                     [execution])
    invoke = ministack.client(stack, "lambda").invoke
    answer = invoke(FunctionName=deploy.outputs(stack)["HousekeepingFunctionName"], Payload=b'{"task": "executions"}')
    assert json.loads(answer["Payload"].read())["requeued"] > 0
    assert ended(owner, base_url, execution)["status"] == "succeeded"


@pytest.fixture
def words(owner, base_url):
    """A model that can be told to fail, and the skill that asks it."""
    key = f"sk-{uuid.uuid4().hex}"
    with models.provider(key) as provider:
        yield provider, models.skill_with_key(owner, base_url, provider.url, key)
    # A carrier has one for each provider, and the next test its own.
    for kept in owner.get(base_url + "/v1/provider-keys").json()["data"]:
        answer = owner.delete(f"{base_url}/v1/provider-keys/{kept['id']}", headers={"If-Match": "*"})
        assert answer.status_code == 204, answer.text


def fail_for_good(stack, owner, base_url, provider, skill):
    """An execution that the provider has refused twice, which is once too often: four times would be a minute of waiting."""
    provider.refuses_with, asked = 500, len(provider.questions())
    execution = owner.post(base_url + "/v1/executions", json={"skill": skill, "input": {"text": "much"}}).json()["id"]
    until(lambda: len(provider.questions()) > asked)
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE executions SET max_attempts = 2 WHERE id = %s", [execution])
    failed = ended(owner, base_url, execution)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "unavailable"), failed
    assert len(provider.questions()) == asked + 2
    return failed


def test_what_failed_for_good_is_put_aside_and_an_operator_sends_it_back(stack, owner, base_url, words):
    provider, skill = words
    execution = fail_for_good(stack, owner, base_url, provider, skill)["id"]
    found = deploy.outputs(stack)
    sqs = ministack.client(stack, "sqs")
    for name in ("AiQueue", "AiDeadLetterQueue", "BillingQueue", "BillingDeadLetterQueue"):
        attributes = sqs.get_queue_attributes(QueueUrl=found[f"{name}Url"], AttributeNames=["QueueArn"])["Attributes"]
        assert attributes["QueueArn"] == found[f"{name}Arn"]
    letter = until(lambda: letter_of(sqs, found["AiDeadLetterQueueUrl"], execution))
    assert json.loads(letter["Body"]) == {"kind": "failed", "execution_id": execution, "error": "unavailable"}

    # The cause is mended. MiniStack moves no messages, so by hand, as the README has it.
    provider.refuses_with = None
    sqs.send_message(QueueUrl=found["AiQueueUrl"], MessageBody=letter["Body"])
    sqs.delete_message(QueueUrl=found["AiDeadLetterQueueUrl"], ReceiptHandle=letter["ReceiptHandle"])
    done = until(lambda: succeeded(owner, base_url, execution))
    assert (done["output"], len(provider.questions())) == (models.ANSWER, 3)
    assert letter_of(sqs, found["AiDeadLetterQueueUrl"], execution) is None
    booked = [row for row in owner.get(base_url + "/v1/usage").json()["ai"] if row["skill"] == skill]
    assert [(row["succeeded"], row["failed"]) for row in booked] == [(1, 0)]


def test_a_carrier_whose_provider_hangs_leaves_slots_to_the_next(stack, owner, base_url, words):
    provider, skill = words
    provider.pause = 20
    function = ministack.client(stack, "lambda").get_function_configuration(FunctionName=deploy.outputs(stack)["AiWorkerFunctionName"])
    half = int(function["Environment"]["Variables"]["AI_WORKER_SLOTS"]) // 2
    wanted = {"skill": skill, "input": {"text": "much"}}
    batch = owner.post(base_url + "/v1/executions/batch", json={"executions": [wanted] * (2 * half)}).json()["data"]
    until(lambda: len(provider.questions()) >= half)
    other = sessions.newcomer(stack)
    carrier = other.post(base_url + "/v1/tenants", json={"name": "Other", "time_zone": "America/New_York"}).json()
    other.headers["Tenant-Id"] = carrier["id"]
    begun = time.monotonic()
    assert ended(other, base_url, ask(other, base_url, "LB-1"))["status"] == "succeeded"
    waited = time.monotonic() - begun
    print(f"the other's first after {waited:.1f} s")
    assert waited < 5, waited
    assert len(provider.questions()) == half, "the others wait for their own"
    # What was held is run although none of its messages is left.
    provider.pause = 0
    assert {until(lambda: succeeded(owner, base_url, execution["id"]), 60)["status"] for execution in batch} == {"succeeded"}
    assert len(provider.questions()) == 2 * half


def letter_of(sqs, queue, execution):
    letters = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=1).get("Messages", [])
    return next((letter for letter in letters if execution in letter["Body"]), None)


def succeeded(owner, base_url, execution):
    now = owner.get(f"{base_url}/v1/executions/{execution}").json()
    return now if now["status"] == "succeeded" else None


def until(condition, seconds=30):
    """What it says as soon as it says anything."""
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        if said := condition():
            return said
        time.sleep(0.1)
    raise AssertionError("what was waited for did not come")
