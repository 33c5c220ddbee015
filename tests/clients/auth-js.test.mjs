// The administrator's side, with @supabase/auth-js and the service_role key.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AuthAdminApi, AuthClient } from '@supabase/auth-js'
import { authUrl, anonKey, code, follow, mail, memory, newAddress, password, serviceRoleKey } from './world.mjs'

const headers = (key) => ({ apikey: key, Authorization: `Bearer ${key}` })
const admin = new AuthAdminApi({ url: authUrl, headers: headers(serviceRoleKey) })
const client = () =>
  new AuthClient({ url: authUrl, headers: headers(anonKey), storage: memory(), autoRefreshToken: false })

/** A user made by the administrator, confirmed. */
async function made(name, attributes = {}) {
  const email = newAddress(name)
  const { data, error } = await admin.createUser({ email, password, email_confirm: true, ...attributes })
  assert.equal(error, null)
  return data.user
}

test('makes, finds, changes and deletes a user', async () => {
  const user = await made('made', { user_metadata: { name: 'Made' }, app_metadata: { plan: 'free' } })
  assert.equal(user.user_metadata.name, 'Made')
  assert.equal(user.app_metadata.plan, 'free')
  assert.ok(user.email_confirmed_at)

  const found = await admin.getUserById(user.id)
  assert.equal(found.data.user.email, user.email)

  const changed = await admin.updateUserById(user.id, { app_metadata: { plan: 'paid' }, user_metadata: { name: null } })
  assert.equal(changed.error, null)
  assert.equal(changed.data.user.app_metadata.plan, 'paid')
  assert.equal('name' in changed.data.user.user_metadata, false)

  assert.equal((await admin.deleteUser(user.id)).error, null)
  const gone = await admin.getUserById(user.id)
  assert.equal(gone.error.code, 'user_not_found')
  assert.equal(gone.error.status, 404)
})

test('signs in a user made with a password', async () => {
  const user = await made('usable')
  const { data, error } = await client().signInWithPassword({ email: user.email, password })
  assert.equal(error, null)
  assert.equal(data.user.id, user.id)
})

test('refuses an address twice', async () => {
  const { email } = await made('twice')
  const { error } = await admin.createUser({ email, password })
  assert.equal(error.code, 'email_exists')
  assert.equal(error.status, 422)
})

test('lists users page by page', async () => {
  for (const name of ['one', 'two', 'three']) await made(name)
  const { data, error } = await admin.listUsers({ page: 1, perPage: 2 })
  assert.equal(error, null)
  assert.equal(data.users.length, 2)
  assert.ok(data.total >= 3)
  assert.equal(data.nextPage, 2)
  assert.ok(data.lastPage >= 1)
  assert.equal(data.aud, 'authenticated')
  const next = await admin.listUsers({ page: 2, perPage: 2 })
  assert.ok(next.data.users.every(({ id }) => data.users.every((user) => user.id !== id)))
})

test('bans a user and lifts the ban', async () => {
  const user = await made('banned')
  const banned = await admin.updateUserById(user.id, { ban_duration: '24h' })
  assert.ok(Date.parse(banned.data.user.banned_until) > Date.now())
  const refused = await client().signInWithPassword({ email: user.email, password })
  assert.equal(refused.error.code, 'user_banned')
  await admin.updateUserById(user.id, { ban_duration: 'none' })
  assert.equal((await client().signInWithPassword({ email: user.email, password })).error, null)
})

test("sets a user's password and address", async () => {
  const user = await made('reset')
  const email = newAddress('renamed')
  const { data } = await admin.updateUserById(user.id, { email, password: 'set by somebody', email_confirm: true })
  assert.equal(data.user.email, email)
  assert.equal((await client().signInWithPassword({ email, password: 'set by somebody' })).error, null)
})

test('forgets a user softly', async () => {
  const user = await made('forgotten')
  assert.equal((await admin.deleteUser(user.id, true)).error, null)
  const { data } = await admin.getUserById(user.id)
  assert.ok(data.user.deleted_at)
  assert.notEqual(data.user.email, user.email)
  assert.equal((await client().signInWithPassword({ email: user.email, password })).error.code, 'invalid_credentials')
})

test('invites somebody by mail', async () => {
  const email = newAddress('invited')
  const { data, error } = await admin.inviteUserByEmail(email, {
    data: { team: 'red' },
    redirectTo: 'http://localhost:3000/join',
  })
  assert.equal(error, null)
  assert.ok(data.user.invited_at)
  const { target, fragment } = await follow((await mail(email)).link)
  assert.equal(target.pathname, '/join')
  assert.equal(fragment.type, 'invite')
  const { data: session } = await client().setSession(fragment)
  assert.equal(session.user.user_metadata.team, 'red')
})

test('makes links without sending them', async () => {
  for (const type of ['signup', 'invite', 'magiclink', 'recovery']) {
    const known = type === 'recovery' || type === 'magiclink'
    const email = known ? (await made(type)).email : newAddress(type)
    const { data, error } = await admin.generateLink({ type, email, password })
    assert.equal(error, null, type)
    assert.equal(data.properties.verification_type, type)
    assert.match(data.properties.email_otp, /^\d{6}$/)
    assert.ok(data.properties.action_link.includes(data.properties.hashed_token))
    const { fragment } = await follow(data.properties.action_link)
    assert.equal(fragment.type, type)
    assert.ok(fragment.access_token, type)
  }
})

test('makes links for a change of address', async () => {
  const { email, id } = await made('changing')
  const newEmail = newAddress('changed')
  const current = await admin.generateLink({ type: 'email_change_current', email, newEmail })
  assert.equal(current.error, null)
  const next = await admin.generateLink({ type: 'email_change_new', email, newEmail })
  assert.equal(next.error, null)
  await follow(current.data.properties.action_link)
  await follow(next.data.properties.action_link)
  assert.equal((await admin.getUserById(id)).data.user.email, newEmail)
})

test('verifies a generated code', async () => {
  const { email } = await made('generated')
  const { data } = await admin.generateLink({ type: 'magiclink', email })
  const { email_otp: token } = data.properties
  const verified = await client().verifyOtp({ email, token, type: 'magiclink' })
  assert.equal(verified.error, null)
  assert.equal(verified.data.user.email, email)
})

test("ends a user's sessions", async () => {
  const user = await made('ended')
  const auth = client()
  const { data } = await auth.signInWithPassword({ email: user.email, password })
  assert.equal((await admin.signOut(data.session.access_token)).error, null)
  assert.ok((await auth.refreshSession()).error)
})

test('shows that nobody has factors yet', async () => {
  const user = await made('factorless')
  const { data, error } = await admin.mfa.listFactors({ userId: user.id })
  assert.equal(error, null)
  assert.deepEqual(data.factors, [])
})

test('is for administrators only', async () => {
  const user = await made('curious')
  const { data } = await client().signInWithPassword({ email: user.email, password })
  for (const key of [anonKey, data.session.access_token]) {
    const { error } = await new AuthAdminApi({ url: authUrl, headers: headers(key) }).listUsers()
    assert.equal(error.status, 403)
    assert.equal(error.code, 'not_admin')
  }
  const nobody = await new AuthAdminApi({ url: authUrl, headers: {} }).listUsers()
  assert.equal(nobody.error.status, 401)
  assert.equal(nobody.error.code, 'no_authorization')
  const forged = `${data.session.access_token.slice(0, -6)}AAAAAA`
  assert.equal((await client().getUser(forged)).error.code, 'bad_jwt')
})

test('unlinks no identity that is the only one', async () => {
  const user = await made('single')
  const auth = client()
  await auth.signInWithPassword({ email: user.email, password })
  const { data } = await auth.getUserIdentities()
  assert.equal(data.identities.length, 1)
  assert.equal(data.identities[0].provider, 'email')
  const { error } = await auth.unlinkIdentity(data.identities[0])
  assert.ok(['manual_linking_disabled', 'single_identity_not_deletable'].includes(error.code), error.code)
})

test('asks for the code before a late change of the password', async () => {
  const user = await made('nonce')
  const auth = client()
  await auth.signInWithPassword({ email: user.email, password })
  await auth.reauthenticate()
  const nonce = code(await mail(user.email))
  const { error } = await auth.updateUser({ password: 'with a nonce', nonce })
  assert.equal(error, null)
})

test('keeps one session for many refreshes at once', async () => {
  const user = await made('hasty')
  const { data } = await client().signInWithPassword({ email: user.email, password })
  const { refresh_token } = data.session
  const answers = await Promise.all(Array.from({ length: 5 }, () => client().refreshSession({ refresh_token })))
  for (const { error } of answers) assert.equal(error, null)
  const tokens = new Set(answers.map((answer) => answer.data.session.refresh_token))
  assert.equal(tokens.size, 1)
})
