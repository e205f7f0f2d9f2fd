"""The host that the tests use, where a Device of this package does not lead it: PACK, late and doubled records, epochs, gaps."""

import unittest

from line import EPOCH, Line, codec


class HostAlone(unittest.TestCase):
    def setUp(self):
        self.line = Line()
        self.line.device.poll = lambda: None
        self.line.to_host.clear()
        self.host = self.line.open_host()

    def say(self, kind, **fields):
        """A frame of a device that the test plays; what the host answers."""
        session = self.host._sections.key or 0
        self.line.to_host.extend(b"\x00" + codec.encode(codec.CODES[kind], fields, session) + b"\x00")
        self.host.poll()
        said, sections = bytes(self.line.to_device), codec.Sections()
        self.line.to_device.clear()
        sections.key = self.host._sections.key
        return [frame for _, frame in sections.feed(said, 0)]

    def hello(self, **more):
        fields = {"version": 1, "versionMin": 1, "flags": 0, "boot": 0, "nonce": 7, "epoch": EPOCH, "first": 0, "end": 9}
        fields.update({"lastEpoch": 0, "lastEnd": 0, "uptime": 1, "frameMax": 256, "uid": b"u", "name": "", "firmware": ""})
        fields.update(more)
        return self.say("HELLO", **fields)[-1]

    def payloads(self):
        self.host.commit()
        return [record[4] for record in self.host.log["records"]]

    def test_packs_that_come_late_and_twice(self):
        self.hello()
        self.say("CHANNEL", channel=1, name="pressure")
        late = {"sequence": 2, "time": 100, "records": [(1, 5, b"c"), (1, 5, b"d")]}
        missing = self.say("PACK", **late)
        self.assertEqual([(frame.name, frame["sequence"]) for frame in missing], [("NAK", 0), ("NAK", 1)])
        self.say("PACK", sequence=0, time=0, records=[(1, 0, b"a"), (1, 7, b"b")])
        self.say("PACK", **late)
        self.assertEqual(self.payloads(), [b"a", b"b", b"c", b"d"])
        self.assertEqual([record[3] for record in self.host.log["records"]], [0, 7, 105, 110])

    def test_a_record_of_an_unknown_channel_is_asked_for_with_its_name(self):
        self.hello()
        answers = self.say("DATA", sequence=0, channel=3, time=0, payload=b"x")
        self.assertEqual([(frame.name, frame["reason"]) for frame in answers], [("NAK", 1)])
        self.assertEqual(self.payloads(), [])

    def test_gaps_and_epochs(self):
        self.hello()
        welcome = self.hello(first=4, nonce=8)
        self.assertEqual((welcome["status"], welcome["expected"], welcome["nonce"]), (0, 4, 8))
        self.say("SKIP", first=6)
        self.say("SKIP", first=5)
        self.host.commit()
        self.assertEqual(self.host.log["gaps"], [(EPOCH, 0, 4, "gap"), (EPOCH, 4, 2, "skipped")])
        self.assertEqual(self.hello(end=5)["status"], 1)
        given = self.hello(epoch=0, first=0)
        self.assertEqual((given["status"], given["epoch"]), (1, self.hello(epoch=0, first=0)["epoch"]))
        self.assertEqual(self.hello(epoch=99, first=3)["expected"], 3)


if __name__ == "__main__":
    unittest.main()
