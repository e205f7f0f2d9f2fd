// SaslHandshake: the client names a mechanism, the broker says whether it offers it. With version 1 what follows is in
// SaslAuthenticate; with version 0 it would be bare bytes on the connection, which nobody sends here.

import { defineApi, int16, list, string } from './schema.ts';

export const saslHandshake = defineApi({
  key: 17,
  name: 'SaslHandshake',
  versions: '0-1',
  request: {
    mechanism: string(),
  },
  response: {
    errorCode: int16(),
    /** What the broker offers, whatever was asked. */
    mechanisms: list(string()),
  },
});
