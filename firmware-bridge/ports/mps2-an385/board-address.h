/* ARM MPS2 with the AN385 image: Cortex-M3, 4 MiB at 0, 4 MiB at 0x20000000, 25 MHz; UART0 (CMSDK). */
#define CPU_HZ 25000000U
#define UART_IRQ 0
#define BOARD_FLASH_SIZE 65536U
