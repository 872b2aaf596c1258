/* SPDX-License-Identifier: Apache-2.0 */
/* A small plant written down by hand: it rests without an alarm, obeys by name, and answers for who is plugged in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/simulator/plant.h"

static const struct enumeration_label states[] = {{0, "normal"}, {1, "alarm"}}, switches[] = {{0, "off"}, {1, "on"}};

static const struct point smoke_points[] = {
    {.name = "smoke",
     .unit = "",
     .read = READ_DISCRETE,
     .type = TYPE_BIT,
     .address = 0,
     .registers = 1,
     .scale = 1,
     .labels_count = 2,
     .labels = states},
};
static const struct point meter_points[] = {
    {.name = "voltage",
     .unit = "V",
     .read = READ_INPUT,
     .type = TYPE_U16,
     .address = 0,
     .registers = 1,
     .scale = 0.1,
     .has_range = true,
     .range_max = 500},
    {.name = "current",
     .unit = "A",
     .read = READ_INPUT,
     .type = TYPE_U16,
     .address = 1,
     .registers = 1,
     .scale = 0.01,
     .has_range = true,
     .range_max = 100},
    {.name = "pressure",
     .unit = "bar",
     .read = READ_INPUT,
     .type = TYPE_U16,
     .address = 2,
     .registers = 1,
     .scale = 0.1,
     .has_range = true,
     .range_min = 2,
     .range_max = 6},
    {.name = "store", .unit = "°C", .read = READ_INPUT, .type = TYPE_S16, .address = 3, .registers = 1, .scale = 0.1},
    {.name = "level", .unit = "m", .read = READ_INPUT, .type = TYPE_U16, .address = 4, .registers = 1, .scale = 0.1},
};
static const struct point relay_points[] = {
    {.name = "channel-1",
     .unit = "",
     .read = READ_COIL,
     .type = TYPE_BIT,
     .address = 0,
     .registers = 1,
     .scale = 1,
     .labels_count = 2,
     .labels = switches,
     .writable = true,
     .write_on = 0xFF00},
};
static const struct point fan_points[] = {
    {.name = "fan",
     .unit = "",
     .read = READ_HOLDING,
     .type = TYPE_U16,
     .address = 5,
     .registers = 1,
     .scale = 1,
     .bit_field = true,
     .bit_count = 1,
     .labels_count = 2,
     .labels = switches},
    {.name = "door",
     .unit = "",
     .read = READ_HOLDING,
     .type = TYPE_U16,
     .address = 5,
     .registers = 1,
     .scale = 1,
     .bit_field = true,
     .bit_first = 1,
     .bit_count = 1,
     .labels_count = 2,
     .labels = switches},
};

#define DEVICE(name_, bus_, unit_, first_, points_)                                                                                                  \
    {                                                                                                                                                \
        .spec = {.name = name_, .unit_id = unit_, .gaps_allowed = true, .points_count = ARRAY_COUNT(points_), .points = points_}, .bus = bus_,       \
        .first_point = first_, .place = CONFIG_NONE                                                                                                  \
    }
static const struct config_device devices[] = {
    DEVICE("smoke-1", 0, 11, 0, smoke_points),
    DEVICE("meter-1", 0, 21, 1, meter_points),
    DEVICE("relay-1", 0, 31, 6, relay_points),
    DEVICE("fume-1", 1, 1, 7, fan_points),
};
static const struct bus_spec buses[] = {{.name = "shed", .kind = BUS_SERIAL, .baud = 9600}, {.name = "kitchen", .bus = 1, .kind = BUS_TCP}};
static const struct config_alarm alarms[] = {
    {.name = "smoke", .device = 0, .point = 0, .condition = CONDITION_EQUAL, .limit = 1},
    {.name = "communication", .device = 1, .point = CONFIG_NONE, .condition = CONDITION_COMMUNICATION},
    {.name = "high", .device = 1, .point = 0, .condition = CONDITION_ABOVE, .limit = 220, .deadband = 2},
    {.name = "low", .device = 1, .point = 0, .condition = CONDITION_BELOW, .limit = 198, .deadband = 2},
    {.name = "too-warm", .device = 1, .point = 3, .condition = CONDITION_ABOVE, .limit = -15, .deadband = 1},
    {.name = "empty", .device = 1, .point = 4, .condition = CONDITION_BELOW, .limit = 3, .deadband = 0.5},
    {.name = "door-closed", .device = 3, .point = 1, .condition = CONDITION_EQUAL, .limit = 0},
};
static const struct config config = {.buses_count = 2,
                                     .devices_count = 4,
                                     .alarms_count = ARRAY_COUNT(alarms),
                                     .points_count = 9,
                                     .buses = buses,
                                     .devices = devices,
                                     .alarms = alarms};

struct fixture {
    struct arena arena;
    struct plant plant;
    char bytes[256];
    struct text text;
};

static int begin(void **state) {
    static struct fixture fixture;
    arena_init(&fixture.arena);
    plant_build(&fixture.plant, &config, &fixture.arena);
    text_init(&fixture.text, fixture.bytes, sizeof(fixture.bytes));
    *state = &fixture;
    return 0;
}

static int finish(void **state) {
    struct fixture *fixture = *state;
    arena_done(&fixture->arena);
    return 0;
}

static double number_of(const struct plant *plant, uint16_t device, uint16_t point) {
    struct reading reading;
    double number;
    slave_get(&plant->devices[device].slave, point, &reading);
    assert_int_equal(reading.quality, QUALITY_GOOD);
    assert_true(value_number(&reading.value, &number));
    return number;
}

static void assert_calm(const struct plant *plant) {
    for (size_t i = 0; i < ARRAY_COUNT(alarms); i++) {
        if (alarms[i].point == CONFIG_NONE)
            continue;
        double number = number_of(plant, alarms[i].device, alarms[i].point);
        bool is_true = alarms[i].condition == CONDITION_EQUAL   ? number == alarms[i].limit
                       : alarms[i].condition == CONDITION_ABOVE ? number >= alarms[i].limit - alarms[i].deadband
                                                                : number <= alarms[i].limit + alarms[i].deadband;
        if (is_true)
            fail_msg("%s is true at rest, at %f", alarms[i].name, number);
    }
}

static void it_rests_without_an_alarm(void **state) {
    struct fixture *fixture = *state;
    assert_calm(&fixture->plant);
    assert_float_equal(number_of(&fixture->plant, 1, 1), 2.4, 1e-9);
    assert_float_equal(number_of(&fixture->plant, 1, 2), 4, 1e-9); /* the middle of the range */
    assert_float_equal(number_of(&fixture->plant, 2, 0), 1, 0);    /* the relay is on */
    assert_float_equal(number_of(&fixture->plant, 3, 0), 1, 0);    /* the fan runs */
}

static void the_wave_moves_analog_points_and_raises_nothing(void **state) {
    struct fixture *fixture = *state;
    double low = 1e9, high = -1e9;
    for (int64_t second = 0; second < 120; second++) {
        plant_wave(&fixture->plant, second * 1000000);
        assert_calm(&fixture->plant);
        double current = number_of(&fixture->plant, 1, 1);
        low = current < low ? current : low;
        high = current > high ? current : high;
    }
    assert_float_equal(low, 2.35, 0.011);
    assert_float_equal(high, 2.45, 0.011);
    assert_int_equal(plant_set(&fixture->plant, "meter-1/current", "12.5", NULL), ERR_OK);
    for (int64_t second = 0; second < 120; second++) {
        plant_wave(&fixture->plant, second * 1000000);
        assert_float_equal(number_of(&fixture->plant, 1, 1), 12.5, 1e-9);
    }
}

static void points_are_set_and_told_by_name(void **state) {
    struct fixture *fixture = *state;
    struct {
        const char *path, *value, *told;
    } cases[] = {
        {"smoke-1/smoke", "1", "alarm"},
        {"smoke-1/smoke", "normal", "normal"},
        {"meter-1/current", "12.5", "12.5 A"},
        {"meter-1/voltage", "501", "bad, out of range"},
        {"relay-1/channel-1", "off", "off"},
        {"fume-1/door", "off", "off"},
        {"fume-1/fan", "on", "on"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        text_init(&fixture->text, fixture->bytes, sizeof(fixture->bytes));
        assert_int_equal(plant_set(&fixture->plant, cases[i].path, cases[i].value, NULL), ERR_OK);
        assert_int_equal(plant_get(&fixture->plant, cases[i].path, &fixture->text, NULL), ERR_OK);
        assert_string_equal(fixture->bytes, cases[i].told);
    }
}

static void mistakes_are_answered_with_what_was_expected(void **state) {
    struct fixture *fixture = *state;
    struct {
        const char *path, *value;
        enum err err;
        const char *told;
    } cases[] = {
        {"smoke", "1", ERR_NOT_FOUND, "'smoke' is not a point; expected DEVICE/POINT, such as smoke-1/smoke"},
        {"smoke-9/smoke", "1", ERR_NOT_FOUND, "there is no device 'smoke-9'; expected one of smoke-1, meter-1, relay-1, fume-1"},
        {"fume-1/fanny", "1", ERR_NOT_FOUND, "device 'fume-1' has no point 'fanny'; expected one of fan, door"},
        {"fume-1/fan", "maybe", ERR_SYNTAX, "'maybe' is no value; expected a number or one of off, on"},
        {"meter-1/current", "12.5A", ERR_SYNTAX, "'12.5A' is no value; expected a number"},
        {"meter-1/current", "-1", ERR_RANGE, "meter-1/current cannot hold -1; expected what its registers can represent"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        text_init(&fixture->text, fixture->bytes, sizeof(fixture->bytes));
        assert_int_equal(plant_set(&fixture->plant, cases[i].path, cases[i].value, &fixture->text), cases[i].err);
        assert_string_equal(fixture->bytes, cases[i].told);
    }
    text_init(&fixture->text, fixture->bytes, 48);
    assert_int_equal(plant_plug(&fixture->plant, "x", false, &fixture->text), ERR_NOT_FOUND); /* cut, not overrun */
}

static void only_who_is_plugged_in_answers(void **state) {
    struct fixture *fixture = *state;
    static const uint8_t read_smoke[] = {2, 0, 0, 0, 1}, off[] = {5, 0, 0, 0, 0};
    struct pdu reply;
    struct slave_write write;
    uint16_t device;
    assert_true(plant_answer(&fixture->plant, 0, 11, read_smoke, 5, &device, &reply, &write));
    assert_int_equal(device, 0);
    assert_false(plant_answer(&fixture->plant, 0, 12, read_smoke, 5, &device, &reply, &write));
    assert_int_equal(device, CONFIG_NONE);
    assert_false(plant_answer(&fixture->plant, 1, 11, read_smoke, 5, &device, &reply, &write));
    assert_false(plant_answer(&fixture->plant, 1, 255, read_smoke, 5, &device, &reply, &write));
    assert_int_equal(plant_plug(&fixture->plant, "smoke-1", false, NULL), ERR_OK);
    assert_false(plant_answer(&fixture->plant, 0, 11, read_smoke, 5, &device, &reply, &write));
    assert_int_equal(plant_plug(&fixture->plant, "smoke-1", true, NULL), ERR_OK);
    assert_true(plant_answer(&fixture->plant, 0, 11, read_smoke, 5, &device, &reply, &write));
    assert_true(plant_answer(&fixture->plant, 0, 31, off, 5, &device, &reply, &write));
    assert_true(write.done && slave_write_touches(&write, &relay_points[0]));
    assert_float_equal(number_of(&fixture->plant, 2, 0), 0, 0);
}

static void a_broadcast_is_carried_out_in_silence(void **state) {
    struct fixture *fixture = *state;
    static const uint8_t off[] = {5, 0, 0, 0, 0};
    struct pdu reply;
    struct slave_write write;
    uint16_t device;
    assert_false(plant_answer(&fixture->plant, 1, 0, off, 5, &device, &reply, &write));
    assert_float_equal(number_of(&fixture->plant, 2, 0), 1, 0); /* on the other bus */
    assert_false(plant_answer(&fixture->plant, 0, 0, off, 5, &device, &reply, &write));
    assert_float_equal(number_of(&fixture->plant, 2, 0), 0, 0);
}

static void turnarounds_differ_by_bus_and_can_be_set(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(fixture->plant.devices[0].turnaround_us, PLANT_LINE_TURNAROUND_US);
    assert_int_equal(fixture->plant.devices[3].turnaround_us, 0);
    assert_int_equal(plant_delay(&fixture->plant, "fume-1", 20000, NULL), ERR_OK);
    assert_int_equal(fixture->plant.devices[3].turnaround_us, 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_rests_without_an_alarm, begin, finish),
        cmocka_unit_test_setup_teardown(the_wave_moves_analog_points_and_raises_nothing, begin, finish),
        cmocka_unit_test_setup_teardown(points_are_set_and_told_by_name, begin, finish),
        cmocka_unit_test_setup_teardown(mistakes_are_answered_with_what_was_expected, begin, finish),
        cmocka_unit_test_setup_teardown(only_who_is_plugged_in_answers, begin, finish),
        cmocka_unit_test_setup_teardown(a_broadcast_is_carried_out_in_silence, begin, finish),
        cmocka_unit_test_setup_teardown(turnarounds_differ_by_bus_and_can_be_set, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
