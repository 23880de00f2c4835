// Vercel's AI SDK with its OpenAI provider, which speaks Responses and refers to earlier items by their ids.
import { createOpenAI } from '@ai-sdk/openai'
import { generateText, stepCountIs, streamText, tool } from 'ai'
import { z } from 'zod'

const provider = createOpenAI({ baseURL: process.env.AIOSTREAM_BASE_URL, apiKey: 'none' })
const model = provider(process.env.AIOSTREAM_MODEL)
const prompt = (scenario) => `Do what <${scenario}> says.`

async function whole(scenario) {
  const answer = await generateText({ model, prompt: prompt(scenario) })
  return { text: answer.text, tokens: answer.usage.totalTokens }
}

async function stream(scenario) {
  const pieces = []
  let error
  const answer = streamText({ model, prompt: prompt(scenario), onError: (event) => (error = event.error) })
  for await (const piece of answer.textStream) pieces.push(piece)
  if (error) throw error
  return { text: pieces.join(''), pieces: pieces.length }
}

async function own_tool(scenario) {
  const answer = await generateText({ model: provider(process.env.AIOSTREAM_TOOL_MODEL), prompt: prompt(scenario) })
  return { text: answer.text }
}

async function chain(scenario) {
  const messages = [{ role: 'user', content: prompt(scenario) }]
  const first = await generateText({ model, messages })
  messages.push(...first.response.messages, { role: 'user', content: prompt(scenario) })
  return { text: (await generateText({ model, messages })).text }
}

async function client_tool(scenario) {
  const ran = []
  const add = tool({
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    execute: ({ a, b }) => {
      ran.push([a, b])
      return a + b
    },
  })
  const helper = provider(process.env.AIOSTREAM_MODEL_WITH_TOOLS)
  const answer = await generateText({ model: helper, prompt: prompt(scenario), tools: { add }, stopWhen: stepCountIs(3) })
  return { text: answer.text, ran }
}

const scenarios = { whole, stream, own_tool, chain, client_tool, limited: whole }
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
