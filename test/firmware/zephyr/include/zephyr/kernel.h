/* A stand-in: what the page's program uses of Zephyr's kernel. */
#ifndef STAND_IN_KERNEL_H
#define STAND_IN_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARG_UNUSED(name) (void)(name)

int64_t k_uptime_get(void);
uint32_t k_uptime_get_32(void);
int32_t k_msleep(int32_t ms);

#endif
