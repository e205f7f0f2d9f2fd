// A device with firmware-bridge on the far side of a pseudo terminal, for measurements: sends as fast as the line allows,
// or one reading at a time. `serial-device LINK [--payload BYTES] [--baud BITS] [--loss PERCENT] [--seconds S]
// [--single] [--uid N]` links LINK to the terminal, waits for a session, measures, and prints one line of JSON.

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../firmware-bridge/headwater_bridge.h"

enum { LATENCIES_MAX = 100000, PAYLOAD_MAX = 1000 };

static int master;
static double baud, loss;
static double began;
static unsigned long long written, read_bytes, frames, spoilt;
static int at_frame_start;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static size_t line_read(void *context, uint8_t *buffer, size_t size)
{
    (void)context;
    ssize_t count = read(master, buffer, size);
    if (count > 0) read_bytes += (unsigned long long)count;
    return count > 0 ? (size_t)count : 0;
}

// Ten bits a byte, as a UART sends it; it has a buffer of 64 bytes.
static size_t line_write(void *context, const uint8_t *bytes, size_t size)
{
    (void)context;
    uint8_t copy[1024];
    if (size > sizeof copy) size = sizeof copy;
    if (baud > 0) {
        double allowed = (now() - began) * baud / 10 + 64 - (double)written;
        // A UART does not save up what it could have sent.
        if (allowed > 128) began += (allowed - 128) * 10 / baud, allowed = 128;
        if (allowed < 1) return 0;
        if (size > allowed) size = (size_t)allowed;
    }
    memcpy(copy, bytes, size);
    int at_start = at_frame_start;
    for (size_t at = 0; at < size; at++) {
        if (copy[at] != 0 && at_start && drand48() * 100 < loss) copy[at] ^= 0x40;
        at_start = copy[at] == 0;
    }
    ssize_t count = write(master, copy, size);
    if (count <= 0) return 0;
    // What the terminal has not taken is written, and may be spoilt, another time.
    for (ssize_t at = 0; at < count; at++) {
        if (bytes[at] != 0 && at_frame_start) frames++, spoilt += copy[at] != bytes[at];
        at_frame_start = bytes[at] == 0;
    }
    written += (unsigned long long)count;
    return (size_t)count;
}

static uint32_t line_millis(void *context)
{
    (void)context;
    return (uint32_t)(now() * 1000);
}

static void open_line(const char *link_path)
{
    struct termios settings;
    master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (master < 0 || grantpt(master) || unlockpt(master)) die("posix_openpt");
    // Kept open, so that the terminal does not hang up before somebody has opened it.
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (slave < 0 || tcgetattr(slave, &settings)) die("pts");
    cfmakeraw(&settings);
    tcsetattr(slave, TCSANOW, &settings);
    unlink(link_path);
    if (symlink(ptsname(master), link_path)) die(link_path);
}

static void rest(int milliseconds)
{
    struct pollfd wait = {master, POLLIN, 0};
    poll(&wait, 1, milliseconds);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double number(int argc, char **argv, const char *name, double otherwise)
{
    for (int i = 2; i < argc - 1; i++)
        if (!strcmp(argv[i], name)) return atof(argv[i + 1]);
    return otherwise;
}

int main(int argc, char **argv)
{
    static uint8_t queue[65535], tx[HWB_TX_SIZE(256)], rx[128], uid[4];
    static double latencies[LATENCIES_MAX];
    static const char *const channels[] = {"reading"};
    static hwb_t bridge;
    if (argc < 2) return fputs("serial-device LINK [options]: see the file's head\n", stderr), 2;
    size_t payload = (size_t)number(argc, argv, "--payload", 64);
    double seconds = number(argc, argv, "--seconds", 5);
    int single = 0;
    for (int i = 2; i < argc; i++) single |= !strcmp(argv[i], "--single");
    if (payload > PAYLOAD_MAX) return fputs("--payload: at most 1000\n", stderr), 2;
    baud = number(argc, argv, "--baud", 0);
    loss = number(argc, argv, "--loss", 0);
    uint32_t id = (uint32_t)number(argc, argv, "--uid", 1);
    memcpy(uid, &id, sizeof uid);
    srand48((long)id);
    open_line(argv[1]);

    hwb_config_t config = {.read = line_read,
                           .write = line_write,
                           .millis = line_millis,
                           .uid = uid,
                           .uid_length = sizeof uid,
                           .name = "bench",
                           .channels = channels,
                           .channel_count = 1,
                           .queue = queue,
                           .queue_size = sizeof queue,
                           .tx = tx,
                           .tx_size = sizeof tx,
                           .rx = rx,
                           .rx_size = sizeof rx,
                           .nonce = (uint32_t)getpid()};
    began = now();
    if (hwb_init(&bridge, &config)) return fputs("hwb_init refused\n", stderr), 1;
    double limit = now() + 30;
    while (hwb_poll(&bridge) != HWB_CONNECTED) {
        if (now() > limit) return fputs("no session within 30 s\n", stderr), 1;
        rest(10);
    }

    unsigned long long bytes_before = written, frames_before = frames, heard_before = read_bytes, sent = 0;
    double start = now(), end = start + seconds, made_at = 0;
    size_t count = 0;
    int waits = 0;
    began = start - (double)written * (baud > 0 ? 10 / baud : 0);
    while (now() < end || hwb_pending(&bridge) > 0) {
        uint8_t data[PAYLOAD_MAX];
        if (now() < end && !(single && waits)) {
            do {
                for (size_t i = 0; i < payload; i++) data[i] = (uint8_t)lrand48();
                made_at = now();
                if (hwb_send(&bridge, 0, data, payload)) break;
                sent++;
                waits = 1;
            } while (!single);
        }
        hwb_poll(&bridge);
        if (single && waits && hwb_pending(&bridge) == 0) {
            if (count < LATENCIES_MAX) latencies[count++] = (now() - made_at) * 1000;
            waits = 0;
            // Not in step with the commits.
            usleep((useconds_t)(drand48() * 20000));
        }
        rest(baud > 0 || single ? 1 : 0);
        if (now() > end + 60) return fputs("not all was acknowledged\n", stderr), 1;
    }
    double took = now() - start;
    hwb_info_t info;
    hwb_info(&bridge, &info);
    qsort(latencies, count, sizeof latencies[0], by_size);
    printf("{\"records\":%llu,\"seconds\":%.3f,\"wireBytes\":%llu,\"heardBytes\":%llu,\"frames\":%llu,\"spoilt\":%llu,\"again\":%u,"
           "\"p50Ms\":%.2f,\"p99Ms\":%.2f}\n",
           sent, took, written - bytes_before, read_bytes - heard_before, frames - frames_before, spoilt, info.counts.again,
           count ? latencies[count / 2] : 0, count ? latencies[count * 99 / 100] : 0);
    return 0;
}
