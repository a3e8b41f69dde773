"""MiniStack: the emulated AWS (API Gateway, Lambda, Secrets Manager, Cognito ..) as one process on the loopback address."""

import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.processes import require_free_port
from local.settings import HOST, VENV

NAME = "gateway"
# Functions inherit MiniStack's environment, so it gets a small one: nothing of the developer's shell may matter to them.
INHERITED = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")


def start(stack, daemons):
    if daemons.alive(NAME):
        return
    port = stack.ports["gateway"]
    require_free_port(NAME, port)
    folder = stack.state / "ministack"
    # What it unpacked before, for functions that have changed since.
    shutil.rmtree(stack.state / "tmp", ignore_errors=True)
    stack.prepare()
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        # Functions get it from here, and only from here.
        "AWS_ENDPOINT_URL": stack.endpoint,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "s3"),
        # Both would listen on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # Unpacked functions go here, and with the stack.
        "TMPDIR": str(stack.state / "tmp"),
    } | credentials(stack)
    daemons.start(NAME, [VENV / "bin" / "ministack"], env=environment, ready=lambda: _ready(stack))


def stop(daemons):
    # SIGTERM lets it save its state.
    return daemons.stop(NAME)


def credentials(stack):
    """For every client of this stack: any key will do, and none of the developer's own may be used."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": stack.endpoint,
    }


def client_environment(stack):
    """The environment for `sam` and whatever else speaks to this stack."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return ours | credentials(stack) | {"NO_PROXY": HOST, "no_proxy": HOST, "SAM_CLI_TELEMETRY": "0"}


def client(stack, service, **options):
    return boto3.client(
        service,
        endpoint_url=stack.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        **options,
    )


def function_logs(stack, minutes, groups="/aws/lambda/"):
    """What the functions logged, oldest first, a line each."""
    logs = client(stack, "logs")
    since = int((time.time() - 60 * minutes) * 1000)
    events = []
    for group in logs.describe_log_groups(logGroupNamePrefix=groups)["logGroups"]:
        name = group["logGroupName"]
        events += [(event["timestamp"], name.rpartition("/")[2], event["message"].rstrip()) for event in _events(logs, name, since)]
    return [f"{function}: {message}\n" for _, function, message in sorted(events)]


def _events(logs, group, since):
    """All of a group: the local answer ends after ten thousand, the oldest, and does not say that there are more."""
    most, events = 10_000, []
    while True:
        page = logs.filter_log_events(logGroupName=group, startTime=since, limit=most)["events"]
        events += page
        if len(page) < most:
            return events
        # Others of the last millisecond may not have been in it.
        since = max(page[-1]["timestamp"], since + 1)
        events = [event for event in events if event["timestamp"] < since]


@contextmanager
def logs_kept(stack, always=False):
    """Writes the functions' logs to a file on failure, or always: MiniStack alone has them, and it is about to stop."""
    failed = True
    try:
        yield
        failed = False
    finally:
        if failed or always:
            _keep_logs(stack)


def _keep_logs(stack):
    kept = stack.logs / "functions.log"
    try:
        kept.write_text("".join(function_logs(stack, minutes=60)))
        print(f"      (the functions' logs are in {kept})", file=sys.stderr)
    except (BotoCoreError, ClientError):
        # It did not even start.
        pass


def _ready(stack):
    try:
        with urllib.request.urlopen(f"{stack.endpoint}/_ministack/ready", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
