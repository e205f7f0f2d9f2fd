/*
 * headwater ring: a persistent store for headwater_bridge.h, in NOR flash or FRAM. Records survive resets and power loss, and are sent with
 * the number of the start in which they were made.
 *
 * Give the medium to hwr_init, then hwr_persist and the ring to hwb_config as `persist` and `store`. The bytes and their reasons are in
 * DESIGN.md. Calls are hwb_poll's and hwb_send's: one context, or a lock around both.
 *
 * Power may fail at any moment: a record for which hwb_send has returned 0 is kept, one that was being written is kept whole or not at all.
 *
 * Wear: a record costs 12 bytes (16 if `granule` is 8 or 16) and its payload, rounded up to the granule; each sector is erased once when the
 * ring comes round. With S bytes, E erase cycles and records of R bytes so counted, about S * E / R records can be written: 64 KiB of flash
 * with 10,000 cycles take 20 million records of 20 bytes. `acknowledge` adds 12 (or 16) bytes for each of so many records.
 */
#ifndef HEADWATER_RING_H
#define HEADWATER_RING_H

#include "headwater_bridge.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the ring asks of the medium. `address` is 0 to size - 1. */
enum hwr_operation {
    HWR_READ = 0,    /* fills `data` with `length` bytes */
    HWR_PROGRAM = 1, /* writes `length` bytes to erased places; address and length are multiples of `granule`; durable on return */
    HWR_ERASE = 2    /* makes the sector at `address` all 0xFF; `data` is NULL and `length` 0; durable on return. FRAM: write 0xFF */
};

typedef struct hwr_config {
    /* Executes an operation of hwr_operation; returns 0, or a negative number if it failed. `context` is given to it. */
    int (*medium)(void *context, uint8_t operation, uint32_t address, void *data, uint16_t length);
    void *context;

    /* Bytes in all, a multiple of `sector`; 2 to 65,535 sectors. One sector's worth is not usable while the ring is full. */
    uint32_t size;

    /* Bytes that are erased at once, 256 and more, a multiple of 32. FRAM has none: choose so that the longest record takes at most a fourth. A
     * record's payload is at most `sector` - 128 bytes. */
    uint32_t sector;

    /* Bytes that are programmed at once: 1, 2, 4, 8, or 16; 0 means 4. A place is programmed once between two erases. */
    uint8_t granule;

    /* After how many committed records the position is written down; 0: only when a sector is begun. Without it nothing is lost or doubled, since
     * the host knows the position as well; only a gateway that has never seen this device is sent records again that another one has. */
    uint16_t acknowledge;
} hwr_config_t;

/* The ring's own memory. Its fields are nobody else's. */
typedef struct hwr {
    const hwr_config_t *config;
    uint32_t serial;  /* of the sector that is being written; 0: there is none yet */
    uint32_t index;   /* of the next record; counts all records ever written */
    uint32_t freed;   /* index of the oldest record that is needed */
    uint32_t written; /* `freed` as the medium has it */
    uint32_t base;    /* index of the record with sequence 0 */
    uint32_t epoch;
    uint32_t at;      /* next free place in the sector that is being written */
    uint32_t read_serial; /* where was read last: sector, record, place */
    uint32_t read_index;
    uint32_t read_at;
    uint16_t head;    /* number of the sector that is being written */
    uint16_t used;    /* sectors in use, up to the head */
    uint8_t read_boot;
    uint8_t boot;
    uint8_t boot_known; /* the number of this start is on the medium */
} hwr_t;

/* Takes the configuration, which must stay in place. 0, or HWB_ERR_CONFIG. Reads nothing. */
int hwr_init(hwr_t *ring, const hwr_config_t *config);

/* The store's operations, for hwb_config: `.persist = hwr_persist, .store = &ring`. */
int hwr_persist(void *ring, uint8_t operation, uint32_t n, void *argument);

/* How many records have been written to this medium since it was new, modulo 2^32: after hwb_init, a number for readings that goes on
 * over resets and power loss, and that no two records share. */
uint32_t hwr_written(const hwr_t *ring);

#ifdef __cplusplus
}
#endif

#endif
