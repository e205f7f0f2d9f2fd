// What is told of a bridge port and its devices: each device in a line of the status, and the metrics, by port and device.

import { counter, gauge, type Metric, type Sample } from '../../metrics.ts';
import type { LineDevice } from '../framing.ts';
import type { BridgeDeviceStatus } from './device.ts';

/** Of the line as a whole: what can't be said of one of its devices. */
export interface LineCounts {
  frames: number;
  /** Sections that were neither a frame, a wrong CRC most often, nor text. */
  bad: number;
}

export function lineDevice(device: BridgeDeviceStatus): LineDevice {
  const { name, state, frames, repeated, gaps, lostRecords, heardMs, clockErrorMs } = device;
  const clock = clockErrorMs === undefined ? {} : { clockErrorMs };
  return { name, state, frames, again: repeated, gaps, lost: lostRecords, heardMs, ...clock };
}

export function bridgeMetrics({ frames, bad }: LineCounts, devices: readonly BridgeDeviceStatus[]): Metric[] {
  const each = (valueOf: (device: BridgeDeviceStatus) => number | undefined): Sample[] =>
    devices.flatMap((device) => {
      const value = valueOf(device);
      return value === undefined ? [] : [{ labels: { device: device.name }, value }];
    });
  return [
    counter('bridge_frames_total', 'Frames that came.', frames),
    counter('bridge_bad_total', 'Sections that were neither frame nor text.', bad),
    gauge(
      'bridge_device_connected',
      '1 while the device is connected.',
      each(({ state }) => (state === 'connected' ? 1 : 0)),
    ),
    counter(
      'bridge_device_frames_total',
      'Frames that came from the device.',
      each((device) => device.frames),
    ),
    counter(
      'bridge_repeated_total',
      'Records that came again.',
      each(({ repeated }) => repeated),
    ),
    counter(
      'bridge_asked_total',
      'Records that were asked for again.',
      each(({ asked }) => asked),
    ),
    counter(
      'bridge_gaps_total',
      'Gaps in the sequence of the device.',
      each(({ gaps }) => gaps),
    ),
    counter(
      'bridge_lost_records_total',
      'Records in gaps of known size.',
      each(({ lostRecords }) => lostRecords),
    ),
    gauge(
      'bridge_device_silent_seconds',
      'Time since the device was last heard.',
      each(({ heardMs }) => heardMs / 1000),
    ),
    gauge(
      'bridge_device_clock_error_seconds',
      'How far off its clock may be; not there while that is not known.',
      each(({ clockErrorMs }) => (clockErrorMs === undefined ? undefined : clockErrorMs / 1000)),
    ),
  ];
}
