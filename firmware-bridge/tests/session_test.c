/* The device's state machine against a scripted host: each rule of SPEC.md that a device has to keep, as a story. */
#include "check.h"
#include "line.h"

#include <string.h>

static const uint8_t uid[] = {1, 2, 3, 0};
static const char *const channels[] = {"temperature", "humidity"};
static uint8_t queue[256], tx[HWB_TX_SIZE(160)], rx[HWB_BODY_MIN], command[16];
static line_t line;
static hwb_t device;
static hwb_config_t config;
static hwb_retained_t retained;
static frame_t frame;

enum { HELLO = 1, WHO = 3, DATA = 0x10, PACK = 0x11, CHANNEL = 0x13, SKIP = 0x14, ECHO = 0x15, ANSWER = 0x16, PING = 0x17 };
enum { EPOCH = 77 };

/* A device on a quiet line; nothing has been sent. */
static void start(void) {
    uint32_t key = line.key;
    memset(&line, 0, sizeof line);
    line.key = key;
    memset(&config, 0, sizeof config);
    config.context = &line;
    config.read = line_read;
    config.write = line_write;
    config.millis = line_millis;
    config.uid = uid;
    config.uid_length = sizeof uid;
    config.name = "test";
    config.firmware = "1";
    config.channels = channels;
    config.channel_count = 2;
    config.queue = queue;
    config.queue_size = sizeof queue;
    config.tx = tx;
    config.tx_size = sizeof tx;
    config.rx = rx;
    config.rx_size = sizeof rx;
    config.command = command;
    config.command_size = sizeof command;
    line.now = 1000;
}

static void begin_device(void) {
    CHECK_EQUAL(hwb_init(&device, &config), HWB_OK);
}

static uint8_t next(void) {
    return host_next(&line, &frame) ? frame.type : 0;
}

/* Time passes in steps of 10 ms. */
static void pass(uint32_t milliseconds) {
    uint32_t end = line.now + milliseconds;
    while (line.now != end) {
        line.now += 10;
        hwb_poll(&device);
    }
}

static uint32_t hello_nonce(void) { return number(frame.fields + 4, 4); }
static uint32_t hello_epoch(void) { return number(frame.fields + 8, 4); }
static uint32_t hello_first(void) { return number(frame.fields + 12, 4); }
static uint32_t hello_end(void) { return number(frame.fields + 16, 4); }
static uint32_t hello_last_epoch(void) { return number(frame.fields + 20, 4); }
static uint32_t hello_last_end(void) { return number(frame.fields + 24, 4); }
static uint32_t sequence(void) { return number(frame.fields, 2); }

static void say(uint8_t reading) {
    CHECK_EQUAL(hwb_send(&device, 0, &reading, 1), HWB_OK);
}

/* From HELLO to a session with `window`, at sequence 0 of EPOCH. */
static void open_session(uint8_t window) {
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    if (hello_epoch() != EPOCH) {
        host_welcome(&line, 1, hello_nonce(), EPOCH, 0, 0);
        hwb_poll(&device);
        CHECK_EQUAL(next(), HELLO);
    }
    CHECK_EQUAL(hello_epoch(), EPOCH);
    host_welcome(&line, 0, hello_nonce(), EPOCH, hello_first(), window);
    CHECK_EQUAL(hwb_poll(&device), HWB_CONNECTED);
}

static void connected(uint8_t window) {
    start();
    begin_device();
    open_session(window);
    while (next()) {}
}

/* With channel 0 announced and nothing waiting: the next sequence is 1. */
static void settled(uint8_t window) {
    connected(window);
    say(0);
    hwb_poll(&device);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK_EQUAL(next(), DATA);
    host_ack(&line, 1, 1, window);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 0);
}

static void hello_repeats(void) {
    uint32_t nonce;
    start();
    begin_device();
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(frame.fields[0], 1);
    CHECK_EQUAL(frame.fields[2], 4);
    CHECK_EQUAL(hello_epoch(), 0);
    CHECK_EQUAL(number(frame.fields + 28, 4), 1000);
    CHECK_EQUAL(number(frame.fields + 32, 2), 128);
    CHECK(memcmp(frame.fields + 34, "\4\1\2\3\0\4test\1" "1", 12) == 0);
    nonce = hello_nonce();
    pass(240);
    CHECK_EQUAL(next(), 0);
    pass(10);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_nonce(), nonce);
    pass(500);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(next(), 0);
    pass(1000 + 2000 + 4000 + 8000);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(next(), 0);
    pass(8000);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(next(), 0);
}

static void stale_welcome(void) {
    start();
    begin_device();
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    host_welcome(&line, 1, hello_nonce() - 1, EPOCH, 0, 0);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0);
    host_welcome(&line, 0, hello_nonce(), EPOCH, 0, 0);
    CHECK_EQUAL(hwb_poll(&device), HWB_WAITING);
    CHECK_EQUAL(next(), 0);
}

static void welcome_again(void) {
    uint32_t nonce;
    settled(8);
    nonce = device.nonce;
    say(1);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
    host_welcome(&line, 0, nonce, EPOCH, 1, 8);
    CHECK_EQUAL(hwb_poll(&device), HWB_CONNECTED);
    CHECK_EQUAL(next(), CHANNEL); /* in the new session's key */
    CHECK_EQUAL(next(), DATA);
    CHECK_EQUAL(sequence(), 1);
    host_ack(&line, 2, 2, 8);
    line.key--;
    host_welcome(&line, 0, nonce, EPOCH, 1, 8); /* the same, doubled by the line */
    host_welcome(&line, 0, nonce, EPOCH, 1, 8); /* and an older one */
    line.key--;
    CHECK_EQUAL(hwb_poll(&device), HWB_CONNECTED);
    CHECK_EQUAL(device.epoch, EPOCH);
    say(2);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
    CHECK_EQUAL(sequence(), 2);
    host_who(&line);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK(hello_nonce() != nonce);
}

static void refused(void) {
    start();
    begin_device();
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    host_welcome(&line, 2, hello_nonce(), 0, 0, 0);
    pass(7990);
    CHECK_EQUAL(next(), 0);
    pass(20);
    CHECK_EQUAL(next(), HELLO);
    host_welcome(&line, 3, hello_nonce(), 0, 0, 0);
    pass(59990);
    CHECK_EQUAL(next(), 0);
    pass(20);
    CHECK_EQUAL(next(), HELLO);
}

static void epoch_renumbers(void) {
    start();
    begin_device();
    say(5);
    say(6);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_end(), 2);
    host_welcome(&line, 1, hello_nonce(), EPOCH, 0, 0);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_epoch(), EPOCH);
    CHECK_EQUAL(hello_first(), 0);
    CHECK_EQUAL(hello_end(), 2);
    host_welcome(&line, 0, hello_nonce(), EPOCH, 1, 8);
    hwb_poll(&device);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK_EQUAL(next(), DATA);
    CHECK_EQUAL(sequence(), 1);
    CHECK_EQUAL(frame.fields[7], 6);
}

/* The host may still lose what it has received: only a commit frees it. */
static void expected_frees_nothing(void) {
    uint8_t i;
    connected(8);
    for (i = 0; i < 3; i++) say(i);
    hwb_poll(&device);
    host_ack(&line, 0, 3, 8);
    host_who(&line);
    hwb_poll(&device);
    while (next() != HELLO) {}
    host_welcome(&line, 0, hello_nonce(), EPOCH, 3, 8);
    CHECK_EQUAL(hwb_poll(&device), HWB_CONNECTED);
    CHECK_EQUAL(next(), 0);
    CHECK_EQUAL(hwb_pending(&device), 3);
    host_who(&line);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_first(), 0);
    host_welcome(&line, 0, hello_nonce(), EPOCH, 1, 8);
    hwb_poll(&device);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(sequence(), 1);
    host_ack(&line, 3, 3, 8);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 0);
}

static void expected_out_of_bounds(void) {
    settled(8);
    say(1);
    host_who(&line);
    hwb_poll(&device);
    while (next() != HELLO) {}
    CHECK_EQUAL(hello_first(), 1);
    CHECK_EQUAL(hello_end(), 2);
    host_welcome(&line, 0, hello_nonce(), EPOCH, 3, 8);
    CHECK_EQUAL(hwb_poll(&device), HWB_WAITING);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_epoch(), 0);
    CHECK_EQUAL(hello_first(), 0);
    CHECK_EQUAL(hello_end(), 1);
}

/* The oldest were dropped while the WELCOME was under way: the host learns of the gap, and the store stays what it is. */
static void expected_dropped_meanwhile(void) {
    uint8_t i;
    connected(8);
    config.drop_oldest = 1;
    say(0);
    host_who(&line);
    hwb_poll(&device);
    while (next() != HELLO) {}
    CHECK_EQUAL(hello_first(), 0);
    for (i = 1; i < 100; i++) say(i);
    CHECK(device.first > 0);
    host_welcome(&line, 0, hello_nonce(), EPOCH, 0, 8);
    CHECK_EQUAL(hwb_poll(&device), HWB_CONNECTED);
    CHECK_EQUAL(next(), SKIP);
    CHECK_EQUAL(number(frame.fields, 4), device.first);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(sequence(), device.first);
}

static void window_holds(void) {
    uint8_t i;
    settled(3);
    for (i = 1; i <= 5; i++) {
        uint8_t large[40] = {0};
        large[0] = i;
        CHECK_EQUAL(hwb_send(&device, 0, large, i < 4 ? sizeof large : 1), HWB_OK);
    }
    hwb_poll(&device);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(sequence(), 1);
    CHECK_EQUAL(frame.fields[8 + 1], 40);
    CHECK_EQUAL(next(), 0);
    host_ack(&line, 1, 2, 3);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
    CHECK_EQUAL(sequence(), 4);
    CHECK_EQUAL(hwb_pending(&device), 5);
    CHECK_EQUAL(next(), 0);
}

static void pack_bounds(void) {
    static const uint8_t large[100];
    settled(20);
    say(1);
    CHECK_EQUAL(hwb_send(&device, 0, large, 100), HWB_OK);
    line.now += 65535;
    line.now += 0;
    hwb_poll(&device); /* the peer was silent for too long: a new session */
    open_session(20);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(number(frame.fields + 6 + 1, 2), 0);
    CHECK_EQUAL(next(), 0);
    say(3);
    line.now += 70000;
    say(4);
    hwb_poll(&device);
    open_session(20);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(next(), DATA);
    CHECK_EQUAL(next(), 0);
}

static void resends_by_timer(void) {
    static const uint32_t waits[] = {200, 400, 800, 1600, 2000, 2000};
    size_t i;
    settled(8);
    say(1);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
    for (i = 0; i < 6; i++) {
        pass(waits[i] - 10);
        while (next()) CHECK_EQUAL(frame.type, PING);
        pass(10);
        CHECK_EQUAL(next(), DATA);
        CHECK_EQUAL(sequence(), 1);
    }
    host_ack(&line, 1, 2, 8);
    say(2);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
    pass(210);
    CHECK_EQUAL(next(), DATA);
    CHECK_EQUAL(sequence(), 2);
}

static void resends_by_nak(void) {
    uint8_t i;
    hwb_info_t info;
    settled(8);
    for (i = 1; i <= 5; i++) {
        say(i);
        hwb_poll(&device);
        CHECK_EQUAL(next(), DATA);
    }
    host_nak(&line, 2, 0);
    host_nak(&line, 4, 0);
    host_nak(&line, 3, 0);
    host_nak(&line, 9, 0);
    hwb_poll(&device);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(sequence(), 2);
    CHECK_EQUAL(frame.length, 6 + 3 * 5);
    CHECK_EQUAL(next(), 0);
    host_nak(&line, 1, 1);
    hwb_poll(&device);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK_EQUAL(next(), DATA);
    CHECK_EQUAL(sequence(), 1);
    hwb_info(&device, &info);
    CHECK_EQUAL(info.counts.again, 4);
}

static void commits_free(void) {
    hwb_info_t info;
    settled(8);
    say(1);
    say(2);
    hwb_poll(&device);
    host_ack(&line, 1, 3, 8);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 2);
    host_ack(&line, 4, 4, 8); /* beyond the end */
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 2);
    host_ack(&line, 3, 2, 8); /* committed, but not received */
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 2);
    host_ack(&line, 2, 3, 8);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 1);
    host_ack(&line, 0, 3, 8); /* an old one frees nothing */
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 1);
    host_ack(&line, 3, 3, 8);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 0);
    hwb_info(&device, &info);
    CHECK_EQUAL(info.first, 3);
    CHECK_EQUAL(info.end, 3);
    CHECK_EQUAL(info.state, HWB_CONNECTED);
}

static void stalled(void) {
    uint32_t i;
    settled(8);
    say(1);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
    host_ack(&line, 1, 2, 8);
    for (i = 0; i < 9; i++) {
        pass(1000);
        host_ack(&line, 1, 2, 8);
    }
    while (next()) CHECK(frame.type != HELLO);
    pass(1010);
    while (next() && frame.type != HELLO) {}
    CHECK_EQUAL(frame.type, HELLO);
    CHECK_EQUAL(hello_first(), 1);
}

static void full_host(void) {
    uint32_t start_at;
    settled(8);
    say(1);
    host_ack(&line, 1, 1, 0);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0);
    start_at = line.now;
    pass(1010);
    CHECK_EQUAL(next(), PING);
    host_ack(&line, 1, 1, 0);
    pass(2010);
    CHECK_EQUAL(next(), PING);
    CHECK_EQUAL(next(), 0);
    host_ack(&line, 1, 1, 0);
    pass(4010);
    CHECK_EQUAL(next(), PING);
    CHECK_EQUAL(next(), 0);
    CHECK(line.now - start_at < 8000);
    host_ack(&line, 1, 1, 8);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
}

static void alive(void) {
    settled(8);
    pass(4990);
    CHECK_EQUAL(next(), 0);
    pass(20);
    CHECK_EQUAL(next(), PING);
    pass(9000);
    while (next()) CHECK_EQUAL(frame.type, PING);
    pass(1010);
    while (next() == PING) {}
    CHECK_EQUAL(frame.type, HELLO);
    CHECK_EQUAL(hello_epoch(), EPOCH);
}

static void who_ends_session(void) {
    settled(8);
    host_who(&line);
    CHECK_EQUAL(hwb_poll(&device), HWB_WAITING);
    CHECK_EQUAL(next(), HELLO);
    line.now += 10;
    host_who(&line);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0);
    pass(50);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(next(), 0);
    say(1);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0);
}

static void other_session(void) {
    hwb_info_t info;
    settled(8);
    say(1);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
    line.key++;
    host_ack(&line, 2, 2, 8);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 1);
    hwb_info(&device, &info);
    CHECK_EQUAL(info.counts.bad, 1);
}

static void full_device(void) {
    static const uint8_t reading[20];
    uint32_t made = 0;
    hwb_info_t info;
    start();
    begin_device();
    while (hwb_send(&device, 0, reading, sizeof reading) == HWB_OK) made++;
    CHECK_EQUAL(made, (sizeof queue - 1) / (sizeof reading + 7));
    CHECK_EQUAL(hwb_pending(&device), made);
    hwb_info(&device, &info);
    CHECK_EQUAL(info.counts.refused, 1);
    CHECK_EQUAL((unsigned)-hwb_send(&device, 2, reading, 1), -HWB_ERR_CHANNEL);
    CHECK_EQUAL((unsigned)-hwb_send(&device, 0, reading, 1001), -HWB_ERR_LENGTH);
}

static void drop_oldest(void) {
    uint8_t reading[20] = {0};
    uint32_t i, at = 0;
    hwb_info_t info;
    start();
    config.drop_oldest = 1;
    begin_device();
    open_session(4);
    for (i = 0; i < 12; i++) {
        reading[0] = (uint8_t)i;
        CHECK_EQUAL(hwb_send(&device, 0, reading, sizeof reading), HWB_OK);
    }
    hwb_info(&device, &info);
    CHECK_EQUAL(info.counts.dropped, 3);
    hwb_poll(&device);
    CHECK_EQUAL(next(), SKIP);
    CHECK_EQUAL(number(frame.fields, 4), 3);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(sequence(), 3);
    CHECK_EQUAL(frame.fields[6 + 4], 3);
    host_nak(&line, 0, 0); /* the SKIP was lost */
    hwb_poll(&device);
    CHECK_EQUAL(next(), SKIP);
    CHECK_EQUAL(next(), 0);
    host_ack(&line, 0, 0, 4); /* and again */
    pass(210);
    CHECK_EQUAL(next(), SKIP);
    host_ack(&line, 0, 7, 4);
    hwb_poll(&device);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(sequence(), 7);
    host_ack(&line, 7, 11, 4);
    hwb_poll(&device);
    CHECK_EQUAL(next(), DATA);
    host_ack(&line, 12, 12, 4);
    hwb_poll(&device);
    for (at = 0; at < 3; at++) CHECK_EQUAL(next(), 0);
    CHECK_EQUAL(hwb_pending(&device), 0);
}

/* What was lost before the first epoch was given: a gap at the beginning of that. */
static void drops_without_epoch(void) {
    uint8_t reading[20] = {0};
    int i;
    memset(&retained, 0, sizeof retained);
    start();
    config.drop_oldest = 1;
    config.retained = &retained;
    begin_device();
    for (i = 0; i < 5; i++) say(1);
    begin_device(); /* a reset */
    for (i = 0; i < 12; i++) CHECK_EQUAL(hwb_send(&device, 0, reading, sizeof reading), HWB_OK);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_epoch(), 0);
    CHECK_EQUAL(hello_first(), 0);
    CHECK_EQUAL(hello_end(), 9);
    CHECK_EQUAL(hello_last_epoch(), 0);
    CHECK_EQUAL(hello_last_end(), 0);
    host_welcome(&line, 1, hello_nonce(), EPOCH, 0, 0);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_epoch(), EPOCH);
    CHECK_EQUAL(hello_first(), 5 + 3);
    CHECK_EQUAL(hello_end(), 5 + 12);
}

static void wraps(void) {
    uint32_t i;
    settled(8);
    device.first = device.received = device.next = device.skipped = 0xFFFFFFFEu;
    for (i = 0; i < 5; i++) say((uint8_t)i);
    hwb_poll(&device);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(sequence(), 0xFFFE);
    host_ack(&line, 0xFFFF, 2, 8);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 4);
    CHECK_EQUAL(device.received, 2);
    host_ack(&line, 3, 3, 8);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 0);
    CHECK_EQUAL(device.first, 3);
}

static void tells_losses(void) {
    memset(&retained, 0xA5, sizeof retained);
    start();
    config.retained = &retained;
    begin_device();
    open_session(8);
    say(1);
    say(2);
    hwb_poll(&device);
    host_ack(&line, 1, 2, 8);
    hwb_poll(&device);
    while (next()) {}
    begin_device(); /* a reset */
    CHECK_EQUAL(device.boot, 2);
    say(3);
    begin_device(); /* and another before the host has answered */
    say(4);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_epoch(), 0);
    CHECK_EQUAL(hello_last_epoch(), EPOCH);
    CHECK_EQUAL(hello_last_end(), 3);
    CHECK_EQUAL(hello_end(), 1);
    CHECK_EQUAL(frame.fields[3], 3);
    host_welcome(&line, 1, hello_nonce(), EPOCH + 1, 0, 0);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_last_end(), 3);
    host_welcome(&line, 0, hello_nonce(), EPOCH + 1, 0, 8);
    hwb_poll(&device);
    say(5);
    begin_device();
    hwb_poll(&device);
    while (next() != HELLO || hello_end() != 0) {}
    CHECK_EQUAL(hello_last_epoch(), EPOCH + 1);
    CHECK_EQUAL(hello_last_end(), 2);
    retained.base ^= 4; /* power loss */
    begin_device();
    pass(10);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_last_epoch(), 0);
    CHECK_EQUAL(frame.fields[3], 1);
}

/* The host has an epoch on its card once it has given it: a reset before the session tells what was lost of that one. */
static void tells_losses_before_the_session(void) {
    memset(&retained, 0xA5, sizeof retained);
    start();
    config.retained = &retained;
    begin_device();
    open_session(8);
    say(1);
    begin_device();
    say(2);
    hwb_poll(&device);
    while (next() != HELLO || hello_last_epoch() != EPOCH) {}
    host_welcome(&line, 1, hello_nonce(), EPOCH + 1, 0, 0);
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_epoch(), EPOCH + 1);
    CHECK_EQUAL(hello_last_epoch(), EPOCH);
    CHECK_EQUAL(hello_last_end(), 1);
    say(3);
    begin_device();
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_epoch(), 0);
    CHECK_EQUAL(hello_last_epoch(), EPOCH + 1);
    CHECK_EQUAL(hello_last_end(), 2);
}

static void times(void) {
    uint64_t wall = 0;
    settled(8);
    CHECK_EQUAL((unsigned)-hwb_time(&device, &wall), -HWB_ERR_NONE);
    host_time(&line, 7, 1795270000123u, 65535);
    hwb_poll(&device);
    CHECK_EQUAL(next(), ECHO);
    CHECK_EQUAL((unsigned)-hwb_time(&device, &wall), -HWB_ERR_NONE);
    host_time(&line, 8, 1795270000123u, 12);
    hwb_poll(&device);
    CHECK_EQUAL(next(), ECHO);
    CHECK_EQUAL(frame.fields[0], 8);
    CHECK_EQUAL(number(frame.fields + 1, 4), line.now);
    line.now += 100000;
    CHECK_EQUAL(hwb_time(&device, &wall), 12 + 12);
    CHECK(wall == 1795270000123u + 100000u);
}

static void commands(void) {
    uint8_t code;
    const uint8_t *data;
    settled(8);
    CHECK_EQUAL((unsigned)-hwb_command(&device, &code, &data), -HWB_ERR_NONE);
    CHECK_EQUAL((unsigned)-hwb_answer(&device, 0, NULL, 0), -HWB_ERR_NONE);
    host_command(&line, 2, 9, "no", 2); /* not the next id */
    host_command(&line, 1, 9, "on", 2);
    host_command(&line, 1, 9, "on", 2);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0);
    CHECK_EQUAL(hwb_command(&device, &code, &data), 2);
    CHECK_EQUAL(code, 9);
    CHECK(memcmp(data, "on", 2) == 0);
    host_command(&line, 1, 9, "on", 2);
    host_command(&line, 2, 9, "ab", 2);
    hwb_poll(&device);
    CHECK_EQUAL((unsigned)-hwb_command(&device, &code, &data), -HWB_ERR_NONE);
    CHECK_EQUAL(hwb_answer(&device, 0, "ok!", 3), HWB_OK);
    hwb_poll(&device);
    CHECK_EQUAL(next(), ANSWER);
    CHECK(frame.length == 6 && memcmp(frame.fields, "\1\0\0ok!", 6) == 0);
    host_command(&line, 1, 9, "on", 2);
    hwb_poll(&device);
    CHECK_EQUAL(next(), ANSWER);
    CHECK_EQUAL((unsigned)-hwb_command(&device, &code, &data), -HWB_ERR_NONE);
    host_command(&line, 2, 9, "12345678901234567", 17);
    hwb_poll(&device);
    CHECK_EQUAL(next(), ANSWER);
    CHECK_EQUAL(frame.fields[2], HWB_BAD_PAYLOAD);
    host_command(&line, 3, 9, NULL, 0);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_command(&device, &code, &data), 0);
    CHECK_EQUAL((unsigned)-hwb_answer(&device, 0, "12345678901234567", 17), -HWB_ERR_LENGTH);
    hwb_poll(&device);
    CHECK_EQUAL(next(), ANSWER);
    CHECK_EQUAL(frame.fields[2], HWB_TOO_LONG);
}

static void command_of_lost_session(void) {
    uint8_t code;
    const uint8_t *data;
    settled(8);
    host_command(&line, 1, 9, NULL, 0);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_command(&device, &code, &data), 0);
    host_who(&line);
    hwb_poll(&device);
    open_session(8);
    host_command(&line, 1, 8, NULL, 0);
    hwb_poll(&device);
    CHECK_EQUAL((unsigned)-hwb_command(&device, &code, &data), -HWB_ERR_NONE);
    CHECK_EQUAL((unsigned)-hwb_answer(&device, 0, NULL, 0), -HWB_ERR_NONE);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0);
    host_command(&line, 1, 8, NULL, 0);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_command(&device, &code, &data), 0);
    CHECK_EQUAL(code, 8);
    host_who(&line);
    host_command(&line, 1, 7, NULL, 0);
    hwb_poll(&device);
    CHECK_EQUAL((unsigned)-hwb_answer(&device, 0, NULL, 0), -HWB_ERR_NONE);
}

static void slow_uart(void) {
    uint32_t i, n;
    settled(8);
    line.write_limit = 1;
    line.is_stuck = 1;
    for (i = 0; i < 8; i++) say((uint8_t)i);
    hwb_poll(&device);
    line.is_stuck = 0;
    for (n = 0; n < 3; n++) hwb_poll(&device);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(frame.length, 6 + 8 * 5);
}

static void zero_before_frames(void) {
    size_t at;
    settled(8);
    at = line.to_host_end;
    say(1);
    hwb_poll(&device);
    CHECK(line.to_host[at] != 0);
    start();
    config.prints = 1;
    begin_device();
    open_session(8);
    at = line.to_host_end;
    say(1);
    hwb_poll(&device);
    CHECK_EQUAL(line.to_host[at], 0);
}

static void bad_configurations(void) {
    start();
    config.uid_length = 17;
    CHECK_EQUAL((unsigned)-hwb_init(&device, &config), -HWB_ERR_CONFIG);
    start();
    config.tx_size = HWB_TX_SIZE(51);
    CHECK_EQUAL((unsigned)-hwb_init(&device, &config), -HWB_ERR_CONFIG);
    config.tx_size = HWB_TX_SIZE(52);
    begin_device();
    hwb_poll(&device);
    CHECK_EQUAL(next(), HELLO);
    start();
    config.channel_count = 0;
    CHECK_EQUAL((unsigned)-hwb_init(&device, &config), -HWB_ERR_CONFIG);
    start();
    config.rx_size = 127;
    CHECK_EQUAL((unsigned)-hwb_init(&device, &config), -HWB_ERR_CONFIG);
}

/* ------------------------------------------------------------------------------------------------ polled mode */

/* The device hears the host and has time to answer. */
static void take_turn(void) {
    hwb_poll(&device);
    line.now += 3;
    hwb_poll(&device);
}

static void polled(void) {
    start();
    config.address = 5;
    begin_device();
    pass(2000);
    CHECK_EQUAL(line.to_host_end, 0);
}

static void polled_ack(uint32_t committed, uint32_t received, uint8_t window) {
    uint8_t fields[5];
    fields[0] = (uint8_t)committed;
    fields[1] = (uint8_t)(committed >> 8);
    fields[2] = (uint8_t)received;
    fields[3] = (uint8_t)(received >> 8);
    fields[4] = window;
    host_send(&line, 0x60, 5, fields, 5);
}

static void polled_session(uint8_t window) {
    const uint8_t version = 1;
    uint8_t fields[23] = {1, 1};
    polled();
    host_send(&line, 0x43, 5, &version, 1);
    take_turn();
    CHECK_EQUAL(next(), HELLO);
    CHECK(frame.is_final && frame.address == 5);
    CHECK_EQUAL(frame.fields[2] & 1, 1);
    memcpy(fields + 2, frame.fields + 4, 4);
    fields[6] = EPOCH;
    host_send(&line, 0x42, 5, fields, 23);
    take_turn();
    CHECK_EQUAL(next(), HELLO);
    CHECK_EQUAL(hello_epoch(), EPOCH);
    memcpy(fields + 2, frame.fields + 4, 4);
    line.key++;
    fields[1] = 0;
    fields[10] = (uint8_t)line.key;
    fields[11] = (uint8_t)(line.key >> 8);
    fields[12] = fields[13] = 0;
    fields[18] = fields[19] = 1;
    fields[22] = window;
    host_send(&line, 0x02, 5, fields, 23);
    take_turn();
    CHECK_EQUAL(next(), 0);
    CHECK_EQUAL(hwb_poll(&device), HWB_CONNECTED);
}

static void polled_turns(void) {
    uint8_t i;
    polled_session(2);
    for (i = 0; i < 3; i++) say(i);
    take_turn();
    CHECK_EQUAL(next(), 0);
    polled_ack(0, 0, 2);
    hwb_poll(&device);
    line.now += 2;
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0); /* the line rests for 2 ms, whatever the clock's phase */
    line.now += 1;
    hwb_poll(&device);
    CHECK_EQUAL(next(), CHANNEL);
    CHECK(!frame.is_final);
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(next(), PING);
    CHECK(frame.is_final);
    pass(1000);
    CHECK_EQUAL(next(), 0);
    polled_ack(0, 1, 2);
    take_turn();
    CHECK_EQUAL(next(), PACK);
    CHECK_EQUAL(sequence(), 1);
    CHECK_EQUAL(next(), PING);
    polled_ack(3, 3, 2);
    take_turn();
    CHECK_EQUAL(next(), PING);
    CHECK_EQUAL(hwb_pending(&device), 0);
}

static void polled_silence(void) {
    const uint8_t version = 1;
    polled_session(2);
    say(1);
    polled_ack(0, 0, 2);
    hwb_poll(&device);
    host_send(&line, 0x43, 6, &version, 1); /* the host has gone on to another */
    take_turn();
    CHECK_EQUAL(next(), 0);
    polled_ack(0, 0, 2);
    hwb_poll(&device);
    line.now += 19; /* too late to begin */
    hwb_poll(&device);
    take_turn();
    CHECK_EQUAL(next(), 0);
    host_ack(&line, 0, 0, 2); /* without an address */
    take_turn();
    CHECK_EQUAL(next(), 0);
    host_send(&line, 0x43, 0, &version, 1); /* to all: never answered, but the session is over */
    take_turn();
    CHECK_EQUAL(next(), 0);
    CHECK_EQUAL(hwb_poll(&device), HWB_WAITING);
}

/* ------------------------------------------------------------------------------------------------ hostile streams */

static uint32_t seed = 12345;

static uint32_t chance(void) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

/* Noise, then one good frame after a zero: it must be understood. */
static void noise_then_frame(void) {
    int round;
    settled(8);
    for (round = 0; round < 300; round++) {
        uint8_t noise[97];
        size_t i, length = chance() % sizeof noise;
        for (i = 0; i < length; i++) noise[i] = (uint8_t)(chance() % 5 == 0 ? 0 : chance());
        host_bytes(&line, noise, length);
        host_time(&line, (uint8_t)round, 5, 5);
        hwb_poll(&device);
        CHECK_EQUAL(next(), ECHO);
        CHECK_EQUAL(frame.fields[0], (uint8_t)round);
    }
    CHECK_EQUAL(device.state, HWB_CONNECTED);
}

static void longest_sections(void) {
    static uint8_t bytes[LINE_ROOM - 64];
    int i;
    settled(8);
    for (i = 0; i < 4; i++) {
        memset(bytes, i == 0 ? 1 : i == 1 ? 0xFF : i == 2 ? 2 : 0, sizeof bytes);
        host_bytes(&line, bytes, sizeof bytes);
        while (line.to_device_end > 0) hwb_poll(&device);
        host_time(&line, (uint8_t)i, 5, 5);
        hwb_poll(&device);
        CHECK_EQUAL(next(), ECHO);
    }
}

int main(void) {
    TEST("HELLO is repeated after 250 ms, doubling to 8 s, with its nonce", hello_repeats);
    TEST("a WELCOME to another HELLO or of another epoch is dropped", stale_welcome);
    TEST("a WELCOME to a repeated HELLO begins the session anew", welcome_again);
    TEST("a refused device waits 8 s, or 60 s", refused);
    TEST("an epoch numbers the records anew", epoch_renumbers);
    TEST("what the host has and has not committed is kept, and sent again to a host that has lost it", expected_frees_nothing);
    TEST("an expected sequence that is not in the store makes the device ask for an epoch", expected_out_of_bounds);
    TEST("one whose record was dropped meanwhile is answered by SKIP", expected_dropped_meanwhile);
    TEST("no more records than the window are under way", window_holds);
    TEST("a PACK ends where a length or a time does not fit", pack_bounds);
    TEST("a record that is not received is sent again after 200 ms, doubling to 2 s", resends_by_timer);
    TEST("NAKs are answered by the records, and by CHANNEL", resends_by_nak);
    TEST("only a commit within bounds frees records", commits_free);
    TEST("commits that stall for 10 s end the session", stalled);
    TEST("a full host is asked after 1, 2, 4 s", full_host);
    TEST("a silent device says PING, a silent host ends the session", alive);
    TEST("WHO ends the session and is answered, not more often than each 50 ms", who_ends_session);
    TEST("a frame of another session is bad", other_session);
    TEST("a full device refuses", full_device);
    TEST("or forgets the oldest and says SKIP", drop_oldest);
    TEST("what is lost before the first epoch is a gap at its beginning", drops_without_epoch);
    TEST("sequences wrap", wraps);
    TEST("retained memory tells what a reset has lost", tells_losses);
    TEST("also before there is a session under the new epoch", tells_losses_before_the_session);
    TEST("the time is known when the host knows it, and echoed", times);
    TEST("a command is executed once and answered as often as asked", commands);
    TEST("a command of a lost session is never answered", command_of_lost_session);
    TEST("a slow UART gets whole frames", slow_uart);
    TEST("frames share a zero, unless the firmware prints", zero_before_frames);
    TEST("configurations out of bounds are refused", bad_configurations);
    TEST("a polled device speaks in its turn and ends it", polled_turns);
    TEST("a polled device is silent in all other cases", polled_silence);
    TEST("the first frame after noise is understood", noise_then_frame);
    TEST("sections without end do no harm", longest_sections);
    return check_report("session");
}
