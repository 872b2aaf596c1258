/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the field side: what a point is, what a value is, how good it is. Plain data, no code.
 * A point is one quantity of one device; it is described by a profile or inline in the configuration and never changes
 * while the gateway runs. Addresses are PDU addresses, counted from 0 (Modbus application protocol v1.1b3, section 4.4). */
#ifndef YANHUO_POINT_H
#define YANHUO_POINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

enum value_kind {
    VALUE_NONE,     /* bad: there is no value */
    VALUE_NUMBER,   /* scaled or floating */
    VALUE_INTEGER,  /* signed whole number, exact; bits and enumerations too */
    VALUE_UNSIGNED, /* whole number above INT64_MAX */
    VALUE_TEXT,
};

struct value {
    enum value_kind kind;
    union {
        double number;
        int64_t integer;
        uint64_t whole;
        char text[VALUE_TEXT_SIZE];
    };
};

enum quality { QUALITY_GOOD, QUALITY_UNCERTAIN, QUALITY_STALE, QUALITY_BAD };

/* Why a reading is not good. */
enum quality_reason {
    REASON_NONE,
    REASON_ERROR_VALUE,  /* the device's own sentinel: 0x7FFF, 0x8000, 0xFFFF, NaN ... */
    REASON_OUT_OF_RANGE, /* outside what the sensor can plausibly say; rejected, never clamped */
    REASON_MALFORMED,    /* a BCD digit above 9, text that is not text */
    REASON_EXCEPTION,    /* the device answered with a Modbus exception */
    REASON_CORRUPT,      /* an answer came but could not be trusted */
    REASON_NO_ANSWER,
    REASON_DISCONNECTED, /* the bus itself is not there */
    REASON_UNSEEN,       /* of a derived point: too little of its window was seen yet */
    REASON_CLOCK,        /* the same: it counts wall time, and the clock is not trusted or stands before the beginning */
    REASON_NO_RESULT,    /* the same: its formula has no finite result for these inputs */
};

const char *quality_name(enum quality quality);              /* "good" */
const char *quality_reason_name(enum quality_reason reason); /* "no answer" */

struct reading {
    uint16_t point; /* index within the device */
    uint8_t quality; /* enum quality */
    uint8_t reason;  /* enum quality_reason */
    struct value value;
};

/* Function codes used to read. */
enum point_read { READ_COIL = 1, READ_DISCRETE = 2, READ_HOLDING = 3, READ_INPUT = 4 };

enum point_type { TYPE_BIT, TYPE_U16, TYPE_S16, TYPE_U32, TYPE_S32, TYPE_U64, TYPE_S64, TYPE_F32, TYPE_F64, TYPE_STRING, TYPE_BCD };

/* How the bytes of a value stand on the wire, written for four bytes; A is the most significant.
 * For 16 bits only the order within the register counts; for 64 bits the four registers are ordered alike. */
enum point_order { ORDER_ABCD, ORDER_CDAB, ORDER_BADC, ORDER_DCBA };

/* ISA-18.2 does not fix classes; these are the ones the gateway treats differently. Fire is polled first, sent first,
 * never suppressed, never acknowledged automatically. */
enum alarm_class { CLASS_FIRE, CLASS_ELECTRICAL, CLASS_COMPLIANCE, CLASS_FAULT, CLASS_MAINTENANCE };

const char *alarm_class_name(enum alarm_class class);

struct enumeration_label {
    int64_t value;
    const char *name; /* "on", "alarm" */
};

struct point {
    const char *name;
    const char *zh, *en; /* what a person reads; may be NULL */
    const char *unit;    /* engineering unit, "" for none */
    bool derived;        /* computed in the gateway from other points: never asked on the wire; read, address, type say nothing */
    enum point_read read;
    uint16_t address;
    enum point_type type;
    enum point_order order;
    uint8_t registers;            /* registers on the wire (string and BCD: as configured); 1 for a coil or discrete bit */
    bool bit_field;               /* take only bits first .. first + count - 1 of the raw register(s) */
    uint8_t bit_first, bit_count; /* 0 = least significant */
    double scale, offset;         /* value = raw * scale + offset; 1 and 0 keep whole numbers exact */
    uint8_t error_values_count;
    uint64_t error_values[ERROR_VALUES_MAX]; /* raw patterns as read, before sign and scale */
    bool has_range;
    double range_min, range_max; /* plausible engineering values, inclusive */
    uint8_t labels_count;
    const struct enumeration_label *labels;
    uint32_t every_ms; /* polling period */
    enum alarm_class class; /* the most urgent class of what depends on it; CLASS_MAINTENANCE when nothing does */
    bool feeds_action;      /* its reply holds the line until the verdict */
    bool writable;
    int64_t write_on, write_off; /* raw values of a coil or register for "on" and "off"; coils 0xFF00 and 0 by default */
    bool verify;                 /* false for a write-only point */
};

#endif
