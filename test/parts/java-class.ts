// Programs in Java that tests bring along: compiled once into .parts/java, against Apache Kafka's jars.

import { execFile } from 'node:child_process';
import { join, parse } from 'node:path';
import { promisify } from 'node:util';
import { kafkaLib } from './kafka.ts';

const run = promisify(execFile);
const CLASSES = join(import.meta.dirname, '../../.parts/java');
const compiling = new Map<string, Promise<string>>();

/** What small programs do with: they share two processors with the rest of the test. */
export const JAVA_FLAGS = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** Class path with the program and Apache Kafka. Throws with what is missing. */
export function compileJava(file: string): Promise<string> {
  const known = compiling.get(file) ?? compile(file);
  compiling.set(file, known);
  return known;
}

async function compile(file: string): Promise<string> {
  const lib = await kafkaLib();
  const folder = join(CLASSES, parse(file).name);
  try {
    await run('javac', ['-cp', lib, '-d', folder, file]);
  } catch (error) {
    throw new Error(`${file} can not be compiled: install openjdk-17-jdk-headless`, { cause: error });
  }
  return `${folder}:${lib}`;
}
