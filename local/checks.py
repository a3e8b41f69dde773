"""`make test`: every check of the repository in order, each against a database and a deployment of its own.

Nothing here touches the stack of `make up`: state folders, ports and processes are the run's own, and all of them are gone
when it ends, however it ends. A failed check does not stop the later ones; the last line counts all of them.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, replace

from local import bundle, deploy, ministack, pooler, postgres, services, stripe, tools, users
from local.console import Problem, note, say
from local.processes import free_port
from local.settings import HOST, ROOT, TOOLS, VENV, Stack

STATE = TOOLS / "test"
# `cargo test` prints one such line for each test binary, pytest one at its end.
CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed")
PYTEST_RESULT = re.compile(r"^=+ (.*) in [\d.]+s(?: \([\d:]+\))? =+$")
COLOUR = re.compile(r"\x1b\[[\d;]*m")


PYTEST = [
    VENV / "bin" / "python", "-m", "pytest", "local/tests", "-q", "-rfE", "--no-header", "-p", "no:cacheprovider",
]


@dataclass
class Result:
    name: str
    passed: int
    failed: int
    seconds: float


def format_():
    return _succeeds(["cargo", "fmt", "--all", "--check"])


def template():
    sam = [VENV / "bin" / "sam", "validate", "--lint", "--template", bundle.TEMPLATE, "--region", "us-east-1"]
    return _succeeds(sam, env=ministack.client_environment(_stack("template")))


def clippy():
    return _succeeds(["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])


def dependencies():
    """None is unused, and each has a licence and comes from a source that deny.toml allows."""
    unused = _succeeds([tools.cargo_tool("cargo-machete"), "--with-metadata"])
    denied = _succeeds([tools.cargo_tool("cargo-deny"), "check", "licenses", "bans", "sources"])
    return tuple(map(sum, zip(unused, denied)))


def rust():
    """Unit and integration tests; the latter through a pooler of five connections, as the functions' own roles."""
    stack = replace(_fresh("database"), pool_size=5, durable=False)
    with services.exclusive(stack), services.until_the_end(stack) as daemons:
        services.start_database(stack, daemons)
        # All targets, and with that no examples in documentation, of which there are none: rustdoc reads each crate anew for them.
        command = ["cargo", "test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"]
        return _counted(command, _cargo_counts, env=os.environ | database_environment(stack))


def gateway():
    """The tests against the deployed bundle: over HTTP, through API Gateway and Lambda."""
    stack = replace(_fresh("gateway"), durable=False)
    with services.exclusive(stack), services.until_the_end(stack) as daemons:
        stack.remember()
        bundle.build(stack, "--tests")
        note("Deploying a stack for the tests")
        services.start_database(stack, daemons)
        ministack.start(stack, daemons)
        with ministack.logs_kept(stack, always=True):
            built, digest = bundle.assemble(stack)
            deploy.deploy(stack, built, digest, deploy.parameters(stack, {}))
            deploy.migrate(stack)
            deploy.require_healthy(stack)
            stripe.choose(stack, {})
            stripe.start(stack, daemons)
            stripe.introduce(stack, deploy.outputs(stack))
            deploy.load_prices(stack, json.loads(stripe.PRICES.read_text()))
            users.create(stack)
            return _counted(PYTEST, _pytest_counts, env=os.environ | {"CARHAUL_STATE": str(stack.state)})


CHECKS = {"format": format_, "template": template, "clippy": clippy, "dependencies": dependencies, "rust": rust, "gateway": gateway}


def database_environment(stack):
    """What the Rust test kit reads."""
    return {
        "CARHAUL_TEST_DIRECT_URL": postgres.direct_url(stack, "postgres"),
        "CARHAUL_TEST_POOLER": f"{HOST}:{stack.ports['pooler']}",
        "CARHAUL_TEST_POOLER_ADMIN": pooler.admin_url(stack),
    }


def run(names):
    tools.ensure_rust_components()
    results = [_check(number, len(names), name) for number, name in enumerate(names, 1)]
    say("\n== Summary")
    for result in results:
        say(f"   {result.name:<10} {result.passed:>5} passed  {result.failed:>3} failed  {result.seconds:>6.0f} s")
    passed, failed = sum(result.passed for result in results), sum(result.failed for result in results)
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def start_database():
    """`make -s test-db`: a database for `cargo test` outside `make test`, left running; prints its environment."""
    stack = replace(_stack("developer"), pool_size=5, durable=False)
    with services.exclusive(stack), services.all_or_nothing(stack) as daemons:
        stack.remember()
        services.start_database(stack, daemons)
    for name, value in database_environment(stack).items():
        say(f"export {name}={value}")
    return 0


def stop_database():
    stack = _stack("developer")
    with services.exclusive(stack):
        services.stop(services.Daemons(stack))
    return 0


def _check(number, total, name):
    say(f"\n== {number}/{total} {name}")
    begun = time.monotonic()
    try:
        passed, failed = CHECKS[name]()
    except Problem as problem:
        say(f"error: {problem}")
        passed, failed = 0, 1
    except Exception:
        traceback.print_exc()
        passed, failed = 0, 1
    return Result(name, passed, failed, time.monotonic() - begun)


def _succeeds(command, **options):
    """A check that has one outcome."""
    code = subprocess.run(list(map(str, command)), cwd=ROOT, **options).returncode
    say("ok" if code == 0 else f"FAILED (exit code {code})")
    return (1, 0) if code == 0 else (0, 1)


def _counted(command, count, env):
    """A runner that says how many of its tests passed; its output is shown as it comes."""
    process = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        errors="replace",
    )
    passed = failed = 0
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            more_passed, more_failed = count(COLOUR.sub("", line.strip()))
            passed, failed = passed + more_passed, failed + more_failed
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    # A crash or a compiler error fails no test of its own.
    return passed, max(failed, 1 if code else 0)


def _cargo_counts(line):
    found = CARGO_RESULT.match(line)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _pytest_counts(line):
    found = PYTEST_RESULT.match(line)
    if not found and not re.match(r"^\d+ (passed|failed|error)", line):
        return 0, 0
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?)", line)}
    return counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)


def _stack(name):
    stack = Stack(state=STATE / name)
    return replace(stack, ports={service: free_port() for service in stack.ports} | stack.remembered_ports())


def _fresh(name):
    """A stack without the state that an earlier run left, after stopping what that could not."""
    left = _stack(name)
    if left.state.exists():
        services.stop(services.Daemons(left))
        shutil.rmtree(left.state)
    return _stack(name)


def main(command, *names):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if command == "start-database":
            return start_database()
        if command == "stop-database":
            return stop_database()
        if command == "audit":
            return subprocess.run([tools.cargo_tool("cargo-deny"), "check", "advisories"], cwd=ROOT).returncode
        unknown = set(names) - set(CHECKS)
        if unknown:
            raise Problem(f"There is no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}.")
        return run(names or list(CHECKS))
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything that this run started has been stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
