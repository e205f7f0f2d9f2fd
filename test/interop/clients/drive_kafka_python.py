"""kafka-python as a driver of the matrix (see client.ts)."""

from driver import BOOTSTRAP, CELL, GROUP, HEARTBEAT_MS, OPTIONS, TOPIC, Stop, record, say, say_partitions, say_result, seen
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata


def send(producer, topic, numbers):
    sent = []
    for number in numbers:
        sent.append(producer.send(topic, **record(number)))
    producer.flush()
    return len([each.get(30).offset for each in sent])


def produce():
    acked = {}
    for compression in OPTIONS["compressions"]:
        producer = KafkaProducer(
            bootstrap_servers=BOOTSTRAP,
            compression_type=None if compression == "none" else compression,
            enable_idempotence=OPTIONS["idempotent"],
            acks="all",
            linger_ms=50,
        )
        count, chunk = OPTIONS["count"], OPTIONS["chunk"]
        acked[compression] = sum(
            send(producer, f"{TOPIC}-{compression}", range(at, at + chunk)) for at in range(0, count, chunk)
        )
        producer.close()
    say_result(acked=acked)


def transact():
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=OPTIONS["transactionalId"])
    producer.init_transactions()
    producer.begin_transaction()
    send(producer, TOPIC, range(50))
    producer.commit_transaction()
    producer.begin_transaction()
    send(producer, TOPIC, range(50, 100))
    producer.abort_transaction()
    producer.begin_transaction()
    send(producer, TOPIC, range(100, 150))
    offsets = {TopicPartition(OPTIONS["source"], 0): OffsetAndMetadata(OPTIONS["sourceOffset"], "", -1)}
    producer.send_offsets_to_transaction(offsets, GROUP)
    producer.commit_transaction()
    producer.close()
    say_result(acked={"none": 150})


def open_consumer(**more):
    return KafkaConsumer(
        bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", enable_auto_commit=False, check_crcs=True, **more
    )


def read(consumer, count):
    records = []
    while len(records) < count:
        for batch in consumer.poll(1000, max_records=count - len(records)).values():
            records.extend(batch)
    return records


def seen_of(each):
    return seen(each.partition, each.offset, each.timestamp, each.key, each.value, each.headers)


def consume():
    consumer = open_consumer(isolation_level="read_committed" if OPTIONS["committed"] else "read_uncommitted")
    consumer.assign([TopicPartition(TOPIC, partition) for partition in range(OPTIONS["partitions"])])
    records = [seen_of(each) for each in read(consumer, OPTIONS["count"])]
    consumer.close()
    say_result(records=records)


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        say_partitions("partitions_revoked", revoked)

    def on_partitions_assigned(self, assigned):
        say_partitions("partitions_assigned", assigned)

    def on_partitions_lost(self, lost):
        say_partitions("partitions_revoked", lost)


def member():
    stop = Stop()
    consumer = open_consumer(
        group_id=GROUP,
        session_timeout_ms=OPTIONS["sessionMs"],
        heartbeat_interval_ms=HEARTBEAT_MS,
        group_instance_id=OPTIONS.get("instance"),
        partition_assignment_strategy=[CooperativeStickyAssignor if OPTIONS["cooperative"] else RangePartitionAssignor],
    )
    consumer.subscribe([TOPIC], listener=Listener())
    while not stop.is_asked:
        batches = consumer.poll(200)
        for batch in batches.values():
            for each in batch:
                say("record_data", value=each.value.decode())
        if batches:
            try:
                consumer.commit()
            except KafkaError as error:  # A rebalance has begun meanwhile: what was read comes again, to somebody.
                say("commit_failed", error=repr(error))
    consumer.close()


def resume():
    consumer = open_consumer(group_id=GROUP)
    consumer.subscribe([TOPIC])
    records = read(consumer, OPTIONS["count"])
    last = {TopicPartition(TOPIC, each.partition): each.offset + 1 for each in records}
    consumer.commit({place: OffsetAndMetadata(offset, OPTIONS["metadata"], -1) for place, offset in last.items()})
    consumer.close()
    say_result(values=[each.value.decode() for each in records])


def seek():
    consumer = open_consumer()
    place = TopicPartition(TOPIC, 0)
    consumer.assign([place])
    offset = consumer.offsets_for_times({place: OPTIONS["timeMs"]})[place].offset
    consumer.seek(place, offset)
    values = [each.value.decode() for each in read(consumer, OPTIONS["count"])]
    consumer.close()
    say_result(offset=offset, values=values)


def admin():
    client = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    made, place = OPTIONS["made"], TopicPartition(TOPIC, 0)
    partitions_of = lambda name: len(client.describe_topics([name])[0]["partitions"])
    client.create_topics({made: {"num_partitions": 2, "replication_factor": 1, "configs": {"retention.ms": "600000"}}})
    created = partitions_of(made)
    client.create_partitions({made: 3})
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, made, {"retention.ms": "700000"})])
    described = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, made)])
    offset_of = lambda time: client.list_partition_offsets({place: time})[place].offset
    end = offset_of(-1)
    client.delete_records({place: 5})
    listed = [group["group_id"] for group in client.list_groups()]
    group = client.describe_groups([GROUP])
    committed = lambda: client.list_group_offsets(GROUP)[GROUP][place].offset
    before = committed()
    client.alter_group_offsets(GROUP, {place: OffsetAndMetadata(11, "", -1)})
    after = committed()
    client.delete_groups([GROUP])
    left = [group["group_id"] for group in client.list_groups()]
    grown = partitions_of(made)
    client.delete_topics([made])
    say_result(
        created=created,
        grown=grown,
        config=described["topic"][made]["retention.ms"]["value"],
        nodes=[node["broker_id"] for node in client.describe_cluster()["brokers"]],
        end=end,
        start=offset_of(-2),
        listed=GROUP in listed,
        state=group[GROUP]["group_state"],
        committed=before,
        moved=after,
        gone=GROUP not in left,
        dropped=made not in client.list_topics(),
    )


CELLS = {each.__name__: each for each in (produce, transact, consume, member, resume, seek, admin)}
CELLS[CELL]()
