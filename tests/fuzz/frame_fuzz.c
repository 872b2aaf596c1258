/* SPDX-License-Identifier: Apache-2.0 */
/* frame_match and the envelopes, with a request of the gateway and any bytes as its reply.
 *  1. The verdict agrees with a second opinion (fuzz_answers).
 *  2. The data of a good read lies inside the reply and has the size that was asked for; otherwise there is none.
 *  3. An RTU frame with its CRC has the CRC 0; a TCP frame's length counts what follows it; both carry the PDU unchanged.
 *
 * Input: request, transaction, unit id, the reply. */
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct fuzz_input input = {bytes, size};
    struct pdu request;
    uint8_t exception, rtu[FRAME_SIZE], tcp[FRAME_SIZE];
    const uint8_t *data;
    size_t data_size;
    fuzz_request(&input, &request);
    uint16_t transaction = fuzz_u16(&input);
    uint8_t unit_id = fuzz_u8(&input);
    PROPERTY(request.size >= 5 && request.size <= PDU_SIZE);
    PROPERTY(frame_reply_size(&request) >= 3 && frame_reply_size(&request) <= PDU_SIZE);

    enum frame_verdict verdict = frame_match(&request, input.bytes, input.size, &exception, &data, &data_size);
    PROPERTY((verdict != FRAME_MISMATCH) == fuzz_answers(&request, input.bytes, input.size));
    PROPERTY((verdict == FRAME_EXCEPTION) == (exception != 0));
    if (verdict == FRAME_GOOD && request.bytes[0] <= FC_READ_INPUT)
        PROPERTY(data == input.bytes + 2 && data_size == input.size - 2 && data_size == frame_reply_size(&request) - 2);
    else
        PROPERTY(data == NULL && data_size == 0);

    size_t rtu_size = frame_rtu(unit_id, &request, rtu), tcp_size = frame_tcp(transaction, unit_id, &request, tcp);
    PROPERTY(rtu_size == request.size + 3u && frame_crc(rtu, rtu_size) == 0);
    PROPERTY(rtu[0] == unit_id && memcmp(rtu + 1, request.bytes, request.size) == 0);
    PROPERTY(tcp_size == request.size + 7u && tcp_size == 6u + tcp[4] * 256u + tcp[5]);
    PROPERTY(tcp[0] * 256u + tcp[1] == transaction && tcp[2] == 0 && tcp[3] == 0 && tcp[6] == unit_id);
    PROPERTY(memcmp(tcp + 7, request.bytes, request.size) == 0);
    return 0;
}
