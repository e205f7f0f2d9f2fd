"""A Kafka producer for the torture test: librdkafka (confluent-kafka), which sends for ever what it was not acknowledged.
Before it hands on a record it says that it was made; what was acknowledged it says as it hears of it.

    kafka_writer.py idempotent|transactional BOOTSTRAP TOPIC NAME RECORDS_A_SECOND KEYS PAYLOAD_BYTES

A transactional one acknowledges when it has committed, and aborts one transaction of ten.

Lines of JSON: {"made": N}, {"acked": [numbers]}, {"aborted": [numbers]}, {"given_up": [numbers]} (nobody knows),
{"fatal": words}. SIGTERM: it makes no more, waits for what is on its way, and ends.
"""

import base64
import json
import os
import random
import signal
import sys
import time

from confluent_kafka import KafkaError, KafkaException, Producer

KIND, BOOTSTRAP, TOPIC, NAME = sys.argv[1:5]
RATE, KEYS, PAYLOAD_BYTES = (int(each) for each in sys.argv[5:8])
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


def poll(producer, seconds):
    try:
        producer.poll(seconds)
    except KafkaException as error:
        fatal.append(str(error.args[0]))


def run_idempotent():
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
        poll(producer, 0.01)
        tell()
        if fatal:
            say(fatal=fatal[0])
            producer.purge()
            poll(producer, 0.1)
            tell()
            fatal.clear()
            producer = Producer(CONFIG, error_cb=on_error)
    producer.flush(60)
    tell()



def new_transactional():
    producer = Producer({**CONFIG, "transactional.id": NAME, "transaction.timeout.ms": 60000})
    until_done(lambda: producer.init_transactions(5))
    return producer


def until_done(act):
    """Again while it can be tried again. Raises what can't."""
    while True:
        try:
            return act()
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
            time.sleep(0.02)


def transact(producer, numbers, is_to_abort):
    """Returns what became of them."""
    try:
        producer.begin_transaction()
        for number in numbers:
            producer.produce(TOPIC, value_of(number), "%s-%d" % (NAME, number % KEYS))
        if not is_to_abort:
            until_done(lambda: producer.commit_transaction(5))
            return "acked"
    except KafkaException as error:
        if not error.args[0].txn_requires_abort():
            raise
    until_done(lambda: producer.abort_transaction(5))
    return "aborted"


def run_transactional():
    producer = new_transactional()
    made = 0
    while not is_stopping:
        count = random.randint(1, 20)
        numbers = list(range(made, made + count))
        made += count
        say(made=made)
        try:
            say(**{transact(producer, numbers, random.random() < 0.1): numbers})
        except KafkaException as error:
            say(given_up=numbers)
            say(fatal=str(error.args[0]))
            producer = new_transactional()
        time.sleep(max(0, count / RATE))


signal.signal(signal.SIGTERM, stop)
if KIND == "idempotent":
    run_idempotent()
else:
    run_transactional()
