/* What the example programs ask of a board: a clock, a UART, a name, and something to measure and to switch. ports/ has it for boards
 * that QEMU has; for another board these functions are all there is to write. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Memory that startup code leaves alone: it keeps its content over a reset. */
#define BOARD_RETAINED __attribute__((section(".noinit")))

void board_start(void);

/* Returns after the next interrupt, at the latest after a millisecond. */
void board_sleep(void);

uint32_t board_millis(void *context);
size_t board_read(void *context, uint8_t *buffer, size_t size);
size_t board_write(void *context, const uint8_t *bytes, size_t size);

/* The chip's own number. */
extern const uint8_t *const board_uid;
enum { BOARD_UID_SIZE = 8 };

/* A number that differs from start to start as well as the board can. */
uint32_t board_noise(void);

/* Thousandths of a degree Celsius. */
int32_t board_celsius(void);

void board_relay(uint8_t relay, int is_on);
int board_relay_is_on(uint8_t relay);

/* The flash for headwater_ring.h: `board_flash_size` bytes in sectors of `BOARD_SECTOR`. Operations as hwr_operation. */
int board_flash(void *context, uint8_t operation, uint32_t address, void *data, uint16_t length);
extern const uint32_t board_flash_size;
enum { BOARD_SECTOR = 512 };

#endif
