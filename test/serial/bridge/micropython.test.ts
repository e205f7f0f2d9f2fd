// The Python peer under MicroPython (its port to WebAssembly, from npm): the vectors, byte by byte, and a device that is
// made and says HELLO. So it runs where the firmware does: no typing, no module that a board lacks.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** What of the package is used; it has no types of its own. */
interface MicroPython {
  FS: { mkdir(path: string): void; writeFile(path: string, bytes: Buffer): void };
  runPython(source: string): void;
}
interface MicroPythonModule {
  loadMicroPython(options: { heapsize: number; stdout: (line: string) => void }): Promise<MicroPython>;
}
const PACKAGE: string = '@micropython/micropython-webassembly-pyscript/micropython.mjs';

const BRIDGE = join(import.meta.dirname, '../../../firmware-bridge');
const FILES = ['__init__', 'codec', 'device'].map((name) => `python/headwater_bridge/${name}.py`);

const HELLO = `
sent = []
device = Device(lambda: None, lambda data: sent.append(data), Uptime(lambda: 5, lambda now, then: now - then), b'\\x01',
                {0: 'temperature'}, lambda: 7, capacity=2)
assert device.add(0, b'21.5') and device.add(0, b'21.6') and not device.add(0, b'21.7')
device.poll()
kind, hello = vectors.codec.decode_section(sent[0][1:-1], None)
print(hello.name, hello['nonce'], hello['end'])
`;

test('the vectors hold, and a device says hello', async () => {
  const lines: string[] = [];
  const { loadMicroPython } = (await import(PACKAGE)) as MicroPythonModule;
  const python = await loadMicroPython({ heapsize: 4 << 20, stdout: (line) => lines.push(line) });
  for (const folder of ['', '/python', '/python/headwater_bridge', '/python/tests'])
    python.FS.mkdir(`/bridge${folder}`);
  for (const file of ['vectors.json', 'python/tests/vectors.py', ...FILES]) {
    python.FS.writeFile(`/bridge/${file}`, readFileSync(join(BRIDGE, file)));
  }
  python.runPython(`
import sys
sys.path[:0] = ['/bridge/python', '/bridge/python/tests']
import vectors
from headwater_bridge import Device, Uptime
passed, failures = vectors.run()
for failure in failures: print(failure)
print(sys.implementation.name, passed, len(failures))
${HELLO}`);
  const said = lines.map((line) => line.trimEnd());
  const vectors = JSON.parse(readFileSync(join(BRIDGE, 'vectors.json'), 'utf8')) as Record<string, unknown[]>;
  const count = (part: string): number => vectors[part]!.length;
  // Frames are encoded and decoded; streams are read in four ways.
  const checks =
    count('cobs') + 2 * count('frames') + count('lenient') + count('dropped') + count('bad') + 4 * count('streams');
  expect(said).toEqual([`micropython ${checks} 0`, 'HELLO 7 2']);
});
