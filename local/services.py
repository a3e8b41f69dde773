"""Starts and stops the processes of a stack, all or nothing."""

import fcntl
from contextlib import contextmanager

from local import ministack, pooler, postgres, stripe
from local.console import Problem
from local.processes import Daemons, require_free_port

# In the order of starting; each needs the ones before it.
DATABASE = (postgres, pooler)
ALL = (postgres, pooler, ministack, stripe)


@contextmanager
def exclusive(stack):
    """One command at a time changes a stack."""
    stack.prepare()
    with (stack.state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"Another command is changing this stack right now (lock {lock.name}).") from None
        yield


@contextmanager
def all_or_nothing(stack):
    """A run that fails or is interrupted leaves nothing behind that it started itself."""
    daemons = Daemons(stack)
    try:
        yield daemons
    except BaseException:
        stop(daemons, only=daemons.started)
        raise


@contextmanager
def until_the_end(stack):
    """For the stack of one run, which nothing of survives."""
    with all_or_nothing(stack) as daemons:
        yield daemons
        stop(daemons)


def used(stack):
    """All but the stand-in of Stripe, if PARAMS have named another Stripe."""
    return [service for service in ALL if service is not stripe or stripe.used(stack)]


def require_ports(stack, daemons):
    """Before the long steps: a port that somebody else has would fail the run at its end."""
    remembered = stack.remembered_ports()
    for service in used(stack):
        port = stack.ports[service.NAME]
        if not daemons.alive(service.NAME):
            require_free_port(service.NAME, port)
        elif remembered.get(service.NAME, port) != port:
            raise Problem(f"The {service.NAME} runs on port {remembered[service.NAME]}: `make down` first to move it to {port}.")


def start_database(stack, daemons):
    postgres.start(stack, daemons)
    postgres.prepare(stack)
    pooler.start(stack, daemons)


def stop(daemons, only=None):
    """Stops what we started, in reverse; returns the names of what was running."""
    wanted = [service for service in reversed(ALL) if only is None or service.NAME in only]
    return [service.NAME for service in wanted if service.stop(daemons)]
