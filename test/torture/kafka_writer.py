"""A Kafka producer for the torture test: librdkafka (confluent-kafka), idempotent, which sends for ever what it was not
acknowledged. Before it hands on a record it says that it was made; what was acknowledged it says as it hears of it.

    kafka_writer.py BOOTSTRAP TOPIC NAME RECORDS_A_SECOND KEYS PAYLOAD_BYTES

Lines of JSON: {"made": N}, {"acked": [numbers]}, {"given_up": [numbers]}, {"fatal": words}. SIGTERM: it makes no more, waits
for what is on its way, and ends.
"""

import base64
import json
import os
import signal
import sys
import time

from confluent_kafka import KafkaError, KafkaException, Producer

BOOTSTRAP, TOPIC, NAME = sys.argv[1:4]
RATE, KEYS, PAYLOAD_BYTES = (int(each) for each in sys.argv[4:7])
NOISE = base64.b64encode(os.urandom(256 * 1024)).decode()
CONFIG = {
    "bootstrap.servers": BOOTSTRAP,
    "enable.idempotence": True,
    "linger.ms": 5,
    "message.timeout.ms": 0,
    "queue.buffering.max.messages": 2000,
    "retry.backoff.ms": 20,
    "retry.backoff.max.ms": 200,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "topic.metadata.refresh.interval.ms": 1000,
    "log_level": 0,
}

acked = []
given_up = []
fatal = []
is_stopping = False


def say(**line):
    print(json.dumps(line), flush=True)


def value_of(number):
    head = '{"from":"%s","n":%d,"pad":"' % (NAME, number)
    at = (number * 7919) % (len(NOISE) - PAYLOAD_BYTES)
    return head + NOISE[at : at + max(0, PAYLOAD_BYTES - len(head) - 2)] + '"}'


def on_error(error):
    if error.code() == KafkaError._FATAL:
        fatal.append(error.str())


def on_delivery(number):
    def heard(error, _):
        (acked if error is None else given_up).append(number)

    return heard


def stop(*_):
    global is_stopping
    is_stopping = True


def tell():
    for name, numbers in (("acked", acked), ("given_up", given_up)):
        if numbers:
            say(**{name: numbers})
            numbers.clear()


def hand_on(producer, number):
    try:
        producer.produce(TOPIC, value_of(number), "%s-%d" % (NAME, number % KEYS), on_delivery=on_delivery(number))
    except KafkaException:  # It has had a fatal error, and is about to say so.
        given_up.append(number)


def main():
    signal.signal(signal.SIGTERM, stop)
    producer = Producer(CONFIG, error_cb=on_error)
    made = 0
    started = time.monotonic()
    skipped = 0
    while not is_stopping:
        due = int((time.monotonic() - started) * RATE) - skipped
        if made < due and len(producer) < 1500:
            first, made = made, min(due, made + 100)
            # Whatever fell due while the queue was full is not made up for in one go.
            skipped += due - made
            say(made=made)
            for number in range(first, made):
                hand_on(producer, number)
        producer.poll(0.01)
        tell()
        if fatal:
            say(fatal=fatal.pop())
            producer.purge()
            producer.poll(0.1)
            tell()
            producer = Producer(CONFIG, error_cb=on_error)
    producer.flush(60)
    tell()


main()
