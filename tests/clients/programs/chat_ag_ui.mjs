// AG-UI's own client: it checks the order of events, and keeps the messages of the thread.
import { isDeepStrictEqual } from 'node:util'
import { HttpAgent, runHttpRequest, transformHttpEventStream } from '@ag-ui/client'

const base = process.env.AIOSTREAM_BASE_URL
const question = 'Which region had the highest total sales?'
const started = (model, threadId, text) =>
  new HttpAgent({ url: `${base}/ag-ui/${model}`, threadId, initialMessages: [{ id: 'm1', role: 'user', content: text }] })
const answer = (agent) => agent.messages.filter((message) => message.role === 'assistant' && message.content).at(-1)?.content
const roles = (agent) => [...new Set(agent.messages.map((message) => message.role))].sort()

// What is subscribed to is called with each event of its kind.
function noting() {
  const noted = { custom: [], subagents: [], outcome: null, usage: null }
  const subscriber = {
    onCustomEvent: ({ event }) => { noted.custom.push(event.name) },
    onEvent: ({ event }) => {
      if (event.type === 'SUBAGENT_STARTED') noted.subagents.push(event.name)
      if (event.type === 'RUN_FINISHED') Object.assign(noted, { outcome: event.outcome?.type, usage: event.usage })
    },
  }
  return { noted, subscriber }
}

async function run() {
  const agent = started('auto', 'run', question)
  const { noted, subscriber } = noting()
  await agent.runAgent({}, subscriber)
  return { text: answer(agent), roles: roles(agent), ...noted }
}

async function interrupted() {
  const agent = started('careful', 'interrupted', question)
  await agent.runAgent()
  const [asked] = agent.pendingInterrupts
  const { noted, subscriber } = noting()
  const other = started('careful', 'interrupted', question)
  const unknown = await other.runAgent({ resume: [{ interruptId: 'run-none-input', status: 'cancelled' }] }).catch((error) => error.payload.error)
  const resume = [{ interruptId: asked.id, status: 'resolved', payload: { approved: true } }]
  await agent.runAgent({ resume }, subscriber)
  return { unknown: unknown.param, reason: asked.reason, schema: asked.responseSchema.required, left: agent.pendingInterrupts.length, text: answer(agent), ...noted }
}

async function tools() {
  const agent = started('slow', 'tools', 'Do what <tool> says.')
  const tools = [{ name: 'place', description: 'Where the user is', parameters: { type: 'object', properties: {} } }]
  await agent.runAgent({ tools })
  const call = agent.messages.flatMap((message) => message.toolCalls ?? []).find((call) => call.function.name === 'place')
  agent.addMessage({ id: 'result', role: 'tool', toolCallId: call.id, content: 'Rome' })
  await agent.runAgent({ tools })
  return { text: answer(agent) }
}

class Connecting extends HttpAgent {
  connect(input) {
    return transformHttpEventStream(runHttpRequest(() => fetch(`${this.url}/${input.threadId}`)))
  }
}

// Whoever comes back has the same messages, the state of the page, and what the team asked.
async function connect() {
  const first = started('careful', 'connect', 'What is 15% of 850?')
  first.setState({ page: 'sales', filters: { year: 2024 } })
  await first.runAgent()
  first.addMessage({ id: 'm2', role: 'user', content: 'Do what <broken_off> says.' })
  first.url = `${base}/ag-ui/slow`
  await first.runAgent().catch(() => null)
  first.addMessage({ id: 'm3', role: 'user', content: question })
  first.url = `${base}/ag-ui/careful`
  await first.runAgent()
  const later = new Connecting({ url: first.url, threadId: 'connect' })
  const runs = []
  await later.connectAgent({}, { onRunStartedEvent: ({ event }) => { runs.push(event.runId) } })
  return {
    runs: new Set(runs).size,
    same: isDeepStrictEqual(later.messages, first.messages),
    waits: isDeepStrictEqual(later.pendingInterrupts, first.pendingInterrupts) && first.pendingInterrupts.length,
    state: later.state,
    users: later.messages.filter((message) => message.role === 'user').map((message) => message.content),
    text: answer(later),
  }
}

async function aborted() {
  const agent = started('slow', 'aborted', 'Do what <slow> says.')
  const sent = agent.runAgent({}, { onTextMessageContentEvent: () => { agent.abortRun() } }).catch(() => null)
  await sent
  return { text: answer(agent) }
}

async function broken() {
  let said
  const agent = started('slow', 'broken', 'Do what <broken_off> says.')
  await agent.runAgent({}, { onRunErrorEvent: ({ event }) => { said = event } }).catch(() => null)
  return { said: said?.message, code: said?.code }
}

async function refused() {
  const agent = started('nobody', 'refused', 'hi')
  return agent.runAgent().then(() => ({}), (error) => ({ status: error.status, code: error.payload.error.code }))
}

console.error = () => {}
const scenarios = { run, interrupted, tools, connect, aborted, broken, refused }
await Promise.all(
  Object.entries(scenarios).map(async ([scenario, run]) => {
    const outcome = await run().catch((error) => ({ raised: String(error.stack ?? error) }))
    console.log(JSON.stringify({ scenario, ...outcome }))
  }),
)
console.log(JSON.stringify({ scenario: 'end' }))
process.stdin.on('end', () => process.exit()).resume()
