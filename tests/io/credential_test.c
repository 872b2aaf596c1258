/* SPDX-License-Identifier: Apache-2.0 */
/* A secret in a file, as the service manager lays it out, and what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/io/credential.h"

static char folder[32], buffer[CREDENTIAL_SIZE], why[160];
static size_t length;

static int begin(void **state) {
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/yanhuo-key-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int finish(void **state) {
    char path[64];
    (void)state;
    snprintf(path, sizeof(path), "%s/key", folder);
    (void)unlink(path);
    return rmdir(folder);
}

static void write_key(const char *bytes, size_t size) {
    char path[64];
    snprintf(path, sizeof(path), "%s/key", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void line_ends_are_no_part_of_it(void **state) {
    (void)state;
    write_key("a key \r\n\n", 9);
    assert_true(credential_read(folder, "key", buffer, &length, why, sizeof(why)));
    assert_int_equal(length, 6);
    assert_string_equal(buffer, "a key ");
    write_key("\n", 1);
    assert_true(credential_read(folder, "key", buffer, &length, why, sizeof(why)));
    assert_int_equal(length, 0);
}

static void a_key_is_whole_or_refused(void **state) {
    (void)state;
    char bytes[CREDENTIAL_SIZE];
    memset(bytes, 'k', sizeof(bytes));
    write_key(bytes, sizeof(bytes) - 1);
    assert_true(credential_read(folder, "key", buffer, &length, why, sizeof(why)));
    assert_int_equal(length, sizeof(bytes) - 1);
    write_key(bytes, sizeof(bytes));
    assert_false(credential_read(folder, "key", buffer, &length, why, sizeof(why)));
    assert_string_equal(why, "credential key cannot be read: it is longer than 1023 bytes");
}

static void what_is_missing_is_named(void **state) {
    (void)state;
    assert_false(credential_read(folder, "key", buffer, &length, why, sizeof(why)));
    assert_string_equal(why, "credential key cannot be read: No such file or directory");
    assert_false(credential_read("/nowhere", "key", buffer, &length, why, sizeof(why)));
    assert_string_equal(why, "credential key cannot be read: No such file or directory");
    assert_false(credential_read(NULL, "key", buffer, &length, why, sizeof(why)));
    assert_string_equal(why, "credential key cannot be read: no credentials folder given");
    assert_false(credential_read(folder, ".", buffer, &length, why, sizeof(why)));
    assert_string_equal(why, "credential . cannot be read: Is a directory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_ends_are_no_part_of_it, begin, finish),
        cmocka_unit_test_setup_teardown(a_key_is_whole_or_refused, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_missing_is_named, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
