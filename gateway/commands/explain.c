/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo explain [KEY]: what a key of the configuration means, or the list of all. */
#include <stdio.h>
#include <string.h>

#include "config/schema.h"
#include "gateway/commands/commands.h"

int command_explain(int argc, char **argv) {
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(help ? stdout : stderr, "usage: yanhuo %s [KEY]      for example: yanhuo %s 'uplinks.*.readings.batch'\n", argv[0], argv[0]);
        return help ? 0 : 2;
    }
    if (argc == 1) {
        schema_explain_list(stdout);
        return 0;
    }
    return schema_explain(argv[1], stdout, stderr) ? 0 : 2;
}
