"""The device: a state machine without threads that is called often and never waits.

    start, session lost -> HELLO each 250 ms, doubling to 8 s -> WELCOME 0 -> connected

It holds its records in RAM until the host has committed them. `read`, `write` and `millis` are handed in.
"""

from .codec import ACK, ANSWER, CHANNEL, CHANNEL_MAX, COMMAND, DATA, ECHO, HELLO, NAK, PAST, PING, SKIP, TIME, WELCOME, WHO
from .codec import Sections, encode

VERSION = 1
POLLED, PERSISTENT, COMMANDS = 1, 2, 4
RESEND_MS, RESEND_MS_MAX = 200, 2000
HELLO_MS, HELLO_MS_MAX, WHO_MS_MIN = 250, 8000, 50
PING_MS, LOST_MS, STALL_MS = 5000, 15000, 10000
REFUSED_MS = {2: 8000, 3: 60000, 4: 8000}
REST_MS, TURN_MS = 2, 20
MASK = 0xFFFFFFFF
# What a 16-bit sequence can tell apart: nothing is sent further beyond the oldest record.
REACH = 0x4000


class Uptime:
    """Milliseconds since its making as u32, from a clock that wraps elsewhere, such as MicroPython's ticks_ms and ticks_diff."""

    def __init__(self, ticks, diff):
        self._ticks, self._diff = ticks, diff
        self._last = ticks()
        self._ms = 0

    def __call__(self):
        now = self._ticks()
        self._ms = (self._ms + self._diff(now, self._last)) & MASK
        self._last = now
        return self._ms


def _beyond(sequence, start, bits=32):
    """How far `sequence` is beyond `start`, negative if before."""
    half = 1 << (bits - 1)
    return ((sequence - start + half) & (2 * half - 1)) - half


def _since(then, now):
    return (now - then) & MASK


class Device:
    """`read()` gives the bytes that came (or None), `write(data)` returns how many it took (None: all), neither waits.

    uid: 1 to 16 bytes. channels: {number: name}. nonce: a function that gives u32. on_command(code, payload) returns
    (status, payload), or None if `answer` is called later. address: 1 to 32 in polled mode. With forget_oldest a reading
    that finds `capacity` records forgets the oldest one, else it is refused. store: (epoch, first, [(boot, channel, time, payload)])
    from `store()` of an earlier boot.
    """

    def __init__(self, read, write, millis, uid, channels, nonce, name="", firmware="", capacity=256, frame_max=256,
                 boot=0, on_command=None, address=None, forget_oldest=False, store=None):  # fmt: skip
        self._read, self._write, self._millis, self._nonce_of = read, write, millis, nonce
        self._uid, self._channels, self._name, self._firmware = uid, channels, name, firmware
        self._capacity, self._frame_max, self._boot = capacity, frame_max, boot
        self._on_command, self._address, self._forgets = on_command, address, forget_oldest
        self._sections = Sections(frame_max)
        self._out = b""
        self._flags = (POLLED if address is not None else 0) | (COMMANDS if on_command else 0)
        self.counts = {"dropped": 0, "bad": 0, "text": 0, "hellos": 0, "sent": 0, "again": 0, "acknowledged": 0, "forgotten": 0}
        self.epoch = 0
        self.first = 0
        self.records = []
        if store is not None:
            self._flags |= PERSISTENT
            self.epoch, self.first, self.records = store[0], store[1], list(store[2])
        self.is_connected = False
        self.wall_error_ms = None
        self._wall_ms = 0
        self._nonce = None
        self._hello_at = millis()
        self._hello_wait = HELLO_MS
        self._hello_sent = None
        self._turn_at = None
        self._turn = None
        self._is_commanded = False

    # --- what the firmware calls ---

    def add(self, channel, payload, time=None):
        """Takes a reading; False if there is no room for it. Raises ValueError for a channel without a name or a long payload."""
        if channel not in self._channels or len(payload) > 1000:
            raise ValueError("a channel has a name, and a payload at most 1000 bytes")
        if len(self.records) >= self._capacity:
            if not self._forgets:
                return False
            self._forget(1)
            self.counts["forgotten"] += 1
        self.records.append((None, channel, self._millis() if time is None else time & MASK, payload))
        return True

    def store(self):
        """What a firmware with a persistent store keeps over a reset."""
        records = [(self._boot if boot is None else boot, channel, time, payload) for boot, channel, time, payload in self.records]
        return self.epoch, self.first, records

    def poll(self):
        """Takes what came, sends what is due. To be called each 10 ms or so."""
        now = self._millis()
        data = self._read()
        if data:
            for kind, frame in self._sections.feed(data, now):
                if kind == "frame":
                    self._take(frame, now)
                else:
                    self.counts[kind] += 1
        if self._sections.tick(now) is not None:
            self.counts["text"] += 1
        if self._address is None:
            self._run(now)
        else:
            self._run_polled(now)
        self._flush()

    def answer(self, status, payload=b""):
        """Answers the command that on_command has not answered. One of a session that is over is forgotten."""
        if self._is_commanded:
            self._is_commanded = False
            if len(payload) + 9 > self._host_frame_max:
                status, payload = 4, b""
            self._answer = {"id": self._command, "status": status, "payload": payload}
            self._answers = [self._answer]

    def wall_ms(self):
        """Milliseconds since 1970 by the host's clock, or None."""
        return None if self.wall_error_ms is None else self._wall_ms + _beyond(self._millis(), self._wall_at)

    # --- the session ---

    def _take(self, frame, now):
        if self._address is not None:
            # Whatever the host says ends a turn that it gave before.
            self._turn_at = None
        if frame.type == WHO and frame.address == 0 and self._address is not None:
            self._lose(now)
            return
        if frame.address != self._address:
            self.counts["dropped"] += 1
            return
        if frame.type == WHO:
            self._take_who(now)
        elif frame.type == WELCOME:
            self._take_welcome(frame, now)
            if frame["status"] == 1 and self._nonce is None and frame.final:
                self._give_turn(now)
        elif frame.type in (ACK, NAK, TIME, COMMAND):
            self._heard_at = now
            (self._take_ack, self._take_nak, self._take_time, self._take_command)[frame.type - ACK](frame, now)
            if frame.type == ACK and frame.final:
                self._give_turn(now)
        else:
            self.counts["dropped"] += 1

    def _give_turn(self, now):
        if self._address is not None:
            self._turn_at = (now + REST_MS) & MASK

    def _take_who(self, now):
        self._lose(now)
        if self._address is not None:
            self._give_turn(now)
        elif self._hello_sent is not None and 0 <= _beyond(now, self._hello_sent) < WHO_MS_MIN:
            self._hello_at = (self._hello_sent + WHO_MS_MIN) & MASK

    def _lose(self, now):
        """The session is over; HELLO is due, with a nonce of its own."""
        self.is_connected = False
        self._sections.key = None
        self._nonce = None
        self._hello_at = now
        self._hello_wait = HELLO_MS

    def _take_welcome(self, frame, now):
        is_ours = self._nonce is not None and frame["nonce"] == self._nonce and frame["version"] == VERSION
        if not is_ours or (self.is_connected and frame["key"] == self._sections.key):
            self.counts["dropped"] += 1
        elif frame["status"] == 0 and frame["epoch"] == self.epoch and self.epoch != 0:
            if 0 <= _beyond(frame["expected"], self.first) <= len(self.records):
                self._begin(frame, now)
            elif self.is_connected:
                self.counts["dropped"] += 1
            else:
                self._renumber(0, now)
        elif frame["status"] == 1 and frame["epoch"] != 0 and not self.is_connected:
            self._renumber(frame["epoch"], now)
        elif frame["status"] in REFUSED_MS and not self.is_connected:
            self._lose(now)
            self._hello_at = (now + REFUSED_MS[frame["status"]]) & MASK
        else:
            self.counts["dropped"] += 1

    def _renumber(self, epoch, now):
        self.epoch = epoch
        self.first = 0
        self._lose(now)

    def _begin(self, frame, now):
        """A session. What the host has received and not committed is kept: an ACK frees it."""
        self.is_connected = True
        self._sections.key = frame["key"]
        self._host_frame_max = max(128, frame["frameMax"])
        self._window = frame["window"]
        self._stall_ms = max(STALL_MS, 10 * frame["ackMs"])
        self._received = self._next = frame["expected"]
        self._again = []
        self._named = set()
        self._resend_ms = RESEND_MS
        self._heard_at = self._sent_at = self._moved_at = self._committed_at = self._full_at = now
        self._full_wait = 1000
        self._echoes = []
        self._answers = []
        self._command = 0
        self._answer = None
        self._is_commanded = False

    # --- frames of the host ---

    def _take_ack(self, frame, now):
        committed = _beyond(frame["committed"], self.first, 16)
        received = _beyond(frame["received"], self.first, 16)
        if committed > len(self.records) or received < committed or received > max(0, _beyond(self._next, self.first)):
            self.counts["dropped"] += 1
            return
        if received > _beyond(self._received, self.first):
            if self._received == self.first:
                self._committed_at = now
            self._received = (self.first + received) & MASK
            self._moved_at = now
            self._resend_ms = RESEND_MS
        if committed > 0:
            self.counts["acknowledged"] += committed
            self._committed_at = now
            self._forget(committed)
        if self._window == 0 or frame["window"] == 0:
            self._moved_at = self._full_at = now
            self._full_wait = 1000
        self._window = frame["window"]

    def _forget(self, count):
        self.records = self.records[count:]
        self.first = (self.first + count) & MASK

    def _take_nak(self, frame, now):
        offset = _beyond(frame["sequence"], self.first, 16)
        sequence = (self.first + offset) & MASK
        if self._address is not None or _beyond(sequence, self._next) >= 0 or _beyond(sequence, self._received) < 0:
            return
        if frame["reason"] == 1 and offset >= 0:
            self._named.discard(self.records[offset][1])
        if sequence not in self._again:
            self._again.append(sequence)

    def _take_time(self, frame, now):
        if frame["error"] != 0xFFFF:
            self._wall_ms, self._wall_at, self.wall_error_ms = frame["wall"], now, frame["error"]
        self._echoes = self._echoes[-3:] + [{"id": frame["id"], "uptime": now}]

    def _take_command(self, frame, now):
        if self._on_command is None:
            self.counts["dropped"] += 1
        elif frame["id"] == self._command and self._answer is not None:
            self._answers = [self._answer]
        elif frame["id"] == (self._command + 1) & 0xFFFF and not self._is_commanded:
            self._command = frame["id"]
            self._answer = None
            self._is_commanded = True
            answer = self._on_command(frame["code"], frame["payload"])
            if answer is not None:
                self.answer(*answer)
        else:
            self.counts["dropped"] += 1

    # --- sending ---

    def _run(self, now):
        if self.is_connected and (_since(self._heard_at, now) >= LOST_MS or self._is_stalled(now)):
            self._lose(now)
        if not self.is_connected:
            if _beyond(now, self._hello_at) >= 0 and not self._out:
                self._say_hello(now)
            return
        while self._echoes and not self._out:
            self._send(ECHO, self._echoes.pop(0))
        while self._answers and not self._out:
            self._send(ANSWER, self._answers.pop(0))
        if self._window == 0:
            self._again = []
            if _since(self._full_at, now) >= self._full_wait:
                self._full_at = now
                self._full_wait = min(8000, self._full_wait * 2)
                self._send(PING, {})
        else:
            self._run_records(now)
        if _since(self._sent_at, now) >= PING_MS:
            self._send(PING, {})

    def _is_stalled(self, now):
        is_waiting = _beyond(self._received, self.first) > 0
        return is_waiting and _since(self._committed_at, now) >= self._stall_ms

    def _run_records(self, now):
        if _beyond(self._received, self._next) < 0 and _since(self._moved_at, now) >= self._resend_ms:
            self._resend_ms = min(RESEND_MS_MAX, self._resend_ms * 2)
            self._moved_at = now
            if self._received not in self._again:
                self._again.append(self._received)
        while self._again and not self._out:
            sequence = self._again.pop(0)
            if _beyond(sequence, self._received) >= 0 and _beyond(sequence, self._next) < 0:
                self.counts["again"] += 1
                self._send_record(sequence)
        while self._may_send_next() and not self._out:
            if self._next == self._received:
                self._moved_at = now
            self._send_record(self._next)
            self._next = (self._next + 1) & MASK

    def _may_send_next(self):
        """Whether a record waits that the window takes. Records that were forgotten unsent are skipped on the way."""
        if _beyond(self._next, self.first) < 0:
            self._send(SKIP, {"first": self.first})
            self._next = self._received = self.first
        offset = _beyond(self._next, self.first)
        start = self._received if _beyond(self._received, self.first) > 0 else self.first
        under_way = _beyond(self._next, start)
        return offset < min(len(self.records), REACH) and under_way < self._window

    def _send_record(self, sequence):
        offset = _beyond(sequence, self.first)
        if offset < 0:
            self._send(SKIP, {"first": self.first})
            return
        boot, channel, time, payload = self.records[offset]
        if channel not in self._named:
            self._named.add(channel)
            self._send(CHANNEL, {"channel": channel, "name": self._channels[channel]})
        fields = {"sequence": sequence & 0xFFFF, "channel": channel, "time": time, "payload": payload}
        if boot is not None:
            fields["boot"] = boot
        self.counts["sent"] += 1
        self._send(DATA if boot is None else PAST, fields)

    def _say_hello(self, now):
        if self._nonce is None:
            self._nonce = self._nonce_of() & MASK
        self._hello_at = (now + self._hello_wait) & MASK
        self._hello_wait = min(HELLO_MS_MAX, self._hello_wait * 2)
        self._hello_sent = now
        self.counts["hellos"] += 1
        fields = {"version": VERSION, "versionMin": VERSION, "flags": self._flags, "boot": self._boot, "nonce": self._nonce}
        fields.update({"epoch": self.epoch, "first": self.first, "end": (self.first + len(self.records)) & MASK})
        fields.update({"lastEpoch": 0, "lastEnd": 0, "uptime": now, "frameMax": self._frame_max})
        fields.update({"uid": self._uid, "name": self._name, "firmware": self._firmware})
        self._transmit(HELLO, fields, self._address is not None)

    def _send(self, code, fields):
        if self._turn is None:
            self._transmit(code, fields, False)
        else:
            self._turn.append((code, fields))

    def _transmit(self, code, fields, final):
        self._sent_at = self._millis()
        wire = encode(code, fields, self._sections.key or 0, self._address, final)
        self._out += b"\x00" + wire + b"\x00"
        self._flush()

    def _flush(self):
        if self._out:
            taken = self._write(self._out)
            self._out = b"" if taken is None else self._out[taken:]

    # --- polled mode ---

    def _run_polled(self, now):
        if self.is_connected and (_since(self._heard_at, now) >= LOST_MS or self._is_stalled(now)):
            self._lose(now)
        if self._turn_at is None or _beyond(now, self._turn_at) < 0:
            return
        is_late = _beyond(now, self._turn_at) > TURN_MS - REST_MS
        self._turn_at = None
        if is_late:
            return
        if not self.is_connected:
            self._say_hello(now)
            return
        turn = [(ECHO, echo) for echo in self._echoes] + [(ANSWER, answer) for answer in self._answers]
        self._echoes, self._answers = [], []
        self._next = self._received
        self._turn = turn
        while self._window > 0 and self._may_send_next():
            self._send_record(self._next)
            self._next = (self._next + 1) & MASK
        self._turn = None
        if not turn:
            turn = [(PING, {})]
        for code, fields in turn[:-1]:
            self._send(code, fields)
        self._transmit(turn[-1][0], turn[-1][1], True)
