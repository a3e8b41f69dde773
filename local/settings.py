"""Where things are and on which ports. A second stack beside the first needs only another state folder and ports."""

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from local.console import Problem

ROOT = Path(__file__).resolve().parent.parent
# Tools are shared by all stacks of this checkout; everything else lives in a stack's own state folder.
TOOLS = ROOT / ".local"
VENV = TOOLS / "venv"
HOST = "127.0.0.1"
STACK_NAME = "carhaul"
# The tag `ms-custom-id` on the HTTP API in template.yaml, which makes the local URL a fixed one.
API_ID = "carhaul"
# The same of the WebSocket API, and its stage.
REALTIME_PATH = "_aws/execute-api/carhaul-realtime/live"

DEFAULT_PORTS = {"gateway": 4566, "postgres": 15432, "pooler": 16432, "stripe": 12111}


def port_variable(name):
    return f"CARHAUL_{name.upper()}_PORT"


@dataclass(frozen=True)
class Stack:
    state: Path
    ports: dict = field(default_factory=lambda: dict(DEFAULT_PORTS))
    database: str = "carhaul"
    # Server connections of the pooler for each database and role: small enough to be felt, like a small RDS Proxy.
    pool_size: int = 20
    # A test database may lose its data with the machine, and starts and writes faster for it.
    durable: bool = True
    # Of Postgres, beside those that every stack has.
    postgres: dict = field(default_factory=dict)

    @property
    def endpoint(self):
        return f"http://{HOST}:{self.ports['gateway']}"

    @property
    def url(self):
        return f"{self.endpoint}/_aws/execute-api/{API_ID}/$default"

    @property
    def realtime_url(self):
        return f"ws://{HOST}:{self.ports['gateway']}/{REALTIME_PATH}"

    @property
    def logs(self):
        return self.state / "logs"

    def prepare(self):
        for folder in (self.state, self.logs, self.state / "run", self.state / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)

    def remember(self):
        """Later commands (`make token`, `make psql`) must find the ports that `make up` was given."""
        (self.state / "ports.json").write_text(json.dumps(self.ports))

    def remembered_ports(self):
        return remembered(self.state / "ports.json")


def remembered(file):
    """What an earlier command wrote there, or nothing."""
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise Problem(f"{file} is damaged: delete it, and give `make up` again what you had given it.") from None


def from_environment():
    stack = Stack(state=Path(os.environ.get("CARHAUL_STATE") or TOOLS).resolve())
    ports = stack.ports | stack.remembered_ports()
    ports = {name: _number(port_variable(name), port, most=65535) for name, port in ports.items()}
    return replace(stack, ports=ports, pool_size=_number("CARHAUL_POOL_SIZE", 20, most=200))


def _number(variable, default, most):
    text = os.environ.get(variable) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise Problem(f"{variable} is a number from 1 to {most}, and `{text}` is none.")
    return int(text)
