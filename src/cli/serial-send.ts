// `headwater serial send`: some bytes to the device at a port, through the node that holds it, or by opening it.

import { HeadwaterError } from '../errors.ts';
import { sendToPort } from '../serial/serial.ts';
import { createTrace } from '../trace.ts';
import { EXIT } from './exit-codes.ts';
import { findPort, type PortOptions } from './serial-port.ts';
import { progress, type Terminal } from './terminal.ts';

export interface SendOptions extends PortOptions {
  hex: boolean;
  output: 'text' | 'json';
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

export async function sendSerial(
  given: string,
  text: string,
  options: SendOptions,
  terminal: Terminal,
): Promise<number> {
  const { clock, signal } = terminal;
  const data = options.hex ? hexBytes(text) : Buffer.from(unescaped(text), 'latin1');
  if (data.length === 0) throw new HeadwaterError('USAGE', 'there is nothing to send');
  const found = await findPort(given, options, terminal);
  const isNode = 'daemon' in found;
  if (isNode) {
    try {
      const body = JSON.stringify({ hex: data.toString('hex') });
      await found.daemon.send('POST', `/serial/${encodeURIComponent(found.name)}/send`, body);
    } finally {
      found.daemon.close();
    }
  } else {
    const trace = createTrace({ write: () => undefined, clock });
    await sendToPort({ port: found.port, clock, trace, signal }, data);
  }
  const outcome = { port: isNode ? found.name : given, bytes: data.length, through: isNode ? 'node' : 'port' };
  if (options.output === 'json') terminal.out.write(`${JSON.stringify(outcome)}\n`);
  progress(terminal, `${data.length} bytes are sent${isNode ? `, through the node's port ${found.name}` : ''}`);
  return EXIT.done;
}

function hexBytes(text: string): Buffer {
  const digits = text.replaceAll(/[\s:]/g, '');
  if (/^(?:[0-9A-Fa-f]{2})*$/.test(digits)) return Buffer.from(digits, 'hex');
  throw new HeadwaterError('USAGE', `--hex takes bytes such as "7e 01 ff", not ${JSON.stringify(text)}`);
}

/** One character a byte: the text in UTF-8, and the escapes as the bytes that they are. */
function unescaped(text: string): string {
  return Buffer.from(text, 'utf8')
    .toString('latin1')
    .replaceAll(/\\(?:x([0-9A-Fa-f]{2})|(.)|$)/gs, (whole, hex: string | undefined, letter: string | undefined) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      const meant = letter === undefined ? undefined : ESCAPES[letter];
      if (meant === undefined) throw new HeadwaterError('USAGE', `${whole} is no escape: \\n, \\r, \\t, \\\\ or \\xff`);
      return meant;
    });
}
