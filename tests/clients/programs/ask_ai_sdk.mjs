// Vercel's AI SDK with its provider for OpenAI-compatible servers: it repeats failures three times, whatever the headers say.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai'
import { z } from 'zod'

const provider = createOpenAICompatible({
  name: 'aiostream',
  baseURL: process.env.AIOSTREAM_BASE_URL,
  apiKey: 'none',
  supportsStructuredOutputs: true,
})
const model = provider(process.env.AIOSTREAM_MODEL)
const prompt = (scenario) => `Do what <${scenario}> says.`

async function whole(scenario) {
  const answer = await generateText({ model, prompt: prompt(scenario) })
  return { text: answer.text, finish: answer.finishReason, tokens: answer.usage.totalTokens }
}

async function stream(scenario) {
  const pieces = []
  let error
  const answer = streamText({ model, prompt: prompt(scenario), onError: (event) => (error = event.error) })
  for await (const piece of answer.textStream) pieces.push(piece)
  if (error) throw error
  return { text: pieces.join(''), finish: await answer.finishReason, pieces: pieces.length }
}

async function cancel(scenario) {
  const stop = new AbortController()
  const answer = streamText({ model, prompt: prompt(scenario), abortSignal: stop.signal, onError() {} })
  for await (const text of answer.textStream) {
    stop.abort()
    return { text }
  }
}

async function typed(scenario) {
  const schema = z.object({ name: z.string(), total: z.number().int() })
  const answer = await generateObject({ model, schema, prompt: prompt(scenario) })
  return { typed: answer.object }
}

async function tools(scenario) {
  const ran = []
  const weather = tool({
    description: 'The weather of a city.',
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      ran.push(city)
      return 'rain'
    },
  })
  const answer = streamText({
    model: provider(process.env.AIOSTREAM_MODEL_WITH_TOOLS),
    prompt: prompt(scenario),
    tools: { weather },
    stopWhen: stepCountIs(5),
  })
  return { text: await answer.text, ran }
}

const scenarios = { whole, stream, cancel, tools, typed, never_typed: typed }
for (const name of process.env.AIOSTREAM_FAILURES.split(' ')) scenarios[name] = whole
Object.assign(scenarios, { broken_stream: stream, broken_off: stream })
await Promise.all(
  Object.entries(scenarios).map(async ([scenario, run]) => {
    const outcome = await run(scenario).catch((error) => ({
      raised: error.name ?? 'object',
      status: error.statusCode ?? error.lastError?.statusCode,
      said: error.message ?? JSON.stringify(error),
    }))
    console.log(JSON.stringify({ scenario, ...outcome }))
  }),
)
console.log(JSON.stringify({ scenario: 'end' }))
process.stdin.on('end', () => process.exit()).resume()
