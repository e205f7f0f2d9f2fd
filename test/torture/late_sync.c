// fsync and fdatasync of a bad card, for a program that is started with this in LD_PRELOAD: a file says what they do, and may
// change at any time.
//
//   TORTURE_SYNC=FILE    "slow MS": each takes so much longer; "fail": each fails with EIO and syncs nothing; else: as they are

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// How much longer, in ms; -1: it fails.
static int lateness(void) {
  const char *path = getenv("TORTURE_SYNC");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {0};
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  if (strncmp(text, "fail", 4) == 0) return -1;
  return strncmp(text, "slow ", 5) == 0 ? atoi(text + 5) : 0;
}

static int sync_late(const char *name, int file) {
  int ms = lateness();
  if (ms < 0) {
    errno = EIO;
    return -1;
  }
  struct timespec rest = {ms / 1000, (ms % 1000) * 1000000L};
  if (ms > 0) nanosleep(&rest, NULL);
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return real(file);
}

int fsync(int file) { return sync_late("fsync", file); }
int fdatasync(int file) { return sync_late("fdatasync", file); }
