// What went wrong in TLS, in words that say what to do. OpenSSL's and Node's own words are kept out of the way; whatever
// has no entry here is told as it is.

import { messageOf } from '../errors.ts';

interface TlsError extends Error {
  code?: string;
  host?: string;
  cert?: { subjectaltname?: string; subject?: { CN?: string | string[] } };
}

const NO_TLS_CODES = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_UNEXPECTED_MESSAGE',
  'ERR_SSL_HTTP_REQUEST',
]);

const UNKNOWN_AUTHORITY_CODES = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
]);

/** What a broker says of our certificate, as alerts of TLS (RFC 8446, section 6.2). */
const OUR_CERTIFICATE =
  /_ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED)$/;

/** `setting` is where a mirror's TLS is set, `mirror.dc.tls`; `now` is what this node's clock says, ms. */
export function explainTls(error: unknown, setting: string, now: number): string {
  const { code = '', cert, host = '' } = error as TlsError;
  const clock = `this node's clock says ${new Date(now).toISOString().slice(0, 16)}Z`;
  if (code === 'CERT_NOT_YET_VALID') return `its certificate is not valid yet: ${clock}, is that right?`;
  if (code === 'CERT_HAS_EXPIRED') return `its certificate has expired, if the clock is right: ${clock}`;
  if (UNKNOWN_AUTHORITY_CODES.has(code)) {
    return `its certificate comes from an authority that this node does not know: give that authority's certificate as ${setting}.ca`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is for ${namesOf(cert)}, not for ${host}: correct bootstrap, or set ${setting}.serverName`;
  }
  if (NO_TLS_CODES.has(code)) return 'it does not speak TLS: is this its port for TLS?';
  if (OUR_CERTIFICATE.test(code)) return `it refuses this node's certificate: check ${setting}.cert and ${setting}.key`;
  if (/_ALERT_HANDSHAKE_FAILURE$|_ALERT_PROTOCOL_VERSION$|UNSUPPORTED_PROTOCOL$|NO_SHARED_CIPHER/.test(code)) {
    return `it and this node have no kind of TLS in common, or it wants a certificate of this node (${setting}.cert); TLS 1.2 is the least`;
  }
  if (code === 'ECONNRESET' && messageOf(error).includes('TLS')) {
    return 'it closed the connection before TLS was agreed: is this its port for TLS?';
  }
  return messageOf(error);
}

function namesOf(cert: TlsError['cert']): string {
  const names = (cert?.subjectaltname ?? '').replaceAll(/DNS:|IP Address:/g, '');
  const common = cert?.subject?.CN;
  return names !== '' ? names.slice(0, 200) : String(common ?? 'no name').slice(0, 200);
}
