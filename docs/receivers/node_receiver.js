// Receives Prism's webhooks with Node.js alone: node node_receiver.js
"use strict";

const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");

// Two while one takes over from the other: what either signed is taken.
const { PRISM_WEBHOOK_SECRET, PRISM_WEBHOOK_OTHER_SECRET } = process.env;
const secrets = [PRISM_WEBHOOK_SECRET, PRISM_WEBHOOK_OTHER_SECRET].filter(Boolean);
if (secrets.length === 0) throw new Error("PRISM_WEBHOOK_SECRET is not set");

function signed(secret, body, given) {
  const digest = createHmac("sha256", secret).update(body).digest("hex");
  const expected = Buffer.from("sha256=" + digest);
  // In constant time: how long it takes must not tell how much of a guess is right.
  return given.length === expected.length && timingSafeEqual(given, expected);
}

createServer((request, response) => {
  // The bytes as they came: JSON that was parsed and written again has another signature.
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const given = Buffer.from(request.headers["x-prism-signature"] ?? "");
    const valid = secrets.some((secret) => signed(secret, body, given));
    // Answer within ten seconds, and do what takes longer afterwards. A request can come twice:
    // X-Prism-Delivery is the same then.
    response.writeHead(valid ? 200 : 401, { "Content-Type": "application/json" });
    response.end(JSON.stringify(valid ? { received: true } : { error: "wrong signature" }));
  });
}).listen(Number(process.env.PORT ?? 9000), "127.0.0.1");
