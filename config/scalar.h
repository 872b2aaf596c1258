/* SPDX-License-Identifier: Apache-2.0 */
/* What a person writes in one word: durations, sizes, quantities, hosts. Pure and strict: a value is read whole or not at
 * all, a unit is never guessed, and a leading zero is never octal. All return false, and write nothing, when the text is
 * not exactly of the form. */
#ifndef YANHUO_SCALAR_H
#define YANHUO_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "500ms", "5s", "3min", "2h", "10d", "0s", "1.5s": a number and one unit, without a blank, in whole milliseconds. */
bool scalar_duration(const char *text, uint64_t *ret_ms);
/* "512 MB": kB, MB, GB are powers of 1000; the blank may be missing. */
bool scalar_size(const char *text, uint64_t *ret_bytes);
/* Decimal without leading zeros, or 0x. */
bool scalar_unsigned(const char *text, uint64_t *ret_value);
bool scalar_signed(const char *text, int64_t *ret_value);
/* "9 A": the number and what follows it, without the blanks between; the unit may be "". */
bool scalar_quantity(const char *text, double *ret_number, const char **ret_unit);
/* "host", "host:port", "[::1]:502". */
bool scalar_host(const char *text, uint16_t default_port, char *ret_host, size_t host_size, uint16_t *ret_port);

/* RFC 3339 with an offset, "2026-12-01T08:00:00.5+08:00" or "...Z", as milliseconds since 1970; years 1970 to 9999, no leap second. */
bool scalar_time(const char *text, int64_t *ret_wall_ms);
/* "10:00-22:00" in minutes of the day, 24:00 only as the end; an end before the beginning is past midnight, an equal one is refused. */
bool scalar_hours(const char *text, uint16_t *ret_opens_min, uint16_t *ret_closes_min);

/* "mqtts://host:8883": the index of the scheme in "mqtt|mqtts", and what follows "://". */
bool scalar_scheme(const char *text, const char *schemes, unsigned *ret_scheme, const char **ret_rest);
/* The index of `word` among "a|b|c". */
bool scalar_word(const char *word, size_t length, const char *words, unsigned *ret_index);

/* Writing for people: 5000 -> "5s", 90000 -> "90s", 0 -> "0s". */
#define DURATION_SIZE 32
const char *scalar_duration_text(char buffer[DURATION_SIZE], uint64_t ms);

#endif
