// What yahdlc makes of random payloads: `hdlc-line BYTES COUNT` prints the bytes on the line for one payload byte.

#include <stdio.h>
#include <stdlib.h>

#include "yahdlc.h"

int main(int argc, char **argv)
{
    static char payload[1024], line[4096];
    if (argc != 3) return 2;
    unsigned size = (unsigned)atoi(argv[1]), count = (unsigned)atoi(argv[2]);
    unsigned long long bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        yahdlc_control_t control = {YAHDLC_FRAME_DATA, i & 7};
        unsigned length = 0;
        for (unsigned at = 0; at < size; at++) payload[at] = (char)lrand48();
        if (yahdlc_frame_data(&control, payload, size, line, &length)) return 1;
        bytes += length;
    }
    printf("%.6f\n", (double)bytes / size / count);
    return 0;
}
