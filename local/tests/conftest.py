"""Fixtures of the gateway tests: the deployed bundle at `stack`, as `make test` starts it (or `make up`, for a quick look)."""

import pytest
from botocore.config import Config
from sessions import Session

from local import deploy, ministack, postgres, seed, users
from local.settings import from_environment


TOKENS_ISSUED = set()


def pytest_configure():
    """Keeps every token that the local Cognito gives out in this run, for the search of the logs."""
    sign_in = users._sign_in

    def kept(*arguments):
        token = sign_in(*arguments)
        TOKENS_ISSUED.add(token)
        return token

    users._sign_in = kept


def pytest_collection_modifyitems(items):
    """The search of the logs is last: it is about what all the others have done."""
    items.sort(key=lambda item: item.path.name == "test_secrets.py")


@pytest.fixture(scope="session")
def tokens_issued():
    return TOKENS_ISSUED


@pytest.fixture(scope="session")
def stack():
    return from_environment()


@pytest.fixture(scope="session")
def base_url(stack):
    return stack.url


@pytest.fixture(scope="session")
def token(stack):
    """`token("dispatch")`: a token of a demo user; see users.EMAILS."""
    cache = {}
    return lambda user: cache.setdefault(user, users.token(stack, user))


@pytest.fixture(scope="session")
def s3(stack):
    return ministack.client(stack, "s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))


@pytest.fixture(scope="session")
def bucket(stack):
    """The name of the bucket of documents."""
    return deploy.outputs(stack)["DocumentsBucketName"]


@pytest.fixture(scope="session")
def demo(stack):
    """The demo carriers, for tests that only read; a test that writes creates what it needs."""
    seed.run(stack)


@pytest.fixture(scope="session")
def client(base_url, token):
    """`client("owner").get("/v1/me")`: a session that signs its requests as a demo user, or as nobody."""

    return lambda user=None: Session(token(user) if user else None, base_url)


@pytest.fixture
def database(stack):
    """A superuser's cursor, for looking at what no API shows; each statement is a transaction."""
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        yield cursor
