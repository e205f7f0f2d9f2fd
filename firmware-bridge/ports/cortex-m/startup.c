/* Startup of a Cortex-M without vendor code: vector table, memory, SysTick at 1 kHz. `.noinit` is left as it is, so it survives a reset.
 * The board gives UART_IRQ, UART_IRQ_HANDLER's body and CPU_HZ. */
#include "board-port.h"

#include <string.h>

extern uint32_t _data_start[], _data_end[], _data_load[], _bss_start[], _bss_end[], _stack_top[];
extern int main(void);

static volatile uint32_t ticks;

#define SYST_CSR (*(volatile uint32_t *)0xE000E010)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018)
#define NVIC_ISER ((volatile uint32_t *)0xE000E100)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0C)

void reset_handler(void) {
    memcpy(_data_start, _data_load, (size_t)((char *)_data_end - (char *)_data_start));
    memset(_bss_start, 0, (size_t)((char *)_bss_end - (char *)_bss_start));
    (void)main();
    for (;;) {}
}

/* A fault restarts the device: what is in .noinit and in flash is kept. */
static void fault_handler(void) {
    SCB_AIRCR = 0x05FA0004;
    for (;;) {}
}

static void tick_handler(void) {
    ticks++;
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16 + UART_IRQ + 1])(void) = {
    (void (*)(void))(uintptr_t)_stack_top, reset_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
    [15] = tick_handler, [16 + UART_IRQ] = uart_handler,
};

void startup_clock(void) {
    SYST_RVR = CPU_HZ / 1000U - 1U;
    SYST_CVR = 0;
    SYST_CSR = 7;
    NVIC_ISER[UART_IRQ / 32] = 1UL << UART_IRQ % 32;
}

uint32_t board_millis(void *context) {
    (void)context;
    return ticks;
}

void board_sleep(void) {
    __asm__ volatile("wfi");
}
