"""The vectors, sections of a stream, and a fuzz of the decoder. SEED=n repeats a fuzz."""

import os
import random
import unittest

import line  # The path to the package.
import vectors
from headwater_bridge import codec

KEY = line.KEY


class Vectors(unittest.TestCase):
    def test_every_vector(self):
        count = 0
        for name, check in vectors.checks(vectors.load()):
            with self.subTest(name):
                check()
            count += 1
        self.assertGreater(count, 150)


class Text(unittest.TestCase):
    def kinds(self, data, step=1):
        sections = codec.Sections(128)
        sections.key = KEY
        seen = []
        for at in range(0, len(data), step):
            seen += list(sections.feed(data[at : at + step], 0))
        tail = sections.tick(codec.SILENCE_MS)
        return seen + ([("tick", tail)] if tail else [])

    def test_text_is_passed_on_after_silence_and_not_before(self):
        sections = codec.Sections()
        self.assertEqual(list(sections.feed(b"login: ", 100)), [])
        self.assertIsNone(sections.tick(349))
        self.assertEqual(sections.tick(350), b"login: ")
        self.assertIsNone(sections.tick(900))

    def test_a_character_that_is_not_whole_waits_for_its_rest(self):
        sections = codec.Sections()
        euro = "€".encode()
        list(sections.feed(b"a" + euro[:2], 0))
        self.assertEqual(sections.tick(250), b"a")
        self.assertIsNone(sections.tick(500))
        self.assertEqual(list(sections.feed(euro[2:] + b"\x00", 600)), [("text", euro)])

    def test_half_a_frame_is_no_text_however_long_it_rests(self):
        sections = codec.Sections()
        wire = codec.encode(codec.PING, {}, KEY)
        list(sections.feed(b"\x00" + wire[:3] + b"\x01", 0))
        self.assertIsNone(sections.tick(10000))

    def test_long_text_comes_in_pieces_and_long_noise_is_one_bad(self):
        euros = "€".encode() * 200
        for step in (1, 50, 1000):
            seen = self.kinds(euros, step)
            self.assertEqual(b"".join([text for _, text in seen]), euros)
            self.assertTrue(all(codec.is_text(text) and len(text) <= 130 for _, text in seen))
            self.assertEqual(self.kinds(b"\x01" * 1000 + b"\x00ok\x00", step), [("bad", None), ("text", b"ok")])

    def test_utf8_as_the_standard_has_it(self):
        for bad in (b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\x80"):
            self.assertFalse(codec.is_text(bad), bad)
        for good in ("\u00e4", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "\u0085"):
            self.assertTrue(codec.is_text(good.encode()), good)
        for control in (b"\x00", b"\x07", b"\x08", b"\x0b", b"\x7f"):
            self.assertFalse(codec.is_text(control))


class Fuzz(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        self.random = random.Random(self.seed)

    def test_any_bytes_are_something_and_frames_among_them_are_found(self):
        print("fuzz of the decoder: SEED=%d" % self.seed)
        frames = [(index, codec.encode(codec.DATA, self.reading(index), KEY)) for index in range(300)]
        stream = bytearray()
        for _, wire in frames:
            stream += b"\x00" + wire + b"\x00" + bytes(self.random.randrange(256) for _ in range(self.random.randrange(60))) + b"\x00"
        sections = codec.Sections()
        sections.key = KEY
        found = []
        while stream:
            size = self.random.randrange(1, 200)
            for kind, what in sections.feed(bytes(stream[:size]), 0):
                self.assertIn(kind, ("frame", "dropped", "text", "bad"))
                if kind == "frame" and what.name == "DATA":
                    found.append(what.fields)
            del stream[:size]
        self.assertEqual(found, [self.reading(index) for index, _ in frames])

    def reading(self, index):
        return {"sequence": index, "channel": index % 64, "time": index * 77777, "payload": bytes(random.Random(index).randrange(256) for _ in range(index))}

    def test_stuffing_is_undone_whatever_the_body(self):
        for _ in range(3000):
            zeros = self.random.choice((0, 1, 128))
            body = bytes(self.random.randrange(256) if self.random.randrange(256) >= zeros else 0 for _ in range(self.random.randrange(800)))
            wire = codec.stuff(body)
            self.assertNotIn(0, wire, self.seed)
            self.assertLessEqual(len(wire), len(body) + len(body) // 254 + 1)
            self.assertEqual(codec.unstuff(wire), body, self.seed)

    def test_bodies_of_any_bytes_with_a_right_crc_never_raise(self):
        for _ in range(20000):
            code = self.random.choice(list(codec.TYPES)) | self.random.choice((0, 0x40, 0x80))
            plain = bytes([code]) + bytes(self.random.randrange(256) for _ in range(self.random.randrange(60)))
            key = KEY if codec.is_keyed(code & 0x3F) else 0
            wire = codec.stuff(plain + codec.checksum(plain, key).to_bytes(4, "little"))
            kind, frame = codec.decode_section(wire, KEY)
            self.assertIn(kind, ("frame", "dropped"), self.seed)
            if kind == "frame":
                again = codec.encode(frame.type, frame.fields, KEY, frame.address, frame.final)
                self.assertEqual(codec.decode_section(again, KEY)[1].fields, frame.fields, self.seed)


if __name__ == "__main__":
    unittest.main()
