// A card that takes its time, for LD_PRELOAD: each sync lasts SYNC_MS milliseconds more. Threads wait beside each other,
// as they do for a device that takes several commands.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_for_card(void) {
  const char *text = getenv("SYNC_MS");
  long ms = text ? atol(text) : 0;
  struct timespec rest = {ms / 1000, (ms % 1000) * 1000000};
  nanosleep(&rest, NULL);
}

int fdatasync(int fd) {
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_for_card();
  return next(fd);
}

int fsync(int fd) {
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_for_card();
  return next(fd);
}
