/* SPDX-License-Identifier: Apache-2.0 */
/* The list of everything found wrong, kept in the order found and printed in the order of the files. Texts may quote what a
 * person wrote, so control characters are made visible here, once, and no message can be longer than a line. */
#include "config/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void diagnostics_init(struct diagnostics *diagnostics) {
    memset(diagnostics, 0, sizeof(*diagnostics));
    arena_init(&diagnostics->arena);
}

void diagnostics_done(struct diagnostics *diagnostics) {
    arena_done(&diagnostics->arena);
    diagnostics->count = 0;
}

/* The file's name outlives its caller: one copy is shared by all messages about the same file. */
static const char *keep_file(struct diagnostics *diagnostics, const char *file) {
    for (unsigned i = diagnostics->count; i > 0; i--)
        if (strcmp(diagnostics->items[i - 1].file, file) == 0)
            return diagnostics->items[i - 1].file;
    return arena_text(&diagnostics->arena, file, strlen(file));
}

void diagnostics_add(struct diagnostics *diagnostics, enum diagnostic_level level, const char *file, unsigned line, unsigned column,
                     const char *format, ...) {
    if (level == DIAGNOSTIC_ERROR)
        diagnostics->errors++;
    else
        diagnostics->warnings++;
    if (diagnostics->count == DIAGNOSTICS_MAX) {
        diagnostics->suppressed++;
        return;
    }
    char whole[LINE_SIZE * 2], cut[LINE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(whole, sizeof(whole), format, args);
    va_end(args);
    for (char *c = whole; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    text_copy(cut, sizeof(cut), whole);
    struct diagnostic *item = &diagnostics->items[diagnostics->count];
    item->file = keep_file(diagnostics, file);
    item->level = level;
    item->line = line;
    item->column = column;
    item->text = arena_text(&diagnostics->arena, cut, strlen(cut));
    diagnostics->count++;
}

/* Files keep the order in which they were first complained about, the site's own first in practice. */
static unsigned file_order(const struct diagnostics *diagnostics, const char *file) {
    unsigned i = 0;
    while (diagnostics->items[i].file != file)
        i++;
    return i;
}

static bool stands_before(const struct diagnostics *diagnostics, unsigned a, unsigned b) {
    const struct diagnostic *x = &diagnostics->items[a], *y = &diagnostics->items[b];
    if (x->file != y->file)
        return file_order(diagnostics, x->file) < file_order(diagnostics, y->file);
    if (x->line != y->line)
        return x->line < y->line;
    return x->column < y->column;
}

void diagnostics_print(const struct diagnostics *diagnostics, FILE *to) {
    unsigned order[DIAGNOSTICS_MAX];
    for (unsigned i = 0; i < diagnostics->count; i++) {
        unsigned at = i;
        for (; at > 0 && stands_before(diagnostics, i, order[at - 1]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (unsigned i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *item = &diagnostics->items[order[i]];
        const char *level = item->level == DIAGNOSTIC_ERROR ? "error" : "warning";
        if (item->line)
            fprintf(to, "%s:%u:%u: %s: %s\n", item->file, item->line, item->column, level, item->text);
        else
            fprintf(to, "%s: %s: %s\n", item->file, level, item->text);
    }
    if (diagnostics->suppressed)
        fprintf(to, "... and %u more; repair these first\n", diagnostics->suppressed);
}
