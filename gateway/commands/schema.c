/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo schema: a JSON Schema of the configuration, for editors. */
#include "config/schema.h"

#include <stdio.h>

#include "gateway/commands/commands.h"

int command_schema(int argc, char **argv) {
    if (argc > 1) {
        fprintf(stderr, "usage: yanhuo %s > yanhuo.schema.json\n", argv[0]);
        return 2;
    }
    schema_print_json(stdout);
    return 0;
}
