// The projects of docs/firmware.md, each begun from nothing but what the page says, built, and run in an emulator.
//
//   Arduino     built by arduino-builder, which finds the library by its own rules; run by simavr (uno.c), since QEMU's Uno
//               lacks timer 0 and with it millis()
//   Zephyr      built by the page's files with a stand-in for Zephyr (zephyr/), which no registry has; run by QEMU
//   bare metal  built and run by the page's commands: CMake, QEMU

import { join } from 'node:path';
import { openPty } from '../parts/pty.ts';
import { commands, section } from './page.ts';
import type { Running, Site } from './site.ts';

const HARDWARE = '/usr/share/arduino/hardware';
const KCONFIGLIB = join(import.meta.dirname, '../../.parts/python/kconfiglib');

export interface Plugged {
  /** The port's path. */
  path: string;
  unplug(): Promise<void>;
}

/** A sketch in a sketchbook whose libraries/ has firmware-bridge. Returns where its ELF file is. */
export async function buildSketch(site: Site, name: string): Promise<string> {
  await site.run('mkdir -p Arduino/libraries sketch-build');
  await site.copyLibrary('Arduino/libraries/firmware-bridge');
  // The core that Debian has is written for a newer compiler, whose float.h has this for C++, too.
  const settings = ['runtime.tools.avr-gcc.path=/usr', 'compiler.cpp.extra_flags=-DDECIMAL_DIG=9'];
  const folders = ['-hardware /usr/share/arduino-builder', `-hardware ${HARDWARE}`, `-tools ${HARDWARE}`];
  const options = [
    ...folders,
    '-libraries Arduino/libraries',
    '-fqbn arduino:avr:uno',
    '-build-path $PWD/sketch-build',
  ];
  const words = [...options, ...settings.map((setting) => `-prefs=${setting}`)].join(' ');
  await site.run(`arduino-builder -compile ${words} ${name}`);
  return join('sketch-build', `${name.split('/').at(-1)}.elf`);
}

/** An Uno whose port is a pseudo terminal, as it would be behind a USB cable. */
export async function plugInUno(site: Site, elf: string): Promise<Plugged> {
  await site.run(`gcc -O2 -Wall -Wextra -Werror '${join(import.meta.dirname, 'uno.c')}' -lsimavr -o uno`);
  const pty = await openPty();
  const uno = site.start(`./uno ${elf}`);
  uno.onData((bytes) => void pty.write(bytes));
  pty.onData((bytes) => uno.write(bytes));
  return {
    path: pty.path,
    async unplug() {
      await uno.stop();
      await pty.close();
    },
  };
}

export async function arduino(site: Site): Promise<Plugged> {
  // The IDE keeps a sketch in a folder of its name.
  await site.write(section('### Arduino'), 'Arduino/thermometer');
  return plugInUno(site, await buildSketch(site, 'Arduino/thermometer/thermometer.ino'));
}

export async function zephyr(site: Site): Promise<Plugged> {
  await site.write(section('### Zephyr'), 'thermometer');
  await site.copyLibrary('thermometer/firmware-bridge');
  const standIn = join(import.meta.dirname, 'zephyr');
  await site.run(`ZEPHYR_BASE='${standIn}' PYTHONPATH='${KCONFIGLIB}' cmake -B build`, 'thermometer');
  await site.run('cmake --build build', 'thermometer');
  const qemu = commands(section('### Bare metal')).find((command) => command.startsWith('qemu-system-arm'))!;
  return plugInBoard(site.start(qemu.replace('build/thermometer.elf', 'build/zephyr.elf'), 'thermometer'));
}

export async function bareMetal(site: Site): Promise<Plugged> {
  const blocks = section('### Bare metal');
  await site.write(blocks, 'thermometer');
  await site.copyLibrary('thermometer/firmware-bridge');
  const [configure, build, qemu, ...more] = commands(blocks);
  if (more.length > 0) throw new Error(`the page has commands that the test does not follow: ${more.join('; ')}`);
  await site.run(configure!, 'thermometer');
  await site.run(build!, 'thermometer');
  return plugInBoard(site.start(qemu!, 'thermometer'));
}

async function plugInBoard(qemu: Running): Promise<Plugged> {
  const said = await qemu.says(/redirected to \S+ \(label u0\)/);
  return { path: said.match(/redirected to (\S+) /)![1]!, unplug: () => qemu.stop() };
}
