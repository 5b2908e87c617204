/** How the instance is, or is not, let in to. */
import { authOf } from '../../../../activities/sign-in.ts';
import { secretFrom } from '../../../../src/config/index.ts';
import { ask, rowOf } from '../../lab-servicenow/admin-helper.ts';
import type { Choice, Labs } from '../labs.ts';
import {
  administrator,
  all,
  byClient,
  byPassword,
  clientOf,
  edit,
  engineUser,
  finding,
  hangingOn,
  lock,
  operator,
  passwordOf,
  play,
  property,
  protect,
  scoped,
} from './servicenow-give.ts';
import type { Expected, State } from './state.ts';

const signIn = 'servicenow.sign-in';
const notChecked = hangingOn(signIn);
/** Trouble that passes is said to whoever asks once, as `doctor` does. */
const report: Choice = { more: { passing: 'report' } };

type Words = Partial<Expected> & { readonly cause: string };

/** A state in which nothing of ServiceNow can be checked any more. */
function shut(state: string, { cause, ...words }: Words, rest: Pick<State, 'give' | 'choose'>): State {
  return { state, ...rest, finds: () => [finding(signIn, 'blocking', cause, words)], notChecked };
}

const userPage = `/sys_user_list.do?sysparm_query=user_name=${engineUser}`;
const userRefused: Words = {
  cause: 'user-refused',
  evidence: [engineUser, '401'],
  remedy: [userPage, 'Locked out', 'snc_basic_auth_api_access'],
};
const clientRefused: Words = {
  cause: 'client-refused',
  evidence: ['server_error', 'OAuth Application User'],
  remedy: ['/oauth_entity_list.do?sysparm_query=client_id=', 'OAuth Application User', 'Locked out', 'grant_type.enabled'],
};
const wrong = 'canary~wrong.Secret-0123';

/** One text for all: what is wrong is not known, and none of it is claimed. */
const undecided: readonly State[] = [
  shut('basic: the password is wrong', userRefused, { choose: () => ({ password: wrong }) }),
  shut('basic: the user is locked out', userRefused, { give: lock(engineUser, { locked: true }) }),
  shut('basic: the user is inactive', userRefused, { give: lock(engineUser, { active: false }) }),
  shut(
    'basic: there is no such user',
    { ...userRefused, evidence: ['nobody.here'], remedy: ['user_name=nobody.here'] },
    {
      choose: () => ({ userName: 'nobody.here', password: wrong }),
    },
  ),
  shut('basic authentication is restricted, and the user has not the role for it', userRefused, {
    give: all(
      property('glide.authenticate.basic_auth.restriction.enforce', 'true'),
      play('revoke-role', { user: engineUser, role: 'snc_basic_auth_api_access' }),
    ),
  }),
  shut('client: the secret is wrong', clientRefused, { choose: (labs) => ({ serviceNowAuth: byClient(labs, { clientSecret: wrong }) }) }),
  shut(
    'client: the id is wrong',
    { ...clientRefused, remedy: ['client_id=0123456789abcdef0123456789abcdef: if there is none', 'id is wrong'].slice(1) },
    {
      choose: (labs) => ({ serviceNowAuth: byClient(labs, { clientId: '0123456789abcdef0123456789abcdef' }) }),
    },
  ),
  shut('client: it has no OAuth Application User', clientRefused, {
    give: (labs) => edit('oauth_entity', 'client_id', clientOf(labs, engineUser).clientId, { user: '' })(labs),
    choose: (labs) => ({ serviceNowAuth: byClient(labs) }),
  }),
  shut('client: the grant is switched off', clientRefused, {
    give: property('glide.oauth.inbound.client.credential.grant_type.enabled', 'false'),
    choose: (labs) => ({ serviceNowAuth: byClient(labs) }),
  }),
  shut('client: its user is locked out', clientRefused, {
    give: lock(engineUser, { locked: true }),
    choose: (labs) => ({ serviceNowAuth: byClient(labs) }),
  }),
  shut(
    'password: its client has nobody to look with, and the user is locked out',
    { cause: 'client-or-user-refused', evidence: ['neither'], remedy: [userPage, 'grant type'] },
    {
      give: lock(engineUser, { locked: true }),
      choose: (labs) => ({ serviceNowAuth: byPassword(labs, clientOf(labs, engineUser)) }),
    },
  ),
];

/** The same secrets, asked in another way, tell which of them is wrong. */
const decided: readonly State[] = [
  shut(
    'password: the secret of the client is wrong',
    { cause: 'client-wrong', evidence: [`password of ${engineUser} are right`], remedy: ['Application Registry', 'Client Secret'] },
    {
      choose: (labs) => ({ serviceNowAuth: byPassword(labs, { clientSecret: wrong }) }),
    },
  ),
  shut(
    'password: the client is inactive',
    { cause: 'client-wrong', remedy: ['check Active'] },
    {
      give: (labs) => edit('oauth_entity', 'client_id', clientOf(labs, 'defender.readonly').clientId, { active: 'false' })(labs),
      choose: (labs) => ({ serviceNowAuth: byPassword(labs) }),
    },
  ),
  shut(
    'password: the password is wrong',
    { cause: 'password-wrong', evidence: ['is active and not locked out'], remedy: ['/sys_user.do?sys_id=', 'Set Password'] },
    {
      choose: (labs) => ({ serviceNowAuth: byPassword(labs, { password: wrong }) }),
    },
  ),
  shut(
    'password: the user is locked out',
    { cause: 'user-locked', evidence: ['is locked out'], remedy: ['clear Locked out'] },
    {
      give: lock(engineUser, { locked: true }),
      choose: (labs) => ({ serviceNowAuth: byPassword(labs) }),
    },
  ),
  shut(
    'password: the user is inactive',
    { cause: 'user-inactive', evidence: ['is not active'], remedy: ['check Active'] },
    {
      give: lock(engineUser, { active: false }),
      choose: (labs) => ({ serviceNowAuth: byPassword(labs) }),
    },
  ),
  shut(
    'password: the user has to set a new one',
    { cause: 'password-reset', remedy: ['clear Password needs reset'] },
    {
      give: edit('sys_user', 'user_name', engineUser, { password_needs_reset: 'true' }),
      choose: (labs) => ({ serviceNowAuth: byPassword(labs) }),
    },
  ),
  shut(
    'password: there is no such user',
    { cause: 'user-absent', evidence: ['no user of this name'], remedy: ['User ID = nobody.here'] },
    {
      choose: (labs) => ({ serviceNowAuth: byPassword(labs, { userName: 'nobody.here', password: wrong }) }),
    },
  ),
];

const scope = 'auth-scope-missing';
const registry = ['/oauth_entity_list.do?sysparm_query=client_id='];
const closed = (...evidence: string[]): Expected => finding(signIn, 'blocking', scope, { evidence, remedy: registry });
const closedCounting = (...evidence: string[]): Expected => finding(signIn, 'warning', scope, { evidence, remedy: registry });

function scopes(state: string, give: State['give'], finds: readonly Expected[]): State {
  const blocks = finds.some(({ verdict }) => verdict === 'blocking');
  return {
    state,
    ...(give === undefined ? {} : { give }),
    choose: (labs) => ({ serviceNowAuth: byClient(labs) }),
    finds: () => finds,
    ...(blocks ? { notChecked } : {}),
  };
}

const counting = [{ path: 'now/stats' }, { path: 'now/attachment' }];
const authScopes: readonly State[] = [
  scopes('a client with the scope of every API', undefined, []),
  scopes('a securely scoped client without any auth scope', scoped(), [
    closed('Table API (GET', 'Batch API', 'Identification and Reconciliation API', 'unscoped api'),
    closedCounting('Aggregate API', 'Attachment API'),
  ]),
  scopes(
    'an auth scope for reading tables, none for writing',
    scoped({ path: 'now/table', method: 'GET' }, { path: 'now/batch' }, { path: 'now/identifyreconcile' }, ...counting),
    [closed('Table API (POST /api/now/table), Table API (PATCH /api/now/table) (')],
  ),
  scopes('no auth scope for the Batch API', scoped({ path: 'now/table' }, { path: 'now/identifyreconcile' }, ...counting), [
    closed('not to: Batch API (POST /api/now/batch) ('),
  ]),
  scopes('no auth scope for the identification API', scoped({ path: 'now/table' }, { path: 'now/batch' }, ...counting), [
    closed('not to: Identification and Reconciliation API (POST /api/now/identifyreconcile) ('),
  ]),
  scopes(
    'no auth scope for the Attachment API',
    scoped({ path: 'now/table' }, { path: 'now/batch' }, { path: 'now/identifyreconcile' }, { path: 'now/stats' }),
    [closedCounting('not to: Attachment API (GET /api/now/attachment) (')],
  ),
  scopes(
    'an API that asks for a scope by name',
    all(scoped({ path: 'now/table' }, { path: 'now/identifyreconcile' }, ...counting), protect('now/batch')),
    [
      finding(signIn, 'blocking', scope, {
        evidence: ['Missing required api access scope'],
        remedy: [...registry, 'add defender_sync now/batch'],
      }),
    ],
  ),
];

/** Nobody listens at port 1 of this machine. */
const nobody = 'https://127.0.0.1:1';
const availability =
  (mode: string): State['give'] =>
  ({ serviceNow }) =>
    ask(serviceNow, 'POST', '/availability', { mode });

const away: readonly State[] = [
  shut(
    'the instance hibernates',
    { cause: 'hibernating', evidence: ['hibernates'], remedy: ['Wake instance'] },
    { give: availability('hibernating')!, choose: () => report },
  ),
  shut(
    'the instance hibernates, asked for a token',
    { cause: 'hibernating', remedy: ['Wake instance'] },
    {
      give: availability('hibernating')!,
      choose: (labs) => ({ ...report, serviceNowAuth: byClient(labs) }),
    },
  ),
  shut(
    'the instance is under maintenance',
    { cause: 'maintenance', evidence: ['503'], remedy: ['Wait'] },
    { give: availability('maintenance')!, choose: () => report },
  ),
  shut(
    'nobody answers at the address',
    { cause: 'not-reachable', fixedBy: /network/, evidence: ['127.0.0.1:1', 'ECONNREFUSED'], remedy: ['URL'] },
    {
      choose: () => ({ ...report, serviceNow: { url: nobody } }),
    },
  ),
  shut(
    'the certificate of the instance is signed by an authority that is not trusted',
    { cause: 'certificate-not-trusted', fixedBy: operator, remedy: ['caFile'] },
    {
      choose: ({ caFile }) => ({ serviceNow: { caFile } }),
    },
  ),
  shut(
    'the file of trusted authorities is gone',
    {
      cause: 'ca-file-unreadable',
      fixedBy: operator,
      evidence: ['/gone/ca.pem', 'ENOENT'],
      remedy: ['PEM file of the authority', 'caFile'],
    },
    { choose: () => ({ serviceNow: { caFile: '/gone/ca.pem' } }) },
  ),
  shut(
    'the variable of the password is not set',
    { cause: 'secret-unreadable', fixedBy: operator, evidence: ['SERVICENOW_PASSWORD is not set'], remedy: ['Put the secret there'] },
    {
      choose: () => ({
        serviceNowAuth: authOf({ auth: { type: 'basic', userName: engineUser, password: secretFrom({ env: 'SERVICENOW_PASSWORD' }, {}) } }),
      }),
    },
  ),
  shut(
    'something else than an instance answers',
    { cause: 'not-an-instance', fixedBy: operator, remedy: ['serviceNow.url'] },
    {
      choose: ({ azure, caFile }) => ({ serviceNow: { url: azure.urls.graph, caFile } }),
    },
  ),
  shut(
    'something else than an instance is asked for a token',
    { cause: 'not-an-instance', fixedBy: operator, remedy: ['serviceNow.url'] },
    {
      choose: (labs) => ({ serviceNow: { url: labs.azure.urls.arm, caFile: labs.caFile }, serviceNowAuth: byClient(labs) }),
    },
  ),
  shut(
    'a proxy stands before the instance, and refuses everything in its own words',
    { cause: 'not-an-instance', fixedBy: operator, evidence: ['403'], remedy: ['proxy'] },
    {
      give: ({ serviceNow }) =>
        ask(serviceNow, 'POST', '/faults', {
          match: { pathPrefix: '/api/' },
          action: { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>Access denied by policy</html>' },
        }),
      choose: (labs) => ({
        serviceNowAuth: { type: 'basic', userName: engineUser, password: passwordOf(labs, engineUser) },
      }),
    },
  ),
  shut(
    'the address redirects to a sign-on page',
    { cause: 'redirected', fixedBy: operator, evidence: ['sso.example.com'], remedy: ['URL'] },
    {
      give: ({ serviceNow }) =>
        ask(serviceNow, 'POST', '/faults', {
          match: { pathPrefix: '/api/' },
          action: { status: 302, headers: { location: 'https://sso.example.com/login' }, body: '' },
        }),
    },
  ),
];

const domains =
  (users: Record<string, string>): State['give'] =>
  ({ serviceNow }) =>
    ask(serviceNow, 'POST', '/domains', { domains: [{ name: 'ACME' }, { name: 'Initech' }], users });

/** As the ledger of earlier runs would: a record of the domain ACME. */
async function writtenInAcme({ serviceNow }: Labs): Promise<Choice> {
  const { sys_id: domain } = await rowOf(serviceNow, 'domain', 'name', 'ACME');
  const { rows } = await serviceNow.admin('POST', '/servicenow/rows/sn_sec_int_impl', {
    name: 'defender-sync contoso',
    sys_domain: domain,
  });
  const sysId = rows[0]!['sys_id'] as never;
  const known = { written: async () => ({ table: 'sn_sec_int_impl', sysId }), counts: async () => ({ records: 0, cis: 0 }) };
  return { more: { known } };
}

const separated: readonly State[] = [
  {
    state: 'the instance is separated, and the user in a domain of its own',
    give: domains({ [engineUser]: 'ACME' })!,
    choose: writtenInAcme,
    finds: () => [],
  },
  shut(
    'the user is in another domain than what earlier runs wrote',
    { cause: 'other-domain', evidence: ['does not see sn_sec_int_impl', 'which earlier runs wrote'], remedy: ['Domain'] },
    {
      give: domains({ [engineUser]: 'Initech' })!,
      choose: writtenInAcme,
    },
  ),
  shut(
    'the user is in another domain than the run-as user',
    { cause: 'other-domain', evidence: ['VR.System', 'neither sees'], remedy: ['serviceNow.runAs.user'] },
    {
      give: domains({ [engineUser]: 'Initech', 'VR.System': 'ACME' })!,
    },
  ),
];

const pairs: readonly State[] = [
  shut(
    'the user is locked out, and inactive',
    { cause: 'user-inactive', remedy: ['check Active'], fixedBy: administrator },
    {
      give: lock(engineUser, { locked: true, active: false }),
      choose: (labs) => ({ serviceNowAuth: byPassword(labs, { password: passwordOf(labs, engineUser) }) }),
    },
  ),
];

export const signInStates: readonly State[] = [...undecided, ...decided, ...authScopes, ...away, ...separated, ...pairs];
