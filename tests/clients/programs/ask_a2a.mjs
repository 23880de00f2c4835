// Asks with the A2A project's own client for JavaScript.
import { ClientFactory } from "@a2a-js/sdk/client";

const base = process.env.AIOSTREAM_BASE_URL;
const clientOf = (model) => new ClientFactory().createFromUrl(`${base}/a2a/${model}/.well-known/agent-card.json`, "");
const message = (text, more = {}) => ({
  message: {
    messageId: crypto.randomUUID(),
    role: 1,
    parts: [{ content: { $case: "text", value: text }, metadata: undefined, filename: "", mediaType: "" }],
    contextId: "",
    taskId: "",
    extensions: [],
    referenceTaskIds: [],
    ...more,
  },
});
const asked = (scenario) => `Do what <${scenario}> says.`;
const textOf = (artifact) => artifact.parts.map((part) => part.content.value).join("");

async function watch(events) {
  const seen = { text: "", states: [], pieces: 0 };
  for await (const { payload } of events) {
    if (payload.$case === "task") {
      Object.assign(seen, { taskId: payload.value.id, contextId: payload.value.contextId });
      seen.states.push(payload.value.status.state);
    } else if (payload.$case === "statusUpdate") seen.states.push(payload.value.status.state);
    else {
      seen.pieces += 1;
      seen.text += textOf(payload.value.artifact);
    }
  }
  return seen;
}

const scenarios = {
  async stream() {
    const { text, states, pieces } = await watch((await clientOf("solo")).sendMessageStream(message(asked("words"))));
    return { text, states: [states[0], states.at(-1)], pieces };
  },
  async whole() {
    const sent = await (await clientOf("solo")).sendMessage(message(asked("words")));
    const task = sent.payload?.value ?? sent;
    return { text: task.artifacts.map(textOf).join(""), states: [task.status.state] };
  },
  async reply() {
    const client = await clientOf("until-approved");
    const first = await watch(client.sendMessageStream(message(asked("words"))));
    const { taskId, contextId } = first;
    const last = await watch(client.sendMessageStream(message("APPROVE", { taskId, contextId })));
    return { same: last.taskId === taskId, states: [first.states.at(-1), last.states.at(-1)] };
  },
  async unknown() {
    await (await clientOf("solo")).getTask({ id: `task-${"A".repeat(24)}` });
  },
};

await Promise.all(
  Object.entries(scenarios).map(async ([scenario, run]) => {
    const outcome = await run().catch((error) => ({ raised: error.constructor.name, said: String(error.message) }));
    console.log(JSON.stringify({ scenario, ...outcome }));
  }),
);
console.log(JSON.stringify({ scenario: "end" }));
process.stdin.resume();
