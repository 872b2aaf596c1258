/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/hmac.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "base/check.h"

enum err hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size, uint8_t ret_mac[HMAC_SIZE]) {
    unsigned length = 0;
    CHECK(key_size <= INT_MAX);
    if (!HMAC(EVP_sha256(), key, (int)key_size, bytes, size, ret_mac, &length))
        return ERR_NOMEM;
    CHECK(length == HMAC_SIZE);
    return ERR_OK;
}

bool hmac_equal(const uint8_t first[HMAC_SIZE], const uint8_t second[HMAC_SIZE]) {
    return CRYPTO_memcmp(first, second, HMAC_SIZE) == 0;
}
