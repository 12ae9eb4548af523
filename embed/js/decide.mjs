// Decides requests with the component, in Node or anywhere that runs JavaScript.
//
// First the component becomes a JavaScript module, once, in a folder whose package.json says "type": "module":
//   npx jco transpile target/wasm/pdp-component.wasm -o component
// Then: node decide.mjs component/pdp-component.js BUNDLE REQUESTS
// BUNDLE is a file of `pdp build`; REQUESTS has one request in JSON a line. Each gives a line of JSON.
//
// What throws was not allowed: only an answer that says `allow` is one.

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [component, bundle, requests] = process.argv.slice(2);
if (requests === undefined) {
  console.error("usage: node decide.mjs COMPONENT BUNDLE REQUESTS");
  process.exit(64);
}
const { engine } = await import(pathToFileURL(component));
engine.loadBundle(await readFile(bundle));

const text = new TextEncoder();
for (const line of (await readFile(requests, "utf8")).split("\n")) {
  if (line === "") continue;
  // The fast way gives the effect alone; `answerBytes` says why as well.
  const effect = engine.authorizeBytes(text.encode(line));
  const { reason, policies, message } = engine.answerBytes(text.encode(line));
  console.log(JSON.stringify({ decision: effect, reason, policies, message }));
}

// A request with types, for hosts that have its parts in hand; the bundle made of policies/documents allows this one.
const entity = (entityType, id) => ({ entityType, id });
const answer = engine.authorize({
  principal: entity("Documents::User", "mira"),
  action: entity("Documents::Action", "delete"),
  resource: entity("Documents::Document", "atlas/brief"),
  context: [["ip", { tag: "ip", val: "198.51.100.23" }]],
  parts: [],
  actors: [],
  scopes: [],
  entities: [],
  now: BigInt(Date.now()),
});
console.log(JSON.stringify({ typed: answer.effect, reason: answer.reason }));
