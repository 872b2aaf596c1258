/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

const char *err_name(enum err err) {
    switch (err) {
#define X(name, text, sentence) \
    case ERR_##name: \
        return text;
        ERR_MAP(X)
#undef X
    }
    return "unknown";
}

const char *err_sentence(enum err err) {
    switch (err) {
#define X(name, text, sentence) \
    case ERR_##name: \
        return sentence;
        ERR_MAP(X)
#undef X
    }
    return "unknown error";
}
