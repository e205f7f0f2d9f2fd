/* A pulse counter whose readings survive resets and power loss in a ring in flash: one reading each READING_MS, numbered by the ring, so that
 * one can see at the other end that each number comes once. */
#include "../headwater_bridge.h"
#include "../headwater_ring.h"
#include "board.h"
#include "text.h"

#ifndef READING_MS
#define READING_MS 1000
#endif

static const char *const channels[] = {"pulses"};
static uint8_t tx[HWB_TX_SIZE(160)], rx[HWB_BODY_MIN];
static hwr_t ring;
static hwb_t bridge;

/* Ten pulses a second: what an input capture would count. */
static uint32_t pulses(void) {
    return board_millis(NULL) / 100U;
}

int main(void) {
    static hwr_config_t flash = {.medium = board_flash, .sector = BOARD_SECTOR, .granule = 2, .acknowledge = 64};
    static hwb_config_t config = {
        .read = board_read, .write = board_write, .millis = board_millis, .persist = hwr_persist, .store = &ring,
        .uid_length = BOARD_UID_SIZE, .name = "pulse-counter", .firmware = "1.0.0",
        .channels = channels, .channel_count = 1,
        .tx = tx, .tx_size = sizeof tx, .rx = rx, .rx_size = sizeof rx,
    };
    uint32_t last;
    board_start();
    flash.size = board_flash_size;
    config.uid = board_uid;
    config.nonce = board_noise();
    if (hwr_init(&ring, &flash) < 0 || hwb_init(&bridge, &config) < 0) return 1;
    last = board_millis(NULL);
    for (;;) {
        if (board_millis(NULL) - last >= READING_MS) {
            char text[48], *end = text_word(text, "{\"n\":");
            last += READING_MS;
            end = text_number(end, hwr_written(&ring), 1);
            end = text_word(end, ",\"pulses\":");
            end = text_number(end, pulses(), 1);
            end = text_word(end, "}");
            /* A full ring refuses: the pulses are in the next reading's count, so none is missed. */
            (void)hwb_send(&bridge, 0, text, (size_t)(end - text));
        }
        hwb_poll(&bridge);
        board_sleep();
    }
}
