/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 (RFC 2104, FIPS 180-4) by the TLS library that the MQTT transport brings anyway. Any thread. */
#ifndef YANHUO_HMAC_H
#define YANHUO_HMAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HMAC_SIZE 32

/* ERR_NOMEM is the only failure. */
NODISCARD enum err hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size, uint8_t ret_mac[HMAC_SIZE]);

/* Takes the same time whatever differs, so that nobody can find a code byte by byte. */
bool hmac_equal(const uint8_t first[HMAC_SIZE], const uint8_t second[HMAC_SIZE]);

#endif
