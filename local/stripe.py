"""A stand-in of Stripe (the test kit's), so that somebody can subscribe, pay and cancel on this machine. No money moves."""

import json
import os
import secrets

from local import bundle, ministack
from local.console import Problem
from local.processes import port_open, require_free_port
from local.settings import HOST, ROOT

NAME = "stripe"
PRICES = ROOT / "local" / "prices.json"


def url(stack):
    return f"http://{HOST}:{stack.ports[NAME]}"


def choose(stack, chosen):
    """Uses the stand-in unless the chosen parameters name another Stripe. Returns whether it does."""
    if chosen.get("StripeApiBase", url(stack)) != url(stack):
        _settings_file(stack).unlink(missing_ok=True)
    else:
        _write(stack, _settings(stack))
    return used(stack)


def used(stack):
    return _settings_file(stack).exists()


def start(stack, daemons):
    if daemons.alive(NAME):
        return
    port = stack.ports[NAME]
    require_free_port(NAME, port)
    program = bundle.target_directory() / "debug" / "testkit-stripe"
    daemons.start(NAME, [program, _settings_file(stack)], ready=lambda: port_open(port))


def stop(daemons):
    return daemons.stop(NAME)


def introduce(stack, outputs):
    """Tells the deployed functions the key, and what events are signed with, unless they know."""
    settings = _settings(stack)
    manager = ministack.client(stack, "secretsmanager")
    for output, wanted in (
        ("StripeSecretArn", {"api_key": settings["api_key"]}),
        ("StripeWebhookSecretArn", {"signing_secrets": settings["signing_secrets"]}),
    ):
        known = json.loads(manager.get_secret_value(SecretId=outputs[output])["SecretString"])
        if known != wanted:
            manager.put_secret_value(SecretId=outputs[output], SecretString=json.dumps(wanted))


def sign_with(stack, signing_secrets):
    """The next events are signed with these, as at Stripe while a secret is rolled."""
    _write(stack, _settings(stack) | {"signing_secrets": signing_secrets})


def settings(stack):
    """What the stand-in was started with: its key, and what it signs with."""
    if not used(stack):
        raise Problem("This stack does not use the stand-in of Stripe.")
    return _settings(stack)


def sell(stack, prices, retired=()):
    """Has the stand-in know these prices, beside those that it knows, from its next start on; it offers the retired no longer."""
    known = {price["stripe_price_id"]: price for price in _read(_prices_file(stack), {"prices": []})["prices"]}
    known |= {price["stripe_price_id"]: price for price in prices["prices"]}
    for price in known.values():
        price["is_current"] = price.get("is_current", True) and price["stripe_price_id"] not in retired
    _prices_file(stack).write_text(json.dumps({"prices": list(known.values())}, indent=2))


def _settings(stack):
    """Key and signing secret are made once, and stay."""
    folder = _settings_file(stack).parent
    folder.mkdir(mode=0o700, exist_ok=True)
    made = {"api_key": f"sk_test_{secrets.token_hex(12)}", "signing_secrets": [f"whsec_{secrets.token_hex(16)}"]}
    return made | _read(_settings_file(stack), {}) | {
        "port": stack.ports[NAME],
        "webhook_url": f"{stack.url}/webhooks/stripe",
        "prices": str(_prices_file(stack)),
        "account": str(folder / "account.json"),
    }


def _write(stack, settings):
    if not _prices_file(stack).exists():
        sell(stack, json.loads(PRICES.read_text()))
    fresh = _settings_file(stack).with_suffix(".new")
    fresh.write_text(json.dumps(settings, indent=2))
    os.replace(fresh, _settings_file(stack))


def _read(file, default):
    return json.loads(file.read_text()) if file.exists() else default


def _settings_file(stack):
    return stack.state / "stripe" / "settings.json"


def _prices_file(stack):
    return stack.state / "stripe" / "prices.json"
