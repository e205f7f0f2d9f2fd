// Serial ports in `headwater status`: a row for each port, a row for each device behind it, and what is wrong in words.

import { formatAge } from '../config-units.ts';
import type { Headwater } from '../headwater.ts';
import { table } from './terminal.ts';

type Port = ReturnType<Headwater['status']>['serial'][number];
type Device = NonNullable<Port['devices']>[number];

export function serialLines(ports: readonly Port[]): string[] {
  if (ports.length === 0) return [];
  const devices = ports.flatMap((port) => (port.devices ?? []).map((device) => deviceRow(port.name, device)));
  const problems = ports.flatMap(({ name, problems }) => problems.map((problem) => `  ! ${name}: ${problem}\n`));
  return [
    '\nserial\n',
    table([['  PORT', 'FRAMING', 'HEARD', 'OVERLONG', 'INVALID', 'OPENINGS', 'DEVICE'], ...ports.map(portRow)]),
    ...(devices.length === 0 ? [] : ['\n', table([DEVICE_HEAD, ...devices])]),
    ...problems,
  ];
}

const DEVICE_HEAD = ['  DEVICE', 'PORT', 'STATE', 'FRAMES', 'DAMAGED', 'AGAIN', 'GAPS', 'LOST', 'HEARD', 'CLOCK'];

function portRow({ name, path, framing, overlong, invalid, openings, heardSeconds }: Port): (string | number)[] {
  return [`  ${name}`, framing, heard(heardSeconds), overlong, invalid, openings, path];
}

function deviceRow(port: string, device: Device): (string | number)[] {
  const { name, state, frames, damaged = '-', again, gaps = '-', lost = '-', heardSeconds, clockErrorMs } = device;
  const clock = clockErrorMs === undefined ? '-' : `within ${clockErrorMs} ms`;
  return [`  ${name}`, port, state, frames, damaged, again, gaps, lost, heard(heardSeconds), clock];
}

function heard(seconds: number | undefined): string {
  return seconds === undefined ? 'never' : `${formatAge(seconds * 1000)} ago`;
}
