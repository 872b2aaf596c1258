/* SPDX-License-Identifier: Apache-2.0 */
/* The RTU receiver under whatever a serial line delivers.
 *
 * What is accepted
 *  1. was heard in one piece: unit id, the PDU, and a CRC that is right;
 *  2. answers the request, by a second opinion (fuzz_answers);
 *  3. is not the echo: a copy of a read's request, or of a write's on an echoing line, is accepted only behind another copy, and what may
 *     still become an echo only after silence.
 * And 4. an answer alone on the line is accepted, unless it begins as the echo does; 5. how the bytes are cut into pieces changes nothing; 6. it says
 * how much it needs exactly when it wants more, and keeps less than a frame.
 *
 * Input: flags, unit id, request, then pieces of the line: 0 silence, 1..127 so many bytes, 128..247 so many minus 127 and
 * the CRC of unit id and bytes around them, 248..251 the request's echo, 252..255 a good answer whose data is the input's. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sensors/rtu_receiver.h"

#define HEARD_SIZE 8192

struct scene {
    struct rtu_receiver receiver, whole; /* whole: gets the same bytes at one time */
    struct pdu request;
    uint8_t unit_id, frame[FRAME_SIZE];
    size_t frame_size;
    bool line_echoes, silent; /* silence fell: pieces and whole may differ */
    uint8_t heard[HEARD_SIZE];
    size_t length;
};

static void check_found(const struct scene *scene, const struct rtu_receiver *receiver, const struct pdu *pdu) {
    uint8_t frame[FRAME_SIZE];
    PROPERTY(pdu->size >= 2 && pdu->size <= PDU_SIZE);
    size_t size = frame_rtu(scene->unit_id, pdu, frame);
    PROPERTY(memmem(scene->heard, scene->length, frame, size));
    PROPERTY(fuzz_answers(&scene->request, pdu->bytes, pdu->size));
    bool copy = size == scene->frame_size && memcmp(frame, scene->frame, size) == 0;
    if (copy && (scene->request.bytes[0] <= FC_READ_INPUT || scene->line_echoes))
        PROPERTY(receiver->echo_seen);
}

static enum rtu_verdict feed(struct scene *scene, const uint8_t *bytes, size_t size) {
    struct pdu pdu;
    size_t needed;
    if (size > HEARD_SIZE - scene->length)
        return RTU_NOTHING;
    memcpy(scene->heard + scene->length, bytes, size);
    scene->length += size;
    enum rtu_verdict verdict = rtu_receiver_feed(&scene->receiver, bytes, size, &needed, &pdu);
    PROPERTY((verdict == RTU_MORE) == (needed > 0));
    PROPERTY(needed < FRAME_SIZE && scene->receiver.length < FRAME_SIZE);
    PROPERTY(verdict != RTU_NOTHING || scene->receiver.length == 0);
    if (verdict == RTU_FOUND) {
        bool may_go_on = scene->length < scene->frame_size && memcmp(scene->heard, scene->frame, scene->length) == 0;
        PROPERTY(!may_go_on || scene->request.bytes[0] > FC_READ_INPUT);
        check_found(scene, &scene->receiver, &pdu);
    }
    return verdict;
}

static size_t good_answer(const struct scene *scene, struct fuzz_input *input, uint8_t ret_frame[FRAME_SIZE]) {
    struct pdu pdu = {.size = (uint8_t)frame_reply_size(&scene->request)};
    size_t size;
    memcpy(pdu.bytes, scene->request.bytes, 5);
    if (scene->request.bytes[0] <= FC_READ_INPUT) {
        memset(pdu.bytes + 2, 0, pdu.size - 2u);
        pdu.bytes[1] = (uint8_t)(pdu.size - 2);
        const uint8_t *data = fuzz_take(input, pdu.size - 2u, &size);
        if (size > 0)
            memcpy(pdu.bytes + 2, data, size);
    }
    return frame_rtu(scene->unit_id, &pdu, ret_frame);
}

/* One piece of the line. */
static enum rtu_verdict deliver(struct scene *scene, struct fuzz_input *input) {
    uint8_t kind = fuzz_u8(input), frame[FRAME_SIZE];
    size_t size;
    struct pdu pdu;
    if (kind == 0) {
        scene->silent = true;
        enum rtu_verdict verdict = rtu_receiver_silence(&scene->receiver, &pdu);
        PROPERTY(verdict != RTU_MORE && scene->receiver.length == 0);
        if (verdict == RTU_FOUND)
            check_found(scene, &scene->receiver, &pdu);
        return verdict;
    }
    if (kind < 128) {
        const uint8_t *bytes = fuzz_take(input, kind, &size);
        return feed(scene, bytes, size);
    }
    if (kind >= 252) {
        bool first = scene->length == 0;
        size = good_answer(scene, input, frame);
        bool like_echo = memcmp(frame, scene->frame, size < scene->frame_size ? size : scene->frame_size) == 0;
        enum rtu_verdict verdict = feed(scene, frame, size);
        PROPERTY(!first || like_echo || verdict == RTU_FOUND);
        return verdict;
    }
    if (kind >= 248)
        return feed(scene, scene->frame, scene->frame_size);
    pdu.size = (uint8_t)(kind - 127);
    const uint8_t *bytes = fuzz_take(input, pdu.size, &size);
    memset(pdu.bytes, 0, sizeof(pdu.bytes));
    if (size > 0)
        memcpy(pdu.bytes, bytes, size);
    return feed(scene, frame, frame_rtu(scene->unit_id, &pdu, frame));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct fuzz_input input = {bytes, size};
    static struct scene scene;
    memset(&scene, 0, sizeof(scene));
    scene.line_echoes = fuzz_u8(&input) & 1;
    scene.unit_id = fuzz_u8(&input);
    fuzz_request(&input, &scene.request);
    scene.frame_size = frame_rtu(scene.unit_id, &scene.request, scene.frame);
    rtu_receiver_begin(&scene.receiver, scene.unit_id, &scene.request, scene.line_echoes);
    rtu_receiver_begin(&scene.whole, scene.unit_id, &scene.request, scene.line_echoes);
    enum rtu_verdict verdict = RTU_NOTHING;
    while (input.size > 0 && verdict != RTU_FOUND)
        verdict = deliver(&scene, &input);
    if (scene.silent || scene.length == 0)
        return 0;
    struct pdu pdu;
    size_t needed;
    uint8_t *copy = malloc(scene.length); /* of exactly its size, so that reading past it is seen */
    memcpy(copy, scene.heard, scene.length);
    enum rtu_verdict of_whole = rtu_receiver_feed(&scene.whole, copy, scene.length, &needed, &pdu);
    free(copy);
    PROPERTY((of_whole == RTU_FOUND) == (verdict == RTU_FOUND));
    return 0;
}
