// Cities whose login is oidc-provider, on loopback. Their settings are read as one line of JSON from standard input, their
// issuers written as one line to standard output; all end when standard input does, so that none outlives the tests.
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import Provider, { interactionPolicy } from 'oidc-provider';

const HOST = '127.0.0.1';
const INTERACTION = '/interaction/';
const KEYS = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};
// Which scope releases which claim; the last two are no standard ones.
const CLAIMS = {
  openid: ['sub', 'amr'],
  profile: ['name', 'given_name', 'family_name', 'preferred_username'],
  email: ['email', 'email_verified', 'xms_edov'],
  personnel: ['employeeid'],
};

async function city(settings) {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, 'listening');
  const issuer = `http://${HOST}:${server.address().port}`;
  const provider = new Provider(issuer, configuration(settings));
  const standard = provider.callback();
  server.on('request', (request, response) => {
    if (!request.url.startsWith(INTERACTION)) return standard(request, response);
    return interact(provider, settings, request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  });
  return issuer;
}

function configuration(settings) {
  const { privateKey } = KEYS[settings.algorithm]();
  return {
    clients: [{ ...settings.client, id_token_signed_response_alg: settings.algorithm }],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    scopes: Object.keys(CLAIMS),
    claims: CLAIMS,
    conformIdTokenClaims: !settings.claims_in_id_token,
    acrValues: [settings.strong],
    pkce: { required: () => true },
    findAccount: (_, id) => settings.people[id] && { accountId: id, claims: () => ({ sub: id, ...settings.people[id] }) },
    features: {
      backchannelLogout: { enabled: true },
      claimsParameter: { enabled: Boolean(settings.takes_claims) },
      devInteractions: { enabled: false },
      pushedAuthorizationRequests: {
        enabled: Boolean(settings.takes_pushed_requests),
        requirePushedAuthorizationRequests: Boolean(settings.takes_pushed_requests),
      },
    },
    interactions: { url: (_, { uid }) => INTERACTION + uid, policy: policy(settings) },
  };
}

// By itself oidc-provider takes acr_values for a wish that never asks a person again who is logged in already.
function policy(settings) {
  const prompts = interactionPolicy.base();
  if (settings.steps_up) {
    const unmet = ({ oidc }) => Boolean(oidc.params.acr_values) && !oidc.params.acr_values.split(' ').includes(oidc.acr);
    // Once asked, the person may be unable to: the answer then says what was proven, and the broker judges it.
    const check = (ctx) => unmet(ctx) && !ctx.oidc.result?.login;
    const { Check } = interactionPolicy;
    prompts.get('login').checks.add(new Check('acr', 'a stronger login is needed', 'login_required', check));
  }
  return prompts;
}

async function interact(provider, settings, request, response) {
  const details = await provider.interactionDetails(request, response);
  const fields = request.method === 'POST' ? new URLSearchParams(await text(request)) : undefined;
  const result = fields && (await answer(provider, settings, details, fields));
  if (result) return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: !result.error });
  return response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(settings, details));
}

// Undefined: a wrong password, and the page comes again.
async function answer(provider, settings, { prompt, params, session }, fields) {
  if (fields.has('cancel')) return { error: 'access_denied', error_description: 'the person cancelled' };
  if (prompt.name === 'consent') {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
    return { consent: { grantId: await grant.save() } };
  }
  const accountId = fields.get('login');
  if (!settings.people[accountId] || fields.get('password') !== settings.password) return undefined;
  const strong = fields.get('one_time') === settings.one_time;
  return { login: { accountId, amr: strong ? ['pwd', 'otp'] : ['pwd'], acr: strong ? settings.strong : undefined } };
}

function page(settings, { prompt, params }) {
  const hint = String(params.login_hint ?? '').replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`);
  const essential = JSON.parse(params.claims ?? '{}').id_token?.acr?.values ?? [];
  const wanted = [...(params.acr_values ?? '').split(' '), ...essential].includes(settings.strong);
  const login = `<input name="login" value="${hint}"><input name="password" type="password">`;
  const inputs = prompt.name === 'login' ? login + (wanted ? '<input name="one_time">' : '') : '';
  const buttons = '<button>Go on</button><button name="cancel" value="yes">Cancel</button>';
  return `<!doctype html><title>Login</title><form method="post" id="${prompt.name}">${inputs}${buttons}</form>`;
}

const lines = createInterface({ input: process.stdin });
lines.on('close', () => process.exit());
const [line] = await once(lines, 'line');
console.log(JSON.stringify(await Promise.all(JSON.parse(line).map(city))));
