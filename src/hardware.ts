// Something of this machine that is not on its card, so that a copied card is noticed in another machine: the board's
// serial number on a Pi, the product's UUID elsewhere. Kept as a hash, since the number itself is nobody's business.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PLACES = ['/proc/device-tree/serial-number', '/sys/class/dmi/id/product_uuid'];

/** 16 hex digits, or undefined where the machine tells nothing (a container, another user). */
export function hardwareId(places: readonly string[] = PLACES): string | undefined {
  for (const place of places) {
    try {
      const text = readFileSync(place, 'utf8').replaceAll('\0', '').trim();
      if (text !== '') return createHash('sha256').update(text).digest('hex').slice(0, 16);
    } catch {
      // Not there, or not readable by this user: the next place may be.
    }
  }
  return undefined;
}
