/* SPDX-License-Identifier: Apache-2.0 */
/* Text in bounded buffers, numbers both ways without a locale, JSON escaping, and times as people read them.
 * Every function is pure, allocates nothing and may be called from any thread. */
#ifndef YANHUO_TEXT_H
#define YANHUO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A writer over a caller's buffer. Once something did not fit, `full` stays set and nothing more is written;
 * the text always ends with a mark. Check `full` once at the end. */
struct text {
    char *bytes;
    size_t size, length;
    bool full;
};

void text_init(struct text *text, char *bytes, size_t size);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_add_char(struct text *text, char c);
void text_add_u64(struct text *text, uint64_t value);
void text_add_s64(struct text *text, int64_t value);
void text_add_hex64(struct text *text, uint64_t value); /* 16 lower-case digits */

/* The shortest decimal form that reads back as the same double ("0.1", "1e+300", "-0"); "null" for NaN and infinities. */
void text_add_double(struct text *text, double value);

/* The double that a person means by a float: the one nearest to the shortest decimal that reads back as the same float, 230.2
 * and not 230.19999694824219. NaN and infinities stay what they are. */
double text_widen_float(float value);

/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD, so that the output is always valid. NULL gives null. */
void text_add_json(struct text *text, const char *string);

/* RFC 3339 with milliseconds and offset: 2026-11-23T12:00:00.123+08:00 */
void text_add_time(struct text *text, int64_t wall_ms, int offset_minutes);

/* Strict readings of a whole string: false, and nothing written, for an empty string, blanks, a sign where none is
 * allowed, trailing text, overflow, hexadecimal floats, "nan" and "inf". `text_read_u64` takes decimal and 0x forms. */
bool text_read_u64(const char *string, uint64_t *ret_value);
bool text_read_s64(const char *string, int64_t *ret_value);
bool text_read_double(const char *string, double *ret_value);

/* RFC 3339 with an offset or Z, fractions of up to nine digits cut to milliseconds; strict like the readings above. There is no
 * 60th second (no clock here counts it), no 24th hour, no 30 February. */
bool text_read_time(const char *string, int64_t *ret_wall_ms);

/* Copies with a cut at a UTF-8 character's border; returns false when it was cut. */
bool text_copy(char *target, size_t size, const char *source);

/* Number of single-character edits between two short words, at most `limit` + 1: "did you mean". */
unsigned text_distance(const char *a, const char *b, unsigned limit);

bool text_is_utf8(const char *bytes, size_t length);

/* A name as the configuration allows it: a letter or digit, then letters, digits, '-', '_', '.'; shorter than NAME_SIZE. */
bool text_is_name(const char *string);

#endif
