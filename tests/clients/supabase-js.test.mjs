// A person's life with @supabase/supabase-js: every test is a person of its own.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import { api, anonKey, code, follow, mail, memory, newAddress, newNumber, password } from './world.mjs'

// Realtime is not asked for, and Node before 22 has no WebSocket for it.
const realtime = { transport: globalThis.WebSocket ?? class {} }

const page = (options = {}) =>
  createClient(api, anonKey, { auth: { storage: memory(), autoRefreshToken: false, ...options }, realtime })

/** Somebody who has signed up and confirmed, and is signed in on one page. */
async function person(name, options) {
  const email = newAddress(name)
  const { auth } = page(options)
  const signedUp = await auth.signUp({ email, password })
  assert.equal(signedUp.error, null)
  await follow((await mail(email)).link)
  const { data, error } = await auth.signInWithPassword({ email, password })
  assert.equal(error, null)
  return { auth, email, user: data.user, session: data.session }
}

test('signs up, confirms, signs in, refreshes, changes the password and signs out', async () => {
  const email = newAddress('alice')
  const { auth } = page()

  const signedUp = await auth.signUp({ email, password, options: { data: { name: 'Alice' } } })
  assert.equal(signedUp.error, null)
  assert.equal(signedUp.data.session, null, 'no session before the address is confirmed')
  assert.equal(signedUp.data.user.email, email)
  assert.equal(signedUp.data.user.user_metadata.name, 'Alice')
  assert.equal(signedUp.data.user.identities[0].provider, 'email')

  const early = await auth.signInWithPassword({ email, password })
  assert.equal(early.error.code, 'email_not_confirmed')
  assert.equal(early.error.status, 400)

  const confirmed = await follow((await mail(email)).link)
  assert.equal(confirmed.status, 303)
  assert.equal(confirmed.fragment.type, 'signup')
  assert.equal(confirmed.fragment.token_type, 'bearer')
  assert.ok(confirmed.fragment.access_token)

  const { data } = await auth.signInWithPassword({ email, password })
  assert.equal(data.user.role, 'authenticated')
  assert.ok(data.user.email_confirmed_at)
  assert.equal(data.session.expires_in, 3600)

  const refreshed = await auth.refreshSession()
  assert.equal(refreshed.error, null)
  assert.notEqual(refreshed.data.session.refresh_token, data.session.refresh_token)
  assert.equal((await auth.getUser()).data.user.id, data.user.id)

  const changed = await auth.updateUser({ password: 'another horse battery' })
  assert.equal(changed.error, null)
  const old = await page().auth.signInWithPassword({ email, password })
  assert.equal(old.error.code, 'invalid_credentials')
  const fresh = await page().auth.signInWithPassword({ email, password: 'another horse battery' })
  assert.equal(fresh.error, null)

  const token = refreshed.data.session.access_token
  assert.equal((await auth.signOut()).error, null)
  const gone = await page().auth.getUser(token)
  assert.equal(gone.error.name, 'AuthSessionMissingError', 'the server knows the session no more')
  const late = await page().auth.refreshSession({ refresh_token: refreshed.data.session.refresh_token })
  assert.equal(late.error.code, 'refresh_token_not_found')
})

test('tells listeners what happens', async () => {
  const { auth, email } = await person('listener')
  const events = []
  const { data } = auth.onAuthStateChange((event) => void events.push(event))
  await auth.refreshSession()
  await auth.updateUser({ data: { colour: 'blue' } })
  await auth.signOut()
  await auth.signInWithPassword({ email, password })
  data.subscription.unsubscribe()
  for (const event of ['TOKEN_REFRESHED', 'USER_UPDATED', 'SIGNED_OUT', 'SIGNED_IN']) {
    assert.ok(events.includes(event), `${event} among ${events}`)
  }
})

test('refuses a wrong password and an unknown address alike', async () => {
  const { email } = await person('guarded')
  const wrong = await page().auth.signInWithPassword({ email, password: 'not the password' })
  const unknown = await page().auth.signInWithPassword({ email: newAddress('nobody'), password })
  for (const { data, error } of [wrong, unknown]) {
    assert.equal(data.session, null)
    assert.equal(error.status, 400)
    assert.equal(error.code, 'invalid_credentials')
    assert.equal(error.message, 'Invalid login credentials')
  }
})

test('does not tell that an address is taken', async () => {
  const { email, user } = await person('taken')
  const { data, error } = await page().auth.signUp({ email, password: 'a different password' })
  assert.equal(error, null)
  assert.notEqual(data.user.id, user.id)
  assert.deepEqual(data.user.identities, [])
  assert.equal((await page().auth.signInWithPassword({ email, password })).error, null)
})

test('says why a password is weak', async () => {
  const { error } = await page().auth.signUp({ email: newAddress('weak'), password: 'short' })
  assert.equal(error.name, 'AuthWeakPasswordError')
  assert.equal(error.status, 422)
  assert.deepEqual(error.reasons, ['length'])
})

test('signs in with a code, once', async () => {
  const { email, user } = await person('coder')
  const { auth } = page()
  assert.equal((await auth.signInWithOtp({ email })).error, null)
  const token = code(await mail(email, 2))
  const { data, error } = await auth.verifyOtp({ email, token, type: 'email' })
  assert.equal(error, null)
  assert.equal(data.user.id, user.id)
  assert.ok(data.session.access_token)
  const again = await page().auth.verifyOtp({ email, token, type: 'email' })
  assert.equal(again.error.code, 'otp_expired')
  assert.equal(again.error.status, 403)
})

test('makes a user of who asks for a code, unless told not to', async () => {
  const email = newAddress('newcomer')
  const refused = await page().auth.signInWithOtp({ email, options: { shouldCreateUser: false } })
  assert.equal(refused.error.code, 'otp_disabled')
  const { auth } = page()
  assert.equal((await auth.signInWithOtp({ email, options: { data: { via: 'code' } } })).error, null)
  const { data, error } = await auth.verifyOtp({ email, token: code(await mail(email)), type: 'email' })
  assert.equal(error, null)
  assert.equal(data.user.user_metadata.via, 'code')
})

test("signs in with a link's token hash", async () => {
  const { email, user } = await person('hasher')
  const { auth } = page()
  await auth.signInWithOtp({ email })
  const token_hash = new URL((await mail(email, 2)).link).searchParams.get('token')
  const { data, error } = await auth.verifyOtp({ token_hash, type: 'magiclink' })
  assert.equal(error, null)
  assert.equal(data.user.id, user.id)
})

test('recovers a lost password', async () => {
  const { email } = await person('forgetful')
  const { auth } = page()
  assert.equal((await auth.resetPasswordForEmail(email)).error, null)
  const { fragment } = await follow((await mail(email, 2)).link)
  assert.equal(fragment.type, 'recovery')
  const { access_token, refresh_token } = fragment
  assert.equal((await auth.setSession({ access_token, refresh_token })).error, null)
  assert.equal((await auth.updateUser({ password: 'remembered horse' })).error, null)
  const { error } = await page().auth.signInWithPassword({ email, password: 'remembered horse' })
  assert.equal(error, null)
  const nobody = await page().auth.resetPasswordForEmail(newAddress('nobody'))
  assert.equal(nobody.error, null, 'an unknown address is not told')
})

test('confirms with PKCE, where the code is worth nothing without its verifier', async () => {
  const email = newAddress('pkce')
  const { auth } = page({ flowType: 'pkce' })
  const redirect = 'http://localhost:3000/welcome'
  assert.equal((await auth.signUp({ email, password, options: { emailRedirectTo: redirect } })).error, null)
  const { target, query, fragment } = await follow((await mail(email)).link)
  assert.equal(target.origin + target.pathname, redirect)
  assert.equal(fragment.access_token, undefined)
  const thief = page({ flowType: 'pkce' })
  await thief.auth.resetPasswordForEmail(newAddress('thief'))
  const stolen = await thief.auth.exchangeCodeForSession(query.code)
  assert.equal(stolen.error.code, 'bad_code_verifier')
  const { data, error } = await auth.exchangeCodeForSession(query.code)
  assert.equal(error, null)
  assert.equal(data.user.email, email)
  const again = await page().auth.refreshSession({ refresh_token: data.session.refresh_token })
  assert.equal(again.error, null)
})

test('keeps metadata and merges changes into it', async () => {
  const { auth } = await person('meta')
  await auth.updateUser({ data: { theme: 'dark', size: 2 } })
  const { data } = await auth.updateUser({ data: { size: null } })
  assert.equal(data.user.user_metadata.theme, 'dark')
  assert.equal('size' in data.user.user_metadata, false)
  assert.deepEqual(data.user.app_metadata, { provider: 'email', providers: ['email'] })
})

test('changes the address when both the old and the new one agree', async () => {
  const { auth, email } = await person('mover')
  const next = newAddress('moved')
  const { data, error } = await auth.updateUser({ email: next })
  assert.equal(error, null)
  assert.equal(data.user.email, email)
  assert.equal(data.user.new_email, next)
  const first = await follow((await mail(email, 2)).link)
  assert.match(first.fragment.message ?? first.query.message, /other email/)
  assert.equal((await auth.getUser()).data.user.email, email)
  const second = await follow((await mail(next)).link)
  assert.equal(second.fragment.type, 'email_change')
  assert.equal((await auth.getUser()).data.user.email, next)
})

test('refuses an address that somebody has', async () => {
  const { email } = await person('first')
  const { auth } = await person('second')
  const { error } = await auth.updateUser({ email })
  assert.equal(error.code, 'email_exists')
  assert.equal(error.status, 422)
})

test('refuses the same password again', async () => {
  const { auth } = await person('same')
  assert.equal((await auth.updateUser({ password })).error.code, 'same_password')
})

test('signs out here, elsewhere and everywhere', async () => {
  const { auth, email, session } = await person('traveller')
  const other = page().auth
  const { data } = await other.signInWithPassword({ email, password })
  assert.equal((await auth.signOut({ scope: 'others' })).error, null)
  assert.ok((await other.refreshSession()).error)
  assert.equal((await auth.getUser()).error, null)
  assert.ok((await page().auth.getUser(data.session.access_token)).error)
  const third = page().auth
  await third.signInWithPassword({ email, password })
  assert.equal((await third.signOut({ scope: 'local' })).error, null)
  assert.equal((await auth.getUser()).error, null)
  assert.equal((await auth.signOut({ scope: 'global' })).error, null)
  assert.ok((await page().auth.getUser(session.access_token)).error)
})

test('sends a confirmation again', async () => {
  const email = newAddress('again')
  await page().auth.signUp({ email, password })
  const first = (await mail(email)).link
  assert.equal((await page().auth.resend({ type: 'signup', email })).error, null)
  const second = (await mail(email, 2)).link
  assert.notEqual(first, second)
  assert.equal((await follow(first)).fragment.error_code, 'otp_expired')
  assert.ok((await follow(second)).fragment.access_token)
})

test('asks again who somebody is', async () => {
  const { auth, email } = await person('asked')
  assert.equal((await auth.reauthenticate()).error, null)
  assert.ok(code(await mail(email, 2)))
})

test('leads back only to where it may', async () => {
  const email = newAddress('lost')
  await page().auth.signUp({ email, password, options: { emailRedirectTo: 'https://evil.example.net/' } })
  const { target } = await follow((await mail(email)).link)
  assert.notEqual(target.hostname, 'evil.example.net')
})

test('tells the claims of a token', async () => {
  const { auth, user, email } = await person('claimant')
  const { data, error } = await auth.getClaims()
  assert.equal(error, null)
  assert.equal(data.claims.sub, user.id)
  assert.equal(data.claims.email, email)
  assert.equal(data.claims.aud, 'authenticated')
  assert.equal(data.claims.aal, 'aal1')
  assert.equal(data.claims.amr[0].method, 'password')
  const levels = await auth.mfa.getAuthenticatorAssuranceLevel()
  assert.equal(levels.data.currentLevel, 'aal1')
})

test('signs in by phone with the code of a text message', async () => {
  const phone = newNumber()
  const { auth } = page()
  const asked = await auth.signInWithOtp({ phone, options: { data: { name: 'Pat' } } })
  assert.equal(asked.error, null)
  const message = await mail(phone)
  assert.equal(message.Subject, 'Text message')
  const wrong = await auth.verifyOtp({ phone, token: '000000', type: 'sms' })
  assert.equal(wrong.error.code, 'otp_expired')
  const { data, error } = await auth.verifyOtp({ phone, token: code(message), type: 'sms' })
  assert.equal(error, null)
  assert.equal(data.user.phone, phone.slice(1))
  assert.equal(data.user.user_metadata.name, 'Pat')
  assert.equal((await auth.getUser()).data.user.id, data.user.id)

  const other = newNumber()
  const changed = await auth.updateUser({ phone: other })
  assert.equal(changed.data.user.new_phone, other.slice(1))
  const confirmed = await auth.verifyOtp({ phone: other, token: code(await mail(other)), type: 'phone_change' })
  assert.equal(confirmed.error, null)
  assert.equal(confirmed.data.user.phone, other.slice(1))
})
