// What a room tells the outside as numbers. Hot paths count in plain fields; a room turns them into these when it is
// asked (`metrics()`), and http/ renders them as Prometheus text. Names: `headwater_` is put in front by http/, base
// units, `_total` on counters; labels are few and never a client's id.

export interface Sample {
  labels?: Record<string, string>;
  value: number;
}

export interface Metric {
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  samples: Sample[];
}

export function counter(name: string, help: string, samples: number | Sample[]): Metric {
  return { name, help, type: 'counter', samples: typeof samples === 'number' ? [{ value: samples }] : samples };
}

export function gauge(name: string, help: string, samples: number | Sample[]): Metric {
  return { name, help, type: 'gauge', samples: typeof samples === 'number' ? [{ value: samples }] : samples };
}
