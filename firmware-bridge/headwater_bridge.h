/*
 * headwater bridge: carries readings from this microcontroller's memory into headwater's log, exactly once, over one serial line.
 *
 * Put headwater_bridge.c and this header into the build; the bytes are in SPEC.md, the reasons in DESIGN.md. C99, no heap, no stdio,
 * no recursion; nothing is called but the callbacks in hwb_config. A persistent store is apart, in headwater_ring.h.
 *
 * Contexts. hwb_init, hwb_poll, hwb_command, hwb_answer, hwb_time and hwb_info belong to one context: the main loop, or one task.
 * hwb_send and hwb_pending may be called from one other context, for example an interrupt, without any lock, if the store is RAM and
 * `drop_oldest` is 0: the queue has a single producer and a single consumer. In all other cases (several producers, drop_oldest, or
 * persist) call hwb_send where hwb_poll is called, or hold a lock of your own around both.
 */
#ifndef HEADWATER_BRIDGE_H
#define HEADWATER_BRIDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HWB_LIBRARY_VERSION "0.1.0"
#define HWB_PROTOCOL_VERSION 1

/* Bounds of the protocol, in bytes. */
#define HWB_BODY_MIN 128    /* a body that every receiver takes */
#define HWB_BODY_MAX 1024   /* no body is longer */
#define HWB_RECORD_MAX 1000 /* no record's payload is longer */
#define HWB_CHANNEL_MAX 64  /* channels are 0 to 63 */

/* Size of the tx buffer for bodies of `body` bytes: the body, a zero before and after it, and COBS' overhead. */
#define HWB_TX_SIZE(body) ((body) + 8)

/* Negative, so that counts may be positive. */
enum hwb_error {
    HWB_OK = 0,
    HWB_ERR_CONFIG = -1,  /* hwb_init: a field is out of its bounds */
    HWB_ERR_FULL = -2,    /* the store has no room: try again later, or give the reading up */
    HWB_ERR_LENGTH = -3,  /* longer than a record, an answer or the buffers may be */
    HWB_ERR_CHANNEL = -4, /* the channel is not in the table */
    HWB_ERR_NONE = -5,    /* there is no such thing now: no command waits, the time is not known */
    HWB_ERR_STORE = -6    /* the persistent store failed */
};

enum hwb_state {
    HWB_WAITING = 0,  /* no session: the device says HELLO, or waits to be asked for it */
    HWB_CONNECTED = 1 /* records flow */
};

/* What `status` of hwb_answer may be, besides the firmware's own: 128 to 255. */
enum hwb_answer_status { HWB_DONE = 0, HWB_UNKNOWN_CODE = 1, HWB_BAD_PAYLOAD = 2, HWB_FAILED = 3, HWB_TOO_LONG = 4 };

/* Memory that keeps its content over a reset without power loss: put it into a section that startup code does not clear (.noinit).
 * Whatever it holds at the first start is recognised as nothing. With it, the host learns how many readings a reset has cost. */
typedef struct hwb_retained {
    uint32_t epoch;
    uint32_t base;
    uint32_t boots;
    uint32_t check;
    uint32_t made;
    uint32_t made_inverse;
} hwb_retained_t;

/* A record as a persistent store sees it. */
typedef struct hwb_record {
    uint8_t *data;   /* PUT: the payload, only read. GET: room for it */
    uint32_t time;   /* device clock in milliseconds at the reading */
    uint16_t length; /* payload bytes. GET: in, the room at `data`; out, the record's length, and a longer one is not copied */
    uint8_t channel;
    uint8_t boot; /* the start of the device in which the reading was made */
} hwb_record_t;

/* What a persistent store knows when it is opened. */
typedef struct hwb_stored {
    uint32_t epoch; /* 0 if there is none */
    uint32_t first; /* sequence of the oldest record; without an epoch, how many were forgotten */
    uint32_t count; /* records kept */
    uint8_t boot;   /* counted up by one at each LOAD, modulo 256 */
} hwb_stored_t;

/* What the core asks of a persistent store. `n` and `argument` by operation: */
enum hwb_store_operation {
    HWB_STORE_LOAD,  /* argument: hwb_stored_t to fill; called once, in hwb_init; counts the boot up */
    HWB_STORE_PUT,   /* argument: hwb_record_t; durable on return. HWB_ERR_FULL if there is no room */
    HWB_STORE_GET,   /* argument: hwb_record_t to fill with the record n places after the oldest. HWB_ERR_NONE: it
                     is not readable and never will be; HWB_ERR_STORE: it may be, later */
    HWB_STORE_FREE,  /* the n oldest records are no longer needed; may be forgotten at a power loss */
    HWB_STORE_EPOCH  /* the epoch is n from now on; durable on return. The oldest record has sequence 0 then, but keeps its
                     sequence if there was no epoch */
};

typedef struct hwb_config {
    /* --- Callbacks. `context` is given to each of them. */
    void *context;

    /* Takes up to `size` bytes that have come over the line into `buffer`; returns how many, 0 if there are none. Must not wait. */
    size_t (*read)(void *context, uint8_t *buffer, size_t size);

    /* Offers `size` bytes to the line; returns how many were taken, possibly 0; the others are offered again at the next hwb_poll.
     * May wait (a polling UART), but then hwb_poll waits, too. The bytes may be changed after the return. */
    size_t (*write)(void *context, const uint8_t *bytes, size_t size);

    /* Milliseconds since the device's start, wrapping at 2^32. Called by hwb_send as well, so from where that is called. */
    uint32_t (*millis)(void *context);

    /* The persistent store, for example hwr_persist of headwater_ring.h; NULL: records wait in `queue`. Called with `store`. Returns 0 or
     * a negative hwb_error. */
    int (*persist)(void *store, uint8_t operation, uint32_t n, void *argument);
    void *store;

    /* --- Who this is. All of it must stay as it is while the bridge is used. */

    /* The device's own number for ever, 1 to 16 bytes: the chip's hardware UID. Two devices of one gateway must not share it. */
    const uint8_t *uid;
    uint8_t uid_length;

    /* Names of the firmware and of its version, 0 to 31 bytes of UTF-8; NULL: empty. */
    const char *name;
    const char *firmware;

    /* Channel names, each 1 to 31 bytes of UTF-8 without control characters; the index is the channel's number. 1 to 64 of them. A number
     * must keep its name in all later versions of the firmware. */
    const char *const *channels;
    uint8_t channel_count;

    /* --- Buffers. They belong to the bridge from hwb_init on. */

    /* Where records wait until the host has committed them; each takes its payload and 7 bytes more, one byte of the queue stays free.
     * 16 to 65,535 bytes; NULL and 0 if there is `persist`. */
    uint8_t *queue;
    uint16_t queue_size;

    /* Where a frame is made: HWB_TX_SIZE(longest body), at least for the HELLO: 43 bytes and the lengths of uid, name and firmware. It bounds
     * the longest record (12 bytes less than the body) and how many records share a frame. HWB_TX_SIZE(160) is good. */
    uint8_t *tx;
    uint16_t tx_size;

    /* Where a body is received, 128 to 1,024 bytes: it bounds commands, nothing else. 128 is good. */
    uint8_t *rx;
    uint16_t rx_size;

    /* Where a command's payload lies until it is answered and the answer's until the next one: its longest payload of both, at most
     * `tx_size - 20`. NULL and 0: this device takes no commands. 1 and more: it does. */
    uint8_t *command;
    uint16_t command_size;

    /* --- Behaviour. All of it may be 0. */

    /* Memory that survives a reset; NULL: the host will only know that something may have been lost. Not used with `persist`. */
    hwb_retained_t *retained;

    /* Any number that differs from start to start, for example from a noise source or the RTC; 0: derived from the boot number and the
     * clock, which makes it likely enough that a stale answer costs no more than 15 s. */
    uint32_t nonce;

    /* The number of this start, modulo 256; 0: counted in `retained`, if that is given. Not used with `persist`, which counts itself. */
    uint8_t boot;

    /* 1 to 32: polled mode on a half-duplex line, with this address. 0: the line is the device's own. */
    uint8_t address;

    /* Polled mode: milliseconds of silence between the host's turn and the device's, 2 to 15; 0 means 2. Bytes must leave the UART within
     * 20 ms of the host's last one, so hwb_poll must be called each few milliseconds. */
    uint8_t turnaround;

    /* What hwb_send does when the store is full. 0: it refuses (HWB_ERR_FULL). 1: the oldest records are forgotten, and the host reports
     * a gap of as many. */
    uint8_t drop_oldest;

    /* 1 if the firmware prints text on the same line between frames: each frame then begins with a zero of its own, one byte more.
     * 0: nothing but frames is sent. */
    uint8_t prints;
} hwb_config_t;

/* Counts since hwb_init, wrapping. */
typedef struct hwb_counts {
    uint32_t records;  /* records sent for the first time in their session */
    uint32_t again;    /* records sent again */
    uint32_t dropped;  /* oldest records forgotten because the store was full */
    uint16_t refused;  /* readings that hwb_send refused with HWB_ERR_FULL */
    uint16_t bad;      /* sections of the stream that were no frame for this device or session */
    uint16_t sessions; /* sessions begun */
} hwb_counts_t;

typedef struct hwb_info {
    uint32_t epoch;    /* 0 if there is none yet */
    uint32_t first;    /* sequence of the oldest record that is not committed */
    uint32_t end;      /* sequence of the next record; end - first records wait */
    uint32_t received; /* every record below this sequence has reached the host */
    hwb_counts_t counts;
    uint8_t state; /* hwb_state */
    uint8_t boot;
} hwb_info_t;

/* The bridge's own memory. Its fields are nobody else's. Bytes stand first, then halfwords, then words, the rarest last: Thumb-1 reaches
 * bytes at offsets up to 31, halfwords up to 62 and words up to 124 in one instruction. `made` and `head` are written by the producer,
 * `freed` and `tail` by the consumer. */
typedef struct hwb {
    const hwb_config_t *config;
    uint8_t state;
    uint8_t window;
    uint8_t boot;
    uint8_t address;
    uint8_t is_persistent;
    uint8_t turn;
    uint8_t echo_due;
    uint8_t answer_due;
    uint8_t resend_due;
    uint8_t ping_due;
    uint8_t tx_zero;
    uint8_t tx_records;
    uint8_t rx_block;
    uint8_t rx_left;
    uint8_t command_state;
    uint8_t command_code;
    uint16_t tx_at;
    uint16_t tx_length;
    uint16_t rx_length;
    uint16_t timer;
    uint16_t body_max;
    uint16_t ack_ms;
    uint16_t seek;
    uint16_t seek_at;
    uint16_t command_id;
    uint16_t command_length;
    volatile uint16_t head;
    volatile uint16_t tail;
    uint16_t wall_error;
    uint16_t refused;
    uint16_t bad;
    uint16_t sessions;
    uint32_t first;
    uint32_t received;
    uint32_t skipped;
    uint32_t next;
    uint32_t missing;
    uint32_t timer_at;
    uint32_t heard_at;
    uint32_t sent_at;
    uint32_t commit_at;
    volatile uint32_t made;
    volatile uint32_t freed;
    uint32_t epoch;
    uint32_t nonce;
    uint32_t key;
    uint32_t records;
    uint32_t again;
    uint32_t dropped;
    uint32_t echo[2];
    uint32_t last_epoch;
    uint32_t last_end;
    uint32_t wall_at;
    uint32_t wall_low;
    uint32_t wall_high;
    uint8_t announced[HWB_CHANNEL_MAX / 8];
} hwb_t;

/* Takes the configuration, which must stay in place and unchanged, and opens the persistent store, if there is one. On 0 the bridge is
 * ready and hwb_send may be called; nothing has been sent. HWB_ERR_CONFIG, or what the store's LOAD returned, else. */
int hwb_init(hwb_t *bridge, const hwb_config_t *config);

/* Does all the work: takes bytes from the line, answers, keeps the timers, sends. Call it in the main loop or after bytes have come, at
 * least each 50 ms (polled mode: each 5 ms); it returns when nothing is left to do or the line takes no more. Returns hwb_state. */
int hwb_poll(hwb_t *bridge);

/* Stores one reading of `channel` with the clock's time. On 0 it is in the store and will be in the host's log exactly once, unless the
 * store is lost first; it is sent by hwb_poll. `data` is the caller's own again. Payload 0 to 1,000 bytes, not longer than the tx buffer
 * allows. HWB_ERR_FULL, HWB_ERR_LENGTH, HWB_ERR_CHANNEL, HWB_ERR_STORE: nothing was stored. Contexts: see above. */
int hwb_send(hwb_t *bridge, uint8_t channel, const void *data, size_t length);

/* Returns how many records are in the store, that is: made, and not known to be committed. 0: all is in the host's log. */
uint32_t hwb_pending(const hwb_t *bridge);

/* The next command to execute. Returns the length of its payload and sets `code` and `data`, which stays valid until hwb_answer; each
 * command is given once, and has to be answered with hwb_answer. HWB_ERR_NONE if none waits. */
int hwb_command(hwb_t *bridge, uint8_t *code, const uint8_t **data);

/* Answers the command that hwb_command gave. On 0 the answer will be sent, and sent again if it gets lost. HWB_ERR_LENGTH: it is longer
 * than `command_size`, and status 4 is sent in its place. HWB_ERR_NONE: there is no such command, or its session is over and nobody waits. */
int hwb_answer(hwb_t *bridge, uint8_t status, const void *data, size_t length);

/* Sets `wall` to the milliseconds since 1970-01-01 UTC, as the host knows them. Returns the bound of the error in milliseconds (the host's
 * own, and 122 ppm for this clock since; not the way of the bytes), at most 32,767; HWB_ERR_NONE if the time is not known. */
int hwb_time(const hwb_t *bridge, uint64_t *wall);

/* Continues the register of CRC-32/ISO-HDLC (initial value 0xFFFFFFFF, final xor not applied): what frames and the ring use. */
uint32_t hwb_crc32(uint32_t crc, const void *data, size_t length);

/* Fills `info` with the state and the counters. */
void hwb_info(const hwb_t *bridge, hwb_info_t *info);

/* Replaceable by macros of the same names, given to the compiler when headwater_bridge.c is built:
 *   HWB_CRC32(crc, data, length)  continues the register of CRC-32/ISO-HDLC (initial value 0xFFFFFFFF, final xor not applied), for
 *                                 example by the chip's CRC unit;
 *   HWB_BARRIER()                 orders memory accesses between the contexts of hwb_send and hwb_poll;
 *   HWB_LOCK(), HWB_UNLOCK()      around the few words that both contexts share; needed only where a 32-bit access is not atomic, and
 *                                 given for AVR.
 * Left out, to save flash, by a definition as 0 when headwater_bridge.c is built (README.md has the sizes): HWB_POLLED (`address`), HWB_PERSIST
 * (`persist`), HWB_RETAINED (`retained`), HWB_COMMANDS (hwb_command, hwb_answer), HWB_PACK (each record in a frame of its own), HWB_CHECKS
 * (hwb_init trusts the configuration). */

#ifdef __cplusplus
}
#endif

#endif
