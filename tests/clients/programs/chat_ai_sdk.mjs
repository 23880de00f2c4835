// Vercel's AI SDK as a page uses it: its transport, its reader of streams, and `useChat` in a document of jsdom.
import { JSDOM } from 'jsdom'

const { window } = new JSDOM('<div id="page"></div>')
for (const name of ['window', 'document', 'navigator']) {
  Object.defineProperty(globalThis, name, { value: window[name], configurable: true })
}

const {
  DefaultChatTransport,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
  readUIMessageStream,
} = await import('ai')
const { Chat, useChat } = await import('@ai-sdk/react')
const { createElement } = await import('react')
const { createRoot } = await import('react-dom/client')

const base = process.env.AIOSTREAM_BASE_URL
const api = (model) => `${base}/ai-sdk/${model}`
const user = (text) => ({ id: 'question', role: 'user', parts: [{ type: 'text', text }] })
const textOf = (message) => message.parts.filter((part) => part.type === 'text').map((part) => part.text).join('')
const kinds = (message) => message.parts.map((part) => [part.type, part.state].filter(Boolean).join(':'))

async function until(condition) {
  for (const started = Date.now(); ; ) {
    const found = condition()
    if (found) return found
    if (Date.now() - started > 30_000) throw new Error(`never: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const isDone = (chat) => ['ready', 'error'].includes(chat.status)

// Mounts a page with `useChat`; `page.chat` is what the hook returned last.
function mount(options) {
  const page = {}
  const element = window.document.createElement('div')
  const root = createRoot(element)
  const Page = () => {
    page.chat = useChat(options)
    return null
  }
  root.render(createElement(Page))
  page.unmount = () => root.unmount()
  return page
}

async function transport() {
  const chunks = []
  const stream = await new DefaultChatTransport({ api: api('auto') }).sendMessages({
    chatId: 'transport', messages: [user('Which region had the highest total sales?')], trigger: 'submit-message',
  })
  const watched = stream.pipeThrough(new TransformStream({
    transform(chunk, controller) { chunks.push(chunk); controller.enqueue(chunk) },
  }))
  let message
  const raise = (error) => { throw error }
  for await (const each of readUIMessageStream({ stream: watched, onError: raise, terminateOnError: true })) message = each
  return { kinds: kinds(message), text: textOf(message), first: chunks[0].type, last: chunks.at(-1) }
}

async function resume() {
  const options = { id: 'resume', transport: new DefaultChatTransport({ api: api('slow') }) }
  const left = mount(options)
  await until(() => left.chat)
  left.chat.sendMessage({ text: 'Do what <gated> says.' })
  await until(() => left.chat.messages.length === 2 && textOf(left.chat.messages[1]))
  const { messages } = left.chat
  left.unmount()
  const back = mount({ ...options, messages, resume: true })
  await until(() => back.chat?.status === 'streaming')
  const other = new Chat({ transport: new DefaultChatTransport({ api: api('slow') }) })
  await other.sendMessage({ text: 'Do what <open> says.' })
  await until(() => isDone(back.chat))
  const whole = back.chat.messages
  back.unmount()
  const late = mount({ ...options, messages: whole, resume: true })
  await until(() => late.chat)
  await new Promise((resolve) => setTimeout(resolve, 200))
  const after = { status: late.chat.status, messages: late.chat.messages.length }
  late.unmount()
  return { before: textOf(messages[1]), text: textOf(whole[1]), messages: whole.length, after }
}

async function stop() {
  const chat = new Chat({ id: 'stop', transport: new DefaultChatTransport({ api: api('slow') }) })
  const sent = chat.sendMessage({ text: 'Do what <slow> says.' })
  await until(() => chat.messages.length === 2 && textOf(chat.messages[1]))
  const stopped = await fetch(`${api('slow')}/stop/stop`, { method: 'POST' })
  await sent
  return { stopped: (await stopped.json()).reason, status: chat.status, kinds: kinds(chat.messages[1]) }
}

async function approve() {
  const chat = new Chat({
    id: 'approve',
    transport: new DefaultChatTransport({ api: api('careful') }),
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  })
  await chat.sendMessage({ text: 'Which region had the highest total sales?' })
  const asked = kinds(chat.messages[1])
  const part = chat.messages[1].parts.find((part) => part.state === 'approval-requested')
  await chat.addToolApprovalResponse({ id: part.approval.id, approved: true })
  await until(() => isDone(chat) && !kinds(chat.messages.at(-1)).some((kind) => kind.includes('approval')))
  await until(() => isDone(chat))
  return { asked, answered: kinds(chat.messages[1]), messages: chat.messages.length, text: textOf(chat.messages[1]) }
}

async function tool() {
  const tools = { place: { description: 'Where the user is', parameters: { type: 'object', properties: {} } } }
  const chat = new Chat({
    id: 'tool',
    transport: new DefaultChatTransport({ api: api('slow'), body: { tools } }),
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall }) => { chat.addToolOutput({ tool: 'place', toolCallId: toolCall.toolCallId, output: 'Rome' }) },
  })
  await chat.sendMessage({ text: 'Do what <tool> says.' })
  await until(() => isDone(chat) && textOf(chat.messages.at(-1)))
  return { kinds: kinds(chat.messages[1]), messages: chat.messages.length, text: textOf(chat.messages[1]) }
}

async function regenerate() {
  const chat = new Chat({ id: 'regenerate', transport: new DefaultChatTransport({ api: api('general') }) })
  await chat.sendMessage({ text: 'What is 15% of 850?' })
  const [, first] = chat.messages
  await chat.regenerate()
  await chat.sendMessage({ text: 'What is 20% of 850?' })
  const texts = chat.messages.map(textOf)
  return { texts, isNew: chat.messages[1].id !== first.id, metadata: Object.keys(chat.messages[1].metadata).sort() }
}

async function refused() {
  const chat = new Chat({ transport: new DefaultChatTransport({ api: api('nobody') }) })
  await chat.sendMessage({ text: 'hi' })
  return { status: chat.status, code: JSON.parse(chat.error.message).error.code }
}

async function broken() {
  const chat = new Chat({ transport: new DefaultChatTransport({ api: api('slow') }) })
  await chat.sendMessage({ text: 'Do what <broken_off> says.' })
  return { status: chat.status, said: chat.error.message, text: textOf(chat.messages[1]) }
}

const scenarios = { transport, resume, stop, approve, tool, regenerate, refused, broken }
await Promise.all(
  Object.entries(scenarios).map(async ([scenario, run]) => {
    const outcome = await run().catch((error) => ({ raised: String(error.stack ?? error) }))
    console.log(JSON.stringify({ scenario, ...outcome }))
  }),
)
console.log(JSON.stringify({ scenario: 'end' }))
process.stdin.on('end', () => process.exit()).resume()
