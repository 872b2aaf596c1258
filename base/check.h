/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK states what our own code guarantees. It stays on in release: a gateway that is wrong about itself stops at once,
 * says where, and is started again by systemd. It is never used for input, which is answered with an enum err. */
#ifndef YANHUO_CHECK_H
#define YANHUO_CHECK_H

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            check_failed(__FILE__, __LINE__, #condition); \
    } while (0)

__attribute__((noreturn)) void check_failed(const char *file, int line, const char *condition);

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
