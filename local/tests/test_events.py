"""Every file in events/ sent to its function, as `sam local invoke -e` would: `<function>[-<case>].json`, and beside it, in
`<function>[-<case>].answer.json`, what the answer must at least contain."""

import json
import re

import pytest

from local import deploy, ministack
from local.settings import ROOT

EVENTS = sorted(path for path in (ROOT / "events").glob("*.json") if not path.name.endswith(".answer.json"))


def contains(answer, expected):
    """Whether every key of `expected` is in `answer`, all the way down; a JSON text is compared as what it says."""
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
    assert "FunctionError" not in response, answer
    assert contains(answer, expected), answer
