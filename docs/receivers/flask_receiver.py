"""Receives Prism's webhooks with Flask: pip install flask"""

import hashlib
import hmac
import os

from flask import Flask, request

# Two while one takes over from the other: what either signed is taken.
SECRETS = [
    os.environ[name].encode()
    for name in ("PRISM_WEBHOOK_SECRET", "PRISM_WEBHOOK_OTHER_SECRET")
    if os.environ.get(name)
]
if not SECRETS:
    raise SystemExit("PRISM_WEBHOOK_SECRET is not set")
app = Flask(__name__)


def signed(secret, body, given):
    expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    # In constant time: how long it takes must not tell how much of a guess is right.
    return hmac.compare_digest(expected.encode(), given)


@app.post("/webhook")
def receive():
    # The bytes as they came: JSON that was parsed and written again has another signature.
    body = request.get_data()
    given = request.headers.get("X-Prism-Signature", "").encode()
    if not any(signed(secret, body, given) for secret in SECRETS):
        return {"error": "wrong signature"}, 401
    # Answer within ten seconds, and do what takes longer afterwards. A request can come twice:
    # X-Prism-Delivery is the same then.
    return {"received": True}


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "9000")))
