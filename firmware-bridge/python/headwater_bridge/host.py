"""As much of the host as tests of a device need: one line, one device, its log a list. headwater's own is in TypeScript."""

from .codec import ACK, ANSWER, CHANNEL, COMMAND, DATA, ECHO, HELLO, NAK, PACK, PAST, PING, SKIP, TIME, WELCOME, WHO
from .codec import Sections, encode
from .device import _beyond

ACK_MS, ACK_IDLE_MS, NAK_MS, LOST_MS, COMMAND_MS = 20, 5000, 100, 15000, 500


class Host:
    """`log` is what survives: a dict that a later Host may be given, as after a kill. Commits happen when `commit` is called."""

    def __init__(self, read, write, millis, random, log=None, window=64):
        self._read, self._write, self._millis, self._random = read, write, millis, random
        self.log = {"epoch": 0, "committed": 0, "records": [], "gaps": []} if log is None else log
        self.window = window
        self.text = b""
        self.clocks = []
        self.answers = []
        self._sections = Sections()
        self._over()
        self._next = self.log["committed"]
        self._taken = []
        self._command = None
        self._send(WHO, {"version": 1})

    def _over(self):
        self.is_connected = False
        self._sections.key = None
        self._early = {}
        self._channels = {}
        self._command = None
        self._asked = {}

    def poll(self):
        now = self._millis()
        for kind, what in self._sections.feed(self._read() or b"", now):
            if kind == "frame":
                self._take(what, now)
            elif kind == "text":
                self.text += what
        self.text += self._sections.tick(now) or b""
        if not self.is_connected:
            return
        if (now - self._heard_at) & 0xFFFFFFFF >= LOST_MS:
            self._over()
            return
        wait = ACK_MS if self._owes else ACK_IDLE_MS
        if (now - self._acked_at) & 0xFFFFFFFF >= wait:
            self._acknowledge(now)
        if self._command is not None and (now - self._commanded_at) & 0xFFFFFFFF >= COMMAND_MS:
            self._send_command(now)

    def commit(self):
        """Records and the memory of their sequence, in one step."""
        for kind, what in self._taken:
            self.log[kind].append(what)
        self._taken = []
        self.log["committed"] = self._next
        if self.is_connected:
            self._acknowledge(self._millis())

    def set_window(self, window):
        self.window = window
        if self.is_connected:
            self._acknowledge(self._millis())

    def command(self, code, payload=b""):
        self._command_id = (self._command_id + 1) & 0xFFFF
        self._command = {"id": self._command_id, "code": code, "payload": payload}
        self._send_command(self._millis())

    def tell_time(self, wall, error):
        self._send(TIME, {"id": len(self.clocks) & 0xFF, "wall": wall, "error": error})

    def _send_command(self, now):
        self._commanded_at = now
        self._send(COMMAND, self._command)

    def _send(self, code, fields):
        self._write(b"\x00" + encode(code, fields, self._sections.key or 0) + b"\x00")

    def _acknowledge(self, now):
        self._acked_at = now
        self._owes = False
        fields = {"committed": self.log["committed"] & 0xFFFF, "received": self._next & 0xFFFF, "window": self.window}
        self._send(ACK, fields)

    def _take(self, frame, now):
        if frame.type == HELLO:
            self._welcome(frame, now)
            return
        if not self.is_connected:
            return
        self._heard_at = now
        if frame.type == CHANNEL:
            self._channels[frame["channel"]] = frame["name"]
        elif frame.type in (DATA, PAST):
            boot = frame["boot"] if frame.type == PAST else None
            self._record(frame["sequence"], boot, frame["channel"], frame["time"], frame["payload"], now)
        elif frame.type == PACK:
            time = frame["time"]
            for index, (channel, later, payload) in enumerate(frame["records"]):
                time = (time + later) & 0xFFFFFFFF
                self._record(frame["sequence"] + index, None, channel, time, payload, now)
        elif frame.type == SKIP:
            self._skip(frame["first"], "skipped")
        elif frame.type == ECHO:
            self.clocks.append((frame["id"], frame["uptime"]))
        elif frame.type == ANSWER and self._command is not None and frame["id"] == self._command["id"]:
            self.answers.append((frame["id"], frame["status"], frame["payload"]))
            self._command = None
        elif frame.type == PING:
            self._acknowledge(now)

    def _welcome(self, hello, now):
        self._over()
        fields = {"version": 1, "status": 0, "nonce": hello["nonce"], "epoch": hello["epoch"], "key": 0, "expected": 0}
        fields.update({"frameMax": 1024, "ackMs": 100, "window": self.window})
        is_ahead = hello["epoch"] == self.log["epoch"] and _beyond(hello["end"], self._next) < 0
        if hello["epoch"] == 0 or is_ahead or hello["epoch"] == self.log.get("former"):
            if self._next != 0 or self.log["epoch"] == 0 or is_ahead:
                self._begin_epoch(hello)
            fields["status"] = 1
            fields["epoch"] = self.log["epoch"]
            self._send(WELCOME, fields)
            return
        if hello["epoch"] != self.log["epoch"]:
            self.commit()
            self.log.update({"epoch": hello["epoch"], "committed": hello["first"]})
            self._next = hello["first"]
        self._skip(hello["first"], "gap")
        fields["key"] = self._random() or 1
        fields["expected"] = self._next
        self._send(WELCOME, fields)
        self.is_connected = True
        self._sections.key = fields["key"]
        self._heard_at = self._acked_at = now
        self._owes = False
        self._command_id = 0

    def _begin_epoch(self, hello):
        self.commit()
        former = self.log["epoch"]
        if former != 0 and hello["epoch"] == 0:
            self.log["gaps"].append((former, self._next, None, "epoch"))
        self._next = 0
        self.log.update({"former": former, "epoch": self._random() or 1, "committed": 0})

    def _skip(self, first, reason):
        """A gap up to `first`, if that is beyond what comes next."""
        count = _beyond(first, self._next)
        if count <= 0:
            return
        self._taken.append(("gaps", (self.log["epoch"], self._next, count, reason)))
        self._next = first
        self._owes = True
        self._take_early()

    def _record(self, sequence16, boot, channel, time, payload, now):
        offset = _beyond(sequence16, self._next, 16)
        if offset < 0 or offset >= self.window:
            self._owes = True
            return
        sequence = (self._next + offset) & 0xFFFFFFFF
        if channel not in self._channels:
            self._ask(sequence, 1, now)
            return
        self._early[sequence] = (self._channels[channel], boot, time, payload)
        for missing in range(offset):
            if (self._next + missing) & 0xFFFFFFFF not in self._early:
                self._ask((self._next + missing) & 0xFFFFFFFF, 0, now)
        self._take_early()

    def _take_early(self):
        for sequence in [one for one in self._early if _beyond(one, self._next) < 0]:
            del self._early[sequence]
        while self._next in self._early:
            self._taken.append(("records", (self._next,) + self._early.pop(self._next)))
            self._asked.pop(self._next, None)
            self._next = (self._next + 1) & 0xFFFFFFFF
            self._owes = True

    def _ask(self, sequence, reason, now):
        if sequence in self._asked and (now - self._asked[sequence]) & 0xFFFFFFFF < NAK_MS:
            return
        self._asked[sequence] = now
        self._send(NAK, {"sequence": sequence & 0xFFFF, "reason": reason})
