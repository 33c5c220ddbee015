// People at a browser: our own page with supabase-js, Chromium, and identity providers with pages of their own.
//
// Besides what world.mjs asks for: CHROMIUM (the program), PAGE_PORT, KEYCLOAK_PORT and ACME_PORT. The server under
// test allows redirects to the page, knows the first provider as Keycloak, and trusts the certificate of the second.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import http from 'node:http'
import { after, before, test } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import { launch } from './browser/chromium.mjs'
import { address, client, discoverable, keycloak } from './browser/provider.mjs'
import { anonKey, api, authUrl, newAddress, password, serviceRoleKey } from './world.mjs'

const { CHROMIUM, PAGE_PORT, KEYCLOAK_PORT, ACME_PORT } = process.env
const application = `http://localhost:${PAGE_PORT}`
const callback = `${api}/callback`

/** A login that nobody has used before. */
const newLogin = (name) => newAddress(name).split('@')[0]

let browser
const running = []

before(async () => {
  running.push(await keycloak(KEYCLOAK_PORT, callback), await discoverable(ACME_PORT, callback), await serve())
  browser = await launch(CHROMIUM)
})

after(async () => {
  await browser?.close()
  running.forEach((server) => server.close())
})

/** The application: one page, the client beside it, and where the server is. */
async function serve() {
  const file = (path) => readFile(new URL(path, import.meta.url))
  const page = { type: 'text/html', body: await file('browser/page.html') }
  const documents = {
    '/pkce': page,
    '/implicit': page,
    '/supabase.js': {
      type: 'text/javascript',
      body: await file('node_modules/@supabase/supabase-js/dist/umd/supabase.js'),
    },
    '/settings.json': { type: 'application/json', body: JSON.stringify({ api, anonKey }) },
  }
  const server = http.createServer(({ url }, response) => {
    const document = documents[url.split('?')[0]]
    response.writeHead(document ? 200 : 404, { 'content-type': document?.type })
    response.end(document?.body)
  })
  await once(server.listen(PAGE_PORT, 'localhost'), 'listening')
  return { close: () => void (server.close(), server.closeAllConnections()) }
}

/** A person at a window of their own, on the page. */
class Person {
  static async at(flow) {
    const person = new Person()
    person.window = await browser.open(`${application}/${flow}`)
    await person.is('nobody')
    return person
  }

  /** Waits until the page says who this is, and by what it is known. */
  async is(who, identities = '') {
    const { window } = this
    const shown = `[who, identities].map(({ textContent }) => textContent).join() === ${JSON.stringify(`${who},${identities}`)}`
    await window.until(`location.origin === '${application}' && ${shown}`)
  }

  /** The provider's own pages: who one is, and that the application may know it. */
  async signInAtProvider(login) {
    await this.window.fill('input[name=login]', login)
    await this.window.fill('input[name=password]', 'any')
    await this.window.click('button[type=submit]')
    await this.consent()
  }

  async consent() {
    await this.window.until(`document.querySelector('input[name=prompt][value=consent]')`)
    await this.window.click('button[type=submit]')
  }

  /** The session that the page holds. */
  async session() {
    return this.window.evaluate('auth.getSession().then(({ data }) => data.session)')
  }
}

/** Who the server says that a token belongs to. */
async function user(accessToken) {
  const headers = { authorization: `Bearer ${accessToken}`, apikey: anonKey }
  const response = await fetch(`${authUrl}/user`, { headers })
  return { status: response.status, ...(await response.json()) }
}

for (const flow of ['pkce', 'implicit']) {
  test(`signs in with a provider, comes back, and leaves: ${flow}`, async () => {
    const login = newLogin('ada')
    const ada = await Person.at(flow)
    await ada.window.click('#by-keycloak')
    await ada.signInAtProvider(login)
    await ada.is(address(login), 'keycloak')

    assert.equal(await ada.window.evaluate('location.search + location.hash'), '', 'nothing stays in the address bar')
    const session = await ada.session()
    assert.ok(session.provider_token, 'the token of the provider is handed through')
    const known = await user(session.access_token)
    assert.deepEqual(known.app_metadata, { provider: 'keycloak', providers: ['keycloak'] })
    assert.equal(known.user_metadata.full_name, `${login} of Example`)
    assert.equal(known.identities[0].id, login, 'the name that the provider has for her')
    assert.ok(known.email_confirmed_at)

    await ada.window.click('#sign-out')
    await ada.is('nobody')
    assert.equal(await ada.session(), null)
    assert.equal((await user(session.access_token)).error_code, 'session_not_found')

    // The provider knows her still, and asks nothing.
    await ada.window.click('#by-keycloak')
    await ada.is(address(login), 'keycloak')
    const again = await ada.session()
    assert.equal(again.user.id, known.id)
  })

  test(`links a provider to an account, and unlinks it: ${flow}`, async () => {
    const [email, login] = [newAddress('bea'), newLogin('bea')]
    const bea = await Person.at(flow)
    await bea.window.fill('input[name=email]', email)
    await bea.window.fill('input[name=password]', password)
    await bea.window.click('#by-password button')
    await bea.is(email, 'email')
    const before = await bea.session()

    await bea.window.click('#link')
    await bea.signInAtProvider(login)
    await bea.is(email, 'email and keycloak')
    const linked = await bea.session()
    assert.equal(linked.user.id, before.user.id)

    await bea.window.click('#unlink')
    await bea.is(email, 'email')

    // What was unlinked is an account of its own.
    await bea.window.click('#sign-out')
    await bea.is('nobody')
    await bea.window.click('#by-keycloak')
    await bea.is(address(login), 'keycloak')
    const other = await bea.session()
    assert.notEqual(other.user.id, before.user.id)
  })

  test(`says no at the provider: ${flow}`, async () => {
    const cyd = await Person.at(flow)
    await cyd.window.click('#by-keycloak')
    await cyd.window.click('a[href$="/abort"]')
    await cyd.is('nobody')
    await cyd.window.until(`document.getElementById('trouble').textContent`)
    const url = new URL(await cyd.window.evaluate('location.href'))
    const told = url.searchParams.get('error') ?? new URLSearchParams(url.hash.slice(1)).get('error')
    assert.equal(told, 'access_denied')
  })
}

test('signs in with a provider that the operator has added', async () => {
  const { auth } = createClient(api, serviceRoleKey, { realtime: { transport: class {} } })
  const acme = {
    provider_type: 'oidc',
    identifier: 'custom:acme',
    name: 'Acme',
    issuer: `https://127.0.0.1:${ACME_PORT}`,
    scopes: ['openid', 'email', 'profile'],
    pkce_enabled: true,
    ...client,
  }
  const added = await auth.admin.customProviders.createProvider(acme)
  assert.equal(added.error, null)

  const login = newLogin('dov')
  const dov = await Person.at('pkce')
  await dov.window.click('#by-acme')
  await dov.signInAtProvider(login)
  await dov.is(address(login), 'custom:acme')
  const { access_token } = await dov.session()
  const known = await user(access_token)
  assert.equal(known.identities[0].identity_data.iss, acme.issuer)
})
