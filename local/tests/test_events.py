"""Every file in events/ sent to its function, as `sam local invoke -e` would: `<function>[-<case>].json`, and beside it, in
`<function>[-<case>].answer.json`, what the answer must at least contain."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import samcli
from samcli.yamlhelper import yaml_parse

from local import deploy, invoke, ministack
from local.processes import free_port, port_open
from local.settings import HOST, ROOT, STACK_NAME

RESOURCES = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
EVENTS = sorted(path for path in (ROOT / "events").glob("*.json") if not path.name.endswith(".answer.json"))


def contains(answer, expected):
    """Whether every key of `expected` is in `answer`, all the way down; a JSON text is compared as what it says, and
    `{"starts_with": ".."}` with the beginning of a text."""
    if isinstance(expected, dict) and expected.keys() == {"starts_with"}:
        return isinstance(answer, str) and answer.startswith(expected["starts_with"])
    if isinstance(expected, dict):
        answer = json.loads(answer) if isinstance(answer, str) else answer
        return isinstance(answer, dict) and all(
            key in answer and contains(answer[key], value) for key, value in expected.items()
        )
    return answer == expected


def function_of(event, outputs):
    """The function whose name the file's begins with: `ai-dispatch-forged.json` is for AiDispatchFunction."""
    functions = {re.sub(r"\B(?=[A-Z])", "-", key.removesuffix("FunctionName")).lower(): name
                 for key, name in outputs.items() if key.endswith("FunctionName")}
    return next(functions[name] for name in sorted(functions, key=len, reverse=True) if f"{event.stem}-".startswith(f"{name}-"))


@pytest.mark.parametrize("event", EVENTS, ids=lambda path: path.stem)
def test_an_event_is_answered_as_written_beside_it(stack, event):
    name = function_of(event, deploy.outputs(stack))
    response = ministack.client(stack, "lambda").invoke(FunctionName=name, Payload=event.read_bytes())
    answer = json.loads(response["Payload"].read())
    expected = json.loads(event.with_suffix(".answer.json").read_text())
    assert ("FunctionError" in response) == ("errorMessage" in expected), answer
    assert contains(answer, expected), answer


@pytest.mark.skipif(sys.platform != "linux", reason="AWS's emulator of the runtime is a program for Linux")
@pytest.mark.parametrize("event", ["api-health", "billing-worker", "housekeeping-requeue"])
def test_the_files_for_sam_local_invoke_run_a_function_against_this_stack(stack, event):
    """In AWS's own emulator of the runtime, which is what `sam local invoke` starts in its container."""
    template, variables = (path.read_text() for path in invoke.write(stack))
    name = function_of(ROOT / "events" / f"{event}.json", deploy.outputs(stack))
    function = next(logical for logical, physical in deploy.resources(stack).items() if physical == name)
    declared = yaml_parse(template)
    properties = declared["Resources"][function]["Properties"]
    told = json.loads(variables)[function]
    # It passes no others than those that are declared.
    for_all, own = (part["Environment"]["Variables"].keys() for part in (declared["Globals"]["Function"], properties))
    assert told.keys() <= for_all | own
    emulator = Path(samcli.__file__).with_name("local") / "rapid" / f"aws-lambda-rie-{bundle_architecture()}"
    port, inner = free_port(), free_port()
    process = subprocess.Popen(
        [emulator, "--runtime-interface-emulator-address", f"{HOST}:{port}", "--runtime-api-address", f"{HOST}:{inner}",
         Path(properties["CodeUri"]) / "bootstrap"],
        env=told | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 10
        while not port_open(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        body = (ROOT / "events" / f"{event}.json").read_bytes()
        answer = requests.post(f"http://{HOST}:{port}/2015-03-31/functions/function/invocations", data=body, timeout=30).json()
        assert contains(answer, json.loads((ROOT / "events" / f"{event}.answer.json").read_text())), answer
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def bundle_architecture():
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def test_every_function_and_every_task_has_an_event(stack):
    outputs = deploy.outputs(stack)
    names = {resource["Properties"]["FunctionName"]["Fn::Sub"].replace("${AWS::StackName}", STACK_NAME)
             for resource in RESOURCES.values() if resource["Type"] == "AWS::Serverless::Function"}
    assert {function_of(event, outputs) for event in EVENTS} == names
    tried = [json.loads(event.read_text()) for event in EVENTS]
    schedules = RESOURCES["HousekeepingFunction"]["Properties"]["Events"].values()
    for task in [json.loads(schedule["Properties"]["Input"]) for schedule in schedules if "Input" in schedule["Properties"]]:
        assert task in tried
    assert {event["Step"] for event in tried if "Step" in event} == {"createSecret", "setSecret", "testSecret", "finishSecret"}
    assert all(event.with_suffix(".answer.json").exists() for event in EVENTS)
