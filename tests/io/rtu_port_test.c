/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver says about its adapter's latency, read from a sysfs of our own: by the node's name, through the link a person
 * configures, and whatever nonsense stands there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensors/rtu_port.h"

static char folder[] = "/tmp/yanhuo-port-XXXXXX";

static const char *in_folder(const char *rest) {
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, rest);
    return path;
}

static void write_file(const char *rest, const char *text) {
    FILE *file = fopen(in_folder(rest), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int latency_of(const char *rest) {
    return rtu_port_latency_ms(folder, in_folder(rest));
}

static void latency_is_read(void **state) {
    (void)state;
    static const char *const folders[] = {"class", "class/tty", "class/tty/ttyUSB7", "class/tty/ttyUSB7/device", "dev"};
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        assert_int_equal(mkdir(in_folder(folders[i]), 0700), 0);
    write_file("dev/ttyUSB7", "");
    write_file("dev/ttyS0", "");
    assert_int_equal(symlink("ttyUSB7", in_folder("dev/by-id")), 0);

    assert_int_equal(latency_of("dev/ttyUSB7"), -1); /* its driver says nothing */
    write_file("class/tty/ttyUSB7/device/latency_timer", "16\n");
    assert_int_equal(latency_of("dev/ttyUSB7"), 16);
    assert_int_equal(latency_of("dev/by-id"), 16);
    write_file("class/tty/ttyUSB7/device/latency_timer", "1\n");
    assert_int_equal(latency_of("dev/by-id"), 1);
    static const char *const nonsense[] = {"", "soon\n", "-3\n", "99999999999999999999\n", "5000\n"};
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        write_file("class/tty/ttyUSB7/device/latency_timer", nonsense[i]);
        assert_int_equal(latency_of("dev/ttyUSB7"), -1);
    }
    assert_int_equal(latency_of("dev/ttyS0"), -1);
    assert_int_equal(latency_of("dev/unplugged"), -1);
}

static int clean_up(void **state) {
    (void)state;
    static const char *const rests[] = {"class/tty/ttyUSB7/device/latency_timer", "class/tty/ttyUSB7/device", "class/tty/ttyUSB7", "class/tty", "class",
                                        "dev/by-id", "dev/ttyUSB7", "dev/ttyS0", "dev", ""};
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++)
        remove(in_folder(rests[i]));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(latency_is_read)};
    return cmocka_run_group_tests_name("rtu_port", tests, NULL, clean_up);
}
