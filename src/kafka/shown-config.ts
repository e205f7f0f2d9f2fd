// One setting as DescribeConfigs tells it, with the protocol's numbers for its type and for where its value is from.

export const CONFIG_SOURCE = {
  /** Set for this topic. */
  topic: 1,
  /** In the configuration file. */
  broker: 4,
  default: 5,
} as const;

export const CONFIG_TYPE = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 } as const;

export interface ShownConfig {
  name: string;
  value: string | null;
  readOnly: boolean;
  configSource: number;
  isSensitive: boolean;
  configType: number;
  /** Where the value may come from, the source that wins first. */
  synonyms: { name: string; value: string | null; source: number }[];
}
