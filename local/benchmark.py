"""`make bench`: the release build against `pgbench` and a Python peer, on a database of its own that later runs use again.

Prints one table of ratios beside their targets. The measuring itself is local/bench (Rust); this starts what it needs, and
stops it in the end. The data stays in `.local/bench`.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

from local import bundle, postgres, services
from local.console import Problem, Steps, cargo_progress, note, run_logged
from local.processes import free_port
from local.settings import HOST, ROOT, TOOLS, Stack

STATE = TOOLS / "bench"
PEER = ROOT / "local" / "bench" / "peer"
# Those that are measured.
FUNCTIONS = ("api", "ai-dispatch", "ai-worker", "realtime")
# A quarter of a small server.
# Durable, as everywhere but in tests. Statements are logged as JSON for the role that asks for it.
POSTGRES = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "autovacuum": "off",
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_directory": "log",
    "log_filename": "postgres",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": 0,
    "log_rotation_size": 0,
}


def run(orders, seconds):
    stack = Stack(state=STATE, postgres=POSTGRES)
    stack = replace(stack, ports={service: free_port() for service in stack.ports})
    steps = Steps(4)
    with services.exclusive(stack), services.until_the_end(stack) as daemons:
        services.stop(daemons)
        with steps.step("Building the release of the functions, and the benchmark"):
            binaries = _build(stack)
        with steps.step("The peer: FastAPI behind Mangum"):
            peer = _prepare_peer(stack)
        with steps.step(f"Postgres on port {stack.ports['postgres']}, PgBouncer on port {stack.ports['pooler']}"):
            log = stack.state / "postgres" / "log" / "postgres.json"
            log.unlink(missing_ok=True)
            services.start_database(stack, daemons)
        with steps.step(f"Measuring with {orders} orders, {seconds} s for each side of a comparison"):
            work = stack.state / "work"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            environment = {
                "BENCH_DIRECT_URL": postgres.direct_url(stack, "postgres"),
                "BENCH_POOLER": f"{HOST}:{stack.ports['pooler']}",
                "BENCH_BOOTSTRAP": binaries / "carhaul-api",
                "BENCH_FLOOR": binaries / "bench-floor",
                "BENCH_PEER": peer,
                "BENCH_PGBENCH": postgres.BIN / "pgbench",
                "BENCH_POSTGRES_LOG": log,
                "BENCH_WORK": work,
                "BENCH_ORDERS": orders,
                "BENCH_SECONDS": seconds,
            }
            environment = os.environ | {name: str(value) for name, value in environment.items()}
            code = subprocess.run([binaries / "carhaul-bench"], cwd=ROOT, env=environment).returncode
            # 2 says that a target was missed, which the table says as well: it is a finding, no failure of this command.
            if code not in (0, 2):
                raise Problem("The benchmark could not be run to its end.")
    return 0


def _build(stack):
    environment = os.environ | {"CARGO_TERM_PROGRESS_WHEN": "always", "CARGO_TERM_PROGRESS_WIDTH": "100"}
    # One command for all: features of the dependencies are chosen, and the dependencies compiled, only once.
    packages = [option for name in (*FUNCTIONS, "bench") for option in ("-p", f"carhaul-{name}")]
    command = ["cargo", "build", "--release", "--locked", *packages]
    run_logged(command, stack.logs / "build.log", "cargo build", progress=cargo_progress, cwd=ROOT, env=environment)
    return bundle.target_directory() / "release"


def _prepare_peer(stack):
    """A virtual environment of its own and a `bootstrap` that runs the application in it."""
    venv, requirements = stack.state / "venv", PEER / "requirements.txt"
    wanted, stamp = hashlib.sha256(requirements.read_bytes()).hexdigest(), venv / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [venv / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off"]
        run_logged([*pip, "-r", requirements], stack.logs / "peer.log", "pip")
        stamp.write_text(wanted)
    bootstrap = stack.state / "peer"
    bootstrap.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="{PEER}" PYTHONDONTWRITEBYTECODE=1\n'
        f'exec "{venv}/bin/python" -m awslambdaric application.handler\n'
    )
    bootstrap.chmod(0o755)
    return bootstrap


def main(orders="1000000", seconds="2"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if not orders.isdigit() or int(orders) < 1000 or not seconds.isdigit() or int(seconds) < 1:
            raise Problem("ORDERS is a number from 1000 on, SECONDS one from 1 on.")
        if sys.platform != "linux":
            raise Problem("The benchmark reads memory and CPU time from /proc, so it needs Linux.")
        return run(orders, seconds)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        note("interrupted; everything that this run started has been stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
