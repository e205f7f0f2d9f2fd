"""librdkafka, by confluent-kafka, as a driver of the matrix (see client.ts)."""

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from driver import BOOTSTRAP, CELL, GROUP, HEARTBEAT_MS, OPTIONS, TOPIC, Stop, record, say, say_partitions, say_result, seen


def send(producer, topic, numbers):
    acked = []

    def on_delivery(error, message):
        if error is not None:
            raise KafkaException(error)
        acked.append(message.offset())

    for number in numbers:
        each = record(number)
        producer.produce(
            topic,
            partition=each["partition"],
            key=each["key"],
            value=each["value"],
            headers=each["headers"],
            timestamp=each["timestamp_ms"],
            on_delivery=on_delivery,
        )
    producer.flush()
    return len(acked)


def produce():
    acked = {}
    for compression in OPTIONS["compressions"]:
        config = {
            "bootstrap.servers": BOOTSTRAP,
            "compression.type": compression,
            "enable.idempotence": OPTIONS["idempotent"],
            "linger.ms": 50,
        }
        producer = Producer(config)
        count, chunk = OPTIONS["count"], OPTIONS["chunk"]
        acked[compression] = sum(
            send(producer, f"{TOPIC}-{compression}", range(at, at + chunk)) for at in range(0, count, chunk)
        )
    say_result(acked=acked)


def transact():
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": OPTIONS["transactionalId"]})
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": GROUP})
    producer.init_transactions(30)
    producer.begin_transaction()
    send(producer, TOPIC, range(50))
    producer.commit_transaction(30)
    producer.begin_transaction()
    send(producer, TOPIC, range(50, 100))
    producer.abort_transaction(30)
    producer.begin_transaction()
    send(producer, TOPIC, range(100, 150))
    offsets = [TopicPartition(OPTIONS["source"], 0, OPTIONS["sourceOffset"])]
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 30)
    producer.commit_transaction(30)
    say_result(acked={"none": 150})


def open_consumer(**more):
    config = {
        "bootstrap.servers": BOOTSTRAP,
        "group.id": GROUP or "unused",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "check.crcs": True,
    }
    return Consumer({**config, **more})


def read(consumer, count):
    records = []
    while len(records) < count:
        for message in consumer.consume(min(100, count - len(records)), 1):
            if message.error() is not None:
                raise KafkaException(message.error())
            records.append(message)
    return records


def seen_of(message):
    place = (message.partition(), message.offset(), message.timestamp()[1])
    return seen(*place, message.key(), message.value(), message.headers())


def consume():
    isolation = "read_committed" if OPTIONS["committed"] else "read_uncommitted"
    consumer = open_consumer(**{"isolation.level": isolation})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(OPTIONS["partitions"])])
    records = [seen_of(message) for message in read(consumer, OPTIONS["count"])]
    consumer.close()
    say_result(records=records)


def member():
    stop = Stop()
    more = {
        "session.timeout.ms": OPTIONS["sessionMs"],
        "heartbeat.interval.ms": HEARTBEAT_MS,
        "partition.assignment.strategy": "cooperative-sticky" if OPTIONS["cooperative"] else "range",
    }
    if OPTIONS.get("instance"):
        more["group.instance.id"] = OPTIONS["instance"]
    consumer = open_consumer(**more)
    consumer.subscribe(
        [TOPIC],
        on_assign=lambda _, partitions: say_partitions("partitions_assigned", partitions),
        on_revoke=lambda _, partitions: say_partitions("partitions_revoked", partitions),
        on_lost=lambda _, partitions: say_partitions("partitions_revoked", partitions),
    )
    while not stop.is_asked:
        messages = consumer.consume(100, 0.2)
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            say("record_data", value=message.value().decode())
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:  # It is no member any more: what was read comes again, to somebody.
                say("commit_failed", error=str(error))
    consumer.close()


def resume():
    consumer = open_consumer()
    consumer.subscribe([TOPIC])
    messages = read(consumer, OPTIONS["count"])
    last = {message.partition(): message.offset() + 1 for message in messages}
    metadata = OPTIONS["metadata"]
    offsets = [TopicPartition(TOPIC, partition, offset, metadata) for partition, offset in last.items()]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()
    say_result(values=[message.value().decode() for message in messages])


def seek():
    consumer = open_consumer()
    [found] = consumer.offsets_for_times([TopicPartition(TOPIC, 0, OPTIONS["timeMs"])], 10)
    consumer.assign([found])
    values = [message.value().decode() for message in read(consumer, OPTIONS["count"])]
    consumer.close()
    say_result(offset=found.offset, values=values)


def only(futures):
    [future] = futures.values()
    return future.result(20)




def admin():
    client = AdminClient({"bootstrap.servers": BOOTSTRAP})
    made, data = OPTIONS["made"], TOPIC
    partitions_of = lambda name: len(client.list_topics(name, 10).topics[name].partitions)
    only(client.create_topics([NewTopic(made, 2, 1, config={"retention.ms": "600000"})]))
    created = partitions_of(made)
    only(client.create_partitions([NewPartitions(made, 3)]))
    resource = ConfigResource(ResourceType.TOPIC, made)
    resource.add_incremental_config(ConfigEntry("retention.ms", "700000", incremental_operation=AlterConfigOpType.SET))
    only(client.incremental_alter_configs([resource]))
    config = only(client.describe_configs([ConfigResource(ResourceType.TOPIC, made)]))["retention.ms"].value
    cluster = client.describe_cluster().result(20)
    place = TopicPartition(data, 0)
    offset_of = lambda spec: only(client.list_offsets({place: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)).offset
    end = offset_of(OffsetSpec.latest())
    only(client.delete_records([TopicPartition(data, 0, 5)]))
    listed = client.list_consumer_groups().result(20).valid
    described = only(client.describe_consumer_groups([GROUP]))
    committed = lambda: only(client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)])).topic_partitions[0].offset
    before = committed()
    moved = ConsumerGroupTopicPartitions(GROUP, [TopicPartition(data, 0, 11)])
    only(client.alter_consumer_group_offsets([moved]))
    after = committed()
    only(client.delete_consumer_groups([GROUP]))
    left = client.list_consumer_groups().result(20).valid
    grown = partitions_of(made)
    only(client.delete_topics([made]))
    say_result(
        created=created,
        grown=grown,
        config=config,
        nodes=[node.id for node in cluster.nodes],
        end=end,
        start=offset_of(OffsetSpec.earliest()),
        listed=GROUP in [group.group_id for group in listed],
        state=described.state.name.capitalize(),
        committed=before,
        moved=after,
        gone=GROUP not in [group.group_id for group in left],
        dropped=made not in client.list_topics(timeout=10).topics,
    )


CELLS = {each.__name__: each for each in (produce, transact, consume, member, resume, seek, admin)}
CELLS[CELL]()
