/* SPDX-License-Identifier: Apache-2.0 */
/* What is judged stands in line_judge.h. */
#include "gateway/simulator/line_judge.h"

#include "base/check.h"
#include "base/now.h"

const char *line_violation_name(enum line_violation violation) {
    static const char *const names[] = {[LINE_CLEAN] = "", [LINE_EARLY] = "EARLY", [LINE_TALKOVER] = "TALKOVER"};
    CHECK((unsigned)violation < ARRAY_COUNT(names));
    return names[violation];
}

void line_judge_init(struct line_judge *judge, const struct line_timing *timing) {
    CHECK(timing->baud > 0);
    *judge = (struct line_judge){.timing = *timing, .own_end_us = NOW_NEVER};
}

/* Characters of a span whose last bit was at least the reaction time ago. */
static size_t known_size(const struct line_judge *judge, const struct line_span *span, int64_t at_us) {
    int64_t since_us = at_us - LINE_JUDGE_REACTION_US - span->begin_us;
    if (since_us <= 0)
        return 0;
    int64_t characters = since_us * 1000 / line_character_ns(&judge->timing);
    return characters < (int64_t)span->size ? (size_t)characters : span->size;
}

static enum line_violation judged(const struct line_judge *judge, int64_t at_us) {
    int64_t silence_us = line_silence_us(&judge->timing);
    bool early = judge->own_end_us != NOW_NEVER && at_us < judge->own_end_us + silence_us;
    unsigned count = judge->spoken_count < LINE_JUDGE_SPANS ? judge->spoken_count : LINE_JUDGE_SPANS;
    for (unsigned i = 0; i < count; i++) {
        const struct line_span *span = &judge->spoken[i];
        size_t known = known_size(judge, span, at_us);
        if (known > 0 && at_us < span->begin_us + line_bytes_us(&judge->timing, span->size))
            return LINE_TALKOVER;
        early = early || (known > 0 && at_us < span->begin_us + line_bytes_us(&judge->timing, known) + silence_us);
    }
    return early ? LINE_EARLY : LINE_CLEAN;
}

static void add(struct line_share *share, int64_t ideal_us, int64_t elapsed_us) {
    share->ideal_us += ideal_us;
    share->elapsed_us += elapsed_us;
}

enum line_violation line_judge_request(struct line_judge *judge, int64_t at_us) {
    enum line_violation violation = judged(judge, at_us);
    if (judge->open) {
        add(&judge->all, judge->open_ideal_us, at_us - judge->open_us);
        if (!judge->disturbed)
            add(&judge->undisturbed, judge->open_ideal_us, at_us - judge->open_us);
    }
    judge->open = true;
    judge->disturbed = false;
    judge->open_us = judge->own_end_us = at_us;
    judge->open_ideal_us = 0;
    judge->requests++;
    judge->early += violation == LINE_EARLY;
    judge->talkover += violation == LINE_TALKOVER;
    return violation;
}

void line_judge_sent(struct line_judge *judge, int64_t end_us) {
    judge->own_end_us = end_us;
}

void line_judge_spoken(struct line_judge *judge, int64_t begin_us, size_t size) {
    judge->spoken[judge->spoken_count++ % LINE_JUDGE_SPANS] = (struct line_span){begin_us, size};
}

void line_judge_answered(struct line_judge *judge, size_t request_size, int64_t turnaround_us, size_t reply_size) {
    judge->answered++;
    judge->open_ideal_us =
        line_bytes_us(&judge->timing, request_size) + turnaround_us + line_bytes_us(&judge->timing, reply_size) + line_silence_us(&judge->timing);
}

void line_judge_disturbed(struct line_judge *judge) {
    judge->disturbed = true;
}

void line_judge_recount(struct line_judge *judge) {
    judge->requests = judge->answered = judge->early = judge->talkover = 0;
    judge->all = judge->undisturbed = (struct line_share){0};
    judge->open = false;
}

unsigned line_share_hundredths(const struct line_share *share) {
    return share->elapsed_us > 0 ? (unsigned)((share->ideal_us * 10000 + share->elapsed_us / 2) / share->elapsed_us) : 0;
}
