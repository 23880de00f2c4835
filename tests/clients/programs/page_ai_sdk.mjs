// The page of docs/ai-sdk.md, in a document of jsdom: a question is typed, and the query that the team shows is approved.
import { readFileSync } from 'node:fs'
import { build } from 'esbuild'
import { JSDOM } from 'jsdom'

const [, shown] = readFileSync(process.env.AIOSTREAM_PAGE, 'utf8').match(/^```jsx\n(.*?)^```/ms)
const page = shown.replace(/http:.*(?=')/, `${process.env.AIOSTREAM_BASE_URL}/ai-sdk/careful`)
const mounting = `
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
export const mount = (element) => createRoot(element).render(createElement(ChatPage, { id: 'page', messages: [] }))`
const built = await build({
  stdin: { contents: page + mounting, loader: 'jsx', resolveDir: process.cwd() },
  bundle: true, write: false, format: 'esm', jsx: 'automatic', logLevel: 'error', define: { 'process.env.NODE_ENV': '"production"' },
})

const { window } = new JSDOM('<div id="page"></div>', { url: 'http://localhost' })
for (const name of ['window', 'document', 'navigator', 'FormData']) {
  Object.defineProperty(globalThis, name, { value: name === 'window' ? window : window[name], configurable: true })
}
const { mount } = await import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString('base64')}`)
const element = window.document.getElementById('page')
mount(element)

async function until(condition) {
  for (const started = Date.now(); ; ) {
    const found = condition()
    if (found) return found
    if (Date.now() - started > 30_000) throw new Error(`never: ${condition} in ${element.textContent}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const form = await until(() => element.querySelector('form'))
form.elements.question.value = 'Which region had the highest total sales?'
form.dispatchEvent(new window.Event('submit', { bubbles: true, cancelable: true }))
const button = await until(() => [...element.querySelectorAll('button')].find((each) => each.textContent === 'Yes'))
const asked = element.textContent
button.click()
await until(() => element.textContent.includes('region had the highest total sales: '))
console.log(JSON.stringify({ scenario: 'page', asked: asked.includes('Reply'), text: element.textContent }))
console.log(JSON.stringify({ scenario: 'end' }))
process.stdin.on('end', () => process.exit()).resume()
