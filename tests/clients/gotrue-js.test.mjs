// The client of GoTrue's first years, Netlify's gotrue-js: url-encoded sign-in, `username`, own storage.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authUrl, follow, mail, memory, newAddress, password, serviceRoleKey } from './world.mjs'

// It was written for pages.
globalThis.localStorage = memory()
globalThis.window = globalThis
const { default: exports } = await import('gotrue-js')
const GoTrue = exports.default ?? exports
console.warn = () => {}

const auth = () => new GoTrue({ APIUrl: authUrl })

/** Somebody who has signed up and followed the link. */
async function person(name) {
  const email = newAddress(name)
  await auth().signup(email, password, { name })
  await follow((await mail(email)).link)
  return email
}

/** The administrator: gotrue-js asks for one with a token of its own. */
async function administrator() {
  const user = await auth().login(await person('admin'), password)
  user.token.access_token = serviceRoleKey
  return user.admin
}

test('tells its settings', async () => {
  const settings = await auth().settings()
  assert.equal(settings.external.email, true)
  assert.equal(settings.disable_signup, false)
  assert.equal(settings.mailer_autoconfirm, false)
  assert.equal(typeof settings.external.google, 'boolean')
})

test('signs up', async () => {
  const email = newAddress('legacy')
  const user = await auth().signup(email, password, { name: 'Legacy' })
  assert.equal(user.email, email)
  assert.equal(user.user_metadata.name, 'Legacy')
  assert.ok(user.confirmation_sent_at)
  assert.equal(user.role, 'authenticated')
})

test('signs in, is remembered, and refreshes', async () => {
  const email = await person('remembered')
  const user = await auth().login(email, password, true)
  assert.equal(user.email, email)
  assert.ok(user.confirmed_at)
  assert.equal(user.tokenDetails().token_type, 'bearer')
  assert.equal(JSON.parse(localStorage.getItem('gotrue.user')).email, email)
  assert.equal(auth().currentUser().email, email)
  const first = user.tokenDetails()
  const token = await user.jwt(true)
  assert.equal(token.split('.').length, 3)
  assert.notEqual(user.tokenDetails().refresh_token, first.refresh_token)
})

test('refuses a wrong password', async () => {
  const email = await person('refused')
  await assert.rejects(auth().login(email, 'not the password'), (error) => {
    assert.equal(error.status, 400)
    assert.equal(error.message, 'Invalid login credentials')
    return true
  })
})

test('changes data and password', async () => {
  const email = await person('changer')
  const user = await auth().login(email, password)
  const updated = await user.update({ data: { colour: 'green' } })
  assert.equal(updated.user_metadata.colour, 'green')
  assert.equal(updated.user_metadata.name, 'changer')
  await user.update({ password: 'a newer password' })
  assert.equal((await auth().login(email, 'a newer password')).email, email)
})

test('signs out', async () => {
  const email = await person('leaver')
  const user = await auth().login(email, password)
  const { access_token } = user.tokenDetails()
  await user.logout()
  assert.equal(user.tokenDetails(), null)
  const answer = await fetch(`${authUrl}/user`, { headers: { Authorization: `Bearer ${access_token}` } })
  assert.equal(answer.status, 403)
  assert.equal((await answer.json()).error_code, 'session_not_found')
})

test('asks for a new password', async () => {
  const email = await person('asker')
  await auth().requestPasswordRecovery(email)
  const { fragment } = await follow((await mail(email, 2)).link)
  const user = await auth().createUser(fragment)
  assert.equal(user.email, email)
})

test('is told to send more than a bare token', async () => {
  const email = newAddress('bare')
  await auth().signup(email, password)
  const token = new URL((await mail(email)).link).searchParams.get('token')
  // Today's GoTrue takes a token with its address, or a token hash.
  await assert.rejects(auth().confirm(token), (error) => {
    assert.equal(error.status, 400)
    assert.equal(error.json.error_code, 'validation_failed')
    return true
  })
})

test('administers users', async () => {
  const admin = await administrator()
  const email = newAddress('administered')
  const user = await admin.createUser(email, password, { email_confirm: true })
  assert.equal(user.email, email)
  assert.equal((await admin.getUser(user)).id, user.id)
  const { items } = await admin.listUsers('authenticated')
  assert.ok(items.users.length > 0)
  const changed = await admin.updateUser(user, { user_metadata: { role: 'editor' } })
  assert.equal(changed.user_metadata.role, 'editor')
  assert.deepEqual(await admin.deleteUser(user), {})
  await assert.rejects(admin.getUser(user), { status: 404, message: 'User not found' })
})
