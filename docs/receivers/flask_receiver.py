"""Receives Prism's webhooks with Flask: pip install flask"""

import hashlib
import hmac
import os

from flask import Flask, request

SECRET = os.environ["PRISM_WEBHOOK_SECRET"].encode()
app = Flask(__name__)


@app.post("/webhook")
def receive():
    # The bytes as they came: JSON that was parsed and written again has another signature.
    body = request.get_data()
    expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    given = request.headers.get("X-Prism-Signature", "")
    # In constant time: how long it takes must not tell how much of a guess is right.
    if not hmac.compare_digest(expected.encode(), given.encode()):
        return {"error": "wrong signature"}, 401
    # Answer within ten seconds, and do what takes longer afterwards. A request can come twice:
    # X-Prism-Delivery is the same then.
    return {"received": True}


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "9000")))
