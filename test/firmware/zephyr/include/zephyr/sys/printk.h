/* A stand-in: Zephyr's own formatting is the C library's here. */
#ifndef STAND_IN_PRINTK_H
#define STAND_IN_PRINTK_H

#include <stdio.h>

#define snprintk snprintf

#endif
