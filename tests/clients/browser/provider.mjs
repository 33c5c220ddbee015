// Identity providers for the browser: the certified `oidc-provider`, with its own pages for signing in and for
// consent. Whoever types a login is that person, with an address at example.com that is verified.

import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import Provider from 'oidc-provider'

export const client = { client_id: 'truegate', client_secret: 'a-secret-between-the-two' }

/** The address of whoever types this login. */
export const address = (login) => `${login}@example.com`

/** Where Keycloak has what OAuth clients ask for; the path of a realm stands before it. */
const KEYCLOAK = {
  authorization: '/protocol/openid-connect/auth',
  token: '/protocol/openid-connect/token',
  userinfo: '/protocol/openid-connect/userinfo',
}

/** Listens as a Keycloak, over HTTP; PKCE is not asked for. */
export const keycloak = (port, callback) =>
  listen(http.createServer(), port, configure(callback, { routes: KEYCLOAK, pkce: { required: () => false } }))

/** Listens over HTTPS as a provider that is known by its discovery document, and insists on PKCE. */
export async function discoverable(port, callback) {
  const pem = await readFile(new URL('../../golden/standin/tls.pem', import.meta.url))
  const server = https.createServer({ cert: pem, key: pem })
  return listen(server, port, configure(callback, { pkce: { required: () => true } }))
}

function configure(callback, more) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return {
    clients: [{ ...client, redirect_uris: [callback] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    cookies: { keys: ['of-one-run-of-the-tests'] },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
    findAccount: (_, login) => ({
      accountId: login,
      claims: () => ({ sub: login, email: address(login), email_verified: true, name: `${login} of Example` }),
    }),
    ...more,
  }
}

async function listen(server, port, configuration) {
  const scheme = server instanceof https.Server ? 'https' : 'http'
  const issuer = `${scheme}://127.0.0.1:${port}`
  server.on('request', new Provider(issuer, configuration).callback())
  await once(server.listen(port, '127.0.0.1'), 'listening')
  return { issuer, close: () => void (server.close(), server.closeAllConnections()) }
}
