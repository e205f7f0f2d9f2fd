"""The device by the sections of SPEC.md: a test is the host, frame by frame."""

import unittest

from line import EPOCH, KEY, Line


class Session(unittest.TestCase):
    """Sections 3 and 4: HELLO, WELCOME, WHO."""

    def test_hello_at_once_then_each_250_ms_doubling_to_8_s_with_the_same_nonce(self):
        line = Line()
        times, nonces = [], set()
        while len(times) < 9:
            line.device.poll()
            for frame in line.frames():
                times.append(line.now)
                nonces.add(frame["nonce"])
            line.now += 10
        waits = [later - sooner for sooner, later in zip(times, times[1:])]
        self.assertEqual(times[0], 0xFFFFF000)
        self.assertEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000])
        self.assertEqual(len(nonces), 1)

    def test_a_new_epoch_numbers_from_0_and_says_hello_with_another_nonce(self):
        line = Line()
        for _ in range(3):
            line.device.add(0, b"x")
        first = line.hello()
        self.assertEqual([first[name] for name in ("epoch", "first", "end", "lastEpoch", "lastEnd")], [0, 0, 3, 0, 0])
        line.welcome(first, status=1, epoch=EPOCH)
        second = line.frames()[0]
        self.assertEqual([second[name] for name in ("epoch", "first", "end")], [EPOCH, 0, 3])
        self.assertNotEqual(first["nonce"], second["nonce"])
        line.welcome(first, status=1, epoch=7)
        self.assertEqual(line.device.epoch, EPOCH)

    def test_welcome_of_another_nonce_version_or_epoch_is_dropped(self):
        line = Line()
        line.welcome(line.hello(), status=1, epoch=EPOCH)
        hello = line.hello()
        line.welcome(hello, nonce=hello["nonce"] ^ 1)
        line.welcome(hello, version=2)
        line.welcome(hello, epoch=EPOCH + 1)
        self.assertFalse(line.device.is_connected)
        self.assertEqual(line.device.counts["dropped"], 3)
        line.welcome(hello)
        self.assertTrue(line.device.is_connected)

    def test_a_repeated_hello_may_be_answered_twice_and_the_later_key_counts(self):
        line = Line()
        hello = line.connect(2)
        line.frames()
        line.welcome(hello, key=KEY + 1)
        self.assertEqual(line.names(), ["CHANNEL", "DATA", "DATA"])

    def test_the_same_welcome_doubled_changes_nothing(self):
        line = Line(on_command=lambda code, payload: done.append(code) or (0, b""))
        done = []
        hello = line.connect(3)
        line.tell("COMMAND", id=1, code=5, payload=b"")
        line.ack(2, 2)
        line.frames()
        line.welcome(hello)
        line.tell("COMMAND", id=1, code=5, payload=b"")
        self.assertEqual((done, line.device.epoch, line.names()), ([5], EPOCH, ["ANSWER"]))

    def test_refusals_are_waited_for(self):
        for status, wait in ((2, 8000), (3, 60000), (4, 8000)):
            line = Line()
            line.welcome(line.hello(), status=status, epoch=0)
            before = line.now
            line.hello()
            self.assertEqual(line.now - before, wait)

    def test_expected_outside_of_the_store_asks_for_a_new_epoch(self):
        for expected in (4, 0xFFFFFFFF):
            line = Line()
            line.connect(3, expected=expected)
            line.key = None
            hello = line.frames()[-1]
            self.assertEqual((hello.name, hello["epoch"], hello["first"], hello["end"]), ("HELLO", 0, 0, 3))

    def test_what_the_host_has_and_has_not_committed_is_kept_until_it_is_committed(self):
        line = Line()
        line.connect(5, expected=3)
        self.assertEqual(line.sequences(), [3, 4])
        self.assertEqual(len(line.device.records), 5)
        line.ack(3, 5)
        self.assertEqual(len(line.device.records), 2)

    def test_who_ends_the_session_and_is_answered_at_once_but_not_each_time(self):
        line = Line()
        line.connect(1)
        line.now += 100
        line.frames()
        line.key = None
        line.tell("WHO", version=1)
        line.tell("WHO", version=1)
        self.assertEqual((line.names(), line.device.is_connected), (["HELLO"], False))
        line.now += 50
        line.device.poll()
        self.assertEqual(line.names(), ["HELLO"])

    def test_a_store_that_survived_says_its_epoch_and_past_records(self):
        line = Line(boot=7)
        line.connect(2)
        line.boot(boot=8, store=line.device.store())
        line.device.add(1, b"new", time=9)
        hello = line.hello()
        self.assertEqual([hello[name] for name in ("flags", "boot", "epoch", "first", "end")], [2, 8, EPOCH, 0, 3])
        line.welcome(hello)
        frames = line.frames()
        self.assertEqual([frame.name for frame in frames], ["CHANNEL", "PAST", "PAST", "CHANNEL", "DATA"])
        self.assertEqual((frames[1]["boot"], frames[1]["payload"], frames[4]["time"]), (7, b"0", 9))


class Records(unittest.TestCase):
    """Section 4: order, window, acknowledgement, resending, full host and full device."""

    def test_channel_first_then_records_in_order_up_to_the_window(self):
        line = Line()
        line.connect(10, window=4)
        self.assertEqual(line.names(), ["CHANNEL", "DATA", "DATA", "DATA", "DATA"])
        line.ack(0, 2, 4)
        self.assertEqual(line.sequences(), [4, 5])
        line.ack(2, 6, 1)
        self.assertEqual(line.sequences(), [6])
        self.assertEqual(line.device.counts["acknowledged"], 2)

    def test_an_ack_out_of_bounds_is_dropped_and_an_old_one_frees_nothing(self):
        line = Line()
        line.connect(4)
        for committed, received in ((5, 5), (1, 5), (3, 2)):
            line.ack(committed, received)
        self.assertEqual((line.device.counts["dropped"], len(line.device.records)), (3, 4))
        line.ack(3, 4)
        line.ack(1, 2)
        self.assertEqual(len(line.device.records), 1)

    def test_sequences_wrap(self):
        line = Line(store=(EPOCH, 0xFFFFFFFE, [(1, 0, 0, b"a"), (1, 0, 0, b"b"), (1, 0, 0, b"c"), (1, 0, 0, b"d")]))
        line.welcome(line.hello())
        self.assertEqual(line.sequences(), [0xFFFE, 0xFFFF, 0, 1])
        line.ack(0xFFFF, 1)
        line.ack(1, 2)
        self.assertEqual((line.device.first, len(line.device.records)), (1, 1))

    def test_sent_again_after_200_ms_doubling_to_2_s_and_progress_sets_it_back(self):
        line = Line()
        line.connect(3)
        line.frames()
        line.device.poll()
        times = []
        while len(times) < 6:
            line.now += 10
            line.device.poll()
            times += [(line.now, sequence) for sequence in line.sequences()]
        self.assertEqual([sequence for _, sequence in times], [0] * 6)
        self.assertEqual([b[0] - a[0] for a, b in zip(times, times[1:])], [400, 800, 1600, 2000, 2000])
        line.ack(0, 1)
        line.now += 200
        line.device.poll()
        self.assertEqual(line.sequences(), [1])

    def test_nak_sends_one_record_and_its_channel_if_that_is_unknown(self):
        line = Line()
        line.connect(3)
        line.frames()
        line.tell("NAK", sequence=1, reason=0)
        self.assertEqual(line.names(), ["DATA"])
        line.tell("NAK", sequence=1, reason=1)
        self.assertEqual(line.names(), ["CHANNEL", "DATA"])
        line.tell("NAK", sequence=3, reason=0)
        self.assertEqual(line.names(), [])

    def test_a_full_device_refuses_or_forgets_and_skips(self):
        line = Line(capacity=2)
        self.assertEqual([line.device.add(0, b"x") for _ in range(3)], [True, True, False])
        line = Line(capacity=2, forget_oldest=True)
        line.connect(2)
        line.frames()
        self.assertTrue(line.device.add(0, b"x"))
        line.tell("NAK", sequence=0, reason=0)
        frames = [(frame.name, frame.fields.get("first", frame.fields.get("sequence"))) for frame in line.frames()]
        self.assertEqual(sorted(frames), [("DATA", 2), ("SKIP", 1)])

    def test_records_forgotten_while_the_host_was_full_do_not_lock_the_line(self):
        line = Line(capacity=4, forget_oldest=True)
        line.connect(0, window=0)
        for value in range(100):
            line.device.add(0, b"x")
        line.ack(0, 0, 8)
        frames = line.frames()
        self.assertEqual([frame.name for frame in frames], ["SKIP", "CHANNEL", "DATA", "DATA", "DATA", "DATA"])
        self.assertEqual((frames[0]["first"], frames[2]["sequence"]), (96, 96))

    def test_a_full_host_gets_pings_after_1_2_4_8_s_and_no_record(self):
        line = Line()
        line.connect(3, window=0)
        opened = line.now
        times = []
        for _ in range(3000):
            line.now += 10
            if (line.now - opened) % 3000 == 0:
                line.tell("TIME", id=0, wall=0, error=65535)
            line.device.poll()
            names = [name for name in line.names() if name != "ECHO"]
            self.assertTrue(all(name == "PING" for name in names), names)
            times += [line.now - opened] * len(names)
        self.assertEqual(times[:4], [1000, 3000, 7000, 15000])
        line.ack(0, 0, 2)
        self.assertEqual(line.sequences(), [0, 1])


class Alive(unittest.TestCase):
    """Section 4: alive, stall; section 1: text."""

    def test_ping_after_5_s_and_hello_after_15_s_of_silence(self):
        line = Line()
        line.connect()
        line.frames()
        began = line.now
        seen = []
        while not seen or seen[-1][0] != "HELLO":
            line.now += 10
            line.device.poll()
            if not line.device.is_connected:
                line.key = None
            seen += [(name, line.now - began) for name in line.names()]
        self.assertEqual(seen, [("PING", 5000), ("PING", 10000), ("HELLO", 15000)])

    def test_commits_that_stall_for_10_s_end_the_session(self):
        for ack_ms, stall in ((100, 10000), (1200, 12000)):
            line = Line()
            line.connect(1, ackMs=ack_ms)
            line.ack(0, 1)
            began = line.now
            while line.device.is_connected and line.now - began < 20000:
                line.now += 10
                line.ack(0, 1)
            self.assertEqual(line.now - began, stall)

    def test_a_key_of_another_session_is_not_heard(self):
        line = Line()
        line.connect(1)
        line.ack(1, 1, session=KEY ^ 1)
        self.assertEqual((len(line.device.records), line.device.counts["bad"]), (1, 1))

    def test_a_line_that_takes_a_byte_at_a_time_delays_and_loses_nothing(self):
        line = Line()
        line.device._write = lambda data: (line.to_host.extend(data[:1]), 1)[1]
        line.device.add(0, b"x")
        line.open_host()
        line.run(2000, step=1)
        self.assertEqual([record[4] for record in line.host.log["records"]], [b"x"])


class Orders(unittest.TestCase):
    """Sections 6 and 7."""

    def test_time_is_echoed_at_once_and_known(self):
        line = Line()
        line.connect()
        line.frames()
        line.tell("TIME", id=9, wall=1795270000123, error=12)
        echo = line.frames()[0]
        self.assertEqual((echo.name, echo["id"], echo["uptime"]), ("ECHO", 9, line.millis()))
        line.now += 70
        self.assertEqual((line.device.wall_ms(), line.device.wall_error_ms), (1795270000193, 12))

    def test_a_time_that_is_not_known_is_echoed_and_not_used(self):
        line = Line()
        line.connect()
        line.frames()
        line.tell("TIME", id=1, wall=0, error=65535)
        self.assertEqual((line.names(), line.device.wall_ms()), (["ECHO"], None))

    def test_a_command_is_executed_once_and_answered_each_time(self):
        done = []
        line = Line(on_command=lambda code, payload: done.append(code) or (0, payload))
        line.connect()
        line.frames()
        for id in (1, 1, 3, 2, 1, 2):
            line.tell("COMMAND", id=id, code=id, payload=b"p")
        self.assertEqual(done, [1, 2])
        self.assertEqual([frame["id"] for frame in line.frames()], [1, 1, 2, 2])

    def test_a_command_is_dropped_until_its_answer_is_there(self):
        line = Line(on_command=lambda code, payload: None)
        line.connect()
        line.frames()
        for id in (1, 1, 2):
            line.tell("COMMAND", id=id, code=0, payload=b"")
        self.assertEqual(line.names(), [])
        line.device.answer(3, b"x" * 1016)
        line.device.poll()
        self.assertEqual([(frame["status"], frame["payload"]) for frame in line.frames()], [(4, b"")])

    def test_ids_begin_again_in_each_session_and_an_answer_of_the_last_one_is_forgotten(self):
        done = []
        line = Line(on_command=lambda code, payload: done.append(code))
        line.connect()
        line.tell("COMMAND", id=1, code=1, payload=b"")
        line.tell("WHO", version=1)
        line.device.answer(0)
        line.welcome(line.hello(), key=KEY + 1)
        line.device.answer(0)
        line.device.poll()
        self.assertEqual(line.names(), [])
        line.tell("COMMAND", id=1, code=2, payload=b"")
        self.assertEqual(done, [1, 2])


class Polled(unittest.TestCase):
    """Section 8."""

    def turn(self, line):
        line.now += 3
        line.device.poll()
        return line.frames()

    def connect(self, **options):
        line = Line(address=5, **options)
        line.device.add(0, b"a")
        line.device.add(0, b"b")
        line.now += 60000
        line.device.poll()
        self.assertEqual(line.frames(), [])
        for status in (1, 0):
            line.key = None
            line.tell("WHO", address=5, final=True, version=1)
            hello = self.turn(line)[0]
            self.assertEqual((hello.name, hello.final, hello.address, hello["flags"] & 1), ("HELLO", True, 5, 1))
            line.welcome(hello, status=status, epoch=EPOCH, window=2, address=5)
        line.key = KEY
        self.assertEqual(self.turn(line), [])
        return line

    def test_it_speaks_in_its_turn_alone_and_ends_it(self):
        line = self.connect()
        for _ in range(2):
            line.ack(0, 0, 2, address=5, final=True)
            frames = self.turn(line)
            self.assertEqual([(frame.name, frame.final) for frame in frames][-2:], [("DATA", False), ("DATA", True)])
            self.assertEqual([frame["sequence"] for frame in frames[-2:]], [0, 1])
        line.ack(2, 2, 2, address=5, final=True)
        self.assertEqual([(frame.name, frame.final) for frame in self.turn(line)], [("PING", True)])

    def test_it_is_silent_when_another_is_asked_or_nobody_is(self):
        line = self.connect()
        line.ack(0, 0, 2, address=6, final=True)
        line.ack(0, 0, 2, address=0, final=True)
        line.ack(0, 0, 2, address=5)
        self.assertEqual(self.turn(line), [])
        self.assertEqual(len(line.device.records), 2)

    def test_a_new_epoch_with_the_turn_is_answered_by_hello(self):
        line = Line(address=5)
        line.tell("WHO", address=5, final=True, version=1)
        hello = self.turn(line)[0]
        line.welcome(hello, status=1, epoch=EPOCH, address=5, final=True)
        again = self.turn(line)
        self.assertEqual([(frame.name, frame.final, frame["epoch"]) for frame in again], [("HELLO", True, EPOCH)])

    def test_who_for_all_ends_the_session_and_is_not_answered(self):
        line = self.connect()
        line.tell("WHO", address=0, final=True, version=1)
        self.assertEqual((self.turn(line), line.device.is_connected), ([], False))

    def test_a_turn_that_begins_too_late_or_that_the_host_ends_is_over(self):
        line = self.connect()
        line.ack(0, 0, 2, address=5, final=True)
        line.now += 25
        line.device.poll()
        self.assertEqual(line.frames(), [])
        line.ack(0, 0, 2, address=5, final=True)
        line.tell("TIME", address=6, id=1, wall=1, error=1)
        self.assertEqual(self.turn(line), [])

    def test_what_was_asked_before_is_answered_in_the_turn(self):
        line = self.connect(on_command=lambda code, payload: (0, payload))
        line.tell("TIME", address=5, id=3, wall=1, error=1)
        line.tell("COMMAND", address=5, id=1, code=1, payload=b"")
        self.assertEqual(self.turn(line), [])
        line.ack(0, 0, 0, address=5, final=True)
        self.assertEqual([(frame.name, frame.final) for frame in self.turn(line)], [("ECHO", False), ("ANSWER", True)])


if __name__ == "__main__":
    unittest.main()
