// An authorization server for the tests: whoever types a name at its sign-in page is that person.
//
// node issuer.mjs PORT KEYS RESOURCE...   KEYS is a file with the JWKS (private) that it signs with.
// It prints its address when it listens.
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const [port, keys, ...resources] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const scopes = ['storage:read', 'storage:write', 'storage:destroy'];
const groups = { anna: ['research'], ben: ['ops'], both: ['research', 'ops'], nobody: [] };
const metadataDocument = 'https://client.example.com/metadata.json';

const provider = new Provider(issuer, {
  jwks: JSON.parse(readFileSync(keys)),
  scopes: ['openid', 'offline_access', ...scopes],
  // A server that people sign in at themselves, where its address is known.
  clients: process.env.WEB_CALLBACK ? [{
    client_id: 'paperspace-mcp',
    client_secret: 'our own secret',
    redirect_uris: [process.env.WEB_CALLBACK],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }] : [],
  clientDefaults: {
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    id_token_signed_response_alg: 'ES256',
  },
  // A client that registered for reading may ask for more later: that is what stepping up is.
  extraClientMetadata: {
    properties: ['scope'],
    validator(ctx, key, value, metadata) { if (key === 'scope') delete metadata.scope; },
  },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (ctx, token) => ({ groups: groups[token.accountId] ?? [] }),
  rotateRefreshToken: true,
  ttl: { AccessToken: Number(process.env.TOKEN_SECONDS ?? 600), Interaction: 600, Session: 3600, Grant: 3600, RefreshToken: 3600, IdToken: 600 },
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(ctx, resource) {
        if (!resources.includes(resource)) throw new Error(`unknown resource ${resource}`);
        return {
          scope: scopes.join(' '),
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        };
      },
    },
  },
  // The client's metadata document stands nowhere but here.
  fetch: async (url) => {
    if (String(url) !== metadataDocument) return new Response('', { status: 404 });
    return Response.json({
      client_id: metadataDocument,
      client_name: 'A client known by its document',
      redirect_uris: ['http://127.0.0.1:1/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    });
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log(issuer));
