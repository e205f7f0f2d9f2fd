// SaslAuthenticate: one message of the mechanism that SaslHandshake chose, each way. Version 1 adds how long the login
// holds (KIP-368): before that is over the client has to log in again, on the same connection, with both requests.

import { bytes, defineApi, int16, int64, string } from './schema.ts';

export const saslAuthenticate = defineApi({
  key: 36,
  name: 'SaslAuthenticate',
  versions: '0-2',
  flexibleFrom: 2,
  request: {
    authBytes: bytes(),
  },
  response: {
    errorCode: int16(),
    errorMessage: string({ nullable: '0+', default: null }),
    authBytes: bytes(),
    /** 0: for as long as the connection. */
    sessionLifetimeMs: int64({ versions: '1+', default: 0 }),
  },
});
