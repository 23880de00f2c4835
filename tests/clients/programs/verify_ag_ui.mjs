// Judges recorded streams by AG-UI's client: each line of the input is a stream as a JSON string; tells what is wrong, or null.
import { createInterface } from 'node:readline'
import { HttpAgent } from '@ag-ui/client'

console.error = console.warn = () => {}

async function verify(body) {
  let said = null
  const fetch = async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  const agent = new HttpAgent({ url: 'http://none', threadId: 'talk', fetch })
  await agent.runAgent({}, { onRunErrorEvent: ({ event }) => { said = event.message } }).catch((error) => { said ??= String(error) })
  return { said, roles: agent.messages.map((message) => message.role), interrupts: agent.pendingInterrupts.length }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await verify(JSON.parse(line))))
}
