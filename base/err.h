/* SPDX-License-Identifier: Apache-2.0 */
/* One enumeration of expected failures, grouped by what the caller does about them. Foreign codes are translated in
 * the file that owns the foreign header. Our own mistakes are not in here: they end in CHECK (check.h). */
#ifndef YANHUO_ERR_H
#define YANHUO_ERR_H

#define ERR_MAP(X) \
    X(OK, "ok", "no error") \
    /* retry */ \
    X(TIMEOUT, "timeout", "no answer within the time allowed") \
    X(BUSY, "busy", "in use by something else") \
    X(DISCONNECTED, "disconnected", "the other side is not reachable") \
    X(AGAIN, "again", "not now; there is no room or nothing to do yet") \
    /* give up on this item */ \
    X(PROTOCOL, "protocol", "the other side broke the protocol") \
    X(REFUSED, "refused", "the other side understood and refused") \
    X(RANGE, "range", "outside what is allowed") \
    X(NOT_FOUND, "not found", "there is no such thing") \
    /* give up on the file */ \
    X(SYNTAX, "syntax", "the text could not be read") \
    X(INVALID, "invalid", "the text was read but does not make sense") \
    /* degrade and tell a person */ \
    X(FULL, "full", "no room left") \
    X(CORRUPT, "corrupt", "the stored data is damaged") \
    X(IO, "io", "the operating system reported an error") \
    /* stop (at start only) */ \
    X(NOMEM, "no memory", "not enough memory to start")

enum err {
#define X(name, text, sentence) ERR_##name,
    ERR_MAP(X)
#undef X
};

#define NODISCARD __attribute__((warn_unused_result))

/* A short name ("timeout") and a sentence for a person; both static. */
const char *err_name(enum err err);
const char *err_sentence(enum err err);

#endif
