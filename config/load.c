/* SPDX-License-Identifier: Apache-2.0 */
/* The road from a path to a configuration, in one function from top to bottom; the parts are told in loader.h. */
#include "base/fnv.h"
#include "config/load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/loader.h"

#define PATH_SIZE 4096

/* The site's own folder of profiles stands relative to the file, so that both can be moved together. */
static const char *site_profiles(struct loader *loader) {
    const struct node *folder = schema_member(&schema_site, loader->site.root, "profiles");
    if (!folder || loader->copy)
        return NULL;
    const char *slash = strrchr(loader->site.path, '/');
    char path[PATH_SIZE];
    int length;
    if (folder->text[0] == '/' || !slash)
        length = snprintf(path, sizeof(path), "%s", folder->text);
    else
        length = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - loader->site.path), loader->site.path, folder->text);
    if (length >= (int)sizeof(path) || access(path, R_OK | X_OK) != 0) {
        source_error(&loader->site, folder, "there is no folder '%s' beside this file", QUOTE(folder->text));
        return NULL;
    }
    return loader_keep(&loader->scratch, path);
}

void loader_file(struct loader *loader, enum config_file_kind kind, const char *name, const char *path, uint64_t hash) {
    struct config_file *file = arena_take(loader->arena, 1, sizeof(*file));
    *file = (struct config_file){.next = loader->config->files,
                                 .kind = kind,
                                 .name = loader_keep(loader->arena, name),
                                 .path = loader_keep(loader->arena, path),
                                 .hash = hash};
    loader->config->files = file;
}

static void hash_text(char ret_text[17], uint64_t hash) {
    snprintf(ret_text, 17, "%016llx", (unsigned long long)hash);
}

static void load_sections(struct loader *loader) {
    loader->profiles_dirs[0] = site_profiles(loader);
    load_gateway(loader);
    load_places(loader);
    load_buses(loader);
    load_devices(loader);
    load_place_rules(loader);
    load_derived(loader);
    load_alarms(loader);
    load_actions(loader);
    load_suppression(loader);
    load_settle_alarms(loader);
    load_settle_derived(loader);
    load_finish_points(loader);
    load_alarm_texts(loader);
    load_commands(loader);
    load_uplinks(loader);
    load_store(loader);
    load_rules(loader);
    uint64_t hash = FNV_START;
    for (uint16_t i = 0; i < loader->profiles_count; i++)
        if (loader->profiles[i])
            hash = fnv_add(hash, &loader->profiles[i]->hash, sizeof(loader->profiles[i]->hash));
    hash = fnv_add(hash, &loader->rules_hash, sizeof(loader->rules_hash));
    hash_text(loader->config->profiles_hash, hash);
    hash_text(loader->config->hash, loader->site.hash);
}

static enum err load(struct loader *loader, const struct config **ret_config) {
    struct diagnostics *diagnostics = loader->site.diagnostics;
    loader->errors_before = diagnostics->errors;
    arena_init(&loader->scratch);
    loader->site.arena = &loader->scratch;
    loader->config = arena_take(loader->arena, 1, sizeof(*loader->config));
    loader->config->path = loader_keep(loader->arena, loader->site.path);
    *ret_config = NULL;
    yaml_read(&loader->site);
    schema_check(&loader->site, &schema_site, loader->site.root);
    bool readable = loader->site.complete && loader->site.root && loader->site.root->kind == NODE_MAP;
    loader_file(loader, CONFIG_FILE_SITE, "", loader->site.path, loader->site.hash);
    if (readable)
        load_sections(loader);
    arena_done(&loader->scratch);
    if (!readable)
        return ERR_SYNTAX;
    if (diagnostics->errors > loader->errors_before)
        return ERR_INVALID;
    *ret_config = loader->config;
    return ERR_OK;
}

enum err config_load(const char *path, const char *profiles_dir, struct arena *arena, struct diagnostics *diagnostics,
                     const struct config **ret_config) {
    struct loader loader = {.arena = arena, .site = {.path = path, .diagnostics = diagnostics}, .profiles_dirs = {NULL, profiles_dir}};
    return load(&loader, ret_config);
}

enum err config_load_copy(const char *dir, int utc_offset_minutes, struct arena *arena, struct diagnostics *diagnostics,
                          const struct config **ret_config) {
    char path[PATH_SIZE], profiles[PATH_SIZE];
    *ret_config = NULL;
    if (snprintf(path, sizeof(path), "%s/gateway.yaml", dir) >= PATH_SIZE || snprintf(profiles, sizeof(profiles), "%s/profiles", dir) >= PATH_SIZE)
        return ERR_RANGE;
    struct loader loader = {.arena = arena,
                            .site = {.path = path, .diagnostics = diagnostics},
                            .profiles_dirs = {NULL, profiles},
                            .copy = true,
                            .copy_utc_offset_minutes = utc_offset_minutes};
    return load(&loader, ret_config);
}

static bool runs_from_source(void) {
    static const char below_source[] = "/sensors/profiles";
    char program[PATH_SIZE];
    size_t source_length = sizeof(YANHUO_PROFILES_SOURCE) - sizeof(below_source);
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    return length > (ssize_t)source_length && memcmp(program, YANHUO_PROFILES_SOURCE, source_length) == 0 && program[source_length] == '/';
}

const char *config_profiles_dir(void) {
    return runs_from_source() ? YANHUO_PROFILES_SOURCE : YANHUO_PROFILES_INSTALLED;
}

const char *config_rules_dir(void) {
    return runs_from_source() ? YANHUO_RULES_SOURCE : YANHUO_RULES_INSTALLED;
}
