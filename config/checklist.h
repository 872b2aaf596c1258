/* SPDX-License-Identifier: Apache-2.0 */
/* A place's rules as the list that a person goes through: what is watched, from which limit on and after how long, how urgent it
 * is, what to do, on what ground and how sure that is, which local action hangs on it, and what is not watched. Pure but for the
 * printing; at any time, on a loaded configuration. */
#ifndef YANHUO_CHECKLIST_H
#define YANHUO_CHECKLIST_H

#include <stdio.h>

#include "config/config.h"

enum checklist_language { CHECKLIST_ZH = 1, CHECKLIST_EN = 2, CHECKLIST_BOTH = 3 };

/* `place`: an index, or CONFIG_NONE for all of them and what belongs to none. */
void checklist_print(const struct config *config, uint16_t place, enum checklist_language language, FILE *to);

#endif
