/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that follows a script, for what mosquitto cannot be made to do: refuse MQTT 5, hang up, stay silent, never
 * acknowledge, acknowledge with an error. One connection at a time, on a loopback port, in a thread of the test. */
#ifndef TESTS_FAKE_BROKER_H
#define TESTS_FAKE_BROKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum fake_answer { FAKE_ACCEPT, FAKE_REFUSE, FAKE_HANG_UP, FAKE_SILENT };

struct fake_broker {
    /* The script; may be changed between connections. */
    _Atomic enum fake_answer answer5, answer4; /* to CONNECT of MQTT 5 and 3.1.1 */
    atomic_uchar code5, code4;                 /* of FAKE_REFUSE; below 0x80 a CONNACK of MQTT 3.1.1 is sent, as old brokers do */
    atomic_bool deaf;                          /* takes connections and whatever comes, and answers nothing: TLS hangs in its handshake */
    atomic_ushort receive_max;                 /* told to MQTT 5; 0: not told */
    atomic_uchar reason;                       /* of every PUBACK of MQTT 5; 0: success */
    atomic_bool mute;                          /* answers pings, but no publishes */
    atomic_uchar leave_code;                   /* after the first publish: DISCONNECT with this reason, then close */
    /* What happened. */
    atomic_uint connects5, connects4, publishes, subscribes;

    uint16_t port;
    int listen_fd;
    atomic_bool stop;
    pthread_t thread;
};

void fake_broker_start(struct fake_broker *fake);
void fake_broker_stop(struct fake_broker *fake);

#endif
