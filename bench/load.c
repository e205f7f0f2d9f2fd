// An MQTT 3.1.1 publisher for measurements: N connections, each with at most `window` QoS 1 messages in flight, at full
// speed or at a fixed rate, until a count is acknowledged or a time is over. It prints one line of JSON. It is in C so
// that it takes little of the processors that it shares with the server that is measured.
//
//   load --port P [--connections 10] [--window 100] [--size 120] [--payload json|random] [--rate R] [--seed S]
//        [--machines 10] (--count N | --seconds T)
//
// Connection c publishes to plant/l{c}/m{k}, k going round. At full speed the latency of a message counts from the moment
// it is handed to the socket's buffer, at a fixed rate from the moment it was due: a server that stalls is not spared.
// It stops by itself: after the count or time, or with an error when no acknowledgement comes for STALL_S.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1000
#define SECONDS_MAX 3600
#define COUNT_MAX 1000000000L
#define SIZE_MAX_BYTES 1000000
#define STALL_S 30
#define JSON_SIZE 120
#define POOL_BYTES (8u << 20)
// Latencies: 64 steps for each doubling from 1 us up.
#define STEPS 64
#define DOUBLINGS 27

typedef struct {
  int fd;
  int inflight;
  int free_count;
  uint16_t *free_ids;    // a stack of packet ids that are not in flight
  uint64_t *sent_ns;     // by packet id
  uint8_t *out;          // bytes from out_from to out_to wait for the socket
  size_t out_from, out_to, out_size;
  uint8_t in[1 << 16];
  size_t in_size;
  uint64_t produced;     // messages so far
  int wants_out;
  int32_t temperature, pressure, rpm;
} Connection;

static int port = 0, connections = 10, window = 100, size = 120, machines = 10, is_json = 1;
static double rate = 0, seconds = 0;
static long count = 0;
static uint64_t seed = 1;

static Connection *conns;
static uint8_t *pool;
static uint64_t started_ns, histogram[STEPS * DOUBLINGS], latency_max_ns;
static uint64_t produced_total, acked_total;
static int is_sending = 1;

static void die(const char *what) {
  fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// xorshift64*: the same seed gives the same payloads.
static uint64_t random64(void) {
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * 2685821657736338717u;
}

static void record_latency(uint64_t ns) {
  if (ns > latency_max_ns) latency_max_ns = ns;
  double us = ns / 1000.0;
  int index = 0;
  while (us >= 2 && index < STEPS * (DOUBLINGS - 1)) {
    us /= 2;
    index += STEPS;
  }
  if (us >= 1) index += (int)((us - 1) * STEPS);
  histogram[index < STEPS * DOUBLINGS ? index : STEPS * DOUBLINGS - 1]++;
}

static double percentile_ms(double share) {
  uint64_t target = (uint64_t)(acked_total * share), seen = 0;
  for (int i = 0; i < STEPS * DOUBLINGS; i++) {
    seen += histogram[i];
    if (seen > target) return (double)(1ull << (i / STEPS)) * (1 + (i % STEPS + 1) / (double)STEPS) / 1000;
  }
  return 0;
}

static void put_digits(uint8_t *at, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value /= 10) at[i] = (uint8_t)('0' + value % 10);
}

static int32_t walk(int32_t value, int32_t step, int32_t low, int32_t high) {
  value += (int32_t)(random64() >> 33) % (2 * step + 1) - step;
  return value < low ? low : value > high ? high : value;
}

// One reading of a machine, always JSON_SIZE bytes.
static void put_json(Connection *c, int line, int machine, uint8_t *at) {
  static const char reading[] =
      "{\"ts\":1700000000000,\"line\":\"l000\",\"machine\":\"m000\",\"seq\":10000000,\"temp\":00.000,\"pressure\":0.0000,\"rpm\":"
      "00000,\"ok\":true}";
  _Static_assert(sizeof reading - 1 == JSON_SIZE, "the reading is as long as it says");
  memcpy(at, reading, JSON_SIZE);
  put_digits(at + 6, 1700000000000u + produced_total, 13);
  put_digits(at + 29, (uint64_t)line, 3);
  put_digits(at + 46, (uint64_t)machine, 3);
  put_digits(at + 57, 10000000 + c->produced % 80000000, 8);
  c->temperature = walk(c->temperature, 40, 18000, 32000);
  put_digits(at + 73, (uint64_t)c->temperature / 1000, 2);
  put_digits(at + 76, (uint64_t)c->temperature % 1000, 3);
  c->pressure = walk(c->pressure, 15, 8000, 19999);
  put_digits(at + 91, (uint64_t)c->pressure / 10000, 1);
  put_digits(at + 93, (uint64_t)c->pressure % 10000, 4);
  c->rpm = walk(c->rpm, 9, 10000, 20000);
  put_digits(at + 104, (uint64_t)c->rpm, 5);
}

// Appends one PUBLISH to what waits for the socket; the caller has made sure that there is room.
static void put_publish(Connection *c, uint64_t since_ns) {
  int line = (int)(c - conns), machine = (int)(c->produced % (uint64_t)machines);
  char topic[32];
  int topic_size = snprintf(topic, sizeof topic, "plant/l%d/m%d", line, machine);
  uint8_t *at = c->out + c->out_to;
  *at++ = 0x32;
  size_t rest = 2 + (size_t)topic_size + 2 + (size_t)size;
  do {
    *at++ = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  *at++ = (uint8_t)(topic_size >> 8);
  *at++ = (uint8_t)topic_size;
  memcpy(at, topic, (size_t)topic_size);
  at += topic_size;
  uint16_t id = c->free_ids[--c->free_count];
  *at++ = (uint8_t)(id >> 8);
  *at++ = (uint8_t)id;
  if (is_json) put_json(c, line, machine, at);
  else memcpy(at, pool + random64() % (POOL_BYTES - (size_t)size), (size_t)size);
  c->out_to = (size_t)(at + size - c->out);
  c->sent_ns[id] = since_ns;
  c->inflight++;
  c->produced++;
  produced_total++;
}

static void flush(Connection *c, int epoll) {
  while (c->out_from < c->out_to) {
    ssize_t n = send(c->fd, c->out + c->out_from, c->out_to - c->out_from, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) die("the server closed a connection");
    c->out_from += (size_t)n;
  }
  if (c->out_from == c->out_to) c->out_from = c->out_to = 0;
  int wants_out = c->out_to > 0;
  if (wants_out == c->wants_out) return;
  c->wants_out = wants_out;
  struct epoll_event event = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0u), .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static uint64_t due_ns(const Connection *c) {
  return started_ns + (uint64_t)((c->produced * (uint64_t)connections + (uint64_t)(c - conns)) * 1e9 / rate);
}

static void fill(Connection *c, uint64_t now) {
  size_t packet_max = 64 + (size_t)size;
  while (is_sending && c->free_count > 0 && c->out_size - c->out_to >= packet_max) {
    if (count > 0 && produced_total >= (uint64_t)count) break;
    uint64_t due = rate > 0 ? due_ns(c) : now;
    if (due > now) break;
    put_publish(c, due);
  }
}

// Takes PUBACKs, and CONNACK as the first packet; both are four bytes.
static int take_acks(Connection *c) {
  ssize_t n = recv(c->fd, c->in + c->in_size, sizeof c->in - c->in_size, 0);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n <= 0) die("the server closed a connection");
  c->in_size += (size_t)n;
  uint64_t now = now_ns();
  size_t at = 0;
  int acks = 0;
  for (; c->in_size - at >= 4; at += 4) {
    const uint8_t *p = c->in + at;
    errno = 0;
    if (p[0] == 0x20 && p[3] != 0) die("the server refused a connection");
    if (p[0] == 0x20) continue;
    if (p[0] != 0x40 || p[1] != 2) die("the server sent something else than a PUBACK");
    uint16_t id = (uint16_t)(p[2] << 8 | p[3]);
    if (id == 0 || id > window || c->sent_ns[id] == 0) die("the server acknowledged what was not in flight");
    record_latency(now > c->sent_ns[id] ? now - c->sent_ns[id] : 0);
    c->sent_ns[id] = 0;
    c->free_ids[c->free_count++] = id;
    c->inflight--;
    acks++;
  }
  memmove(c->in, c->in + at, c->in_size - at);
  c->in_size -= at;
  acked_total += (uint64_t)acks;
  return acks;
}

static void open_connection(Connection *c, int index, int epoll) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) die("cannot connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  uint8_t packet[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0};
  int id_size = snprintf((char *)packet + 14, 32, "load-%d-%d", getpid(), index);
  packet[13] = (uint8_t)id_size;
  packet[1] = (uint8_t)(12 + id_size);
  if (send(c->fd, packet, 14 + (size_t)id_size, MSG_NOSIGNAL) != 14 + id_size) die("cannot send CONNECT");
  uint8_t answer[4];
  errno = 0;
  if (recv(c->fd, answer, 4, MSG_WAITALL) != 4 || answer[0] != 0x20 || answer[3] != 0) die("no CONNACK");
  struct timeval none = {0};
  setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
  c->free_ids = calloc((size_t)window, sizeof(uint16_t));
  c->sent_ns = calloc((size_t)window + 1, sizeof(uint64_t));
  for (int id = window; id >= 1; id--) c->free_ids[c->free_count++] = (uint16_t)id;
  c->out_size = 256 * 1024 + 4 * (size_t)size;
  c->out = malloc(c->out_size);
  if (!c->free_ids || !c->sent_ns || !c->out) die("no memory");
  c->temperature = 21000 + index * 300;
  c->pressure = 10132 + index * 40;
  c->rpm = 14000 + index * 200;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll");
}

static void parse(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (!strcmp(name, "--port")) port = atoi(value);
    else if (!strcmp(name, "--connections")) connections = atoi(value);
    else if (!strcmp(name, "--window")) window = atoi(value);
    else if (!strcmp(name, "--size")) size = atoi(value);
    else if (!strcmp(name, "--machines")) machines = atoi(value);
    else if (!strcmp(name, "--payload")) is_json = strcmp(value, "random") != 0;
    else if (!strcmp(name, "--rate")) rate = atof(value);
    else if (!strcmp(name, "--seconds")) seconds = atof(value);
    else if (!strcmp(name, "--count")) count = atol(value);
    else if (!strcmp(name, "--seed")) seed = strtoull(value, NULL, 10) | 1;
    else die("unknown option");
  }
  if (is_json) size = JSON_SIZE;
  int is_bounded = (count > 0 && count <= COUNT_MAX) || (seconds > 0 && seconds <= SECONDS_MAX);
  if (port < 1 || port > 65535 || connections < 1 || connections > CONNECTIONS_MAX || window < 1 || window > 65535 ||
      size < 1 || size > SIZE_MAX_BYTES || machines < 1 || rate < 0 || !is_bounded)
    die("usage: see the head of load.c");
}

int main(int argc, char **argv) {
  parse(argc, argv);
  int epoll = epoll_create1(0);
  conns = calloc((size_t)connections, sizeof(Connection));
  pool = malloc(POOL_BYTES);
  if (epoll < 0 || !conns || !pool) die("no memory");
  for (size_t i = 0; i < POOL_BYTES; i += 8) {
    uint64_t r = random64();
    memcpy(pool + i, &r, 8);
  }
  for (int i = 0; i < connections; i++) open_connection(&conns[i], i, epoll);
  started_ns = now_ns();
  uint64_t last_ack_ns = started_ns, end_ns = started_ns;
  struct epoll_event events[64];
  for (;;) {
    uint64_t now = now_ns();
    if (seconds > 0 && now - started_ns >= seconds * 1e9) is_sending = 0;
    if (count > 0 && produced_total >= (uint64_t)count) is_sending = 0;
    if (!is_sending && acked_total == produced_total) break;
    errno = 0;
    if (now - last_ack_ns > STALL_S * 1000000000ull && produced_total > acked_total) die("no acknowledgement for 30 s");
    for (int i = 0; i < connections; i++) {
      Connection *c = &conns[i];
      if (c->wants_out) continue;
      fill(c, now);
      if (c->out_to > 0) flush(c, epoll);
    }
    int ready = epoll_wait(epoll, events, 64, rate > 0 && is_sending ? 1 : 100);
    for (int i = 0; i < ready; i++) {
      Connection *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) flush(c, epoll);
      if (events[i].events & ~(uint32_t)EPOLLOUT && take_acks(c) > 0) end_ns = last_ack_ns = now_ns();
    }
  }
  double took_s = (end_ns - started_ns) / 1e9;
  printf("{\"acked\":%llu,\"seconds\":%.4f,\"perSecond\":%.1f,\"payloadBytes\":%llu,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f}\n",
         (unsigned long long)acked_total, took_s, acked_total / took_s, (unsigned long long)acked_total * (unsigned)size,
         percentile_ms(0.5), percentile_ms(0.99), latency_max_ns / 1e6);
  for (int i = 0; i < connections; i++) (void)!send(conns[i].fd, "\xe0\x00", 2, MSG_NOSIGNAL);
  return 0;
}
