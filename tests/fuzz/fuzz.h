/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput. It reads its scene (a request, a point, a rule)
 * from the front of the input and feeds the rest to the code. An input that is too short reads as zeros, so that every input is a
 * scene. `PROPERTY` states what holds for every input; where it does not, the process ends and the driver keeps the input. */
#ifndef YANHUO_TESTS_FUZZ_H
#define YANHUO_TESTS_FUZZ_H

#include "sensors/frame.h"
#include "sensors/point.h"

/* What libFuzzer and tests/fuzz/driver.c call. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define PROPERTY(condition)                                                                                                                          \
    do {                                                                                                                                             \
        if (!(condition))                                                                                                                            \
            property_failed(__FILE__, __LINE__, #condition);                                                                                         \
    } while (0)

__attribute__((noreturn)) void property_failed(const char *file, int line, const char *condition);

struct fuzz_input {
    const uint8_t *bytes;
    size_t size; /* what is left */
};

uint8_t fuzz_u8(struct fuzz_input *input);
uint16_t fuzz_u16(struct fuzz_input *input); /* high byte first, as on the wire */
uint32_t fuzz_u32(struct fuzz_input *input);
uint64_t fuzz_u64(struct fuzz_input *input);
double fuzz_number(struct fuzz_input *input); /* finite, of every magnitude; often a plain decimal */
/* At most `most` bytes; *ret_size is how many there were. */
const uint8_t *fuzz_take(struct fuzz_input *input, size_t most, size_t *ret_size);

/* A request that the gateway could make. */
void fuzz_request(struct fuzz_input *input, struct pdu *ret_pdu);
/* Is this the answer to that request? Written a second time, from the specification, to compare the product with. */
bool fuzz_answers(const struct pdu *request, const uint8_t *reply, size_t size);

/* A point that the loader would accept (config/points.c), its labels apart. */
void fuzz_point(struct fuzz_input *input, struct point *ret_point);
/* What every decoded reading promises. */
void fuzz_check_reading(const struct point *point, const struct reading *reading);

#endif
