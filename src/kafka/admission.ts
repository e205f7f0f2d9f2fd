// Who may connect: so many in all, over every listener, and so many from one address. Pure bookkeeping.

export interface Admission {
  /** Takes a place for `address`, or says why there is none. */
  enter(address: string): string | undefined;
  /** Gives a place back that `enter` took. */
  leave(address: string): void;
}

export interface AdmissionLimits {
  connectionsMax: number;
  connectionsPerAddressMax: number;
}

export function createAdmission(limits: AdmissionLimits): Admission {
  const { connectionsMax, connectionsPerAddressMax } = limits;
  const counts = new Map<string, number>();
  let total = 0;

  return {
    enter(address) {
      const count = counts.get(address) ?? 0;
      if (total >= connectionsMax) return `there are ${total} already, see kafka.clients`;
      if (count >= connectionsPerAddressMax) return `${count} are from this address, see kafka.max.connections.per.ip`;
      counts.set(address, count + 1);
      total += 1;
      return undefined;
    },
    leave(address) {
      const count = counts.get(address)! - 1;
      if (count === 0) counts.delete(address);
      else counts.set(address, count);
      total -= 1;
    },
  };
}
