/* What these boards lack in QEMU: a sensor, a relay, a chip's number, flash that can be written. The flash lies in RAM that survives a
 * reset, and behaves as NOR flash does: programming clears bits only, an erase sets a sector's bits. */
#include "board-port.h"

#include <string.h>

/* QEMU puts a number here: -device loader,addr=(see the linker script's _uid),data=N,data-len=8. */
extern const uint8_t _uid[];
const uint8_t *const board_uid = _uid;

static volatile uint8_t received[256];
static volatile uint8_t received_head, received_tail;
static uint32_t starts BOARD_RETAINED;
static uint8_t relays;

int received_put(uint8_t byte) {
    uint8_t head = (uint8_t)(received_head + 1U);
    if (head == received_tail) return 0;
    received[received_head] = byte;
    received_head = head;
    return 1;
}

size_t board_read(void *context, uint8_t *buffer, size_t size) {
    size_t count = 0;
    (void)context;
    while (count < size && received_tail != received_head) {
        buffer[count++] = received[received_tail];
        received_tail = (uint8_t)(received_tail + 1U);
    }
    return count;
}

uint32_t board_noise(void) {
    return ++starts * 2654435761U;
}

/* A slow triangle between 18 and 24 degrees. */
int32_t board_celsius(void) {
    int32_t phase = (int32_t)(board_millis(NULL) / 10U % 12000U);
    return 18000 + (phase < 6000 ? phase : 12000 - phase);
}

void board_relay(uint8_t relay, int is_on) {
    uint8_t bit = (uint8_t)(1U << (relay & 7U));
    relays = (uint8_t)(is_on ? relays | bit : relays & ~bit);
}

int board_relay_is_on(uint8_t relay) {
    return relays >> (relay & 7U) & 1;
}

#ifdef BOARD_FLASH_SIZE
static uint8_t flash[BOARD_FLASH_SIZE] BOARD_RETAINED __attribute__((aligned(8)));
const uint32_t board_flash_size = BOARD_FLASH_SIZE;

int board_flash(void *context, uint8_t operation, uint32_t address, void *data, uint16_t length) {
    uint8_t *bytes = data;
    uint16_t i;
    (void)context;
    if (address + (operation == 2 ? BOARD_SECTOR : length) > BOARD_FLASH_SIZE) return -1;
    if (operation == 0) memcpy(data, flash + address, length);
    else if (operation == 1) for (i = 0; i < length; i++) flash[address + i] &= bytes[i];
    else memset(flash + address, 0xFF, BOARD_SECTOR);
    return 0;
}
#endif
