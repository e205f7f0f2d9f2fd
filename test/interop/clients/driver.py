"""What the Python drivers of the matrix share: their cell and options from the command line, the records that all clients
write, and the lines of JSON that they print (see client.ts)."""

import json
import signal
import sys

CELL = sys.argv[1]
OPTIONS = json.loads(sys.argv[2])
BOOTSTRAP = OPTIONS["bootstrap"]
TOPIC = OPTIONS.get("topic")
GROUP = OPTIONS.get("group")
PARTITIONS = 2
HEARTBEAT_MS = 500


def say(name, **fields):
    print(json.dumps({"name": name, **fields}), flush=True)


def say_partitions(name, partitions):
    say(name, partitions=[{"topic": each.topic, "partition": each.partition} for each in partitions])


def say_result(**fields):
    say("result", **fields)


def record(index):
    """The record of this number: partition, key, value, headers, time. The same in every language, see records.ts."""
    key = None if index % 10 == 9 else f"key-{index % 5}".encode()
    value = json.dumps({"sequence": index, "text": "water level " * 4}, separators=(",", ":")).encode()
    return {
        "partition": index % PARTITIONS,
        "key": key,
        "value": value,
        "headers": [("number", str(index).encode()), ("empty", b"")],
        "timestamp_ms": 1_700_000_000_000 + index,
    }


def text_of(data):
    return None if data is None else bytes(data).decode()


def seen(partition, offset, timestamp_ms, key, value, headers):
    return {
        "partition": partition,
        "offset": offset,
        "timestampMs": timestamp_ms,
        "key": text_of(key),
        "value": text_of(value),
        "headers": [[name, text_of(data)] for name, data in headers or []],
    }


class Stop:
    """Whether SIGTERM has come."""

    def __init__(self):
        self.is_asked = False
        signal.signal(signal.SIGTERM, self.ask)

    def ask(self, *_):
        self.is_asked = True
