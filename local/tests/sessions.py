"""HTTP as a well-behaved client of the API does it: who has asked too often waits as long as the answer says, and asks again."""

import uuid

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from local import users

PATIENCE = Retry(
    total=20, connect=0, read=0, status_forcelist=[429], allowed_methods=None, respect_retry_after_header=True,
    raise_on_status=False,
)


class Session(requests.Session):
    """Addresses follow the base, if there is one."""

    def __init__(self, token=None, base_url=""):
        super().__init__()
        self.base_url = base_url
        self.mount("http://", HTTPAdapter(max_retries=PATIENCE))
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method, url, **options):
        return super().request(method, self.base_url + url, timeout=options.pop("timeout", 30), **options)


def newcomer(stack, base_url=""):
    """Of somebody who has never been here and has no carrier yet."""
    return Session(users.newcomer(stack, f"{uuid.uuid4().hex}@carhaul.example"), base_url)
