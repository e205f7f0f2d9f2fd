/* The UART of the STM32VLDISCOVERY: USART1 at 115200 baud, PA9 and PA10. */
#include "../cortex-m/board-port.h"

#define RCC_APB2ENR (*(volatile uint32_t *)0x40021018)
#define GPIOA_CRH (*(volatile uint32_t *)0x40010804)
#define USART1_SR (*(volatile uint32_t *)0x40013800)
#define USART1_DR (*(volatile uint32_t *)0x40013804)
#define USART1_BRR (*(volatile uint32_t *)0x40013808)
#define USART1_CR1 (*(volatile uint32_t *)0x4001380C)
enum { SR_RXNE = 1 << 5, SR_TXE = 1 << 7, CR1_ON = 1 << 13 | 1 << 5 | 1 << 3 | 1 << 2 };

void board_start(void) {
    RCC_APB2ENR |= 1U << 14 | 1U << 2;
    GPIOA_CRH = (GPIOA_CRH & ~0xFF0U) | 0x4B0U;
    USART1_BRR = CPU_HZ / 115200U;
    USART1_CR1 = CR1_ON;
    startup_clock();
}

void uart_handler(void) {
    while (USART1_SR & SR_RXNE) (void)received_put((uint8_t)USART1_DR);
}

/* The transmitter holds one byte: a write takes what goes without waiting. */
size_t board_write(void *context, const uint8_t *bytes, size_t size) {
    size_t count = 0;
    (void)context;
    while (count < size && (USART1_SR & SR_TXE)) USART1_DR = bytes[count++];
    return count;
}
