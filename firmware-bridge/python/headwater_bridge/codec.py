"""Frames of the bridge protocol: COBS, CRC with the session's key, all types both ways, and sections of a stream.

    0x00 | COBS(type [address] fields crc) | 0x00

Runs on CPython from 3.8 and on MicroPython.
"""

from binascii import crc32
from struct import calcsize, pack, unpack_from

BODY_MAX = 1024
CHANNEL_MAX = 63
NAME_MAX = 31
SILENCE_MS = 250

HELLO, WELCOME, WHO = 0x01, 0x02, 0x03
DATA, PACK, PAST, CHANNEL, SKIP, ECHO, ANSWER, PING = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17
ACK, NAK, TIME, COMMAND = 0x20, 0x21, 0x22, 0x23

# Fields: a letter of struct, or what has a length of its own (uid, text), or takes all up to the CRC (payload, name, records).
_TABLE = (
    (
        HELLO,
        "HELLO",
        "version B versionMin B flags B boot B nonce I epoch I first I end I lastEpoch I lastEnd I uptime I "
        "frameMax H uid uid name text firmware text",
    ),
    (WELCOME, "WELCOME", "version B status B nonce I epoch I key I expected I frameMax H ackMs H window B"),
    (WHO, "WHO", "version B"),
    (DATA, "DATA", "sequence H channel B time I payload payload"),
    (PACK, "PACK", "sequence H time I records records"),
    (PAST, "PAST", "sequence H boot B channel B time I payload payload"),
    (CHANNEL, "CHANNEL", "channel B name name"),
    (SKIP, "SKIP", "first I"),
    (ECHO, "ECHO", "id B uptime I"),
    (ANSWER, "ANSWER", "id H status B payload payload"),
    (PING, "PING", ""),
    (ACK, "ACK", "committed H received H window B"),
    (NAK, "NAK", "sequence H reason B"),
    (TIME, "TIME", "id B wall Q error H"),
    (COMMAND, "COMMAND", "id H code B payload payload"),
)


def _columns(text):
    words = text.split()
    return [(words[at], words[at + 1]) for at in range(0, len(words), 2)]


TYPES = {code: (name, _columns(columns)) for code, name, columns in _TABLE}
CODES = {name: code for code, name, _ in _TABLE}


class Frame:
    """A frame in meaning. `address` is None outside of polled mode; payloads and uid are bytes, names are str."""

    def __init__(self, type, fields, address=None, final=False):
        self.type = type
        self.name = TYPES[type][0]
        self.fields = fields
        self.address = address
        self.final = final

    def __getitem__(self, field):
        return self.fields[field]


class _Unfit(Exception):
    """A sound body that is no frame of this version."""


def is_keyed(code):
    return not HELLO <= code <= WHO


def stuff(body):
    """COBS."""
    out = bytearray()
    start = 0
    while True:
        end = body.find(b"\x00", start, start + 254)
        if end >= 0:
            out.append(end - start + 1)
            out.extend(body[start:end])
            start = end + 1
        elif len(body) - start >= 254:
            out.append(255)
            out.extend(body[start : start + 254])
            start += 254
            if start == len(body):
                return bytes(out)
        else:
            out.append(len(body) - start + 1)
            out.extend(body[start:])
            return bytes(out)


def unstuff(section):
    """COBS undone; None if a code points beyond the end."""
    out = bytearray()
    at = 0
    while at < len(section):
        code = section[at]
        if code == 0 or at + code > len(section):
            return None
        out.extend(section[at + 1 : at + code])
        at += code
        if code < 255 and at < len(section):
            out.append(0)
    return bytes(out)


def checksum(plain, key):
    return crc32(plain, crc32(pack("<I", key))) & 0xFFFFFFFF


def encode(code, fields, key=0, address=None, final=False):
    """The section of a frame, without the zeros around it. Raises ValueError if it is longer than a frame may be."""
    plain = bytearray([code | (0 if address is None else 0x80) | (0x40 if final else 0)])
    if address is not None:
        plain.append(address)
    for name, kind in TYPES[code][1]:
        plain.extend(_encode_field(kind, fields[name]))
    if len(plain) + 4 > BODY_MAX:
        raise ValueError("a frame has at most 1024 bytes")
    return stuff(bytes(plain) + pack("<I", checksum(plain, key if is_keyed(code) else 0)))


def _encode_field(kind, value):
    if len(kind) == 1:
        return pack("<" + kind, value)
    if kind == "records":
        return b"".join([pack("<BHB", channel, later, len(payload)) + payload for channel, later, payload in value])
    if kind in ("text", "name"):
        value = value.encode()
    return value if kind in ("payload", "name") else bytes([len(value)]) + value


def decode_section(section, key, limit=BODY_MAX):
    """What a section between zeros is: ('frame', Frame), ('dropped', why), ('text', bytes) or ('bad', None).

    `key` is the session's; None if there is no session: then every keyed frame is bad.
    """
    body = unstuff(section)
    if body is not None and 5 <= len(body) <= limit:
        plain = body[:-4]
        keyed = is_keyed(plain[0] & 0x3F)
        if not (keyed and key is None):
            if checksum(plain, key if keyed else 0) == unpack_from("<I", body, len(plain))[0]:
                try:
                    return "frame", _decode_plain(plain)
                except _Unfit as why:
                    return "dropped", str(why)
    if is_text(section):
        return "text", bytes(section)
    return "bad", None


def _decode_plain(plain):
    code = plain[0] & 0x3F
    if code not in TYPES:
        raise _Unfit("unknown type")
    address = None
    at = 1
    if plain[0] & 0x80:
        if len(plain) < 2:
            raise _Unfit("no address")
        address = plain[1]
        at = 2
    fields = {}
    for name, kind in TYPES[code][1]:
        fields[name], at = _decode_field(kind, plain, at)
    _check(code, fields)
    return Frame(code, fields, address, bool(plain[0] & 0x40))


def _decode_field(kind, plain, at):
    if len(kind) == 1:
        end = at + calcsize("<" + kind)
        if end > len(plain):
            raise _Unfit("too short")
        return unpack_from("<" + kind, plain, at)[0], end
    if kind == "records":
        return _decode_records(plain, at)
    if kind in ("payload", "name"):
        rest = plain[at:]
        return (rest if kind == "payload" else _decode_name(rest, 1)), len(plain)
    if at >= len(plain) or at + 1 + plain[at] > len(plain):
        raise _Unfit("too short")
    end = at + 1 + plain[at]
    value = plain[at + 1 : end]
    return (value if kind == "uid" else _decode_name(value, 0)), end


def _decode_records(plain, at):
    records = []
    while at < len(plain):
        if at + 4 > len(plain) or at + 4 + plain[at + 3] > len(plain):
            raise _Unfit("a record is cut")
        channel, later, length = unpack_from("<BHB", plain, at)
        records.append((channel, later, plain[at + 4 : at + 4 + length]))
        at += 4 + length
    return records, at


def _decode_name(value, length_min):
    if not length_min <= len(value) <= NAME_MAX or utf8_length(value) != len(value):
        raise _Unfit("not a name")
    for byte in value:
        if byte < 0x20 or byte == 0x7F:
            raise _Unfit("a name with a control character")
    return value.decode()


def _check(code, fields):
    """The bounds of section 2 and 3."""
    channels = [fields["channel"]] if "channel" in fields else [one[0] for one in fields.get("records", ())]
    if any([channel > CHANNEL_MAX for channel in channels]):
        raise _Unfit("a channel beyond 63")
    if code == PACK and not fields["records"]:
        raise _Unfit("a pack without a record")
    if code == HELLO:
        if not 1 <= len(fields["uid"]) <= 16 or not 128 <= fields["frameMax"] <= BODY_MAX:
            raise _Unfit("uid or frameMax")
        if fields["versionMin"] > fields["version"] or (fields["epoch"] == 0 and fields["first"] != 0):
            raise _Unfit("version or first")


def utf8_length(data):
    """Length of the longest beginning of `data` that is whole, well-formed UTF-8 (MicroPython checks less)."""
    at = 0
    while at < len(data):
        count, low, high = _utf8_rule(data[at])
        if count == 0 or at + count > len(data):
            return at
        if count > 1 and not low <= data[at + 1] <= high:
            return at
        for byte in data[at + 2 : at + count]:
            if byte & 0xC0 != 0x80:
                return at
        at += count
    return at


def _utf8_rule(lead):
    """Bytes of the character that begins with `lead` (0: none does), and the bounds of its second byte."""
    if lead < 0x80:
        return 1, 0, 0
    if 0xC2 <= lead <= 0xDF:
        return 2, 0x80, 0xBF
    if 0xE0 <= lead <= 0xEF:
        return 3, 0xA0 if lead == 0xE0 else 0x80, 0x9F if lead == 0xED else 0xBF
    if 0xF0 <= lead <= 0xF4:
        return 4, 0x90 if lead == 0xF0 else 0x80, 0x8F if lead == 0xF4 else 0xBF
    return 0, 0, 0


def is_text(section):
    """Whether a section is text by section 1."""
    return _printable(section) and utf8_length(section) == len(section)


def _printable(section):
    for byte in section:
        if byte < 0x20 and byte not in (0x09, 0x0A, 0x0D, 0x1B) or byte == 0x7F:
            return False
    return True


def _whole_text(section):
    """Length of the text that a section begins with, if nothing but the rest of one character is missing; else 0."""
    length = utf8_length(section)
    if not _printable(section) or len(section) - length > 3:
        return 0
    if length < len(section) and _utf8_rule(section[length])[0] <= len(section) - length:
        return 0
    return length


class Sections:
    """Cuts a stream. `key` is looked at for each section: it may be changed between two of them."""

    def __init__(self, limit=BODY_MAX):
        self.key = None
        self._limit = limit
        self._longest = limit + limit // 254 + 2
        self._section = bytearray()
        self._is_skipping = False
        self._heard_ms = 0

    def feed(self, data, now_ms):
        """Yields what decode_section says of each section that `data` ends."""
        self._heard_ms = now_ms
        start = 0
        while start < len(data):
            end = data.find(b"\x00", start)
            if end < 0:
                for event in self._take(data[start:]):
                    yield event
                return
            for event in self._take(data[start:end]):
                yield event
            section = bytes(self._section)
            self._section = bytearray()
            if section and not self._is_skipping:
                yield decode_section(section, self.key, self._limit)
            self._is_skipping = False
            start = end + 1

    def _take(self, part):
        """Adds bytes to the section; one that is longer than any frame is text so far, or bad up to its end."""
        if self._is_skipping:
            return
        self._section.extend(part)
        while len(self._section) > self._longest and not self._is_skipping:
            head = bytes(self._section[: self._longest])
            text = _whole_text(head)
            if text > 0:
                self._section = bytearray(self._section[text:])
                yield "text", head[:text]
            else:
                self._section = bytearray()
                self._is_skipping = True
                yield "bad", None

    def tick(self, now_ms):
        """Text that was ended by silence, or None."""
        if not self._section or (now_ms - self._heard_ms) & 0xFFFFFFFF < SILENCE_MS:
            return None
        text = _whole_text(bytes(self._section))
        if text == 0:
            return None
        section = bytes(self._section)
        self._section = bytearray(section[text:])
        return section[:text]
