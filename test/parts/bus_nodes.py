"""Simulated nodes on a half-duplex line, for tests: `python3 bus_nodes.py READING_MS COUNT ADDRESS...` with firmware-bridge/python
in PYTHONPATH. Standard input and output are the line; what one node says the others hear as well. Each node makes COUNT readings
{"n": 0}, {"n": 1}, ...; its uid is "node" and its address. Ends when its input does."""

import os
import select
import sys
import time

from headwater_bridge.device import Device

reading_ms, count = int(sys.argv[1]), int(sys.argv[2])
addresses = [int(word) for word in sys.argv[3:]]
heard = {address: bytearray() for address in addresses}
started = time.monotonic()


def millis():
    return int((time.monotonic() - started) * 1000) & 0xFFFFFFFF


def node(address):
    def read():
        data = bytes(heard[address])
        heard[address].clear()
        return data

    def write(data):
        os.write(1, data)
        for other in addresses:
            if other != address:
                heard[other].extend(data)
        return len(data)

    nonce = lambda: int.from_bytes(os.urandom(4), "little")  # noqa: E731
    return Device(read, write, millis, b"node%c" % address, {0: "n"}, nonce, "bus-node", "1", 1000, address=address)


nodes = [node(address) for address in addresses]
made = 0
while True:
    if select.select([0], [], [], 0.002)[0]:
        data = os.read(0, 4096)
        if not data:
            break
        for bytes_heard in heard.values():
            bytes_heard.extend(data)
    if made < count and millis() >= (made + 1) * reading_ms:
        for each in nodes:
            each.add(0, b'{"n":%d}' % made)
        made += 1
    for each in nodes:
        each.poll()
