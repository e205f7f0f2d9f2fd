/*
 * headwater ring: records in flash. A sector begins with a header that says all that is known at that moment, so that older sectors may be
 * erased; entries follow it:
 *
 *   sector   magic u32 | serial u32 | index u32 | freed u32 | base u32 | epoch u32 | boot u8 | 0xFF x 3 | crc u32       32 bytes
 *   entry    kind u8 | channel u8 | length u16 | time u32 | crc u32 | payload | 0xFF to the granule
 *
 * The crc of an entry is taken over the index of the next record, the sector's serial, the eight bytes and the payload: an entry that is read
 * at a wrong place or left over from an earlier pass is no entry. At LOAD the sector with the highest serial is the head, those before it in
 * unbroken order are in use. What follows its last good entry must be erased; if it is not, power failed there, and the next entry opens a
 * new sector.
 */
#include "headwater_ring.h"

#include <string.h>

enum { KIND_RECORD = 0x01, KIND_BOOT = 0x02, KIND_FREED = 0x04, KIND_EPOCH = 0x08, KIND_ERASED = 0xFF };
enum { SECTOR_HEADER = 32, ENTRY_HEADER = 12, RESERVE = 4 /* entries at a sector's end that only FREED and EPOCH may use */ };

#define MAGIC 0x31525748UL /* HWR1 */

typedef struct { uint32_t serial, index, freed, base, epoch; uint8_t boot; } sector_t;
typedef struct { uint32_t time, crc; uint16_t length; uint8_t kind, channel; } entry_t;

static void store32(uint8_t *bytes, uint32_t value) {
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
    bytes[2] = (uint8_t)(value >> 16);
    bytes[3] = (uint8_t)(value >> 24);
}

static uint32_t load32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static int32_t beyond(uint32_t a, uint32_t b) {
    return (int32_t)(a - b);
}

static int medium(const hwr_t *ring, uint8_t operation, uint32_t address, void *data, uint32_t length) {
    return ring->config->medium(ring->config->context, operation, address, data, (uint16_t)length) < 0 ? HWB_ERR_STORE : HWB_OK;
}

static uint32_t granule(const hwr_t *ring) {
    return ring->config->granule ? ring->config->granule : 4U;
}

static uint32_t rounded(const hwr_t *ring, uint32_t length) {
    return (length + granule(ring) - 1U) / granule(ring) * granule(ring);
}

/* Room of an entry without payload. */
static uint32_t note_size(const hwr_t *ring) {
    return rounded(ring, ENTRY_HEADER);
}

static uint32_t sector_count(const hwr_t *ring) {
    return ring->config->size / ring->config->sector;
}

/* Address of the sector `back` places before the head. */
static uint16_t sector_before(const hwr_t *ring, uint32_t back) {
    uint32_t count = sector_count(ring);
    return (uint16_t)((ring->head + count - back) % count);
}

static uint32_t address_of(const hwr_t *ring, uint16_t sector) {
    return sector * ring->config->sector;
}

/* Positive if the sector has a good header, 0 if not, negative if it can't be read. */
static int read_sector(const hwr_t *ring, uint16_t number, sector_t *sector) {
    uint8_t bytes[SECTOR_HEADER];
    if (medium(ring, HWR_READ, address_of(ring, number), bytes, sizeof bytes) < 0) return HWB_ERR_STORE;
    if (load32(bytes) != MAGIC || load32(bytes + 28) != ~hwb_crc32(0xFFFFFFFFUL, bytes, 28)) return 0;
    sector->serial = load32(bytes + 4);
    sector->index = load32(bytes + 8);
    sector->freed = load32(bytes + 12);
    sector->base = load32(bytes + 16);
    sector->epoch = load32(bytes + 20);
    sector->boot = bytes[24];
    return 1;
}

static void entry_bytes(uint8_t *bytes, const entry_t *entry) {
    bytes[0] = entry->kind;
    bytes[1] = entry->channel;
    bytes[2] = (uint8_t)entry->length;
    bytes[3] = (uint8_t)(entry->length >> 8);
    store32(bytes + 4, entry->time);
    store32(bytes + 8, entry->crc);
}

static uint32_t entry_crc(uint32_t serial, uint32_t index, const entry_t *entry) {
    uint8_t bytes[8 + ENTRY_HEADER];
    store32(bytes, index);
    store32(bytes + 4, serial);
    entry_bytes(bytes + 8, entry);
    return hwb_crc32(0xFFFFFFFFUL, bytes, 16);
}

static int read_entry(const hwr_t *ring, uint16_t sector, uint32_t at, entry_t *entry) {
    uint8_t bytes[ENTRY_HEADER];
    entry->kind = KIND_ERASED;
    if (at + ENTRY_HEADER > ring->config->sector) return HWB_OK;
    if (medium(ring, HWR_READ, address_of(ring, sector) + at, bytes, sizeof bytes) < 0) return HWB_ERR_STORE;
    entry->kind = bytes[0];
    entry->channel = bytes[1];
    entry->length = (uint16_t)(bytes[2] | bytes[3] << 8);
    entry->time = load32(bytes + 4);
    entry->crc = load32(bytes + 8);
    return HWB_OK;
}

static uint32_t entry_size(const hwr_t *ring, const entry_t *entry) {
    return note_size(ring) + rounded(ring, entry->length);
}

/* Whether the medium holds the entry's payload as its CRC says. Positive, 0, or negative if it can't be read. */
static int is_sound(const hwr_t *ring, uint16_t sector, uint32_t at, uint32_t serial, uint32_t index, const entry_t *entry) {
    uint32_t crc = entry_crc(serial, index, entry), place = at + note_size(ring), left = entry->length;
    if (place + left > ring->config->sector) return 0;
    while (left > 0) {
        uint8_t bytes[16];
        uint32_t count = left < sizeof bytes ? left : sizeof bytes;
        if (medium(ring, HWR_READ, address_of(ring, sector) + place, bytes, count) < 0) return HWB_ERR_STORE;
        crc = hwb_crc32(crc, bytes, (size_t)count);
        place += count;
        left -= count;
    }
    return ~crc == entry->crc;
}

/* ------------------------------------------------------------------------------------------------ writing */

/* Programs `length` bytes at `at` of the head, filling the last granule up. */
static int program(hwr_t *ring, uint32_t at, const uint8_t *bytes, uint32_t length) {
    uint32_t whole = length / granule(ring) * granule(ring), address = address_of(ring, ring->head) + at;
    if (whole > 0 && medium(ring, HWR_PROGRAM, address, (uint8_t *)(uintptr_t)bytes, whole) < 0) return HWB_ERR_STORE;
    if (whole < length) {
        uint8_t last[16];
        memset(last, 0xFF, sizeof last);
        memcpy(last, bytes + whole, (size_t)(length - whole));
        if (medium(ring, HWR_PROGRAM, address + whole, last, granule(ring)) < 0) return HWB_ERR_STORE;
    }
    return HWB_OK;
}

/* Gives up the oldest sectors as long as none of their records is needed. */
static int retire(hwr_t *ring) {
    while (ring->used > 1) {
        sector_t next;
        int found = read_sector(ring, sector_before(ring, ring->used - 2U), &next);
        if (found < 0) return found;
        if (found > 0 && beyond(next.index, ring->freed) > 0) break;
        ring->used--;
    }
    return HWB_OK;
}

/* Erases the next sector and begins it. HWB_ERR_FULL if all sectors are needed. */
static int open_sector(hwr_t *ring) {
    uint8_t bytes[SECTOR_HEADER];
    int error = retire(ring);
    if (error < 0) return error;
    if (ring->used == sector_count(ring)) return HWB_ERR_FULL;
    ring->head = ring->used == 0 ? 0 : sector_before(ring, sector_count(ring) - 1U);
    ring->used++;
    ring->serial++;
    ring->at = ring->config->sector;
    memset(bytes, 0xFF, sizeof bytes);
    store32(bytes, MAGIC);
    store32(bytes + 4, ring->serial);
    store32(bytes + 8, ring->index);
    store32(bytes + 12, ring->freed);
    store32(bytes + 16, ring->base);
    store32(bytes + 20, ring->epoch);
    bytes[24] = ring->boot;
    store32(bytes + 28, ~hwb_crc32(0xFFFFFFFFUL, bytes, 28));
    error = medium(ring, HWR_ERASE, address_of(ring, ring->head), NULL, 0);
    if (error == HWB_OK) error = program(ring, 0, bytes, sizeof bytes);
    if (error < 0) { /* the sector before is the head again, but takes nothing more */
        ring->head = sector_before(ring, 1);
        ring->used--;
        ring->serial--;
        return error;
    }
    ring->at = SECTOR_HEADER;
    ring->written = ring->freed;
    ring->boot_known = 1;
    return HWB_OK;
}

/* Appends at the head, where there must be room. A place where programming failed is not used again. */
static int append(hwr_t *ring, uint8_t kind, uint8_t channel, uint32_t time, const uint8_t *payload, uint16_t length) {
    uint8_t bytes[ENTRY_HEADER];
    uint32_t at = ring->at;
    entry_t entry;
    int error;
    entry.kind = kind;
    entry.channel = channel;
    entry.length = length;
    entry.time = time;
    entry.crc = 0;
    entry.crc = ~hwb_crc32(entry_crc(ring->serial, ring->index, &entry), payload, length);
    entry_bytes(bytes, &entry);
    ring->at = ring->config->sector;
    error = program(ring, at, bytes, ENTRY_HEADER);
    if (error == HWB_OK && length > 0) error = program(ring, at + note_size(ring), payload, length);
    if (error == HWB_OK) ring->at = at + entry_size(ring, &entry);
    return error;
}

/* Makes room for `size` bytes and as many again in `reserve` at the head. */
static int make_room(hwr_t *ring, uint32_t size, uint32_t reserve) {
    if (ring->serial != 0 && ring->at + size + reserve <= ring->config->sector) return HWB_OK;
    return open_sector(ring);
}

static int put(hwr_t *ring, const hwb_record_t *record) {
    uint32_t size = note_size(ring) + rounded(ring, record->length);
    int error;
    if (SECTOR_HEADER + size + RESERVE * note_size(ring) > ring->config->sector) return HWB_ERR_LENGTH;
    error = make_room(ring, size + (ring->boot_known ? 0U : note_size(ring)), RESERVE * note_size(ring));
    if (error == HWB_OK && !ring->boot_known) {
        error = append(ring, KIND_BOOT, ring->boot, 0, NULL, 0);
        if (error == HWB_OK) ring->boot_known = 1;
    }
    if (error == HWB_OK) error = append(ring, KIND_RECORD, record->channel, record->time, record->data, record->length);
    if (error == HWB_OK) ring->index++;
    return error;
}

/* The oldest record is the epoch's first; but what was lost before there was an epoch at all counts in it. */
static void begin_epoch(hwr_t *ring, uint32_t epoch) {
    if (ring->epoch != 0) ring->base = ring->freed;
    ring->epoch = epoch;
}

static int put_epoch(hwr_t *ring, uint32_t epoch) {
    int error = make_room(ring, 2U * note_size(ring), 0);
    if (error == HWB_OK && ring->written != ring->freed) error = append(ring, KIND_FREED, 0, ring->freed, NULL, 0);
    if (error < 0) return error;
    ring->written = ring->freed;
    error = append(ring, KIND_EPOCH, 0, epoch, NULL, 0);
    if (error < 0) return error;
    begin_epoch(ring, epoch);
    return HWB_OK;
}

static int put_freed(hwr_t *ring, uint32_t count) {
    uint16_t often = ring->config->acknowledge;
    if (count > ring->index - ring->freed) count = ring->index - ring->freed;
    ring->freed += count;
    if (often == 0 || ring->freed - ring->written < often || ring->serial == 0) return HWB_OK;
    if (ring->at + note_size(ring) + RESERVE * note_size(ring) > ring->config->sector) return HWB_OK;
    if (append(ring, KIND_FREED, 0, ring->freed, NULL, 0) == HWB_OK) ring->written = ring->freed;
    return HWB_OK;
}

/* ------------------------------------------------------------------------------------------------ reading */

/* Sets the reading place to the start of a sector. */
static void read_from(hwr_t *ring, const sector_t *sector) {
    ring->read_serial = sector->serial;
    ring->read_index = sector->index;
    ring->read_boot = sector->boot;
    ring->read_at = SECTOR_HEADER;
}

/* Moves the reading place to the last sector that begins at or before record `index`, if it is not there yet. A place in a sector that has been
 * erased since is known by its serial. */
static int seek_sector(hwr_t *ring, uint32_t index) {
    uint32_t back = ring->serial - ring->read_serial;
    sector_t sector;
    int found;
    if (back >= ring->used || beyond(index, ring->read_index) < 0) {
        back = ring->used - 1U;
        found = read_sector(ring, sector_before(ring, back), &sector);
        if (found <= 0) return found < 0 ? found : HWB_ERR_NONE;
        read_from(ring, &sector);
    }
    while (back > 0) {
        found = read_sector(ring, sector_before(ring, back - 1U), &sector);
        if (found <= 0) return found < 0 ? found : HWB_ERR_NONE;
        if (beyond(sector.index, index) > 0) break;
        back--;
        read_from(ring, &sector);
    }
    return HWB_OK;
}

/* The record `n` places after the oldest. HWB_ERR_NONE if its bytes are no longer what was written. */
static int get(hwr_t *ring, uint32_t n, hwb_record_t *record) {
    uint32_t index = ring->freed + n, place;
    uint16_t room = record->length, number;
    entry_t entry;
    int error = beyond(index, ring->index) >= 0 ? HWB_ERR_NONE : seek_sector(ring, index);
    if (error < 0) return error;
    number = sector_before(ring, ring->serial - ring->read_serial);
    for (;;) {
        if (read_entry(ring, number, ring->read_at, &entry) < 0) return HWB_ERR_STORE;
        if (entry.kind == KIND_RECORD && ring->read_index == index) break;
        if (entry.kind == KIND_RECORD) ring->read_index++;
        else if (entry.kind == KIND_BOOT) ring->read_boot = entry.channel;
        else if (entry.kind != KIND_FREED && entry.kind != KIND_EPOCH) return HWB_ERR_NONE;
        ring->read_at += entry_size(ring, &entry);
    }
    record->length = entry.length;
    record->channel = entry.channel;
    record->time = entry.time;
    record->boot = ring->read_boot;
    error = is_sound(ring, number, ring->read_at, ring->read_serial, index, &entry);
    if (error <= 0) return error < 0 ? error : HWB_ERR_NONE;
    place = address_of(ring, number) + ring->read_at + note_size(ring);
    if (entry.length == 0 || entry.length > room) return HWB_OK;
    return medium(ring, HWR_READ, place, record->data, entry.length);
}

/* Whether the head is erased from `at` to its end. Positive, 0, or negative if it can't be read. */
static int is_erased(const hwr_t *ring, uint32_t at) {
    while (at < ring->config->sector) {
        uint8_t bytes[16];
        uint32_t i, left = ring->config->sector - at, count = left < sizeof bytes ? left : sizeof bytes;
        if (medium(ring, HWR_READ, address_of(ring, ring->head) + at, bytes, count) < 0) return HWB_ERR_STORE;
        for (i = 0; i < count; i++) {
            if (bytes[i] != 0xFF) return 0;
        }
        at += count;
    }
    return 1;
}

/* Takes the head's entries as they come; where they end, writing goes on, or in the next sector if that place is not clean. */
static int replay(hwr_t *ring) {
    for (;;) {
        entry_t entry;
        int sound = read_entry(ring, ring->head, ring->at, &entry);
        if (sound < 0) return sound;
        if (entry.kind == KIND_ERASED) break;
        sound = is_sound(ring, ring->head, ring->at, ring->serial, ring->index, &entry);
        if (sound < 0) return sound;
        if (sound == 0) break;
        if (entry.kind == KIND_RECORD) ring->index++;
        else if (entry.kind == KIND_BOOT) ring->boot = entry.channel;
        else if (entry.kind == KIND_FREED) ring->freed = entry.time;
        else if (entry.kind == KIND_EPOCH) begin_epoch(ring, entry.time);
        ring->at += entry_size(ring, &entry);
    }
    switch (is_erased(ring, ring->at)) {
        case 1: return HWB_OK;
        case 0: ring->at = ring->config->sector; return HWB_OK;
        default: return HWB_ERR_STORE;
    }
}

/* Finds the head: the good sector with the highest serial. */
static int find_head(hwr_t *ring) {
    uint32_t i;
    for (i = 0; i < sector_count(ring); i++) {
        sector_t sector;
        int found = read_sector(ring, (uint16_t)i, &sector);
        if (found < 0) return found;
        if (found == 0 || (ring->used > 0 && beyond(sector.serial, ring->serial) < 0)) continue;
        ring->used = 1;
        ring->head = (uint16_t)i;
        ring->serial = sector.serial;
        ring->index = sector.index;
        ring->freed = sector.freed;
        ring->base = sector.base;
        ring->epoch = sector.epoch;
        ring->boot = sector.boot;
    }
    return HWB_OK;
}

static int load(hwr_t *ring, hwb_stored_t *stored) {
    uint32_t oldest;
    int error = hwr_init(ring, ring->config);
    if (error == HWB_OK) error = find_head(ring);
    if (error < 0) return error;
    oldest = ring->index;
    while (ring->used > 0 && ring->used < sector_count(ring)) {
        sector_t sector;
        int found = read_sector(ring, sector_before(ring, ring->used), &sector);
        if (found < 0) return found;
        if (found == 0 || sector.serial != ring->serial - ring->used || beyond(sector.index, oldest) > 0) break;
        oldest = sector.index;
        ring->used++;
    }
    ring->at = SECTOR_HEADER;
    if (ring->used > 0) error = replay(ring);
    if (error < 0) return error;
    if (beyond(oldest, ring->freed) > 0) ring->freed = oldest;
    ring->written = ring->freed;
    ring->read_serial = ring->serial - ring->used; /* nowhere: the first seek begins at the oldest sector */
    ring->boot++;
    ring->boot_known = 0;
    stored->epoch = ring->epoch;
    stored->first = ring->freed - ring->base;
    stored->count = ring->index - ring->freed;
    stored->boot = ring->boot;
    return HWB_OK;
}

/* ------------------------------------------------------------------------------------------------ the interface */

int hwr_init(hwr_t *ring, const hwr_config_t *config) {
    uint32_t unit = config->granule;
    memset(ring, 0, sizeof *ring);
    ring->config = config;
    if (!config->medium || unit > 16 || (unit & (unit - 1U)) != 0) return HWB_ERR_CONFIG;
    if (config->sector < 256 || config->sector % 32 != 0 || config->size % config->sector != 0) return HWB_ERR_CONFIG;
    return sector_count(ring) < 2 || sector_count(ring) > 65535U ? HWB_ERR_CONFIG : HWB_OK;
}

int hwr_persist(void *store, uint8_t operation, uint32_t n, void *argument) {
    hwr_t *ring = store;
    switch (operation) {
        case HWB_STORE_LOAD: return load(ring, argument);
        case HWB_STORE_PUT: return put(ring, argument);
        case HWB_STORE_GET: return get(ring, n, argument);
        case HWB_STORE_FREE: return put_freed(ring, n);
        case HWB_STORE_EPOCH: return put_epoch(ring, n);
        default: return HWB_ERR_STORE;
    }
}

uint32_t hwr_written(const hwr_t *ring) {
    return ring->index;
}
