/* SPDX-License-Identifier: Apache-2.0 */
/* Points are sorted so that those which may share a request stand together by rising address; then each either joins the
 * request before it or begins a new one. The cost compared is that of plan.h: one more request costs 13 characters (8 asked,
 * 5 around the reply), the turnaround T, the silence t35 and the host's overhead h; a gap costs two characters a register or
 * an eighth of one a bit. Greedy from the left is the fewest requests, because no later point can join an earlier request. */
#include "sensors/plan.h"

#include <stdlib.h>

#include "base/check.h"
#include "sensors/response.h"

#define REQUEST_CHARACTERS 13 /* frame around a read, both ways: 8 + 5 */

struct span {
    uint16_t index; /* of the point within the device */
    const struct point *point;
    uint32_t begin, end; /* addresses, end exclusive */
};

static bool reads_bits(const struct point *point) {
    return point->read == READ_COIL || point->read == READ_DISCRETE;
}

static bool is_fire(const struct point *point) {
    return point->class == CLASS_FIRE;
}

static int compare(uint64_t a, uint64_t b) {
    return (a > b) - (a < b);
}

static int compare_spans(const void *left, const void *right) {
    const struct span *a = left, *b = right;
    int order = compare(is_fire(b->point), is_fire(a->point));
    if (order == 0)
        order = compare(b->point->feeds_action, a->point->feeds_action);
    if (order == 0)
        order = compare(a->point->read, b->point->read);
    if (order == 0)
        order = compare(a->point->every_ms, b->point->every_ms);
    if (order == 0)
        order = compare(a->begin, b->begin);
    if (order == 0)
        order = compare(a->index, b->index);
    return order;
}

static bool alike(const struct point *a, const struct point *b) {
    return a->read == b->read && a->every_ms == b->every_ms && is_fire(a) == is_fire(b) && a->feeds_action == b->feeds_action;
}

/* Is reading `gap` unused addresses along cheaper than a second request? */
static bool gap_pays(const struct device_spec *device, const struct line_timing *line, bool bits, uint32_t gap) {
    if (gap == 0)
        return true;
    if (!device->gaps_allowed)
        return false;
    if (line == NULL)
        return true;
    int64_t character_ns = line_character_ns(line);
    int64_t request_ns = REQUEST_CHARACTERS * character_ns + (PLAN_TURNAROUND_US + line_silence_us(line) + PLAN_HOST_US) * 1000;
    return bits ? gap * character_ns < 8 * request_ns : gap * 2 * character_ns < request_ns;
}

/* Of one point alone. */
static uint32_t addresses_alone(const struct device_spec *device, bool bits) {
    if (bits)
        return BITS_READ_MAX;
    return device->registers_max < REGISTERS_READ_MAX ? device->registers_max : REGISTERS_READ_MAX;
}

static uint32_t addresses_max(const struct device_spec *device, bool bits) {
    uint32_t most = addresses_alone(device, bits), capped = bits ? device->reply_bytes_max * 8u : device->reply_bytes_max / 2u;
    return device->reply_bytes_max != 0 && capped < most ? capped : most;
}

static void fill_span(const struct device_spec *device, uint16_t index, struct span *ret_span) {
    const struct point *point = &device->points[index];
    *ret_span = (struct span){.index = index, .point = point, .begin = point->address};
    ret_span->end = ret_span->begin + (reads_bits(point) ? 1 : point->registers);
}

static void fill_request(const struct span *spans, uint16_t count, uint32_t end, struct arena *arena, struct plan_request *ret_request) {
    const struct point *point = spans[0].point;
    uint16_t *indices = arena_take(arena, count, sizeof(*indices));
    for (uint16_t i = 0; i < count; i++)
        indices[i] = spans[i].index;
    *ret_request = (struct plan_request){
        .function = (enum frame_function)point->read, /* the same numbers */
        .address = (uint16_t)spans[0].begin,
        .count = (uint16_t)(end - spans[0].begin),
        .every_ms = point->every_ms,
        .fire = is_fire(point),
        .feeds_action = point->feeds_action,
        .points_count = count,
        .points = indices,
    };
}

/* How many of the spans share the first one's request, and where that ends. */
static uint16_t take_request(const struct device_spec *device, const struct line_timing *line, const struct span *spans, uint16_t count,
                             uint32_t *ret_end) {
    bool bits = reads_bits(spans[0].point);
    uint32_t end = spans[0].end;
    uint16_t taken = 1;
    for (; taken < count && taken < POLLED_POINTS_MAX; taken++) {
        const struct span *next = &spans[taken];
        uint32_t end_next = next->end > end ? next->end : end;
        if (!alike(spans[0].point, next->point) || end_next - spans[0].begin > addresses_max(device, bits) ||
            !gap_pays(device, line, bits, next->begin > end ? next->begin - end : 0))
            break;
        end = end_next;
    }
    *ret_end = end;
    return taken;
}

enum err plan_build(const struct device_spec *device, const struct line_timing *line, struct arena *arena, struct plan *ret_plan) {
    struct span spans[POINTS_PER_DEVICE_MAX];
    struct plan_request requests[REQUESTS_PER_DEVICE_MAX];
    uint16_t spans_count = 0, requests_count = 0;
    CHECK(device->points_count <= POINTS_PER_DEVICE_MAX);
    *ret_plan = (struct plan){0, NULL};
    for (uint16_t i = 0; i < device->points_count; i++) {
        const struct point *point = &device->points[i];
        if (point->derived || (point->writable && !point->verify))
            continue;
        CHECK(point->every_ms > 0);
        fill_span(device, i, &spans[spans_count]);
        if (spans[spans_count].end - spans[spans_count].begin > addresses_alone(device, reads_bits(point)) || spans[spans_count].end > 0x10000)
            return ERR_RANGE;
        spans_count++;
    }
    qsort(spans, spans_count, sizeof(spans[0]), compare_spans);
    for (uint16_t at = 0; at < spans_count;) {
        uint32_t end;
        uint16_t taken = take_request(device, line, &spans[at], (uint16_t)(spans_count - at), &end);
        if (requests_count == REQUESTS_PER_DEVICE_MAX)
            return ERR_RANGE;
        fill_request(&spans[at], taken, end, arena, &requests[requests_count++]);
        at = (uint16_t)(at + taken);
    }
    struct plan_request *kept = arena_take(arena, requests_count ? requests_count : 1, sizeof(*kept));
    for (uint16_t i = 0; i < requests_count; i++)
        kept[i] = requests[i];
    *ret_plan = (struct plan){requests_count, kept};
    return ERR_OK;
}

void plan_split(const struct device_spec *device, const struct plan_request *request, struct arena *arena, struct plan *ret_plan) {
    struct span spans[POLLED_POINTS_MAX];
    uint16_t count = 0;
    CHECK(request->points_count >= 1 && request->points_count <= POLLED_POINTS_MAX);
    for (uint16_t i = 0; i < request->points_count; i++)
        fill_span(device, request->points[i], &spans[i]);
    struct plan_request *requests = arena_take(arena, request->points_count, sizeof(*requests));
    for (uint16_t at = 0; at < request->points_count; count++) {
        uint32_t end = spans[at].end;
        uint16_t next = (uint16_t)(at + 1);
        for (; next < request->points_count && spans[next].begin < end; next++)
            end = spans[next].end > end ? spans[next].end : end;
        fill_request(&spans[at], (uint16_t)(next - at), end, arena, &requests[count]);
        at = next;
    }
    *ret_plan = (struct plan){count, requests};
}

int64_t plan_cost_us(const struct plan_request *request, const struct line_timing *line, int64_t turnaround_us) {
    if (line == NULL)
        return 0;
    bool bits = request->function == FC_READ_COILS || request->function == FC_READ_DISCRETE;
    size_t data = bits ? ((size_t)request->count + 7) / 8 : 2 * (size_t)request->count;
    return line_bytes_us(line, REQUEST_CHARACTERS + data) + turnaround_us + line_silence_us(line);
}

int64_t plan_prompt_us(const struct line_timing *line, unsigned reply_bytes, size_t frame_bytes) {
    return ACTION_ROAD_US + line_bytes_us(line, REQUEST_CHARACTERS + reply_bytes + frame_bytes) + PLAN_TURNAROUND_US + RESPONSE_USUAL_EXTRA_US +
           2 * (line_silence_us(line) + PLAN_HOST_US);
}

uint16_t plan_prompt_bytes(const struct line_timing *line, size_t frame_bytes) {
    uint16_t bytes = 2 * REGISTERS_READ_MAX;
    while (bytes > 0 && plan_prompt_us(line, bytes, frame_bytes) > ACTION_WRITE_MAX_US)
        bytes--;
    return bytes;
}

size_t plan_write_bytes(const struct point *point) {
    return point->read == READ_COIL || point->registers <= 1 ? 8 : 9 + 2u * point->registers;
}
