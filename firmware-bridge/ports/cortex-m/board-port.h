/* Between startup.c, simulated.c and a board's own file. */
#ifndef BOARD_PORT_H
#define BOARD_PORT_H

#include "../../firmware/board.h"
#include "board-address.h"

void reset_handler(void);
void uart_handler(void);
void startup_clock(void);

/* Bytes that the UART's interrupt has taken. Returns 0 if there is no room for it: the byte is lost, as in an overrun. */
int received_put(uint8_t byte);

#endif
