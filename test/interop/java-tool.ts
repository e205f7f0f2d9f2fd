// Runs one of Apache Kafka's command line tools against any address.

import { spawn } from 'node:child_process';
import { kafkaLib } from '../parts/kafka.ts';

const FLAGS = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
/** Tools that want to know the node before what to do. */
const AT_FIRST = /Transactions|Feature|MetadataQuorum/;
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';

/** Standard output of a class, of org.apache.kafka.tools, or a package in it, unless it begins with `org.` or `kafka.`. Throws with all that it printed when it fails. */
export async function javaTool(
  bootstrap: string,
  className: string,
  args: string[],
  input: string | Buffer = '',
): Promise<string> {
  const name = /^(org|kafka)\./.test(className) ? className : `org.apache.kafka.tools.${className}`;
  const at = ['--bootstrap-server', bootstrap];
  const all = AT_FIRST.test(name) ? [...at, ...args] : [...args, ...at];
  const command = [...FLAGS, QUIET, '-cp', await kafkaLib(), name, ...all];
  const child = spawn('java', command, { stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  child.stdin.on('error', () => child.stdin.destroy());
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new Error('java is missing: install openjdk-17-jre-headless', { cause: error })),
    );
    child.once('close', (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${name} ${args.join(' ')} ended with ${code}:\n${out}${err}`));
    });
  });
}
