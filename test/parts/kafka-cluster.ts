// Three brokers of Apache Kafka on one machine, each also a controller: for what only a change of leaders shows. Topics
// have three replicas, two of which must have a record before it is acknowledged.

import { freePort, newClusterId, startKafka, type Kafka } from './kafka.ts';

export interface KafkaCluster {
  readonly nodes: readonly Kafka[];
  /** Bootstrap addresses of all nodes. */
  readonly bootstrap: string[];
  stop(): Promise<void>;
}

const SIZE = 3;

export async function startKafkaCluster(config: Record<string, string> = {}): Promise<KafkaCluster> {
  const controllerPorts = await Promise.all(Array.from({ length: SIZE }, () => freePort()));
  const voters = controllerPorts.map((port, index) => `${index + 1}@127.0.0.1:${port}`).join(',');
  const clusterId = await newClusterId();
  const replicated = {
    'default.replication.factor': String(SIZE),
    'min.insync.replicas': '2',
    'offsets.topic.replication.factor': String(SIZE),
    'broker.session.timeout.ms': '6000',
    ...config,
  };
  const nodes = await Promise.all(
    controllerPorts.map((controllerPort, index) =>
      startKafka({ member: { nodeId: index + 1, controllerPort, voters, clusterId }, config: replicated }),
    ),
  );
  return {
    nodes,
    bootstrap: nodes.map(({ bootstrap }) => bootstrap),
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}
