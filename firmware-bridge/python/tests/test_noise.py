"""Device and host over a bad line, with hosts that are killed: each reading once and in order. SEED=n repeats a run."""

import os
import random
import unittest

from line import Line


class Spoiler:
    """Flips, loses and doubles pieces of what passes: about one fault in `every` bytes."""

    def __init__(self, chance, every):
        self.chance, self.every = chance, every

    def __call__(self, data):
        if self.chance.random() > len(data) / self.every:
            return data
        at = self.chance.randrange(len(data))
        end = at + 1 + self.chance.randrange(40)
        kind = self.chance.randrange(4)
        if kind == 0:
            return data[:at] + bytes([data[at] ^ (1 << self.chance.randrange(8))]) + data[at + 1 :]
        if kind == 1:
            return data[:at] + data[end:]
        if kind == 2:
            return data[:end] + data[at:]
        return data[:at] + bytes([self.chance.randrange(256) for _ in range(end - at)]) + data[at:]


class Noise(unittest.TestCase):
    def story(self, seed, every=300, readings=400, kills=4, resets=0, **options):
        chance = random.Random(seed)
        line = Line(seed, **options)
        line.spoil_up = line.spoil_down = Spoiler(chance, every)
        log = line.open_host().log
        made = 0
        events = sorted(chance.sample(range(readings), kills + resets))
        kinds = [True] * kills + [False] * resets
        chance.shuffle(kinds)
        end = line.now + 3_600_000
        while len(log["records"]) < readings and line.now < end:
            if made < readings and chance.random() < 0.3 and line.device.add(made % 2, b"%d" % made, made):
                made += 1
            line.run(10, commit=chance.random() < 0.2)
            if events and made >= events[0] and events.pop(0) >= 0:
                if kinds.pop():
                    line.open_host(log)
                else:
                    line.boot(boot=(line.device._boot + 1) & 0xFF, store=line.device.store())
        seen = [(channel, time, payload) for _, channel, _, time, payload in log["records"]]
        names = ("temperature", "pressure")
        self.assertEqual(seen, [(names[one % 2], one, b"%d" % one) for one in range(readings)], "SEED=%d" % seed)
        self.assertEqual(log["gaps"], [], "SEED=%d" % seed)
        return line

    def test_each_reading_once_and_in_order(self):
        seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        print("noise on the line: SEED=%d" % seed)
        again = 0
        for more in range(6):
            line = self.story(seed + more, resets=2 if more % 2 else 0)
            again += line.device.counts["again"]
        self.assertGreater(again, 0)

    def test_a_line_of_which_most_frames_break(self):
        self.story(7, every=60, readings=60, kills=1)


if __name__ == "__main__":
    unittest.main()
