// Writes requests.txt: one request of each client, API and version, as that client sends it. Needs kcat and java:
//
//   node test/golden/kafka/make-requests.ts > test/golden/kafka/requests.txt

import { Admin, Consumer, Producer, stringSerializers } from '@platformatic/kafka';
import kafkajs from 'kafkajs';
import { decodeRequestHeader } from '../../../src/formats/kafka/envelope.ts';
import { FrameSplitter } from '../../../src/formats/kafka/framing.ts';
import { javaTool } from '../../interop/java-tool.ts';
import { openNode } from '../../interop/open-node.ts';
import { openRelay } from '../../interop/relay.ts';
import { kcat } from '../../parts/kcat.ts';

const clients: Record<string, (bootstrap: string) => Promise<void>> = {
  async kcat(bootstrap) {
    await kcat(['-b', bootstrap, '-P', '-t', 't', '-z', 'zstd', '-X', 'enable.idempotence=true'], 'a\nb\n');
    await kcat(['-b', bootstrap, '-C', '-t', 't', '-o', 'beginning', '-e', '-q']);
    await kcat(['-b', bootstrap, '-Q', '-t', 't:0:1000']);
  },
  async java(bootstrap) {
    await javaTool(bootstrap, 'ConsoleProducer', ['--topic', 't'], 'a\nb\n');
    const from = ['--topic', 't', '--partition', '0', '--offset', 'earliest', '--max-messages', '2'];
    await javaTool(bootstrap, 'consumer.ConsoleConsumer', from);
    await javaTool(bootstrap, 'GetOffsetShell', ['--topic', 't', '--time', 'max-timestamp']);
    await javaTool(bootstrap, 'TopicCommand', ['--create', '--topic', 'made', '--config', 'retention.ms=1000']);
    await javaTool(bootstrap, 'TopicCommand', ['--describe']);
    await javaTool(bootstrap, 'TopicCommand', ['--delete', '--topic', 'made']);
    await javaTool(bootstrap, 'ClusterTool', ['cluster-id']);
  },
  async kafkajs(bootstrap) {
    const kafka = new kafkajs.Kafka({ brokers: [bootstrap], logLevel: kafkajs.logLevel.NOTHING });
    const [producer, admin] = [kafka.producer({ idempotent: true }), kafka.admin()];
    await Promise.all([producer.connect(), admin.connect()]);
    await producer.send({ topic: 't', messages: [{ key: 'k', value: 'v' }] });
    await admin.createTopics({ topics: [{ topic: 'js', configEntries: [{ name: 'retention.ms', value: '1000' }] }] });
    await admin.fetchTopicOffsets('t');
    await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: 't' }] });
    await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: 0, offset: '1' }] });
    await admin.deleteTopics({ topics: ['js'] });
    await Promise.all([producer.disconnect(), admin.disconnect()]);
  },
  async platformatic(bootstrap) {
    const options = { clientId: 'golden', bootstrapBrokers: [bootstrap], retries: 0 };
    const admin = new Admin(options);
    await admin.createTopics({ topics: ['t', 'gone'], partitions: 1, replicas: 1 });
    await admin.deleteTopics({ topics: ['gone'] });
    await admin.close();
    const producer = new Producer({ ...options, serializers: stringSerializers, idempotent: true });
    await producer.send({ messages: [{ topic: 't', partition: 0, key: 'k', value: 'v' }] });
    await producer.close();
    const consumer = new Consumer({ ...options, groupId: 'unused' });
    const partition = { partition: 0, currentLeaderEpoch: 0, fetchOffset: 1n, lastFetchedEpoch: 0 };
    const topicId = (await consumer.metadata({ topics: ['t'] })).topics.get('t')!.id;
    const topics = [{ topicId, partitions: [{ ...partition, partitionMaxBytes: 1000 }] }];
    await consumer.fetch({ node: 1, topics });
    await consumer.listOffsets({ topics: ['t'] });
    await consumer.close();
  },
};

for (const [client, use] of Object.entries(clients)) {
  const relay = await openRelay();
  const node = await openNode({ advertisePort: relay.port });
  relay.target = node.port;
  await use(`127.0.0.1:${relay.port}`);
  await node.close();
  relay.close();
  const seen = new Map<string, Buffer>();
  for (const packets of relay.connections) {
    const splitter = new FrameSplitter(1 << 20);
    for (const { direction, bytes } of packets) {
      if (direction === 'O') continue;
      for (const frame of splitter.push(bytes)) {
        const { apiKey, apiVersion } = decodeRequestHeader(frame).header;
        const name = `${String(apiKey).padStart(2, '0')} ${String(apiVersion).padStart(2, '0')}`;
        if (!seen.has(name)) seen.set(name, frame);
      }
    }
  }
  const lines = [...seen].map(([name, frame]) => `${client} ${name} ${frame.toString('hex')}\n`);
  process.stdout.write(lines.toSorted((a, b) => (a < b ? -1 : 1)).join(''));
}
process.exit(0);
