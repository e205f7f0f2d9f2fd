/* The ring on a simulated flash whose power fails after any number of operations, in the middle of one: whatever hwb_send has promised is there
 * afterwards, in order, and nothing twice. Then the ring under the bridge. */
#include "check.h"
#include "line.h"
#include "../headwater_ring.h"

#include <string.h>

enum { SECTOR = 256, SECTORS = 4, FLASH = SECTOR * SECTORS };

static uint8_t flash[FLASH];
static uint32_t granule;     /* what the flash insists on */
static long power;           /* operations until it fails; -1: it does not */
static uint32_t tear;        /* how the operation that fails is left: which part of it has happened */
static unsigned misuses;     /* programmed twice, out of bounds, off the granule */
static unsigned erases[SECTORS];
static long programs;
static int is_broken;

static int flash_medium(void *context, uint8_t operation, uint32_t address, void *data, uint16_t length) {
    uint8_t *bytes = data;
    uint32_t i, part = operation == HWR_ERASE ? SECTOR : length;
    (void)context;
    if (is_broken) return -1;
    if (address + part > FLASH) { misuses++; return -1; }
    if (operation == HWR_READ) { memcpy(data, flash + address, length); return 0; }
    if (power == 0) part = part * (tear % 4) / 4;
    if (operation == HWR_PROGRAM) {
        programs++;
        if (address % granule || length % granule) misuses++;
        for (i = 0; i < length; i++) misuses += flash[address + i] != 0xFF;
        memcpy(flash + address, bytes, part);
    } else {
        if (address % SECTOR) misuses++;
        erases[address / SECTOR]++;
        if (power == 0 && tear & 4) address += SECTOR - part; /* from either end */
        memset(flash + address, 0xFF, part);
    }
    if (power == 0) { is_broken = 1; return -1; }
    if (power > 0) power--;
    return 0;
}

static hwr_config_t medium;
static hwr_t ring;
static hwb_stored_t stored;

static void new_flash(uint8_t unit) {
    memset(flash, 0xFF, sizeof flash);
    memset(&medium, 0, sizeof medium);
    medium.medium = flash_medium;
    medium.size = FLASH;
    medium.sector = SECTOR;
    medium.granule = unit;
    granule = unit ? unit : 4;
    power = -1;
    is_broken = 0;
}

static int open_ring(void) {
    CHECK_EQUAL(hwr_init(&ring, &medium), HWB_OK);
    return hwr_persist(&ring, HWB_STORE_LOAD, 0, &stored);
}

/* A record says its number three times: in its time, its channel, and its payload, whose length depends on it. */
static uint16_t length_of(uint32_t number) {
    return (uint16_t)(number % 7 * 5);
}

static int put(uint32_t number) {
    uint8_t data[40];
    hwb_record_t record;
    memset(data, (int)(number & 0xFF), sizeof data);
    record.data = data;
    record.length = length_of(number);
    record.channel = (uint8_t)(number & 63);
    record.time = number;
    record.boot = 0;
    return hwr_persist(&ring, HWB_STORE_PUT, 0, &record);
}

/* The number of the record `n` places after the oldest, checked in all its parts; -1: none. */
static long get(uint32_t n, uint8_t *boot) {
    uint8_t data[64];
    hwb_record_t record;
    uint16_t i;
    int error;
    record.data = data;
    record.length = sizeof data;
    error = hwr_persist(&ring, HWB_STORE_GET, n, &record);
    if (error < 0) return error == HWB_ERR_NONE ? -1 : -2;
    CHECK_EQUAL(record.length, length_of(record.time));
    CHECK_EQUAL(record.channel, record.time & 63);
    for (i = 0; i < record.length; i++) CHECK_EQUAL(data[i], record.time & 0xFF);
    if (boot) *boot = record.boot;
    return (long)record.time;
}

static void keeps_records(void) {
    uint32_t i;
    uint8_t boot;
    static const uint8_t units[] = {0, 1, 2, 4, 8, 16};
    size_t unit;
    for (unit = 0; unit < sizeof units; unit++) {
        new_flash(units[unit]);
        CHECK_EQUAL(open_ring(), HWB_OK);
        CHECK_EQUAL(stored.count, 0);
        CHECK_EQUAL(stored.epoch, 0);
        CHECK_EQUAL(stored.boot, 1);
        for (i = 0; i < 8; i++) CHECK_EQUAL(put(i), HWB_OK);
        CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_FREE, 2, NULL), HWB_OK);
        CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_EPOCH, 77, NULL), HWB_OK);
        for (i = 8; i < 10; i++) CHECK_EQUAL(put(i), HWB_OK);
        CHECK_EQUAL(open_ring(), HWB_OK);
        CHECK_EQUAL(stored.count, 8);
        CHECK_EQUAL(stored.epoch, 77);
        CHECK_EQUAL(stored.first, 2); /* what was given up without an epoch counts in the first one */
        CHECK_EQUAL(stored.boot, 2);
        CHECK_EQUAL(put(10), HWB_OK);
        for (i = 0; i < 9; i++) {
            CHECK_EQUAL(get(i, &boot), i + 2);
            CHECK_EQUAL(boot, i < 8 ? 1 : 2);
        }
        CHECK_EQUAL(get(5, NULL), 7); /* backwards */
        CHECK_EQUAL(get(9, NULL), -1);
        CHECK_EQUAL(hwr_written(&ring), 11);
        CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_EPOCH, 78, NULL), HWB_OK);
        CHECK_EQUAL(open_ring(), HWB_OK);
        CHECK_EQUAL(stored.epoch, 78);
        CHECK_EQUAL(stored.first, 0);
        CHECK_EQUAL(stored.count, 9);
    }
    CHECK_EQUAL(misuses, 0);
}

static void boots_are_counted_lazily(void) {
    long before;
    new_flash(4);
    CHECK_EQUAL(open_ring(), HWB_OK);
    CHECK_EQUAL(put(0), HWB_OK);
    before = programs;
    CHECK_EQUAL(open_ring(), HWB_OK);
    CHECK_EQUAL(open_ring(), HWB_OK);
    CHECK_EQUAL(stored.boot, 2);
    CHECK_EQUAL(programs, before); /* a reset loop wears nothing */
}

static uint32_t fill(uint32_t from) {
    int error;
    while ((error = put(from)) == HWB_OK) from++;
    CHECK_EQUAL((unsigned)-error, -HWB_ERR_FULL);
    return from;
}

static void full_ring_refuses(void) {
    uint32_t made, i;
    new_flash(4);
    CHECK_EQUAL(open_ring(), HWB_OK);
    made = fill(0);
    CHECK(made > 12);
    for (i = 0; i < made; i++) CHECK_EQUAL(get(i, NULL), i);
    CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_EPOCH, 5, NULL), HWB_OK); /* the reserve */
    CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_FREE, made, NULL), HWB_OK);
    CHECK_EQUAL(put(made), HWB_OK);
    CHECK_EQUAL(get(0, NULL), made);
    CHECK_EQUAL(open_ring(), HWB_OK);
    CHECK_EQUAL(stored.epoch, 5);
    for (i = 0; i < 8; i++) CHECK(hwr_persist(&ring, HWB_STORE_EPOCH, 6 + i, NULL) == HWB_OK);
    CHECK_EQUAL((unsigned)-put(1000000u * 7 + 6), 0);
}

static void wears_evenly(void) {
    uint32_t i, least = 1000000, most = 0;
    new_flash(4);
    medium.acknowledge = 8;
    memset(erases, 0, sizeof erases);
    CHECK_EQUAL(open_ring(), HWB_OK);
    for (i = 0; i < 2000; i++) {
        CHECK_EQUAL(put(i), HWB_OK);
        CHECK_EQUAL(get(0, NULL), i);
        CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_FREE, 1, NULL), HWB_OK);
        if (i % 37 == 0) {
            CHECK_EQUAL(open_ring(), HWB_OK);
            CHECK(stored.count <= 8 + 8); /* what was freed is known but for `acknowledge` records, or a sector */
            CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_FREE, stored.count, NULL), HWB_OK);
        }
    }
    for (i = 0; i < SECTORS; i++) {
        if (erases[i] < least) least = erases[i];
        if (erases[i] > most) most = erases[i];
    }
    CHECK(most - least <= 1);
    CHECK_EQUAL(misuses, 0);
}

static void rotten_bytes(void) {
    uint32_t i;
    new_flash(4);
    CHECK_EQUAL(open_ring(), HWB_OK);
    for (i = 0; i < 12; i++) CHECK_EQUAL(put(i), HWB_OK);
    flash[32 + 12 + 12 + 2] ^= 0x10; /* in the payload of record 1 */
    CHECK_EQUAL(open_ring(), HWB_OK);
    CHECK_EQUAL(stored.count, 12);
    CHECK_EQUAL(get(0, NULL), 0);
    CHECK_EQUAL(get(1, NULL), -1);
    for (i = 2; i < 12; i++) CHECK_EQUAL(get(i, NULL), i);
}

static void foreign_content(void) {
    uint32_t round, i, noise = 99;
    for (round = 0; round < 50; round++) {
        new_flash(4);
        for (i = 0; i < FLASH; i++) flash[i] = (uint8_t)((noise = noise * 1664525u + 1013904223u) >> 24);
        CHECK_EQUAL(open_ring(), HWB_OK);
        CHECK_EQUAL(stored.count, 0);
        for (i = 0; i < 20; i++) CHECK_EQUAL(put(i), HWB_OK);
        CHECK_EQUAL(open_ring(), HWB_OK);
        for (i = 0; i < 20; i++) CHECK_EQUAL(get(i, NULL), i);
    }
}

/* A story of puts, frees, epochs and restarts, cut at operation `cut`. What is promised is kept in a model; after the cut, the ring has to agree. */
static int story(long cut, uint32_t how) {
    uint32_t made = 0, freed = 0, epoch = 0, base = 0, step, i, noise = 7, promised_epoch;
    int restarts = 0, done = 1;
    new_flash(4);
    medium.acknowledge = how & 8 ? 3 : 0;
    power = cut;
    tear = how;
    if (open_ring() < 0) return 0;
    for (step = 0; step < 60; step++) {
        int error;
        noise = noise * 1664525u + 1013904223u;
        promised_epoch = epoch;
        if (step % 20 == 9) {
            error = hwr_persist(&ring, HWB_STORE_EPOCH, 100 + step, NULL);
            if (error == HWB_OK) base = epoch != 0 ? freed : base, promised_epoch = epoch = 100 + step;
            else if (is_broken) epoch = 100 + step; /* may have become so */
        } else if (step % 15 == 14) {
            error = open_ring();
            restarts++;
            if (error == HWB_OK) {
                CHECK(stored.count >= made - freed);
                error = hwr_persist(&ring, HWB_STORE_FREE, stored.count - (made - freed), NULL);
            }
        } else if (noise >> 28 < 5 && made > freed) {
            error = hwr_persist(&ring, HWB_STORE_FREE, 1 + (noise >> 20) % (made - freed), NULL);
            freed += 1 + (noise >> 20) % (made - freed);
        } else {
            error = put(made);
            if (error == HWB_OK) made++;
        }
        if (error < 0 && error != HWB_ERR_FULL) { done = 0; break; }
    }
    is_broken = 0;
    power = -1;
    CHECK_EQUAL(open_ring(), HWB_OK);
    CHECK(stored.epoch == promised_epoch || stored.epoch == epoch);
    { /* the oldest record is at or before the first that is needed; the newest is the last promised, or the one that was being written */
        uint32_t count = stored.count, needed = made - freed, extra, oldest;
        long last = count > 0 ? get(count - 1, NULL) : (long)made - 1;
        CHECK(last == (long)made - 1 || last == (long)made);
        extra = last == (long)made ? 1 : 0;
        CHECK(count >= needed + extra);
        oldest = made + extra - count;
        for (i = 0; i < count; i++) {
            long seen = get(i, NULL);
            /* Records that were freed may be damaged by an erase that was cut. */
            if (oldest + i >= freed) CHECK_EQUAL(seen, oldest + i);
            else CHECK(seen == -1 || seen == (long)(oldest + i));
        }
        if (stored.epoch == promised_epoch && promised_epoch != 0 && epoch == promised_epoch) CHECK_EQUAL(stored.first, oldest - base);
        CHECK_EQUAL(hwr_written(&ring), made + extra);
        CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_FREE, count, NULL), HWB_OK);
        for (i = 0; i < 30; i++) { /* and it works on, round and round */
            CHECK_EQUAL(put(1000 + i), HWB_OK);
            CHECK_EQUAL(get(0, NULL), 1000 + i);
            CHECK_EQUAL(hwr_persist(&ring, HWB_STORE_FREE, 1, NULL), HWB_OK);
        }
    }
    return done;
}

/* The cut moves on by one operation until the story comes to its end without it. */
static void power_cuts(void) {
    uint32_t how;
    long cuts = 0;
    for (how = 0; how < 16; how++) {
        long cut = 0;
        while (!story(cut, how)) {
            cut++;
            cuts++;
            if (check_failures > 0) return;
        }
        CHECK(cut > 50);
    }
    CHECK_EQUAL(misuses, 0);
    printf("ring: power cut %ld times\n", cuts);
}

/* ------------------------------------------------------------------------------------------------ under the bridge */

static line_t line;
static hwb_t device;
static hwb_config_t config;
static frame_t frame;
static uint8_t tx[HWB_TX_SIZE(160)], rx[HWB_BODY_MIN];
static const uint8_t uid[] = {9};
static const char *const channels[] = {"c"};

static void start_device(void) {
    memset(&config, 0, sizeof config);
    config.context = &line;
    config.read = line_read;
    config.write = line_write;
    config.millis = line_millis;
    config.persist = hwr_persist;
    config.store = &ring;
    config.uid = uid;
    config.uid_length = 1;
    config.channels = channels;
    config.channel_count = 1;
    config.tx = tx;
    config.tx_size = sizeof tx;
    config.rx = rx;
    config.rx_size = sizeof rx;
    line.to_host_start = line.to_host_end = line.to_device_start = line.to_device_end = 0;
    line.now += 1000;
    CHECK_EQUAL(hwr_init(&ring, &medium), HWB_OK);
    CHECK_EQUAL(hwb_init(&device, &config), HWB_OK);
}

static uint8_t next(void) {
    return host_next(&line, &frame) ? frame.type : 0;
}

static void say(uint8_t number) {
    CHECK_EQUAL(hwb_send(&device, 0, &number, 1), HWB_OK);
}

static void connect(uint32_t expected) {
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0x01);
    host_welcome(&line, 0, number(frame.fields + 4, 4), 77, expected, 8);
    CHECK_EQUAL(hwb_poll(&device), HWB_CONNECTED);
}

static void past_after_reset(void) {
    new_flash(4);
    start_device();
    say(1);
    say(2);
    say(3);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0x01);
    CHECK_EQUAL(frame.fields[2], 2);
    host_welcome(&line, 1, number(frame.fields + 4, 4), 77, 0, 0);
    connect(0);
    CHECK_EQUAL(next(), 0x13);
    CHECK_EQUAL(next(), 0x11);
    CHECK_EQUAL(next(), 0);
    start_device(); /* a reset */
    say(4);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0x01);
    CHECK_EQUAL(frame.fields[3], 2);
    CHECK_EQUAL(number(frame.fields + 8, 4), 77);
    CHECK_EQUAL(number(frame.fields + 12, 4), 0);
    CHECK_EQUAL(number(frame.fields + 16, 4), 4);
    host_welcome(&line, 0, number(frame.fields + 4, 4), 77, 1, 8);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0x13);
    CHECK_EQUAL(next(), 0x12);
    CHECK_EQUAL(number(frame.fields, 2), 1);
    CHECK_EQUAL(frame.fields[2], 1);
    CHECK_EQUAL(frame.fields[8], 2);
    CHECK_EQUAL(next(), 0x12);
    CHECK_EQUAL(next(), 0x10);
    CHECK_EQUAL(number(frame.fields, 2), 3);
    CHECK_EQUAL(next(), 0);
    host_ack(&line, 4, 4, 8);
    hwb_poll(&device);
    CHECK_EQUAL(hwb_pending(&device), 0);
}

static void drop_oldest_by_sectors(void) {
    uint32_t i;
    hwb_info_t info;
    new_flash(4);
    start_device();
    config.drop_oldest = 1;
    for (i = 0; i < 200; i++) say((uint8_t)i);
    hwb_info(&device, &info);
    CHECK(info.counts.dropped > 100);
    CHECK_EQUAL(info.counts.dropped + hwb_pending(&device), 200);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0x01);
    CHECK_EQUAL(number(frame.fields + 12, 4), 0);
    CHECK_EQUAL(number(frame.fields + 16, 4), hwb_pending(&device));
    host_welcome(&line, 1, number(frame.fields + 4, 4), 77, 0, 0);
    connect(info.counts.dropped);
    CHECK_EQUAL(number(frame.fields + 12, 4), info.counts.dropped); /* the host sees a gap */
    CHECK_EQUAL(next(), 0x13);
    CHECK_EQUAL(next(), 0x11);
    CHECK_EQUAL(number(frame.fields, 2), info.counts.dropped);
    CHECK_EQUAL(frame.fields[10], (uint8_t)info.counts.dropped); /* the oldest that is left */
}

static void rot_becomes_a_gap(void) {
    new_flash(4);
    start_device();
    say(1);
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0x01);
    host_welcome(&line, 1, number(frame.fields + 4, 4), 77, 0, 0);
    say(2);
    hwb_poll(&device);
    flash[32 + 12] ^= 1; /* the payload of the first */
    connect(0);
    line.now += 10;
    hwb_poll(&device);
    CHECK_EQUAL(next(), 0x14);
    CHECK_EQUAL(number(frame.fields, 4), 1);
    CHECK_EQUAL(next(), 0x13);
    CHECK_EQUAL(next(), 0x10);
    CHECK_EQUAL(frame.fields[7], 2);
}

int main(void) {
    TEST("records, epoch and boot are kept, whatever the granule", keeps_records);
    TEST("a reset alone writes nothing", boots_are_counted_lazily);
    TEST("a full ring refuses, but takes an epoch", full_ring_refuses);
    TEST("sectors wear evenly", wears_evenly);
    TEST("rotten bytes are no record", rotten_bytes);
    TEST("foreign content is an empty ring", foreign_content);
    TEST("power may fail after any operation, in the middle of it", power_cuts);
    TEST("records of an earlier boot are sent as PAST", past_after_reset);
    TEST("a full ring may forget its oldest sector", drop_oldest_by_sectors);
    TEST("a record that has rotted becomes a gap", rot_becomes_a_gap);
    return check_report("ring");
}
