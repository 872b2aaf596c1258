/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway that dies leaves for the next one: STATE_DIR/last-words, one page of plain text that says how it ended, what was late,
 * and the last lines of its log. It is written when that changes, by a thread of its own, and once more from the handlers of the signals
 * that kill: SIGABRT of the service manager's watchdog, SIGALRM of the watchdog here, faults. An orderly end removes it.
 * One for the process, because signal handlers have no context. Loop thread, but for the handlers. */
#ifndef YANHUO_LAST_WORDS_H
#define YANHUO_LAST_WORDS_H

#include <stdbool.h>

#include "base/limits.h"

#define LAST_WORDS_NAME "last-words"
#define LAST_WORDS_SIZE 4096     /* a page: the smallest a card writes, and a dozen lines of the log fit */
#define LAST_WORDS_HOW_SIZE 160  /* the first line, with its end */
#define LAST_WORDS_PART_SIZE 80  /* the second */
#define LAST_WORDS_TEXT_SIZE (LAST_WORDS_SIZE - LAST_WORDS_HOW_SIZE - LAST_WORDS_PART_SIZE)

/* A loop that gave no beat for so long is dead, and so then is the process. Longer than WatchdogSec of the service, whose manager comes
 * first; this one is for gateways that nobody watches: a broker must hear that they are gone. */
#define LAST_WORDS_LOOP_S 20

struct last_words_before {
    bool any;                     /* there were some: the gateway before did not end in order */
    char how[LAST_WORDS_HOW_SIZE];
    char part[NAME_SIZE];         /* for which it ended itself; "" for none */
    char text[LAST_WORDS_TEXT_SIZE + 1];
};

/* Reads what is there and keeps the file open; nothing is written yet. Without a file the watchdog works all the same. */
void last_words_open(const char *state_dir, struct last_words_before *ret_before);
/* What would be left from now on. `write`: it is news, to be written soon. */
void last_words_say(const char *text, bool write);
/* The loop is alive; from the first on the process ends when they stop. `loop_s` is LAST_WORDS_LOOP_S but in tests. */
void last_words_beat(unsigned loop_s);
/* This process will end itself for this part, in order. */
void last_words_restart(const char *part);
/* `keep`: it did not end in order, or has not begun. The watchdog goes on until the process is gone. */
void last_words_close(bool keep);

#endif
