// Judges recorded streams by the AI SDK: each line of the input is a stream as a JSON string; tells what is wrong, or null.
import { createInterface } from 'node:readline'
import { DefaultChatTransport, readUIMessageStream } from 'ai'

async function verify(body) {
  const fetch = async () => new Response(body)
  const stream = await new DefaultChatTransport({ api: 'http://none', fetch }).sendMessages({ messages: [] })
  let message
  let said = null
  const onError = (error) => { said ??= error.message }
  for await (const each of readUIMessageStream({ stream, onError })) message = each
  return { said, open: message.parts.filter((part) => part.state === 'streaming').length }
}

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await verify(JSON.parse(line)).catch((error) => ({ said: String(error) }))
  console.log(JSON.stringify(outcome))
}
