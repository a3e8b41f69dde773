"""Schema-driven fuzzing: Schemathesis reads the API document and tries every operation on the deployed bundle, with input
that the document allows and with input that it does not. No 5xx, no undocumented status or content type, no answer that its
schema does not allow, nothing accepted that should be refused.

The requests are the same in every run (fuzz.toml). They are sent as the owner of a carrier made for this, which has one of
everything, so that ids in paths and bodies can be real ones; and, fewer of them, as a member in each role that may do less, each
in such a carrier of its own.
"""

import json
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
import requests

from local import postgres, users
from local.settings import ROOT, VENV
from local.tests import models

CONFIG = Path(__file__).with_name("fuzz.toml")
DOCUMENT = json.loads((ROOT / "functions" / "api" / "openapi.json").read_text())
OPERATIONS = sorted(f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in item)
# After it a member is nobody; the last owner stays.
LEAVING = "DELETE /v1/me"
# In an order in which everything exists that the next one names.
CREATED = ["customers", "locations", "trucks", "trailers", "drivers", "custom-statuses", "tags", "expense-categories",
           "cancel-reasons", "invitations", "api-keys", "provider-keys", "orders",
           "documents", "trips", "skills", "executions"]
# What is created below something else.
BELOW = {"documents": "/v1/orders/{order_id}/documents"}
# Members of bodies that name something, and where such things come from.
NAMES = {
    "customer_id": "customers", "custom_status_id": "custom-statuses", "dispatcher_id": "members", "driver_id": "drivers",
    "location_id": "locations", "order_id": "orders", "order_ids": "orders", "reason_id": "cancel-reasons", "tag_ids": "tags",
    "trailer_id": "trailers", "truck_id": "trucks", "user_id": "members", "vehicle_id": "vehicles",
}
MOMENTS = {"type": "string", "enum": ["2026-01-05T08:00:00Z", "2026-01-05T17:00:00-05:00", "2026-01-07T12:00:00Z"]}
ZONES = {"type": "string", "enum": ["America/New_York", "America/Phoenix", "UTC"]}


# What each role is tried with, beside what fuzz.toml says. The owner may do everything, and so comes furthest.
ROLES = {
    "owner": [],
    **dict.fromkeys(("dispatcher", "accountant", "driver"), ["--phases", "fuzzing", "--max-examples", "4", "--workers", "1"]),
}


def newcomer(stack):
    session = requests.Session()
    email = f"fuzz-{uuid.uuid4().hex[:8]}@carhaul.example"
    session.headers["Authorization"] = f"Bearer {users.newcomer(stack, email)}"
    return session


def owner(stack, base_url):
    """A session of the owner of a new carrier on the plan pro."""
    session = newcomer(stack)
    # Of two carriers, so that a request must name the one that it means: Schemathesis creates more.
    carriers = [session.post(base_url + "/v1/tenants", json=example("TenantCreate")).json()["id"] for _ in range(2)]
    users.upgrade(stack, carriers[0])
    session.headers["Tenant-Id"] = carriers[0]
    return session


def example(schema):
    return dict(DOCUMENT["components"]["schemas"][schema]["examples"][0])


@pytest.fixture(scope="module")
def provider():
    """The address of a model provider that takes every key."""
    with models.provider() as stand_in:
        yield stand_in.url


def member(stack, base_url, role, tenant, made):
    """A session of a member of the carrier in this role, who drives what its driver drives."""
    session = newcomer(stack)
    user = session.get(base_url + "/v1/me").json()["id"]
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO memberships (tenant_id, user_id, role) VALUES (%s, %s, %s)", [tenant, user, role])
        if role == "driver":
            cursor.execute("UPDATE drivers SET user_id = %s WHERE tenant_id = %s AND id = %s", [user, tenant, made["drivers"]])
    return session


def examples(owner, provider, base_url):
    """One of everything, as the document's examples have it; the id of each."""
    made = {"members": owner.get(base_url + "/v1/me").json()["id"]}
    for name in CREATED:
        path = BELOW.get(name, f"/v1/{name}")
        schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        body = example(schema.rpartition("/")[2])
        body |= {member: [made[of]] if member.endswith("s") else made[of] for member, of in NAMES.items() if member in body}
        if name == "provider-keys":
            body |= {"provider": "openai_compatible", "base_url": provider}
        answer = owner.post(base_url + path.format(order_id=made.get("orders")), json=body)
        assert answer.status_code in (201, 202), f"the example of {name} is refused: {answer.text}"
        made[name] = answer.json()["id"]
    order = owner.get(f"{base_url}/v1/orders/{made['orders']}").json()
    trip = owner.get(f"{base_url}/v1/trips/{made['trips']}").json()
    return made | {"vehicles": order["vehicles"][0]["id"], "stops": trip["stops"][0]["id"]}


@pytest.fixture(scope="module")
def reports(stack, provider, base_url, tmp_path_factory):
    """What Schemathesis says of each operation, for each role: nothing, or what is wrong."""
    folder = tmp_path_factory.mktemp("fuzz")
    with ThreadPoolExecutor(len(ROLES)) as roles:
        found = roles.map(lambda role: report(stack, provider, base_url, role, folder / role), ROLES)
        return dict(zip(ROLES, found))


def report(stack, provider, base_url, role, folder):
    session = owner(stack, base_url)
    tenant, made = session.headers["Tenant-Id"], examples(session, provider, base_url)
    if role != "owner":
        session = member(stack, base_url, role, tenant, made)
    folder.mkdir()
    document = folder / "openapi.json"
    known = narrowed(DOCUMENT, tenant, made, provider)
    if role != "owner":
        del known["paths"][LEAVING.split()[1]][LEAVING.split()[0].lower()]
    document.write_text(json.dumps(known))
    result = folder / "junit.xml"
    command = [VENV / "bin" / "st", "--config-file", CONFIG, "run", document, "--url", base_url,
               "--header", f"Authorization: {session.headers['Authorization']}", "--report-junit-path", result, *ROLES[role]]
    said = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=1200)
    assert result.exists(), said.stdout + said.stderr
    found = {case.get("name"): list(case) for case in xml.parse(result).iter("testcase")}
    return {name: "\n".join(part.text or part.get("message") for part in parts if part.tag in ("failure", "error"))
            for name, parts in found.items()}


def narrowed(document, tenant, known, provider):
    """The document with what a schema cannot know: which carrier, which ids, which versions there are. Without it hardly
    anything would be found, changed or created."""
    document = json.loads(json.dumps(document))
    members = {"at": MOMENTS, "eta_at": MOMENTS, "from": MOMENTS, "to": MOMENTS, "time_zone": ZONES}
    for member, of in NAMES.items():
        one = {"type": "string", "format": "uuid", "enum": [known[of]]}
        members[member] = {"type": "array", "items": one, "minItems": 1, "maxItems": 2} if member.endswith("s") else one
    for name in requested(document):
        properties = document["components"]["schemas"][name]["properties"]
        for member in properties.keys() & members.keys():
            nullable = {"type": "null"} in properties[member].get("oneOf", [])
            properties[member] = {"oneOf": [members[member], {"type": "null"}]} if nullable else members[member]
    for name in ("ProviderKeyCreate", "ProviderKeyRotation"):
        # Nobody else is to hear of invented keys.
        schema = document["components"]["schemas"][name]
        schema["properties"] |= {"base_url": {"type": "string", "enum": [provider]}}
        if "provider" in schema["properties"]:
            schema["required"].append("base_url")
            schema["properties"]["provider"] = {"type": "string", "enum": ["openai_compatible"]}
    # Rules run it: nobody's model is asked.
    document["components"]["schemas"]["ExecutionCreate"]["properties"]["skill"] = {"type": "string", "enum": ["extract_order"]}
    for path, item in document["paths"].items():
        segments = path.split("/")
        of_path = {name[1:-1]: known.get(of) for of, name in zip(segments, segments[1:]) if name.startswith("{")}
        for operation in item.values():
            if of_path:
                # The local gateway decodes the path: an id with a question mark ends it there, and leaves another route.
                operation["responses"]["405"] = operation["responses"]["404"]
            for parameter in operation["parameters"]:
                name = parameter["name"]
                if name == "Tenant-Id":
                    parameter |= {"required": True, "schema": {"type": "string", "enum": [tenant]}}
                elif name == "If-Match":
                    parameter["schema"] = {"type": "string", "enum": ["*"]}
                elif parameter["in"] == "path" and of_path[name]:
                    parameter["schema"] = {"type": "string", "format": "uuid", "enum": [of_path[name]]}
    return document


def requested(document):
    """The schemas that only requests have."""
    components = document["components"]
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    requests_, answers = set(), set()
    collect([operation.get("requestBody") for operation in operations], components, requests_)
    collect([operation["responses"] for operation in operations], components, answers)
    return {name for kind, name in requests_ - answers if kind == "schemas" and "properties" in components[kind][name]}


def collect(part, components, found):
    """Adds all components that it names, and those that they name, as kind and name."""
    if isinstance(part, list):
        for item in part:
            collect(item, components, found)
    elif isinstance(part, dict):
        if "$ref" in part:
            kind, name = part["$ref"].removeprefix("#/components/").split("/")
            if (kind, name) not in found:
                found.add((kind, name))
                collect(components[kind][name], components, found)
        collect(list(part.values()), components, found)


@pytest.mark.parametrize("operation, role", [(o, r) for o in OPERATIONS for r in ROLES if r == "owner" or o != LEAVING])
def test_fuzz(operation, role, reports):
    assert operation in reports[role], "Schemathesis did not try it"
    assert not reports[role][operation], reports[role][operation]
