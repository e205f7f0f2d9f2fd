"""A line without a cable, and a clock that a test moves: the device on one end, a Host or the test's own frames on the other."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from headwater_bridge import codec
from headwater_bridge.device import Device
from headwater_bridge.host import Host

KEY = 0x5EED5EED
EPOCH = 0xE90C0001


class Line:
    """`spoil(bytes) -> bytes` may be set for each way; without a Host the test reads `frames()` and says `tell`."""

    def __init__(self, seed=1, start=0xFFFFF000, **device):
        # The clock begins shortly before it wraps, so that every story goes over the end.
        self.now = start
        self.random = random.Random(seed)
        self.to_host, self.to_device = bytearray(), bytearray()
        self.spoil_up = self.spoil_down = lambda data: data
        self.key = None
        self.host = None
        self._sections = codec.Sections()
        self.options = device
        self.device = self.boot()

    def millis(self):
        return self.now & 0xFFFFFFFF

    def boot(self, **more):
        """A device that starts; its RAM is empty, or what `store` says."""
        options = {"uid": b"\x01\x02", "channels": {0: "temperature", 1: "pressure"}, "nonce": lambda: self.random.getrandbits(32)}
        options.update(self.options)
        options.update(more)
        self.device = Device(self._read_device, self._write_device, self.millis, **options)
        return self.device

    def open_host(self, log=None, window=64):
        self.host = Host(self._read_host, self._write_host, self.millis, lambda: self.random.getrandbits(32), log, window)
        return self.host

    def _read_device(self):
        data = bytes(self.to_device)
        self.to_device.clear()
        return data

    def _write_device(self, data):
        self.to_host.extend(self.spoil_up(data))
        return len(data)

    def _read_host(self):
        data = bytes(self.to_host)
        self.to_host.clear()
        return data

    def _write_host(self, data):
        self.to_device.extend(self.spoil_down(data))

    def run(self, ms, step=10, commit=True):
        end = self.now + ms
        while self.now < end:
            self.now += step
            self.device.poll()
            if self.host is not None:
                self.host.poll()
                if commit:
                    self.host.commit()

    # --- the test as the host ---

    def frames(self):
        """What the device has sent since the last call: frames of this session."""
        self._sections.key = self.key
        return [what for kind, what in self._sections.feed(self._read_host(), 0) if kind == "frame"]

    def names(self):
        return [frame.name for frame in self.frames()]

    def sequences(self):
        return [frame["sequence"] for frame in self.frames() if frame.name in ("DATA", "PAST")]

    def tell(self, name, address=None, final=False, session=None, poll=True, **fields):
        """A frame of the host, and a poll of the device."""
        session = self.key or 0 if session is None else session
        wire = codec.encode(codec.CODES[name], fields, session, address, final)
        self.to_device.extend(b"\x00" + wire + b"\x00")
        if poll:
            self.device.poll()

    def hello(self):
        """The device's next HELLO; the clock moves until it comes."""
        self.key = None
        for _ in range(7000):
            self.device.poll()
            for frame in self.frames():
                if frame.name == "HELLO":
                    return frame
            self.now += 10
        raise AssertionError("the device says no HELLO")

    def welcome(self, hello, poll=True, **more):
        fields = {"version": 1, "status": 0, "nonce": hello["nonce"], "epoch": hello["epoch"], "key": KEY, "expected": hello["first"]}
        fields.update({"frameMax": 1024, "ackMs": 100, "window": 64})
        fields.update(more)
        if fields["status"] != 0:
            fields["key"] = fields["expected"] = 0
        else:
            self.key = fields["key"]
        self.tell("WELCOME", poll=poll, **fields)

    def connect(self, readings=0, **welcome):
        """From the start to a session under EPOCH; what it sends is left to be read."""
        for value in range(readings):
            self.device.add(0, b"%d" % value)
        hello = self.hello()
        self.welcome(hello, status=1, epoch=EPOCH)
        hello = self.hello()
        self.welcome(hello, **welcome)
        return hello

    def ack(self, committed, received, window=64, **more):
        self.tell("ACK", committed=committed & 0xFFFF, received=received & 0xFFFF, window=window, **more)
