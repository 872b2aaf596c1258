/* SPDX-License-Identifier: Apache-2.0 */
/* What can plainly never be true: two direct members of one `all` that exclude each other. And what can never clear: two direct members
 * of one `any` of which one always holds. Looked at are leaves and negated leaves; anything deeper is left to the person who wrote it.
 * Delays and deadbands are not looked at: two conditions that overlap only because one lags behind are no alarm that anybody means. */
#include "config/loader.h"

/* A direct member of a group: a leaf, or the one below a `not`. */
struct part {
    const struct config_term *leaf; /* NULL: a group */
    bool negated;
};

static struct part part_of(const struct config_term *term) {
    struct part part = {.leaf = term};
    if (term->kind == TERM_NOT) {
        part.negated = true;
        part.leaf = term + 1;
    }
    if (part.leaf->kind == TERM_ALL || part.leaf->kind == TERM_ANY || part.leaf->kind == TERM_NOT)
        part.leaf = NULL;
    return part;
}

static bool same_subject(const struct config_term *a, const struct config_term *b) {
    if (a->kind == TERM_OPEN || b->kind == TERM_OPEN)
        return a->kind == b->kind && a->place == b->place;
    return a->device == b->device && a->point == b->point;
}

/* No value satisfies both. */
static bool excludes(const struct config_term *a, const struct config_term *b) {
    if (a->kind > b->kind) /* each pair in one order: above, below, equal, missing */
        return excludes(b, a);
    if (b->kind == TERM_MISSING)
        return a->kind != TERM_MISSING;
    if (b->kind == TERM_EQUAL)
        return a->kind == TERM_EQUAL ? a->limit != b->limit : a->kind == TERM_ABOVE ? b->limit <= a->limit : b->limit >= a->limit;
    return a->kind == TERM_ABOVE && b->kind == TERM_BELOW && a->limit >= b->limit;
}

static bool contradict(struct part a, struct part b) {
    if (!a.leaf || !b.leaf || !same_subject(a.leaf, b.leaf))
        return false;
    if (a.negated != b.negated)
        return a.leaf->kind == b.leaf->kind && a.leaf->limit == b.leaf->limit;
    return !a.negated && a.leaf->kind != TERM_OPEN && excludes(a.leaf, b.leaf);
}

/* Every value satisfies one of them. */
static bool exhaust(struct part a, struct part b) {
    if (!a.leaf || !b.leaf || !same_subject(a.leaf, b.leaf))
        return false;
    if (a.negated != b.negated)
        return a.leaf->kind == b.leaf->kind && a.leaf->limit == b.leaf->limit;
    if (a.negated)
        return a.leaf->kind != TERM_OPEN && excludes(a.leaf, b.leaf);
    return (a.leaf->kind == TERM_ABOVE && b.leaf->kind == TERM_BELOW && a.leaf->limit < b.leaf->limit) ||
           (a.leaf->kind == TERM_BELOW && b.leaf->kind == TERM_ABOVE && b.leaf->limit < a.leaf->limit);
}

bool contradiction_find(const struct config_term *terms, uint16_t count, bool *ret_always, uint16_t *ret_first, uint16_t *ret_second) {
    for (uint16_t group = 0; group < count; group++) {
        if (terms[group].kind != TERM_ALL && terms[group].kind != TERM_ANY)
            continue;
        *ret_always = terms[group].kind == TERM_ANY;
        uint16_t end = (uint16_t)(group + terms[group].span);
        for (uint16_t a = (uint16_t)(group + 1); a < end; a = (uint16_t)(a + terms[a].span))
            for (uint16_t b = (uint16_t)(a + terms[a].span); b < end; b = (uint16_t)(b + terms[b].span))
                if ((*ret_always ? exhaust : contradict)(part_of(&terms[a]), part_of(&terms[b]))) {
                    *ret_first = a;
                    *ret_second = b;
                    return true;
                }
    }
    return false;
}
