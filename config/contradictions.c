/* SPDX-License-Identifier: Apache-2.0 */
/* What can plainly never be, in a composite with groups in groups. For each two conditions the innermost group that
 * holds both decides. What lies between that group and a condition has a sign: below an odd number of `not` a condition is negated, and an
 * `all` is an `any` of negated ones and the other way round (De Morgan).
 *
 *   `all`, both directly or through more `all`, and they exclude each other                     the group is never true: NEVER
 *   `any`, both directly or through more `any`, and one of them always holds                    the group never clears: ALWAYS
 *   `all`, one directly, the other an alternative below it, and they exclude each other         the alternative never counts: USELESS
 *
 * Two alternatives of two different `any` may exclude each other: others of them are left. Delays and deadbands are not looked at: two
 * conditions that overlap only because one lags behind are no alarm that anybody means. */
#include "config/loader.h"

struct part { /* a condition with its sign */
    const struct config_term *leaf;
    bool negated;
};

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
    if (!same_subject(a.leaf, b.leaf))
        return false;
    if (a.negated != b.negated)
        return a.leaf->kind == b.leaf->kind && a.leaf->limit == b.leaf->limit;
    return !a.negated && a.leaf->kind != TERM_OPEN && excludes(a.leaf, b.leaf);
}

/* Every value satisfies one of them. */
static bool exhaust(struct part a, struct part b) {
    if (!same_subject(a.leaf, b.leaf))
        return false;
    if (a.negated != b.negated)
        return a.leaf->kind == b.leaf->kind && a.leaf->limit == b.leaf->limit;
    if (a.negated)
        return a.leaf->kind != TERM_OPEN && excludes(a.leaf, b.leaf);
    return (a.leaf->kind == TERM_ABOVE && b.leaf->kind == TERM_BELOW && a.leaf->limit < b.leaf->limit) ||
           (a.leaf->kind == TERM_BELOW && b.leaf->kind == TERM_ABOVE && b.leaf->limit < a.leaf->limit);
}

/* ---- groups in groups ---- */

static bool is_group(const struct config_term *term) {
    return term->kind == TERM_ALL || term->kind == TERM_ANY;
}

static bool is_leaf(const struct config_term *term) {
    return !is_group(term) && term->kind != TERM_NOT;
}

static bool holds(const struct config_term *terms, uint16_t outer, uint16_t inner) {
    return outer < inner && inner < outer + terms[outer].span;
}

/* Seen from the group: whether an odd number of `not` lies between. */
static bool negated(const struct config_term *terms, uint16_t group, uint16_t index) {
    bool odd = false;
    for (uint16_t i = (uint16_t)(group + 1); i < index; i++)
        odd = odd != (terms[i].kind == TERM_NOT && holds(terms, i, index));
    return odd;
}

/* Whether only groups of the same sort, their signs included, lie between the group and the condition. */
static bool direct(const struct config_term *terms, uint16_t group, uint16_t leaf) {
    for (uint16_t i = (uint16_t)(group + 1); i < leaf; i++)
        if (is_group(&terms[i]) && holds(terms, i, leaf) && (terms[i].kind != terms[group].kind) != negated(terms, group, i))
            return false;
    return true;
}

/* Whether no group inside this one holds both. */
static bool innermost(const struct config_term *terms, uint16_t group, uint16_t first, uint16_t second) {
    for (uint16_t i = (uint16_t)(group + 1); i < first; i++)
        if (is_group(&terms[i]) && holds(terms, i, first) && holds(terms, i, second))
            return false;
    return true;
}

static enum contradiction judge(const struct config_term *terms, uint16_t group, uint16_t first, uint16_t second) {
    struct part a = {&terms[first], negated(terms, group, first)}, b = {&terms[second], negated(terms, group, second)};
    bool a_direct = direct(terms, group, first), b_direct = direct(terms, group, second);
    if (terms[group].kind == TERM_ANY)
        return a_direct && b_direct && exhaust(a, b) ? CONTRADICTION_ALWAYS : CONTRADICTION_NONE;
    if ((!a_direct && !b_direct) || !contradict(a, b))
        return CONTRADICTION_NONE;
    return a_direct && b_direct ? CONTRADICTION_NEVER : CONTRADICTION_USELESS;
}

/* The first of what is wanted, group by group. `at` is where a person looks first, `other` what stands against it. */
static enum contradiction find(const struct config_term *terms, uint16_t count, bool useless, uint16_t *ret_at, uint16_t *ret_other) {
    for (uint16_t group = 0; group < count; group++)
        for (uint16_t a = (uint16_t)(group + 1); is_group(&terms[group]) && holds(terms, group, a); a++)
            for (uint16_t b = (uint16_t)(a + 1); is_leaf(&terms[a]) && holds(terms, group, b); b++) {
                if (!is_leaf(&terms[b]) || !innermost(terms, group, a, b))
                    continue;
                enum contradiction found = judge(terms, group, a, b);
                if (found == CONTRADICTION_NONE || (found == CONTRADICTION_USELESS) != useless)
                    continue;
                bool first = useless && direct(terms, group, b); /* the alternative stands first */
                *ret_at = first ? a : b;
                *ret_other = first ? b : a;
                return found;
            }
    return CONTRADICTION_NONE;
}

enum contradiction contradiction_find(const struct config_term *terms, uint16_t count, uint16_t *ret_at, uint16_t *ret_other) {
    enum contradiction found = find(terms, count, false, ret_at, ret_other);
    return found ? found : find(terms, count, true, ret_at, ret_other);
}
