// What the drivers know of the world: where the server is, how mail is read, and how a person follows a link.
//
// The server under test is given by the environment: API (its root), INBOX (the mail inbox that it sends to),
// ANON_KEY and SERVICE_ROLE_KEY.

import { randomBytes } from 'node:crypto'

const { API, INBOX, ANON_KEY, SERVICE_ROLE_KEY } = process.env
for (const [name, value] of Object.entries({ API, INBOX, ANON_KEY, SERVICE_ROLE_KEY })) {
  if (!value) throw new Error(`the variable ${name} is not set`)
}

export const api = API
export const authUrl = `${API}/auth/v1`
export const anonKey = ANON_KEY
export const serviceRoleKey = SERVICE_ROLE_KEY
export const password = 'correct horse battery'

/** An address that nobody has used before. */
export const newAddress = (name) => `${name}.${randomBytes(6).toString('hex')}@example.com`

/** A phone number that nobody has used before. */
export const newNumber = () => `+1555${String(randomBytes(4).readUInt32BE() % 10_000_000).padStart(7, '0')}`

/** The newest mail (or text message) to an address, once there are `count` of them. */
export async function mail(address, count = 1) {
  const end = Date.now() + 60_000
  while (Date.now() < end) {
    const query = new URLSearchParams({ query: `to:${address}` })
    const found = await (await fetch(`${INBOX}/api/v1/search?${query}`)).json()
    if (found.messages.length >= count) {
      const message = await (await fetch(`${INBOX}/api/v1/message/${found.messages[0].ID}`)).json()
      return { ...message, link: message.Text.match(/https?:\/\/[^\s<>)"]*\/verify\?[^\s<>)"]*/)?.[0] }
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`no mail to ${address}, expected ${count}`)
}

/** The code that a mail carries, in its subject or text. */
export const code = (message) =>
  message.Subject.match(/\b\d{6}\b/)?.[0] ?? message.Text.match(/(?<![\w-])\d{6}(?![\w-])/)?.[0]

/** Follows a mail's link as a browser does, up to the application: where it leads, and what it brings along. */
export async function follow(link) {
  const response = await fetch(link, { redirect: 'manual' })
  const target = new URL(response.headers.get('location'))
  return {
    status: response.status,
    target,
    query: Object.fromEntries(target.searchParams),
    fragment: Object.fromEntries(new URLSearchParams(target.hash.slice(1))),
  }
}

/** A storage for sessions, as a page's localStorage. */
export function memory() {
  const items = new Map()
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  }
}
