// openai-node: its accumulator reads every event.
import OpenAI from 'openai'

const client = new OpenAI({ baseURL: process.env.AIOSTREAM_BASE_URL, apiKey: 'none' })
const model = process.env.AIOSTREAM_MODEL
const question = (scenario) => `Do what <${scenario}> says.`

async function whole(scenario) {
  const answer = await client.responses.create({ model, input: question(scenario) })
  return { text: answer.output_text, tokens: answer.usage.total_tokens }
}

async function stream(scenario) {
  const events = client.responses.stream({ model, input: question(scenario) })
  let pieces = 0
  for await (const event of events) if (event.type === 'response.output_text.delta') pieces += 1
  return { text: (await events.finalResponse()).output_text, pieces }
}

async function own_tool(scenario) {
  const answer = await client.responses.create({ model: process.env.AIOSTREAM_TOOL_MODEL, input: question(scenario) })
  return { text: answer.output_text }
}

async function chain(scenario) {
  const input = question(scenario)
  const first = await client.responses.create({ model, input })
  return { text: (await client.responses.create({ model, input, previous_response_id: first.id })).output_text }
}

async function background(scenario) {
  const queued = await client.responses.create({ model, input: question(scenario), background: true })
  const events = client.responses.stream({ response_id: queued.id, starting_after: 0 })
  return { text: (await events.finalResponse()).output_text }
}

const scenarios = { whole, stream, own_tool, chain, background, limited: whole }
await Promise.all(
  Object.entries(scenarios).map(async ([scenario, run]) => {
    const outcome = await run(scenario).catch((error) => ({
      raised: error.constructor.name,
      status: error.status,
      said: error.message,
    }))
    console.log(JSON.stringify({ scenario, ...outcome }))
  }),
)
console.log(JSON.stringify({ scenario: 'end' }))
process.stdin.on('end', () => process.exit()).resume()
