/* vectors.json in C. What a device sends is made from its meaning and compared in bytes; what it receives is taken in bytes and seen in what
 * the device knows then. The library's source is included, so that its inner functions can be called one by one. */
#include "../headwater_bridge.c"

#include <stdlib.h>

#include "check.h"

typedef struct { const uint8_t *data; size_t length; } bytes_t;
typedef struct {
    const char *name;
    uint32_t key;
    int address, is_final;
    uint8_t type;
    bytes_t wire;
    const uint64_t *numbers;
    size_t number_count;
    const bytes_t *strings;
    size_t string_count;
} frame_vector_t;
typedef struct { bytes_t plain, coded; } cobs_vector_t;
typedef struct { const char *name; uint32_t key; bytes_t bytes; uint16_t frames, not_frames; } stream_vector_t;

#include "vectors.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static uint8_t queue[1200], tx[HWB_TX_SIZE(HWB_BODY_MAX)], rx[HWB_BODY_MAX], command[64];
static const char *names[HWB_CHANNEL_MAX];
static char texts[3][32];
static hwb_record_t past;
static const uint8_t *past_data;
static hwb_config_t config;
static hwb_t device;

static size_t no_read(void *context, uint8_t *buffer, size_t size) { (void)context, (void)buffer, (void)size; return 0; }
static size_t no_write(void *context, const uint8_t *bytes, size_t size) { (void)context, (void)bytes; return size; }
static uint32_t no_time(void *context) { (void)context; return 0; }

/* A store with one record of an earlier boot. */
static int store(void *context, uint8_t operation, uint32_t n, void *argument) {
    hwb_record_t *record = argument;
    (void)context;
    if (operation == HWB_STORE_LOAD) {
        memset(argument, 0, sizeof(hwb_stored_t));
    } else if (operation == HWB_STORE_GET) {
        if (n > 0) return HWB_ERR_NONE;
        if (past.length <= record->length) memcpy(record->data, past_data, past.length);
        record->length = past.length;
        record->channel = past.channel;
        record->boot = past.boot;
        record->time = past.time;
    }
    return 0;
}

static const char *text(int place, bytes_t string) {
    memcpy(texts[place], string.data, string.length);
    texts[place][string.length] = 0;
    return texts[place];
}

/* A connected device that may send anything. */
static void ready(const frame_vector_t *vector) {
    static const uint8_t uid = 1;
    size_t i;
    memset(&config, 0, sizeof config);
    for (i = 0; i < HWB_CHANNEL_MAX; i++) names[i] = "c";
    config.read = no_read;
    config.write = no_write;
    config.millis = no_time;
    config.uid = &uid;
    config.uid_length = 1;
    config.channels = names;
    config.channel_count = HWB_CHANNEL_MAX;
    config.queue = queue;
    config.queue_size = sizeof queue;
    config.tx = tx;
    config.tx_size = sizeof tx;
    config.rx = rx;
    config.rx_size = sizeof rx;
    config.command = command;
    config.command_size = sizeof command;
    CHECK_EQUAL(hwb_init(&device, &config), HWB_OK);
    if (vector->address >= 0) device.address = (uint8_t)(vector->address == 0 ? 1 : vector->address);
    device.state = HWB_CONNECTED;
    device.key = vector->key;
    device.window = 255;
    device.timer = 1;
    device.body_max = (uint16_t)own_max(&device);
    memset(device.announced, 0xFF, sizeof device.announced);
}

static void queue_record(uint8_t channel, uint32_t time, bytes_t payload) {
    hwb_record_t record;
    record.data = (uint8_t *)(uintptr_t)payload.data;
    record.length = (uint16_t)payload.length;
    record.channel = channel;
    record.time = time;
    CHECK_EQUAL(queue_send(&device, &record), HWB_OK);
    device.made++;
}

static uint32_t at(const frame_vector_t *vector, size_t n) {
    return (uint32_t)vector->numbers[n];
}

/* version, versionMin, flags, boot, nonce, epoch, first, end, lastEpoch, lastEnd, uptime, frameMax */
static void hello(const frame_vector_t *v) {
    if (at(v, 2) & 2) config.persist = store, device.is_persistent = 1;
    if (!(at(v, 2) & 4)) config.command_size = 0;
    if ((at(v, 2) & 1) && device.address == 0) device.address = 1;
    config.uid = v->strings[0].data;
    config.uid_length = (uint8_t)v->strings[0].length;
    config.name = text(0, v->strings[1]);
    config.firmware = text(1, v->strings[2]);
    config.rx_size = (uint16_t)at(v, 11);
    device.boot = (uint8_t)at(v, 3);
    device.nonce = at(v, 4);
    device.epoch = at(v, 5);
    device.first = at(v, 6);
    device.made = at(v, 7) - at(v, 6);
    device.last_epoch = at(v, 8);
    device.last_end = at(v, 9);
    make_hello(&device, at(v, 10));
    if (v->address < 0 && device.address != 0) { /* a polled device's HELLO without an address: no library makes that */
        uint8_t *body = tx + BODY_AT;
        memmove(body + 1, body + 2, (size_t)(device.tx_length - BODY_AT - 2));
        body[0] = TYPE_HELLO;
        device.tx_length--;
    }
    finish(&device);
}

static void make(const frame_vector_t *v) {
    size_t i;
    uint32_t time;
    ready(v);
    device.tx_length = 0;
    switch (v->type) {
        case TYPE_HELLO:
            hello(v);
            return;
        case TYPE_DATA:
            device.first = device.received = device.skipped = device.next = at(v, 0);
            queue_record((uint8_t)at(v, 1), at(v, 2), v->strings[0]);
            make_next_records(&device);
            CHECK_EQUAL(device.next, at(v, 0) + 1);
            break;
        case TYPE_PACK:
            device.first = device.received = device.skipped = device.next = at(v, 0);
            for (i = 0, time = at(v, 1); i < v->string_count; i++) {
                time += at(v, 3 + 2 * i);
                queue_record((uint8_t)at(v, 2 + 2 * i), time, v->strings[i]);
            }
            make_next_records(&device);
            CHECK_EQUAL(device.next, at(v, 0) + v->string_count);
            break;
        case TYPE_PAST:
            config.persist = store, device.is_persistent = 1;
            device.made = 1;
            device.first = device.received = device.skipped = device.next = at(v, 0);
            past.boot = (uint8_t)at(v, 1);
            past.channel = (uint8_t)at(v, 2);
            past.time = at(v, 3);
            past.length = (uint16_t)v->strings[0].length;
            past_data = v->strings[0].data;
            make_next_records(&device);
            break;
        case TYPE_CHANNEL:
            names[at(v, 0)] = text(0, v->strings[0]);
            make_channel(&device, (uint8_t)at(v, 0));
            break;
        case TYPE_SKIP:
            device.first = at(v, 0);
            device.received = device.skipped = at(v, 0) - 1;
            make_next_records(&device);
            break;
        case TYPE_ECHO:
            device.echo_due = 1;
            device.echo[0] = at(v, 0);
            device.echo[1] = at(v, 1);
            CHECK(compose(&device, 0));
            return;
        case TYPE_ANSWER:
            device.answer_due = 1;
            device.command_id = (uint16_t)at(v, 0);
            device.command_code = (uint8_t)at(v, 1);
            device.command_length = (uint16_t)v->strings[0].length;
            memcpy(command, v->strings[0].data, v->strings[0].length);
            CHECK(compose(&device, 0));
            return;
        default:
            device.ping_due = 1;
            device.turn = TURN_SPEAKING;
            CHECK(compose(&device, 0));
            return;
    }
    CHECK(device.tx_length > 0);
    if (device.tx_length == 0) return;
    finish(&device);
}

static void feed(bytes_t wire) {
    size_t i;
    for (i = 0; i < wire.length; i++) on_byte(&device, wire.data[i], 1000);
    on_byte(&device, 0, 1000);
}

static void prepare_welcome(const frame_vector_t *v) {
    device.state = HWB_WAITING;
    device.key = 0;
    device.nonce = at(v, 2);
    device.epoch = at(v, 1) == 0 ? at(v, 3) : 0;
    device.first = at(v, 5);
}

static void see_welcome(const frame_vector_t *v) {
    if (at(v, 1) == 0) {
        CHECK_EQUAL(device.state, HWB_CONNECTED);
        CHECK_EQUAL(device.key, at(v, 4));
        CHECK_EQUAL(device.received, at(v, 5));
        CHECK_EQUAL(device.body_max, at(v, 6) < sizeof tx - BODY_AT ? at(v, 6) : sizeof tx - BODY_AT);
        CHECK_EQUAL(device.ack_ms, at(v, 7));
        CHECK_EQUAL(device.window, at(v, 8));
    } else if (at(v, 1) == 1) {
        CHECK_EQUAL(device.state, HWB_WAITING);
        CHECK_EQUAL(device.epoch, at(v, 3));
        CHECK_EQUAL(device.timer, 0); /* HELLO at once */
    } else {
        CHECK_EQUAL(device.timer, 8000);
    }
}

/* What a device receives: given what makes the frame's fields visible, seen that they are. */
static void receive_vector(const frame_vector_t *v) {
    ready(v);
    if (v->type == TYPE_WELCOME) prepare_welcome(v);
    else if (v->type == TYPE_ACK) device.first = at(v, 0), device.next = at(v, 1) < at(v, 0) ? at(v, 1) + 0x10000 : at(v, 1);
    else if (v->type == TYPE_NAK) device.first = device.received = at(v, 0), device.next = at(v, 0) + 1;
    else if (v->type == TYPE_COMMAND) device.command_id = (uint16_t)(at(v, 0) - 1);
    feed(v->wire);
    CHECK_EQUAL(device.bad, 0);
    if (v->type == TYPE_WELCOME) {
        see_welcome(v);
    } else if (v->type == TYPE_WHO) {
        CHECK_EQUAL(device.state, HWB_WAITING);
        CHECK_EQUAL(device.timer, 0); /* HELLO at once */
    } else if (v->type == TYPE_ACK) {
        CHECK_EQUAL((uint16_t)device.received, at(v, 1));
        CHECK_EQUAL(device.window, at(v, 2));
    } else if (v->type == TYPE_NAK) {
        CHECK_EQUAL(device.missing, 1);
        CHECK_EQUAL(is_announced(&device, 0), at(v, 1) == 0);
    } else if (v->type == TYPE_TIME) {
        uint64_t wall = 0;
        CHECK_EQUAL(device.echo[0], at(v, 0));
        CHECK_EQUAL(device.echo_due, 1);
        device.wall_at = 0;
        CHECK(at(v, 2) == 65535 ? hwb_time(&device, &wall) < 0 : hwb_time(&device, &wall) == (int)at(v, 2) && wall == v->numbers[1]);
    } else if (v->type == TYPE_COMMAND) {
        uint8_t code;
        const uint8_t *data;
        CHECK_EQUAL(hwb_command(&device, &code, &data), v->strings[0].length);
        CHECK_EQUAL(code, at(v, 1));
        CHECK(memcmp(data, v->strings[0].data, v->strings[0].length) == 0);
    }
    if (device.address != 0) CHECK_EQUAL(device.turn, v->is_final && v->address != 0 ? TURN_GIVEN : TURN_HOST);
}

static int is_from_host(uint8_t type) {
    return type >= TYPE_ACK || type == TYPE_WELCOME || type == TYPE_WHO;
}

static void good_frames(void) {
    size_t i;
    for (i = 0; i < COUNT(frames_vectors); i++) {
        const frame_vector_t *v = &frames_vectors[i];
        check_name = v->name;
        if (is_from_host(v->type)) {
            receive_vector(v);
        } else {
            make(v);
            CHECK_EQUAL(device.tx_length, v->wire.length + 2);
            CHECK(tx[0] == 0 && memcmp(tx + 1, v->wire.data, v->wire.length) == 0 && tx[v->wire.length + 1] == 0);
        }
    }
}

static void lenient_frames(void) {
    size_t i;
    for (i = 0; i < COUNT(lenient_vectors); i++) {
        const frame_vector_t *v = &lenient_vectors[i];
        check_name = v->name;
        if (is_from_host(v->type)) {
            receive_vector(v);
        } else {
            ready(v);
            feed(v->wire);
            CHECK_EQUAL(device.bad, 0);
        }
    }
}

static void frames_without_effect(const frame_vector_t *vectors, size_t count, int is_bad) {
    size_t i;
    for (i = 0; i < count; i++) {
        hwb_t before;
        check_name = vectors[i].name;
        ready(&vectors[i]);
        before = device;
        feed(vectors[i].wire);
        if (is_bad) CHECK_EQUAL(device.bad, 1);
        before.bad = device.bad;
        before.heard_at = device.heard_at;
        CHECK(memcmp(&before, &device, sizeof device) == 0);
    }
}

static void dropped_frames(void) { frames_without_effect(dropped_vectors, COUNT(dropped_vectors), 0); }
static void bad_frames(void) { frames_without_effect(bad_vectors, COUNT(bad_vectors), 1); }

static void cobs(void) {
    static const frame_vector_t any = {"any", 1, -1, 0, 0, {0, 0}, 0, 0, 0, 0};
    size_t i, k;
    for (i = 0; i < COUNT(cobs_vectors); i++) {
        const cobs_vector_t *v = &cobs_vectors[i];
        uint8_t *from = tx + sizeof tx - v->plain.length;
        if (v->plain.length > 0) memcpy(from, v->plain.data, v->plain.length);
        CHECK_EQUAL(stuff(tx, from, from + v->plain.length) - tx, v->coded.length);
        CHECK(memcmp(tx, v->coded.data, v->coded.length) == 0);
        ready(&any);
        for (k = 0; k < v->coded.length; k++) on_byte(&device, v->coded.data[k], 0);
        CHECK_EQUAL(device.rx_length, v->plain.length);
        CHECK_EQUAL(device.rx_left, 0);
        CHECK(v->plain.length == 0 || memcmp(rx, v->plain.data, v->plain.length) == 0);
    }
}

/* A device passes no text on: to it, text and bad sections are the same. */
static void streams(void) {
    static frame_vector_t any = {"any", 1, -1, 0, 0, {0, 0}, 0, 0, 0, 0};
    size_t i, k;
    for (i = 0; i < COUNT(stream_vectors); i++) {
        const stream_vector_t *v = &stream_vectors[i];
        uint16_t sections = 0;
        check_name = v->name;
        any.key = v->key;
        ready(&any);
        for (k = 0; k < v->bytes.length; k++) {
            sections = (uint16_t)(sections + (v->bytes.data[k] == 0 && device.rx_block != 0));
            on_byte(&device, v->bytes.data[k], 0);
        }
        CHECK_EQUAL(device.bad, v->not_frames);
        CHECK_EQUAL(sections - device.bad, v->frames);
    }
}

int main(void) {
    TEST("COBS both ways", cobs);
    TEST("frames mean what vectors.json says", good_frames);
    TEST("frames of later versions are understood", lenient_frames);
    TEST("dropped frames do nothing", dropped_frames);
    TEST("bad frames are counted and do nothing", bad_frames);
    TEST("streams are cut into frames", streams);
    printf("vectors: %u frames in %u streams\n", (unsigned)(COUNT(frames_vectors) + COUNT(lenient_vectors) + COUNT(dropped_vectors) + COUNT(bad_vectors)), (unsigned)COUNT(stream_vectors));
    return check_report("vectors");
}
