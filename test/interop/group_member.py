"""One member of a consumer group, for groups.long.ts: librdkafka (confluent-kafka) or aiokafka. Prints what it does as
lines of JSON, of the same form as Apache Kafka's VerifiableConsumer, and commits what it has printed. SIGTERM: it leaves.

    group_member.py confluent|aiokafka BOOTSTRAP TOPIC GROUP SESSION_MS INSTANCE|- classic|consumer
"""

import asyncio
import json
import signal
import sys

KIND, BOOTSTRAP, TOPIC, GROUP, SESSION, INSTANCE, PROTOCOL = sys.argv[1:8]
SESSION_MS = int(SESSION)
HEARTBEAT_MS = 500


def say(name, **fields):
    print(json.dumps({"name": name, **fields}), flush=True)


def say_partitions(name, partitions):
    say(name, partitions=[{"topic": each.topic, "partition": each.partition} for each in partitions])


def run_confluent():
    from confluent_kafka import Consumer, KafkaException

    stopping = False

    def stop(*_):
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    config = {
        "bootstrap.servers": BOOTSTRAP,
        "group.id": GROUP,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    if PROTOCOL == "consumer":  # The broker says how long a session is, and it assigns.
        config["group.protocol"] = "consumer"
    else:
        config["session.timeout.ms"] = SESSION_MS
        config["heartbeat.interval.ms"] = HEARTBEAT_MS
        config["partition.assignment.strategy"] = "cooperative-sticky"
    if INSTANCE != "-":
        config["group.instance.id"] = INSTANCE
    consumer = Consumer(config)
    consumer.subscribe(
        [TOPIC],
        on_assign=lambda _, partitions: say_partitions("partitions_assigned", partitions),
        on_revoke=lambda _, partitions: say_partitions("partitions_revoked", partitions),
        on_lost=lambda _, partitions: say_partitions("partitions_revoked", partitions),
    )
    while not stopping:
        messages = consumer.consume(100, 0.2)
        for message in messages:
            if message.error() is not None:
                raise RuntimeError(message.error())
            say("record_data", value=message.value().decode(), partition=message.partition(), offset=message.offset())
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:  # It is no member any more: what was read comes again, to somebody.
                say("commit_failed", error=str(error))
    consumer.close()


async def run_aiokafka():
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            say_partitions("partitions_revoked", revoked)

        def on_partitions_assigned(self, assigned):
            say_partitions("partitions_assigned", assigned)

    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=BOOTSTRAP,
        group_id=GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        group_instance_id=None if INSTANCE == "-" else INSTANCE,
    )
    consumer.subscribe([TOPIC], listener=Listener())
    await consumer.start()
    while not stopping.is_set():
        batches = await consumer.getmany(timeout_ms=200)
        for partition, messages in batches.items():
            for each in messages:
                say("record_data", value=each.value.decode(), partition=partition.partition, offset=each.offset)
        if batches:
            try:
                await consumer.commit()
            except Exception as error:  # A rebalance has begun meanwhile: what was read comes again, to somebody.
                say("commit_failed", error=str(error))
    await consumer.stop()


if KIND == "confluent":
    run_confluent()
else:
    asyncio.run(run_aiokafka())
