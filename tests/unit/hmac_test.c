/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of RFC 4231, section 4, and the comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/io/hmac.h"

struct vector {
    const char *key, *data;
    size_t key_size, data_size; /* of repeated bytes; 0: the text itself */
    uint8_t mac[HMAC_SIZE];
    unsigned mac_size; /* the fifth is cut to 128 bits */
};

static const struct vector vectors[] = {
    {"\x0b", "Hi There", 20, 0, {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b,
                                 0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7, 0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7}, 32},
    {"Jefe", "what do ya want for nothing?", 0, 0, {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
                                                    0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43}, 32},
    {"\xaa", "\xdd", 20, 50, {0x77, 0x3e, 0xa9, 0x1e, 0x36, 0x80, 0x0e, 0x46, 0x85, 0x4d, 0xb8, 0xeb, 0xd0, 0x91, 0x81, 0xa7,
                              0x29, 0x59, 0x09, 0x8b, 0x3e, 0xf8, 0xc1, 0x22, 0xd9, 0x63, 0x55, 0x14, 0xce, 0xd5, 0x65, 0xfe}, 32},
    {"\x0c", "Test With Truncation", 20, 0, {0xa3, 0xb6, 0x16, 0x74, 0x73, 0x10, 0x0e, 0xe0, 0x6e, 0x0c, 0x79, 0x6c, 0x29, 0x55, 0x55, 0x2b}, 16},
    {"\xaa", "Test Using Larger Than Block-Size Key - Hash Key First", 131, 0,
     {0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26, 0xaa, 0xcb, 0xf5, 0xb7, 0x7f,
      0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54}, 32},
    {"\xaa", "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by "
             "the HMAC algorithm.", 131, 0,
     {0x9b, 0x09, 0xff, 0xa7, 0x1b, 0x94, 0x2f, 0xcb, 0x27, 0x63, 0x5f, 0xbc, 0xd5, 0xb0, 0xe9, 0x44,
      0xbf, 0xdc, 0x63, 0x64, 0x4f, 0x07, 0x13, 0x93, 0x8a, 0x7f, 0x51, 0x53, 0x5c, 0x3a, 0x35, 0xe2}, 32},
};

static const void *expand(uint8_t bytes[256], const char *text, size_t size, size_t *ret_size) {
    *ret_size = size ? size : strlen(text);
    memset(bytes, (unsigned char)text[0], size);
    return size ? (const void *)bytes : text;
}

static void rfc_4231(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        uint8_t key_bytes[256], data_bytes[256], mac[HMAC_SIZE];
        size_t key_size, data_size;
        const void *key = expand(key_bytes, vectors[i].key, vectors[i].key_size, &key_size);
        const void *data = expand(data_bytes, vectors[i].data, vectors[i].data_size, &data_size);
        assert_int_equal(hmac_sha256(key, key_size, data, data_size, mac), ERR_OK);
        assert_memory_equal(mac, vectors[i].mac, vectors[i].mac_size);
    }
}

/* The fourth vector: key 01 02 .. 19, fifty times CD. */
static void rfc_4231_counting_key(void **state) {
    (void)state;
    static const uint8_t right[HMAC_SIZE] = {0x82, 0x55, 0x8a, 0x38, 0x9a, 0x44, 0x3c, 0x0e, 0xa4, 0xcc, 0x81, 0x98, 0x99, 0xf2, 0x08, 0x3a,
                                             0x85, 0xf0, 0xfa, 0xa3, 0xe5, 0x78, 0xf8, 0x07, 0x7a, 0x2e, 0x3f, 0xf4, 0x67, 0x29, 0x66, 0x5b};
    uint8_t key[25], data[50], mac[HMAC_SIZE];
    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i + 1);
    memset(data, 0xcd, sizeof(data));
    assert_int_equal(hmac_sha256(key, sizeof(key), data, sizeof(data), mac), ERR_OK);
    assert_memory_equal(mac, right, HMAC_SIZE);
}

static void every_bit_counts(void **state) {
    (void)state;
    for (unsigned bit = 0; bit < 8 * HMAC_SIZE; bit++) {
        uint8_t other[HMAC_SIZE];
        memcpy(other, vectors[0].mac, HMAC_SIZE);
        assert_true(hmac_equal(vectors[0].mac, other));
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(hmac_equal(vectors[0].mac, other));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4231),
        cmocka_unit_test(rfc_4231_counting_key),
        cmocka_unit_test(every_bit_counts),
    };
    return cmocka_run_group_tests_name("hmac", tests, NULL, NULL);
}
