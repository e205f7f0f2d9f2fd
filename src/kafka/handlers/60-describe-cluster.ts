// DescribeCluster. Served: 0 to 2.
//
//   1  endpoint type: brokers only, there are no separate controllers   2  fenced brokers (there are none)

import { KafkaError } from '../../formats/kafka/codes.ts';
import { BROKER_ENDPOINTS, describeCluster } from '../../formats/kafka/60-describe-cluster.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof describeCluster>;

export const describeClusterHandler = defineHandler(describeCluster, answer);

function answer({ endpointType }: Request, { door, endpoint }: Call): ResponseDraft<typeof describeCluster> {
  const clusterId = door.log.clusterId;
  if (endpointType !== BROKER_ENDPOINTS) {
    return { errorCode: KafkaError.UNSUPPORTED_ENDPOINT_TYPE, clusterId, brokers: [] };
  }
  return {
    errorCode: KafkaError.NONE,
    clusterId,
    controllerId: door.nodeId,
    brokers: [{ brokerId: door.nodeId, ...endpoint }],
  };
}
