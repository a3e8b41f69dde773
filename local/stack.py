"""The commands behind the Makefile: `python -m local.stack <command>`, run in `.local/venv`."""

import json
import os
import shlex
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from local import bundle, deploy, invoke, ministack, pooler, postgres, seed, services, stripe, users
from local.console import Problem, Steps, note, say
from local.processes import Daemons
from local.settings import VENV, from_environment

# Step one, the tools, has run before this program could (local/tools.py).
STEPS = 9


def up(stack):
    begun = time.monotonic()
    steps = Steps(STEPS, done=1)
    with services.exclusive(stack), services.all_or_nothing(stack) as daemons:
        chosen = deploy.chosen(stack, os.environ.get("PARAMS"))
        if not stripe.choose(stack, chosen):
            stripe.stop(daemons)
        services.require_ports(stack, daemons)
        stack.remember()
        with steps.step("Building the functions"):
            bundle.build(stack)
        with steps.step(f"Postgres on port {stack.ports['postgres']}, PgBouncer on port {stack.ports['pooler']}"):
            services.start_database(stack, daemons)
        with steps.step(f"MiniStack, the local AWS, on port {stack.ports['gateway']}"):
            ministack.start(stack, daemons)
        with ministack.logs_kept(stack):
            _deploy(stack, steps, chosen)
            with steps.step(f"A stand-in of Stripe on port {stack.ports['stripe']}, and prices"):
                if stripe.used(stack):
                    stripe.start(stack, daemons)
                    stripe.introduce(stack, deploy.outputs(stack))
                    _note_prices(deploy.load_prices(stack, json.loads(stripe.PRICES.read_text())))
                else:
                    note("none: PARAMS name another Stripe; load its prices with `make prices FILE=..`")
            own_users = users.exist(stack)
            with steps.step("Demo users"):
                users.create(stack) if own_users else note("none: users are those of the issuer that PARAMS names")
            with steps.step("Demo data"):
                seed.run(stack) if own_users else note("none: it would be created by the demo users")
    _welcome(stack, time.monotonic() - begun, own_users)


def down(stack):
    with services.exclusive(stack):
        stopped = services.stop(Daemons(stack))
    say(f"Stopped {', '.join(stopped)}; the data stays in {stack.state}." if stopped else "Nothing was running.")


def clean(stack):
    """Forgets all data. The tools in `.local/` are nobody's data."""
    with services.exclusive(stack):
        services.stop(Daemons(stack))
        for name in (
            "postgres", "postgres-password", "pooler", "ministack", "stripe", "bundle", "invoke", "tmp", "ports.json", "params.json",
        ):
            path = stack.state / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    say(f"Stopped, and deleted the data in {stack.state}.")


def prices(stack, file):
    """Loads a price list; if it is one of plans, the stand-in of Stripe sells at it as well."""
    _require_running(stack)
    try:
        wanted = json.loads(Path(file).read_text())
    except (OSError, ValueError) as unreadable:
        raise Problem(f"{file} cannot be read: {unreadable}") from None
    with services.exclusive(stack):
        loaded = deploy.load_prices(stack, wanted)
        _note_prices(loaded)
        if "prices" in wanted and stripe.used(stack):
            daemons = Daemons(stack)
            stripe.sell(stack, wanted, loaded["retired"])
            stripe.stop(daemons)
            stripe.start(stack, daemons)


def redeploy(stack):
    steps = Steps(3)
    _require_running(stack)
    with services.exclusive(stack):
        before, chosen = deploy.remembered_choice(stack), deploy.chosen(stack, os.environ.get("PARAMS"))
        # What they name, `make up` starts or fills.
        if moved := [name for name in ("OidcIssuer", "StripeApiBase") if chosen.get(name) != before.get(name)]:
            raise Problem(f"PARAMS change {', '.join(moved)}, which `make deploy` cannot: run `make up` with them.")
        with steps.step("Building the functions"):
            bundle.build(stack)
        _deploy(stack, steps, chosen)


def url(stack):
    _require_running(stack)
    say(stack.url)


def db_url(stack):
    _require_running(stack)
    say(postgres.direct_url(stack))


def token(stack, user="dispatch"):
    _require_running(stack)
    say(users.token(stack, user))


def psql(stack, *arguments):
    _require_running(stack)
    program = postgres.BIN / "psql"
    os.execv(program, [str(program), postgres.direct_url(stack), *arguments])


def logs(stack, minutes="15"):
    """The functions' logs, oldest first, then where to see the servers' own."""
    if not minutes.isascii() or not minutes.isdigit() or not 1 <= int(minutes) <= 525_600:
        raise Problem(f"MINUTES is a whole number of minutes, and `{minutes}` is none.")
    _require_running(stack)
    lines = ministack.function_logs(stack, int(minutes))
    say("".join(lines) + f"# {len(lines)} lines of the last {minutes} minutes (MINUTES=60 for more). Servers: {stack.logs}/*.log")


def invoke_files(stack):
    """For `sam local invoke`; says how."""
    _require_running(stack)
    template, variables = invoke.write(stack)
    say(
        f"Wrote {template} and {variables}. For example:\n\n"
        f"  {VENV}/bin/sam local invoke ApiFunction --template {template} --env-vars {variables} \\\n"
        "    --docker-network host --event events/api-health.json"
    )


def _deploy(stack, steps, chosen):
    with steps.step("Deploying template.yaml"):
        template, digest = bundle.assemble(stack)
        deploy.deploy(stack, template, digest, deploy.parameters(stack, chosen))
        deploy.remember(stack, chosen)
    with steps.step("Migrating the database"):
        answer = deploy.migrate(stack)
        note(f"schema version {answer['version']}, {len(answer['applied'])} migrations applied now")
        deploy.require_healthy(stack)


def _note_prices(loaded):
    said = ", ".join(f"{what} {', '.join(ids)}" for what, ids in loaded.items() if ids)
    note(f"prices: {said or 'nothing has changed'}")


def _require_running(stack):
    daemons = Daemons(stack)
    missing = [service.NAME for service in services.used(stack) if not daemons.alive(service.NAME)]
    if missing:
        raise Problem(f"The local stack is not running (no {', '.join(missing)}): run `make up` first.")


def _welcome(stack, seconds, own_users):
    make = "make -s"
    if os.environ.get("CARHAUL_STATE"):
        make = f"CARHAUL_STATE={shlex.quote(os.environ['CARHAUL_STATE'])} make -s"
    token, tokens = f"$({make} token)", f"`{make} token USER=owner`; also {', '.join(list(users.EMAILS)[1:])}"
    if not own_users:
        token, tokens = "$TOKEN", f"from {deploy.outputs(stack)['OidcIssuer']}, in the variable TOKEN below"
    say(
        f"""
carhaul is up ({seconds:.0f} s).

  API        {stack.url}
  Reference  {stack.url}/docs
  Database   `{make} db-url` prints its URL, `make psql` opens it
  Tokens     {tokens}

Try it:

  curl -s "$({make} url)/v1/me" -H "Authorization: Bearer {token}"

  curl -s "$({make} url)/v1/orders?limit=3" -H "Authorization: Bearer {token}"

  curl -s -X POST "$({make} url)/v1/customers" -H "Authorization: Bearer {token}" \\
    -H "Idempotency-Key: $(date +%s)" -H "Content-Type: application/json" \\
    -d '{{"type": "dealer", "name": "Lexington Auto Mall"}}'

{_billing_hint(stack)}`make help` lists the other commands; `make down` stops everything and keeps the data."""
    )


def _billing_hint(stack):
    if not stripe.used(stack):
        return ""
    return (
        f"Billing: Stripe's stand-in is at {stripe.url(stack)}, where no money moves. \"Try billing\" in README.md goes from a\n"
        "subscription to its end.\n\n"
    )


COMMANDS = {
    "up": up, "down": down, "clean": clean, "deploy": redeploy, "url": url, "db-url": db_url, "token": token, "psql": psql, "logs": logs,
    "prices": prices, "invoke-files": invoke_files,
}


def main(name, *arguments):
    # As ^C does: the context managers then clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        stack = from_environment()
    except Problem as problem:
        return _failed(problem)
    try:
        COMMANDS[name](stack, *arguments)
    except Problem as problem:
        return _failed(problem, stack)
    except KeyboardInterrupt:
        print("\ninterrupted; what this run started has been stopped", file=sys.stderr)
        return 130
    except Exception as unforeseen:
        problem = Problem(f"`make {name}` failed: {unforeseen}")
        problem.__cause__ = unforeseen
        return _failed(problem, stack)
    return 0


def _failed(problem, stack=None):
    print(f"error: {problem}", file=sys.stderr)
    if problem.__cause__:
        stack.prepare()
        trace = stack.logs / "error.log"
        trace.write_text("".join(traceback.format_exception(problem)))
        print(f"       (the trace is in {trace})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
