/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo schema: a JSON Schema of the configuration, for editors. */
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#include "gateway/commands/commands.h"

int command_schema(int argc, char **argv) {
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc > 1) {
        fprintf(help ? stdout : stderr, "usage: yanhuo %s > yanhuo.schema.json\n", argv[0]);
        return help ? 0 : 2;
    }
    schema_print_json(stdout);
    return 0;
}
