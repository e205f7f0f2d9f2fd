// From the bytes of a request to the bytes of its answer: reads the header, finds the handler, decodes, calls it,
// encodes. A request that can't be understood throws FORMAT_TRUNCATED or FORMAT_CORRUPT: its connection is of no more
// use, since an answer in a form that the client does not expect would be worse than none.

import { corrupt } from '../formats/bytes.ts';
import { apiVersions } from '../formats/kafka/18-api-versions.ts';
import type { MessageReader } from '../formats/kafka/codec.ts';
import { KafkaError } from '../formats/kafka/codes.ts';
import { decodeRequest, decodeRequestHeader, encodeResponse, type RequestHeader } from '../formats/kafka/envelope.ts';
import { includes } from '../formats/kafka/schema.ts';
import { HANG_UP, NO_ANSWER, type Call, type Door, type Handler } from './handler.ts';
import { produceHandler } from './handlers/00-produce.ts';
import { fetchHandler } from './handlers/01-fetch.ts';
import { listOffsetsHandler } from './handlers/02-list-offsets.ts';
import { metadataHandler } from './handlers/03-metadata.ts';
import { offsetCommitHandler } from './handlers/08-offset-commit.ts';
import { offsetFetchHandler } from './handlers/09-offset-fetch.ts';
import { findCoordinatorHandler } from './handlers/10-find-coordinator.ts';
import { joinGroupHandler } from './handlers/11-join-group.ts';
import { heartbeatHandler } from './handlers/12-heartbeat.ts';
import { leaveGroupHandler } from './handlers/13-leave-group.ts';
import { syncGroupHandler } from './handlers/14-sync-group.ts';
import { describeGroupsHandler } from './handlers/15-describe-groups.ts';
import { listGroupsHandler } from './handlers/16-list-groups.ts';
import { saslHandshakeHandler } from './handlers/17-sasl-handshake.ts';
import { apiVersionsHandler } from './handlers/18-api-versions.ts';
import { createTopicsHandler } from './handlers/19-create-topics.ts';
import { deleteTopicsHandler } from './handlers/20-delete-topics.ts';
import { deleteRecordsHandler } from './handlers/21-delete-records.ts';
import { initProducerIdHandler } from './handlers/22-init-producer-id.ts';
import { offsetForLeaderEpochHandler } from './handlers/23-offset-for-leader-epoch.ts';
import { addPartitionsToTxnHandler } from './handlers/24-add-partitions-to-txn.ts';
import { addOffsetsToTxnHandler } from './handlers/25-add-offsets-to-txn.ts';
import { endTxnHandler } from './handlers/26-end-txn.ts';
import { writeTxnMarkersHandler } from './handlers/27-write-txn-markers.ts';
import { txnOffsetCommitHandler } from './handlers/28-txn-offset-commit.ts';
import { describeAclsHandler } from './handlers/29-describe-acls.ts';
import { createAclsHandler } from './handlers/30-create-acls.ts';
import { deleteAclsHandler } from './handlers/31-delete-acls.ts';
import { describeConfigsHandler } from './handlers/32-describe-configs.ts';
import { alterConfigsHandler } from './handlers/33-alter-configs.ts';
import { describeLogDirsHandler } from './handlers/35-describe-log-dirs.ts';
import { saslAuthenticateHandler } from './handlers/36-sasl-authenticate.ts';
import { createPartitionsHandler } from './handlers/37-create-partitions.ts';
import { deleteGroupsHandler } from './handlers/42-delete-groups.ts';
import { incrementalAlterConfigsHandler } from './handlers/44-incremental-alter-configs.ts';
import { listPartitionReassignmentsHandler } from './handlers/46-list-partition-reassignments.ts';
import { offsetDeleteHandler } from './handlers/47-offset-delete.ts';
import { describeClientQuotasHandler } from './handlers/48-describe-client-quotas.ts';
import { describeUserScramCredentialsHandler } from './handlers/50-describe-user-scram-credentials.ts';
import { describeClusterHandler } from './handlers/60-describe-cluster.ts';
import { describeProducersHandler } from './handlers/61-describe-producers.ts';
import { describeTransactionsHandler } from './handlers/65-describe-transactions.ts';
import { listTransactionsHandler } from './handlers/66-list-transactions.ts';
import { consumerGroupHeartbeatHandler } from './handlers/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribeHandler } from './handlers/69-consumer-group-describe.ts';
import { listConfigResourcesHandler } from './handlers/74-list-config-resources.ts';
import { describeTopicPartitionsHandler } from './handlers/75-describe-topic-partitions.ts';

const HANDLERS: readonly Handler[] = [
  produceHandler,
  fetchHandler,
  listOffsetsHandler,
  metadataHandler,
  offsetCommitHandler,
  offsetFetchHandler,
  findCoordinatorHandler,
  joinGroupHandler,
  heartbeatHandler,
  leaveGroupHandler,
  syncGroupHandler,
  describeGroupsHandler,
  listGroupsHandler,
  saslHandshakeHandler,
  apiVersionsHandler,
  createTopicsHandler,
  deleteTopicsHandler,
  deleteRecordsHandler,
  initProducerIdHandler,
  offsetForLeaderEpochHandler,
  addPartitionsToTxnHandler,
  addOffsetsToTxnHandler,
  endTxnHandler,
  writeTxnMarkersHandler,
  txnOffsetCommitHandler,
  describeAclsHandler,
  createAclsHandler,
  deleteAclsHandler,
  describeConfigsHandler,
  alterConfigsHandler,
  describeLogDirsHandler,
  saslAuthenticateHandler,
  createPartitionsHandler,
  deleteGroupsHandler,
  incrementalAlterConfigsHandler,
  listPartitionReassignmentsHandler,
  offsetDeleteHandler,
  describeClientQuotasHandler,
  describeUserScramCredentialsHandler,
  describeClusterHandler,
  describeProducersHandler,
  describeTransactionsHandler,
  listTransactionsHandler,
  consumerGroupHeartbeatHandler,
  consumerGroupDescribeHandler,
  listConfigResourcesHandler,
  describeTopicPartitionsHandler,
];

const BY_KEY: ReadonlyMap<number, Handler> = new Map(HANDLERS.map((handler) => [handler.api.key, handler]));

/** What ApiVersions tells. */
export function servedApis(): Door['served'] {
  return HANDLERS.map(({ api, versions }) => ({
    apiKey: api.key,
    minVersion: versions.min,
    maxVersion: versions.max,
  }));
}

export interface Request {
  readonly header: RequestHeader;
  readonly handler: Handler;
  readonly reader: MessageReader;
  /** All bytes of it. */
  readonly frame: Buffer;
}

/** Reads a request as far as its header. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT, also for what is not served. */
export function readRequest(frame: Buffer): Request {
  const { header, reader } = decodeRequestHeader(frame);
  const handler = BY_KEY.get(header.apiKey);
  if (handler === undefined) throw corrupt(`API key ${header.apiKey} is not served`);
  if (!includes(handler.versions, header.apiVersion) && handler.api !== apiVersions) {
    throw corrupt(`version ${header.apiVersion} of ${handler.api.name} is not served`);
  }
  return { header, handler, reader, frame };
}

/** The answer in pieces. Throws FORMAT_TRUNCATED and FORMAT_CORRUPT when the message can't be decoded. */
export async function answerTo(request: Request, call: Call): Promise<Buffer[] | typeof NO_ANSWER | typeof HANG_UP> {
  const { header, handler } = request;
  if (!includes(handler.versions, header.apiVersion)) return refuseVersion(header);
  const message = decodeRequest(handler.api, header.apiVersion, request.reader);
  const answer = await handler.handle(message, call);
  if (answer === NO_ANSWER || answer === HANG_UP) return answer;
  return encodeResponse(handler.api, header.apiVersion, header.correlationId, answer);
}

/** A newer client's ApiVersions is answered in version 0 with the versions that it may use instead (KIP-511). */
function refuseVersion(header: RequestHeader): Buffer[] {
  const { min, max } = apiVersionsHandler.versions;
  return encodeResponse(apiVersions, 0, header.correlationId, {
    errorCode: KafkaError.UNSUPPORTED_VERSION,
    apiKeys: [{ apiKey: apiVersions.key, minVersion: min, maxVersion: max }],
  });
}
