// placeholder until the codec lands
export interface RecordHeader {
  key: string;
  value: Buffer | null;
}
