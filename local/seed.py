"""The demo carriers, created through the HTTP API as their users would."""

from local.console import note


def run(stack):
    note("nothing yet")
