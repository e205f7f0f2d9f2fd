// The tables that headwater knows, for tests that go over all of them.

import { produce } from '../../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../../src/formats/kafka/01-fetch.ts';
import { listOffsets } from '../../../src/formats/kafka/02-list-offsets.ts';
import { metadata } from '../../../src/formats/kafka/03-metadata.ts';
import { offsetCommit } from '../../../src/formats/kafka/08-offset-commit.ts';
import { offsetFetch } from '../../../src/formats/kafka/09-offset-fetch.ts';
import { findCoordinator } from '../../../src/formats/kafka/10-find-coordinator.ts';
import { joinGroup } from '../../../src/formats/kafka/11-join-group.ts';
import { heartbeat } from '../../../src/formats/kafka/12-heartbeat.ts';
import { leaveGroup } from '../../../src/formats/kafka/13-leave-group.ts';
import { syncGroup } from '../../../src/formats/kafka/14-sync-group.ts';
import { describeGroups } from '../../../src/formats/kafka/15-describe-groups.ts';
import { listGroups } from '../../../src/formats/kafka/16-list-groups.ts';
import { saslHandshake } from '../../../src/formats/kafka/17-sasl-handshake.ts';
import { apiVersions } from '../../../src/formats/kafka/18-api-versions.ts';
import { createTopics } from '../../../src/formats/kafka/19-create-topics.ts';
import { deleteTopics } from '../../../src/formats/kafka/20-delete-topics.ts';
import { deleteRecords } from '../../../src/formats/kafka/21-delete-records.ts';
import { initProducerId } from '../../../src/formats/kafka/22-init-producer-id.ts';
import { offsetForLeaderEpoch } from '../../../src/formats/kafka/23-offset-for-leader-epoch.ts';
import { addPartitionsToTxn } from '../../../src/formats/kafka/24-add-partitions-to-txn.ts';
import { addOffsetsToTxn } from '../../../src/formats/kafka/25-add-offsets-to-txn.ts';
import { endTxn } from '../../../src/formats/kafka/26-end-txn.ts';
import { writeTxnMarkers } from '../../../src/formats/kafka/27-write-txn-markers.ts';
import { txnOffsetCommit } from '../../../src/formats/kafka/28-txn-offset-commit.ts';
import { describeAcls } from '../../../src/formats/kafka/29-describe-acls.ts';
import { createAcls } from '../../../src/formats/kafka/30-create-acls.ts';
import { deleteAcls } from '../../../src/formats/kafka/31-delete-acls.ts';
import { describeConfigs } from '../../../src/formats/kafka/32-describe-configs.ts';
import { alterConfigs } from '../../../src/formats/kafka/33-alter-configs.ts';
import { describeLogDirs } from '../../../src/formats/kafka/35-describe-log-dirs.ts';
import { saslAuthenticate } from '../../../src/formats/kafka/36-sasl-authenticate.ts';
import { createPartitions } from '../../../src/formats/kafka/37-create-partitions.ts';
import { deleteGroups } from '../../../src/formats/kafka/42-delete-groups.ts';
import { incrementalAlterConfigs } from '../../../src/formats/kafka/44-incremental-alter-configs.ts';
import { listPartitionReassignments } from '../../../src/formats/kafka/46-list-partition-reassignments.ts';
import { describeClientQuotas } from '../../../src/formats/kafka/48-describe-client-quotas.ts';
import { describeUserScramCredentials } from '../../../src/formats/kafka/50-describe-user-scram-credentials.ts';
import { offsetDelete } from '../../../src/formats/kafka/47-offset-delete.ts';
import { describeCluster } from '../../../src/formats/kafka/60-describe-cluster.ts';
import { describeProducers } from '../../../src/formats/kafka/61-describe-producers.ts';
import { listConfigResources } from '../../../src/formats/kafka/74-list-config-resources.ts';
import { describeTopicPartitions } from '../../../src/formats/kafka/75-describe-topic-partitions.ts';
import { describeTransactions } from '../../../src/formats/kafka/65-describe-transactions.ts';
import { listTransactions } from '../../../src/formats/kafka/66-list-transactions.ts';
import { consumerGroupHeartbeat } from '../../../src/formats/kafka/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribe } from '../../../src/formats/kafka/69-consumer-group-describe.ts';
import type { Api } from '../../../src/formats/kafka/schema.ts';

const APIS: readonly Api[] = [
  produce,
  fetch,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  describeGroups,
  listGroups,
  saslHandshake,
  apiVersions,
  createTopics,
  deleteTopics,
  deleteRecords,
  initProducerId,
  offsetForLeaderEpoch,
  describeAcls,
  createAcls,
  deleteAcls,
  describeConfigs,
  alterConfigs,
  describeLogDirs,
  saslAuthenticate,
  createPartitions,
  deleteGroups,
  incrementalAlterConfigs,
  listPartitionReassignments,
  offsetDelete,
  describeClientQuotas,
  describeUserScramCredentials,
  describeCluster,
  describeProducers,
  addPartitionsToTxn,
  addOffsetsToTxn,
  endTxn,
  writeTxnMarkers,
  txnOffsetCommit,
  describeTransactions,
  listTransactions,
  listConfigResources,
  describeTopicPartitions,
  consumerGroupHeartbeat,
  consumerGroupDescribe,
];

const BY_KEY: ReadonlyMap<number, Api> = new Map(APIS.map((api) => [api.key, api]));

export function apiOf(key: number): Api | undefined {
  return BY_KEY.get(key);
}

/** All of them, in order of their keys. */
export function allApis(): readonly Api[] {
  return APIS;
}
