// Calls with the MCP project's own clients for JavaScript: `client` of the newest version, `sdk` with sessions.
import { Client as Newest, StreamableHTTPClientTransport as NewestTransport } from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const url = new URL(`${process.env.AIOSTREAM_BASE_URL}/mcp`);
const about = { name: "test", version: "1.0.0" };
const asked = (scenario) => `Do what <${scenario}> says.`;
const kinds = {
  sdk: [() => new Client(about), () => new StreamableHTTPClientTransport(url)],
  client: [() => new Newest(about, { versionNegotiation: { mode: "auto" } }), () => new NewestTransport(url)],
};

async function opened(kind, use) {
  const [client, transport] = [kinds[kind][0](), kinds[kind][1]()];
  await client.connect(transport);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

const call = (client, kind, name, args, options) =>
  kind === "sdk"
    ? client.callTool({ name, arguments: args }, undefined, options)
    : client.callTool({ name, arguments: args }, options);

const scenarios = {
  listed: (kind) => opened(kind, async (client) => ({ tools: (await client.listTools()).tools.map((tool) => tool.name) })),
  called: (kind) =>
    opened(kind, async (client) => {
      const progress = [];
      const onprogress = ({ progress: done }) => progress.push(done);
      const result = await call(client, kind, "solo", { question: asked("words") }, { onprogress });
      return { text: result.structuredContent.answer, rises: progress.length > 0, error: result.isError ?? false };
    }),
  cancel: (kind) =>
    opened(kind, async (client) => {
      const stop = new AbortController();
      const onprogress = () => setTimeout(() => stop.abort(), 500); // until the model was asked
      const stalled = { question: asked(`stall_${kind}`) };
      const said = await call(client, kind, "solo", stalled, { onprogress, signal: stop.signal }).catch(() => "stopped");
      const again = await call(client, kind, "solo", { question: asked("words") });
      return { said, again: again.isError ?? false };
    }),
  unknown: (kind) => opened(kind, (client) => call(client, kind, "nobody", {})),
};

await Promise.all(
  Object.keys(kinds).flatMap((kind) =>
    Object.entries(scenarios).map(async ([name, run]) => {
      const outcome = await run(kind).catch((error) => ({ raised: error.constructor.name, said: String(error.message) }));
      console.log(JSON.stringify({ scenario: `${name} ${kind}`, ...outcome }));
    }),
  ),
);
console.log(JSON.stringify({ scenario: "end" }));
process.stdin.resume();
