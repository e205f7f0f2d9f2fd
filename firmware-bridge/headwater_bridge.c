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

/* ABANDONED: the firmware still works at a command whose session is over. */
enum { COMMAND_NONE, COMMAND_ANSWERED, COMMAND_WAITS, COMMAND_TAKEN, COMMAND_ABANDONED };

/* GIVEN: the line is this device's, after the turnaround. */
enum { TURN_HOST, TURN_GIVEN, TURN_SPEAKING };

enum {
    CRC_SIZE = 4,
    BODY_AT = 8, /* where a body is built in the tx buffer */
    QUEUE_HEADER = 7, /* time u32, length u16, channel u8 */
    PACK_HEADER = 4,  /* channel u8, later u16, length u8 */
    RECORD_OVERHEAD = 12 /* what a DATA body has besides the payload, address excepted; PAST has one more */
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
#define CRC_RESIDUE 0xDEBB20E3UL /* what the register holds after a body and its CRC */

#define ERROR_UNKNOWN 65535U /* of TIME */
#define RX_TOO_LONG 65535U
#define UNCOMMITTED_MAX 16384 /* records under way, so that 16-bit sequences stay unambiguous */

/* ------------------------------------------------------------------------------------------------ words and bytes */

static int is_polled(const hwb_t *h) {
    return HWB_POLLED && h->address != 0;
}

static int is_persistent(const hwb_t *h) {
    return HWB_PERSIST && h->is_persistent;
}

static int takes_commands(const hwb_t *h) {
    return HWB_COMMANDS && h->config->command_size > 0;
}

/* What the machine computes with at ease, 16 bits or more: narrower types cost an instruction for each step. */
typedef unsigned word_t;

/* Kept out of its callers: a conditional branch of Thumb-1 reaches 256 bytes, and each further one costs two bytes more, so one large function
 * is longer than its parts. Only where it saves more than the call costs; of no other meaning. */
#ifdef __GNUC__
#define APART __attribute__((noinline))
#else
#define APART
#endif

/* The fields that a kind of frame begins with, three bits for each: its width in bytes, the first one lowest. Values of all widths are uint32_t. */
enum { U8 = 1, U16 = 2, U32 = 4 };
#define FIELDS(a, b, c, d) ((a) | (b) << 3 | (c) << 6 | (d) << 9)
#define FIELDS_HELLO (FIELDS(U16, U16, U32, U32) | (uint32_t)FIELDS(U32, U32, U32, U32) << 12 | (uint32_t)FIELDS(U32, U16, 0, 0) << 24)
#define FIELDS_WELCOME (FIELDS(U8, U8, U32, U32) | (uint32_t)FIELDS(U32, U32, U16, U16) << 12 | (uint32_t)U8 << 24)
enum {
    FIELDS_WHO = U8,
    FIELDS_DATA = FIELDS(U16, U8, U32, 0),
    FIELDS_PAST = FIELDS(U16, U16, U32, 0),
    FIELDS_PACK = FIELDS(U16, U32, 0, 0),
    FIELDS_PACKED = FIELDS(U8, U16, U8, 0),
    FIELDS_CHANNEL = U8,
    FIELDS_SKIP = U32,
    FIELDS_ECHO = FIELDS(U8, U32, 0, 0),
    FIELDS_ANSWER = FIELDS(U16, U8, 0, 0),
    FIELDS_PING = 0,
    FIELDS_ACK = FIELDS(U16, U16, U8, 0),
    FIELDS_NAK = FIELDS(U16, U8, 0, 0),
    FIELDS_TIME = FIELDS(U8, U32, U32, U16),
    FIELDS_COMMAND = FIELDS(U16, U8, 0, 0),
    FIELDS_MOST = 10 /* no frame has more */
};

/* Reads fields, little-endian; returns where they end. NULL if that is beyond `end`. */
static const uint8_t *take(const uint8_t *from, const uint8_t *end, uint32_t fields, uint32_t *values) {
    for (; fields != 0; fields >>= 3) {
        word_t width = fields & 7U, i = width;
        uint32_t value = 0;
        if (width > (size_t)(end - from)) return NULL;
        while (i > 0) value = value << 8 | from[--i];
        from += width;
        *values++ = value;
    }
    return from;
}

static uint8_t *give(uint8_t *to, uint32_t fields, const uint32_t *values) {
    for (; fields != 0; fields >>= 3) {
        word_t width = fields & 7U;
        uint32_t value = *values++;
        for (; width > 0; width--) {
            *to++ = (uint8_t)value;
            value >>= 8;
        }
    }
    return to;
}

/* The longest body that fits into the tx buffer. */
static word_t own_max(const hwb_t *h) {
    return h->config->tx_size - (word_t)BODY_AT;
}

/* What the body of a record's frame has at most besides the payload. */
static word_t overhead(const hwb_t *h) {
    return RECORD_OVERHEAD + (is_persistent(h) ? 1U : 0U) + (is_polled(h) ? 1U : 0U);
}

/* Signed distance from sequence `b` to `a`. */
static int32_t beyond(uint32_t a, uint32_t b) {
    return (int32_t)(a - b);
}

/* The sequence nearest to `about` whose low 16 bits are `low`. */
static APART uint32_t widen(uint32_t low, uint32_t about) {
    uint32_t up = (low - about) & 0xFFFFU;
    return about + up - ((up & 0x8000U) << 1);
}

uint32_t hwb_crc32(uint32_t crc, const void *data, size_t length) {
#ifdef HWB_CRC32
    return HWB_CRC32(crc, (const uint8_t *)data, length);
#else
    /* Bit by bit: the slowest way and the smallest. */
    const uint8_t *byte = data;
    while (length > 0) {
        word_t bit = 8;
        crc ^= *byte++;
        do crc = crc & 1 ? crc >> 1 ^ 0xEDB88320UL : crc >> 1;
        while (--bit > 0);
        length--;
    }
    return crc;
#endif
}

/* The CRC's register after a body of `length` bytes. The key goes first and is not sent: as if its four bytes had been xored into the start. */
static uint32_t body_crc(const hwb_t *h, const uint8_t *body, size_t length) {
    static const uint8_t zeros[4];
    uint32_t key = (body[0] & TYPE_MASK) >= TYPE_KEYED ? h->key : 0;
    return hwb_crc32(hwb_crc32(~key, zeros, sizeof zeros), body, length);
}

/* ------------------------------------------------------------------------------------------------ the store
 *
 * The queue is a ring of bytes: a header and the payload of each record. The producer alone moves `head` and `made`,
 * the consumer `tail`, `freed` and `first`. One byte stays free, so that head == tail means empty.
 */

APART uint32_t hwb_pending(const hwb_t *h) {
    uint32_t count;
    HWB_LOCK();
    count = h->made - h->freed;
    HWB_UNLOCK();
    HWB_BARRIER(); /* what the producer wrote before it counted may be read from here on */
    return count;
}

static uint32_t end_of(const hwb_t *h) {
    return h->first + hwb_pending(h);
}

/* Copies out of the queue at `at`; returns the position behind. */
static APART word_t queue_take(const hwb_t *h, word_t at, uint8_t *to, word_t count) {
    const uint8_t *queue = h->config->queue;
    word_t size = h->config->queue_size;
    while (count > 0) {
        *to++ = queue[at];
        if (++at == size) at = 0;
        count--;
    }
    return at;
}

static APART word_t queue_put(const hwb_t *h, word_t at, const uint8_t *from, word_t count) {
    uint8_t *queue = h->config->queue;
    word_t size = h->config->queue_size;
    while (count > 0) {
        queue[at] = *from++;
        if (++at == size) at = 0;
        count--;
    }
    return at;
}

static word_t queue_skip(const hwb_t *h, word_t at, word_t count) {
    word_t left = h->config->queue_size - at;
    return count < left ? at + count : count - left;
}

/* A record's header in the queue is what hwb_record_t has from `time` to `channel`, as this machine keeps it: nobody else reads it. */
enum { RECORD_HEADER = offsetof(hwb_record_t, time) };
typedef char queue_header_is_one_piece[offsetof(hwb_record_t, channel) - RECORD_HEADER == QUEUE_HEADER - 1 ? 1 : -1];

/* Reads the header at `at`; returns the payload's place. */
static APART word_t queue_header(const hwb_t *h, word_t at, hwb_record_t *record) {
    record->boot = h->boot;
    return queue_take(h, at, (uint8_t *)record + RECORD_HEADER, QUEUE_HEADER);
}

/* Moves the reading place to the record `n` places after the oldest, on from where it was or from the tail, by way of `record`. */
static APART void queue_seek(hwb_t *h, word_t n, hwb_record_t *record) {
    if (n < h->seek) {
        h->seek = 0;
        h->seek_at = h->tail;
    }
    while (h->seek < n) {
        word_t at = queue_header(h, h->seek_at, record);
        h->seek_at = (uint16_t)queue_skip(h, at, record->length);
        h->seek++;
    }
}

static int queue_send(hwb_t *h, const hwb_record_t *record) {
    word_t head = h->head, tail, room;
    HWB_LOCK();
    tail = h->tail;
    HWB_UNLOCK();
    room = tail > head ? tail - head : h->config->queue_size - head + tail;
    if (record->length + (word_t)QUEUE_HEADER >= room) return HWB_ERR_FULL;
    head = queue_put(h, head, (const uint8_t *)record + RECORD_HEADER, QUEUE_HEADER);
    h->head = (uint16_t)queue_put(h, head, record->data, record->length);
    return HWB_OK;
}

/* The record `n` places after the oldest, which must be there, with its payload, if there is room at `record->data` for it, else without.
 * Negative if the store failed. */
static APART int fetch(hwb_t *h, uint32_t n, hwb_record_t *record) {
    const hwb_config_t *config = h->config;
    word_t room = record->length, payload;
    if (is_persistent(h)) return config->persist(config->store, HWB_STORE_GET, n, record);
    queue_seek(h, (word_t)n, record);
    payload = queue_header(h, h->seek_at, record);
    if (record->length <= room) queue_take(h, payload, record->data, record->length);
    return HWB_OK;
}

/* Frees the `n` oldest records, at most as many as there are. */
static APART void release(hwb_t *h, uint32_t n) {
    const hwb_config_t *config = h->config;
    if (is_persistent(h)) {
        (void)config->persist(config->store, HWB_STORE_FREE, n, NULL);
    } else {
        hwb_record_t record;
        queue_seek(h, (word_t)n, &record);
        h->seek = 0;
        HWB_BARRIER();
        HWB_LOCK();
        h->tail = h->seek_at;
        HWB_UNLOCK();
    }
    HWB_LOCK();
    h->freed += n;
    HWB_UNLOCK();
    h->first += n;
}

/* Forgets the oldest record. */
static APART void drop(hwb_t *h) {
    h->dropped++;
    release(h, 1);
}

static uint32_t retained_check(const hwb_retained_t *retained) {
    return hwb_crc32(0x31425748UL, retained, offsetof(hwb_retained_t, check));
}

/* From now on the next sequence is `end`, in `epoch`; `made` stays the producer's. */
static void retain(const hwb_t *h, uint32_t epoch, uint32_t end) {
    hwb_retained_t *retained = h->config->retained;
    retained->epoch = epoch;
    retained->base = end - h->freed - hwb_pending(h);
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
    if (!valid) retained->boots = 0;
    retained->boots++;
    retained->made = 0;
    retained->made_inverse = ~(uint32_t)0;
    if (h->boot == 0) h->boot = (uint8_t)retained->boots;
    retain(h, h->last_epoch, h->first + h->last_end);
}

/* ------------------------------------------------------------------------------------------------ making frames
 *
 * A body is built at an offset in the tx buffer that leaves room for the first zero and COBS' overhead, and encoded towards the
 * buffer's start in place: what is written never overtakes what is read.
 */

static APART void put_bytes(hwb_t *h, const void *bytes, size_t length) {
    memcpy(h->config->tx + h->tx_length, bytes, length);
    h->tx_length = (uint16_t)(h->tx_length + length);
}

static void put_fields(hwb_t *h, uint32_t fields, const uint32_t *values) {
    uint8_t *tx = h->config->tx;
    h->tx_length = (uint16_t)(give(tx + h->tx_length, fields, values) - tx);
}

/* Begins a frame with its type, which may have FLAG_FINAL for a polled device, the address and its fields. */
static void begin(hwb_t *h, word_t type, uint32_t fields, const uint32_t *values) {
    uint32_t head = type;
    h->tx_length = BODY_AT;
    if (is_polled(h)) head |= (uint32_t)FLAG_ADDRESS | (uint32_t)h->address << 8;
    else head &= (uint32_t)TYPE_MASK;
    put_fields(h, is_polled(h) ? U16 : U8, &head);
    put_fields(h, fields, values);
}

static void put_text(hwb_t *h, const void *text, size_t length) {
    uint32_t value = (uint32_t)length;
    put_fields(h, U8, &value);
    put_bytes(h, text, length);
}

static void put_name(hwb_t *h, const char *name) {
    if (!name) name = "";
    put_text(h, name, strlen(name));
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
    uint8_t *tx = h->config->tx, *body = tx + BODY_AT, *to = tx;
    uint32_t crc = ~body_crc(h, body, (size_t)(h->tx_length - BODY_AT));
    put_fields(h, U32, &crc);
    if (!h->tx_zero) *to++ = 0;
    to = stuff(to, body, tx + h->tx_length);
    *to++ = 0;
    h->tx_at = 0;
    h->tx_length = (uint16_t)(to - tx);
    h->tx_zero = 0;
}

static APART void make_hello(hwb_t *h, uint32_t now) {
    const hwb_config_t *config = h->config;
    uint32_t values[FIELDS_MOST];
    h->tx_zero = h->tx_records = 0;
    values[0] = HWB_PROTOCOL_VERSION | HWB_PROTOCOL_VERSION << 8;
    values[1] = (is_polled(h) ? 1U : 0U) | (is_persistent(h) ? 2U : 0U) | (takes_commands(h) ? 4U : 0U) | (uint32_t)h->boot << 8;
    values[2] = h->nonce;
    values[3] = h->epoch;
    values[4] = h->epoch != 0 ? h->first : 0;
    values[5] = values[4] + hwb_pending(h);
    values[6] = h->last_epoch;
    values[7] = h->last_end;
    values[8] = now;
    values[9] = config->rx_size;
    begin(h, TYPE_HELLO | FLAG_FINAL, FIELDS_HELLO, values);
    put_text(h, config->uid, config->uid_length);
    put_name(h, config->name);
    put_name(h, config->firmware);
}

/* ------------------------------------------------------------------------------------------------ the session */

/* A command belongs to its session. One that the firmware has not taken is gone; one that it has taken may not be answered in another. */
static void end_commands(hwb_t *h) {
    if (!HWB_COMMANDS) return;
    h->command_id = 0;
    h->command_state = h->command_state >= COMMAND_TAKEN ? COMMAND_ABANDONED : COMMAND_NONE;
}

/* No session, or no longer: HELLO as soon as possible, then each 250 ms, doubling. */
static APART void disconnect(hwb_t *h) {
    h->state = HWB_WAITING;
    h->timer = 0;
    h->nonce++;
    end_commands(h);
}

/* Numbers the records anew from 0; epoch 0 asks the host for one. What was lost without an epoch has its numbers in the next one, so that
 * the host sees the gap: the numbers go on then. A store without room for that loses its oldest records: better than all. */
static void renumber(hwb_t *h, uint32_t epoch) {
    const hwb_config_t *config = h->config;
    while (is_persistent(h)) {
        int error = config->persist(config->store, HWB_STORE_EPOCH, epoch, NULL);
        if (error == HWB_OK) break;
        if (error != HWB_ERR_FULL || hwb_pending(h) == 0) return;
        drop(h);
    }
    if (h->epoch != 0) h->first = 0;
    h->epoch = epoch;
    /* Already here: the host may have the epoch on its card, and no longer know the one before. */
    if (HWB_RETAINED && h->config->retained && epoch != 0) retain(h, epoch, end_of(h));
    disconnect(h);
}

/* Waits for progress, or for a full host to have room, anew. */
static APART void start_timer(hwb_t *h, uint32_t now) {
    h->timer = h->window == 0 ? FULL_PING_MIN : RESEND_MIN;
    h->timer_at = now;
}

static void connect(hwb_t *h, const uint32_t *values, uint32_t now) {
    uint32_t key = values[4], expected = values[5];
    if (h->state == HWB_CONNECTED && (key == h->key || beyond(expected, h->first) < 0)) return; /* the same once more, or an older one */
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
    h->body_max = (uint16_t)(values[6] < own_max(h) ? values[6] : own_max(h));
    h->ack_ms = (uint16_t)values[7];
    h->window = (uint8_t)values[8];
    if (HWB_RETAINED) h->last_epoch = h->last_end = 0;
    h->state = HWB_CONNECTED;
    h->echo_due = h->answer_due = h->resend_due = h->ping_due = 0;
    h->heard_at = h->sent_at = h->commit_at = now;
    start_timer(h, now);
    h->sessions++;
}

static void on_welcome(hwb_t *h, const uint32_t *values, uint32_t now) {
    uint32_t status = values[1], epoch = values[3];
    if (values[2] != h->nonce || (h->state == HWB_CONNECTED && status != WELCOME_SESSION)) return;
    if (status > WELCOME_EPOCH) {
        h->timer_at = now;
        h->timer = status == WELCOME_VERSION ? VERSION_WAIT : BUSY_WAIT;
    } else if (values[0] == HWB_PROTOCOL_VERSION && epoch != 0) {
        if (status == WELCOME_EPOCH) renumber(h, epoch);
        else if (epoch == h->epoch) connect(h, values, now);
    }
}

static void on_who(hwb_t *h, uint32_t now) {
    int is_soon = h->state == HWB_WAITING && h->timer != 0 && now - h->timer_at < WHO_GAP;
    disconnect(h);
    if (is_soon) h->timer = WHO_GAP;
}

/* The first `count` of the records from `received` on are not asked for any longer. */
static void unmiss(hwb_t *h, uint32_t count) {
    h->missing = count < 32U ? h->missing >> count << count : 0;
}

static void on_ack(hwb_t *h, const uint32_t *values, uint32_t now) {
    uint32_t committed = widen(values[0], h->first), received = widen(values[1], h->first), up = received - h->received;
    int was_full = h->window == 0;
    if (beyond(committed, received) > 0 || beyond(received, h->next) > 0) return;
    h->window = (uint8_t)values[2];
    if ((int32_t)up > 0) {
        h->missing = up < 32U ? h->missing >> up : 0;
        h->received = received;
    }
    if ((int32_t)up > 0 || was_full != (h->window == 0)) start_timer(h, now);
    if (beyond(received, h->skipped) > 0) h->skipped = received;
    if (beyond(committed, h->first) > 0) {
        release(h, committed - h->first);
        h->commit_at = now;
    }
}

static void on_nak(hwb_t *h, const uint32_t *values) {
    uint32_t sequence = widen(values[0], h->first);
    if (values[1] == 1) memset(h->announced, 0, sizeof h->announced);
    if (beyond(sequence, h->first) < 0) {
        h->skipped = h->received;
    } else if (beyond(sequence, h->next) < 0 && sequence - h->received < 32U) {
        h->missing |= (uint32_t)1 << (sequence - h->received);
    }
}

static void on_time(hwb_t *h, const uint32_t *values, uint32_t now) {
    h->echo[0] = values[0];
    h->echo[1] = now;
    h->echo_due = 1;
    if (values[3] == ERROR_UNKNOWN) return;
    h->wall_low = values[1];
    h->wall_high = values[2];
    h->wall_at = now;
    h->wall_error = (uint16_t)values[3];
}

static void on_command(hwb_t *h, const uint32_t *values, const uint8_t *payload, size_t length) {
    uint16_t id = (uint16_t)values[0];
    if (!takes_commands(h)) return;
    if (id == h->command_id) {
        if (h->command_state == COMMAND_ANSWERED) h->answer_due = 1;
        return;
    }
    if (id != (uint16_t)(h->command_id + 1) || h->command_state > COMMAND_ANSWERED) return;
    h->command_id = id;
    h->answer_due = 0;
    h->command_code = (uint8_t)values[1];
    h->command_length = (uint16_t)length;
    h->command_state = COMMAND_WAITS;
    if (length > h->config->command_size) {
        h->command_state = COMMAND_ANSWERED;
        h->command_code = HWB_BAD_PAYLOAD;
        h->command_length = 0;
        h->answer_due = 1;
    } else {
        memcpy(h->config->command, payload, length);
    }
}

/* The next wait is twice as long, `most` at most. */
static APART void back_off(hwb_t *h, uint16_t most, uint32_t now) {
    h->timer = (uint16_t)(h->timer < most / 2 ? h->timer * 2U : most);
    h->timer_at = now;
}

static APART void watch_clocks(hwb_t *h, uint32_t now) {
    uint32_t stall = (uint32_t)h->ack_ms * 10U;
    if (now - h->wall_at > 0x7FFFFFFFUL) h->wall_error = ERROR_UNKNOWN;
    if (h->state == HWB_WAITING) {
        return;
    }
    if (beyond(h->received, h->first) <= 0) h->commit_at = now;
    if (now - h->heard_at >= PEER_LOST || now - h->commit_at >= (stall > STALL_MIN ? stall : STALL_MIN)) {
        disconnect(h);
        return;
    }
    if (is_polled(h)) return;
    if (now - h->sent_at >= SILENCE_MAX) h->ping_due = 1;
    if (h->tx_records) h->timer_at = now;
    if (now - h->timer_at >= h->timer && (h->window == 0 || h->next != h->received)) {
        if (h->window == 0) h->ping_due = 1;
        else h->resend_due = 1;
        back_off(h, h->window == 0 ? FULL_PING_MAX : RESEND_MAX, now);
    }
}

/* ------------------------------------------------------------------------------------------------ sending */

static uint8_t is_announced(const hwb_t *h, uint8_t channel) {
    return (uint8_t)(h->announced[channel >> 3] >> (channel & 7) & 1);
}

static void make_channel(hwb_t *h, uint8_t channel) {
    const char *name = h->config->channels[channel];
    uint32_t value = channel;
    h->announced[channel >> 3] = (uint8_t)(h->announced[channel >> 3] | 1 << (channel & 7));
    begin(h, TYPE_CHANNEL, FIELDS_CHANNEL, &value);
    put_bytes(h, name, strlen(name));
}

/* Adds the payload of record `n`. Negative, and no frame, if the store failed. */
static int put_payload(hwb_t *h, uint32_t n, hwb_record_t *record) {
    int error;
    record->data = h->config->tx + h->tx_length;
    error = fetch(h, n, record);
    h->tx_length = (uint16_t)(error < 0 ? 0 : h->tx_length + record->length);
    return error;
}

/* Whether record `n` can go on a PACK whose last record was made at `time` and whose body has `length` bytes; it is in `record` then. */
static int joins(hwb_t *h, uint32_t n, hwb_record_t *record, uint32_t time, word_t length) {
    record->length = 0;
    return n < hwb_pending(h) && fetch(h, n, record) >= 0 && record->length <= 255 && record->boot == h->boot &&
           record->time - time <= 65535UL && is_announced(h, record->channel) &&
           length + record->length + (word_t)(PACK_HEADER + CRC_SIZE) <= h->body_max;
}

/* A PACK of the records from `n` on, the first of them made at `time`, `limit` at most. Returns how many; 0 if no two go together. */
static word_t make_pack(hwb_t *h, uint32_t n, uint32_t time, uint32_t limit) {
    uint32_t values[3];
    hwb_record_t record;
    word_t count = 0;
    if (limit < 2) return 0;
    values[0] = h->first + n;
    values[1] = time;
    begin(h, TYPE_PACK, FIELDS_PACK, values);
    while (count < limit && joins(h, n + count, &record, time, h->tx_length - (word_t)BODY_AT)) {
        values[0] = record.channel;
        values[1] = record.time - time;
        values[2] = record.length;
        time = record.time;
        put_fields(h, FIELDS_PACKED, values);
        if (put_payload(h, n + count, &record) < 0) return 0;
        count++;
    }
    return count < 2 ? 0 : count;
}

/* Makes a frame of the record `sequence` and of as many after it as fit, `limit` in all. Returns how many; 0 and a CHANNEL frame if that
 * has to go first; 0 and no frame if the store failed. A record that can't be sent, since its bytes have rotted or the host takes no such
 * length, is dropped once it is the oldest. */
static word_t make_records(hwb_t *h, uint32_t sequence, uint32_t limit) {
    uint32_t n = sequence - h->first, values[3];
    hwb_record_t record;
    int error;
    if (n >= hwb_pending(h)) return 0;
    record.length = 0;
    error = fetch(h, n, &record);
    if (error < 0 && error != HWB_ERR_NONE) return 0;
    if (error < 0 || (is_persistent(h) && record.channel >= h->config->channel_count) || record.length + overhead(h) > h->body_max) {
        if (n == 0) drop(h);
        return 0;
    }
    if (!is_announced(h, record.channel)) {
        make_channel(h, record.channel);
        return 0;
    }
    if (HWB_PACK) {
        word_t count = make_pack(h, n, record.time, limit);
        if (count > 0) return count;
    }
    values[0] = sequence;
    values[1] = record.channel;
    values[2] = record.time;
    if (is_persistent(h) && record.boot != h->boot) {
        values[1] = (uint32_t)record.channel << 8 | record.boot;
        begin(h, TYPE_PAST, FIELDS_PAST, values);
    } else {
        begin(h, TYPE_DATA, FIELDS_DATA, values);
    }
    return put_payload(h, n, &record) < 0 ? 0 : 1;
}

/* A frame of records, or SKIP, or nothing: what was lost first, then what was asked for again, then what has not been sent yet. */
static void make_next_records(hwb_t *h) {
    uint32_t missing = h->missing, under_way;
    word_t at = 0, run = 0, count;
    if (beyond(h->next, h->first) < 0) h->next = h->first;
    if (beyond(h->first, h->received) > 0) {
        unmiss(h, h->first - h->received);
        if (h->resend_due) h->skipped = h->received;
        h->resend_due = 0;
        if (beyond(h->first, h->skipped) > 0) {
            begin(h, TYPE_SKIP, FIELDS_SKIP, &h->first);
            h->skipped = h->first;
            return;
        }
    }
    if (h->window == 0) return;
    missing = h->missing;
    if (h->resend_due) {
        run = (word_t)(h->next - h->received);
    } else if (missing != 0) {
        for (; !(missing & 1U); missing >>= 1) at++;
        for (; missing & 1U; missing >>= 1) run++;
    }
    if (run > 0) {
        count = make_records(h, h->received + at, run);
        h->again += count;
        if (count > 0 || h->tx_length == 0) {
            h->resend_due = 0;
            unmiss(h, at + (count > 0 ? count : 1U));
        }
    } else {
        under_way = h->next - h->skipped;
        if (under_way >= h->window || h->next - h->first >= UNCOMMITTED_MAX) return;
        count = make_records(h, h->next, h->window - under_way);
        h->next += count;
        h->records += count;
    }
    if (h->tx_length != 0) h->tx_records = 1;
}

/* Makes the most urgent frame that is due; 0 if there is none, or the line is not this device's. */
static int compose(hwb_t *h, uint32_t now) {
    h->tx_length = 0;
    if (is_polled(h) && h->turn != TURN_SPEAKING) return 0;
    if (h->state == HWB_WAITING) {
        if (!is_polled(h) && now - h->timer_at < h->timer) return 0;
        make_hello(h, now);
        back_off(h, HELLO_MAX, now);
        if (h->timer < HELLO_MIN) h->timer = HELLO_MIN;
        if (HWB_POLLED) h->turn = TURN_HOST;
    } else if (h->echo_due) {
        h->echo_due = 0;
        begin(h, TYPE_ECHO, FIELDS_ECHO, h->echo);
    } else if (HWB_COMMANDS && h->answer_due) {
        uint32_t values[2];
        values[0] = h->command_id;
        values[1] = h->command_code;
        h->answer_due = 0;
        begin(h, TYPE_ANSWER, FIELDS_ANSWER, values);
        put_bytes(h, h->config->command, h->command_length);
    } else {
        make_next_records(h);
        if (h->tx_length == 0) {
            if (!is_polled(h) && !h->ping_due) return 0;
            h->ping_due = 0;
            begin(h, TYPE_PING | FLAG_FINAL, FIELDS_PING, NULL);
            if (HWB_POLLED) h->turn = TURN_HOST;
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
            if (h->tx_records) h->timer_at = now;
            h->tx_records = 0;
            h->tx_zero = !config->prints && !is_polled(h);
        }
    } while (compose(h, now));
}

/* ------------------------------------------------------------------------------------------------ receiving */

/* The host speaks: whatever this device was about to say in its turn is late. */
static void yield_line(hwb_t *h) {
    if (!is_polled(h)) return;
    h->turn = TURN_HOST;
    h->tx_length = 0;
    h->tx_zero = h->tx_records = 0;
}

/* The fields of what a host says; 0 for all else. */
static APART uint32_t fields_of(word_t type) {
    static const uint16_t keyed[] = {FIELDS_ACK, FIELDS_NAK, FIELDS_TIME, FIELDS_COMMAND};
    if (type == TYPE_WELCOME) return FIELDS_WELCOME;
    if (type == TYPE_WHO) return FIELDS_WHO;
    return type - TYPE_ACK < 4U ? keyed[type - TYPE_ACK] : 0;
}

/* What a host says in a good frame to this device. */
static void on_frame(hwb_t *h, word_t type, const uint8_t *from, const uint8_t *end, uint32_t now) {
    uint32_t values[FIELDS_MOST];
    const uint8_t *rest = take(from, end, fields_of(type), values);
    if (type >= TYPE_ACK) h->heard_at = now;
    if (!rest) return;
    if (type == TYPE_WELCOME) on_welcome(h, values, now);
    else if (type == TYPE_WHO) on_who(h, now);
    else if (type == TYPE_ACK) on_ack(h, values, now);
    else if (type == TYPE_NAK) on_nak(h, values);
    else if (type == TYPE_TIME) on_time(h, values, now);
    else if (HWB_COMMANDS && type == TYPE_COMMAND) on_command(h, values, rest, (size_t)(end - rest));
}

/* Whether the body in rx was a frame, for this device or another; if it is for this one, it has been acted upon. */
static int on_body(hwb_t *h, uint32_t now) {
    const uint8_t *body = h->config->rx, *from = body + 1, *end;
    word_t first = body[0], type = first & TYPE_MASK, is_own = 1;
    if (is_polled(h)) {
        from++;
        is_own = body[1] == h->address;
    }
    if (h->rx_length == RX_TOO_LONG || ((first & FLAG_ADDRESS) != 0) != is_polled(h)) return 0;
    end = body + h->rx_length;
    if (end - from < CRC_SIZE) return 0;
    if (is_own || body[1] == 0) {
        if (type >= TYPE_KEYED && h->state != HWB_CONNECTED) return 0;
        if (body_crc(h, body, h->rx_length) != CRC_RESIDUE) return 0;
    }
    if (is_polled(h)) {
        if (type != TYPE_WELCOME && type != TYPE_WHO && type < TYPE_ACK) return 1; /* another device, or an echo */
        yield_line(h);
        if (!is_own && body[1] != 0) return 1;
    }
    on_frame(h, type, from, end - CRC_SIZE, now);
    if (is_polled(h) && is_own && (first & FLAG_FINAL)) {
        h->turn = TURN_GIVEN;
        h->timer_at = now;
    }
    return 1;
}

static APART void store_byte(hwb_t *h, uint8_t byte) {
    if (h->rx_length >= h->config->rx_size) h->rx_length = RX_TOO_LONG;
    else h->config->rx[h->rx_length++] = byte;
}

/* COBS, decoded as it comes. The zero that a block stands for is stored when the next block begins, since the last block has none. */
static APART void on_byte(hwb_t *h, uint8_t byte, uint32_t now) {
    if (byte == 0) {
        if (h->rx_block != 0 && (h->rx_left > 0 || !on_body(h, now))) h->bad++;
        h->rx_length = h->rx_left = h->rx_block = 0;
    } else if (h->rx_left > 0) {
        h->rx_left--;
        store_byte(h, byte);
    } else {
        if (h->rx_block != 0 && h->rx_block != 255) store_byte(h, 0);
        h->rx_block = byte;
        h->rx_left = (uint8_t)(byte - 1);
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

static APART size_t length_of(const char *name) {
    return name ? strlen(name) : 0;
}

static int is_configured(const hwb_config_t *config) {
    size_t name = length_of(config->name), firmware = length_of(config->firmware);
    uint8_t i;
    if (!config->read || !config->write || !config->millis || !config->uid || !config->channels || !config->tx || !config->rx) return 0;
    if (config->uid_length < 1 || config->uid_length > 16 || config->address > 32 || config->turnaround > 15) return 0;
    if (config->channel_count < 1 || config->channel_count > HWB_CHANNEL_MAX) return 0;
    for (i = 0; i < config->channel_count; i++) {
        size_t length = strlen(config->channels[i]);
        if (length < 1 || length > 31) return 0;
    }
    if (name > 31 || firmware > 31 || config->tx_size < HWB_TX_SIZE(43U + config->uid_length + name + firmware)) return 0;
    if (config->tx_size > HWB_TX_SIZE(HWB_BODY_MAX)) return 0;
    if (config->rx_size < HWB_BODY_MIN || config->rx_size > HWB_BODY_MAX) return 0;
    if (config->command_size > 0 && (!config->command || config->command_size > config->tx_size - 20)) return 0;
    return HWB_PERSIST && config->persist ? 1 : config->queue && config->queue_size >= 16;
}

int hwb_init(hwb_t *h, const hwb_config_t *config) {
    memset(h, 0, sizeof *h);
    h->config = config;
    if (HWB_CHECKS && !is_configured(config)) return HWB_ERR_CONFIG;
    h->boot = config->boot;
    if (HWB_POLLED) h->address = config->address;
    if (HWB_PERSIST) h->is_persistent = config->persist != NULL;
    h->wall_error = ERROR_UNKNOWN;
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
            h->again += h->next - h->received;
            h->records -= h->next - h->received;
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
    if (length > HWB_RECORD_MAX || length + overhead(h) > own_max(h)) return HWB_ERR_LENGTH;
    if (!is_persistent(h) && length + QUEUE_HEADER >= config->queue_size) return HWB_ERR_LENGTH;
    record.data = (uint8_t *)(uintptr_t)data;
    record.length = (uint16_t)length;
    record.channel = channel;
    record.boot = h->boot;
    record.time = config->millis(config->context);
    for (;;) {
        error = store_record(h, &record);
        if (error != HWB_ERR_FULL || !config->drop_oldest || hwb_pending(h) == 0) break;
        drop(h);
    }
    if (error < 0) {
        if (error == HWB_ERR_FULL) h->refused++;
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
    int is_long = length > h->config->command_size || length + 9U > own_max(h);
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
    h->answer_due = 1;
    return is_long ? HWB_ERR_LENGTH : HWB_OK;
}

#endif

int hwb_time(const hwb_t *h, uint64_t *wall) {
    uint32_t age = h->config->millis(h->config->context) - h->wall_at, error = h->wall_error + (age >> 13);
    if (h->wall_error == ERROR_UNKNOWN) return HWB_ERR_NONE;
    *wall = ((uint64_t)h->wall_high << 32 | h->wall_low) + age;
    return (int)(error < 32767U ? error : 32767U);
}

void hwb_info(const hwb_t *h, hwb_info_t *info) {
    info->epoch = h->epoch;
    info->first = h->first;
    info->end = end_of(h);
    info->received = h->received;
    info->counts.records = h->records;
    info->counts.again = h->again;
    info->counts.dropped = h->dropped;
    info->counts.refused = h->refused;
    info->counts.bad = h->bad;
    info->counts.sessions = h->sessions;
    info->state = h->state;
    info->boot = h->boot;
}
