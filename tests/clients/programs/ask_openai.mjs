// openai-node, with its own retries.
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'

const client = new OpenAI({ baseURL: process.env.AIOSTREAM_BASE_URL, apiKey: 'none' })
const model = process.env.AIOSTREAM_MODEL
const messages = (scenario) => [{ role: 'user', content: `Do what <${scenario}> says.` }]
const Region = z.object({ name: z.string(), total: z.number().int() })

async function whole(scenario) {
  const answer = await client.chat.completions.create({ model, messages: messages(scenario) })
  const [choice] = answer.choices
  return { text: choice.message.content, finish: choice.finish_reason, tokens: answer.usage.total_tokens }
}

async function stream(scenario) {
  const pieces = []
  let finish
  for await (const chunk of await client.chat.completions.create({ model, messages: messages(scenario), stream: true })) {
    pieces.push(chunk.choices[0].delta.content ?? '')
    finish = chunk.choices[0].finish_reason ?? finish
  }
  return { text: pieces.join(''), finish, pieces: pieces.length }
}

async function cancel(scenario) {
  const chunks = await client.chat.completions.create({ model, messages: messages(scenario), stream: true })
  for await (const chunk of chunks) {
    const text = chunk.choices[0].delta.content
    if (text) {
      chunks.controller.abort()
      return { text }
    }
  }
}

async function typed(scenario) {
  const format = zodResponseFormat(Region, 'region')
  const answer = await client.chat.completions.parse({ model, messages: messages(scenario), response_format: format })
  return { typed: answer.choices[0].message.parsed }
}

async function tools(scenario) {
  const ran = []
  const weather = {
    name: 'weather',
    description: 'The weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    parse: JSON.parse,
    function: ({ city }) => {
      ran.push(city)
      return 'rain'
    },
  }
  const runner = client.chat.completions.runTools({
    model: process.env.AIOSTREAM_MODEL_WITH_TOOLS,
    stream: true,
    messages: messages(scenario),
    tools: [{ type: 'function', function: weather }],
  })
  return { text: await runner.finalContent(), ran }
}

const scenarios = { whole, stream, cancel, tools, typed, never_typed: typed }
for (const name of process.env.AIOSTREAM_FAILURES.split(' ')) scenarios[name] = whole
Object.assign(scenarios, { broken_stream: stream, broken_off: stream })
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
