/* libFuzzer over the decoder and the whole device. The input is a story: bytes for the line, time that passes, readings, commands that are
 * answered, resets; where it asks for it, a well-formed frame of the session is sent, so that the fuzzer reaches what lies behind the CRC.
 * Held: no access out of bounds, nothing undefined, and the store's numbers agree after each step. */
#include <stdlib.h>
#include <string.h>

#include "../headwater_bridge.h"
#include "../headwater_ring.h"

enum { SECTOR = 256, FLASH = 4 * SECTOR };

static const uint8_t *input;
static size_t left;
static uint32_t now;
static uint8_t line[1200], flash[FLASH];
static size_t line_at, line_end, write_room;
static const char *const channels[] = {"a", "b", "c"};

static uint8_t take(void) {
    if (left == 0) return 0;
    left--;
    return *input++;
}

static uint32_t take32(void) {
    uint32_t value = take();
    value = value << 8 | take();
    value = value << 8 | take();
    return value << 8 | take();
}

static size_t read_line(void *context, uint8_t *buffer, size_t size) {
    size_t count = line_end - line_at;
    (void)context;
    if (count > size) count = size;
    memcpy(buffer, line + line_at, count);
    line_at += count;
    return count;
}

static size_t write_line(void *context, const uint8_t *bytes, size_t size) {
    size_t i, count = size < write_room ? size : write_room;
    volatile uint8_t sink = 0;
    (void)context;
    for (i = 0; i < size; i++) sink = (uint8_t)(sink ^ bytes[i]); /* all that is offered must be readable */
    write_room -= count;
    return count;
}

static uint32_t millis(void *context) {
    (void)context;
    return now;
}

static int medium(void *context, uint8_t operation, uint32_t address, void *data, uint16_t length) {
    (void)context;
    if (address + (operation == HWR_ERASE ? SECTOR : length) > FLASH) abort();
    if (operation == HWR_READ) memcpy(data, flash + address, length);
    else if (operation == HWR_PROGRAM) memcpy(flash + address, data, length);
    else memset(flash + address, 0xFF, SECTOR);
    return 0;
}

/* COBS and CRC of a body of the host's. */
static void send(uint32_t key, uint8_t *body, size_t length) {
    uint8_t keyed[4] = {(uint8_t)key, (uint8_t)(key >> 8), (uint8_t)(key >> 16), (uint8_t)(key >> 24)};
    uint32_t crc = hwb_crc32(0xFFFFFFFFu, keyed, 4);
    size_t i, code, out = 0;
    crc = ~hwb_crc32(crc, body, length);
    for (i = 0; i < 4; i++) body[length++] = (uint8_t)(crc >> 8 * i);
    line[out++] = 0;
    code = out++;
    for (i = 0; i < length; i++) {
        if (body[i] != 0) line[out++] = body[i];
        if (body[i] == 0 || out - code == 255) {
            line[code] = (uint8_t)(out - code);
            code = out++;
        }
    }
    line[code] = (uint8_t)(out - code);
    line[out++] = 0;
    line_at = 0;
    line_end = out;
}

/* A frame with a right CRC; WELCOME gets the nonce, and now and then the epoch, that make it count. */
static void good_frame(const hwb_t *h, uint8_t address) {
    static const uint8_t types[] = {0x02, 0x03, 0x20, 0x21, 0x22, 0x23};
    uint8_t body[160], choice = take();
    size_t i, at = 0, length = take() % 100u;
    uint8_t type = types[choice % 6], head = address ? 2 : 1;
    body[at++] = (uint8_t)(type | (address ? 0x80 : 0) | (choice & 0x40));
    if (address) body[at++] = choice & 0x80 ? take() : address;
    for (i = 0; i < length; i++) body[at++] = take();
    if (type == 0x02 && length >= 23 && choice < 200) {
        body[head] = 1;
        for (i = 0; i < 4; i++) body[head + 2 + i] = (uint8_t)(h->nonce >> 8 * i);
        if (choice < 150 && body[head + 1] == 0) for (i = 0; i < 4; i++) body[head + 6 + i] = (uint8_t)(h->epoch >> 8 * i);
        if (choice < 100) for (i = 0; i < 4; i++) body[head + 14 + i] = (uint8_t)(h->first >> 8 * i);
    }
    send(type < 0x10 ? 0 : h->key, body, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t uid[] = {1, 2};
    hwb_retained_t retained;
    hwb_config_t config = {0};
    hwr_config_t flash_config = {0};
    hwr_t ring;
    hwb_t h;
    uint8_t kind, *queue = malloc(64), *tx = malloc(HWB_TX_SIZE(150)), *rx = malloc(HWB_BODY_MIN), *command = malloc(8);
    input = data;
    left = size;
    now = take32();
    kind = take();
    memset(&retained, kind, sizeof retained);
    memset(flash, kind & 1 ? 0xFF : kind, sizeof flash);
    config.read = read_line;
    config.write = write_line;
    config.millis = millis;
    config.uid = uid;
    config.uid_length = 2;
    config.channels = channels;
    config.channel_count = 3;
    config.queue = queue;
    config.queue_size = 64;
    config.tx = tx;
    config.tx_size = HWB_TX_SIZE(150);
    config.rx = rx;
    config.rx_size = HWB_BODY_MIN;
    config.command = command;
    config.command_size = 8;
    config.retained = kind & 2 ? &retained : NULL;
    config.drop_oldest = kind >> 2 & 1;
    config.address = kind & 8 ? 5 : 0;
    config.prints = kind >> 4 & 1;
    if (kind & 32) {
        flash_config.medium = medium;
        flash_config.size = FLASH;
        flash_config.sector = SECTOR;
        flash_config.acknowledge = kind >> 6;
        config.persist = hwr_persist;
        config.store = &ring;
        if (hwr_init(&ring, &flash_config) != HWB_OK) abort();
    }
    if (hwb_init(&h, &config) != HWB_OK) abort();
    while (left > 0) {
        uint8_t step = take(), payload[80];
        hwb_info_t info;
        uint64_t wall;
        const uint8_t *command_data;
        size_t i, length;
        write_room = 100000;
        switch (step % 8) {
            case 0: /* raw bytes */
                line_at = 0;
                line_end = take();
                for (i = 0; i < line_end; i++) line[i] = take();
                break;
            case 1:
            case 2:
            case 3: good_frame(&h, config.address); break;
            case 4: now += step & 8 ? take() * 100u : take(); break;
            case 5:
                length = take() % (sizeof payload + 1);
                memset(payload, step, sizeof payload);
                (void)hwb_send(&h, step >> 3 & 3, payload, length);
                break;
            case 6:
                if (hwb_command(&h, payload, &command_data) >= 0) memcpy(payload, command_data, 1 < h.command_length ? 1 : h.command_length);
                if (step & 8) (void)hwb_answer(&h, step, payload, step >> 4);
                break;
            default:
                if (step & 0xF0) write_room = step >> 4; /* the UART is slow */
                else if (hwb_init(&h, &config) != HWB_OK) abort();
        }
        (void)hwb_poll(&h);
        (void)hwb_time(&h, &wall);
        hwb_info(&h, &info);
        if (info.end - info.first != hwb_pending(&h)) abort();
        if (hwb_pending(&h) > 100 || h.tx_at > config.tx_size || h.tx_length > config.tx_size) abort();
        if (h.rx_length > config.rx_size && h.rx_length != 65535) abort(); /* 65,535: a section that is too long */
        if (info.state == HWB_CONNECTED && (info.epoch == 0 || (int32_t)(h.received - h.next) > 0)) abort();
    }
    free(queue);
    free(tx);
    free(rx);
    free(command);
    return 0;
}
