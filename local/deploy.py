"""Puts the bundle into the local AWS with `sam deploy`, and brings the database to the bundle's schema."""

import hashlib
import json
import platform
import re
import tomllib
import urllib.error
import urllib.request

from botocore.config import Config
from botocore.exceptions import ClientError

from local import bundle, ministack, postgres, stripe
from local.console import Problem, note, run_logged
from local.settings import API_ID, HOST, REALTIME_PATH, ROOT, STACK_NAME, VENV, remembered

SAMCONFIG = ROOT / "samconfig.toml"
# A tag on the deployed stack says what it was made of: it is lost exactly when the deployment is.
FINGERPRINT = "bundle"
ADMIN_SECRET = f"{STACK_NAME}/database-administrator"
EVENT = re.compile(r"^(CREATE|UPDATE|DELETE)_\w+\s+(AWS::\S+)\s+(\S+)")


def parameters(stack, chosen):
    """samconfig.toml's parameters for `local`, with this stack's ports, and what the user asked for (PARAMS) on top."""
    configured = tomllib.loads(SAMCONFIG.read_text())["local"]["deploy"]["parameters"]["parameter_overrides"]
    ours = {
        "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
        "DatabaseHost": HOST,
        "DatabasePort": stack.ports["pooler"],
        "DatabaseDirectPort": stack.ports["postgres"],
        "DatabaseName": stack.database,
        "DatabaseAdminSecret": _admin_secret(stack),
        "CognitoEndpoint": stack.endpoint,
        "StripeApiBase": stripe.url(stack),
        "RealtimeUrl": stack.realtime_url,
        "RealtimeEndpoint": f"{stack.endpoint}/{REALTIME_PATH}",
        "DocumentsEndpoint": stack.endpoint,
    }
    # Defaults are said, too: CloudFormation keeps the previous value of a parameter that is left out.
    ours = {name: str(value) for name, value in ours.items()}
    return bundle.parameters() | _pairs(configured) | ours | chosen


def _admin_secret(stack):
    """The ARN of the secret of the database's administrator, as RDS makes one where it makes the database."""
    client = ministack.client(stack, "secretsmanager")
    content = json.dumps({"username": postgres.ADMIN, "password": postgres.password(stack)})
    try:
        return client.create_secret(Name=ADMIN_SECRET, SecretString=content)["ARN"]
    except client.exceptions.ResourceExistsException:
        return client.put_secret_value(SecretId=ADMIN_SECRET, SecretString=content)["ARN"]


def chosen(stack, overrides):
    """What the user asks for with PARAMS; without (None) what they asked for last, until an empty PARAMS forgets it.

    Checked before the long steps: the local CloudFormation ignores what it does not know.
    """
    if overrides is None:
        pairs = remembered_choice(stack)
        if pairs:
            note(f"PARAMS as before, for {', '.join(pairs)} (`PARAMS=` forgets them)")
    else:
        pairs = _pairs(overrides)
    if unknown := set(pairs) - set(bundle.parameters()):
        raise Problem(f"template.yaml has no parameter {', '.join(sorted(unknown))}; it has {', '.join(bundle.parameters())}.")
    return pairs


def remembered_choice(stack):
    return remembered(_chosen_file(stack))


def remember(stack, chosen):
    """For later commands, once they have worked."""
    file = _chosen_file(stack)
    file.unlink(missing_ok=True)
    if chosen:
        file.write_text(json.dumps(chosen))


def _chosen_file(stack):
    return stack.state / "params.json"


def deploy(stack, template, digest, values):
    """Deploys unless exactly this bundle with these parameters is there already. Returns whether it did."""
    fingerprint = hashlib.sha256(f"{digest}{json.dumps(values, sort_keys=True)}".encode()).hexdigest()
    if _deployed_fingerprint(stack) == fingerprint:
        note("Nothing has changed since the last deployment")
        _say_again(stack, values)
        return False
    run_logged(
        [
            VENV / "bin" / "sam", "deploy", "--template-file", template, "--config-file", SAMCONFIG, "--config-env", "local",
            "--stack-name", STACK_NAME, "--tags", f"{FINGERPRINT}={fingerprint}",
            "--parameter-overrides", *(f'{name}="{value}"' for name, value in values.items()),
        ],
        stack.logs / "deploy.log", "sam deploy", progress=_progress, cwd=ROOT, env=ministack.client_environment(stack),
    )
    _say_again(stack, values)
    return True


def _say_again(stack, values):
    """What MiniStack keeps as the template writes it, and reads only as its own API does."""
    functions = ministack.client(stack, "lambda")
    for source in functions.list_event_source_mappings()["EventSourceMappings"]:
        # A number that a parameter gives is a text to its poller, which would poll nothing.
        if scaling := source.get("ScalingConfig"):
            functions.update_event_source_mapping(UUID=source["UUID"], ScalingConfig=scaling)
    # Its names begin with capitals in a template: no origin would be found in it.
    if values["CorsOrigins"]:
        _, cors, _ = bundle.template()["Resources"]["HttpApi"]["Properties"]["CorsConfiguration"]["Fn::If"]
        allowed = cors | {"AllowOrigins": values["CorsOrigins"].split(",")}
        ministack.client(stack, "apigatewayv2").update_api(ApiId=API_ID, CorsConfiguration=allowed)


def migrate(stack):
    """Brings the database to the bundle's schema; returns the function's answer."""
    said, failed = _invoke_migrate(stack, {})
    if failed:
        raise Problem(f"The migrate function failed: {failed} (`make clean` starts again with an empty database).")
    return said


def load_prices(stack, prices):
    """Loads a price list, `{"prices": [..]}`; returns what that has changed."""
    said, failed = _invoke_migrate(stack, prices)
    if failed:
        raise Problem(f"The prices were not loaded: {failed}")
    return said


def _invoke_migrate(stack, event):
    """What the function answers, and the message if it failed."""
    name = outputs(stack)["MigrateFunctionName"]
    client = ministack.client(stack, "lambda", config=Config(read_timeout=900, retries={"max_attempts": 1}))
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
    said = json.loads(answer["Payload"].read() or b"null")
    return said, answer.get("FunctionError") and said.get("errorMessage", str(said))


def require_healthy(stack):
    """The whole way once: gateway, function, configuration."""
    try:
        with urllib.request.urlopen(f"{stack.url}/health", timeout=30) as answer:
            note(f"{stack.url}/health answers {answer.status}")
    except urllib.error.HTTPError as refused:
        raise Problem(f"The API answers {refused.code} to GET /health: {refused.read(300).decode()}") from None


def outputs(stack):
    """The outputs of the deployed stack, by name."""
    found = describe(stack)
    if not found:
        raise Problem("Nothing is deployed here: run `make up` first.")
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def resources(stack):
    """What the template's resources are called here, by their names there."""
    cloudformation = ministack.client(stack, "cloudformation")
    found = cloudformation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}


def describe(stack):
    try:
        return ministack.client(stack, "cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    except ClientError:
        return None


def _deployed_fingerprint(stack):
    found = describe(stack)
    if not found or found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return None
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}.get(FINGERPRINT)


def _pairs(text):
    pairs = {}
    for word in (text or "").split():
        name, equals, value = word.partition("=")
        if not equals:
            raise Problem(f"PARAMS takes Name=value pairs separated by spaces; `{word}` is none.")
        pairs[name] = value
    return pairs


def _progress(line):
    event = EVENT.match(line)
    return f"{event[2]} {event[3]}" if event else None
