"""vectors.json, frame by frame: plain functions that run on CPython and on MicroPython (`micropython tests/vectors.py`)."""

import json
import sys
from binascii import hexlify, unhexlify


def _folder():
    return __file__.rsplit("/", 1)[0] if "/" in __file__ else "."


if __name__ == "__main__":
    sys.path.insert(0, _folder() + "/..")

from headwater_bridge import codec


def load(path=None):
    with open(path or _folder() + "/../../vectors.json") as file:
        return json.load(file)


def _unhex(text):
    return unhexlify(text.encode())


def _hex(data):
    return hexlify(data).decode()


def _from_fields(fields):
    """Fields as vectors.json has them (bytes in hex) to those of the codec."""
    out = dict(fields)
    for name in ("payload", "uid"):
        if name in out:
            out[name] = _unhex(out[name])
    if "records" in out:
        out["records"] = [(one["channel"], one["later"], _unhex(one["payload"])) for one in out["records"]]
    return out


def _equal(got, wanted):
    if got != wanted:
        raise AssertionError("%r is not %r" % (got, wanted))


def check_cobs(vector):
    _equal(_hex(codec.stuff(_unhex(vector["plain"]))), vector["coded"])
    _equal(_hex(codec.unstuff(_unhex(vector["coded"]))), vector["plain"])


def check_encode(vector):
    code = codec.CODES[vector["type"]]
    wire = codec.encode(code, _from_fields(vector["fields"]), vector["key"], vector["address"], vector["final"])
    _equal(_hex(wire), vector["wire"])


def check_decode(vector):
    kind, frame = codec.decode_section(_unhex(vector["wire"]), vector["key"])
    _equal(kind, "frame")
    _equal((frame.name, frame.address, frame.final), (vector["type"], vector["address"], vector["final"]))
    _equal(frame.fields, _from_fields(vector["fields"]))


def check_dropped(vector):
    _equal(codec.decode_section(_unhex(vector["wire"]), vector["key"])[0], "dropped")


def check_bad(vector):
    _equal(codec.decode_section(_unhex(vector["wire"]), vector["key"]), ("bad", None))


def check_stream(vector, step):
    """The stream in pieces of `step` bytes."""
    sections = codec.Sections()
    sections.key = vector["key"]
    stream = _unhex(vector["bytes"])
    seen = []
    for at in range(0, len(stream), step):
        for kind, what in sections.feed(stream[at : at + step], at):
            seen.append((kind, _seen_as(kind, what)))
    wanted = []
    for one in vector["seen"]:
        if "frame" in one:
            wanted.append(("frame", _seen_as(*codec.decode_section(_unhex(one["frame"]), vector["key"]))))
        else:
            wanted.append(("text", _unhex(one["text"])) if "text" in one else ("bad", None))
    _equal(seen, wanted)


def _seen_as(kind, what):
    return (what.name, what.fields) if kind == "frame" else what


def checks(vectors):
    """(name, function) for every check of the file."""
    for vector in vectors["cobs"]:
        yield "cobs " + vector["plain"][:20], lambda vector=vector: check_cobs(vector)
    for vector in vectors["frames"]:
        yield "encode " + vector["name"], lambda vector=vector: check_encode(vector)
    for part, check in (("frames", check_decode), ("lenient", check_decode), ("dropped", check_dropped), ("bad", check_bad)):
        for vector in vectors[part]:
            yield part + " " + vector["name"], lambda vector=vector, check=check: check(vector)
    for vector in vectors["streams"]:
        for step in (1, 2, 7, 100000):
            yield "stream %s by %d" % (vector["name"], step), lambda vector=vector, step=step: check_stream(vector, step)


def run(path=None):
    """How many checks hold, and what is to be said of the others."""
    passed = 0
    failures = []
    for name, check in checks(load(path)):
        try:
            check()
            passed += 1
        except Exception as error:
            failures.append("%s: %r" % (name, error))
    return passed, failures


if __name__ == "__main__":
    passed, failures = run(sys.argv[1] if len(sys.argv) > 1 else None)
    for failure in failures:
        print("failed: " + failure)
    print("%s: %d passed, %d failed" % (sys.implementation.name, passed, len(failures)))
    sys.exit(1 if failures else 0)
