// The tables that headwater knows, for tests that go over all of them.

import { produce } from '../../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../../src/formats/kafka/01-fetch.ts';
import { listOffsets } from '../../../src/formats/kafka/02-list-offsets.ts';
import { metadata } from '../../../src/formats/kafka/03-metadata.ts';
import { findCoordinator } from '../../../src/formats/kafka/10-find-coordinator.ts';
import { saslHandshake } from '../../../src/formats/kafka/17-sasl-handshake.ts';
import { apiVersions } from '../../../src/formats/kafka/18-api-versions.ts';
import { createTopics } from '../../../src/formats/kafka/19-create-topics.ts';
import { deleteTopics } from '../../../src/formats/kafka/20-delete-topics.ts';
import { deleteRecords } from '../../../src/formats/kafka/21-delete-records.ts';
import { initProducerId } from '../../../src/formats/kafka/22-init-producer-id.ts';
import { describeConfigs } from '../../../src/formats/kafka/32-describe-configs.ts';
import { saslAuthenticate } from '../../../src/formats/kafka/36-sasl-authenticate.ts';
import { describeCluster } from '../../../src/formats/kafka/60-describe-cluster.ts';
import { describeProducers } from '../../../src/formats/kafka/61-describe-producers.ts';
import type { Api } from '../../../src/formats/kafka/schema.ts';

const APIS: readonly Api[] = [
  produce,
  fetch,
  listOffsets,
  metadata,
  findCoordinator,
  saslHandshake,
  apiVersions,
  createTopics,
  deleteTopics,
  deleteRecords,
  initProducerId,
  describeConfigs,
  saslAuthenticate,
  describeCluster,
  describeProducers,
];

const BY_KEY: ReadonlyMap<number, Api> = new Map(APIS.map((api) => [api.key, api]));

export function apiOf(key: number): Api | undefined {
  return BY_KEY.get(key);
}

/** All of them, in order of their keys. */
export function allApis(): readonly Api[] {
  return APIS;
}
