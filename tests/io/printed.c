/* SPDX-License-Identifier: Apache-2.0 */
#include "printed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

char printed[PRINTED_SIZE];

int printed_run(const char *format, ...) {
    char arguments[2048], line[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof(arguments), format, list);
    va_end(list);
    snprintf(line, sizeof(line), "%s %s 2>&1 </dev/null", PROGRAM, arguments);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    printed[fread(printed, 1, sizeof(printed) - 1, pipe)] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void printed_has(const char *part) {
    if (!strstr(printed, part))
        fail_msg("'%s' is not in: %s", part, printed);
}

void printed_has_not(const char *part) {
    if (strstr(printed, part))
        fail_msg("'%s' is in: %s", part, printed);
}
