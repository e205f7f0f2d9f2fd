/* What include/ declares, on the bare STM32VLDISCOVERY: firmware-bridge/ports has its clock and its vectors. */
#include "../../../firmware-bridge/ports/cortex-m/board-port.h"

#include <string.h>
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/sys/ring_buffer.h>

#define RCC_APB2ENR (*(volatile uint32_t *)0x40021018)
#define USART1_SR (*(volatile uint32_t *)0x40013800)
#define USART1_DR (*(volatile uint32_t *)0x40013804)
#define USART1_BRR (*(volatile uint32_t *)0x40013808)
#define USART1_CR1 (*(volatile uint32_t *)0x4001380C)
enum { SR_RXNE = 1 << 5, SR_TXE = 1 << 7, CR1_ON = 1 << 13 | 1 << 3 | 1 << 2, CR1_RXNEIE = 1 << 5 };

/* QEMU's loader puts the chip's number here; see firmware-bridge/ports/cortex-m/sections.ld. */
extern const uint8_t _uid[];

const struct device stand_in_zephyr_console = {"usart1"};
static uart_irq_callback_user_data_t callback;
static void *callback_data;

int __real_main(void);

/* The linker's --wrap=main: the kernel starts before the application does. */
int __wrap_main(void) {
    RCC_APB2ENR |= 1U << 14;
    USART1_BRR = CPU_HZ / 115200U;
    USART1_CR1 = CR1_ON;
    startup_clock();
    return __real_main();
}

int64_t k_uptime_get(void) {
    return board_millis(NULL);
}

uint32_t k_uptime_get_32(void) {
    return board_millis(NULL);
}

int32_t k_msleep(int32_t ms) {
    uint32_t start = board_millis(NULL);
    while (board_millis(NULL) - start < (uint32_t)ms) __asm__ volatile("wfi");
    return 0;
}

bool device_is_ready(const struct device *dev) {
    return dev == &stand_in_zephyr_console;
}

int uart_irq_callback_user_data_set(const struct device *dev, uart_irq_callback_user_data_t cb, void *user_data) {
    (void)dev;
    callback = cb;
    callback_data = user_data;
    return 0;
}

void uart_irq_rx_enable(const struct device *dev) {
    (void)dev;
    USART1_CR1 |= CR1_RXNEIE;
}

void uart_handler(void) {
    callback(&stand_in_zephyr_console, callback_data);
}

int uart_irq_update(const struct device *dev) {
    (void)dev;
    return 1;
}

int uart_irq_rx_ready(const struct device *dev) {
    (void)dev;
    return (USART1_SR & SR_RXNE) != 0;
}

int uart_fifo_read(const struct device *dev, uint8_t *rx_data, const int size) {
    int count = 0;
    (void)dev;
    while (count < size && (USART1_SR & SR_RXNE)) rx_data[count++] = (uint8_t)USART1_DR;
    return count;
}

void uart_poll_out(const struct device *dev, unsigned char out_char) {
    (void)dev;
    while (!(USART1_SR & SR_TXE)) {}
    USART1_DR = out_char;
}

ssize_t hwinfo_get_device_id(uint8_t *buffer, size_t length) {
    size_t size = length < BOARD_UID_SIZE ? length : BOARD_UID_SIZE;
    memcpy(buffer, _uid, size);
    return (ssize_t)size;
}

uint32_t ring_buf_put(struct ring_buf *buf, const uint8_t *data, uint32_t size) {
    uint32_t count = 0;
    for (; count < size && buf->put - buf->got < buf->size; buf->put++) buf->buffer[buf->put % buf->size] = data[count++];
    return count;
}

uint32_t ring_buf_get(struct ring_buf *buf, uint8_t *data, uint32_t size) {
    uint32_t count = 0;
    for (; count < size && buf->got != buf->put; buf->got++) data[count++] = buf->buffer[buf->got % buf->size];
    return count;
}
