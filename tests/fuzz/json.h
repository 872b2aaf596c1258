/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reader of JSON (RFC 8259) that only says yes or no, written for the tests so that the product's own text code is not
 * compared with itself: one value, no blanks outside of strings (the contract has none), valid UTF-8, no control characters. */
#ifndef YANHUO_TESTS_JSON_H
#define YANHUO_TESTS_JSON_H

#include <stdbool.h>
#include <stddef.h>

bool json_is_valid(const char *bytes, size_t size);
bool json_is_utf8(const char *bytes, size_t size); /* no overlong forms, no surrogates, nothing above U+10FFFF */

#endif
