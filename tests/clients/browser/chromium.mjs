// A headless Chromium, driven by the DevTools protocol over two pipes: messages are JSON, each ended by a NUL.
//
// It finds no host but this machine, and takes any certificate.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PATIENCE = 60_000

const FLAGS = [
  '--headless',
  '--remote-debugging-pipe',
  '--no-first-run',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  // Root has no sandbox, and the pages are our own.
  '--no-sandbox',
  '--ignore-certificate-errors',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
]

/** Starts a Chromium with a profile of its own. */
export async function launch(program) {
  const profile = await mkdtemp(join(tmpdir(), 'chromium-'))
  const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']
  const child = spawn(program, [...FLAGS, `--user-data-dir=${profile}`], { stdio })
  return new Browser(child, profile)
}

class Browser {
  #child
  #profile
  #asked = new Map()
  #count = 0

  constructor(child, profile) {
    this.#child = child
    this.#profile = profile
    const fail = (why) => this.#asked.forEach(({ reject }) => reject(why))
    child.once('error', fail)
    child.once('exit', () => fail(new Error('Chromium has ended')))
    let text = ''
    child.stdio[4].setEncoding('utf8').on('data', (chunk) => {
      const messages = (text + chunk).split('\0')
      text = messages.pop()
      messages.forEach((message) => this.#receive(JSON.parse(message)))
    })
  }

  #receive({ id, result, error }) {
    // Without an id it is an event, and nobody listens.
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    if (error) asked?.reject(new Error(error.message))
    else asked?.resolve(result)
  }

  /** Calls a method of the protocol. */
  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#count
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject })
      this.#child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    })
  }

  /** A window that shares no cookie and no storage with the others. */
  async open(url) {
    const { browserContextId } = await this.send('Target.createBrowserContext')
    const { targetId } = await this.send('Target.createTarget', { url, browserContextId })
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true })
    return new Window(this, sessionId)
  }

  async close() {
    const ended = once(this.#child, 'exit')
    this.send('Browser.close').catch(() => {})
    await ended
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

class Window {
  #browser
  #session

  constructor(browser, session) {
    this.#browser = browser
    this.#session = session
  }

  /** What an expression is worth in the page. */
  async evaluate(expression) {
    const params = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await this.#browser.send('Runtime.evaluate', params, this.#session)
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }

  /** Waits until an expression is true, on whatever page that is; gives its value. */
  async until(expression) {
    const end = Date.now() + PATIENCE
    let last
    while (Date.now() < end) {
      // A page that goes away while it is asked is no answer.
      const value = await this.evaluate(expression).catch((error) => void (last = error))
      if (value) return value
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const seen = await this.evaluate('`${location}\\n${document.body.innerText}`')
    throw new Error(`waited for ${expression} (${last?.message}); the page:\n${seen}`)
  }

  /** Waits for an element and clicks it. */
  async click(selector) {
    await this.until(element(selector))
    await this.evaluate(`${element(selector)}.click()`)
  }

  /** Waits for a field and fills it in. */
  async fill(selector, text) {
    await this.until(element(selector))
    await this.evaluate(`${element(selector)}.value = ${JSON.stringify(text)}`)
  }
}

const element = (selector) => `document.querySelector(${JSON.stringify(selector)})`
