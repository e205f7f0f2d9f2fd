/* One of up to 32 nodes on an RS-485 pair: it speaks only when the host gives it the line. The address is taken from the chip's number here;
 * a real node has switches or a setting. board_write of a real board also switches the driver on, and off after the last bit. */
#include "../headwater_bridge.h"
#include "board.h"
#include "text.h"

#ifndef READING_MS
#define READING_MS 1000
#endif

static const char *const channels[] = {"temperature", "uptime"};
static uint8_t queue[1024], tx[HWB_TX_SIZE(160)], rx[HWB_BODY_MIN];
static hwb_retained_t retained BOARD_RETAINED;
static hwb_t bridge;

int main(void) {
    static hwb_config_t config = {
        .read = board_read, .write = board_write, .millis = board_millis,
        .uid_length = BOARD_UID_SIZE, .name = "rs485-node", .firmware = "1.0.0",
        .channels = channels, .channel_count = 2,
        .queue = queue, .queue_size = sizeof queue, .tx = tx, .tx_size = sizeof tx, .rx = rx, .rx_size = sizeof rx,
        .retained = &retained, .turnaround = 2, .drop_oldest = 1,
    };
    uint32_t last;
    board_start();
    config.uid = board_uid;
    config.address = (uint8_t)(board_uid[0] % 32U + 1U);
    config.nonce = board_noise();
    if (hwb_init(&bridge, &config) < 0) return 1;
    last = board_millis(NULL);
    for (;;) {
        if (board_millis(NULL) - last >= READING_MS) {
            char text[16], *end = text_thousandths(text, board_celsius());
            last += READING_MS;
            (void)hwb_send(&bridge, 0, text, (size_t)(end - text));
            end = text_number(text, board_millis(NULL), 1);
            (void)hwb_send(&bridge, 1, text, (size_t)(end - text));
        }
        hwb_poll(&bridge); /* each millisecond: the line has to be taken within 20 */
        board_sleep();
    }
}
