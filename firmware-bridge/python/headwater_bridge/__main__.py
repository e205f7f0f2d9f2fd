"""A simulated device on a serial port or pseudo terminal: `python3 -m headwater_bridge PATH`."""

import argparse
import math
import os
import signal
import sys
import time
import tty
from binascii import hexlify, unhexlify

from .device import Device

EXAMPLE = """example: a device on a pair of pseudo terminals, headwater on the other end

  socat pty,raw,echo=0,link=/tmp/device pty,raw,echo=0,link=/tmp/headwater &
  python3 -m headwater_bridge /tmp/device --channel temperature --rate 10 --count 100
"""


def arguments():
    parser = argparse.ArgumentParser(
        prog="headwater_bridge", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A device of the headwater bridge protocol that makes readings up. It answers command 1 with its payload.",
    )  # fmt: skip
    parser.add_argument("path", help="serial port or pseudo terminal; it is opened again when it goes away")
    parser.add_argument("--channel", default="temperature", help="name of its channel (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=10, help="readings a second (default: %(default)s)")
    parser.add_argument("--count", type=int, default=0, help="end when so many are acknowledged (default: never)")
    parser.add_argument("--uid", default=hexlify(os.urandom(8)).decode(), help="in hex (default: a random one)")
    parser.add_argument("--store", type=int, default=1000, help="readings it can hold; then it waits (default: %(default)s)")
    parser.add_argument("--tell", type=float, default=1, help="seconds between lines about how far it is (default: %(default)s)")
    return parser.parse_args()


class Port:
    """A path that may go away and come back; what is written meanwhile is lost, as on a cable."""

    def __init__(self, path):
        self._path = path
        self._file = None
        self._tried = 0.0

    def _open(self):
        if self._file is None and time.monotonic() - self._tried > 0.1:
            self._tried = time.monotonic()
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                tty.setraw(self._file)
            except (OSError, tty.error):
                self._close()

    def _close(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def read(self):
        self._open()
        return self._try(lambda: os.read(self._file, 4096), b"")

    def write(self, data):
        return self._try(lambda: os.write(self._file, data), len(data))

    def _try(self, what, otherwise):
        if self._file is None:
            return otherwise
        try:
            return what()
        except BlockingIOError:
            return 0 if otherwise else b""
        except OSError:
            self._close()
            return otherwise


def main():
    options = arguments()
    port = Port(options.path)
    started = time.monotonic()
    commands = []

    def millis():
        return int((time.monotonic() - started) * 1000) & 0xFFFFFFFF

    def on_command(code, payload):
        commands.append(code)
        return (0, payload) if code == 1 else (1, b"")

    def tell(*_):
        counts = " ".join("%s=%d" % pair for pair in device.counts.items())
        print("made=%d waiting=%d commands=%d %s" % (made, len(device.records), len(commands), counts), flush=True)

    def stop(*_):
        tell()
        sys.exit(0)

    device = Device(
        port.read, port.write, millis, unhexlify(options.uid), {0: options.channel},
        lambda: int.from_bytes(os.urandom(4), "little"), "headwater-bridge-python", "1", options.store, 1024,
        on_command=on_command,
    )  # fmt: skip
    made = 0
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    told = 0.0
    while options.count == 0 or device.counts["acknowledged"] < options.count:
        due = (time.monotonic() - started) * options.rate
        while made < due and (options.count == 0 or made < options.count):
            reading = '{"count":%d,"value":%.3f}' % (made, 20 + 5 * math.sin(made / 100))
            if not device.add(0, reading.encode()):
                break
            made += 1
        device.poll()
        if time.monotonic() - told >= options.tell:
            told = time.monotonic()
            tell()
        time.sleep(0.002)
    tell()


if __name__ == "__main__":
    main()
