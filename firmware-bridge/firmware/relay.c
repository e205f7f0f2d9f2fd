/* Eight relays, switched by commands from headwater and reported as readings when they change. A command is executed at most once, whatever
 * the line does.
 *
 *   code 1, payload: relay u8, on u8    switches; answers the state as one byte
 *   code 2, payload: relay u8           asks; answers the state as one byte
 */
#include "../headwater_bridge.h"
#include "board.h"
#include "text.h"

enum { SWITCH = 1, ASK = 2, RELAYS = 8 };

static const char *const channels[] = {"relay"};
static uint8_t queue[512], tx[HWB_TX_SIZE(128)], rx[HWB_BODY_MIN], command[16];
static hwb_retained_t retained BOARD_RETAINED;
static hwb_t bridge;

static void report(uint8_t relay) {
    char text[24], *end = text_word(text, "{\"");
    end = text_number(end, relay, 1);
    end = text_word(end, board_relay_is_on(relay) ? "\":1}" : "\":0}");
    (void)hwb_send(&bridge, 0, text, (size_t)(end - text));
}

static void execute(uint8_t code, const uint8_t *data, int length) {
    uint8_t state;
    if (code != SWITCH && code != ASK) {
        (void)hwb_answer(&bridge, HWB_UNKNOWN_CODE, NULL, 0);
        return;
    }
    if (length != (code == SWITCH ? 2 : 1) || data[0] >= RELAYS) {
        (void)hwb_answer(&bridge, HWB_BAD_PAYLOAD, NULL, 0);
        return;
    }
    if (code == SWITCH) {
        board_relay(data[0], data[1] != 0);
        report(data[0]);
    }
    state = (uint8_t)board_relay_is_on(data[0]);
    (void)hwb_answer(&bridge, HWB_DONE, &state, 1);
}

int main(void) {
    static hwb_config_t config = {
        .read = board_read, .write = board_write, .millis = board_millis,
        .uid_length = BOARD_UID_SIZE, .name = "relay", .firmware = "1.0.0",
        .channels = channels, .channel_count = 1,
        .queue = queue, .queue_size = sizeof queue, .tx = tx, .tx_size = sizeof tx, .rx = rx, .rx_size = sizeof rx,
        .command = command, .command_size = sizeof command, .retained = &retained,
    };
    board_start();
    config.uid = board_uid;
    config.nonce = board_noise();
    if (hwb_init(&bridge, &config) < 0) return 1;
    for (;;) {
        uint8_t code;
        const uint8_t *data;
        int length;
        hwb_poll(&bridge);
        length = hwb_command(&bridge, &code, &data);
        if (length >= 0) execute(code, data, length);
        board_sleep();
    }
}
