/* Exactly once, on the whole: the device against a model of the host that keeps to section 5 of SPEC.md, over a line that flips, loses and
 * doubles bytes and stalls, while both sides restart at random. At the end the model's log must hold each reading that hwb_send has accepted
 * once, in order, and a gap of the right count for each that a reset or drop_oldest has cost. */
#include "check.h"
#include "line.h"
#include "../headwater_ring.h"

#include <string.h>

enum { HELLO = 0x01, DATA = 0x10, PACK = 0x11, PAST = 0x12, CHANNEL = 0x13, SKIP = 0x14, PING = 0x17, WINDOW = 16 };
enum { SECTOR = 512, FLASH = 8 * SECTOR };

static uint32_t seed;

static uint32_t chance(uint32_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % below;
}

/* ------------------------------------------------------------------------------------------------ the model of the host */

/* Readings are numbered as hwb_send accepts them, so of a log it is enough to know how many it has, the number after the last, how many were
 * passed over, and how many its gaps say. */
typedef struct { uint32_t length, reading_next, lost, missing; } log_t;

static struct {
    /* durable */
    log_t log;
    uint32_t epoch, committed;
    uint32_t former, former_next; /* the run before a fresh epoch: a device that has not heard of that may still lose some of it */
    /* in memory */
    log_t taken;           /* the log as it will be after the next commit */
    uint32_t next;         /* sequence of the next record */
    uint32_t held[WINDOW]; /* what arrived beyond it: reading + 1, by sequence modulo WINDOW */
    uint32_t asked_at[WINDOW];
    uint32_t heard_at, ack_at, commit_at, epochs;
    int has_session, knows_channel, has_news;
} host;

static line_t up, wire; /* `up` is the device's end, `wire` what reaches the host */
static frame_t frame;

static void restart_host(void) {
    host.taken = host.log;
    host.next = host.committed;
    host.has_session = 0;
    memset(host.held, 0, sizeof host.held);
    host_who(&wire);
}

static void commit(void) {
    host.log = host.taken;
    host.committed = host.next;
    host.has_news = 1;
    host.commit_at = up.now;
}

static void take_reading(uint32_t reading) {
    CHECK(reading >= host.taken.reading_next); /* none twice, all in order */
    host.taken.lost += reading - host.taken.reading_next;
    host.taken.reading_next = reading + 1;
    host.taken.length++;
    host.next++;
    host.has_news = 1;
}

static void take_held(void) {
    while (host.held[host.next % WINDOW] != 0) {
        uint32_t reading = host.held[host.next % WINDOW] - 1;
        host.held[host.next % WINDOW] = 0;
        take_reading(reading);
    }
}

static void on_reading(uint16_t low, uint32_t reading) {
    uint16_t ahead = (uint16_t)(low - (uint16_t)host.next), i;
    host.has_news = 1;
    if (!host.knows_channel) { host_nak(&wire, low, 1); return; }
    if (ahead >= WINDOW) {
        if (ahead < 0x8000) host_nak(&wire, host.next, 0);
        return;
    }
    host.held[(host.next + ahead) % WINDOW] = reading + 1;
    for (i = 0; i < ahead; i++) {
        uint32_t place = (host.next + i) % WINDOW;
        if (host.held[place] != 0 || up.now - host.asked_at[place] < 100) continue;
        host.asked_at[place] = up.now;
        host_nak(&wire, host.next + i, 0);
    }
    take_held();
}

static void on_skip(uint32_t first) {
    int32_t count = (int32_t)(first - host.next);
    if (count <= 0) return;
    host.taken.missing += (uint32_t)count;
    for (; host.next != first; host.next++) {
        if (host.held[host.next % WINDOW] == 0) continue;
        host.held[host.next % WINDOW] = 0; /* arrived out of order, and skipped: counted in the gap */
    }
    host.has_news = 1;
    take_held();
}

static void count_lost(uint32_t epoch, uint32_t end) {
    int is_former = epoch == host.former && host.next == 0;
    uint32_t lost = end - (is_former ? host.former_next : host.next);
    if ((epoch != host.epoch && !is_former) || (int32_t)lost <= 0) return;
    if (is_former) host.former_next = end;
    else host.next = end;
    host.taken.missing += lost;
    commit();
}

static void give_epoch(void) {
    commit();
    host.former = host.epoch;
    host.former_next = host.next;
    host.epoch = 1000 + ++host.epochs;
    host.next = host.committed = 0;
}

static void on_hello(void) {
    uint32_t nonce = number(frame.fields + 4, 4), epoch = number(frame.fields + 8, 4), first = number(frame.fields + 12, 4);
    uint32_t end = number(frame.fields + 16, 4), last_epoch = number(frame.fields + 20, 4), last_end = number(frame.fields + 24, 4);
    CHECK(epoch != 0 || first == 0);
    host.has_session = 0;
    memset(host.held, 0, sizeof host.held);
    if (epoch == 0 || epoch != host.epoch || (int32_t)(end - host.next) < 0) {
        if (epoch != host.epoch && host.epochs > 0 && last_epoch != 0) count_lost(last_epoch, last_end);
        if (host.epochs == 0 || host.next != 0) give_epoch();
        host_welcome(&wire, 1, nonce, host.epoch, 0, 0);
        return;
    }
    if ((int32_t)(first - host.next) > 0) {
        host.taken.missing += first - host.next;
        host.next = first;
    }
    host_welcome(&wire, 0, nonce, host.epoch, host.next, WINDOW);
    host.has_session = 1;
    host.knows_channel = 0;
    host.heard_at = up.now;
}

static void host_step(void) {
    wire.now = up.now;
    while (host_next(&wire, &frame)) {
        const uint8_t *f = frame.fields;
        size_t at;
        if (frame.type == HELLO) { on_hello(); continue; }
        if (!host.has_session) continue;
        host.heard_at = up.now;
        if (frame.type == CHANNEL) host.knows_channel = 1;
        else if (frame.type == DATA) on_reading((uint16_t)number(f, 2), number(f + 7, 4));
        else if (frame.type == PAST) on_reading((uint16_t)number(f, 2), number(f + 8, 4));
        else if (frame.type == SKIP) on_skip(number(f, 4));
        else if (frame.type == PING) host.has_news = 1;
        else if (frame.type == PACK) {
            uint16_t sequence = (uint16_t)number(f, 2);
            for (at = 6; at + 4 <= frame.length; at += 4u + f[at + 3]) on_reading(sequence++, number(f + at + 4, 4));
        }
    }
    if (up.now - host.commit_at >= 100) commit();
    if (host.has_session && up.now - host.heard_at >= 15000) host.has_session = 0;
    if (host.has_session && (host.has_news || up.now - host.ack_at >= 5000)) {
        host_ack(&wire, host.committed, host.next, WINDOW);
        host.ack_at = up.now;
        host.has_news = 0;
    }
}

/* ------------------------------------------------------------------------------------------------ the line */

static uint32_t noise; /* one byte in so many is hit; 0: none */

/* Bytes go on to the other end, some of them worse for it. */
static void carry(const uint8_t *from, size_t count, uint8_t *to, size_t *to_end) {
    size_t i;
    for (i = 0; i < count && *to_end < LINE_ROOM - 2; i++) {
        uint8_t byte = from[i];
        uint32_t fate = noise > 0 && chance(noise) == 0 ? chance(3) : 3;
        if (fate == 0) continue;
        if (fate == 1) byte = (uint8_t)(byte ^ 1u << chance(8));
        if (fate == 2) to[(*to_end)++] = byte;
        to[(*to_end)++] = byte;
    }
}

static void line_step(int is_cut) {
    if (!is_cut) {
        if (wire.to_host_start > LINE_ROOM / 2 || wire.to_host_start == wire.to_host_end) {
            memmove(wire.to_host, wire.to_host + wire.to_host_start, wire.to_host_end - wire.to_host_start);
            wire.to_host_end -= wire.to_host_start;
            wire.to_host_start = 0;
        }
        carry(up.to_host, up.to_host_end, wire.to_host, &wire.to_host_end);
        carry(wire.to_device, wire.to_device_end, up.to_device, &up.to_device_end);
    }
    up.to_host_end = wire.to_device_end = 0;
    if (wire.to_host_end >= LINE_ROOM - 4) wire.to_host_start = wire.to_host_end = 0; /* a section without end */
}

/* ------------------------------------------------------------------------------------------------ the device */

static const uint8_t uid[] = {1};
static const char *const channels[] = {"c"};
static uint8_t queue[700], tx[HWB_TX_SIZE(90)], rx[HWB_BODY_MIN], flash[FLASH];
static hwb_retained_t retained;
static hwb_config_t config;
static hwr_config_t medium;
static hwb_t device;
static hwr_t ring;
static uint32_t accepted;

static int flash_medium(void *context, uint8_t operation, uint32_t address, void *data, uint16_t length) {
    uint16_t i;
    (void)context;
    if (operation == HWR_READ) memcpy(data, flash + address, length);
    else if (operation == HWR_ERASE) memset(flash + address, 0xFF, SECTOR);
    else for (i = 0; i < length; i++) flash[address + i] &= ((uint8_t *)data)[i];
    return 0;
}

static void restart_device(void) {
    up.to_device_start = up.to_device_end = 0;
    if (config.persist) CHECK_EQUAL(hwr_init(&ring, &medium), HWB_OK);
    CHECK_EQUAL(hwb_init(&device, &config), HWB_OK);
}

static void read_sensor(void) {
    uint8_t reading[4];
    int i;
    for (i = 0; i < 4; i++) reading[i] = (uint8_t)(accepted >> 8 * i);
    if (hwb_send(&device, 0, reading, 4) == HWB_OK) accepted++;
}

enum { RING = 1, RESETS = 2, KILLS = 4, DROPS = 8, CUTS = 16 };

static void story(uint32_t number_of, uint32_t kind, uint32_t one_in) {
    uint32_t step, stall = 0, resets = 0, kills = 0, before = (uint32_t)check_failures, lost;
    seed = 77u + number_of * 2654435761u;
    memset(&host, 0, sizeof host);
    memset(&up, 0, sizeof up);
    memset(&wire, 0, sizeof wire);
    memset(&config, 0, sizeof config);
    memset(&retained, 0x5A, sizeof retained);
    memset(flash, 0xFF, sizeof flash);
    up.is_noisy = wire.is_noisy = 1;
    up.now = chance(2) ? 1000 : 0xFFFFF000u;
    accepted = 0;
    config.context = &up;
    config.read = line_read;
    config.write = line_write;
    config.millis = line_millis;
    config.uid = uid;
    config.uid_length = 1;
    config.channels = channels;
    config.channel_count = 1;
    config.tx = tx;
    config.tx_size = sizeof tx;
    config.rx = rx;
    config.rx_size = sizeof rx;
    config.queue = queue;
    config.queue_size = sizeof queue;
    config.retained = &retained;
    config.drop_oldest = (kind & DROPS) != 0;
    if (kind & RING) {
        memset(&medium, 0, sizeof medium);
        medium.medium = flash_medium;
        medium.size = FLASH;
        medium.sector = SECTOR;
        medium.acknowledge = (uint16_t)chance(20);
        config.persist = hwr_persist;
        config.store = &ring;
    }
    noise = one_in;
    restart_device();
    for (step = 0; step < 40000 && (uint32_t)check_failures == before; step++) {
        up.now += 5;
        if (step > 34000) noise = 0, stall = 0; /* at the end the line heals, and all has to arrive */
        if (step < 30000 && chance(12) == 0) read_sensor();
        if (step < 34000 && (kind & CUTS) && chance(2000) == 0) stall = chance(4000);
        if (step < 30000 && (kind & RESETS) && chance(1500) == 0) restart_device(), resets++;
        if (step < 34000 && (kind & KILLS) && chance(1000) == 0) restart_host(), kills++;
        (void)hwb_poll(&device);
        line_step(stall > 0);
        if (stall > 0) stall--;
        if (chance(4) == 0 || step > 34000) host_step();
    }
    CHECK_EQUAL(hwb_pending(&device), 0);
    lost = host.log.lost + accepted - host.log.reading_next;
    CHECK_EQUAL(host.log.length + lost, accepted);
    CHECK_EQUAL(host.log.missing, lost);
    if (!(kind & DROPS) && ((kind & RING) || !(kind & RESETS))) CHECK_EQUAL(lost, 0);
    CHECK(host.log.length > 100);
    if ((uint32_t)check_failures != before)
        printf("story %u, kind %u: %u accepted, %u in the log, %u lost, %u in gaps, %u resets, %u kills\n", (unsigned)number_of, (unsigned)kind,
               (unsigned)accepted, (unsigned)host.log.length, (unsigned)lost, (unsigned)host.log.missing, (unsigned)resets, (unsigned)kills);
}

#ifndef STORIES
#define STORIES 12
#endif

static void stories(uint32_t kind) {
    uint32_t i;
    for (i = 0; i < STORIES; i++) story(i, kind, i % 3 == 0 ? 0 : i % 3 == 1 ? 2000 : 300);
}

static void noise_only(void) { stories(CUTS); }
static void host_killed(void) { stories(CUTS | KILLS); }
static void drops(void) { stories(CUTS | KILLS | DROPS); }
#ifndef CORE /* the library with all options, not its core alone */
static void ring_and_all(void) { stories(CUTS | KILLS | RESETS | RING); }
static void ram_and_resets(void) { stories(CUTS | KILLS | RESETS); }
static void ring_drops(void) { stories(CUTS | KILLS | RESETS | RING | DROPS); }
#endif

int main(void) {
    TEST("a bad line loses nothing", noise_only);
    TEST("nor does a host that is killed", host_killed);
    TEST("gaps count what a full device has dropped", drops);
#ifdef CORE
    return check_report("core");
#else
    TEST("a device that is reset loses nothing, with a ring", ring_and_all);
    TEST("without a ring, gaps count what resets have cost", ram_and_resets);
    TEST("a full ring drops, too", ring_drops);
    return check_report("chaos");
#endif
}
