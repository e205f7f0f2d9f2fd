/* The UART of the MPS2 board: CMSDK UART0 at 115200 baud. */
#include "../cortex-m/board-port.h"

#define UART0_DATA (*(volatile uint32_t *)0x40004000)
#define UART0_STATE (*(volatile uint32_t *)0x40004004)
#define UART0_CTRL (*(volatile uint32_t *)0x40004008)
#define UART0_INTSTATUS (*(volatile uint32_t *)0x4000400C)
#define UART0_BAUDDIV (*(volatile uint32_t *)0x40004010)
enum { STATE_TX_FULL = 1, STATE_RX_FULL = 2, CTRL_TX = 1, CTRL_RX = 2, CTRL_RX_INTERRUPT = 8, INT_RX = 2 };

void board_start(void) {
    UART0_BAUDDIV = CPU_HZ / 115200U;
    UART0_CTRL = CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT;
    startup_clock();
}

void uart_handler(void) {
    UART0_INTSTATUS = INT_RX;
    while (UART0_STATE & STATE_RX_FULL) (void)received_put((uint8_t)UART0_DATA);
}

size_t board_write(void *context, const uint8_t *bytes, size_t size) {
    size_t count = 0;
    (void)context;
    while (count < size && !(UART0_STATE & STATE_TX_FULL)) UART0_DATA = bytes[count++];
    return count;
}
