/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound of the gateway, with its reason. Nothing in the program grows past a number that stands here;
 * a configuration that asks for more is refused by `yanhuo check` with the number in the message.
 * Names say what is counted (`_MAX`) or how many bytes are set aside (`_SIZE`). */
#ifndef YANHUO_LIMITS_H
#define YANHUO_LIMITS_H

/* Words */
#define NAME_SIZE 64            /* a device, point, alarm or uplink name with its end mark: fits one MQTT topic level a person reads */
#define VALUE_TEXT_SIZE 32      /* a string point: 15 registers and the end mark; model names and serial numbers fit */
#define LINE_SIZE 512           /* one trace or log line; longer ones are cut with a mark */

/* The plant */
#define PLACES_MAX 256          /* premises behind one gateway */
#define BUSES_MAX 512           /* 500 Modbus TCP endpoints and a few lines */
#define SERIAL_BUSES_MAX 16     /* one thread each; a Pi with USB hubs carries no more */
#define DEVICES_MAX 2048        /* 8 a bus on average over the most buses */
#define DEVICES_PER_BUS_MAX 247 /* Modbus unit ids 1..247 */
#define POINTS_PER_DEVICE_MAX 256
#define POINTS_MAX 32768        /* all devices together; a point's state costs about 80 bytes */
#define ALARMS_MAX 16384        /* two a point on average at 8,000 points */
#define ACTIONS_MAX 64          /* local relay actions are few and each is thought about */
#define UPLINKS_MAX 16          /* bits of an entry's uplink mask */
#define HOST_SIZE 256           /* a host name has 253 characters at most */
#define BROKERS_MAX 4           /* of one uplink: two of a pair at two sites; more is a load balancer's work */
#define ERROR_VALUES_MAX 8      /* sentinels one point may name */
#define ENUMERATION_MAX 32      /* labels one point may name */
#define DERIVED_MAX 2048        /* one a device on average; each keeps a window of DERIVED_SLOTS */
#define DERIVED_INPUTS_MAX 12   /* a sum over the loops of one residual-current monitor */
#define DERIVED_SLOTS 60        /* parts of a window: a mean of 10 minutes forgets 10 s at a time */
#define RUN_GAP_MAX_MS 300000   /* run hours are counted between good inputs at most this far apart: the longest usual period, 60 s, with
                                 * three lost polls and a margin. After more nobody can say that the machine ran */
#define TERMS_PER_ALARM_MAX 16  /* of a composite condition, groups included: more is not understood by the person who is called */
#define RULES_PER_KIND_MAX 64   /* ready rules, and as many derived points, of one kind of place: a list that a person still reads */
#define RULE_NEEDS_MAX 4        /* points one ready rule is about */
#define UNWATCHED_MAX 4096      /* gaps a checklist names: two a device; who has more reads the first page first */
#define COMMAND_SIZE 4096       /* payload of one command; a maintenance record with every text at its longest fits */
#define COMMANDS_KEPT 256       /* accepted commands whose ids are remembered until they expire; 30 s apart for two hours */
#define COMMANDS_PER_S 10       /* taken from one uplink: a person needs one, a program that acknowledges a whole place's alarms a few */
#define COMMANDS_BURST 20       /* taken at once after a pause; what is beyond both is counted and dropped before it is copied */
#define REPLIES_MAX 16          /* answers that wait for one uplink's window or link: what two seconds of commands leave behind on a slow link */
#define PROBLEMS_MAX 512        /* open at one time behind one gateway; the oldest low ones are told as closed unseen before that */
#define REMOVED_MAX 2048        /* alarms that are in the store and no longer configured, told after one start: a large place; who removes more
                                   has the rest told after the next start */
#define WRITES_PENDING_MAX 16   /* writes waiting on one bus: every action of a place at once */
#define ACTION_WRITE_MAX_US 100000 /* from the last byte of the reply that causes a local action to the last bit of its write: two contactor times,
                                      and three short transactions at 9600 baud, so that one that is under way can mostly end */
#define ACTION_ROAD_US 10000       /* of that for the road from the reply over the loop to the bus: measured below 1 ms */

/* Modbus application protocol v1.1b3, section 6 */
#define PDU_SIZE 253
#define FRAME_SIZE 260          /* TCP: 7 byte header and PDU; RTU: 1 + PDU + 2 */
#define REGISTERS_READ_MAX 125
#define BITS_READ_MAX 2000
#define POLLED_POINTS_MAX 128   /* points decoded from one reply; plan never merges more */
#define REQUESTS_PER_DEVICE_MAX 64
#define LATE_WINDOW_MIN_US 1000000 /* or twice the configured timeout: how long a serial device's answer is still expected after it was given up */

/* The engine */
#define EFFECTS_MAX 192         /* effects of one step: every action's write fits; what does not is done by the next step, at once */
#define EFFECT_BYTES_SIZE 262144 /* payload bytes of one step: a full step of ordinary messages, or one largest message */
#define PAYLOAD_SIZE 65536      /* one message; an entry is sealed before its message could be larger */
#define TOPIC_SIZE 256
#define ENTRY_SIZE 16384        /* one packed entry */
#define ENTRY_READINGS_MAX 256  /* readings of one entry: 25 kB of JSON with ordinary names, 57 kB with the longest names and texts */
#define RANGES_MAX 64           /* acknowledged ranges above a cursor's low-water mark; past that the uplink waits for the lowest */
#define WINDOW_MAX 512          /* messages in flight to one uplink: 5 times the measured best of 100 at 100 ms of delay */
#define WINDOW_DEFAULT 100
#define WINDOW_RESERVED 8       /* slots that readings may not take, so that an alarm always finds one */
#define HEALTH_BUSES_MAX 64     /* told one by one in the health message: 20 kB at most of it */
#define HEALTH_DEVICES_MAX 128  /* the same of devices: 15 kB at most */
#define QUERY_ROWS_SIZE 131072  /* bytes of one backlog read; larger than ENTRY_SIZE, so that a query always returns one */

/* Text people write */
#define CONFIG_FILE_SIZE (4 * 1024 * 1024)
#define CONFIG_DEPTH_MAX 24
#define DIAGNOSTICS_MAX 200     /* messages of one check; the rest is counted */

#endif
