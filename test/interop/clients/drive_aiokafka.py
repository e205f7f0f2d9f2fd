"""aiokafka as a driver of the matrix (see client.ts)."""

import asyncio
import contextlib
import signal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import OffsetAndMetadata
from driver import BOOTSTRAP, CELL, GROUP, HEARTBEAT_MS, OPTIONS, TOPIC, record, say, say_partitions, say_result, seen


async def send(producer, topic, numbers):
    sent = [await producer.send(topic, **record(number)) for number in numbers]
    return len(await asyncio.gather(*sent))


async def produce():
    acked = {}
    for compression in OPTIONS["compressions"]:
        producer = AIOKafkaProducer(
            bootstrap_servers=BOOTSTRAP,
            compression_type=None if compression == "none" else compression,
            enable_idempotence=OPTIONS["idempotent"],
            acks="all",
            linger_ms=50,
        )
        await producer.start()
        acked[compression] = 0
        for at in range(0, OPTIONS["count"], OPTIONS["chunk"]):
            numbers = range(at, at + OPTIONS["chunk"])
            acked[compression] += await send(producer, f"{TOPIC}-{compression}", numbers)
        await producer.stop()
    say_result(acked=acked)


async def transact():
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=OPTIONS["transactionalId"])
    await producer.start()
    await producer.begin_transaction()
    await send(producer, TOPIC, range(50))
    await producer.commit_transaction()
    await producer.begin_transaction()
    await send(producer, TOPIC, range(50, 100))
    await producer.abort_transaction()
    await producer.begin_transaction()
    await send(producer, TOPIC, range(100, 150))
    offsets = {TopicPartition(OPTIONS["source"], 0): OffsetAndMetadata(OPTIONS["sourceOffset"], "")}
    await producer.send_offsets_to_transaction(offsets, GROUP)
    await producer.commit_transaction()
    await producer.stop()
    say_result(acked={"none": 150})


def open_consumer(**more):
    return AIOKafkaConsumer(
        bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", enable_auto_commit=False, check_crcs=True, **more
    )


async def read(consumer, count):
    records = []
    while len(records) < count:
        for batch in (await consumer.getmany(timeout_ms=1000, max_records=count - len(records))).values():
            records.extend(batch)
    return records


def seen_of(each):
    return seen(each.partition, each.offset, each.timestamp, each.key, each.value, each.headers)


async def consume():
    consumer = open_consumer(isolation_level="read_committed" if OPTIONS["committed"] else "read_uncommitted")
    consumer.assign([TopicPartition(TOPIC, partition) for partition in range(OPTIONS["partitions"])])
    await consumer.start()
    records = [seen_of(each) for each in await read(consumer, OPTIONS["count"])]
    with contextlib.suppress(asyncio.CancelledError):  # Without a group it trips over a task that it has cancelled itself.
        await consumer.stop()
    say_result(records=records)


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        say_partitions("partitions_revoked", revoked)

    def on_partitions_assigned(self, assigned):
        say_partitions("partitions_assigned", assigned)


async def member():
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    consumer = open_consumer(
        group_id=GROUP,
        session_timeout_ms=OPTIONS["sessionMs"],
        heartbeat_interval_ms=HEARTBEAT_MS,
        group_instance_id=OPTIONS.get("instance"),
    )
    consumer.subscribe([TOPIC], listener=Listener())
    await consumer.start()
    while not stopping.is_set():
        batches = await consumer.getmany(timeout_ms=200)
        for batch in batches.values():
            for each in batch:
                say("record_data", value=each.value.decode())
        if batches:
            try:
                await consumer.commit()
            except Exception as error:  # A rebalance has begun meanwhile: what was read comes again, to somebody.
                say("commit_failed", error=repr(error))
    await consumer.stop()


async def resume():
    consumer = open_consumer(group_id=GROUP)
    consumer.subscribe([TOPIC])
    await consumer.start()
    records = await read(consumer, OPTIONS["count"])
    last = {TopicPartition(TOPIC, each.partition): each.offset + 1 for each in records}
    await consumer.commit({place: (offset, OPTIONS["metadata"]) for place, offset in last.items()})
    await consumer.stop()
    say_result(values=[each.value.decode() for each in records])


async def seek():
    consumer = open_consumer()
    place = TopicPartition(TOPIC, 0)
    consumer.assign([place])
    await consumer.start()
    offset = (await consumer.offsets_for_times({place: OPTIONS["timeMs"]}))[place].offset
    consumer.seek(place, offset)
    values = [each.value.decode() for each in await read(consumer, OPTIONS["count"])]
    await consumer.stop()
    say_result(offset=offset, values=values)


async def admin():
    client = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await client.start()
    made, place = OPTIONS["made"], TopicPartition(TOPIC, 0)

    async def partitions_of(name):
        return len((await client.describe_topics([name]))[0]["partitions"])

    await client.create_topics([NewTopic(made, 2, 1, topic_configs={"retention.ms": "600000"})])
    created = await partitions_of(made)
    await client.create_partitions({made: NewPartitions(3)})
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, made, {"retention.ms": "700000"})])
    [described] = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, made)])
    configs = {entry[0]: entry[1] for entry in described.resources[0][4]}
    deleted = await client.delete_records({place: RecordsToDelete(5)})
    listed = [name for name, _ in await client.list_consumer_groups()]
    [group] = await client.describe_consumer_groups([GROUP])
    committed = (await client.list_consumer_group_offsets(GROUP))[place].offset
    grown = await partitions_of(made)
    cluster = await client.describe_cluster()
    await client.delete_topics([made])
    say_result(
        created=created,
        grown=grown,
        config=configs["retention.ms"],
        nodes=[node["node_id"] for node in cluster["brokers"]],
        start=deleted[place],
        listed=GROUP in listed,
        state=group.groups[0][2],
        committed=committed,
        dropped=made not in await client.list_topics(),
    )
    await client.close()


CELLS = {each.__name__: each for each in (produce, transact, consume, member, resume, seek, admin)}
asyncio.run(CELLS[CELL]())
