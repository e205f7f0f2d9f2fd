/* Numbers as text without printf, which would cost a small chip more than the bridge does. */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>
#include <string.h>

/* Appends a word; returns the new end. */
static inline char *text_word(char *end, const char *word) {
    size_t length = strlen(word);
    memcpy(end, word, length);
    return end + length;
}

/* Appends a number in decimal, with at least `digits` digits. */
static inline char *text_number(char *end, uint32_t number, uint8_t digits) {
    char backwards[10];
    uint8_t count = 0;
    while (number > 0 || count < digits) {
        backwards[count++] = (char)('0' + number % 10U);
        number /= 10U;
    }
    while (count > 0) *end++ = backwards[--count];
    return end;
}

/* Appends thousandths as a decimal fraction: -1250 becomes -1.250. */
static inline char *text_thousandths(char *end, int32_t value) {
    uint32_t size = value < 0 ? (uint32_t)-value : (uint32_t)value;
    if (value < 0) *end++ = '-';
    end = text_number(end, size / 1000U, 1);
    *end++ = '.';
    return text_number(end, size % 1000U, 3);
}

#endif
