/* A tiny scripted host: the line to a device under test, with a clock that the test moves, and both halves of the codec written apart from
 * the library's (bit by bit CRC, COBS by search for zeros), so that one mistake is not made twice. */
#ifndef LINE_H
#define LINE_H

#include <stdint.h>
#include <stddef.h>
#include "../headwater_bridge.h"

#ifndef LINE_ROOM
#define LINE_ROOM 3072
#endif
enum { FRAME_ROOM = 1100 };

typedef struct line {
    uint8_t to_device[LINE_ROOM];
    size_t to_device_start, to_device_end;
    uint8_t to_host[LINE_ROOM];
    size_t to_host_start, to_host_end;
    uint32_t now;
    uint32_t key;
    size_t write_limit; /* how many bytes one write call takes; 0: all */
    int is_stuck;       /* the device's UART takes nothing */
    int is_noisy;       /* the host passes over bad frames instead of failing */
} line_t;

/* What the host has read: a decoded body without CRC, address apart. */
typedef struct frame {
    uint8_t type;
    int address; /* -1: none */
    int is_final;
    uint8_t fields[FRAME_ROOM];
    size_t length;
} frame_t;

size_t line_read(void *line, uint8_t *buffer, size_t size);
size_t line_write(void *line, const uint8_t *bytes, size_t size);
uint32_t line_millis(void *line);

/* Sends a frame to the device. `first` is the body's first byte with its flags. address -1: none. */
void host_send(line_t *line, uint8_t first, int address, const uint8_t *fields, size_t length);
void host_bytes(line_t *line, const uint8_t *bytes, size_t length);
/* The next frame that the device has sent; 0 if there is none. A frame that is no good fails the test program at once. */
int host_next(line_t *line, frame_t *frame);

size_t encode(uint8_t *wire, uint32_t key, uint8_t first, int address, const uint8_t *fields, size_t length);
uint32_t number(const uint8_t *bytes, int count);

/* The host's words. */
void host_welcome(line_t *line, uint8_t status, uint32_t nonce, uint32_t epoch, uint32_t expected, uint8_t window);
void host_ack(line_t *line, uint32_t committed, uint32_t received, uint8_t window);
void host_nak(line_t *line, uint32_t sequence, uint8_t reason);
void host_who(line_t *line);
void host_time(line_t *line, uint8_t id, uint64_t wall, uint16_t error);
void host_command(line_t *line, uint16_t id, uint8_t code, const void *payload, size_t length);

#endif
