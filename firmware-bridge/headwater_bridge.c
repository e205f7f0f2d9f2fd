/*
 * headwater bridge: the device's side of SPEC.md. In this order: words and bytes, the store, making frames, the session, sending,
 * receiving, the interface.
 *
 * Two rules hold everything together. A record leaves the store only when the host has said that it is committed (or by drop_oldest).
 * And all that is to be sent is kept as a flag or as a position in the store, never as bytes: a frame is made when the line has room
 * for it, from what holds at that moment, so losing one costs nothing but time.
 */
#include "headwater_bridge.h"

#include <string.h>

#ifndef HWB_BARRIER
#ifdef __AVR__
#define HWB_BARRIER() __asm__ volatile("" ::: "memory")
#else
#define HWB_BARRIER() __sync_synchronize()
#endif
#endif

#ifndef HWB_LOCK
#ifdef __AVR__
#include <avr/interrupt.h>
#define HWB_LOCK() uint8_t sreg_before = SREG; cli()
#define HWB_UNLOCK() SREG = sreg_before
#else
#define HWB_LOCK() (void)0
#define HWB_UNLOCK() (void)0
#endif
#endif

/* What is left out by -DHWB_POLLED=0 and so on: see the header's end. */
#ifndef HWB_POLLED
#define HWB_POLLED 1
#endif
#ifndef HWB_PERSIST
#define HWB_PERSIST 1
#endif
#ifndef HWB_RETAINED
#define HWB_RETAINED 1
#endif
#ifndef HWB_PACK
#define HWB_PACK 1
#endif
#ifndef HWB_COMMANDS
#define HWB_COMMANDS 1
#endif
#ifndef HWB_CHECKS
#define HWB_CHECKS 1
#endif

enum {
    TYPE_HELLO = 0x01,
    TYPE_WELCOME = 0x02,
    TYPE_WHO = 0x03,
    TYPE_KEYED = 0x10, /* this type and those above are keyed */
    TYPE_DATA = 0x10,
    TYPE_PACK = 0x11,
    TYPE_PAST = 0x12,
    TYPE_CHANNEL = 0x13,
    TYPE_SKIP = 0x14,
    TYPE_ECHO = 0x15,
    TYPE_ANSWER = 0x16,
    TYPE_PING = 0x17,
    TYPE_ACK = 0x20,
    TYPE_NAK = 0x21,
    TYPE_TIME = 0x22,
    TYPE_COMMAND = 0x23,
    TYPE_MASK = 0x3F,
    FLAG_ADDRESS = 0x80,
    FLAG_FINAL = 0x40
};

enum { WELCOME_SESSION = 0, WELCOME_EPOCH = 1, WELCOME_VERSION = 3 };

/* What is to be sent as soon as the line has room, besides records that wait in the store. */
enum { DUE_HELLO = 1, DUE_ECHO = 2, DUE_ANSWER = 4, DUE_RESEND = 8, DUE_PING = 16 };

/* RX_OPEN: the block stands for a zero, unless the frame ends with it. TX_ZERO_SENT: the last byte ended a frame and may begin the next. */
enum { RX_SEEN = 1, RX_OPEN = 2, RX_BAD = 4, TX_ZERO_SENT = 1, TX_RECORDS = 2 };

/* ABANDONED: the firmware still works at a command whose session is over. */
enum { COMMAND_NONE, COMMAND_WAITS, COMMAND_TAKEN, COMMAND_ANSWERED, COMMAND_ABANDONED };

/* GIVEN: the line is this device's, after the turnaround. */
enum { TURN_HOST, TURN_GIVEN, TURN_SPEAKING };

enum {
    CRC_SIZE = 4,
    QUEUE_HEADER = 7, /* length u16, channel u8, time u32 */
    PACK_HEADER = 4,  /* channel u8, later u16, length u8 */
    RECORD_OVERHEAD = 12 /* the most that a DATA or PAST body has besides the payload, address excepted */
};

/* Milliseconds; SPEC.md, section 4. */
enum {
    HELLO_MIN = 250,
    HELLO_MAX = 8000,
    WHO_GAP = 50,
    BUSY_WAIT = 8000,
    RESEND_MIN = 200,
    RESEND_MAX = 2000,
    FULL_PING_MIN = 1000,
    FULL_PING_MAX = 8000,
    SILENCE_MAX = 5000,
    PEER_LOST = 15000,
    STALL_MIN = 10000,
    TURN_LATE = 18
};
#define VERSION_WAIT 60000U

#define ERROR_UNKNOWN 65535U /* of TIME */
#define UNCOMMITTED_MAX 16384 /* records under way, so that 16-bit sequences stay unambiguous */

/* ------------------------------------------------------------------------------------------------ words and bytes */

static int is_polled(const hwb_t *h) {
    return HWB_POLLED && h->config->address != 0;
}

static int is_persistent(const hwb_t *h) {
    return HWB_PERSIST && h->config->persist != NULL;
}

static int takes_commands(const hwb_t *h) {
    return HWB_COMMANDS && h->config->command_size > 0;
}

/* What the machine computes with at ease, 16 bits or more: narrower types cost an instruction for each step. */
typedef unsigned word_t;

static uint32_t take(const uint8_t *bytes, word_t count) {
    uint32_t value = 0;
    while (count > 0) {
        count--;
        value = (value << 8) | bytes[count];
    }
    return value;
}

static uint8_t *give(uint8_t *bytes, uint32_t value, word_t count) {
    while (count > 0) {
        *bytes++ = (uint8_t)value;
        value >>= 8;
        count--;
    }
    return bytes;
}

static uint16_t take16(const uint8_t *bytes) {
    return (uint16_t)take(bytes, 2);
}

/* Signed distance from sequence `b` to `a`. */
static int32_t beyond(uint32_t a, uint32_t b) {
    return (int32_t)(a - b);
}

/* The sequence nearest to `about` whose low 16 bits are `low`. */
static uint32_t widen(uint32_t low, uint32_t about) {
    uint32_t up = (low - about) & 0xFFFFU;
    return about + up - ((up & 0x8000U) << 1);
}

uint32_t hwb_crc32(uint32_t crc, const void *data, size_t length) {
#ifdef HWB_CRC32
    return HWB_CRC32(crc, (const uint8_t *)data, length);
#else
    /* Half a byte at a time: 64 bytes of table instead of 1,024, at half the speed. */
    static const uint32_t table[16] = {0x00000000UL, 0x1DB71064UL, 0x3B6E20C8UL, 0x26D930ACUL, 0x76DC4190UL, 0x6B6B51F4UL,
                                       0x4DB26158UL, 0x5005713CUL, 0xEDB88320UL, 0xF00F9344UL, 0xD6D6A3E8UL, 0xCB61B38CUL,
                                       0x9B64C2B0UL, 0x86D3D2D4UL, 0xA00AE278UL, 0xBDBDF21CUL};
    const uint8_t *byte = data;
    while (length > 0) {
        crc ^= *byte++;
        crc = (crc >> 4) ^ table[crc & 15U];
        crc = (crc >> 4) ^ table[crc & 15U];
        length--;
    }
    return crc;
#endif
}

/* The CRC of a body without its last four bytes; the key goes first and is not sent. */
static uint32_t body_crc(const hwb_t *h, const uint8_t *body, size_t length) {
    uint8_t key[4] = {0, 0, 0, 0};
    uint32_t crc;
    if ((body[0] & TYPE_MASK) >= TYPE_KEYED) give(key, h->key, sizeof key);
    crc = hwb_crc32(0xFFFFFFFFUL, key, sizeof key);
    crc = hwb_crc32(crc, body, length);
    return crc ^ 0xFFFFFFFFUL;
}

/* ------------------------------------------------------------------------------------------------ the store
 *
 * The queue is a ring of bytes: length u16, channel u8, time u32, payload, for each record. The producer alone moves `head` and `made`,
 * the consumer `tail`, `freed` and `first`. One byte stays free, so that head == tail means empty.
 */

static uint32_t made_count(const hwb_t *h) {
    uint32_t made;
    HWB_LOCK();
    made = h->made;
    HWB_UNLOCK();
    HWB_BARRIER();
    return made;
}

uint32_t hwb_pending(const hwb_t *h) {
    uint32_t count;
    HWB_LOCK();
    count = h->made - h->freed;
    HWB_UNLOCK();
    return count;
}

static uint32_t end_of(const hwb_t *h) {
    return h->first + (made_count(h) - h->freed);
}

/* Copies out of the queue at `at`; returns the position behind. */
static word_t queue_take(const hwb_t *h, word_t at, uint8_t *to, word_t count) {
    const hwb_config_t *config = h->config;
    while (count > 0) {
        *to++ = config->queue[at];
        at = at + 1U == config->queue_size ? 0 : at + 1U;
        count--;
    }
    return at;
}

static word_t queue_put(const hwb_t *h, word_t at, const uint8_t *from, word_t count) {
    const hwb_config_t *config = h->config;
    while (count > 0) {
        config->queue[at] = *from++;
        at = at + 1U == config->queue_size ? 0 : at + 1U;
        count--;
    }
    return at;
}

static word_t queue_skip(const hwb_t *h, word_t at, word_t count) {
    word_t left = h->config->queue_size - at;
    return count < left ? at + count : count - left;
}

static word_t queue_header(const hwb_t *h, word_t at, hwb_record_t *record) {
    uint8_t header[QUEUE_HEADER];
    at = queue_take(h, at, header, QUEUE_HEADER);
    record->length = take16(header);
    record->channel = header[2];
    record->time = take(header + 3, 4);
    record->boot = h->boot;
    return at;
}

/* Position of the record `n` places after the oldest. A walk, but a short one: what is under way lies near the tail. */
static word_t queue_seek(const hwb_t *h, uint32_t n) {
    hwb_record_t record;
    word_t at = h->tail;
    while (n > 0) {
        at = queue_header(h, at, &record);
        at = queue_skip(h, at, record.length);
        n--;
    }
    return at;
}

static int queue_send(hwb_t *h, const hwb_record_t *record) {
    word_t head = h->head, tail, room;
    uint8_t header[QUEUE_HEADER];
    HWB_LOCK();
    tail = h->tail;
    HWB_UNLOCK();
    room = tail > head ? tail - head : h->config->queue_size - head + tail;
    if (record->length + (word_t)QUEUE_HEADER >= room) return HWB_ERR_FULL;
    give(give(give(header, record->length, 2), record->channel, 1), record->time, 4);
    head = queue_put(h, queue_put(h, head, header, QUEUE_HEADER), record->data, record->length);
    h->head = (uint16_t)head;
    return HWB_OK;
}

/* A record with its payload, if there is room at `record->data` for it, else without. `at` is its place in the queue, moved to the next one's.
 * Negative if the store failed or there is no such record. */
static int fetch(const hwb_t *h, uint32_t sequence, word_t *at, hwb_record_t *record) {
    const hwb_config_t *config = h->config;
    word_t room = record->length, payload;
    if (beyond(sequence, end_of(h)) >= 0) return HWB_ERR_NONE;
    if (is_persistent(h)) return config->persist(config->store, HWB_STORE_GET, sequence - h->first, record);
    payload = queue_header(h, *at, record);
    if (record->length <= room) queue_take(h, payload, record->data, record->length);
    *at = queue_skip(h, payload, record->length);
    return HWB_OK;
}

/* Frees the `n` oldest records, at most as many as there are. */
static void release(hwb_t *h, uint32_t n) {
    const hwb_config_t *config = h->config;
    if (n == 0) return;
    if (is_persistent(h)) {
        (void)config->persist(config->store, HWB_STORE_FREE, n, NULL);
    } else {
        word_t tail = queue_seek(h, n);
        HWB_BARRIER();
        HWB_LOCK();
        h->tail = (uint16_t)tail;
        HWB_UNLOCK();
    }
    HWB_LOCK();
    h->freed += n;
    HWB_UNLOCK();
    h->first += n;
}

static uint32_t retained_check(const hwb_retained_t *retained) {
    return retained->epoch ^ ~retained->base ^ (retained->boots * 2654435761UL) ^ 0x31425748UL;
}

/* From now on the next sequence is `end`, in `epoch`; `made` stays the producer's. */
static void retain(const hwb_t *h, uint32_t epoch, uint32_t end) {
    hwb_retained_t *retained = h->config->retained;
    retained->epoch = epoch;
    retained->base = end - made_count(h);
    retained->check = retained_check(retained);
}

/* What the memory still says of the time before the reset. A reset within hwb_send may leave `made_inverse` one behind. */
static void recall(hwb_t *h) {
    hwb_retained_t *retained = h->config->retained;
    uint32_t made = ~retained->made_inverse;
    int valid = retained->check == retained_check(retained) && retained->made - made <= 1U;
    if (valid) {
        uint32_t end = retained->base + retained->made;
        h->last_epoch = retained->epoch;
        if (h->last_epoch != 0) h->last_end = end;
        else h->first = end;
    }
    retained->check = 0;
    HWB_BARRIER();
    retained->boots = valid ? retained->boots + 1U : 1U;
    retained->made = 0;
    retained->made_inverse = ~(uint32_t)0;
    if (h->boot == 0) h->boot = (uint8_t)retained->boots;
    retain(h, h->last_epoch, h->last_epoch != 0 ? h->last_end : h->first);
}

/* ------------------------------------------------------------------------------------------------ making frames
 *
 * A body is built at an offset in the tx buffer that leaves room for the first zero and COBS' overhead, and encoded towards the
 * buffer's start in place: what is written never overtakes what is read.
 */

static word_t body_offset(const hwb_t *h) {
    return 4U + (h->config->tx_size >> 8);
}

/* The longest body that both this device can make and the host takes. */
static word_t body_max(const hwb_t *h) {
    word_t own = h->config->tx_size - body_offset(h);
    return own < h->peer_max ? own : h->peer_max;
}

static void put(hwb_t *h, uint32_t value, word_t count) {
    give(h->config->tx + h->tx_length, value, count);
    h->tx_length = (uint16_t)(h->tx_length + count);
}

static void put_bytes(hwb_t *h, const void *bytes, size_t length) {
    if (length > 0) memcpy(h->config->tx + h->tx_length, bytes, length);
    h->tx_length = (uint16_t)(h->tx_length + length);
}

static void put_text(hwb_t *h, const char *text) {
    size_t length = text ? strlen(text) : 0;
    put(h, (uint32_t)length, 1);
    put_bytes(h, text, length);
}

static void begin(hwb_t *h, uint8_t type) {
    h->tx_length = (uint16_t)body_offset(h);
    if (is_polled(h)) {
        put(h, (uint32_t)(type | FLAG_ADDRESS), 1);
        put(h, h->config->address, 1);
    } else {
        put(h, type, 1);
    }
}

/* COBS. Returns the end of what was written, which may lie in front of `from` and is at most one byte in 254 longer than the bytes read. */
static uint8_t *stuff(uint8_t *to, const uint8_t *from, const uint8_t *end) {
    uint8_t *code = to++;
    while (from < end) {
        uint8_t byte = *from++;
        if (byte != 0) *to++ = byte;
        if (byte == 0 || (to - code == 255 && from < end)) {
            *code = (uint8_t)(to - code);
            code = to++;
        }
    }
    *code = (uint8_t)(to - code);
    return to;
}

/* Adds the CRC and encodes: the frame lies at the buffer's start, ready for the line. */
static void finish(hwb_t *h) {
    uint8_t *tx = h->config->tx, *body = tx + body_offset(h), *to = tx;
    put(h, body_crc(h, body, (size_t)(h->tx_length - body_offset(h))), CRC_SIZE);
    if (!(h->tx_flags & TX_ZERO_SENT)) *to++ = 0;
    to = stuff(to, body, tx + h->tx_length);
    *to++ = 0;
    h->tx_at = 0;
    h->tx_length = (uint16_t)(to - tx);
    h->tx_flags &= (uint8_t)~TX_ZERO_SENT;
}

static void make_hello(hwb_t *h, uint32_t now) {
    const hwb_config_t *config = h->config;
    uint32_t first = h->epoch != 0 ? h->first : 0;
    h->tx_flags = 0;
    begin(h, is_polled(h) ? TYPE_HELLO | FLAG_FINAL : TYPE_HELLO);
    put(h, HWB_PROTOCOL_VERSION | HWB_PROTOCOL_VERSION << 8, 2);
    put(h, (is_polled(h) ? 1U : 0U) | (is_persistent(h) ? 2U : 0U) | (takes_commands(h) ? 4U : 0U), 1);
    put(h, h->boot, 1);
    put(h, h->nonce, 4);
    put(h, h->epoch, 4);
    put(h, first, 4);
    put(h, first + hwb_pending(h), 4);
    put(h, h->last_epoch, 4);
    put(h, h->last_end, 4);
    put(h, now, 4);
    put(h, config->rx_size, 2);
    put(h, config->uid_length, 1);
    put_bytes(h, config->uid, config->uid_length);
    put_text(h, config->name);
    put_text(h, config->firmware);
}

/* ------------------------------------------------------------------------------------------------ the session */

/* A command belongs to its session. One that the firmware has not taken is gone; one that it has taken may not be answered in another. */
static void end_commands(hwb_t *h) {
    h->command_id = 0;
    h->command_state = h->command_state == COMMAND_TAKEN || h->command_state == COMMAND_ABANDONED ? COMMAND_ABANDONED : COMMAND_NONE;
}

/* No session, or no longer: HELLO as soon as possible, then each 250 ms, doubling. */
static void disconnect(hwb_t *h) {
    h->state = HWB_WAITING;
    h->due = DUE_HELLO;
    h->timer = 0;
    h->nonce++;
    end_commands(h);
}

/* Numbers the records anew from 0; epoch 0 asks the host for one. What was lost without an epoch has its numbers in the next one, so that
 * the host sees the gap: the numbers go on then. A store without room for that loses its oldest records: better than all. */
static void renumber(hwb_t *h, uint32_t epoch) {
    const hwb_config_t *config = h->config;
    int error = is_persistent(h) ? config->persist(config->store, HWB_STORE_EPOCH, epoch, NULL) : HWB_OK;
    while (error == HWB_ERR_FULL && hwb_pending(h) > 0) {
        h->counts.dropped++;
        release(h, 1);
        error = config->persist(config->store, HWB_STORE_EPOCH, epoch, NULL);
    }
    if (error < 0) return;
    if (h->epoch != 0) h->first = 0;
    h->epoch = epoch;
    /* Already here: the host may have the epoch on its card, and no longer know the one before. */
    if (HWB_RETAINED && h->config->retained && epoch != 0) retain(h, epoch, end_of(h));
    disconnect(h);
}

static void connect(hwb_t *h, const uint8_t *fields, uint32_t now) {
    uint32_t expected = take(fields + 14, 4), key = take(fields + 10, 4);
    int is_known = expected - h->first <= end_of(h) - h->first;
    if (h->state == HWB_CONNECTED && (key == h->key || !is_known)) return; /* the same once more, or an older one */
    if (beyond(expected, end_of(h)) > 0) {
        renumber(h, 0);
        return;
    }
    /* What the host has received is not durable yet: an ACK frees it. */
    end_commands(h);
    h->key = key;
    h->received = h->skipped = h->next = expected;
    h->missing = 0;
    memset(h->announced, 0, sizeof h->announced);
    h->peer_max = take16(fields + 18);
    h->ack_ms = take16(fields + 20);
    h->window = fields[22];
    h->last_epoch = h->last_end = 0;
    h->state = HWB_CONNECTED;
    h->due = 0;
    h->timer = h->window == 0 ? FULL_PING_MIN : RESEND_MIN;
    h->timer_at = h->heard_at = h->sent_at = h->commit_at = now;
    h->counts.sessions++;
}

static void on_welcome(hwb_t *h, const uint8_t *fields, uint32_t now) {
    uint32_t epoch = take(fields + 6, 4);
    if (take(fields + 2, 4) != h->nonce || (h->state == HWB_CONNECTED && fields[1] != WELCOME_SESSION)) return;
    if (fields[1] > WELCOME_EPOCH) {
        h->due = 0;
        h->timer_at = now;
        h->timer = fields[1] == WELCOME_VERSION ? VERSION_WAIT : BUSY_WAIT;
    } else if (fields[0] == HWB_PROTOCOL_VERSION && epoch != 0) {
        if (fields[1] == WELCOME_EPOCH) renumber(h, epoch);
        else if (epoch == h->epoch) connect(h, fields, now);
    }
}

static void on_who(hwb_t *h, uint32_t now) {
    int is_soon = h->state == HWB_WAITING && !(h->due & DUE_HELLO) && now - h->timer_at < WHO_GAP;
    disconnect(h);
    if (is_soon) {
        h->due = 0;
        h->timer = WHO_GAP;
    }
}

static void on_ack(hwb_t *h, const uint8_t *fields, uint32_t now) {
    uint32_t committed = widen(take16(fields), h->first);
    uint32_t received = widen(take16(fields + 2), h->first);
    uint8_t window = fields[4];
    if (beyond(committed, received) > 0 || beyond(received, h->next) > 0) return;
    if (beyond(received, h->received) > 0) {
        uint32_t up = received - h->received;
        h->missing = up < 32U ? h->missing >> up : 0;
        h->received = received;
        h->timer_at = now;
        h->timer = RESEND_MIN;
    }
    if (beyond(committed, h->first) > 0) {
        release(h, committed - h->first);
        h->commit_at = now;
    }
    if ((window == 0) != (h->window == 0)) {
        h->timer_at = now;
        h->timer = window == 0 ? FULL_PING_MIN : RESEND_MIN;
    }
    h->window = window;
}

static void on_nak(hwb_t *h, const uint8_t *fields) {
    uint32_t sequence = widen(take16(fields), h->first);
    if (fields[2] == 1) memset(h->announced, 0, sizeof h->announced);
    if (beyond(sequence, h->first) < 0) {
        h->skipped = h->received;
    } else if (beyond(sequence, h->next) < 0 && sequence - h->received < 32U) {
        h->missing |= (uint32_t)1 << (sequence - h->received);
    }
}

static void on_time(hwb_t *h, const uint8_t *fields, uint32_t now) {
    uint16_t error = take16(fields + 9);
    h->echo_id = fields[0];
    h->echo_uptime = now;
    h->due |= DUE_ECHO;
    if (error == ERROR_UNKNOWN) return;
    h->wall_low = take(fields + 1, 4);
    h->wall_high = take(fields + 5, 4);
    h->wall_at = now;
    h->wall_error = error;
}

static void on_command(hwb_t *h, const uint8_t *fields, size_t length) {
    uint16_t id = take16(fields);
    size_t payload = length - 3;
    if (!takes_commands(h)) return;
    if (id == h->command_id) {
        if (h->command_state == COMMAND_ANSWERED) h->due |= DUE_ANSWER;
        return;
    }
    if (id != (uint16_t)(h->command_id + 1) || (h->command_state != COMMAND_NONE && h->command_state != COMMAND_ANSWERED)) return;
    h->command_id = id;
    h->due &= (uint8_t)~DUE_ANSWER;
    if (payload > h->config->command_size) {
        h->command_state = COMMAND_ANSWERED;
        h->command_code = HWB_BAD_PAYLOAD;
        h->command_length = 0;
        h->due |= DUE_ANSWER;
        return;
    }
    memcpy(h->config->command, fields + 3, payload);
    h->command_code = fields[2];
    h->command_length = (uint16_t)payload;
    h->command_state = COMMAND_WAITS;
}

static void watch_clocks(hwb_t *h, uint32_t now) {
    uint32_t stall = (uint32_t)h->ack_ms * 10U;
    if (h->wall_error != ERROR_UNKNOWN && now - h->wall_at > 0x7FFFFFFFUL) h->wall_error = ERROR_UNKNOWN;
    if (h->state == HWB_WAITING) {
        if (!is_polled(h) && now - h->timer_at >= h->timer) h->due |= DUE_HELLO;
        return;
    }
    if (beyond(h->received, h->first) <= 0) h->commit_at = now;
    if (now - h->heard_at >= PEER_LOST || now - h->commit_at >= (stall > STALL_MIN ? stall : STALL_MIN)) {
        disconnect(h);
        return;
    }
    if (is_polled(h)) return;
    if (now - h->sent_at >= SILENCE_MAX) h->due |= DUE_PING;
    if (h->tx_flags & TX_RECORDS) h->timer_at = now;
    if (now - h->timer_at >= h->timer && (h->window == 0 || h->next != h->received)) {
        uint16_t most = h->window == 0 ? FULL_PING_MAX : RESEND_MAX;
        h->due = (uint8_t)(h->due | (h->window == 0 ? DUE_PING : DUE_RESEND));
        h->timer = (uint16_t)(h->timer * 2U < most ? h->timer * 2U : most);
        h->timer_at = now;
    }
}

/* ------------------------------------------------------------------------------------------------ sending */

static uint8_t is_announced(const hwb_t *h, uint8_t channel) {
    return (uint8_t)(h->announced[channel >> 3] >> (channel & 7) & 1);
}

static void make_channel(hwb_t *h, uint8_t channel) {
    const char *name = h->config->channels[channel];
    h->announced[channel >> 3] = (uint8_t)(h->announced[channel >> 3] | 1 << (channel & 7));
    begin(h, TYPE_CHANNEL);
    put(h, channel, 1);
    put_bytes(h, name, strlen(name));
}

/* Whether a record may follow, in a PACK, one made at `time`. */
static int joins(const hwb_t *h, const hwb_record_t *record, uint32_t time, word_t length) {
    return record->length <= 255 && record->boot == h->boot && record->time - time <= 65535UL && is_announced(h, record->channel) &&
           length + record->length + (word_t)(PACK_HEADER + CRC_SIZE) <= body_max(h);
}

/* Reads a record's payload to the frame's end. Negative, and no frame, if the store failed. */
static int put_payload(hwb_t *h, uint32_t sequence, word_t *at, hwb_record_t *record) {
    int error;
    record->data = h->config->tx + h->tx_length;
    error = fetch(h, sequence, at, record);
    h->tx_length = (uint16_t)(error < 0 ? 0 : h->tx_length + record->length);
    return error;
}

/* Makes a frame of the record `sequence` and of as many after it as fit, `limit` in all. Returns how many; 0 and a CHANNEL frame if that
 * has to go first; 0 and no frame if the store failed. A record that can't be sent, since its bytes have rotted or the host takes no such
 * length, is dropped once it is the oldest. */
static word_t make_records(hwb_t *h, uint32_t sequence, uint32_t limit) {
    word_t extra = is_polled(h) ? 1 : 0, count = 0;
    word_t at = is_persistent(h) ? 0 : queue_seek(h, sequence - h->first), after = at;
    hwb_record_t record, next;
    uint32_t time;
    int error;
    record.length = next.length = 0;
    record.data = next.data = h->config->tx;
    if (beyond(sequence, end_of(h)) >= 0) return 0;
    error = fetch(h, sequence, &after, &record);
    if (error < 0 && error != HWB_ERR_NONE) return 0;
    if (error < 0 || record.channel >= h->config->channel_count || record.length + (word_t)(RECORD_OVERHEAD + 1) + extra > body_max(h)) {
        if (sequence == h->first) {
            h->counts.dropped++;
            release(h, 1);
        }
        return 0;
    }
    if (!is_announced(h, record.channel)) {
        make_channel(h, record.channel);
        return 0;
    }
    time = record.time;
    if (HWB_PACK && limit > 1 && fetch(h, sequence + 1, &after, &next) >= 0 && joins(h, &record, time, 7U + extra) &&
        joins(h, &next, time, 7U + extra + PACK_HEADER + record.length)) {
        begin(h, TYPE_PACK);
        put(h, sequence, 2);
        put(h, time, 4);
        do {
            put(h, record.channel, 1);
            put(h, record.time - time, 2);
            put(h, record.length, 1);
            time = record.time;
            if (put_payload(h, sequence + count, &at, &record) < 0) return 0;
            count++;
            record.length = 0;
            after = at;
        } while (count < limit && fetch(h, sequence + count, &after, &record) >= 0 &&
                 joins(h, &record, time, h->tx_length - body_offset(h)));
        return count;
    }
    begin(h, record.boot == h->boot ? TYPE_DATA : TYPE_PAST);
    put(h, sequence, 2);
    if (record.boot != h->boot) put(h, record.boot, 1);
    put(h, record.channel, 1);
    put(h, time, 4);
    return put_payload(h, sequence, &at, &record) < 0 ? 0 : 1;
}


/* A frame of records, or SKIP, or nothing: what was lost first, then what has not been sent yet. */
static void make_next_records(hwb_t *h) {
    uint32_t lost = h->first - h->received, sequence, from;
    word_t at = 0, run = 1, count;
    if (beyond(h->next, h->first) < 0) h->next = h->first;
    if (beyond(h->first, h->received) > 0) {
        h->missing = lost < 32U ? h->missing >> lost << lost : 0;
        if (h->due & DUE_RESEND) h->skipped = h->received;
        h->due &= (uint8_t)~DUE_RESEND;
        if (beyond(h->first, h->skipped) > 0) {
            begin(h, TYPE_SKIP);
            put(h, h->first, 4);
            h->skipped = h->first;
            return;
        }
    }
    if (h->window == 0) return;
    if (h->due & DUE_RESEND) {
        count = make_records(h, h->received, h->next - h->received);
        if (count > 0 || h->tx_length == 0) h->due &= (uint8_t)~DUE_RESEND;
        h->missing = count < 32U ? h->missing >> count << count : 0;
        h->counts.again += count;
    } else if (h->missing != 0) {
        while (!(h->missing >> at & 1U)) at++;
        while (HWB_PACK && at + run < 32 && (h->missing >> (at + run) & 1U)) run++;
        sequence = h->received + at;
        count = make_records(h, sequence, run);
        h->counts.again += count;
        if (count == 0 && h->tx_length == 0) count = 1;
        while (count > 0) {
            count--;
            h->missing &= ~((uint32_t)1 << (at + count));
        }
    } else {
        from = beyond(h->skipped, h->received) > 0 ? h->skipped : h->received;
        if (h->next - from >= h->window || h->next - h->first >= UNCOMMITTED_MAX) return;
        count = make_records(h, h->next, h->window - (h->next - from));
        h->next += count;
        h->counts.records += count;
    }
    if (h->tx_length != 0) h->tx_flags |= TX_RECORDS;
}

/* Makes the most urgent frame that is due; 0 if there is none, or the line is not this device's. */
static int compose(hwb_t *h, uint32_t now) {
    h->tx_length = 0;
    if (is_polled(h) && h->turn != TURN_SPEAKING) return 0;
    if (h->state == HWB_WAITING) {
        uint16_t wait = (uint16_t)(h->timer < HELLO_MAX / 2 ? h->timer * 2 : HELLO_MAX);
        if (!is_polled(h) && !(h->due & DUE_HELLO)) return 0;
        make_hello(h, now);
        h->due = 0;
        h->timer_at = now;
        h->timer = wait < HELLO_MIN ? HELLO_MIN : wait;
        h->turn = TURN_HOST;
    } else if (h->due & DUE_ECHO) {
        h->due &= (uint8_t)~DUE_ECHO;
        begin(h, TYPE_ECHO);
        put(h, h->echo_id, 1);
        put(h, h->echo_uptime, 4);
    } else if (HWB_COMMANDS && (h->due & DUE_ANSWER)) {
        h->due &= (uint8_t)~DUE_ANSWER;
        begin(h, TYPE_ANSWER);
        put(h, h->command_id, 2);
        put(h, h->command_code, 1);
        put_bytes(h, h->config->command, h->command_length);
    } else {
        make_next_records(h);
        if (h->tx_length == 0) {
            if (!is_polled(h) && !(h->due & DUE_PING)) return 0;
            h->due &= (uint8_t)~DUE_PING;
            begin(h, is_polled(h) ? TYPE_PING | FLAG_FINAL : TYPE_PING);
            h->turn = TURN_HOST;
        }
    }
    finish(h);
    h->sent_at = now;
    return 1;
}

static void transmit(hwb_t *h, uint32_t now) {
    const hwb_config_t *config = h->config;
    do {
        while (h->tx_at < h->tx_length) {
            size_t left = (size_t)(h->tx_length - h->tx_at);
            size_t taken = config->write(config->context, config->tx + h->tx_at, left);
            if (taken == 0) return;
            h->tx_at = (uint16_t)(h->tx_at + (taken < left ? taken : left));
        }
        if (h->tx_length > 0) {
            if (h->tx_flags & TX_RECORDS) h->timer_at = now;
            h->tx_flags = config->prints || is_polled(h) ? 0 : TX_ZERO_SENT;
        }
    } while (compose(h, now));
}

/* ------------------------------------------------------------------------------------------------ receiving */

/* The host speaks: whatever this device was about to say in its turn is late. */
static void yield_line(hwb_t *h) {
    if (!is_polled(h)) return;
    h->turn = TURN_HOST;
    h->tx_length = 0;
    h->tx_flags = 0;
}

static void dispatch(hwb_t *h, uint8_t type, const uint8_t *fields, size_t length, uint32_t now) {
    if (type >= TYPE_KEYED) h->heard_at = now;
    if (type == TYPE_WELCOME && length >= 23) on_welcome(h, fields, now);
    else if (type == TYPE_WHO && length >= 1) on_who(h, now);
    else if (type == TYPE_ACK && length >= 5) on_ack(h, fields, now);
    else if (type == TYPE_NAK && length >= 3) on_nak(h, fields);
    else if (type == TYPE_TIME && length >= 11) on_time(h, fields, now);
    else if (HWB_COMMANDS && type == TYPE_COMMAND && length >= 3) on_command(h, fields, length);
}

/* Whether the body in rx was a frame, for this device or another; if it is for this one, it has been acted upon. */
static int on_body(hwb_t *h, uint32_t now) {
    const uint8_t *body = h->config->rx;
    uint8_t own = HWB_POLLED ? h->config->address : 0, first = body[0], type = first & TYPE_MASK;
    uint8_t head = first & FLAG_ADDRESS ? 2 : 1, is_host = type >= TYPE_ACK || type == TYPE_WELCOME || type == TYPE_WHO;
    size_t length = h->rx_length;
    if (length < (size_t)(head + CRC_SIZE) || (head == 2) != (own != 0)) return 0;
    if (own != 0 && body[1] != own && body[1] != 0) {
        if (is_host) yield_line(h);
        return 1;
    }
    length -= CRC_SIZE;
    if (type >= TYPE_KEYED && h->state != HWB_CONNECTED) return 0;
    if (body_crc(h, body, length) != take(body + length, CRC_SIZE)) return 0;
    if (!is_host) return 1;
    yield_line(h);
    dispatch(h, type, body + head, length - head, now);
    if (own != 0 && body[1] == own && (first & FLAG_FINAL)) {
        h->turn = TURN_GIVEN;
        h->timer_at = now;
    }
    return 1;
}

static void store_byte(hwb_t *h, uint8_t byte) {
    if (h->rx_length < h->config->rx_size) h->config->rx[h->rx_length++] = byte;
    else h->rx_flags |= RX_BAD;
}

/* COBS, decoded as it comes. The zero that a block stands for is stored when the next block begins, since the last block has none. */
static void on_byte(hwb_t *h, uint8_t byte, uint32_t now) {
    if (byte == 0) {
        if (h->rx_length > 0 || h->rx_flags != 0) {
            if (h->rx_left > 0 || (h->rx_flags & RX_BAD) || !on_body(h, now)) h->counts.bad++;
        }
        h->rx_length = h->rx_left = h->rx_flags = 0;
    } else if (h->rx_left > 0) {
        h->rx_left--;
        store_byte(h, byte);
    } else {
        if (h->rx_flags & RX_OPEN) store_byte(h, 0);
        h->rx_left = (uint8_t)(byte - 1);
        h->rx_flags = (uint8_t)((h->rx_flags & RX_BAD) | RX_SEEN | (byte < 255 ? RX_OPEN : 0));
    }
}

static void receive(hwb_t *h, uint32_t now) {
    uint8_t bytes[16], i;
    uint8_t rounds = 2 * HWB_BODY_MAX / sizeof bytes - 1;
    while (rounds-- > 0) {
        size_t count = h->config->read(h->config->context, bytes, sizeof bytes);
        if (count == 0) return;
        for (i = 0; i < count && i < sizeof bytes; i++) on_byte(h, bytes[i], now);
    }
}

/* ------------------------------------------------------------------------------------------------ the interface */

static int is_configured(const hwb_config_t *config) {
    size_t hello = 43U + config->uid_length;
    uint8_t i;
    if (!config->read || !config->write || !config->millis || !config->uid || !config->channels || !config->tx || !config->rx) return 0;
    if (config->uid_length < 1 || config->uid_length > 16 || config->address > 32 || config->turnaround > 15) return 0;
    if (config->channel_count < 1 || config->channel_count > HWB_CHANNEL_MAX) return 0;
    for (i = 0; i < config->channel_count; i++) {
        size_t length = strlen(config->channels[i]);
        if (length < 1 || length > 31) return 0;
    }
    if (config->name) hello += strlen(config->name);
    if (config->firmware) hello += strlen(config->firmware);
    if ((config->name && strlen(config->name) > 31) || (config->firmware && strlen(config->firmware) > 31)) return 0;
    if (config->tx_size < HWB_TX_SIZE(hello) || config->tx_size > HWB_TX_SIZE(HWB_BODY_MAX)) return 0;
    if (config->rx_size < HWB_BODY_MIN || config->rx_size > HWB_BODY_MAX) return 0;
    if (config->command_size > 0 && (!config->command || config->command_size > config->tx_size - 20)) return 0;
    return HWB_PERSIST && config->persist ? 1 : config->queue && config->queue_size >= 16;
}

int hwb_init(hwb_t *h, const hwb_config_t *config) {
    memset(h, 0, sizeof *h);
    h->config = config;
    if (HWB_CHECKS && !is_configured(config)) return HWB_ERR_CONFIG;
    h->boot = config->boot;
    h->peer_max = HWB_BODY_MAX;
    h->wall_error = ERROR_UNKNOWN;
    h->due = DUE_HELLO;
    if (is_persistent(h)) {
        hwb_stored_t stored;
        int error = config->persist(config->store, HWB_STORE_LOAD, 0, &stored);
        if (error < 0) return error;
        h->boot = stored.boot;
        h->epoch = stored.epoch;
        h->first = stored.first;
        h->made = stored.count;
    } else if (HWB_RETAINED && config->retained) {
        recall(h);
    }
    h->nonce = config->nonce ^ ((uint32_t)h->boot << 24) ^ config->millis(config->context);
    return HWB_OK;
}

int hwb_poll(hwb_t *h) {
    uint32_t now = h->config->millis(h->config->context);
    receive(h, now);
    watch_clocks(h, now);
    if (HWB_POLLED && h->turn == TURN_GIVEN) {
        uint32_t silence = now - h->timer_at;
        if (silence >= TURN_LATE) h->turn = TURN_HOST;
        else if (silence > (h->config->turnaround < 2 ? 2U : h->config->turnaround)) {
            h->turn = TURN_SPEAKING;
            h->counts.again += h->next - h->received;
            h->counts.records -= h->next - h->received;
            h->next = h->received;
            h->missing = 0;
        }
    }
    transmit(h, now);
    return h->state;
}

static int store_record(hwb_t *h, hwb_record_t *record) {
    const hwb_config_t *config = h->config;
    return is_persistent(h) ? config->persist(config->store, HWB_STORE_PUT, 0, record) : queue_send(h, record);
}

int hwb_send(hwb_t *h, uint8_t channel, const void *data, size_t length) {
    const hwb_config_t *config = h->config;
    hwb_retained_t *retained = !HWB_RETAINED || is_persistent(h) ? NULL : config->retained;
    hwb_record_t record;
    int error;
    if (channel >= config->channel_count) return HWB_ERR_CHANNEL;
    if (length > HWB_RECORD_MAX || length + RECORD_OVERHEAD + 2U + body_offset(h) > config->tx_size) return HWB_ERR_LENGTH;
    if (!is_persistent(h) && length + QUEUE_HEADER >= config->queue_size) return HWB_ERR_LENGTH;
    record.data = (uint8_t *)(uintptr_t)data;
    record.length = (uint16_t)length;
    record.channel = channel;
    record.boot = h->boot;
    record.time = config->millis(config->context);
    error = store_record(h, &record);
    while (error == HWB_ERR_FULL && config->drop_oldest && hwb_pending(h) > 0) {
        release(h, 1);
        h->counts.dropped++;
        error = store_record(h, &record);
    }
    if (error < 0) {
        if (error == HWB_ERR_FULL) h->counts.refused++;
        return error;
    }
    if (retained) {
        retained->made++;
        HWB_BARRIER();
        retained->made_inverse--;
    }
    HWB_BARRIER();
    HWB_LOCK();
    h->made++;
    HWB_UNLOCK();
    return HWB_OK;
}

#if HWB_COMMANDS
int hwb_command(hwb_t *h, uint8_t *code, const uint8_t **data) {
    if (h->command_state != COMMAND_WAITS) return HWB_ERR_NONE;
    h->command_state = COMMAND_TAKEN;
    *code = h->command_code;
    *data = h->config->command;
    return (int)h->command_length;
}

int hwb_answer(hwb_t *h, uint8_t status, const void *data, size_t length) {
    int is_long = length > h->config->command_size || length + 9U > body_max(h);
    if (h->command_state == COMMAND_ABANDONED) h->command_state = COMMAND_NONE;
    if (h->command_state != COMMAND_TAKEN) return HWB_ERR_NONE;
    if (is_long) {
        status = HWB_TOO_LONG;
        length = 0;
    }
    if (length > 0) memmove(h->config->command, data, length);
    h->command_state = COMMAND_ANSWERED;
    h->command_code = status;
    h->command_length = (uint16_t)length;
    h->due |= DUE_ANSWER;
    return is_long ? HWB_ERR_LENGTH : HWB_OK;
}

#endif

int hwb_time(const hwb_t *h, uint64_t *wall) {
    uint32_t age = h->config->millis(h->config->context) - h->wall_at, error = h->wall_error + age / 10000U;
    if (h->wall_error == ERROR_UNKNOWN) return HWB_ERR_NONE;
    *wall = ((uint64_t)h->wall_high << 32 | h->wall_low) + age;
    return (int)(error < 32767U ? error : 32767U);
}

void hwb_info(const hwb_t *h, hwb_info_t *info) {
    info->epoch = h->epoch;
    info->first = h->first;
    info->end = end_of(h);
    info->received = h->received;
    info->counts = h->counts;
    info->state = h->state;
    info->boot = h->boot;
}
