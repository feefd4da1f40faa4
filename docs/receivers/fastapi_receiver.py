"""Receives Prism's webhooks with FastAPI: pip install fastapi uvicorn"""

import hashlib
import hmac
import os

import uvicorn
from fastapi import FastAPI, HTTPException, Request

SECRET = os.environ["PRISM_WEBHOOK_SECRET"].encode()
app = FastAPI()


@app.post("/webhook")
async def receive(request: Request):
    # The bytes as they came: JSON that was parsed and written again has another signature.
    body = await request.body()
    expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    given = request.headers.get("X-Prism-Signature", "")
    # In constant time: how long it takes must not tell how much of a guess is right.
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise HTTPException(status_code=401, detail="wrong signature")
    # Answer within ten seconds, and do what takes longer afterwards. A request can come twice:
    # X-Prism-Delivery is the same then.
    return {"received": True}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "9000")))
