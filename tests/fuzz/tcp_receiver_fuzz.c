/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP receiver under whatever a connection delivers, compared after every delivery with a second opinion that keeps the whole
 * stream and cuts it by the specification:
 *  1. the same verdict, the same answer, the same counts of frames and of dropped ones;
 *  2. what is found has the transaction, the unit id and the shape that was asked for; without a request nothing is found;
 *  3. there is always room for a whole frame.
 *
 * Input: steps. 0 begin a request, 1 end it, 2..127 so many bytes, 128..191 a frame with a right header and so many minus 127 bytes
 * (transaction and unit id of the request, but for bits of the next byte), 192..255 a good answer of the request. */
#include <string.h>

#include "fuzz.h"
#include "sensors/tcp_receiver.h"

#define STREAM_SIZE 16384

struct scene {
    struct tcp_receiver receiver;
    uint8_t stream[STREAM_SIZE];
    size_t length, cut; /* heard, and cut into frames */
    bool waiting;
    uint16_t transaction;
    uint8_t unit_id;
    struct pdu request;
    uint64_t frames, dropped;
};

static enum tcp_verdict second_opinion(struct scene *scene, struct pdu *ret_pdu) {
    enum tcp_verdict verdict = TCP_MORE;
    while (scene->length - scene->cut >= 7) {
        const uint8_t *frame = scene->stream + scene->cut;
        unsigned transaction = frame[0] * 256u + frame[1], protocol = frame[2] * 256u + frame[3], length = frame[4] * 256u + frame[5];
        if (protocol != 0 || length < 2 || length > 254)
            return TCP_LOST;
        if (scene->length - scene->cut < 6 + length)
            break;
        scene->cut += 6 + length;
        scene->frames++;
        if (scene->waiting && transaction == scene->transaction && frame[6] == scene->unit_id &&
            fuzz_answers(&scene->request, frame + 7, length - 1)) {
            scene->waiting = false;
            ret_pdu->size = (uint8_t)(length - 1);
            memcpy(ret_pdu->bytes, frame + 7, ret_pdu->size);
            verdict = TCP_FOUND;
        } else {
            scene->dropped++;
        }
    }
    return verdict;
}

/* False when the connection must be closed. */
static bool feed(struct scene *scene, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        size_t room;
        struct pdu pdu = {.size = 0}, expected = {.size = 0};
        uint8_t *place = tcp_receiver_room(&scene->receiver, &room);
        PROPERTY(room >= FRAME_SIZE);
        size_t taken = size < room ? size : room;
        if (taken > STREAM_SIZE - scene->length)
            return false;
        memcpy(place, bytes, taken);
        memcpy(scene->stream + scene->length, bytes, taken);
        scene->length += taken;
        bytes += taken;
        size -= taken;
        enum tcp_verdict verdict = tcp_receiver_feed(&scene->receiver, taken, &pdu);
        PROPERTY(verdict == second_opinion(scene, &expected));
        PROPERTY(scene->receiver.frames == scene->frames && scene->receiver.dropped == scene->dropped);
        if (verdict == TCP_LOST)
            return false;
        PROPERTY(scene->receiver.waiting == scene->waiting);
        if (verdict == TCP_FOUND)
            PROPERTY(pdu.size == expected.size && memcmp(pdu.bytes, expected.bytes, pdu.size) == 0);
    }
    return true;
}

static void begin(struct scene *scene, struct fuzz_input *input) {
    scene->transaction = fuzz_u16(input);
    scene->unit_id = fuzz_u8(input);
    fuzz_request(input, &scene->request);
    tcp_receiver_end(&scene->receiver);
    tcp_receiver_begin(&scene->receiver, scene->transaction, scene->unit_id, &scene->request);
    scene->waiting = true;
}

static bool feed_frame(struct scene *scene, struct fuzz_input *input, uint8_t kind) {
    uint8_t frame[FRAME_SIZE], wrong = fuzz_u8(input);
    struct pdu pdu;
    size_t size;
    memset(pdu.bytes, 0, sizeof(pdu.bytes));
    if (kind >= 192 && scene->request.size > 0) {
        pdu.size = (uint8_t)frame_reply_size(&scene->request);
        memcpy(pdu.bytes, scene->request.bytes, 5);
        if (pdu.bytes[0] <= FC_READ_INPUT)
            pdu.bytes[1] = (uint8_t)(pdu.size - 2);
    } else {
        pdu.size = (uint8_t)(1 + (kind - 128) % 64);
        const uint8_t *bytes = fuzz_take(input, pdu.size, &size);
        if (size > 0)
            memcpy(pdu.bytes, bytes, size);
    }
    uint16_t transaction = wrong & 0x10 ? (uint16_t)(scene->transaction - 1) : scene->transaction;
    size = frame_tcp(transaction, wrong & 0x20 ? (uint8_t)(scene->unit_id + 1) : scene->unit_id, &pdu, frame);
    return feed(scene, frame, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct fuzz_input input = {bytes, size};
    static struct scene scene;
    bool open = true;
    memset(&scene, 0, sizeof(scene));
    tcp_receiver_init(&scene.receiver);
    while (input.size > 0 && open) {
        uint8_t kind = fuzz_u8(&input);
        if (kind == 0) {
            begin(&scene, &input);
        } else if (kind == 1) {
            tcp_receiver_end(&scene.receiver);
            scene.waiting = false;
        } else if (kind < 128) {
            const uint8_t *piece = fuzz_take(&input, kind, &size);
            open = feed(&scene, piece, size);
        } else {
            open = feed_frame(&scene, &input, kind);
        }
    }
    return 0;
}
