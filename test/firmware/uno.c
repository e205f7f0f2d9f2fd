/* An Arduino Uno (ATmega328P at 16 MHz) that runs a program in simavr, no faster than a real one would: its serial port is
 * standard input and output. QEMU's Uno lacks timer 0, so that millis() of Arduino's core stands still there.
 *
 *   cc uno.c -lsimavr -o uno; ./uno sketch.elf
 */
#include <fcntl.h>
#include <poll.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HZ = 16000000, STEP = HZ / 1000 };

static int takes_input = 1;

static void on_output(struct avr_irq_t *irq, uint32_t value, void *unused) {
    uint8_t byte = (uint8_t)value;
    (void)irq, (void)unused;
    if (write(STDOUT_FILENO, &byte, 1) != 1) exit(0);
}

static void on_ready(struct avr_irq_t *irq, uint32_t value, void *flag) {
    (void)irq, (void)value;
    takes_input = flag != NULL;
}

/* As many bytes as have come and the UART takes. The end of the input is the power switch. */
static void take_input(avr_irq_t *input) {
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    uint8_t byte;
    while (takes_input && poll(&ready, 1, 0) > 0) {
        if (read(STDIN_FILENO, &byte, 1) != 1) exit(0);
        avr_raise_irq(input, byte);
    }
}

static uint64_t wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Standard output is the serial port. */
static void on_words(avr_t *avr, const int level, const char *format, va_list words) {
    (void)avr;
    if (level <= LOG_ERROR) vfprintf(stderr, format, words);
}

static void on_sleep(avr_t *avr, avr_cycle_count_t cycles) {
    (void)avr, (void)cycles;
}

int main(int count, char **words) {
    elf_firmware_t firmware = {0};
    avr_global_logger_set(on_words);
    avr_t *avr = avr_make_mcu_by_name("atmega328p");
    uint32_t flags = 0;
    uint64_t start_ns;
    if (count != 2 || avr == NULL || elf_read_firmware(words[1], &firmware) != 0) return 1;
    avr_init(avr);
    firmware.frequency = HZ;
    avr_load_firmware(avr, &firmware);
    avr->frequency = HZ;
    avr->sleep = on_sleep;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_output, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_ready, &takes_input);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_ready, NULL);
    start_ns = wall_ns();
    for (avr_cycle_count_t next = STEP;; next += STEP) {
        while (avr->cycle < next) {
            int state = avr_run(avr);
            if (state == cpu_Done || state == cpu_Crashed) return 1;
        }
        take_input(input);
        uint64_t due_ns = start_ns + avr->cycle * 1000U / 16U, now_ns = wall_ns();
        if (now_ns < due_ns) usleep((useconds_t)((due_ns - now_ns) / 1000U));
    }
}
