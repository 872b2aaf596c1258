/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/event.h"

#include <string.h>

const char *link_reason_name(enum link_reason reason) {
    switch (reason) {
    case LINK_LOST:
        return "lost";
    case LINK_REFUSED_TCP:
        return "refused";
    case LINK_UNREACHABLE:
        return "unreachable";
    case LINK_CREDENTIALS:
        return "credentials";
    case LINK_CERTIFICATE:
        return "certificate";
    case LINK_PROTOCOL:
        return "protocol";
    case LINK_CLOSED:
        return "closed";
    }
    return "unknown";
}

const char *link_reason_sentence(enum link_reason reason) {
    switch (reason) {
    case LINK_LOST:
        return "the connection was lost";
    case LINK_REFUSED_TCP:
        return "nobody listens at that address and port";
    case LINK_UNREACHABLE:
        return "the address does not answer; check name, network and firewall";
    case LINK_CREDENTIALS:
        return "the broker refuses this user name and password";
    case LINK_CERTIFICATE:
        return "the broker's certificate does not hold; check ca_file and the host name";
    case LINK_PROTOCOL:
        return "the broker refuses the connection";
    case LINK_CLOSED:
        return "closed by the gateway";
    }
    return "unknown reason";
}

struct effect *effects_add(struct effects *effects, enum effect_kind kind) {
    if (effects->count == EFFECTS_MAX) {
        effects->full = true;
        return NULL;
    }
    struct effect *effect = &effects->items[effects->count++];
    memset(effect, 0, sizeof(*effect));
    effect->kind = kind;
    return effect;
}

bool effects_text(struct effects *effects, struct text *ret_text, uint32_t size) {
    if (EFFECT_BYTES_SIZE - effects->bytes_used < size) {
        effects->full = true;
        return false;
    }
    text_init(ret_text, effects->bytes + effects->bytes_used, size);
    return true;
}
