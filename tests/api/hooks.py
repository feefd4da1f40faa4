"""What schemathesis is told before it sends a request that fits the document."""

import os
import urllib.parse

import schemathesis

RECEIVER = os.environ["CONTRACT_RECEIVER"]


@schemathesis.hook
def before_call(context, case, kwargs):
    # What is wrong with a request on purpose stays wrong.
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    stay_here(case)
    keep_quotes(case)


def stay_here(case):
    """Endpoints of webhooks are on this machine: nobody outside is to get a request of ours."""
    body = case.body
    if not isinstance(body, dict) or not isinstance(body.get("url"), str):
        return
    url = urllib.parse.urlsplit(body["url"])
    if url.scheme in ("http", "https") and url.netloc:
        case.body = {**body, "url": url._replace(netloc=RECEIVER).geturl()}


def keep_quotes(case):
    """Some of its ETags come without the quotes that their pattern asks for: then none is sent."""
    tag = (case.headers or {}).get("If-Match")
    if tag is not None and not str(tag).startswith('"'):
        case.headers = {name: value for name, value in case.headers.items() if name != "If-Match"}
