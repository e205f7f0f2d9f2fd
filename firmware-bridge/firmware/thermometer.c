/* A thermometer: one reading each READING_MS, kept in RAM until headwater has it. A reset loses what waits; `retained` lets headwater say
 * exactly how many readings that were. Each reading has a number of its own, so that one can count them at the other end. */
#include "../headwater_bridge.h"
#include "board.h"
#include "text.h"

#ifndef READING_MS
#define READING_MS 1000
#endif

static const char *const channels[] = {"temperature"};
static uint8_t queue[2048], tx[HWB_TX_SIZE(160)], rx[HWB_BODY_MIN];
static hwb_retained_t retained BOARD_RETAINED;
static struct { uint32_t number, inverse; } readings BOARD_RETAINED;
static hwb_t bridge;

int main(void) {
    static hwb_config_t config = {
        .read = board_read, .write = board_write, .millis = board_millis,
        .uid_length = BOARD_UID_SIZE, .name = "thermometer", .firmware = "1.0.0",
        .channels = channels, .channel_count = 1,
        .queue = queue, .queue_size = sizeof queue, .tx = tx, .tx_size = sizeof tx, .rx = rx, .rx_size = sizeof rx,
        .retained = &retained,
    };
    uint32_t last;
    board_start();
    config.uid = board_uid;
    config.nonce = board_noise();
    if (hwb_init(&bridge, &config) < 0) return 1;
    if (readings.number != ~readings.inverse) readings.number = 0;
    last = board_millis(NULL);
    for (;;) {
        if (board_millis(NULL) - last >= READING_MS) {
            char text[48], *end = text_word(text, "{\"n\":");
            last += READING_MS;
            end = text_number(end, readings.number, 1);
            end = text_word(end, ",\"celsius\":");
            end = text_thousandths(end, board_celsius());
            end = text_word(end, "}");
            if (hwb_send(&bridge, 0, text, (size_t)(end - text)) == HWB_OK) readings.inverse = ~++readings.number;
        }
        hwb_poll(&bridge);
        board_sleep();
    }
}
