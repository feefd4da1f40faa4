"""Receives Prism's webhooks with FastAPI: pip install fastapi uvicorn"""

import hashlib
import hmac
import os

import uvicorn
from fastapi import FastAPI, HTTPException, Request

# Two while one takes over from the other: what either signed is taken.
SECRETS = [
    os.environ[name].encode()
    for name in ("PRISM_WEBHOOK_SECRET", "PRISM_WEBHOOK_OTHER_SECRET")
    if os.environ.get(name)
]
if not SECRETS:
    raise SystemExit("PRISM_WEBHOOK_SECRET is not set")
app = FastAPI()


def signed(secret, body, given):
    expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    # In constant time: how long it takes must not tell how much of a guess is right.
    return hmac.compare_digest(expected.encode(), given)


@app.post("/webhook")
async def receive(request: Request):
    # The bytes as they came: JSON that was parsed and written again has another signature.
    body = await request.body()
    given = request.headers.get("X-Prism-Signature", "").encode()
    if not any(signed(secret, body, given) for secret in SECRETS):
        raise HTTPException(status_code=401, detail="wrong signature")
    # Answer within ten seconds, and do what takes longer afterwards. A request can come twice:
    # X-Prism-Delivery is the same then.
    return {"received": True}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "9000")))
