/* The scripted host of line.h. */
#include "line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t line_read(void *context, uint8_t *buffer, size_t size) {
    line_t *line = context;
    size_t count = line->to_device_end - line->to_device_start;
    if (count > size) count = size;
    memcpy(buffer, line->to_device + line->to_device_start, count);
    line->to_device_start += count;
    if (line->to_device_start == line->to_device_end) line->to_device_start = line->to_device_end = 0;
    return count;
}

size_t line_write(void *context, const uint8_t *bytes, size_t size) {
    line_t *line = context;
    if (line->is_stuck) return 0;
    if (line->write_limit > 0 && size > line->write_limit) size = line->write_limit;
    if (size > LINE_ROOM - line->to_host_end) size = LINE_ROOM - line->to_host_end;
    memcpy(line->to_host + line->to_host_end, bytes, size);
    line->to_host_end += size;
    return size;
}

uint32_t line_millis(void *context) {
    return ((line_t *)context)->now;
}

uint32_t number(const uint8_t *bytes, int count) {
    uint32_t value = 0;
    while (count-- > 0) value = value << 8 | bytes[count];
    return value;
}

static uint32_t crc_bit_by_bit(uint32_t crc, const uint8_t *bytes, size_t length) {
    while (length-- > 0) {
        int bit;
        crc ^= *bytes++;
        for (bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return crc;
}

static uint32_t frame_crc(uint32_t key, const uint8_t *body, size_t length) {
    uint8_t bytes[4];
    int i;
    for (i = 0; i < 4; i++) bytes[i] = (uint8_t)(key >> 8 * i);
    return ~crc_bit_by_bit(crc_bit_by_bit(0xFFFFFFFFu, bytes, 4), body, length);
}

static uint32_t key_of(uint8_t first, uint32_t key) {
    return (first & 0x3F) < 0x10 ? 0 : key;
}

size_t encode(uint8_t *wire, uint32_t key, uint8_t first, int address, const uint8_t *fields, size_t length) {
    uint8_t body[FRAME_ROOM];
    size_t size = 0, at = 0, out = 0, i;
    uint32_t crc;
    body[size++] = (uint8_t)(address >= 0 ? first | 0x80 : first);
    if (address >= 0) body[size++] = (uint8_t)address;
    if (length > 0) memcpy(body + size, fields, length);
    size += length;
    crc = frame_crc(key_of(first, key), body, size);
    for (i = 0; i < 4; i++) body[size++] = (uint8_t)(crc >> 8 * i);
    wire[out++] = 0;
    for (;;) {
        const uint8_t *zero = memchr(body + at, 0, size - at);
        size_t run = (zero ? (size_t)(zero - body) : size) - at;
        if (run >= 254) {
            wire[out++] = 255;
            memcpy(wire + out, body + at, 254);
            out += 254;
            at += 254;
            if (at == size) break;
        } else {
            wire[out++] = (uint8_t)(run + 1);
            memcpy(wire + out, body + at, run);
            out += run;
            at += run;
            if (at == size) break;
            at++;
        }
    }
    wire[out++] = 0;
    return out;
}

void host_bytes(line_t *line, const uint8_t *bytes, size_t length) {
    if (length > LINE_ROOM - line->to_device_end) {
        if (line->is_noisy) return;
        abort();
    }
    memcpy(line->to_device + line->to_device_end, bytes, length);
    line->to_device_end += length;
}

void host_send(line_t *line, uint8_t first, int address, const uint8_t *fields, size_t length) {
    uint8_t wire[FRAME_ROOM + 20];
    host_bytes(line, wire, encode(wire, line->key, first, address, fields, length));
}

/* Returns how many bytes were decoded; 0 if that is no COBS, or more than a frame may have. */
static size_t uncobs(const uint8_t *coded, size_t length, uint8_t *plain) {
    size_t at = 0, out = 0;
    while (at < length) {
        size_t code = coded[at++];
        if (at + code - 1 > length || out + code > FRAME_ROOM) return 0;
        memcpy(plain + out, coded + at, code - 1);
        out += code - 1;
        at += code - 1;
        if (code < 255 && at < length) plain[out++] = 0;
    }
    return out;
}

int host_next(line_t *line, frame_t *frame) {
    uint8_t body[FRAME_ROOM];
    size_t start = line->to_host_start, end, size, head;
    for (;;) {
        while (start < line->to_host_end && line->to_host[start] == 0) start++;
        end = start;
        while (end < line->to_host_end && line->to_host[end] != 0) end++;
        if (end == line->to_host_end) return 0;
        line->to_host_start = end;
        size = uncobs(line->to_host + start, end - start, body);
        if (size >= 5 && frame_crc(key_of(body[0], line->key), body, size - 4) == number(body + size - 4, 4)) break;
        if (!line->is_noisy) {
            printf("FAILED: the device sent a bad frame of %u bytes, type %02x\n", (unsigned)size, body[0]);
            exit(1);
        }
        start = end;
    }
    frame->type = body[0] & 0x3F;
    frame->is_final = body[0] >> 6 & 1;
    frame->address = body[0] & 0x80 ? body[1] : -1;
    head = frame->address >= 0 ? 2 : 1;
    frame->length = size - 4 - head;
    memcpy(frame->fields, body + head, frame->length);
    if (line->to_host_start + 1 >= line->to_host_end && line->to_host_end > LINE_ROOM / 2) line->to_host_start = line->to_host_end = 0;
    return 1;
}

static size_t add(uint8_t *to, size_t at, uint64_t value, int count) {
    while (count-- > 0) {
        to[at++] = (uint8_t)value;
        value >>= 8;
    }
    return at;
}

void host_welcome(line_t *line, uint8_t status, uint32_t nonce, uint32_t epoch, uint32_t expected, uint8_t window) {
    uint8_t fields[32];
    size_t at = add(fields, 0, 1, 1);
    line->key++;
    at = add(fields, at, status, 1);
    at = add(fields, at, nonce, 4);
    at = add(fields, at, epoch, 4);
    at = add(fields, at, status == 0 ? line->key : 0, 4);
    at = add(fields, at, expected, 4);
    at = add(fields, at, 1024, 2);
    at = add(fields, at, 100, 2);
    at = add(fields, at, window, 1);
    host_send(line, 0x02, -1, fields, at);
}

void host_ack(line_t *line, uint32_t committed, uint32_t received, uint8_t window) {
    uint8_t fields[5];
    size_t at = add(fields, 0, committed & 0xFFFF, 2);
    at = add(fields, at, received & 0xFFFF, 2);
    host_send(line, 0x20, -1, fields, add(fields, at, window, 1));
}

void host_nak(line_t *line, uint32_t sequence, uint8_t reason) {
    uint8_t fields[3];
    host_send(line, 0x21, -1, fields, add(fields, add(fields, 0, sequence & 0xFFFF, 2), reason, 1));
}

void host_who(line_t *line) {
    const uint8_t version = 1;
    host_send(line, 0x03, -1, &version, 1);
}

void host_time(line_t *line, uint8_t id, uint64_t wall, uint16_t error) {
    uint8_t fields[11];
    host_send(line, 0x22, -1, fields, add(fields, add(fields, add(fields, 0, id, 1), wall, 8), error, 2));
}

void host_command(line_t *line, uint16_t id, uint8_t code, const void *payload, size_t length) {
    uint8_t fields[FRAME_ROOM];
    size_t at = add(fields, add(fields, 0, id, 2), code, 1);
    if (length > 0) memcpy(fields + at, payload, length);
    host_send(line, 0x23, -1, fields, at + length);
}
