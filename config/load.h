/* SPDX-License-Identifier: Apache-2.0 */
/* From a YAML file to a struct config, or to every error at once. Start-up and commands only; one thread.
 * Bad input is never fatal to the program: whatever the bytes, the answer is a configuration or a list of diagnostics. */
#ifndef YANHUO_LOAD_H
#define YANHUO_LOAD_H

#include <stdio.h>

#include "config/config.h"

enum diagnostic_level { DIAGNOSTIC_WARNING, DIAGNOSTIC_ERROR };

struct diagnostic {
    enum diagnostic_level level;
    const char *file;
    unsigned line, column; /* from 1; 0 when the whole file is meant */
    const char *text;      /* what is wrong, what was expected, what to do */
};

struct diagnostics {
    struct arena arena;
    struct diagnostic items[DIAGNOSTICS_MAX];
    unsigned count, errors, warnings, suppressed; /* errors and warnings count the suppressed ones too */
};

void diagnostics_init(struct diagnostics *diagnostics);
void diagnostics_done(struct diagnostics *diagnostics);
__attribute__((format(printf, 6, 7))) void diagnostics_add(struct diagnostics *diagnostics, enum diagnostic_level level, const char *file, unsigned line,
                                                           unsigned column, const char *format, ...);
/* `file:line:column: error: text`, in the order of the file, then a line for what was suppressed. */
void diagnostics_print(const struct diagnostics *diagnostics, FILE *to);

/* Loads `path`. Profiles are looked for in the file's own `profiles:` folder first (relative to the file), then in
 * `profiles_dir`. *ret_config lives in `arena`. ERR_INVALID or ERR_SYNTAX when there is an error among the diagnostics;
 * warnings alone are no failure. */
NODISCARD enum err config_load(const char *path, const char *profiles_dir, struct arena *arena, struct diagnostics *diagnostics,
                               const struct config **ret_config);

/* Loads a copy of what a configuration was made of, taken elsewhere: DIR/gateway.yaml, DIR/profiles/NAME.yaml and
 * DIR/profiles/rules/KIND.yaml. Nothing else of this machine is looked at, its time zones neither. */
NODISCARD enum err config_load_copy(const char *dir, int utc_offset_minutes, struct arena *arena, struct diagnostics *diagnostics,
                                    const struct config **ret_config);

/* The folder that profiles are installed in; the source tree's own when it is run from there. */
const char *config_profiles_dir(void);
/* The same for the ready rules of each kind of place. */
const char *config_rules_dir(void);

#endif
